//! What each command does.

mod calibrate;
mod doctor;
mod entries;
mod find;
mod flush;
mod log;
mod map;
mod search;
mod shown;
mod stats;
mod tags;
mod top;
mod verify;
mod warm;

use clap::CommandFactory as _;

use self::shown::print;
use crate::args::{Args, Command, SearchArgs, SearchCommand};
use crate::failure::{Done, Failure};
use crate::watch;

pub(crate) async fn run(args: Args) -> Done {
    let reads_reports = matches!(&args.command, Command::Stats { .. } | Command::Map { .. });
    if !args.place.from.is_empty() && !reads_reports {
        return Err(Failure::Usage(
            "--from is for `stats` and `map`: nothing else comes from reports alone".to_owned(),
        ));
    }
    match &args.command {
        Command::Stats { watch, .. } if watch.watch => watch::watch(&args, watch).await,
        Command::Stats { by, .. } => stats::stats(&args, *by).await,
        Command::List { pattern, limit } => entries::list(&args, pattern.as_deref(), *limit).await,
        Command::Inspect { key, value } => entries::inspect(&args, key, *value).await,
        Command::Explain { key } => entries::explain(&args, key).await,
        Command::Top { by, limit } => top::top(&args, *by, *limit).await,
        Command::Map { dot, svg } => map::map(&args, *dot, *svg).await,
        Command::Search(SearchArgs { other: Some(SearchCommand::Calibrate { file, budget }), .. }) => {
            calibrate::calibrate(&args, file, *budget)
        }
        Command::Search(what) => match what.method {
            Some(method) => find::find(&args, what, method).await,
            None => search::search(&args, what).await,
        },
        Command::Log { limit } => log::log(&args, *limit).await,
        Command::Tags => tags::tags(&args).await,
        Command::Flush(flush) => flush::flush(&args, flush).await,
        Command::Doctor => doctor::doctor(&args).await,
        Command::Verify => verify::verify(&args).await,
        Command::Warm { urls, concurrency } => warm::warm(&args, urls, *concurrency).await,
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "cachemacro", &mut text);
            print(&text, &args.output)
        }
        Command::Man => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Args::command()).render(&mut text)?;
            print(&text, &args.output)
        }
    }
}
