//! The index on a server over a connection of redis-rs.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro::store::Answer;
use cachemacro::{Error, ErrorKind, Result};
use redis::aio::ConnectionLike;
use redis::{RedisError, ServerErrorKind, Value};

use super::server::{Link, ServerIndex, on_server};

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
    index: ServerIndex<Connection<C>>,
}

/// A connection that every request uses a clone of.
#[derive(Clone)]
struct Connection<C>(C);

impl<C> fmt::Debug for RedisIndex<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RedisIndex");
        shown
            .field("changes", &self.index.most_changes)
            .field("deadline", &self.index.deadline)
            .finish_non_exhaustive()
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
        Self { index: ServerIndex::new(Connection(connection)) }
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
        self.index.most_changes = if most == 0 { 1 } else { most };
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
        self.index.deadline = deadline;
        self
    }
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync> Link for Connection<C> {
    async fn send(&self, _key: &str, command: Vec<Bytes>, _again: bool) -> Result<Answer> {
        let (mut connection, mut request) = (self.0.clone(), redis::Cmd::new());
        for part in &command {
            request.arg(&part[..]);
        }
        match connection.req_packed_command(&request).await {
            Ok(value) => answer(value),
            Err(error) => refused(error),
        }
    }
}

fn answer(value: Value) -> Result<Answer> {
    Ok(match value {
        Value::Nil => Answer::Nil,
        Value::Int(number) => Answer::Number(number),
        Value::BulkString(bytes) => Answer::Text(bytes.into()),
        Value::SimpleString(text) => Answer::Text(text.into()),
        Value::Okay => Answer::Text("OK".into()),
        Value::Array(values) => Answer::List(values.into_iter().map(answer).collect::<Result<_>>()?),
        Value::ServerError(error) => return refused(error.into()),
        _ => return Err(Error::new(ErrorKind::Decode, "the server answered something else than was asked")),
    })
}

fn refused(error: RedisError) -> Result<Answer> {
    if error.code() == Some("WRONGTYPE") {
        return Ok(Answer::WrongType);
    }
    let is_refused =
        matches!(error.kind(), redis::ErrorKind::Server(kind) if kind != ServerErrorKind::TryAgain);
    let kind = if is_refused { ErrorKind::Refused } else { ErrorKind::Io };
    Err(Error::new(kind, "the index failed").with_source(error))
}

on_server!(
    impl<C: ConnectionLike + Clone + Send + Sync> Index for RedisIndex<C> {}
);
