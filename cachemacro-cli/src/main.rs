//! `cachemacro`: see and operate the caches of a fleet.
//!
//! What a command shows goes to standard output and nothing else does. It ends with 0 where it did what was asked, 1 where
//! something is wrong or nothing was found, 2 where it was not understood, 3 where the server cannot be reached or denies, and 4
//! where nobody confirmed.

mod args;
mod commands;
mod fleet;
mod http;
mod pattern;
mod place;
mod sweep;
mod table;
mod template;
mod text;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use self::args::Args;

/// Why a command ends otherwise than well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Something is wrong, or nothing was found. What it is was shown.
    #[error("")]
    Shown,
    /// The same, with a sentence.
    #[error("{0}")]
    Wrong(String),
    /// The command makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The server cannot be reached or denies.
    #[error("{0}")]
    Unreachable(String),
    /// Nobody confirmed.
    #[error("{0}")]
    NotConfirmed(String),
}

impl Failure {
    const fn code(&self) -> u8 {
        match self {
            Failure::Shown | Failure::Wrong(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Unreachable(_) => 3,
            Failure::NotConfirmed(_) => 4,
        }
    }
}

impl From<cachemacro::Error> for Failure {
    fn from(error: cachemacro::Error) -> Self {
        let text = error.to_string();
        if error.kind() == cachemacro::ErrorKind::Config {
            Failure::Usage(text)
        } else {
            Failure::Unreachable(text)
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // Whoever read the output has had enough.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Failure::Shown
        } else {
            Failure::Wrong(error.to_string())
        }
    }
}

/// What a command gives.
pub(crate) type Done = Result<(), Failure>;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match commands::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let told = failure.to_string();
            if !told.is_empty() {
                eprintln!("cachemacro: {}", text::shown(&told));
            }
            ExitCode::from(failure.code())
        }
    }
}
