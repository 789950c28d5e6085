//! The settings of a [`RedisStore`](super::RedisStore). They hold a password and therefore never print the URL.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::io::tcp::socket2::TcpKeepalive;

use super::credentials::{Credentials, Login};
use super::endpoint::{Base, Endpoint, Where};
use super::epoch::Epoch;
#[cfg(feature = "sentinel")]
use super::sentinel::Sentinels;
use super::stream::Transport;
#[cfg(feature = "tls")]
use super::tls::{Tls, TlsConfig};
use super::upkeep::Upkeep;
use super::url::{self, Place, Target, refused};
use crate::format::stamps::VersionKey;
use crate::ground::error::Result;

/// How long one round trip may take where nothing else is said.
const COMMAND_TIMEOUT: Duration = Duration::from_millis(250);
/// The longest time that a setting takes: more would overflow when added to others, or is not what was meant.
pub(crate) const LONGEST: Duration = Duration::from_secs(60 * 60);
/// The most connections that a setting takes: room is made for all of them at once.
pub(crate) const MOST: usize = 10_000;

/// How to reach one Redis or Valkey server, and how long to wait for it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::redis::{RedisConfig, RedisStore};
/// use std::time::Duration;
///
/// let config = RedisConfig::new("redis://:secret@localhost:6379/0").command_timeout(Duration::from_millis(100));
/// assert!(!format!("{config:?}").contains("secret"));
/// let store = RedisStore::new(config)?; // opens nothing yet
/// # Ok::<(), cachemacro::Error>(())
/// ```
#[derive(Clone)]
pub struct RedisConfig {
    url: String,
    pub(super) connect_timeout: Duration,
    pub(crate) command_timeout: Duration,
    pub(super) pool_wait: Duration,
    pub(super) pool_size: usize,
    pub(super) handles: usize,
    keepalive: Duration,
    user_timeout: Duration,
    pub(super) push: bool,
    /// Who logs in, where that is not what the URL says.
    login: Login,
    #[cfg(feature = "tls")]
    tls: Option<TlsConfig>,
    pub(super) upkeep: Upkeep,
    /// Where the server's id is kept, where it is.
    pub(super) epoch: Option<Epoch>,
    /// How many replicas have to have an evict before it is done.
    pub(super) evict_replicas: usize,
    /// Whether a new connection has the server remember the scripts.
    pub(super) load_scripts: bool,
}

