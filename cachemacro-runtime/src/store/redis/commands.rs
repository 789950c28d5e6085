//! One round trip each: what is sent for every operation of the store.

use std::time::Duration;

use super::dial::Look;
use super::families::Families;
use super::lives::Lives;
use super::part::{Part, Plain};
use super::script;
use super::send::{Resend, Sender};
use super::wire::{Packed, Reply};
use super::{failure, reply, server};
use crate::format::companion::companion;
use crate::format::header::FIXED;
use crate::format::ids::Token;
use crate::format::stamps::VersionKey;
use crate::ground::clock::NEVER;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::messages::about::ServerFigures;
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::increment::{Increment, IncrementOutcome, OtherStamps};
use crate::store::messages::lease::{HeldLease, Keep};
use crate::store::messages::write::{Guard, OnRefusal, Write, Written};

/// How many keys one script removes.
const EVICT_CHUNK: usize = 500;
/// An entry of so many bytes does not go through a script.
const LARGE: usize = 16 << 10;
/// How long bytes lie beside their entry at most, where nobody comes to move them.
const LAID: Duration = Duration::from_secs(10);

/// The store's operations over its connections.
#[derive(Debug)]
pub(super) struct Commands {
    pub(super) sender: Sender,
    /// What evicts wait for.
    replicas: Option<Replicas>,
    /// What is known of how large entries are.
    pub(super) families: Families,
    /// What is known of how long versions live.
    pub(super) lives: Lives,
}

/// How many replicas have to have an evict, and the connection on which that is waited for: nobody else waits behind it.
#[derive(Debug)]
pub(super) struct Replicas {
    pub(super) count: usize,
    pub(super) sender: Sender,
}

impl Replicas {
    /// Sends an evict, and waits for them.
    async fn run(&self, part: Part<'_>) -> Result<Reply> {
        // Less than the answer may take.
        let patience = millis(self.sender.command_timeout / 2);
        // Once more, too, where the script was not known.
        let wait = Part::Read(Plain::wait(self.count, patience));
        let mut replies = self.sender.run(vec![part, wait], Resend::UntilDone).await?;
        let have_it = replies.pop().ok_or_else(failure::unexpected)?;
        self.enough(&have_it)?;
        replies.pop().ok_or_else(failure::unexpected)
    }

    /// Whether as many replicas have it.
    pub(super) fn enough(&self, have_it: &Reply) -> Result<()> {
        let have_it = usize::try_from(reply::integer(have_it)?).unwrap_or(0);
        if have_it >= self.count {
            return Ok(());
        }
        let text = format!("{have_it} replicas have the evict, of {}", self.count);
        Err(Error::new(ErrorKind::Refused, text))
    }

    /// Writes the command by which that is waited for.
    #[cfg(feature = "cluster")]
    pub(super) fn write_wait(&self, out: &mut Packed) {
        out.command(3).part("WAIT").count(self.count).count(millis(self.sender.command_timeout / 2));
    }

    /// The command by which that is waited for.
    pub(super) fn wait(&self) -> redis::Cmd {
        let mut wait = redis::cmd("WAIT");
        wait.arg(self.count).arg(millis(self.sender.command_timeout / 2));
        wait
    }
}

impl Commands {
    pub(super) fn new(sender: Sender, replicas: Option<Replicas>) -> Self {
        Self { sender, replicas, families: Families::default(), lives: Lives::default() }
    }

    /// The same for keys of a slot that the server is only about to serve.
    #[cfg(feature = "cluster")]
    pub(super) fn asking(&self) -> Self {
        let replicas = self.replicas.as_ref();
        let replicas =
            replicas.map(|replicas| Replicas { count: replicas.count, sender: replicas.sender.asking() });
        Self::new(self.sender.asking(), replicas)
    }

    /// What evicts wait for.
    pub(super) const fn replicas(&self) -> Option<&Replicas> {
        self.replicas.as_ref()
    }

