//! The server of a store: where it is, how it is spoken to, and who logs in. Every connection begins here, whoever speaks on it.

use std::sync::Arc;

use redis::{ProtocolVersion, RedisConnectionInfo};
use xxhash_rust::xxh3::xxh3_64;

use super::credentials::{Login, greeting};
use super::failure;
#[cfg(feature = "sentinel")]
use super::sentinel::Sentinels;
use super::stream::{Stream, Transport};
use super::url::Host;
use crate::ground::error::Result;

/// Where connections lead and how they begin.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) place: Where,
    pub(super) base: Base,
}

/// How connections begin, wherever they lead.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) transport: Arc<Transport>,
    pub(super) login: Login,
    pub(super) database: i64,
    pub(super) protocol: ProtocolVersion,
}

/// Who is connected to.
#[derive(Debug, Clone)]
pub(super) enum Where {
    One(Host),
    Socket(std::path::PathBuf),
    #[cfg(feature = "sentinel")]
    Watched(Arc<Sentinels>),
}

/// A stream, and what is said on it first.
pub(super) struct Opened {
    pub(super) stream: Stream,
    pub(super) greeting: RedisConnectionInfo,
}

impl Endpoint {
    /// A stream to the server as it is now, with the credentials of now.
    pub(super) async fn open(&self) -> Result<Opened> {
        let unreached = |error: std::io::Error| failure::unreached(&error);
        let stream = match &self.place {
            Where::One(host) => self.base.transport.connect(host).await.map_err(unreached)?,
            Where::Socket(path) => Stream::unix(path).await.map_err(unreached)?,
            #[cfg(feature = "sentinel")]
            Where::Watched(sentinels) => {
                let primary = sentinels.primary(&self.base.transport).await?;
                self.base.transport.connect(&primary).await.map_err(unreached)?
            }
        };
        let credentials = self.base.login.ask().await?;
        let greeting = greeting(credentials.as_ref(), self.base.protocol).set_db(self.base.database);
        Ok(Opened { stream, greeting })
    }

    /// The same, spoken to in RESP3, which pushes need.
    pub(super) async fn open_for_pushes(&self) -> Result<Opened> {
        let Opened { stream, greeting } = self.open().await?;
        Ok(Opened { stream, greeting: greeting.set_protocol(ProtocolVersion::RESP3) })
    }

    /// A number for server and database, whoever logs in there. Names of the own host count as one.
    pub(super) fn identity(&self) -> u64 {
        xxh3_64(format!("{}/{}", self.place(), self.base.database).as_bytes())
    }

    /// A number for the server, whichever of its databases is meant.
    pub(super) fn address(&self) -> u64 {
        xxh3_64(self.place().as_bytes())
    }

    /// Whether bytes travel to another host as they are.
    pub(super) fn is_plaintext(&self) -> bool {
        if !self.base.transport.is_plain() {
            return false;
        }
        match &self.place {
            Where::One(host) => !host.is_own(),
            Where::Socket(_) => false,
            #[cfg(feature = "sentinel")]
            Where::Watched(sentinels) => !sentinels.hosts().iter().all(Host::is_own),
        }
    }

    fn place(&self) -> String {
        match &self.place {
            Where::One(host) if host.is_own() => format!("localhost:{}", host.port),
            Where::One(Host { name, port }) => format!("{}:{port}", name.to_ascii_lowercase()),
            Where::Socket(path) => format!("unix:{}", path.display()),
            #[cfg(feature = "sentinel")]
            Where::Watched(sentinels) => sentinels.identity(),
        }
    }
}
