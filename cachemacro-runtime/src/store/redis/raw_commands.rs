//! Commands that are none of the cache's own.

use async_trait::async_trait;
use bytes::Bytes;

use super::failure;
use super::send::{Resend, Sender};
use super::single::Single;
use super::wire::{Packed, Reply};
use crate::ground::error::Result;
use crate::store::raw_commands::{Answer, RawCommands};

#[async_trait]
impl RawCommands for Single {
    async fn send(&self, _key: &str, commands: &[Vec<Bytes>], again: bool) -> Result<Vec<Answer>> {
        send(&self.commands.sender, commands, again).await
    }
}

pub(super) async fn send(sender: &Sender, commands: &[Vec<Bytes>], again: bool) -> Result<Vec<Answer>> {
    let write = |out: &mut Packed| {
        for parts in commands {
            out.command(parts.len());
            for part in parts {
                out.part(part);
            }
        }
    };
    let resend = if again { Resend::WhereBroken } else { Resend::Never };
    let replies = sender.many(write, resend).await?;
    if replies.len() != commands.len() {
        return Err(failure::unexpected());
    }
    replies.into_iter().map(answer).collect()
}

fn answer(reply: Reply) -> Result<Answer> {
    Ok(match reply {
        Reply::Nil => Answer::Nil,
        Reply::Int(number) => Answer::Number(number),
        Reply::Status(text) | Reply::Bytes(text) => Answer::Text(text),
        Reply::Array(replies) => Answer::List(replies.into_iter().map(answer).collect::<Result<_>>()?),
        Reply::Error(line) if line.starts_with(b"WRONGTYPE") => Answer::WrongType,
        Reply::Error(line) => return Err(failure::refused(&line)),
    })
}
