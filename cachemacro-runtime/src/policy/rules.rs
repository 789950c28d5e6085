//! What depends on the loaded value: whether it is stored, how long, and under which tags.

use std::fmt;
use std::marker::PhantomData;

use crate::key::tag::Tag;
use crate::policy::ttl::Ttl;

/// What depends on the loaded value. Not asked about `None` and `Err`.
pub trait Rules<V> {
    /// Whether the value is returned without being stored.
    fn unless(&self, value: &V) -> bool {
        let _ = value;
        false
    }

    /// The value's TTL, where it decides it.
    fn ttl(&self, value: &V) -> Option<Ttl> {
        let _ = value;
        None
    }

    /// The tags that the value names.
    fn tags(&self, value: &V) -> Vec<Tag> {
        let _ = value;
        Vec::new()
    }

    /// Whether [`tags`](Self::tags) may name any: then the load is guarded against evicts of every tag.
    fn has_tags(&self) -> bool {
        false
    }

    /// Whether two values are as good as the same, where the site says what that is.
    fn same(&self, one: &V, other: &V) -> Option<bool> {
        let _ = (one, other);
        None
    }

    /// What gives the texts by which a value is found, where the site says so.
    fn search(&self) -> Option<TextsOf<V>> {
        None
    }
}

/// Methods of [`Rules`] that do what those of other rules do.
macro_rules! passed_on {
    ($V:ident, $self:ident => $to:expr; $($method:ident),+) => {
        $(passed_on!(@ $method $V $self ($to));)+
    };
    (@ unless $V:ident $self:ident $to:expr) => {
        fn unless(&$self, value: &$V) -> bool {
            $to.unless(value)
        }
    };
    (@ ttl $V:ident $self:ident $to:expr) => {
        fn ttl(&$self, value: &$V) -> Option<Ttl> {
            $to.ttl(value)
        }
    };
    (@ tags $V:ident $self:ident $to:expr) => {
        fn tags(&$self, value: &$V) -> Vec<Tag> {
            $to.tags(value)
        }
    };
    (@ has_tags $V:ident $self:ident $to:expr) => {
        fn has_tags(&$self) -> bool {
            $to.has_tags()
        }
    };
    (@ same $V:ident $self:ident $to:expr) => {
        fn same(&$self, one: &$V, other: &$V) -> Option<bool> {
            $to.same(one, other)
        }
    };
    (@ search $V:ident $self:ident $to:expr) => {
        fn search(&$self) -> Option<TextsOf<$V>> {
            $to.search()
        }
    };
}

/// Gives the texts by which a value is found.
pub(crate) type TextsOf<V> = fn(&V) -> Vec<String>;

impl<V, X: Rules<V>> Rules<V> for &X {
    passed_on!(V, self => **self; unless, ttl, tags, has_tags, same, search);
}

/// Nothing depends on the value.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRules;

impl<V> Rules<V> for NoRules {}

/// Rules without captured arguments, which an [`Entry`](crate::Entry) carries, so that puts apply them too.
/// [`Entry::with_rules`](crate::Entry::with_rules) has an example.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{EntryRules, Ttl};
///
/// struct Page { rows: Vec<u64> }
///
/// let rules = EntryRules::none()
///     .unless(|page: &Page| page.rows.is_empty())
///     .ttl(|page| Ttl::millis(if page.rows.len() < 100 { 5_000 } else { 60_000 }))
///     .tags(|page| page.rows.iter().map(|row| format!("row:{row}")).collect());
/// ```
pub struct EntryRules<V> {
    unless: Option<fn(&V) -> bool>,
    ttl: Option<fn(&V) -> Ttl>,
    tags: Option<TagsOf<V>>,
    same: Option<fn(&V, &V) -> bool>,
    search: Option<TextsOf<V>>,
}

/// Tags as a user's function gives them, or as generated code builds them.
enum TagsOf<V> {
    Strings(fn(&V) -> Vec<String>),
    Built(fn(&V) -> Vec<Tag>),
}

impl<V> Clone for TagsOf<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for TagsOf<V> {}

impl<V> Clone for EntryRules<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for EntryRules<V> {}

impl<V> Default for EntryRules<V> {
    fn default() -> Self {
        Self::none()
    }
}

impl<V> fmt::Debug for EntryRules<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryRules")
            .field("unless", &self.unless.is_some())
            .field("ttl", &self.ttl.is_some())
            .field("tags", &self.tags.is_some())
            .field("same", &self.same.is_some())
            .field("search", &self.search.is_some())
            .finish()
    }
}

