//! Requests of any size: commands in as many pipelines as their size asks for, one after the other.
//!
//! Each has a deadline of its own, and what others send gets in between: a server carries a pipeline out in one go.

use redis::{Arg, Cmd, Value};

use super::commands::Commands;
use super::send::{Part, Resend};
use crate::ground::chunks::{MOST_BYTES, chunks};
use crate::ground::error::{Error, ErrorKind, Result};

/// How many bytes a key counts for besides its own: a thousand keys in a pipeline take a server one to three milliseconds.
const KEY: usize = 1 << 10;

impl Commands {
    /// Sends these in pipelines, scripts by their hash; gives a reply for each.
    pub(super) async fn run(&self, mut parts: Vec<Part<'_>>, resend: Resend) -> Result<Vec<Value>> {
        if parts.len() <= 1 || parts.iter().map(Part::weight).sum::<usize>() <= MOST_BYTES {
            return self.sender.run(parts, resend).await;
        }
        let mut replies = Vec::with_capacity(parts.len());
        for group in chunks(parts.drain(..), usize::MAX, MOST_BYTES, Part::weight) {
            let first = replies.is_empty();
            match self.sender.run(group, resend).await {
                Ok(more) => replies.extend(more),
                // Nothing of this group was sent, and all of those before it.
                Err(error) if error.kind() == ErrorKind::Connect && !first => {
                    return Err(Error::new(ErrorKind::Io, error.context().to_owned()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(replies)
    }
}

impl Part<'_> {
    fn weight(&self) -> usize {
        match self {
            Part::Script(call) => call.key_count() * KEY + call.size(),
            Part::Command(cmd) | Part::Read(cmd) => weigh(cmd),
        }
    }
}

/// What a command weighs, all of whose arguments but a few may be keys.
fn weigh(cmd: &Cmd) -> usize {
    const FEW: usize = 4;
    let args = cmd.args_iter();
    let keys = args.len().saturating_sub(FEW).max(1);
    let size: usize = args
        .map(|arg| match arg {
            Arg::Simple(bytes) => bytes.len(),
            _ => 0,
        })
        .sum();
    keys * KEY + size
}
