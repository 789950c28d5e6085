//! Requests of any size: commands in as many goes as their size asks for, one after the other.
//!
//! Each has a deadline of its own, and what others send gets in between: a server carries out in one go what comes in one.

use super::commands::Commands;
use super::part::Part;
use super::send::Resend;
use super::wire::Reply;
use crate::ground::chunks::{MOST_BYTES, chunks};
use crate::ground::error::{Error, ErrorKind, Result};

impl Commands {
    /// Sends these, scripts by their hash; gives a reply for each.
    pub(super) async fn run(&self, mut parts: Vec<Part<'_>>, resend: Resend) -> Result<Vec<Reply>> {
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