impl RedisConfig {
    /// Settings for the server at `url`: `redis://[user][:password@]host[:port][/database]`, with TLS `rediss://`, by way of Sentinel
    /// `redis+sentinel://host,host/name`, a cluster `redis+cluster://host,host`, or `unix:///path/to/socket[?db=0&user=…&password=…]`; `valkey` means the same as `redis`. See
    /// [the guide](https://github.com/cachemacro/cachemacro/blob/main/docs/providers.md).
    ///
    /// The URL is checked by [`RedisStore::new`](super::RedisStore::new).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    ///
    /// for url in ["redis://:secret@localhost:6379/2", "valkey://10.0.0.7", "unix:///run/redis.sock?db=1"] {
    ///     RedisStore::new(RedisConfig::new(url))?;
    /// }
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connect_timeout: Duration::from_secs(1),
            command_timeout: COMMAND_TIMEOUT,
            pool_wait: Duration::from_millis(250),
            pool_size: 4,
            handles: 1,
            keepalive: Duration::from_secs(15),
            user_timeout: Duration::from_secs(10),
            push: true,
            login: Login::Nobody,
            #[cfg(feature = "tls")]
            tls: None,
            upkeep: Upkeep::default(),
            epoch: None,
            evict_replicas: 0,
            load_scripts: true,
        }
    }

    /// How long opening a connection may take, name lookup and authentication included. Default: 1 s.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    /// use std::time::Duration;
    ///
    /// let config = RedisConfig::new("redis://localhost");
    /// RedisStore::new(config.clone().connect_timeout(Duration::from_millis(300)))?;
    /// assert!(RedisStore::new(config.connect_timeout(Duration::ZERO)).is_err(), "above zero, at most an hour");
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one round trip may take. Default: 250 ms.
    ///
    /// An evict may take three times as long in all: it is sent again where its connection went silent, and waits while no
    /// connection can be had.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    /// use std::time::Duration;
    ///
    /// let config = RedisConfig::new("redis://localhost").command_timeout(Duration::from_millis(100));
    /// let store = RedisStore::new(config)?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

    /// How long to wait for a pooled connection, and for a reconnect after one has failed. Default: 250 ms.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    /// use std::time::Duration;
    ///
    /// let config = RedisConfig::new("redis://localhost").pool_wait(Duration::from_millis(500));
    /// let store = RedisStore::new(config)?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn pool_wait(mut self, timeout: Duration) -> Self {
        self.pool_wait = timeout;
        self
    }

    /// How many pooled connections serve what needs one to itself, such as scans: 1 to 10,000. Default: 4.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    ///
    /// let config = RedisConfig::new("redis://localhost");
    /// assert!(RedisStore::new(config.clone().pool_size(8)).is_ok());
    /// assert!(RedisStore::new(config.pool_size(0)).is_err());
    /// ```
    #[must_use]
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections;
        self
    }

    /// Over how many connections, shared by all tasks of a runtime, ordinary commands are spread: 1 to 10,000. Default: 1, over
    /// which most reads go together.
    ///
    /// Each tokio runtime that uses the store has as many of its own, which end with it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    ///
    /// let config = RedisConfig::new("redis://localhost");
    /// assert!(RedisStore::new(config.clone().handles(8)).is_ok());
    /// assert!(RedisStore::new(config.handles(0)).is_err());
    /// ```
    #[must_use]
    pub fn handles(mut self, connections: usize) -> Self {
        self.handles = connections;
        self
    }

    /// How long a connection may be idle before TCP probes whether the peer is there. Default: 15 s.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    /// use std::time::Duration;
    ///
    /// let config = RedisConfig::new("redis://localhost").keepalive(Duration::from_secs(30));
    /// let store = RedisStore::new(config)?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn keepalive(mut self, idle: Duration) -> Self {
        self.keepalive = idle;
        self
    }

    /// How long sent bytes may stay unacknowledged before TCP gives the connection up (Linux and Android).
    /// Default: 10 s.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    /// use std::time::Duration;
    ///
    /// let config = RedisConfig::new("redis://localhost").user_timeout(Duration::from_secs(5));
    /// let store = RedisStore::new(config)?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn user_timeout(mut self, timeout: Duration) -> Self {
        self.user_timeout = timeout;
        self
    }

    /// Whether waiters are woken by the server's push (client tracking over RESP3), on one more connection.
    /// Where the server does not offer it, they poll. Default: true.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    ///
    /// let polling = RedisConfig::new("redis://localhost").push(false);
    /// let store = RedisStore::new(polling)?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn push(mut self, push: bool) -> Self {
        self.push = push;
        self
    }

    /// Has `provider` asked who logs in, at each connection that is opened: for passwords that change and tokens that expire. Its time
    /// is part of the [`connect_timeout`](Self::connect_timeout), so a token that is slow to get is kept by its provider.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{Credentials, RedisConfig, RedisStore};
    ///
    /// async fn token() -> cachemacro::Result<Credentials> {
    ///     Ok(Credentials::new("shop", "a token of now"))
    /// }
    ///
    /// let store = RedisStore::new(RedisConfig::new("redis://cache.internal").credentials(token))?;
    /// let twice = RedisConfig::new("redis://:password@cache.internal").credentials(token);
    /// assert!(RedisStore::new(twice).is_err(), "the URL says who logs in");
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn credentials<F, G>(mut self, provider: F) -> Self
    where
        F: Fn() -> G + Send + Sync + 'static,
        G: Future<Output = Result<Credentials>> + Send + 'static,
    {
        self.login = Login::asking(provider);
        self
    }

    /// How a `rediss://` URL proves who is who; needs the feature `tls`. Default: what the URL says, else the platform's CAs.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore, TlsConfig};
    ///
    /// let tls = TlsConfig::new().server_name("cache.internal");
    /// assert!(RedisStore::new(RedisConfig::new("rediss://10.0.0.7").tls(tls.clone())).is_ok());
    /// let plain = RedisConfig::new("redis://10.0.0.7").tls(tls);
    /// assert!(RedisStore::new(plain).is_err(), "never by accident without");
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Keeps the server's id under this key.
    pub(crate) fn with_epoch(mut self, key: VersionKey) -> Self {
        self.epoch = Some(Epoch::Written(key));
        self
    }

    /// The settings of one node of a cluster.
    #[cfg(feature = "cluster")]
    pub(super) fn of_a_node(mut self) -> Self {
        self.epoch = self.epoch.map(|_| Epoch::Known);
        self
    }

    /// Whether this is a cluster, going by the URL.
    #[cfg(feature = "cluster")]
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(url::parse(&self.url), Ok(Target { place: Place::Cluster(_), .. }))
    }

    /// The same for the server at `url`.
    pub(crate) fn at(mut self, url: String) -> Self {
        self.url = url;
        self
    }

    /// Checks the URL, which is not shown where it is wrong.
    pub(crate) fn check_url(&self) -> Result<()> {
        url::parse(&self.url).map(drop)
    }

    /// Checks everything that can be checked without a server.
    pub(super) fn start(&self) -> Result<Start> {
        for (setting, value) in [
            ("connect timeout", self.connect_timeout),
            ("command timeout", self.command_timeout),
            ("pool wait", self.pool_wait),
            ("keepalive", self.keepalive),
            ("user timeout", self.user_timeout),
            ("delay of a retry", self.upkeep.retry_delay),
            ("health interval", self.upkeep.health_interval.unwrap_or(LONGEST)),
            ("longest life", self.upkeep.max_life.map_or(LONGEST, |life| life.min(LONGEST))),
        ] {
            if value.is_zero() {
                return Err(refused(format!("the {setting} must not be zero")));
            }
            if value > LONGEST {
                return Err(refused(format!("the {setting} must not be longer than an hour")));
            }
        }
        for (setting, value) in [("pool size", self.pool_size), ("number of handles", self.handles)] {
            if !(1..=MOST).contains(&value) {
                return Err(refused(format!("the {setting} must be from 1 to {MOST}")));
            }
        }
        if self.upkeep.pool_min > self.pool_size {
            return Err(refused("the least number of pooled connections must not be above the pool size"));
        }
        if self.upkeep.retry_budget > 100 {
            return Err(refused("the retry budget is a percentage from 0 to 100"));
        }
        let target = url::parse(&self.url)?;
        let Target { place, login, database, protocol, .. } = target;
        let login = match (login, &self.login) {
            (login, Login::Nobody) => login,
            (Login::Nobody, asked) => asked.clone(),
            _ => return Err(refused("the Redis URL has credentials, and there is a provider of them too")),
        };
        let transport = Arc::new(Transport {
            keepalive: self.tcp_keepalive(),
            user_timeout: self.user_timeout,
            #[cfg(feature = "tls")]
            tls: self.encryption(target.tls)?,
            #[cfg(feature = "tls")]
            handshake: self.connect_timeout.mul_f64(0.75),
        });
        let base = Base { transport, login, database, protocol };
        let place = match place {
            Place::One(host) => Where::One(host),
            Place::Socket(path) => Where::Socket(path),
            #[cfg(feature = "sentinel")]
            Place::Sentinels(parts) => Where::Watched(Arc::new(Sentinels::new(parts, self.connect_timeout))),
            #[cfg(feature = "cluster")]
            Place::Cluster(seeds) => return Ok(Start::Cluster(base, seeds)),
        };
        Ok(Start::One(Endpoint { place, base }))
    }

    /// The endpoint of one server.
    #[cfg(test)]
    pub(super) fn endpoint(&self) -> Result<Endpoint> {
        match self.start()? {
            Start::One(endpoint) => Ok(endpoint),
            #[cfg(feature = "cluster")]
            Start::Cluster(..) => Err(refused("a cluster")),
        }
    }

    /// What encrypts connections, where the URL asks for that.
    #[cfg(feature = "tls")]
    fn encryption(&self, asked: Option<url::TlsParts>) -> Result<Option<Tls>> {
        let tls = match (asked, &self.tls) {
            (None, None) => return Ok(None),
            (None, Some(_)) => {
                return Err(refused("there are settings for TLS, and the Redis URL is not rediss://"));
            }
            (Some(parts), None) => TlsConfig::read(parts)?,
            (Some(parts), Some(tls)) if parts == url::TlsParts::default() => tls.clone(),
            _ => {
                return Err(refused(
                    "the Redis URL has parameters of TLS, and there are settings for it too",
                ));
            }
        };
        tls.prepare().map(Some)
    }

    /// In whole seconds: the system refuses zero, and with it the connection.
    fn tcp_keepalive(&self) -> TcpKeepalive {
        let second = Duration::from_secs(1);
        TcpKeepalive::new()
            .with_time(self.keepalive.max(second))
            .with_interval((self.keepalive / 3).max(second))
    }
}

