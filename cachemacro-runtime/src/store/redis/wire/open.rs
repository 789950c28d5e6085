//! How a connection is made: a socket, who we are, and which database.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::select_ok;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::SockRef;
use redis::{ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisConnectionInfo};
use tokio::net::{TcpStream, lookup_host};

use super::driver::OnPush;
use super::failure::Broken;
use super::frame::{Packed, Reply};
use super::handle::Wire;

/// Why a connection could not be made.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// Nobody there, or not in the way the address says.
    Unreachable(io::Error),
    /// It ended while it was set up.
    Broken(Broken),
    /// The server does not know this user name with this password.
    Unauthorized,
    /// The server's error, as a line.
    Refused(Bytes),
}

/// Connects and says who we are; an answer to that may take `connecting`.
pub(crate) async fn open(
    info: &ConnectionInfo,
    connecting: Duration,
    patience: Duration,
    on_push: OnPush,
) -> Result<Wire, Unopened> {
    let wire = match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            Wire::new(tcp(host, *port, info.tcp_settings()).await?, patience, on_push)
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => {
            Wire::new(tokio::net::UnixStream::connect(path).await?, patience, on_push)
        }
        _ => return Err(io::Error::from(io::ErrorKind::Unsupported).into()),
    };
    greet(&wire, info.redis_settings(), connecting).await?;
    Ok(wire)
}

/// The first of the host's addresses that answers.
async fn tcp(host: &str, port: u16, settings: &TcpSettings) -> io::Result<TcpStream> {
    let addresses: Vec<_> = lookup_host((host, port)).await?.collect();
    if addresses.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let attempts = addresses.into_iter().map(|address| Box::pin(TcpStream::connect(address)));
    let (stream, _) = select_ok(attempts).await?;
    stream.set_nodelay(settings.nodelay())?;
    let socket = SockRef::from(&stream);
    if let Some(keepalive) = settings.keepalive() {
        socket.set_tcp_keepalive(keepalive)?;
    }
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    socket.set_tcp_user_timeout(settings.user_timeout())?;
    Ok(stream)
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

impl From<io::Error> for Unopened {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(error)
    }
}

impl From<Broken> for Unopened {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

#[cfg(test)]
mod tests {
    use redis::io::tcp::socket2::TcpKeepalive;

    use super::*;

    #[tokio::test]
    async fn a_socket_is_set_up_as_it_was_asked_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (idle, unacknowledged) = (Duration::from_secs(41), Duration::from_secs(42));
        let settings = TcpSettings::default().set_nodelay(true);
        let settings = settings.set_keepalive(TcpKeepalive::new().with_time(idle));
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        let settings = settings.set_user_timeout(unacknowledged);
        let stream = tcp("127.0.0.1", port, &settings).await.expect("it listens");
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().expect("it is told") && stream.nodelay().expect("it is told"));
        assert_eq!(socket.tcp_keepalive_time().expect("it is told"), idle);
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        assert_eq!(socket.tcp_user_timeout().expect("it is told"), Some(unacknowledged));
    }
}
