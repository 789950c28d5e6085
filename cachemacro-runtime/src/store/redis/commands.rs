//! One round trip each: what is sent for every operation of the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::{Cmd, Pipeline, Value};
use tokio::time::timeout;

use super::connect::Link;
use super::script::{self, Call};
use super::{failure, reply};
use crate::format::header::FIXED;
use crate::format::ids::{FillId, Token, Version};
use crate::format::stamps::{TagKeys, VersionKey};
use crate::ground::clock::NEVER;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::{
    Captures, Fill, Filled, Head, Increment, IncrementOutcome, Lease, LeaseKind, LeaseRequest, OtherStamps,
    Read, given_life,
};

/// About how many keys one step of a scan looks at: well below a millisecond of the server's time.
const SCAN_STEP: usize = 1_000;
/// How many keys one UNLINK names.
const UNLINK_CHUNK: usize = 500;
/// How many versions one script captures.
const CAPTURE_CHUNK: usize = 500;

/// Whether a request may be sent a second time after the connection broke under it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resend {
    /// It carries a token or changes what is there: once and never again.
    Never,
    /// Twice is the same as once.
    WhereBroken,
}

/// What is sent in one go.
enum Request<'a> {
    One(&'a Cmd),
    Many(&'a Pipeline),
}

/// The store's operations over its connections.
#[derive(Debug)]
pub(super) struct Commands {
    pub(super) link: Arc<Link>,
    pub(super) command_timeout: Duration,
}

impl Commands {
    pub(super) async fn read(&self, key: &str, versions: &[VersionKey]) -> Result<Read> {
        if versions.is_empty() {
            let mut get = redis::cmd("GET");
            get.arg(key);
            let entry = reply::string(self.one(&get, Resend::WhereBroken).await?)?;
            return Ok(Read { entry, versions: Vec::new() });
        }
        let (mut entries, versions) = self.read_many(std::slice::from_ref(&key), versions).await?;
        Ok(Read { entry: entries.pop().flatten(), versions })
    }

    pub(super) async fn read_many(
        &self,
        keys: &[impl AsRef<str>],
        versions: &[VersionKey],
    ) -> Result<(Vec<Option<Bytes>>, Vec<Option<Version>>)> {
        if keys.is_empty() && versions.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        // MGET tells nil for a key of another type.
        let mut mget = redis::cmd("MGET");
        for key in keys {
            mget.arg(key.as_ref());
        }
        for version in versions {
            mget.arg(&version.text);
        }
        let mut entries =
            reply::array(self.one(&mget, Resend::WhereBroken).await?, keys.len() + versions.len())?;
        let versions = entries.split_off(keys.len()).iter().map(reply::version).collect();
        Ok((entries.into_iter().map(reply::string).collect::<Result<_>>()?, versions))
    }

    pub(super) async fn read_head(&self, key: &str, length: usize, versions: &[VersionKey]) -> Result<Head> {
        let mut pipeline = Pipeline::with_capacity(3);
        pipeline.cmd("GETRANGE").arg(key).arg(0).arg(length.saturating_sub(1));
        pipeline.cmd("STRLEN").arg(key);
        if !versions.is_empty() {
            pipeline.add_command(mget(versions));
        }
        let mut replies = self.many(&pipeline, Resend::WhereBroken).await?.into_iter();
        let start = reply::string(replies.next().ok_or_else(failure::unexpected)?)?;
        let length = reply::length(&replies.next().ok_or_else(failure::unexpected)?)?;
        let versions = match replies.next() {
            Some(value) => reply::versions(value, versions.len())?,
            None => Vec::new(),
        };
        // GETRANGE tells a missing key as an empty string.
        Ok(Head { start: start.filter(|bytes| !bytes.is_empty()), length, versions })
    }

    pub(super) async fn versions(&self, keys: &[VersionKey]) -> Result<Vec<Option<Version>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        reply::versions(self.one(&mget(keys), Resend::WhereBroken).await?, keys.len())
    }

    pub(super) async fn capture(&self, keys: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = keys.iter().collect();
        let replies = self.run(&capture(&keys, life), None, Resend::WhereBroken).await?;
        captured(&mut replies.into_iter(), keys.len())
    }

    pub(super) async fn lease_many(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let captures = Captures::of(requests);
        let mut calls = capture(&captures.keys, captures.life);
        calls.extend(requests.iter().map(lease));
        let mut replies = self.run(&calls, None, Resend::Never).await?.into_iter();
        let captured = captured(&mut replies, captures.keys.len())?;
        captures
            .hand_out(&captured)
            .zip(replies)
            .map(|(versions, value)| Ok(Lease { versions, outcome: reply::lease(value)? }))
            .collect()
    }

    pub(super) async fn renew(&self, key: &str, token: Token, live: Duration) -> Result<bool> {
        self.verdict(script::RENEW.call(key).id(token).number(millis(live)), Resend::WhereBroken).await
    }

    pub(super) async fn release(&self, key: &str, token: Token) -> Result<bool> {
        self.verdict(script::RELEASE.call(key).id(token), Resend::WhereBroken).await
    }

    pub(super) async fn fill_many(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>> {
        if fills.is_empty() {
            return Ok(Vec::new());
        }
        let calls: Vec<_> = fills.iter().map(fill).collect();
        // The versions come after the last fill in the pipeline, so they are read after all were sent.
        let mut check = redis::cmd("MGET");
        let checked: usize = fills.iter().map(|fill| fill.check.len()).sum();
        for version in fills.iter().flat_map(|fill| fill.check) {
            check.arg(&version.text);
        }
        let mut replies = self.run(&calls, (checked > 0).then_some(&check), Resend::Never).await?;
        let mut versions = match checked {
            0 => Vec::new(),
            _ => reply::versions(replies.pop().ok_or_else(failure::unexpected)?, checked)?,
        }
        .into_iter();
        replies
            .into_iter()
            .zip(fills)
            .map(|(value, fill)| {
                let versions = versions.by_ref().take(fill.check.len()).collect();
                Ok(Filled { accepted: reply::verdict(value)?, versions })
            })
            .collect()
    }

    pub(super) async fn set(&self, key: &str, bytes: &[u8], life: Duration) -> Result<()> {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(bytes).arg("PX").arg(millis(life));
        reply::done(&self.one(&set, Resend::Never).await?)
    }

    pub(super) async fn compare_and_set(
        &self,
        key: &str,
        seen: FillId,
        bytes: &[u8],
        life: Duration,
    ) -> Result<bool> {
        self.verdict(script::CAS.call(key).id(seen).bytes(bytes).number(millis(life)), Resend::Never).await
    }

    pub(super) async fn increment(&self, increment: &Increment<'_>) -> Result<IncrementOutcome> {
        if increment.fresh.len() < FIXED {
            return Err(Error::new(ErrorKind::Encode, "a new decimal entry needs a whole header"));
        }
        let mut call = script::INCREMENT
            .call(increment.key)
            .number(increment.by)
            .bytes(increment.fresh.as_ref())
            .number(millis(increment.life));
        call = match increment.others {
            OtherStamps::Unknown => call,
            OtherStamps::Valid(stamps) => call.bytes(&b"V"[..]).bytes(stamps),
            OtherStamps::Outdated(stamps) => call.bytes(&b"O"[..]).bytes(stamps),
        };
        let mut replies = self.run(&[call], None, Resend::Never).await?;
        reply::increment(replies.pop().ok_or_else(failure::unexpected)?)?.ok_or_else(|| {
            Error::new(ErrorKind::WrongType, "no decimal number, or the sum does not fit an i64")
        })
    }

    pub(super) async fn evict(&self, keys: &[String]) -> Result<Vec<bool>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let chunks = || keys.chunks(UNLINK_CHUNK);
        let calls: Vec<_> =
            chunks().map(|keys| script::EVICT.call_many(keys.iter().map(String::as_str))).collect();
        let replies = self.run(&calls, None, Resend::WhereBroken).await?;
        let mut existed = Vec::with_capacity(keys.len());
        for (value, keys) in replies.into_iter().zip(chunks()) {
            existed.extend(reply::evicted(value, keys.len())?);
        }
        Ok(existed)
    }

    pub(super) async fn evict_tags(&self, tags: &[TagKeys]) -> Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let mut unlink = redis::cmd("UNLINK");
        for tag in tags {
            unlink.arg(&tag.tag.text).arg(&tag.any.text);
        }
        reply::done(&self.one(&unlink, Resend::WhereBroken).await?)
    }

    pub(super) async fn evict_prefix(&self, prefix: &str) -> Result<u64> {
        let mut connection = self.link.checkout().await?;
        let pattern = format!("{}*", escape_glob(prefix));
        let mut cursor: Vec<u8> = b"0".to_vec();
        let mut removed = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_STEP);
            let step = self.in_time(connection.send_packed_command(&scan)).await?;
            let mut step = reply::array(step, 2)?;
            let (Some(Value::Array(keys)), Some(Value::BulkString(next))) = (step.pop(), step.pop()) else {
                return Err(failure::unexpected());
            };
            for chunk in keys.chunks(UNLINK_CHUNK) {
                let mut unlink = redis::cmd("UNLINK");
                for key in chunk {
                    let Value::BulkString(key) = key else { return Err(failure::unexpected()) };
                    unlink.arg(key);
                }
                let count = reply::integer(&self.in_time(connection.send_packed_command(&unlink)).await?)?;
                removed += u64::try_from(count).unwrap_or(0);
            }
            if next == b"0" {
                return Ok(removed);
            }
            cursor = next;
        }
    }

    /// The server's name and version, where it may be asked.
    pub(super) async fn server(&self) -> Result<Option<String>> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("PING");
        pipeline.cmd("INFO").arg("server");
        let replies = self.many(&pipeline, Resend::WhereBroken).await?;
        reply::done(replies.first().ok_or_else(failure::unexpected)?)?;
        Ok(replies.get(1).and_then(server_name))
    }

    async fn verdict(&self, call: Call<'_>, resend: Resend) -> Result<bool> {
        let mut replies = self.run(&[call], None, resend).await?;
        reply::verdict(replies.pop().ok_or_else(failure::unexpected)?)
    }

    /// Runs scripts and then one plain read in a pipeline. A script that the server did not know, and so did not
    /// run, is sent once more with its source, and the read after it.
    async fn run(&self, calls: &[Call<'_>], read: Option<&Cmd>, resend: Resend) -> Result<Vec<Value>> {
        let mut pipeline = Pipeline::with_capacity(calls.len() + 1);
        for call in calls {
            pipeline.add_command(call.by_hash());
        }
        if let Some(read) = read {
            pipeline.add_command(read.clone());
        }
        let mut replies = self.timed(calls.iter(), &pipeline, resend).await?;
        if replies.len() != pipeline.len() {
            return Err(failure::unexpected());
        }
        let unknown: Vec<usize> = (0..calls.len()).filter(|at| script::is_unknown(&replies[*at])).collect();
        if unknown.is_empty() {
            return Ok(replies);
        }
        tracing::debug!(scripts = unknown.len(), "redis had forgotten scripts");
        let mut again = Pipeline::with_capacity(unknown.len() + 1);
        for at in &unknown {
            again.add_command(calls[*at].by_source());
        }
        if let Some(read) = read {
            again.add_command(read.clone());
        }
        let mut late = self.timed(unknown.iter().map(|at| &calls[*at]), &again, resend).await?;
        if late.len() != again.len() {
            return Err(failure::unexpected());
        }
        if read.is_some() {
            replies.pop();
            replies.extend(late.pop());
        }
        for (at, value) in unknown.into_iter().zip(late) {
            replies[at] = value;
        }
        Ok(replies)
    }

    /// Sends a pipeline and learns the server's time from the latest reply to `calls`, which come first in it.
    async fn timed<'a>(
        &self,
        calls: impl Iterator<Item = &'a Call<'a>>,
        pipeline: &Pipeline,
        resend: Resend,
    ) -> Result<Vec<Value>> {
        let sent = Instant::now();
        let replies = self.many(pipeline, resend).await?;
        if let Some(millis) = calls.zip(&replies).filter_map(|(call, value)| call.time_in(value)).last() {
            self.link.time.observe(sent, Instant::now(), millis);
        }
        Ok(replies)
    }

    async fn one(&self, cmd: &Cmd, resend: Resend) -> Result<Value> {
        self.exchange(&Request::One(cmd), resend).await
    }

    async fn many(&self, pipeline: &Pipeline, resend: Resend) -> Result<Vec<Value>> {
        match self.exchange(&Request::Many(pipeline), resend).await? {
            Value::Array(replies) => Ok(replies),
            _ => Err(failure::unexpected()),
        }
    }

    /// Sends and awaits, within the deadline, on a shared connection.
    async fn exchange(&self, request: &Request<'_>, resend: Resend) -> Result<Value> {
        // What cuts one connection tends to cut all, so each may turn out to be broken before a new one is had.
        let mut resends = if resend == Resend::WhereBroken { self.link.width() } else { 0 };
        loop {
            let mut handle = self.link.acquire().await?;
            let connection = &mut handle.connection;
            let answer = match request {
                Request::One(cmd) => timeout(self.command_timeout, connection.send_packed_command(cmd)).await,
                Request::Many(pipeline) => {
                    let answers = connection.send_packed_commands(pipeline, 0, pipeline.len());
                    timeout(self.command_timeout, answers).await.map(|answers| answers.map(Value::Array))
                }
            };
            match answer {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) if failure::is_broken(&error) => {
                    self.link.retire(&handle);
                    if resends == 0 {
                        return Err(failure::failed(&error));
                    }
                    resends -= 1;
                }
                Ok(Err(error)) => return Err(failure::failed(&error)),
                Err(_) => {
                    self.link.retire(&handle);
                    return Err(failure::timed_out(self.command_timeout));
                }
            }
        }
    }

    /// Awaits an answer of a pooled connection within the deadline.
    async fn in_time(&self, answer: impl Future<Output = redis::RedisResult<Value>>) -> Result<Value> {
        match timeout(self.command_timeout, answer).await {
            Ok(answer) => answer.map_err(|error| failure::failed(&error)),
            Err(_) => Err(failure::timed_out(self.command_timeout)),
        }
    }
}

