//! Documents of processes: each under a key of its own, all of a namespace named in a sorted set by when they were published. The
//! keys are in one slot of a cluster. Keys of entries never begin with a brace, so nothing here is taken for one.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::send::Resend;
use super::single::Single;
use super::wire::{Packed, Reply};
use super::{failure, reply};
use crate::ground::clock::Timestamp;
use crate::ground::error::Result;
use crate::observe::report::MOST_BYTES;
use crate::store::documents::{Documents, MOST_NAMES};

/// The most documents that are read.
const MOST: usize = 1_000;
/// How many are read in one round trip.
const CHUNK: usize = 16;
/// How long they are kept after the last one came, in milliseconds: as long as a version may live.
const LIFE_OF_NAMES: u64 = 31 * 24 * 60 * 60 * 1_000;
/// The last byte that is read of one: none of ours is as long, and whoever may write there may write anything.
const LAST: usize = 2 * MOST_BYTES;

#[async_trait]
impl Documents for Single {
    async fn publish(&self, namespace: &str, id: &str, document: Bytes, life: Duration) -> Result<()> {
        let (set, key) = keys(namespace, id);
        let (now, life) = (self.link().dialer.time.now().millis(), millis(life));
        let publish = |out: &mut Packed| {
            out.command(5).part("SET").part(&key).part(&document).part("PX").count(life);
            out.command(4).part("ZADD").part(&set).count(now).part(id);
            out.command(4).part("ZREMRANGEBYSCORE").part(&set).part("-inf").count(now.saturating_sub(life));
            out.command(3).part("PEXPIRE").part(&set).count(life.saturating_mul(2));
        };
        let replies = self.commands.sender.many(publish, Resend::Never).await?;
        replies.iter().try_for_each(reply::done)
    }

    async fn withdraw(&self, namespace: &str, id: &str) -> Result<()> {
        let (set, key) = keys(namespace, id);
        let withdraw = |out: &mut Packed| {
            out.command(2).part("UNLINK").part(&key);
            // Where nothing more is there, the set goes too. Its score is before every other.
            out.command(4).part("ZADD").part(&set).part("0").part(id);
            out.command(4).part("ZREMRANGEBYSCORE").part(&set).part("-inf").part("0");
        };
        let replies = self.commands.sender.many(withdraw, Resend::WhereBroken).await?;
        replies.iter().try_for_each(reply::done)
    }

    async fn published(&self, namespace: &str, life: Duration) -> Result<Vec<Bytes>> {
        let (set, _) = keys(namespace, "");
        let since = self.link().dialer.time.now().millis().saturating_sub(millis(life));
        let named = |out: &mut Packed| {
            out.command(7).part("ZRANGEBYSCORE").part(&set).count(since).part("+inf");
            out.part("LIMIT").part("0").count(MOST);
        };
        let ids = match self.commands.sender.one(named, Resend::WhereBroken).await? {
            Reply::Array(ids) => ids,
            Reply::Error(line) => return Err(failure::refused(&line)),
            _ => return Err(failure::unexpected()),
        };
        let ids = ids.into_iter().filter_map(|id| reply::string(id).ok().flatten());
        let keys: Vec<String> = ids.map(|id| keys(namespace, &String::from_utf8_lossy(&id)).1).collect();
        let mut documents = Vec::new();
        for keys in keys.chunks(CHUNK) {
            let read = |out: &mut Packed| {
                for key in keys {
                    out.command(4).part("GETRANGE").part(key).part("0").count(LAST);
                }
            };
            for document in self.commands.sender.many(read, Resend::WhereBroken).await? {
                // What is no document is none of this process, and hides nobody else's.
                let is_foreign = matches!(&document, Reply::Error(line) if line.starts_with(b"WRONGTYPE"));
                if !is_foreign {
                    documents.extend(reply::string(document)?.filter(|document| !document.is_empty()));
                }
            }
        }
        Ok(documents)
    }

    async fn describe(&self, namespace: &str, id: &str, document: Bytes, life: Duration) -> Result<()> {
        let (key, life) = (shape_key(namespace, id), millis(life));
        let keep = |out: &mut Packed| {
            out.command(5).part("SET").part(&key).part(&document).part("PX").count(life);
        };
        reply::done(&self.commands.sender.one(keep, Resend::WhereBroken).await?)
    }

