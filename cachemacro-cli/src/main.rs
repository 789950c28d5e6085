//! `cachemacro`: see and operate the caches of a fleet.
//!
//! What a command shows goes to standard output and nothing else does. It ends with 0 where it did what was asked, 1 where
//! something is wrong or nothing was found, 2 where it was not understood, 3 where the server cannot be reached or denies, and 4
//! where nobody confirmed.

mod args;
mod commands;
mod compact;
mod failure;
mod fleet;
mod http;
mod pattern;
mod place;
mod servers;
mod sweep;
mod table;
mod template;
mod text;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use self::args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match commands::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let told = failure.to_string();
            if !told.is_empty() {
                text::tell(&told);
            }
            ExitCode::from(failure.code())
        }
    }
}
