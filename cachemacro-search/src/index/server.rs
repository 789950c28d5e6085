//! An index on Redis 6.2+ or Valkey.
//!
//! | key | holds |
//! |---|---|
//! | `{SPACE:KEY}:LENGTH:d` | the document, in the slot of the entry with that key, with a life of its own; LENGTH is the space's in bytes, which tells where the key begins |
//! | `{SPACE}:k` | a sorted set of the keys that have documents, by when they end |
//! | `{SPACE}:s` | a stream of the keys that changed, bounded |
//!
//! Keys of entries never begin with a brace. A key that holds something else is read as if it were empty, and is written over.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro::store::Answer;
use cachemacro::{Error, ErrorKind, Result};
use futures_util::future::try_join_all;
use tokio::time::timeout;

use super::contract::{Changes, Index, Laid, Page, Place};
use crate::document::Document;

/// The most changes that are kept of a space.
const MOST_CHANGES: usize = 100_000;
/// How long a request may take.
const DEADLINE: Duration = Duration::from_secs(1);
/// The longest life, in milliseconds: ten years.
const LONGEST: u64 = 10 * 365 * 24 * 3600 * 1000;
/// So many documents are read at once.
const PAGE: usize = 200;

/// Notes a change. KEYS: the set, the stream. ARGV: the key, its life or 0 where it is gone, how many changes are kept, and 1 where a document was
/// laid or removed. Without one, only what the set still has is told as gone: the note of an earlier removal failed.
const NOTE: &str = r"
for i, wanted in ipairs({'zset', 'stream'}) do
  local is = redis.call('TYPE', KEYS[i]).ok
  if is ~= wanted and is ~= 'none' then redis.call('UNLINK', KEYS[i]) end
end
local time = redis.call('TIME')
local now, life = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if life > 0 then
  redis.call('ZADD', KEYS[1], now + life, ARGV[1])
else
  local had = redis.call('ZREM', KEYS[1], ARGV[1])
  if had == 0 and ARGV[4] == '0' then return 0 end
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'k', ARGV[1])
for i = 1, 2 do
  if redis.call('PTTL', KEYS[i]) < life + 60000 then redis.call('PEXPIRE', KEYS[i], life + 3600000) end
end
return 1";

/// The id of the last change, one that says nothing where there was none. KEYS: the stream.
const LAST: &str = r"
local is = redis.call('TYPE', KEYS[1]).ok
if is ~= 'stream' and is ~= 'none' then redis.call('UNLINK', KEYS[1]) end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if #last > 0 then return last[1][1] end
local id = redis.call('XADD', KEYS[1], '*', 'm', '')
redis.call('PEXPIRE', KEYS[1], 3600000)
return id";

/// What takes commands to the server.
#[async_trait]
pub(super) trait Link: Send + Sync {
    /// Sends one command, which is about keys in the slot of `key`. One that is to be sent `again` may be sent twice.
    async fn send(&self, key: &str, command: Vec<Bytes>, again: bool) -> Result<Answer>;
}

/// An index on a server.
#[derive(Clone)]
pub(super) struct ServerIndex<L> {
    pub(super) link: L,
    pub(super) most_changes: usize,
    pub(super) deadline: Duration,
}

impl<L> ServerIndex<L> {
    pub(super) const fn new(link: L) -> Self {
        Self { link, most_changes: MOST_CHANGES, deadline: DEADLINE }
    }
}

impl<L> fmt::Debug for ServerIndex<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ServerIndex");
        shown.field("changes", &self.most_changes).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// An [`Index`] that is the one on a server in its field `index`: the head of its impl, which stands where a reader looks for it.
