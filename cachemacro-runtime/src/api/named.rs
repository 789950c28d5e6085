//! Counters under a name of one's own, for what is done by hand: a route, a job, a kind of message.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use crate::api::cache::Cache;
use crate::api::entry::Meta;
use crate::engine::core::Core;
use crate::engine::entry::Entry;
use crate::engine::evict::Evict;
use crate::ground::sync::lock;
use crate::observe::event::Event;
use crate::policy::outcome::Value;
use crate::policy::says::Says;
use crate::policy::site::Site;
use crate::policy::ttl::Policy;

/// A name under which a cache counts what is done by hand, as it counts what a function does that has an attribute: in
/// [`CacheStats::sites`](crate::CacheStats), in events, metrics and reports. From [`Cache::named`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Lookup};
///
/// let cache = Cache::memory();
/// let rates = cache.named("rates").value("f64").key("{currency}").tags(["rate:{currency}"]);
/// let entry = cache.entry::<f64>("rate", "EUR").with_tags(["rate:EUR"]).counted_at(&rates);
/// for _ in 0..2 {
///     if let Lookup::Vacant(vacancy) = entry.lookup().await? {
///         let rate = rates.run(async { 0.95 }).await;
///         assert!(vacancy.fill(&rate).await?.is_stored());
///     }
/// }
/// let stats = cache.stats();
/// let counted = stats.site("rates").expect("something was counted");
/// assert_eq!((counted.hits, counted.loads, counted.fills), (1, 1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Named {
    core: Arc<Core>,
    about: About,
    site: OnceLock<&'static Site>,
}

/// What tools show of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct About {
    name: String,
    value: String,
    key: Option<String>,
    tags: Vec<String>,
    writes: Vec<String>,
}

impl About {
    /// The one site of all that say the same.
    fn site(&self) -> &'static Site {
        static SITES: Mutex<Option<HashMap<About, &'static Site>>> = Mutex::new(None);
        let mut sites = lock(&SITES);
        let sites = sites.get_or_insert_default();
        if let Some(site) = sites.get(self) {
            return site;
        }
        let says = Says {
            value: kept(&self.value),
            key: self.key.as_deref().map(kept),
            codec: None,
            tags: all_kept(&self.tags),
            entry: None,
            writes: all_kept(&self.writes),
            queue: None,
        };
        let site: &'static Site =
            Box::leak(Box::new(Site::new("", kept(&self.name), (0, 0, 0), None, Policy::new(), says)));
        sites.insert(self.clone(), site);
        site
    }
}

fn kept(text: &str) -> &'static str {
    Box::leak(Box::from(text))
}

fn all_kept(texts: &[String]) -> &'static [&'static str] {
    let texts: Vec<&'static str> = texts.iter().map(|text| kept(text)).collect();
    Box::leak(texts.into_boxed_slice())
}

impl Cache {
    /// Counters under this name. What tools show of it is said before it counts; of two in one cache that say different things under
    /// one name, that of the first to count is shown. A name is kept as long as the process runs: make them of code, not of data.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// cache.named("nightly").run(async {}).await;
    /// assert_eq!(cache.stats().site("nightly").map(|stats| stats.loads), Some(1));
    /// # }
    /// ```
    pub fn named(&self, name: impl Into<String>) -> Named {
        let about = About { name: name.into(), ..About::default() };
        Named { core: self.core().clone(), about, site: OnceLock::new() }
    }

    /// Whether this process may hold values of entries with this policy decoded, so that [`Named::at_hand`] is worth asking, and an entry
    /// worth being [known by](Entry::known_by) bytes: a cache in memory holds them, and one on a server where they are
    /// [kept in this process](Policy::local).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use std::time::Duration;
    /// use cachemacro::{Cache, Policy};
    ///
    /// let on_a_server = Cache::builder().redis("redis://127.0.0.1").namespace("shop").build()?;
    /// assert!(!on_a_server.keeps_at_hand(&Policy::new()));
    /// assert!(on_a_server.keeps_at_hand(&Policy::new().local(Duration::from_secs(10))));
    /// assert!(Cache::memory().keeps_at_hand(&Policy::new()));
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn keeps_at_hand(&self, policy: &Policy) -> bool {
        self.core().keeps_at_hand(policy)
    }

    /// The most bytes that a value may have to be stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let cache = cachemacro::Cache::builder().memory().max_value(64 << 10).build()?;
    /// assert_eq!(cache.max_value(), 64 << 10);
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn max_value(&self) -> usize {
        self.core().settings.max_value
    }
}

impl Named {
    fn with(self, change: impl FnOnce(&mut About)) -> Self {
        let Self { core, mut about, .. } = self;
        change(&mut about);
        Self { core, about, site: OnceLock::new() }
    }

