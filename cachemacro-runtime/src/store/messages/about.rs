//! What a store says of itself.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// What a store is, from [`Store::about`](crate::store::Store::about).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{About, Store, memory::MemoryStore};
///
/// assert_eq!(MemoryStore::new().about(), About::new("memory"));
/// assert!(About::new("disk").with_shared(true).shared);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct About {
    /// The store's name, as logs and health show it: `memory`, `redis`.
    pub name: &'static str,
    /// Whether others may use the same store: other processes, other applications. A cache on a shared store wants a
    /// namespace, and without one does not clear it.
    pub shared: bool,
    /// How long an operation may take until its caller is told that it failed, though it may still be carried out; `None`: what
    /// has failed, or whose future was dropped, is carried out no more.
    pub patience: Option<Duration>,
    /// Where the store's data are: two stores that tell the same number here, in one process, are two ways to one place.
    /// `None` where the store is a place of its own.
    pub identity: Option<u64>,
}

impl About {
    /// A store of this name that nobody else uses.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::About;
    ///
    /// const ABOUT: About = About::new("heap");
    /// assert_eq!((ABOUT.name, ABOUT.shared), ("heap", false));
    /// ```
    pub const fn new(name: &'static str) -> Self {
        Self { name, shared: false, patience: None, identity: None }
    }

    /// Says whether others may use it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::About;
    ///
    /// assert!(About::new("sql").with_shared(true).shared);
    /// ```
    #[must_use]
    pub const fn with_shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// Operations of a store that takes them to a server: each has failed after so long.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::About;
    /// use std::time::Duration;
    ///
    /// let half_a_second = Duration::from_millis(500);
    /// assert_eq!(About::new("rows").with_patience(half_a_second).patience, Some(half_a_second));
    /// ```
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Says where the data are, as a hash of what names the place, without secrets. Caches that are on one place and in one
    /// namespace know each other's evicts that are still to be sent.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::About;
    ///
    /// let about = |host| About::new("sql").with_identity(xxhash_rust::xxh3::xxh3_64(host));
    /// assert_eq!(about(b"db1:5432/shop"), about(b"db1:5432/shop"));
    /// assert_ne!(about(b"db1:5432/shop"), about(b"db2:5432/shop"));
    /// ```
    #[must_use]
    pub const fn with_identity(mut self, identity: u64) -> Self {
        self.identity = Some(identity);
        self
    }
}

/// How a store is, from [`Store::health`](crate::store::Store::health).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{Store, memory::MemoryStore};
///
/// let health = MemoryStore::new().health().await?;
/// assert_eq!((health.name, health.server), ("memory", None));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoreHealth {
    /// The store's name: `memory`, `redis`.
    pub name: &'static str,
    /// The server's own name and version, where there is one.
    pub server: Option<String>,
    /// How long the check took; serialized in seconds.
    #[serde(serialize_with = "seconds")]
    pub latency: Duration,
    /// What the server says of its memory and role, where it may be asked.
    pub figures: Option<ServerFigures>,
    /// The commands that the server refused so far because the user may not run them, or it does not have them: what its access list
    /// lacks, or it itself.
    pub refused: Vec<String>,
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// What a server says of itself. What it does not tell is zero, or empty.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::ServerFigures;
///
/// let told = "used_memory:950\r\nmaxmemory:1000\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n";
/// let figures = ServerFigures::from_info(told);
/// assert_eq!((figures.max_memory, figures.policy.as_str(), figures.is_full()), (1_000, "noeviction", true));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerFigures {
    /// Bytes in use.
    pub used_memory: u64,
    /// Bytes that may be in use; zero: as many as there are.
    pub max_memory: u64,
    /// What goes when there is no more room, such as `allkeys-lru`, or `noeviction`: new values are refused.
    pub policy: String,
    /// How many keys went because there was no more room.
    pub evicted_keys: u64,
    /// `master` or `slave`.
    pub role: String,
}

impl ServerFigures {
    /// From the text that Redis and Valkey give for `INFO`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let figures = cachemacro::store::ServerFigures::from_info("# Stats\r\nevicted_keys:7\r\n");
    /// assert_eq!(figures.evicted_keys, 7);
    /// ```
    pub fn from_info(info: &str) -> Self {
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_default().trim()
        };
        let number = |name: &str| field(name).parse().unwrap_or_default();
        Self {
            used_memory: number("used_memory"),
            max_memory: number("maxmemory"),
            policy: field("maxmemory_policy").to_owned(),
            evicted_keys: number("evicted_keys"),
            role: field("role").to_owned(),
        }
    }

    /// Whether it is about to refuse new values: nothing is evicted, and 95 % of the memory is in use.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::ServerFigures;
    ///
    /// let full = |policy| ServerFigures::from_info(&format!("used_memory:99\nmaxmemory:100\nmaxmemory_policy:{policy}")).is_full();
    /// assert!(full("noeviction") && !full("allkeys-lru"));
    /// ```
    pub fn is_full(&self) -> bool {
        self.policy == "noeviction"
            && self.max_memory > 0
            && u128::from(self.used_memory) * 100 >= u128::from(self.max_memory) * 95
    }
}

impl StoreHealth {
    /// A report of the store of this name.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::StoreHealth;
    /// use std::time::Duration;
    ///
    /// let health = StoreHealth::new("disk", Some("ext4".to_owned()), Duration::from_millis(2));
    /// assert_eq!(health.latency.as_millis(), 2);
    /// ```
    pub const fn new(name: &'static str, server: Option<String>, latency: Duration) -> Self {
        Self { name, server, latency, figures: None, refused: Vec::new() }
    }

    /// With what the server says of itself.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{ServerFigures, StoreHealth};
    /// use std::time::Duration;
    ///
    /// let figures = ServerFigures::from_info("role:master");
    /// let health = StoreHealth::new("redis", None, Duration::ZERO).with_figures(figures.clone());
    /// assert_eq!(health.figures, Some(figures));
    /// ```
    #[must_use]
    pub fn with_figures(mut self, figures: ServerFigures) -> Self {
        self.figures = Some(figures);
        self
    }

    /// The same where the server refused these commands to the user.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::StoreHealth;
    /// use std::time::Duration;
    ///
    /// let health = StoreHealth::new("redis", None, Duration::ZERO).with_refused(vec!["info".to_owned()]);
    /// assert_eq!(health.refused, ["info"]);
    /// ```
    #[must_use]
    pub fn with_refused(mut self, commands: Vec<String>) -> Self {
        self.refused = commands;
        self
    }
}