macro_rules! on_server {
    (impl $(<$generic:ident: $first:ident $(+ $bound:ident)*>)? Index for $of:ty {}) => {
        #[async_trait::async_trait]
        impl $(<$generic: $first $(+ $bound)*>)? $crate::index::contract::Index for $of {
            async fn write(
                &self,
                space: &str,
                document: &$crate::document::Document,
                life: std::time::Duration,
            ) -> cachemacro::Result<()> {
                self.index.write(space, document, life).await
            }

            async fn remove(&self, space: &str, key: &str) -> cachemacro::Result<()> {
                self.index.remove(space, key).await
            }

            async fn place(&self, space: &str) -> cachemacro::Result<$crate::index::contract::Place> {
                self.index.place(space).await
            }

            async fn changes(
                &self,
                space: &str,
                since: &$crate::index::contract::Place,
                most: usize,
            ) -> cachemacro::Result<$crate::index::contract::Changes> {
                self.index.changes(space, since, most).await
            }

            async fn scan(
                &self,
                space: &str,
                from: Option<&$crate::index::contract::Place>,
            ) -> cachemacro::Result<$crate::index::contract::Page> {
                self.index.scan(space, from).await
            }
        }
    };
}

pub(super) use on_server;

/// A command of these parts.
macro_rules! command {
    ($($part:expr),+ $(,)?) => { vec![$(Bytes::from($part)),+] };
}

impl<L: Link> ServerIndex<L> {
    /// The answer to a command, in time.
    async fn answer(&self, key: &str, command: Vec<Bytes>, again: bool) -> Result<Answer> {
        match timeout(self.deadline, self.link.send(key, command, again)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(ErrorKind::Timeout, "the index did not answer in time")),
        }
    }

    /// Notes that a document changed, with its life in milliseconds; zero where it is gone. Where none was there, it is told if that was not noted yet.
    async fn note(&self, space: &str, key: &str, life: u64, was_there: bool) -> Result<()> {
        let set = set(space);
        let note = command![
            "EVAL",
            NOTE,
            "2",
            set.clone(),
            stream(space),
            key.to_owned(),
            life.to_string(),
            self.most_changes.to_string(),
            if was_there { "1" } else { "0" },
        ];
        self.answer(&set, note, true).await.map(drop)
    }

    /// What lies under these keys, of each no more than a document may have.
    async fn laid(&self, space: &str, keys: Vec<String>) -> Result<Vec<Laid>> {
        let reads = keys.iter().map(|key| {
            let lies_at = document_key(space, key);
            let read = command!["GETRANGE", lies_at.clone(), "0", Document::MOST_BYTES.to_string()];
            async move { self.link.send(&lies_at, read, true).await }
        });
        let found = match timeout(self.deadline, try_join_all(reads)).await {
            Ok(found) => found?,
            Err(_) => return Err(Error::new(ErrorKind::Timeout, "the index did not answer in time")),
        };
        let laid = keys.into_iter().zip(found).map(|(key, found)| match found {
            Answer::Text(bytes) if bytes.is_empty() => Laid::new(key, None),
            Answer::Text(bytes) => Laid::new(key, Some(bytes)),
            // Something that is no string is no document.
            _ => Laid::new(key, Some(Bytes::new())),
        });
        Ok(laid.collect())
    }
}