impl<V> EntryRules<V> {
    /// No rules.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, EntryRules};
    ///
    /// let n = Cache::memory().entry::<u32>("n", 1).with_rules(EntryRules::none());
    /// n.set(&0).await?;
    /// assert!(n.has().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn none() -> Self {
        Self { unless: None, ttl: None, tags: None, same: None, search: None }
    }

    pub(crate) const fn is_none(&self) -> bool {
        let is_stored_plainly = self.unless.is_none() && self.ttl.is_none() && self.tags.is_none();
        is_stored_plainly && self.same.is_none() && self.search.is_none()
    }

    /// Values for which `unless` is true are not stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, EntryRules};
    ///
    /// let found = Cache::memory().entry("search", "tea").with_rules(EntryRules::none().unless(Vec::is_empty));
    /// found.set(&vec!["earl grey".to_owned()]).await?;
    /// found.set(&vec![]).await?;
    /// assert!(!found.has().await?, "neither the empty list nor the outdated one");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn unless(mut self, unless: fn(&V) -> bool) -> Self {
        self.unless = Some(unless);
        self
    }

    /// The TTL comes from the value, for example from the expiry that a token carries.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, EntryRules, Ttl};
    ///
    /// let rules = EntryRules::none().ttl(|token: &(String, u64)| Ttl::millis(token.1));
    /// let token = Cache::memory().entry("token", 7).with_rules(rules);
    /// token.set(&("secret".to_owned(), 30_000)).await?;
    /// assert!(token.ttl().await?.is_some_and(|left| left.as_secs() <= 30));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn ttl(mut self, ttl: fn(&V) -> Ttl) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Tags come from the value.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, EntryRules};
    ///
    /// let rules = EntryRules::none().tags(|ids: &Vec<u64>| ids.iter().map(|id| format!("user:{id}")).collect());
    /// let cache = Cache::memory();
    /// let team = cache.entry("team", 1).with_rules(rules);
    /// team.set(&vec![7, 8]).await?;
    /// cache.evict_tags(["user:8"]).await?;
    /// assert!(!team.has().await?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn tags(mut self, tags: fn(&V) -> Vec<String>) -> Self {
        self.tags = Some(TagsOf::Strings(tags));
        self
    }

    /// Values for which `same` is true are the same where hits are [verified](crate::Verify), instead of those that serialize to the
    /// same, whatever the order of their maps.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, EntryRules};
    ///
    /// // What was measured twice is never quite the same.
    /// let rules = EntryRules::none().verify_by(|one: &f64, other| (one - other).abs() < 0.1);
    /// let weight = Cache::memory().entry("weight", 7).with_rules(rules);
    /// # drop(weight);
    /// ```
    #[must_use]
    pub const fn verify_by(mut self, same: fn(&V, &V) -> bool) -> Self {
        self.same = Some(same);
        self
    }

    /// Values are found by these texts: whoever is [beside](crate::CacheBuilder::beside) the cache is told of them with each value that is
    /// stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, EntryRules};
    ///
    /// let rules = EntryRules::none().search(|airport: &(String, String)| vec![airport.0.clone(), airport.1.clone()]);
    /// let airport = Cache::memory().entry("airport", "EGLL").with_rules(rules);
    /// # drop(airport);
    /// ```
    #[must_use]
    pub const fn search(mut self, texts: fn(&V) -> Vec<String>) -> Self {
        self.search = Some(texts);
        self
    }

    /// Tags come from the value, built from templates.
    #[doc(hidden)]
    #[must_use]
    pub const fn built_tags(mut self, tags: fn(&V) -> Vec<Tag>) -> Self {
        self.tags = Some(TagsOf::Built(tags));
        self
    }
}

impl<V> Rules<V> for EntryRules<V> {
    fn unless(&self, value: &V) -> bool {
        self.unless.is_some_and(|unless| unless(value))
    }

    fn ttl(&self, value: &V) -> Option<Ttl> {
        self.ttl.map(|ttl| ttl(value))
    }

    fn tags(&self, value: &V) -> Vec<Tag> {
        match self.tags {
            None => Vec::new(),
            Some(TagsOf::Strings(tags)) => tags(value).into_iter().map(Tag::from).collect(),
            Some(TagsOf::Built(tags)) => tags(value),
        }
    }

    fn has_tags(&self) -> bool {
        self.tags.is_some()
    }

    fn same(&self, one: &V, other: &V) -> Option<bool> {
        self.same.map(|same| same(one, other))
    }

    fn search(&self) -> Option<TextsOf<V>> {
        self.search
    }
}