/// What settings name.
pub(super) enum Start {
    One(Endpoint),
    /// A cluster, and the nodes of it that are known at first.
    #[cfg(feature = "cluster")]
    Cluster(Base, Vec<url::Host>),
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("connect_timeout", &self.connect_timeout)
            .field("command_timeout", &self.command_timeout)
            .field("pool_wait", &self.pool_wait)
            .field("pool_size", &self.pool_size)
            .field("handles", &self.handles)
            .field("keepalive", &self.keepalive)
            .field("user_timeout", &self.user_timeout)
            .field("push", &self.push)
            .field("login", &self.login)
            .field("upkeep", &self.upkeep)
            .field("evict_replicas", &self.evict_replicas)
            .field("load_scripts", &self.load_scripts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::error::ErrorKind;

    #[test]
    fn connections_are_kept_alive_and_dead_ones_noticed() {
        let config = RedisConfig::new("redis://h").keepalive(Duration::from_secs(9));
        let transport =
            config.user_timeout(Duration::from_secs(7)).endpoint().expect("acceptable").base.transport;
        assert!(format!("{:?}", transport.keepalive).contains("9s"), "{transport:?}");
        assert_eq!(transport.user_timeout, Duration::from_secs(7));
    }

    #[test]
    fn settings_that_would_never_answer_are_refused() {
        let config = || RedisConfig::new("redis://localhost");
        for config in [
            config().connect_timeout(Duration::ZERO),
            config().command_timeout(Duration::ZERO),
            config().pool_wait(Duration::ZERO),
            config().keepalive(Duration::ZERO),
            config().user_timeout(Duration::ZERO),
            config().pool_size(0),
            config().handles(0),
            config().pool_min(5),
            config().health_interval(Duration::ZERO),
            config().max_life(Duration::ZERO),
            config().retry_delay(Duration::ZERO),
            config().retry_budget(101),
        ] {
            assert_eq!(config.endpoint().expect_err("refused").kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn settings_that_would_overflow_are_refused() {
        let config = || RedisConfig::new("redis://localhost");
        for config in [
            config().connect_timeout(Duration::MAX),
            config().command_timeout(Duration::MAX),
            config().pool_wait(Duration::MAX),
            config().keepalive(Duration::MAX),
            config().user_timeout(Duration::MAX),
            config().pool_size(usize::MAX),
            config().pool_size(MOST + 1),
            config().handles(usize::MAX),
            config().handles(MOST + 1),
        ] {
            assert_eq!(config.endpoint().expect_err("refused").kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn the_system_takes_the_shortest_and_the_longest_keepalive() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let stream =
            std::net::TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let socket = redis::io::tcp::socket2::SockRef::from(&stream);
        for keepalive in [Duration::from_millis(1), Duration::from_secs(2), LONGEST] {
            let config = RedisConfig::new("redis://localhost").keepalive(keepalive);
            socket.set_tcp_keepalive(&config.tcp_keepalive()).expect("acceptable to the system");
        }
    }

    #[test]
    fn one_server_and_database_is_one_place_whoever_logs_in() {
        let place = |url: &str| RedisConfig::new(url).endpoint().expect("acceptable").identity();
        for same in ["redis://127.0.0.1", "valkey://u:hunter2@LOCALHOST:6379/0", "redis://[::1]:6379"] {
            assert_eq!(place("redis://localhost"), place(same), "{same}");
        }
        assert_eq!(place("redis://Cache1/2"), place("redis://:hunter2@cache1:6379/2"));
        assert_eq!(place("unix:///a?db=1"), place("unix:///a?db=1&pass=hunter2"));
        let others =
            ["redis://h", "redis://h:6380", "redis://h/1", "redis://i", "unix:///h", "unix:///h?db=1"];
        let places: std::collections::HashSet<u64> = others.into_iter().map(place).collect();
        assert_eq!(places.len(), others.len());
        let address = |url: &str| RedisConfig::new(url).endpoint().expect("acceptable").address();
        assert_eq!(address("redis://h"), address("redis://u:p@h/1"), "attempts are counted for the server");
        assert_ne!(address("redis://h"), address("redis://h:6380"));
    }

    #[test]
    fn what_leaves_this_host_as_it_is_is_told() {
        let is_plain = |url: &str| RedisConfig::new(url).endpoint().expect("acceptable").is_plaintext();
        for own in ["redis://LOCALHOST", "redis://127.0.0.7", "redis://[::1]:7", "unix:///a"] {
            assert!(!is_plain(own), "{own}");
        }
        assert!(is_plain("redis://cache1") && is_plain("redis://10.0.0.7"));
    }

    #[test]
    fn debug_shows_neither_url_nor_password() {
        let shown = format!("{:?}", RedisConfig::new("redis://user:hunter2@cachehost"));
        assert!(
            !shown.contains("hunter2") && !shown.contains("cachehost") && !shown.contains("user:"),
            "{shown}"
        );
    }
}
