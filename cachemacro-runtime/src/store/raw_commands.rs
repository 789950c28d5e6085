//! Commands that are none of the cache's own, over its connections.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::ground::error::Result;

/// A store whose server takes any command: for what stands beside a cache on the same server, with the same TLS, login, Sentinel or cluster.
/// From [`Store::raw_commands`](crate::store::Store::raw_commands), and by way of a cache from
/// [`Beside::attached`](crate::Beside::attached).
///
/// Keys of entries never begin with a brace: what is not the cache's names its keys so, and touches no others.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use async_trait::async_trait;
/// use bytes::Bytes;
/// use cachemacro::{Result, store::{Answer, RawCommands}};
///
/// /// A server that knows one command.
/// struct Echo;
///
/// #[async_trait]
/// impl RawCommands for Echo {
///     async fn send(&self, _key: &str, commands: &[Vec<Bytes>], _again: bool) -> Result<Vec<Answer>> {
///         Ok(commands.iter().map(|parts| Answer::Text(parts[1].clone())).collect())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let told = Echo.send("{shop}:greeting", &[vec!["ECHO".into(), "hello".into()]], true).await?;
/// assert_eq!(told, [Answer::Text("hello".into())]);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait RawCommands: Send + Sync {
    /// Sends these commands in one go, each of them its parts, and gives an answer for each. All are about keys in the slot of `key`. `again` of `false`:
    /// they are not to be sent a second time where nobody knows what became of the first.
    ///
    /// # Errors
    /// Where the server could not be reached, did not answer in time, or refused.
    async fn send(&self, key: &str, commands: &[Vec<Bytes>], again: bool) -> Result<Vec<Answer>>;
}

/// What a server answered to one of [`RawCommands`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Answer;
///
/// let answer = Answer::List(vec![Answer::Text("secret".into()), Answer::Nil, Answer::Number(7)]);
/// assert_eq!(format!("{answer:?}"), "List([Text(6 bytes), Nil, Number(7)])");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Nothing.
    Nil,
    /// A number.
    Number(i64),
    /// Bytes, or a status such as `OK`.
    Text(Bytes),
    /// Several answers.
    List(Vec<Answer>),
    /// The key holds a value of another type.
    WrongType,
}

/// What was read is not shown.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("Nil"),
            Self::Number(number) => write!(f, "Number({number})"),
            Self::Text(bytes) => write!(f, "Text({} bytes)", bytes.len()),
            Self::List(answers) => f.debug_tuple("List").field(answers).finish(),
            Self::WrongType => f.write_str("WrongType"),
        }
    }
}
