//! What the cached calls of one scope depend on: their tags, and when the first of their values is fresh no more.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::ground::sync::lock;

/// What the cached calls inside [`Cache::gather`](crate::Cache::gather) depend on.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use cachemacro::Cache;
/// use std::time::Duration;
///
/// let cache = Cache::memory();
/// let user = cache.entry::<String>("user", 7).with_tags(["users"]).with_ttl(Duration::from_secs(60));
/// let load = || user.get_or_load(async || "Ada".to_owned());
/// load().await;
/// let (name, gathered) = cache.gather(load()).await;
/// assert_eq!((name.as_str(), gathered.len()), ("Ada", 1));
/// assert!(gathered.ttl().is_some_and(|left| left <= Duration::from_secs(60)));
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "what was gathered is of use to a fill"]
pub struct Gathered {
    tags: BTreeSet<u64>,
    ttl: Option<Duration>,
    unknown: bool,
}

impl Gathered {
    /// How many tags the calls' values carry, each once.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let ((), gathered) = cachemacro::Cache::memory().gather(async {}).await;
    /// assert_eq!(gathered.len(), 0);
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether there is no tag.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let ((), gathered) = cachemacro::Cache::memory().gather(async {}).await;
    /// assert!(gathered.is_empty());
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// The least of what remains of the values' TTLs; `None` where no call was made.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let ((), gathered) = cachemacro::Cache::memory().gather(async {}).await;
    /// assert_eq!(gathered.ttl(), None);
    /// # }
    /// ```
    pub const fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    /// Whether all tags are known. Those that come from the values of a sync function or of a batch are not.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let ((), gathered) = cachemacro::Cache::memory().gather(async {}).await;
    /// assert!(gathered.is_complete());
    /// # }
    /// ```
    pub const fn is_complete(&self) -> bool {
        !self.unknown
    }

    /// The hashes of the tags.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = u64> {
        self.tags.iter().copied()
    }
}

/// One scope, in which what calls of one cache depend on is gathered.
#[derive(Debug)]
pub(crate) struct Gathering {
    cache: u64,
    found: Mutex<Gathered>,
    outer: Option<Arc<Gathering>>,
}

impl Gathering {
    /// A scope for this cache, within the one that the task is in.
    pub(crate) fn new(cache: u64, outer: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { cache, found: Mutex::default(), outer })
    }

    /// What was gathered so far.
    pub(crate) fn found(&self) -> Gathered {
        lock(&self.found).clone()
    }

    /// A value of this cache carries these tags and stays fresh so long. Calls of other caches only shorten the time.
    pub(crate) fn depends(&self, cache: u64, tags: &(impl Iterator<Item = u64> + Clone), ttl: Duration) {
        self.each(|found, of| {
            found.ttl = Some(found.ttl.map_or(ttl, |least| least.min(ttl)));
            if of == cache {
                found.tags.extend(tags.clone());
            }
        });
    }

    /// Something was read that these tags are about, in whichever cache.
    pub(crate) fn reads(&self, tags: &[u64]) {
        self.each(|found, _| found.tags.extend(tags));
    }

    /// A value was made of all that is in this record.
    pub(crate) fn inherits(&self, record: &Gathered) {
        self.each(|found, _| {
            found.ttl = record.ttl.into_iter().chain(found.ttl).min();
            found.tags.extend(&record.tags);
            found.unknown |= record.unknown;
        });
    }

    /// A value may carry tags that are not known.
    pub(crate) fn unknown(&self) {
        self.each(|found, _| found.unknown = true);
    }

    fn each(&self, change: impl Fn(&mut Gathered, u64)) {
        let mut scope = Some(self);
        while let Some(gathering) = scope {
            change(&mut lock(&gathering.found), gathering.cache);
            scope = gathering.outer.as_deref();
        }
    }
}