    async fn described(&self, namespace: &str, id: &str) -> Result<Option<Bytes>> {
        let key = shape_key(namespace, id);
        let read = |out: &mut Packed| {
            out.command(4).part("GETRANGE").part(&key).part("0").count(LAST);
        };
        let document = reply::string(self.commands.sender.one(read, Resend::WhereBroken).await?)?;
        Ok(document.filter(|document| !document.is_empty()))
    }

    async fn name_tags(&self, namespace: &str, names: &[String], most: usize) -> Result<()> {
        let (key, now) = (names_key(namespace), self.link().dialer.time.now().millis());
        let keep = |out: &mut Packed| {
            for names in names.chunks(CHUNK) {
                out.command(2 + 2 * names.len()).part("ZADD").part(&key);
                for name in names {
                    out.count(now).part(name);
                }
            }
            // By rank, the oldest first: those before the last `most`.
            let last = i64::try_from(most).unwrap_or(i64::MAX).saturating_neg().saturating_sub(1);
            out.command(4).part("ZREMRANGEBYRANK").part(&key).part("0").count(last);
            out.command(3).part("PEXPIRE").part(&key).count(LIFE_OF_NAMES);
        };
        let replies = self.commands.sender.many(keep, Resend::WhereBroken).await?;
        replies.iter().try_for_each(reply::done)
    }

    async fn tag_names(&self, namespace: &str) -> Result<Vec<Bytes>> {
        let key = names_key(namespace);
        let mut all = Vec::new();
        loop {
            let read = |out: &mut Packed| {
                out.command(7).part("ZRANGEBYSCORE").part(&key).part("-inf").part("+inf");
                out.part("LIMIT").count(all.len()).count(MOST);
            };
            let names = match self.commands.sender.one(read, Resend::WhereBroken).await? {
                Reply::Array(names) => names,
                Reply::Error(line) => return Err(failure::refused(&line)),
                _ => return Err(failure::unexpected()),
            };
            let is_last = names.len() < MOST;
            all.extend(names.into_iter().filter_map(|name| reply::string(name).ok().flatten()));
            if is_last || all.len() >= MOST_NAMES {
                return Ok(all);
            }
        }
    }

    async fn log(&self, namespace: &str, line: Bytes, most: usize) -> Result<()> {
        let log = log_key(namespace);
        let add = |out: &mut Packed| {
            out.command(7)
                .part("XADD")
                .part(&log)
                .part("MAXLEN")
                .count(most)
                .part("*")
                .part("line")
                .part(&line);
        };
        // Sent again, it would be there twice.
        reply::done(&self.commands.sender.one(add, Resend::Never).await?)
    }

    async fn logged(&self, namespace: &str, most: usize) -> Result<Vec<(Timestamp, Bytes)>> {
        let log = log_key(namespace);
        let read = |out: &mut Packed| {
            out.command(6).part("XREVRANGE").part(&log).part("+").part("-").part("COUNT").count(most);
        };
        match self.commands.sender.one(read, Resend::WhereBroken).await? {
            Reply::Array(entries) => Ok(entries.into_iter().filter_map(logged).collect()),
            Reply::Error(line) => Err(failure::refused(&line)),
            _ => Err(failure::unexpected()),
        }
    }
}

/// An entry of the log, `[1700000000000-0, [line, …]]`; `None` where it is none of ours.
fn logged(entry: Reply) -> Option<(Timestamp, Bytes)> {
    let Reply::Array(parts) = entry else { return None };
    let [Reply::Bytes(id), Reply::Array(fields)] = &parts[..] else { return None };
    let [.., Reply::Bytes(line)] = &fields[..] else { return None };
    let millis = std::str::from_utf8(id).ok()?.split('-').next()?.parse().ok()?;
    Some((Timestamp(millis), line.clone()))
}

/// The set of a namespace, and the key of one process.
pub(super) fn keys(namespace: &str, id: &str) -> (String, String) {
    let set = format!("{{{namespace}:report}}");
    let key = format!("{set}:{id}");
    (set, key)
}

/// The description of a schema, beside the reports.
fn shape_key(namespace: &str, id: &str) -> String {
    format!("{{{namespace}:report}}:shape:{id}")
}

/// The names of tags, beside the reports.
fn names_key(namespace: &str) -> String {
    format!("{{{namespace}:report}}:tags")
}

/// The log of a namespace.
pub(super) fn log_key(namespace: &str) -> String {
    format!("{{{namespace}:log}}")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
