//! What each command does.

mod doctor;
mod entries;
mod flush;
mod log;
mod map;
mod search;
mod stats;
mod tags;
mod top;
mod verify;
mod warm;

use std::io::{self, Write as _};

use cachemacro::inspect::tag_hash;
use clap::CommandFactory as _;

use crate::args::{Args, Command, OutputArgs};
use crate::fleet::Fleet;
use crate::{Done, Failure, watch};

pub(crate) async fn run(args: Args) -> Done {
    match &args.command {
        Command::Stats { watch, .. } if watch.watch => watch::watch(&args, watch).await,
        Command::Stats { by, .. } => stats::stats(&args, *by).await,
        Command::List { pattern, limit } => entries::list(&args, pattern.as_deref(), *limit).await,
        Command::Inspect { key, value } => entries::inspect(&args, key, *value).await,
        Command::Explain { key } => entries::explain(&args, key).await,
        Command::Top { by, limit } => top::top(&args, *by, *limit).await,
        Command::Map { dot } => map::map(&args, *dot).await,
        Command::Search(what) => search::search(&args, what).await,
        Command::Log { limit } => log::log(&args, *limit).await,
        Command::Tags => tags::tags(&args).await,
        Command::Flush(flush) => flush::flush(&args, flush).await,
        Command::Doctor => doctor::doctor(&args).await,
        Command::Verify => verify::verify(&args).await,
        Command::Warm { urls, concurrency, calls } => warm::warm(&args, urls, *concurrency, *calls).await,
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "cachemacro", &mut text);
            print(&text)
        }
        Command::Man => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Args::command()).render(&mut text)?;
            print(&text)
        }
    }
}

fn print(text: &[u8]) -> Done {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()?;
    Ok(())
}

/// The key as it is shown.
fn shown_key(key: &str, output: &OutputArgs) -> String {
    if output.redact { format!("#{:016x}", tag_hash(key)) } else { key.to_owned() }
}

/// A tag by its name, where one of these is it, else by its hash.
fn shown_tag(hash: u64, names: &[String], output: &OutputArgs) -> String {
    match names.iter().find(|name| tag_hash(name) == hash) {
        Some(name) if !output.redact => name.clone(),
        _ => format!("#{hash:016x}"),
    }
}

/// The fleet, for what it knows of functions. What is shown without it is less, and no failure.
async fn fleet_if_any(place: &crate::place::Place) -> Fleet {
    match Fleet::of_place(place).await {
        Ok(fleet) => {
            if fleet.reports.is_empty() {
                eprintln!(
                    "cachemacro: no process reported within 30 s, so functions and names of tags are not known; the first report comes 10 s after a start"
                );
            }
            fleet
        }
        Err(failure) => {
            eprintln!("cachemacro: no reports, so functions and names of tags are not known: {failure}");
            Fleet::default()
        }
    }
}

/// The codec of this id.
fn codec(id: u8) -> String {
    let known = match id {
        0 => "none",
        1 => "bincode",
        2 => "postcard",
        3 => "msgpack",
        4 => "json",
        cachemacro::header::DECIMAL => "decimal",
        _ => return format!("codec {id}"),
    };
    known.to_owned()
}

const fn nothing<T>(found: &[T]) -> Done {
    if found.is_empty() { Err(Failure::Shown) } else { Ok(()) }
}
