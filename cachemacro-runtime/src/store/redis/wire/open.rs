//! How a connection begins: who we are, and which database.

use std::time::Duration;

use bytes::Bytes;
use redis::{ProtocolVersion, RedisConnectionInfo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::driver::OnPush;
use super::failure::Broken;
use super::frame::{Packed, Reply};
use super::handle::Wire;

/// Why a connection could not be made of a stream.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// It ended while it was set up.
    Broken(Broken),
    /// The server does not know this user name with this password.
    Unauthorized,
    /// The server's error, as a line.
    Refused(Bytes),
}

/// Says who we are on this stream; an answer to that may take `connecting`.
pub(crate) async fn open<S>(
    stream: S,
    greeting: &RedisConnectionInfo,
    connecting: Duration,
    patience: Duration,
    on_push: OnPush,
) -> Result<Wire, Unopened>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let wire = Wire::new(stream, patience, on_push);
    greet(&wire, greeting, connecting).await?;
    Ok(wire)
}

async fn greet(wire: &Wire, settings: &RedisConnectionInfo, connecting: Duration) -> Result<(), Unopened> {
    let mut greeting = Packed::default();
    let user = settings.username();
    let password = settings.password();
    let speaks_resp3 = settings.protocol() != ProtocolVersion::RESP2;
    if speaks_resp3 {
        greeting.command(if password.is_some() { 5 } else { 2 }).part("HELLO").part("3");
        if let Some(password) = password {
            greeting.part("AUTH").part(user.unwrap_or("default")).part(password);
        }
    } else if let Some(password) = password {
        greeting.command(if user.is_some() { 3 } else { 2 }).part("AUTH");
        if let Some(user) = user {
            greeting.part(user);
        }
        greeting.part(password);
    }
    let authentication = greeting.commands();
    if settings.db() != 0 {
        greeting.command(2).part("SELECT").number(settings.db());
    }
    if greeting.commands() == 0 {
        return Ok(());
    }
    for (at, reply) in wire.call_within(greeting, connecting).await?.into_iter().enumerate() {
        match reply {
            Reply::Error(line) if at < authentication && is_about_password(&line) => {
                return Err(Unopened::Unauthorized);
            }
            Reply::Error(line) => return Err(Unopened::Refused(line)),
            _ => {}
        }
    }
    Ok(())
}

/// Whether an error to a greeting is about user name and password, and not, say, about the number of clients.
fn is_about_password(line: &[u8]) -> bool {
    [&b"WRONGPASS"[..], b"ERR AUTH", b"ERR invalid password", b"ERR Client sent AUTH"]
        .iter()
        .any(|start| line.starts_with(start))
}

impl From<Broken> for Unopened {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}