#[async_trait]
impl<L: Link> Index for ServerIndex<L> {
    async fn write(&self, space: &str, document: &Document, life: Duration) -> Result<()> {
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX).clamp(1, LONGEST);
        let key = document_key(space, document.key());
        let lay = command!["SET", key.clone(), document.to_bytes(), "PX", life.to_string()];
        self.answer(&key, lay, true).await?;
        // Told once it lies there, so that whoever is told finds it.
        self.note(space, document.key(), life, true).await
    }

    async fn remove(&self, space: &str, key: &str) -> Result<()> {
        let lies_at = document_key(space, key);
        let gone = self.answer(&lies_at, command!["UNLINK", lies_at.clone()], true).await?;
        self.note(space, key, 0, gone != Answer::Number(0)).await
    }

    async fn place(&self, space: &str) -> Result<Place> {
        let stream = stream(space);
        match self.answer(&stream, command!["EVAL", LAST, "1", stream.clone()], true).await? {
            Answer::Text(id) if is_id(&id) => Ok(Place::new(String::from_utf8_lossy(&id))),
            _ => Err(strange()),
        }
    }

    async fn changes(&self, space: &str, since: &Place, most: usize) -> Result<Changes> {
        let most = most.max(1);
        if !is_id(since.as_str().as_bytes()) {
            return Err(Error::new(ErrorKind::Decode, "the place is none of this index"));
        }
        // With the change at that place, by whose absence a gap is seen.
        let (stream, first) = (stream(space), since.as_str().to_owned());
        let range =
            command!["XRANGE", stream.clone(), first, "+", "COUNT", most.saturating_add(1).to_string()];
        let told = match self.answer(&stream, range, true).await? {
            Answer::List(told) => {
                told.into_iter().map(change).collect::<Option<Vec<_>>>().ok_or_else(strange)?
            }
            Answer::WrongType | Answer::Nil => Vec::new(),
            _ => return Err(strange()),
        };
        let Some(((first, _), told)) = told.split_first() else { return Ok(Changes::Lost) };
        if *first != *since.as_str() {
            return Ok(Changes::Lost);
        }
        let next = told.last().map_or_else(|| since.clone(), |(id, _)| Place::new(id.as_str()));
        let mut keys: Vec<String> = told.iter().filter_map(|(_, key)| key.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        let is_all = told.len() < most;
        let mut laid = Vec::with_capacity(keys.len());
        for keys in keys.chunks(PAGE) {
            laid.extend(self.laid(space, keys.to_vec()).await?);
        }
        Ok(Changes::Told { laid, next, is_all })
    }

    async fn scan(&self, space: &str, from: Option<&Place>) -> Result<Page> {
        let cursor = from.map_or("0", Place::as_str);
        if !cursor.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::new(ErrorKind::Decode, "the place is none of this index"));
        }
        let set = set(space);
        let scan = command!["ZSCAN", set.clone(), cursor.to_owned(), "COUNT", PAGE.to_string()];
        let (next, found) = match self.answer(&set, scan, true).await? {
            Answer::List(scanned) => match <[Answer; 2]>::try_from(scanned) {
                Ok([Answer::Text(next), Answer::List(found)]) => (next, found),
                _ => return Err(strange()),
            },
            Answer::WrongType => return Ok(Page::new(Vec::new(), None)),
            _ => return Err(strange()),
        };
        // Keys and their scores, in turns.
        let keys: Vec<String> = found.into_iter().step_by(2).filter_map(a_key).collect();
        let mut laid = Vec::with_capacity(keys.len());
        for keys in keys.chunks(PAGE) {
            laid.extend(
                self.laid(space, keys.to_vec()).await?.into_iter().filter(|laid| laid.bytes.is_some()),
            );
        }
        let next = String::from_utf8_lossy(&next);
        Ok(Page::new(laid, (next != "0").then(|| Place::new(next))))
    }
}

/// A change, `[id, [k, key, …]]`: its id, and the key, where it is one of ours. `None` where it is none.
fn change(told: Answer) -> Option<(String, Option<String>)> {
    let Answer::List(told) = told else { return None };
    let [Answer::Text(id), Answer::List(fields)] = &told[..] else { return None };
    let key = match &fields[..] {
        [Answer::Text(name), key, ..] if &name[..] == b"k" => a_key(key.clone()),
        _ => None,
    };
    Some((String::from_utf8(id.to_vec()).ok()?, key))
}

/// A key that a document may have.
fn a_key(told: Answer) -> Option<String> {
    let Answer::Text(key) = told else { return None };
    String::from_utf8(key.to_vec()).ok().filter(|key| key.len() <= Document::MOST_KEY)
}

fn document_key(space: &str, key: &str) -> String {
    format!("{{{space}:{key}}}:{}:d", space.len())
}

fn set(space: &str) -> String {
    format!("{{{space}}}:k")
}

fn stream(space: &str) -> String {
    format!("{{{space}}}:s")
}

/// Whether this is a stream's id, `1700000000000-0`.
fn is_id(text: &[u8]) -> bool {
    let is_number =
        |text: &str| text.parse::<u64>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = str::from_utf8(text).ok().and_then(|text| text.split_once('-'));
    text.is_some_and(|(millis, number)| is_number(millis) && is_number(number))
}

fn strange() -> Error {
    Error::new(ErrorKind::Decode, "the server answered something else than was asked")
}
