//! What a store says of itself.

use std::time::Duration;

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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// The store's name: `memory`, `redis`.
    pub name: &'static str,
    /// The server's own name and version, where there is one.
    pub server: Option<String>,
    /// How long the check took.
    pub latency: Duration,
    /// The commands that the server refused so far because the user may not run them: what its access list lacks.
    pub refused: Vec<String>,
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
        Self { name, server, latency, refused: Vec::new() }
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
