//! What goes through many keys, in steps on a pooled connection; and looking at one key as it is.

use std::time::{Duration, Instant};

use bytes::Bytes;
use deadpool::managed::Object;
use redis::Cmd;
use tokio::time::{sleep, timeout};

use super::commands::Replicas;
use super::pool::Pooling;
#[cfg(feature = "cluster")]
use super::redirect::Redirect;
use super::refusal::{Fate, Next, Refusal};
#[cfg(feature = "cluster")]
use super::send::Keys;
use super::send::{Resend, Sender};
use super::wire::{Packed, Reply};
use super::{failure, reply};
use crate::ground::error::{Error, Result};
use crate::store::messages::inspect::{Cursor, Page, Raw};

/// About how many keys one step of a scan looks at: well below a millisecond of the server's time.
const SCAN_STEP: usize = 1_000;
/// About how many keys one step looks at for those who only look.
const LOOK_STEP: usize = 100;
/// How many keys one UNLINK names.
const UNLINK_CHUNK: usize = 500;
/// How often a removal begins again where its connection failed.
const MOST_BEGINNINGS: u32 = 10;
/// The pause before that.
const PAUSE: Duration = Duration::from_millis(20);
/// Where the server's scans begin and end.
const START: &[u8] = b"0";

/// Removes every key that begins with `prefix`, and tells how many.
pub(super) async fn evict_prefix(sender: &Sender, replicas: Option<&Replicas>, prefix: &str) -> Result<u64> {
    let mut sweep = Sweep { sender, replicas, prefix, removed: 0, deadline: sender.deadline() };
    sender.link.dialer.background.enter(sweep.run()).await??;
    Ok(sweep.removed)
}

/// The removal of everything under a prefix. Every answer gives the next step its deadline.
struct Sweep<'a> {
    sender: &'a Sender,
    replicas: Option<&'a Replicas>,
    prefix: &'a str,
    removed: u64,
    deadline: Instant,
}

impl Sweep<'_> {
    async fn run(&mut self) -> Result<()> {
        for _ in 0..MOST_BEGINNINGS {
            match self.once().await {
                Err(failed) if failed.may_pass && Instant::now() < self.deadline => sleep(PAUSE).await,
                result => return result.map_err(|failed| failed.error),
            }
        }
        self.once().await.map_err(|failed| failed.error)
    }

    /// From the beginning to the end on one connection. G1: a cursor is good for its server only, and another connection may lead
    /// to another one, so there it begins again.
    async fn once(&mut self) -> Result<(), Failed> {
        let checkout = self.sender.link.pooled.checkout(self.deadline).await;
        let mut connection = Lent::new(checkout.map_err(Failed::later)?);
        let mut cursor = START.to_vec();
        loop {
            let (keys, next) = step(self.sender, &mut connection, self.prefix, &cursor, SCAN_STEP).await?;
            self.deadline = self.sender.deadline();
            for chunk in keys.chunks(UNLINK_CHUNK) {
                #[cfg(feature = "cluster")]
                if self.sender.keys != Keys::Any {
                    self.removed += unlink_each(self.sender, self.replicas, chunk).await?;
                    self.deadline = self.sender.deadline();
                    continue;
                }
                let mut unlink = redis::cmd("UNLINK");
                for key in chunk {
                    unlink.arg(key.as_ref());
                }
                let count = connection.ask(self.sender, &unlink).await?;
                self.removed += u64::try_from(reply::integer(&count)?).unwrap_or(0);
                self.deadline = self.sender.deadline();
            }
            if next == START {
                if let Some(replicas) = self.replicas {
                    replicas.enough(&connection.ask(self.sender, &replicas.wait()).await?)?;
                }
                return Ok(());
            }
            cursor = next;
        }
    }
}

/// Removes keys of several slots on a node of a cluster, and tells how many there were. Those that are on their way to another node are
/// left: the caller looks whether any were.
#[cfg(feature = "cluster")]
async fn unlink_each(sender: &Sender, replicas: Option<&Replicas>, keys: &[Bytes]) -> Result<u64, Failed> {
    let each = |out: &mut Packed| {
        for key in keys {
            out.command(2).part("UNLINK").part(key);
        }
        if let Some(replicas) = replicas {
            replicas.write_wait(out);
        }
    };
    let sender = replicas.map_or(sender, |replicas| &replicas.sender);
    let mut replies = sender.many(each, Resend::UntilDone).await.map_err(Failed::later)?;
    if let Some(replicas) = replicas {
        replicas.enough(&replies.pop().ok_or_else(failure::unexpected)?)?;
    }
    let mut removed = 0;
    for answer in &replies {
        match answer {
            Reply::Error(line) if Redirect::of(line).is_some() => {}
            answer => removed += u64::try_from(reply::integer(answer)?).unwrap_or(0),
        }
    }
    Ok(removed)
}

/// Why a step failed, and whether another connection may do better.
struct Failed {
    error: Error,
    may_pass: bool,
}

impl Failed {
    const fn later(error: Error) -> Self {
        Self { error, may_pass: true }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, may_pass: false }
    }
}

/// A connection of the pool. One that failed does not go back.
struct Lent {
    connection: Option<Pooling>,
    since: Instant,
}

impl Lent {
    fn new(connection: Pooling) -> Self {
        Self { connection: Some(connection), since: Instant::now() }
    }