    pub(super) async fn keep(&self, leases: &[HeldLease<'_>], how: Keep) -> Result<Vec<bool>> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let tell = self.tell();
        let parts = leases.iter().map(|lease| {
            let token = lease.token.to_bytes();
            Part::Script(match how {
                Keep::Renew(live) => script::RENEW.call(lease.key).id(token).number(millis(live)),
                Keep::Release => script::RELEASE.call(lease.key).id(token).number(tell),
            })
        });
        let replies = self.run(parts.collect(), Resend::WhereBroken).await?;
        replies.into_iter().map(reply::verdict).collect()
    }

    pub(super) async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let tell = self.tell();
        // On its way to another node, an entry may be there and what lies beside it here.
        let lays = !self.sender.keys.are_moving();
        let laid: Vec<Option<String>> =
            writes.iter().map(|write| laid_beside(write).filter(|_| lays)).collect();
        let mut parts = Vec::with_capacity(writes.len() + 1);
        for (one, beside) in writes.iter().zip(&laid) {
            if let Some(beside) = beside {
                parts.push(Part::Command(Plain::set(beside, &one.bytes, millis(LAID))));
            }
            parts.push(write(one, beside.as_deref(), tell));
        }
        // The versions come after the last write in the pipeline, so they are read after all were stored.
        let checked: usize = writes.iter().map(|write| write.check.len()).sum();
        if checked > 0 {
            let keys = writes.iter().flat_map(|write| write.check).map(|key| key.text.as_str());
            parts.push(Part::Read(Plain::on_keys("MGET", keys)));
        }
        let mut replies = self.run(parts, Resend::Never).await?;
        let mut versions = match checked {
            0 => Vec::new(),
            _ => reply::versions(replies.pop().ok_or_else(failure::unexpected)?, checked)?,
        }
        .into_iter();
        let mut replies = replies.into_iter();
        writes
            .iter()
            .zip(&laid)
            .map(|(write, beside)| {
                let mut next = || replies.next().ok_or_else(failure::unexpected);
                if beside.is_some() {
                    reply::done(&next()?)?;
                }
                let value = next()?;
                let accepted = match write.guard {
                    Guard::Always => reply::done(&value).map(|()| true)?,
                    Guard::Lease(_) | Guard::Seen(_) | Guard::Unchanged { .. } => reply::verdict(value)?,
                };
                Ok(Written::new(accepted, versions.by_ref().take(write.check.len()).collect()))
            })
            .collect()
    }

    pub(super) async fn increment(&self, increment: &Increment<'_>) -> Result<IncrementOutcome> {
        if increment.fresh.len() < FIXED {
            return Err(Error::new(ErrorKind::Encode, "a new decimal entry needs a whole header"));
        }
        let call = script::INCREMENT
            .call(increment.key)
            .number(increment.by)
            .bytes(increment.fresh.as_ref())
            .number(millis(increment.life));
        let call = match increment.others {
            OtherStamps::Unknown => call,
            OtherStamps::Valid(stamps) => call.bytes(&b"V"[..]).bytes(stamps),
            OtherStamps::Outdated(stamps) => call.bytes(&b"O"[..]).bytes(stamps),
        };
        reply::increment(self.sender.call(call, Resend::Never).await?)?.ok_or_else(|| {
            Error::new(ErrorKind::WrongType, "no decimal number, or the sum does not fit an i64")
        })
    }

    pub(super) async fn evict(&self, request: EvictRequest<'_>) -> Result<Vec<bool>> {
        if request.keys.is_empty() && request.tags.is_empty() {
            return Ok(Vec::new());
        }
        // Tags first: what is cut off behind them covers least. Not by the script, whose keys may lie in other slots.
        let unlinks = request.tags.chunks(EVICT_CHUNK).map(|tags| {
            let keys = tags.iter().flat_map(|tag| [tag.tag.text.as_str(), tag.any.text.as_str()]);
            Part::Command(Plain::on_keys("UNLINK", keys))
        });
        let mut parts: Vec<_> = unlinks.collect();
        let unlinks = parts.len();
        let chunks = || request.keys.chunks(EVICT_CHUNK);
        parts.extend(chunks().map(|keys| Part::Script(script::EVICT.call_many(keys.iter().copied()))));
        let replies = match &self.replicas {
            None => self.run(parts, Resend::UntilDone).await?,
            Some(replicas) => {
                let mut replies = Vec::with_capacity(parts.len());
                for part in parts {
                    replies.push(replicas.run(part).await?);
                }
                replies
            }
        };
        let mut replies = replies.into_iter();
        for unlinked in replies.by_ref().take(unlinks) {
            reply::done(&unlinked)?;
        }
        let mut existed = Vec::with_capacity(request.keys.len());
        for (value, keys) in replies.zip(chunks()) {
            existed.extend(reply::evicted(value, keys.len())?);
        }
        Ok(existed)
    }

    /// Looks what kind of server it is.
    pub(super) async fn look(&self, look: Look<'_>) -> Result<()> {
        look.found(&self.sender.many(server::ask, Resend::WhereBroken).await?);
        Ok(())
    }

