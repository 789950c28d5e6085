//! The airports of the world over HTTP: `cargo run --example airports`, and `-- load` to measure the cache.
//!
//! Entries are in memory, or in Redis or Valkey with `REDIS_URL`. Questions to `/ask` are compared by a model with `EMBEDDER_URL`, else by their words.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use airports::load::{self, Cold, Drive, Failure, Load};
use airports::repository::Repository;
use airports::senses::Senses;
use airports::service::Airports;
use airports::{data, routes};
use cachemacro::Cache;
use cachemacro_search::Search;
use tokio::net::TcpListener;

const USAGE: &str = "\
usage: airports [serve] [--port PORT] [--database FILE]
       airports load [--requests N] [--seconds N] [--callers N] [--skew S] [--seed N]
       airports drive [--port PORT] [--seconds N] [--per-second N] [--callers N] [--skew S] [--seed N]
       airports cold [--seconds N] [--per-second N] [--distance MS] [--rate N] [--callers N] [--skew S] [--seed N]

serve   answers on 127.0.0.1; port 3000, and a database in a temporary folder, unless told otherwise.
        Port 0 takes any that is free. Several processes can serve one database file and one Redis.
load    replays a mix of requests against the service with caching off, then the same ones with caching on, and
        tells what that saved. Each run takes so many seconds or requests at most (5; 20000).
drive   sends the same mix to a service that runs already (port 3000), so many seconds (300), so many in each (200).
cold    starts against an empty cache, without and with a warm-up before the first request, and tells what the first
        seconds are like (10), at so many requests a second (300), over a database that is so far away (10 ms).

With REDIS_URL the cache is in Redis or Valkey. With EMBEDDER_URL, EMBEDDER_MODEL and EMBEDDER_DIMENSIONS a model says which questions mean the same.
";

enum Command {
    Serve { port: u16, database: Option<PathBuf> },
    Load(Load),
    Drive(Drive),
    Cold(Cold),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = match parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(problem) => {
            eprint!("{problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let done = match command {
        Command::Serve { port, database } => serve(port, database).await,
        Command::Load(load) => compare(&load).await,
        Command::Drive(drive) => send(&drive).await,
        Command::Cold(cold) => start_cold(&cold).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn serve(port: u16, database: Option<PathBuf>) -> Result<(), Failure> {
    // Lives as long as the service, and takes its files along.
    let folder = tempfile::tempdir()?;
    let file = database.unwrap_or_else(|| folder.path().join("airports.sqlite"));
    let cache = Cache::builder().namespace("airports").beside(Arc::new(Search::new())).env()?.build()?;
    let airports =
        Airports::new(Repository::open(&file, &cache).await?, cache.clone()).with_senses(Senses::env()?);
    if airports.repository().is_empty().await? {
        // What an earlier database left in Redis is none of this one.
        cache.evict_tags(["db"]).await?;
        airports.import(&data::bundled()?).await?;
    }

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let kind = cache.health().await.map_or("not reachable yet", |health| health.store.name);
    println!("cache: {kind}");
    println!("listening on http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;

    axum::serve(listener, routes::router(airports.clone(), &routes::pages(&airports)))
        .with_graceful_shutdown(async {
            // Where the signal cannot be listened to, the process ends by it in the usual way.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await?;
    airports.repository().close().await;
    cache.shutdown().await?;
    Ok(())
}

async fn compare(load: &Load) -> Result<(), Failure> {
    let report = load::compare(load, |disabled| {
        Cache::builder().namespace("airports-load").env()?.disabled(disabled).build()
    })
    .await?;
    print!("{report}");
    Ok(())
}

async fn send(drive: &Drive) -> Result<(), Failure> {
    let report = load::drive(drive).await?;
    print!("{report}");
    Ok(())
}

async fn start_cold(cold: &Cold) -> Result<(), Failure> {
    let report = load::cold(cold, |disabled| {
        Cache::builder().namespace("airports-cold").env()?.disabled(disabled).build()
    })
    .await?;
    print!("{report}");
    Ok(())
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Command, String> {
    let (mut load, mut cold, mut drive) = (Load::default(), Cold::default(), Drive::default());
    let mut port = 3_000;
    let mut database = None;
    let mut does = "serve";
    let mut first = true;
    while let Some(arg) = args.next() {
        match (arg.as_str(), does) {
            ("serve", _) if first => {}
            ("load", _) if first => does = "load",
            ("drive", _) if first => {
                does = "drive";
                load = drive.load.clone();
            }
            ("cold", _) if first => {
                does = "cold";
                load = cold.load.clone();
            }
            ("--per-second", "cold") => cold.per_second = above_zero(&arg, args.next())?,
            ("--per-second", "drive") => drive.per_second = above_zero(&arg, args.next())?,
            ("--distance", "cold") => {
                cold.distance = Duration::from_millis(value(&arg, args.next())?);
            }
            ("--rate", "cold") => cold.rate = above_zero(&arg, args.next())?,
            ("--port", "serve") => port = value(&arg, args.next())?,
            ("--port", "drive") => drive.port = value(&arg, args.next())?,
            ("--database", "serve") => database = Some(value(&arg, args.next())?),
            ("--requests", "load" | "cold") => load.requests = value(&arg, args.next())?,
            ("--seconds", "load" | "cold" | "drive") => {
                load.time = Duration::from_secs(value(&arg, args.next())?);
            }
            ("--callers", "load" | "cold" | "drive") => load.callers = value(&arg, args.next())?,
            ("--skew", "load" | "cold" | "drive") => load.skew = value(&arg, args.next())?,
            ("--seed", "load" | "cold" | "drive") => load.seed = value(&arg, args.next())?,
            _ => return Err(format!("`{arg}` is not understood")),
        }
        first = false;
    }
    Ok(match does {
        "cold" => Command::Cold(Cold { load, ..cold }),
        "drive" => Command::Drive(Drive { load, ..drive }),
        "load" => Command::Load(load),
        _ => Command::Serve { port, database },
    })
}

fn above_zero(name: &str, given: Option<String>) -> Result<u32, String> {
    value(name, given).and_then(|number| match number {
        0 => Err(format!("`{name}` is above zero")),
        number => Ok(number),
    })
}

fn value<T: std::str::FromStr>(name: &str, given: Option<String>) -> Result<T, String> {
    given.and_then(|text| text.parse().ok()).ok_or_else(|| format!("`{name}` needs a value"))
}
