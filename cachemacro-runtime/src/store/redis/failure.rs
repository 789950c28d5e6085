//! From the driver's errors to ours. A server's error text may quote commands and keys, so only its code passes.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{PoolError, TimeoutType};
use redis::{ErrorKind as Redis, RedisError};

#[cfg(feature = "cluster")]
use super::redirect::Redirect;
use super::refusal::{self, Fate, Next, Refusal};
use super::wire::{Broken, Cause, Told, Unopened};
use crate::ground::error::{Error, ErrorKind};

/// What is said of a server that was reached and does not answer.
pub(super) const SILENT: &str = "redis did not answer while connecting";
/// What is said of a server that nothing can be evicted from.
pub(super) const REPLICA: &str = "connected to a replica: nothing can be written there";

/// The store was closed by its owner.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Connect, "the redis store is closed")
}

/// An attempt to connect is under way.
pub(super) fn connecting() -> Error {
    Error::new(ErrorKind::Connect, "still connecting to redis")
}

/// No answer within `waited`.
pub(super) fn timed_out(waited: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("no answer from redis within {} ms", waited.as_millis()))
}

/// The last attempt at a request failed so. What became of it before that decides what it counts as, and is told: whether it was
/// `sent` and not answered, so that it may have been done, and by what reply the server `refused` it.
pub(super) fn in_the_end(error: Error, sent: Option<&Error>, refused: Option<&Error>) -> Error {
    let error = match sent {
        Some(sent) => {
            Error::new(sent.kind(), format!("{}; not sent again: {}", sent.context(), error.context()))
        }
        None => error,
    };
    match refused {
        Some(refused) => {
            Error::new(error.kind(), format!("{}; before that: {}", error.context(), refused.context()))
        }
        None => error,
    }
}

/// What was asked for in part failed in a later part. Where nothing of that was sent, the earlier one was all the same.
pub(super) fn in_part(error: Error) -> Error {
    if error.kind() == ErrorKind::Connect {
        Error::new(ErrorKind::Io, format!("done in part: {}", error.context()))
    } else {
        error
    }
}

/// The server answered with something that this command never answers.
pub(super) fn unexpected() -> Error {
    Error::new(ErrorKind::Refused, "redis gave an answer of an unexpected shape")
}

/// An error that arrived as a reply: a line that may quote keys.
pub(super) fn refused(line: &[u8]) -> Error {
    let error = Error::new(ErrorKind::Refused, line_told(line));
    #[cfg(feature = "cluster")]
    if let Some(redirect) = Redirect::of(line) {
        return error.with_source(redirect);
    }
    error
}

/// There is no answer, which could take so long.
pub(super) fn broken(broken: Broken, patience: Duration) -> Error {
    let what = "the connection to redis broke";
    match broken.cause {
        Cause::TimedOut | Cause::Crowded => timed_out(patience),
        Cause::Io(io::ErrorKind::TimedOut) => Error::new(ErrorKind::Io, format!("{what}: timed out")),
        Cause::Io(_) | Cause::Eof => Error::new(ErrorKind::Io, what),
        Cause::Told(why) => Error::new(ErrorKind::Io, format!("{what}: {why}")),
        Cause::Malformed => Error::new(ErrorKind::Io, "redis sent bytes that are not its protocol"),
        Cause::Closed => Error::new(ErrorKind::Io, "the connection to redis was closed"),
        Cause::Stopped => Error::new(ErrorKind::Io, "the runtime of the connection to redis stopped"),
    }
}

/// A connection of the store's own that could not be opened.
pub(super) fn unopened(error: &Unopened) -> Error {
    let what = "could not connect to redis";
    let text = match error {
        Unopened::Broken(Broken { cause: Cause::TimedOut, .. }) => format!("{what}: timed out").into(),
        Unopened::Broken(Broken { cause: Cause::Malformed, .. }) => {
            "what answers there does not speak redis' protocol".into()
        }
        Unopened::Broken(Broken { cause: Cause::Told(why), .. }) => format!("{what}: {why}").into(),
        Unopened::Broken(_) => what.into(),
        Unopened::Unauthorized => "redis refused the user name or password".into(),
        Unopened::Refused(line) => line_told(line),
    };
    Error::new(ErrorKind::Connect, text)
}

/// A server that no stream leads to.
pub(super) fn unreached(error: &io::Error) -> Error {
    let what = "could not connect to redis";
    let text: Cow<'static, str> = match (Told::of(error), error.kind()) {
        (Some(why), _) => format!("{what}: {why}").into(),
        (None, io::ErrorKind::ConnectionRefused) => format!("{what}: nobody listens there").into(),
        (None, io::ErrorKind::TimedOut) => format!("{what}: timed out").into(),
        _ => what.into(),
    };
    Error::new(ErrorKind::Connect, text)
}

/// The connection leads to a replica.
pub(super) fn replica() -> Error {
    Error::new(ErrorKind::Connect, REPLICA)
}

/// A command that failed on an open connection.
pub(super) fn failed(error: &RedisError) -> Error {
    if let Some(code) = error.code() {
        return Error::new(ErrorKind::Refused, told(error, code));
    }
    match error.kind() {
        Redis::Io => Error::new(ErrorKind::Io, io_text("the connection to redis broke", error)),
        Redis::Parse => Error::new(ErrorKind::Io, "redis sent bytes that are not its protocol"),
        _ => unexpected(),
    }
}

