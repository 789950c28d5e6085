//! Evicts that had not reached the store when its cache was shut down, as plain data.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::engine::core::Core;
use crate::engine::evict::Attempt;
use crate::engine::targets::Targets;
use crate::format::stamps::{BUCKETS, TagKeys, any_key, version_key};
use crate::ground::error::{Error, ErrorKind, Result};

/// Evicts that had not reached the store when the cache was shut down, from [`Cache::shutdown`](crate::Cache::shutdown). What they were
/// to remove may be served by other processes, and by the next one, until its TTL ends.
///
/// They are plain data, of one namespace: written down, they can be [delivered](crate::Cache::deliver) by another process.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cachemacro::{Cache, Undelivered};
///
/// if let Err(undelivered) = Cache::memory().shutdown().await {
///     eprintln!("{undelivered}"); // how many there are, and why
///     std::fs::write("evicts.json", serde_json::to_string(&undelivered)?)?;
/// }
/// // At the next start:
/// if let Ok(text) = std::fs::read_to_string("evicts.json") {
///     Cache::memory().deliver(&serde_json::from_str::<Undelivered>(&text)?).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undelivered {
    namespace: String,
    keys: Vec<String>,
    /// By the hashes of their names.
    tags: Vec<u64>,
    prefixes: Vec<String>,
    all: bool,
    #[serde(skip)]
    why: Option<ErrorKind>,
}

impl Undelivered {
    pub(crate) fn new(namespace: &str, targets: Targets, all: bool, why: Option<ErrorKind>) -> Self {
        let Targets { mut keys, tags, mut prefixes } = targets;
        let mut tags: Vec<u64> = tags.iter().map(|tag| tag.tag.hash).collect();
        keys.sort_unstable();
        tags.sort_unstable();
        prefixes.sort_unstable();
        Self { namespace: namespace.to_owned(), keys, tags, prefixes, all, why }
    }

    /// How many keys, tags and prefixes are named.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn log(undelivered: &cachemacro::Undelivered) {
    /// eprintln!("{} evicts are lost", undelivered.count());
    /// # }
    /// ```
    pub fn count(&self) -> usize {
        self.keys.len() + self.tags.len() + self.prefixes.len()
    }

    /// Whether everything was to go, because too many were kept to name each.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn log(undelivered: &cachemacro::Undelivered) {
    /// if undelivered.is_everything() {
    ///     eprintln!("the namespace is to be cleared");
    /// }
    /// # }
    /// ```
    pub const fn is_everything(&self) -> bool {
        self.all
    }

    /// Why the last attempt failed; `None` where there was none, as after it was read.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn log(undelivered: &cachemacro::Undelivered) {
    /// eprintln!("{:?}", undelivered.why());
    /// # }
    /// ```
    pub const fn why(&self) -> Option<ErrorKind> {
        self.why
    }
}

// Keys may be secrets.
impl fmt::Debug for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undelivered")
            .field("keys", &self.keys.len())
            .field("tags", &self.tags.len())
            .field("prefixes", &self.prefixes.len())
            .field("all", &self.all)
            .field("why", &self.why)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all {
            f.write_str("too many evicts did not reach the store: its namespace is to be cleared")?;
        } else {
            write!(f, "{} evicted keys, tags and prefixes did not reach the store", self.count())?;
        }
        match self.why {
            Some(why) => write!(f, ", for the reason `{why}`"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Undelivered {}

impl Core {
    /// Sends what is kept once more; what the store has still not acknowledged.
    pub(crate) async fn deliver_kept(&self) -> Option<Undelivered> {
        let why = self.replay_last().await.map(|error| error.kind());
        let (targets, all) = self.unacknowledged().names();
        (all || !targets.is_empty()).then(|| Undelivered::new(self.namespace(), targets, all, why))
    }

    /// Sends what another cache of this namespace could not.
    pub(crate) async fn deliver(self: &Arc<Self>, undelivered: &Undelivered) -> Result<()> {
        if undelivered.namespace != self.namespace() {
            return Err(Error::new(ErrorKind::Config, "these evicts are of another namespace"));
        }
        let namespace = self.namespace();
        let tag =
            |hash: &u64| TagKeys::new(version_key(namespace, *hash), any_key(namespace, hash % BUCKETS));
        // By the names of this cache: who could not send them may not have known what is sealed.
        let inside = |key: &String| {
            key.strip_prefix(namespace).and_then(|key| key.strip_prefix(':')).map(str::to_owned)
        };
        let named = Targets {
            keys: undelivered
                .keys
                .iter()
                .map(|key| inside(key).map_or_else(|| key.clone(), |key| self.full_name(&key)))
                .collect(),
            tags: undelivered.tags.iter().map(tag).collect(),
            prefixes: undelivered.prefixes.clone(),
        };
        let targets = if undelivered.all { self.everything().ok_or_else(no_namespace)? } else { named };
        self.remove(targets.parts(), None, Attempt::Final).await.map(drop)
    }
}

/// What is everything is not told from others' keys.
pub(crate) fn no_namespace() -> Error {
    Error::new(ErrorKind::Config, "to clear a shared store needs a namespace")
}
