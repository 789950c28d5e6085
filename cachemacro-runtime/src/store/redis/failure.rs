//! From the driver's errors to ours. A server's error text may quote commands and keys, so only its code passes.

use std::borrow::Cow;
use std::time::Duration;

use deadpool_redis::{PoolError, TimeoutType};
use redis::{ErrorKind as Redis, RedisError};

use super::wire::{Broken, Cause, Unopened};
use crate::ground::error::{Error, ErrorKind};

/// The store was closed by its owner.
pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Connect, "the redis store is closed")
}

/// No answer within `waited`.
pub(super) fn timed_out(waited: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("no answer from redis within {} ms", waited.as_millis()))
}

/// The server answered with something that this command never answers.
pub(super) fn unexpected() -> Error {
    Error::new(ErrorKind::Refused, "redis gave an answer of an unexpected shape")
}

/// An error that arrived as a reply: a code, and what may quote keys.
pub(super) fn refused(line: &[u8]) -> Error {
    Error::new(ErrorKind::Refused, refusal(code(line)))
}

/// The connection ended before the answer came, which may take `patience`.
pub(super) fn broken(broken: Broken, patience: Duration) -> Error {
    let what = "the connection to redis broke";
    match broken.cause {
        Cause::TimedOut => timed_out(patience),
        Cause::Io(std::io::ErrorKind::TimedOut) => Error::new(ErrorKind::Io, format!("{what}: timed out")),
        Cause::Io(_) | Cause::Eof => Error::new(ErrorKind::Io, what),
        Cause::Malformed => Error::new(ErrorKind::Io, "redis sent bytes that are not its protocol"),
        Cause::Closed => Error::new(ErrorKind::Io, "the connection to redis was closed"),
        Cause::Stopped => Error::new(ErrorKind::Io, "the runtime of the connection to redis stopped"),
    }
}

/// A connection of the store's own that could not be opened.
pub(super) fn unopened(error: &Unopened) -> Error {
    let what = "could not connect to redis";
    let text = match error {
        Unopened::Unreachable(error) => match error.kind() {
            std::io::ErrorKind::ConnectionRefused => format!("{what}: nobody listens there").into(),
            std::io::ErrorKind::TimedOut => format!("{what}: timed out").into(),
            _ => what.into(),
        },
        Unopened::Broken(Broken { cause: Cause::TimedOut, .. }) => format!("{what}: timed out").into(),
        Unopened::Broken(Broken { cause: Cause::Malformed, .. }) => {
            "what answers there does not speak redis' protocol".into()
        }
        Unopened::Broken(_) => what.into(),
        Unopened::Unauthorized => "redis refused the user name or password".into(),
        Unopened::Refused(line) => refusal(code(line)),
    };
    Error::new(ErrorKind::Connect, text)
}

/// A command that failed on an open connection.
pub(super) fn failed(error: &RedisError) -> Error {
    if let Some(code) = error.code() {
        return Error::new(ErrorKind::Refused, refusal(code));
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
        refusal(code)
    } else {
        match error.kind() {
            Redis::AuthenticationFailed => "redis refused the user name or password".into(),
            Redis::RESP3NotSupported => "redis does not speak RESP3".into(),
            _ => io_text("could not connect to redis", error),
        }
    };
    Error::new(ErrorKind::Connect, text)
}

/// A pool that gave no connection.
pub(super) fn no_connection(error: &PoolError) -> Error {
    let text = match error {
        PoolError::Backend(error) => return unreachable(error),
        PoolError::Timeout(TimeoutType::Wait) => "no pooled connection to redis came free in time",
        PoolError::Timeout(_) => "connecting to redis timed out",
        PoolError::Closed => "the redis store is closed",
        PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => "could not connect to redis",
    };
    Error::new(ErrorKind::Connect, text)
}

/// Whether the connection that gave this error is of no more use.
pub(super) fn is_broken(error: &RedisError) -> bool {
    matches!(error.kind(), Redis::Io | Redis::Parse) || error.is_unrecoverable_error()
}

/// The first word of an error.
fn code(line: &[u8]) -> &str {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    std::str::from_utf8(&line[..end]).unwrap_or_default()
}

fn refusal(code: &str) -> Cow<'static, str> {
    if !code.is_empty() && code.len() <= 20 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        format!("redis refused the command ({code})").into()
    } else {
        "redis refused the command".into()
    }
}

fn io_text(what: &'static str, error: &RedisError) -> Cow<'static, str> {
    if error.is_timeout() {
        format!("{what}: timed out").into()
    } else if error.is_connection_refusal() {
        format!("{what}: nobody listens there").into()
    } else {
        what.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_broken_connection_is_told_from_a_refusal() {
        let broken = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(is_broken(&broken));
        assert_eq!(failed(&broken).kind(), ErrorKind::Io);
        let refused = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert_eq!(unreachable(&refused).kind(), ErrorKind::Connect);
        assert!(unreachable(&refused).to_string().contains("nobody listens"));
    }
}