/// A connection that could not be opened.
pub(super) fn unreachable(error: &RedisError) -> Error {
    let text = if let Some(code) = error.code() {
        told(error, code)
    } else {
        match error.kind() {
            // Also where it refused anyone: the driver keeps the server's own words to itself.
            Redis::AuthenticationFailed => "redis refused the user name or password".into(),
            Redis::RESP3NotSupported => "redis does not speak RESP3".into(),
            _ => io_text("could not connect to redis", error),
        }
    };
    Error::new(ErrorKind::Connect, text)
}

/// A pool that gave no connection.
pub(super) fn no_connection(error: PoolError<Error>) -> Error {
    let text = match error {
        PoolError::Backend(error) => return error,
        PoolError::Timeout(TimeoutType::Wait) => "no pooled connection to redis came free in time",
        PoolError::Closed => "the redis store is closed",
        _ => "could not connect to redis",
    };
    Error::new(ErrorKind::Connect, text)
}

/// Whether this error of a command would come again: the server does not know it, or does not allow it.
pub(super) fn is_final(error: &RedisError) -> bool {
    match error.code() {
        Some(code) => {
            let refusal = Refusal::by(code, error.detail().unwrap_or_default());
            refusal.connection == Fate::Kept && refusal.request == Next::Never
        }
        None => error.kind() == Redis::RESP3NotSupported,
    }
}

/// The command that the user may not run, where this error says so.
pub(super) fn lacking(error: &RedisError) -> Option<String> {
    let line = format!("{} {}", error.code()?, error.detail()?);
    Refusal::lacking(line.as_bytes()).map(str::to_owned)
}

fn line_told(line: &[u8]) -> Cow<'static, str> {
    let (code, details) = refusal::split(line);
    Refusal::by(code, details).told(code, details)
}

fn told(error: &RedisError, code: &str) -> Cow<'static, str> {
    let details = error.detail().unwrap_or_default();
    Refusal::by(code, details).told(code, details)
}

fn io_text(what: &'static str, error: &RedisError) -> Cow<'static, str> {
    if let Some(why) = io_within(error).and_then(Told::of) {
        format!("{what}: {why}").into()
    } else if error.is_timeout() {
        format!("{what}: timed out").into()
    } else if error.is_connection_refusal() {
        format!("{what}: nobody listens there").into()
    } else {
        what.into()
    }
}

/// The error of the stream, which the driver shares among all who wait.
fn io_within(error: &RedisError) -> Option<&io::Error> {
    let source = error.source()?;
    let shared = source.downcast_ref::<Arc<dyn StdError + Send + Sync>>();
    shared.map_or(source.downcast_ref(), |shared| shared.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stream_says_that_may_be_told_is_told_whoever_speaks_on_it() {
        let io = io::Error::new(io::ErrorKind::InvalidData, Told("the server asks for a client certificate"));
        let error = RedisError::from(io);
        for told in [unreachable(&error), failed(&error.clone())] {
            assert!(told.to_string().ends_with(": the server asks for a client certificate"), "{told}");
        }
        let error = unreachable(&RedisError::from(io::Error::other("hunter2")));
        assert_eq!(error.to_string(), "connect: could not connect to redis");
    }

    #[test]
    fn only_the_code_of_a_servers_error_is_passed_on() {
        for (line, code) in [
            ("-ERR unknown command 'x', with args beginning with: 'hunter2'\r\n", "(ERR)"),
            ("-OOM hunter2\r\n", "(OOM)"),
            ("-hunter2 and more\r\n", "the command"),
        ] {
            let value = redis::parse_redis_value(line.as_bytes()).expect("it is the protocol");
            let as_error = value.extract_error().expect_err("an error");
            let own = line.trim_start_matches('-').trim_end().as_bytes();
            let unopened = unopened(&Unopened::Refused(own.to_vec().into()));
            for error in [refused(own), unopened, failed(&as_error), unreachable(&as_error)] {
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains("hunter2"), "{shown}");
                assert!(shown.contains(code), "{shown}");
            }
        }
    }

    #[test]
    fn what_failed_in_a_later_part_may_have_been_done_in_part() {
        let late = timed_out(Duration::ZERO);
        for error in [closed(), in_the_end(closed(), Some(&late), None), unexpected()] {
            let in_part = in_part(error.clone());
            assert_ne!(in_part.kind(), ErrorKind::Connect);
            assert!(in_part.context().contains(error.context()));
        }
    }

    #[test]
    fn what_became_of_a_request_before_its_last_attempt_is_told_and_counts() {
        let (late, full) = (timed_out(Duration::ZERO), refused(b"OOM k"));
        let kind = |sent, refused| in_the_end(connecting(), sent, refused).kind();
        assert_eq!(kind(None, None), ErrorKind::Connect);
        assert_eq!(kind(None, Some(&full)), ErrorKind::Connect, "a refusal did nothing");
        assert_eq!(kind(Some(&late), None), ErrorKind::Timeout, "it may have been done");
        assert_eq!(kind(Some(&late), Some(&full)), ErrorKind::Timeout);
        let told = in_the_end(connecting(), Some(&late), Some(&full));
        for each in [connecting(), late, full] {
            assert!(told.context().contains(each.context()), "{told}");
        }
    }

    #[test]
    fn a_broken_connection_is_told_from_a_refusal() {
        let lost = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(failed(&lost).kind(), ErrorKind::Io);
        let lost = Broken { cause: Cause::Eof, sent: true };
        assert_eq!(broken(lost, Duration::ZERO).kind(), ErrorKind::Io);
        let silent = Broken { cause: Cause::TimedOut, sent: true };
        assert_eq!(broken(silent, Duration::ZERO).kind(), ErrorKind::Timeout);
        let refused = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert_eq!(unreachable(&refused).kind(), ErrorKind::Connect);
        assert!(unreachable(&refused).to_string().contains("nobody listens"));
    }
}
