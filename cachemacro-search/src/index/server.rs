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
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use cachemacro::{Error, ErrorKind, Result};
use futures_util::future::try_join_all;
use redis::aio::ConnectionLike;
use redis::{RedisError, RedisResult, Script, ServerErrorKind};

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

/// An index on a server, over a connection of [redis](https://docs.rs/redis): a `MultiplexedConnection`, or any other that can be cloned.
///
/// ```no_run
/// use cachemacro_search::{Follower, Mirror, RedisIndex};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = redis::Client::open("redis://127.0.0.1")?;
/// let index = RedisIndex::new(client.get_multiplexed_async_connection().await?);
/// let mut follower = Follower::new("shop:airport", Mirror::new());
/// follower.catch_up(&index).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisIndex<C> {
    connection: C,
    most_changes: usize,
    deadline: Duration,
}

impl<C> fmt::Debug for RedisIndex<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RedisIndex");
        shown.field("changes", &self.most_changes).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl<C> RedisIndex<C> {
    /// An index over this connection, which keeps the last 100,000 changes of each space, and whose requests take a second at most.
    ///
    /// ```no_run
    /// # async fn example(client: redis::Client) -> redis::RedisResult<()> {
    /// let index = cachemacro_search::RedisIndex::new(client.get_multiplexed_async_connection().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn new(connection: C) -> Self {
        Self { connection, most_changes: MOST_CHANGES, deadline: DEADLINE }
    }

    /// Keeps so many changes of each space, and up to a hundred more. Who misses more than that reads all documents.
    ///
    /// ```no_run
    /// # fn example(connection: redis::aio::MultiplexedConnection) {
    /// let index = cachemacro_search::RedisIndex::new(connection).with_changes(10_000);
    /// # }
    /// ```
    #[must_use]
    pub const fn with_changes(mut self, most: usize) -> Self {
        self.most_changes = if most == 0 { 1 } else { most };
        self
    }

    /// Waits no longer than that for the answer to a request.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn example(connection: redis::aio::MultiplexedConnection) {
    /// let index = cachemacro_search::RedisIndex::new(connection).with_deadline(Duration::from_millis(250));
    /// # }
    /// ```
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl<C: ConnectionLike + Clone + Send + Sync> RedisIndex<C> {
    /// The answer to a request, in time.
    async fn answer<T>(&self, request: impl Future<Output = RedisResult<T>>) -> Result<T> {
        match tokio::time::timeout(self.deadline, request).await {
            Ok(answer) => answer.map_err(failed),
            Err(_) => Err(Error::new(ErrorKind::Timeout, "the index did not answer in time")),
        }
    }

    /// Notes that a document changed, with its life in milliseconds; zero where it is gone. Where none was there, it is told if that was not noted yet.
    async fn note(&self, space: &str, key: &str, life: u64, was_there: bool) -> Result<()> {
        let (script, mut connection) = (Script::new(NOTE), self.connection.clone());
        let mut note = script.prepare_invoke();
        note.key(set(space))
            .key(stream(space))
            .arg(key)
            .arg(life)
            .arg(self.most_changes)
            .arg(u8::from(was_there));
        self.answer(note.invoke_async::<()>(&mut connection)).await
    }

    /// What lies under these keys, of each no more than a document may have.
    async fn laid(&self, space: &str, keys: Vec<String>) -> Result<Vec<Laid>> {
        let reads = keys.iter().map(|key| {
            let mut connection = self.connection.clone();
            let mut read = redis::cmd("GETRANGE");
            read.arg(document_key(space, key)).arg(0).arg(Document::MOST_BYTES);
            async move { of_its_type(read.query_async::<Vec<u8>>(&mut connection)).await }
        });
        let found = self.answer(try_join_all(reads)).await?;
        let laid = keys.into_iter().zip(found).map(|(key, found)| match found {
            Some(bytes) if bytes.is_empty() => Laid::new(key, None),
            // Something that is no string is no document.
            found => Laid::new(key, Some(found.unwrap_or_default().into())),
        });
        Ok(laid.collect())
    }
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync> Index for RedisIndex<C> {
    async fn write(&self, space: &str, document: &Document, life: Duration) -> Result<()> {
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX).clamp(1, LONGEST);
        let (mut connection, mut lay) = (self.connection.clone(), redis::cmd("SET"));
        lay.arg(document_key(space, document.key())).arg(&document.to_bytes()[..]).arg("PX").arg(life);
        self.answer(lay.query_async::<()>(&mut connection)).await?;
        // Told once it lies there, so that whoever is told finds it.
        self.note(space, document.key(), life, true).await
    }

    async fn remove(&self, space: &str, key: &str) -> Result<()> {
        let (mut connection, mut unlink) = (self.connection.clone(), redis::cmd("UNLINK"));
        unlink.arg(document_key(space, key));
        let gone: u64 = self.answer(unlink.query_async(&mut connection)).await?;
        self.note(space, key, 0, gone > 0).await
    }

    async fn place(&self, space: &str) -> Result<Place> {
        let (script, mut connection) = (Script::new(LAST), self.connection.clone());
        let mut last = script.prepare_invoke();
        last.key(stream(space));
        Ok(Place::new(self.answer(last.invoke_async::<String>(&mut connection)).await?))
    }

    async fn changes(&self, space: &str, since: &Place, most: usize) -> Result<Changes> {
        let most = most.max(1);
        if !is_id(since.as_str()) {
            return Err(Error::new(ErrorKind::Decode, "the place is none of this index"));
        }
        let (mut connection, mut range) = (self.connection.clone(), redis::cmd("XRANGE"));
        // With the change at that place, by whose absence a gap is seen.
        range.arg(stream(space)).arg(since.as_str()).arg("+").arg("COUNT").arg(most.saturating_add(1));
        let told = self
            .answer(of_its_type(range.query_async::<Vec<(String, Vec<Vec<u8>>)>>(&mut connection)))
            .await?;
        let told = told.unwrap_or_default();
        let Some(((first, _), told)) = told.split_first() else { return Ok(Changes::Lost) };
        if first != since.as_str() {
            return Ok(Changes::Lost);
        }
        let next = told.last().map_or_else(|| since.clone(), |(id, _)| Place::new(id.as_str()));
        let keys = told.iter().filter_map(|(_, fields)| match &fields[..] {
            [name, key, ..] if name == b"k" && key.len() <= Document::MOST_KEY => {
                String::from_utf8(key.clone()).ok()
            }
            _ => None,
        });
        let mut keys: Vec<String> = keys.collect();
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
        let (mut connection, mut scan) = (self.connection.clone(), redis::cmd("ZSCAN"));
        scan.arg(set(space)).arg(cursor).arg("COUNT").arg(PAGE);
        let scanned =
            self.answer(of_its_type(scan.query_async::<(String, Vec<Vec<u8>>)>(&mut connection))).await?;
        let Some((next, found)) = scanned else { return Ok(Page::new(Vec::new(), None)) };
        // Keys and their scores, in turns.
        let keys = found.into_iter().step_by(2).filter_map(|key| String::from_utf8(key).ok());
        let keys: Vec<String> = keys.filter(|key| key.len() <= Document::MOST_KEY).collect();
        let mut laid = Vec::with_capacity(keys.len());
        for keys in keys.chunks(PAGE) {
            laid.extend(
                self.laid(space, keys.to_vec()).await?.into_iter().filter(|laid| laid.bytes.is_some()),
            );
        }
        Ok(Page::new(laid, (next != "0").then(|| Place::new(next))))
    }
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
fn is_id(text: &str) -> bool {
    let is_number =
        |text: &str| text.parse::<u64>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('-').is_some_and(|(millis, number)| is_number(millis) && is_number(number))
}

/// None where the key holds something else.
async fn of_its_type<T>(request: impl Future<Output = RedisResult<T>>) -> RedisResult<Option<T>> {
    match request.await {
        Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
        answer => answer.map(Some),
    }
}

fn failed(error: RedisError) -> Error {
    let is_refused =
        matches!(error.kind(), redis::ErrorKind::Server(kind) if kind != ServerErrorKind::TryAgain);
    let kind = if is_refused { ErrorKind::Refused } else { ErrorKind::Io };
    Error::new(kind, "the index failed").with_source(error)
}
