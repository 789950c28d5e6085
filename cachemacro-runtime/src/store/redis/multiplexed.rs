//! Connections that redis-rs speaks on, on a stream of the store's own: what scans, pushes and sentinels are asked over.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisConnectionInfo, RedisError, RedisResult, Value,
};
use tokio::task::AbortHandle;

use super::failure;
use super::stream::Stream;
use super::wire::{LastWords, Told};
use crate::ground::error::Error;

/// One connection. Once its last clone is dropped, it ends.
#[derive(Clone)]
pub(super) struct Multiplexed {
    connection: MultiplexedConnection,
    last_words: LastWords,
    _driver: Arc<Driver>,
}

/// The task that drives a connection, until dropped.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a connection could not be made.
pub(super) struct Unmade {
    pub(super) error: Error,
    /// Whether it could not be made the next time either: the server does not know a command, or does not allow it.
    pub(super) is_final: bool,
    /// The command that the user may not run.
    pub(super) lacks: Option<String>,
}

impl From<Error> for Unmade {
    fn from(error: Error) -> Self {
        Self { error, is_final: false, lacks: None }
    }
}

impl From<RedisError> for Unmade {
    fn from(error: RedisError) -> Self {
        Self {
            is_final: failure::is_final(&error),
            lacks: failure::lacking(&error),
            error: failure::unreachable(&error),
        }
    }
}

/// redis-rs' settings for every connection. Its own response timeout is off: each command has its deadline around it.
pub(super) fn settings(connect_timeout: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(connect_timeout)).set_response_timeout(None)
}

impl Multiplexed {
    /// Says who we are on this stream. What drives the connection runs on the caller's runtime.
    pub(super) async fn open(
        stream: Stream,
        greeting: &RedisConnectionInfo,
        settings: AsyncConnectionConfig,
    ) -> RedisResult<Self> {
        let last_words = stream.last_words();
        let opened = MultiplexedConnection::new_with_config(greeting, stream, settings).await;
        let (connection, driver) = opened.map_err(|error| explained(error, &last_words))?;
        let driver = Arc::new(Driver(tokio::spawn(driver).abort_handle()));
        Ok(Self { connection, last_words, _driver: driver })
    }

    /// The connection as redis-rs has it.
    pub(super) const fn inner(&mut self) -> &mut MultiplexedConnection {
        &mut self.connection
    }

    /// Sends one command.
    pub(super) async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        let answered = self.connection.send_packed_command(command).await;
        answered.map_err(|error| explained(error, &self.last_words))
    }

    /// Sends one command whose reply says nothing but that it was done.
    pub(super) async fn obey(&mut self, command: &Cmd) -> RedisResult<()> {
        self.ask(command).await?.extract_error().map(drop)
    }

    /// Has the server tell of what is said on this channel.
    #[cfg(feature = "sentinel")]
    pub(super) async fn subscribe(&mut self, channel: &str) -> RedisResult<()> {
        let done = self.connection.subscribe(channel).await;
        done.map_err(|error| explained(error, &self.last_words))
    }

    /// Sends these in one go; a reply for each.
    pub(super) async fn ask_all(&mut self, commands: &Pipeline, count: usize) -> RedisResult<Vec<Value>> {
        let answered = self.connection.send_packed_commands(commands, 0, count).await;
        answered.map_err(|error| explained(error, &self.last_words))
    }
}

/// The error of whoever came once the stream had ended, with what that said: in TLS 1.3 a server refuses a client certificate after the
/// handshake, before or after something was asked.
fn explained(error: RedisError, last_words: &LastWords) -> RedisError {
    match last_words.told() {
        Some(why) if error.kind() == ErrorKind::Io => {
            io::Error::new(io::ErrorKind::InvalidData, Told(why)).into()
        }
        _ => error,
    }
}

impl fmt::Debug for Multiplexed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplexed").finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use super::*;

    #[test]
    fn who_comes_once_the_stream_has_ended_is_told_why_it_did() {
        let ended = || RedisError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        let last_words = LastWords::default();
        last_words.note(&io::ErrorKind::ConnectionReset.into());
        let told = |error| failure::unreachable(&explained(error, &last_words)).to_string();
        assert!(!told(ended()).contains("certificate"), "nothing was said");
        last_words.note(&io::Error::other(Told("the server asks for a client certificate")));
        last_words.note(&io::Error::other(Told("the first one counts")));
        assert!(told(ended()).ends_with(": the server asks for a client certificate"));
        let refused = RedisError::from((ErrorKind::AuthenticationFailed, "hunter2"));
        assert!(!told(refused).contains("certificate"), "what was answered is told as it is");
    }
}