fn mget(versions: &[VersionKey]) -> Cmd {
    let mut mget = redis::cmd("MGET");
    for version in versions {
        mget.arg(&version.text);
    }
    mget
}

fn capture<'a>(keys: &[&'a VersionKey], life: Duration) -> Vec<Call<'a>> {
    let give = given_life(life);
    let capture = |keys: &[&'a VersionKey]| {
        let call = script::CAPTURE
            .call_many(keys.iter().map(|key| key.text.as_str()))
            .number(millis(life))
            .number(millis(give));
        keys.iter().fold(call, |call, _| call.id(rand::random_range(1..=u64::MAX)))
    };
    keys.chunks(CAPTURE_CHUNK).map(capture).collect()
}

/// What [`capture`] captured of so many keys.
fn captured(replies: &mut impl Iterator<Item = Value>, keys: usize) -> Result<Vec<Version>> {
    let mut captured = Vec::with_capacity(keys);
    while captured.len() < keys {
        let length = CAPTURE_CHUNK.min(keys - captured.len());
        captured.extend(reply::captured(replies.next().ok_or_else(failure::unexpected)?, length)?);
    }
    Ok(captured)
}

fn lease<'a>(request: &LeaseRequest<'a>) -> Call<'a> {
    let kind: &[u8] = match request.kind {
        LeaseKind::Load => b"L",
        LeaseKind::Refresh => b"R",
        LeaseKind::Put => b"P",
    };
    script::LEASE
        .call(request.key)
        .id(request.token)
        .id(request.seen)
        .bytes(kind)
        .number(millis(request.live))
}