    /// Whether scripts that decide without the server's time are to tell it all the same: 1 or 0.
    fn tell(&self) -> u8 {
        u8::from(self.sender.link.dialer.time.is_to_be_told())
    }

    /// The server's name and version, and its figures, where it may be asked.
    pub(super) async fn server(&self) -> Result<(Option<String>, Option<ServerFigures>)> {
        let all = |out: &mut Packed| {
            out.command(1).part("PING");
            for section in SECTIONS {
                out.command(2).part("INFO").part(section);
            }
        };
        let replies = self.sender.many(all, Resend::WhereBroken).await?;
        reply::done(replies.first().ok_or_else(failure::unexpected)?)?;
        let told: String = replies.iter().skip(1).filter_map(text).collect();
        let figures = (!told.is_empty()).then(|| ServerFigures::from_info(&told));
        Ok((server_name(&told), figures))
    }

    /// All that the server says of itself.
    pub(super) async fn info(&self) -> Result<String> {
        let reply = self
            .sender
            .one(
                |out| {
                    out.command(1).part("INFO");
                },
                Resend::WhereBroken,
            )
            .await?;
        reply::done(&reply)?;
        Ok(text(&reply).unwrap_or_default().to_owned())
    }
}

/// What health asks for. Several in one command need a newer server than the oldest that is supported.
const SECTIONS: [&str; 4] = ["server", "memory", "stats", "replication"];

fn text(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

pub(super) fn add_keys(out: &mut Packed, versions: &[VersionKey]) {
    for version in versions {
        out.part(&version.text);
    }
}

/// Where the bytes of a large write are laid before a script moves them: they do not go through the script, which takes a server a
/// hundred times as long where they are many.
fn laid_beside(write: &Write<'_>) -> Option<String> {
    let is_laid = write.bytes.len() >= LARGE && !matches!(write.guard, Guard::Always);
    // A name of its own, in a fork too: what another writer laid may be older than what the guard of this one admits (G1).
    is_laid.then(|| companion(write.key, 'f', Token::random().get()))
}

fn write<'a>(write: &'a Write<'_>, beside: Option<&'a str>, tell: u8) -> Part<'a> {
    let (call, id) = match write.guard {
        Guard::Always => {
            return Part::Command(Plain::set(write.key, &write.bytes, millis(write.life)));
        }
        Guard::Lease(token) => (script::FILL.call(write.key), token.to_bytes()),
        Guard::Seen(fill_id) => (script::CAS.call(write.key), fill_id.to_bytes()),
        Guard::Unchanged { seen, .. } => (script::REFILL.call(write.key), seen.to_bytes()),
    };
    let unlink = u8::from(write.on_refusal == OnRefusal::Unlink);
    let bytes = if beside.is_some() { &[] } else { write.bytes.as_ref() };
    let call = call.keys(beside).id(id).bytes(bytes).number(millis(write.life)).number(unlink);
    // The last call of a process leaves its value. A load's, which the guard keeps from doing harm whenever it comes.
    let call = if write.on_refusal == OnRefusal::Leave { call.outliving() } else { call };
    Part::Script(match write.guard {
        Guard::Unchanged { token, .. } => call.number(tell).id(token.to_bytes()),
        Guard::Lease(_) => call.number(tell),
        _ => call,
    })
}

/// A life as the server takes it: at least a millisecond, and at most what does not overflow its clock.
pub(super) fn millis(life: Duration) -> u64 {
    u64::try_from(life.min(NEVER).as_millis()).unwrap_or(u64::MAX).max(1)
}

fn server_name(text: &str) -> Option<String> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    match field("valkey_version") {
        Some(version) => Some(format!("valkey {version}")),
        None => field("redis_version").map(|version| format!("redis {version}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_stay_within_what_a_server_takes() {
        assert_eq!(millis(Duration::ZERO), 1);
        assert_eq!(millis(Duration::from_micros(1_999)), 1);
        assert_eq!(millis(Duration::MAX), millis(NEVER));
    }

    #[test]
    fn the_servers_name_is_found_in_its_info() {
        assert_eq!(server_name("# Server\r\nredis_version:7.0.15\r\n").as_deref(), Some("redis 7.0.15"));
        let valkey = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n";
        assert_eq!(server_name(valkey).as_deref(), Some("valkey 8.0.1"));
        assert_eq!(server_name(""), None);
    }
}
