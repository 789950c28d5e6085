//! A stream of bytes to one host: over TCP, encrypted where that is asked for, or over a socket of this machine.
//!
//! Where TLS is asked for, nothing is sent before the server proved who it is. Knows no protocol but these.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::select_ok;
use redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
#[cfg(feature = "tls")]
use tokio::time::timeout;

#[cfg(feature = "tls")]
use super::tls::{Encrypted, Tls};
use super::url::Host;
use super::wire::{LastWords, Told};

/// What is said of a host that has no address.
const UNKNOWN: &str = "the name of its host cannot be resolved";

/// What is said of a server that answers no TLS.
#[cfg(feature = "tls")]
const NO_TLS: &str =
    "the server does not answer the TLS handshake; what listens on this port may not speak TLS";

/// A stream to one host.
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
    #[cfg(feature = "tls")]
    Tls(Box<Encrypted>),
}

/// How hosts are connected to.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) keepalive: TcpKeepalive,
    /// How long sent bytes may stay unacknowledged.
    pub(super) user_timeout: Duration,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
    /// How long the server may take to prove who it is: less than connecting may, so that it is told apart.
    #[cfg(feature = "tls")]
    pub(super) handshake: Duration,
}

impl Transport {
    /// Whether bytes travel as they are.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_self, reason = "none is encrypted"))]
    pub(super) const fn is_plain(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_none();
        #[cfg(not(feature = "tls"))]
        true
    }

    /// A stream to the first of the host's addresses that answers.
    pub(super) async fn connect(&self, host: &Host) -> io::Result<Stream> {
        let stream = self.tcp(host).await?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let silent = |_| Err(io::Error::new(io::ErrorKind::TimedOut, Told(NO_TLS)));
            let encrypted = timeout(self.handshake, tls.connect(&host.name, stream)).await;
            return Ok(Stream::Tls(Box::new(encrypted.unwrap_or_else(silent)?)));
        }
        Ok(Stream::Tcp(stream))
    }

    async fn tcp(&self, host: &Host) -> io::Result<TcpStream> {
        let unknown = |_| io::Error::new(io::ErrorKind::NotFound, Told(UNKNOWN));
        let addresses: Vec<_> =
            lookup_host((host.name.as_str(), host.port)).await.map_err(unknown)?.collect();
        if addresses.is_empty() {
            return Err(unknown(io::ErrorKind::NotFound.into()));
        }
        let attempts = addresses.into_iter().map(|address| Box::pin(TcpStream::connect(address)));
        let (stream, _) = select_ok(attempts).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(&self.keepalive)?;
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        socket.set_tcp_user_timeout(Some(self.user_timeout))?;
        Ok(stream)
    }
}

impl Stream {
    /// A stream to a socket of this machine.
    #[cfg(unix)]
    pub(super) async fn unix(path: &Path) -> io::Result<Self> {
        Ok(Self::Unix(tokio::net::UnixStream::connect(path).await?))
    }

    #[cfg(not(unix))]
    pub(super) async fn unix(_: &Path) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where it will stand why it ended.
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unused_self, reason = "what is not encrypted says nothing")
    )]
    pub(super) fn last_words(&self) -> LastWords {
        #[cfg(feature = "tls")]
        if let Self::Tls(stream) = self {
            return stream.last_words();
        }
        LastWords::default()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, into),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_set_up_as_it_was_asked_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (idle, unacknowledged) = (Duration::from_secs(41), Duration::from_secs(42));
        let transport = Transport {
            keepalive: TcpKeepalive::new().with_time(idle),
            user_timeout: unacknowledged,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "tls")]
            handshake: idle,
        };
        let stream = transport.tcp(&Host { name: "127.0.0.1".to_owned(), port }).await.expect("it listens");
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().expect("it is told") && stream.nodelay().expect("it is told"));
        assert_eq!(socket.tcp_keepalive_time().expect("it is told"), idle);
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        assert_eq!(socket.tcp_user_timeout().expect("it is told"), Some(unacknowledged));
    }
}