fn fill<'a>(fill: &'a Fill<'_>) -> Call<'a> {
    script::FILL
        .call(fill.key)
        .id(fill.token)
        .bytes(fill.bytes.as_ref())
        .number(millis(fill.life))
        .number(u8::from(fill.unlink_refused))
}

/// A life as the server takes it: at least a millisecond, and at most what does not overflow its clock.
fn millis(life: Duration) -> u64 {
    u64::try_from(life.min(NEVER).as_millis()).unwrap_or(u64::MAX).max(1)
}

/// `prefix` with everything that a glob pattern gives a meaning to taken literally.
fn escape_glob(prefix: &str) -> String {
    let mut escaped = String::with_capacity(prefix.len());
    for char in prefix.chars() {
        if matches!(char, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

fn server_name(info: &Value) -> Option<String> {
    let text = match info {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::VerbatimString { text, .. } => text,
        _ => return None,
    };
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
    fn glob_characters_in_a_prefix_are_literal() {
        assert_eq!(escape_glob("a*b?[c]\\d-^:é"), "a\\*b\\?\\[c\\]\\\\d\\-\\^:é");
    }

    #[test]
    fn lives_stay_within_what_a_server_takes() {
        assert_eq!(millis(Duration::ZERO), 1);
        assert_eq!(millis(Duration::from_micros(1_999)), 1);
        assert_eq!(millis(Duration::MAX), millis(NEVER));
    }

    #[test]
    fn the_servers_name_is_found_in_its_info() {
        let info = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        assert_eq!(
            server_name(&info("# Server\r\nredis_version:7.0.15\r\n")).as_deref(),
            Some("redis 7.0.15")
        );
        let valkey = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n";
        assert_eq!(server_name(&info(valkey)).as_deref(), Some("valkey 8.0.1"));
        assert_eq!(server_name(&Value::Nil), None);
    }
}
