//! What a store found out about its server.

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::ground::sync::lock;

/// What a store found out about its server when it was connected to, or last asked for its health. What could not be told, because a right
/// is lacking, is `None`.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::ServerFacts;
///
/// let mut facts = ServerFacts::new();
/// facts.eviction_policy = Some("noeviction".to_owned());
/// assert_eq!(facts.persists, None, "not known");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerFacts {
    /// The server's version, where it is older than what is supported.
    pub too_old: Option<String>,
    /// What it does where its memory is full: `noeviction`, `allkeys-lru`.
    pub eviction_policy: Option<String>,
    /// How much memory it may take, in bytes; zero: as much as there is.
    pub memory_limit: Option<u64>,
    /// How many keys without a TTL the database has: none of them is this crate's.
    pub keys_without_ttl: Option<u64>,
    /// Whether it writes its data to disk, and comes back with them.
    pub persists: Option<bool>,
    /// Whether it was refused because it is a replica.
    pub replica: bool,
    /// Whether bytes travel to another host as they are.
    pub plaintext: bool,
}

impl ServerFacts {
    /// Nothing is known.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::ServerFacts;
    ///
    /// assert_eq!(ServerFacts::new(), ServerFacts::default());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
}

/// Who is told of what was found out; false where nobody is there any more.
type Told = Arc<dyn Fn(&ServerFacts) -> bool + Send + Sync>;

/// The server of a store as far as it was looked at, from [`Store::server`](crate::store::Store::server).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{Server, ServerFacts};
///
/// let server = Server::new();
/// assert_eq!(server.facts(), None, "not looked at yet");
/// server.found(ServerFacts::new());
/// assert_eq!(server.facts(), Some(ServerFacts::new()));
/// ```
#[derive(Default)]
pub struct Server {
    facts: Mutex<Option<ServerFacts>>,
    told: Mutex<Vec<Told>>,
}

impl Server {
    /// One that was not looked at yet.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::store::Server::new().facts(), None);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// What was found out last; `None` where it was not looked at yet.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn log(server: &cachemacro::store::Server) {
    /// println!("{:?}", server.facts().and_then(|facts| facts.eviction_policy));
    /// # }
    /// ```
    pub fn facts(&self) -> Option<ServerFacts> {
        lock(&self.facts).clone()
    }

    /// The store has looked at it. Caches log what is wrong, once.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Server, ServerFacts};
    ///
    /// let server = Server::new();
    /// server.found(ServerFacts::new());
    /// assert!(server.facts().is_some());
    /// ```
    pub fn found(&self, facts: ServerFacts) {
        let found = facts.clone();
        *lock(&self.facts) = Some(facts);
        let all = lock(&self.told).clone();
        let gone: Vec<_> = all.iter().filter(|told| !told(&found)).collect();
        if !gone.is_empty() {
            lock(&self.told).retain(|told| !gone.iter().any(|gone| Arc::ptr_eq(gone, told)));
        }
    }

    /// Has somebody told of what is found out, until that gives false; at once where it was.
    pub(crate) fn tell(&self, told: impl Fn(&ServerFacts) -> bool + Send + Sync + 'static) {
        let told: Told = Arc::new(told);
        lock(&self.told).push(Arc::clone(&told));
        if let Some(facts) = self.facts() {
            told(&facts);
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("facts", &*lock(&self.facts)).finish_non_exhaustive()
    }
}