    fn site(&self) -> &'static Site {
        self.site.get_or_init(|| self.about.site())
    }

    /// The type of its values, as tools show it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let rates = cachemacro::Cache::memory().named("rates").value("f64");
    /// # drop(rates);
    /// ```
    #[must_use]
    pub fn value(self, value: impl Into<String>) -> Self {
        self.with(|about| about.value = value.into())
    }

    /// The template of its keys behind the prefix, as `key` has it in attributes.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let rates = cachemacro::Cache::memory().named("rates").key("{currency}");
    /// # drop(rates);
    /// ```
    #[must_use]
    pub fn key(self, template: impl Into<String>) -> Self {
        self.with(|about| about.key = Some(template.into()))
    }

    /// The templates of the tags that its entries carry, as tools show them.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let rates = cachemacro::Cache::memory().named("rates").tags(["rate:{currency}"]);
    /// # drop(rates);
    /// ```
    #[must_use]
    pub fn tags<S: Into<String>>(self, templates: impl IntoIterator<Item = S>) -> Self {
        self.with(|about| about.tags.extend(templates.into_iter().map(Into::into)))
    }

    /// The templates of the tags that it evicts, as tools show them.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let import = cachemacro::Cache::memory().named("import").evicts(["rate:{currency}"]);
    /// # drop(import);
    /// ```
    #[must_use]
    pub fn evicts<S: Into<String>>(self, templates: impl IntoIterator<Item = S>) -> Self {
        self.with(|about| {
            about.writes.extend(templates.into_iter().map(|tag| format!("tag {}", tag.into())));
        })
    }

    /// Runs a load by hand, and counts it and how long it took.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// assert_eq!(cache.named("rates").run(async { 95 }).await, 95);
    /// assert_eq!(cache.stats().total.load_time.count(), 1);
    /// # }
    /// ```
    pub async fn run<F: Future>(&self, load: F) -> F::Output {
        self.count(Event::Load);
        let began = Instant::now();
        let loaded = load.await;
        self.core.with_counters(self.site(), |counters| self.core.loaded(Some(counters), began.elapsed()));
        loaded
    }

    /// What `take` makes of the value that this process holds decoded of an entry that is [known by](Entry::known_by) these bytes; `None`
    /// where it holds none that may be read, or `take` makes nothing of it. What it makes something of counts as a hit of this name. No
    /// store is asked, no entry made, and no value cloned.
    ///
    /// A value is at hand once a [`lookup`](Entry::lookup) or a [`find`](Entry::find) of such an entry has found it: of a cache in memory,
    /// and of one on a server where the entry is [kept in this process](Policy::local). What ends it ends it here, as for any other call.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Meta};
    ///
    /// let cache = Cache::memory();
    /// let rates = cache.named("rates");
    /// let rate = |currency: &str| cache.entry::<f64>("rate", currency).known_by(currency).counted_at(&rates);
    /// let at_hand = |currency: &str| rates.at_hand(currency, |rate: &f64, _: &Meta| Some(*rate));
    /// rate("EUR").set(&0.95).await?;
    /// assert_eq!(at_hand("EUR"), None, "nobody has read it yet");
    /// rate("EUR").find().await?;
    /// assert_eq!(at_hand("EUR"), Some(0.95));
    /// cache.evict_key("rate", "EUR").await?;
    /// assert_eq!(at_hand("EUR"), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn at_hand<T: Value, R>(
        &self,
        known_by: impl AsRef<[u8]>,
        take: impl FnOnce(&T, &Meta) -> Option<R>,
    ) -> Option<R> {
        let core = &self.core;
        core.at_hand(self.site(), known_by.as_ref(), |value: &T, header| {
            take(value, &Meta::of(header, core.store.now()))
        })
    }

    /// Counts what the cache cannot see, such as a call that another's load answered.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let cache = cachemacro::Cache::memory();
    /// cache.named("rates").count(cachemacro::Event::SharedLoad);
    /// assert_eq!(cache.stats().site("rates").map(|stats| stats.shared_loads), Some(1));
    /// ```
    pub fn count(&self, event: Event) {
        self.core.with_counters(self.site(), |counters| self.core.record_at(Some(counters), event));
    }
}

impl<T: Value> Entry<T> {
    /// The same entry, whose reads and fills are counted under this name of the same cache.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let n = cache.entry::<u32>("n", 1).counted_at(&cache.named("numbers"));
    /// n.get().await?;
    /// assert_eq!(cache.stats().site("numbers").map(|stats| stats.misses()), Some(1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn counted_at(self, name: &Named) -> Self {
        let site = name.site();
        let counters = self.core().site_counters(site);
        self.at_site(site, counters)
    }
}

impl Evict {
    /// The same evicts, counted under this name of the same cache.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.evict().tags(["rates"]).counted_at(&cache.named("import")).await?;
    /// assert_eq!(cache.stats().site("import").map(|stats| stats.tag_evicts), Some(1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn counted_at(self, name: &Named) -> Self {
        let counters = self.core().site_counters(name.site());
        self.counted(Some(counters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_the_same_are_one_and_others_are_told_apart_by_what_they_say() {
        let cache = Cache::memory();
        let named = |tag: &str| cache.named("one").tags([tag]);
        assert!(std::ptr::eq(named("a").site(), named("a").site()));
        assert!(!std::ptr::eq(named("a").site(), named("b").site()));
        named("a").count(Event::Hit);
        named("b").count(Event::Hit);
        assert_eq!(cache.stats().sites.len(), 1);
        assert_eq!(cache.stats().site("one").map(|stats| stats.hits), Some(2));
    }
}