    async fn ask(&mut self, sender: &Sender, cmd: &Cmd) -> Result<Reply, Failed> {
        let Self { connection: Some(connection), since } = self else {
            return Err(failure::unexpected().into());
        };
        let error = match timeout(sender.command_timeout, connection.ask(cmd)).await {
            Ok(Ok(reply)) => match Reply::from(reply) {
                Reply::Error(line) => {
                    let (refusal, error) = (Refusal::of(&line), failure::refused(&line));
                    sender.link.dialer.lacks(Refusal::lacking(&line));
                    if refusal.connection == Fate::Kept {
                        return Err(Failed { error, may_pass: refusal.request != Next::Never });
                    }
                    if refusal.connection == Fate::AllReplaced {
                        sender.link.dialer.outdate(sender.link.dialer.mark(*since));
                    }
                    error
                }
                reply => return Ok(reply),
            },
            Ok(Err(error)) => failure::failed(&error),
            Err(_) => failure::timed_out(sender.command_timeout),
        };
        self.connection.take().map(Object::take);
        Err(Failed::later(error))
    }
}

/// One step of a scan.
pub(super) async fn scan(sender: &Sender, prefix: &str, cursor: &Cursor) -> Result<Page> {
    let scan = async {
        let mut connection = Lent::new(sender.link.pooled.checkout(Instant::now()).await?);
        let cursor = if cursor.bytes.is_empty() { START } else { &cursor.bytes };
        let step = step(sender, &mut connection, prefix, cursor, LOOK_STEP).await;
        let (keys, next) = step.map_err(|failed| failed.error)?;
        let next = (next != START).then(|| Cursor::new(next));
        Ok(Page::new(keys, next))
    };
    sender.link.dialer.background.enter(scan).await?
}

/// What is under one key.
pub(super) async fn raw(sender: &Sender, key: &[u8]) -> Result<Option<Raw>> {
    let both = |out: &mut Packed| {
        untouched(out, "ON");
        out.command(2).part("GET").part(key);
        out.command(2).part("PTTL").part(key);
        untouched(out, "OFF");
    };
    let mut replies = sender.many(both, Resend::WhereBroken).await?.into_iter().skip(1);
    let bytes = reply::string(replies.next().ok_or_else(failure::unexpected)?)?;
    let left = left(&replies.next().ok_or_else(failure::unexpected)?)?;
    Ok(bytes.map(|bytes| Raw::new(bytes, left)))
}

/// What begins what is under each key. Of what is no string there is none.
pub(super) async fn heads(
    sender: &Sender,
    keys: &[&[u8]],
    first: usize,
) -> Result<Vec<Option<(Raw, usize)>>> {
    let all = |out: &mut Packed| {
        untouched(out, "ON");
        for key in keys {
            out.command(4).part("GETRANGE").part(key).part("0").count(first.saturating_sub(1));
            out.command(2).part("STRLEN").part(key);
            out.command(2).part("PTTL").part(key);
        }
        untouched(out, "OFF");
    };
    let mut replies = sender.many(all, Resend::WhereBroken).await?.into_iter().skip(1);
    let mut heads = Vec::with_capacity(keys.len());
    for _ in keys {
        let three: [Option<Reply>; 3] = std::array::from_fn(|_| replies.next());
        let [Some(bytes), Some(length), Some(left_reply)] = three else { return Err(failure::unexpected()) };
        if matches!(&bytes, Reply::Error(line) if line.starts_with(b"WRONGTYPE")) {
            heads.push(None);
            continue;
        }
        let bytes = reply::string(bytes)?.unwrap_or_default();
        let length = usize::try_from(reply::integer(&length)?).unwrap_or_default();
        heads.push((length > 0).then_some((Raw::new(bytes, left(&left_reply)?), length)));
    }
    Ok(heads)
}

/// Whether the server does as [`untouched`] says.
pub(super) async fn leaves_use_alone(sender: &Sender) -> Result<bool> {
    let both = |out: &mut Packed| {
        untouched(out, "ON");
        untouched(out, "OFF");
    };
    let replies = sender.many(both, Resend::WhereBroken).await?;
    Ok(matches!(replies.first(), Some(Reply::Status(_))))
}

/// Whether the commands from here on leave alone what the server knows of when keys were used: a look must not keep alive what
/// nobody else wants. A server before Redis 7.2 refuses, and so may rights: nothing depends on it.
fn untouched(out: &mut Packed, on: &str) {
    out.command(3).part("CLIENT").part("NO-TOUCH").part(on);
}

/// How long a key has left; `None` where it does not expire, or went meanwhile.
fn left(reply: &Reply) -> Result<Option<Duration>> {
    Ok(u64::try_from(reply::integer(reply)?).ok().map(Duration::from_millis))
}

/// The keys that one SCAN tells, and its cursor.
async fn step(
    sender: &Sender,
    connection: &mut Lent,
    prefix: &str,
    cursor: &[u8],
    count: usize,
) -> Result<(Vec<Bytes>, Vec<u8>), Failed> {
    let mut scan = redis::cmd("SCAN");
    scan.arg(cursor).arg("MATCH").arg(pattern(prefix)).arg("COUNT").arg(count);
    let step = connection.ask(sender, &scan).await?;
    let mut step = reply::array(step, 2)?;
    let (Some(Reply::Array(keys)), Some(Reply::Bytes(next))) = (step.pop(), step.pop()) else {
        return Err(failure::unexpected().into());
    };
    let key = |value| match value {
        Reply::Bytes(key) => Ok(key),
        _ => Err(failure::unexpected()),
    };
    Ok((keys.into_iter().map(key).collect::<Result<_>>()?, next.into()))
}

/// A glob pattern of what begins with `prefix`, in which everything is taken literally.
fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for char in prefix.chars() {
        if matches!(char, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern.push('*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glob_characters_in_a_prefix_are_literal() {
        assert_eq!(pattern("a*b?[c]\\d-^:é"), "a\\*b\\?\\[c\\]\\\\d\\-\\^:é*");
    }
}