/// Rules of one call, which may capture its arguments.
pub struct CallRules<V, U, T, G> {
    unless: U,
    ttl: T,
    tags: G,
    has_tags: bool,
    value: PhantomData<fn(&V)>,
}

impl<V, U, T, G> fmt::Debug for CallRules<V, U, T, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallRules").finish_non_exhaustive()
    }
}

/// [`CallRules`] before any rule was added.
pub type NoCallRules<V> = CallRules<V, fn(&V) -> bool, fn(&V) -> Option<Ttl>, fn(&V) -> Vec<Tag>>;

impl<V> NoCallRules<V> {
    /// No rules yet.
    pub fn new() -> Self {
        Self { unless: |_| false, ttl: |_| None, tags: |_| Vec::new(), has_tags: false, value: PhantomData }
    }
}

impl<V> Default for NoCallRules<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V, U, T, G> CallRules<V, U, T, G> {
    /// Values for which `unless` is true are not stored.
    pub fn unless<F: Fn(&V) -> bool>(self, unless: F) -> CallRules<V, F, T, G> {
        CallRules { unless, ttl: self.ttl, tags: self.tags, has_tags: self.has_tags, value: PhantomData }
    }

    /// The TTL comes from the value.
    pub fn ttl(self, ttl: impl Fn(&V) -> Ttl) -> CallRules<V, U, impl Fn(&V) -> Option<Ttl>, G> {
        let ttl = move |value: &V| Some(ttl(value));
        CallRules { unless: self.unless, ttl, tags: self.tags, has_tags: self.has_tags, value: PhantomData }
    }

    /// Tags come from the value.
    pub fn tags(self, tags: impl Fn(&V) -> Vec<String>) -> CallRules<V, U, T, impl Fn(&V) -> Vec<Tag>> {
        self.built_tags(move |value| tags(value).into_iter().map(Tag::from).collect())
    }

    /// Values are compared so where hits are verified.
    pub fn verify_by(self, same: fn(&V, &V) -> bool) -> VerifyBy<Self, V> {
        VerifyBy { rules: self, same }
    }

    /// Values are found by these texts.
    pub fn search(self, texts: TextsOf<V>) -> SearchBy<Self, V> {
        SearchBy::new(self, texts)
    }

    /// Tags come from the value, built from templates.
    pub fn built_tags<F: Fn(&V) -> Vec<Tag>>(self, tags: F) -> CallRules<V, U, T, F> {
        CallRules { unless: self.unless, ttl: self.ttl, tags, has_tags: true, value: PhantomData }
    }
}

impl<V, U, T, G> Rules<V> for CallRules<V, U, T, G>
where
    U: Fn(&V) -> bool,
    T: Fn(&V) -> Option<Ttl>,
    G: Fn(&V) -> Vec<Tag>,
{
    fn unless(&self, value: &V) -> bool {
        (self.unless)(value)
    }

    fn ttl(&self, value: &V) -> Option<Ttl> {
        (self.ttl)(value)
    }

    fn tags(&self, value: &V) -> Vec<Tag> {
        (self.tags)(value)
    }

    fn has_tags(&self) -> bool {
        self.has_tags
    }
}

/// Rules that say when two values are the same.
pub struct VerifyBy<X, V> {
    rules: X,
    same: fn(&V, &V) -> bool,
}

impl<X, V> VerifyBy<X, V> {
    /// Values are found by these texts.
    pub const fn search(self, texts: TextsOf<V>) -> SearchBy<Self, V> {
        SearchBy::new(self, texts)
    }
}

impl<X: fmt::Debug, V> fmt::Debug for VerifyBy<X, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyBy").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl<X: Rules<V>, V> Rules<V> for VerifyBy<X, V> {
    passed_on!(V, self => self.rules; unless, ttl, tags, has_tags, search);

    fn same(&self, one: &V, other: &V) -> Option<bool> {
        Some((self.same)(one, other))
    }
}

/// Rules that say by which texts values are found.
pub struct SearchBy<X, V> {
    rules: X,
    texts: TextsOf<V>,
}

impl<X, V> SearchBy<X, V> {
    const fn new(rules: X, texts: TextsOf<V>) -> Self {
        Self { rules, texts }
    }
}

impl<X: fmt::Debug, V> fmt::Debug for SearchBy<X, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SearchBy").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl<X: Rules<V>, V> Rules<V> for SearchBy<X, V> {
    passed_on!(V, self => self.rules; unless, ttl, tags, has_tags, same);

    fn search(&self) -> Option<TextsOf<V>> {
        Some(self.texts)
    }
}
