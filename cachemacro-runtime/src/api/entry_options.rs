//! What an entry can be given besides its key. Each setter gives the entry back; none touches the store.

use std::sync::Arc;

use crate::engine::alike::Similar;
use crate::engine::entry::{Entry, KnownBy};
use crate::format::codec::{Codec, CodecFor};
use crate::format::schema::Fingerprint;
use crate::key::tag::Tag;
use crate::key::typed;
use crate::policy::outcome::Value;
use crate::policy::rules::{EntryRules, Rules};
use crate::policy::ttl::{Policy, Ttl};

impl<T: Value> Entry<T> {
    /// The same entry with this TTL. Zero or under 1 ms: values are not stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use std::time::Duration;
    ///
    /// let n = cachemacro::Cache::memory().entry("n", 1).with_ttl(Duration::from_secs(30));
    /// n.set(&7).await?;
    /// assert!(n.ttl().await?.is_some_and(|left| left <= Duration::from_secs(30)));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_ttl(self, ttl: impl Into<Ttl>) -> Self {
        self.with(|raw| raw.ttl = Some(ttl.into()))
    }

    /// The same entry with these tags besides those that it has.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let user = cache.entry("user", 7).with_tags(["users", "org:3"]);
    /// user.set(&"Ada".to_owned()).await?;
    /// cache.evict_tags(["org:3"]).await?;
    /// assert_eq!(user.get().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_tags<S: typed::Tag>(self, tags: impl IntoIterator<Item = S>) -> Self {
        self.core().misspelt.may_be_any();
        self.with(|raw| tags.into_iter().for_each(|tag| raw.tag(&tag.text())))
    }

    /// The same entry with tags that templates built.
    #[doc(hidden)]
    #[must_use]
    pub fn with_built_tags(self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.with(|raw| tags.into_iter().for_each(|tag| raw.built_tag(tag)))
    }

    /// The same entry, whose question may be answered with the answer to another one, where somebody beside the cache finds those. The tags that it has by
    /// now are the same for all questions.
    ///
    /// What is said of the question is made here, of arguments that the function's body takes with it: each call pays for it, a hit too, with a key without its question, a
    /// copy of the question and one of the embedder.
    #[doc(hidden)]
    #[must_use]
    pub fn with_similar(mut self, similar: impl FnOnce() -> Similar<T>) -> Self {
        if self.core().settings.beside.0.is_none() {
            return self;
        }
        if let Ok(raw) = &self.raw {
            self.similar = Some(Arc::new(Similar { tags: raw.tags.len(), ..similar() }));
        }
        self
    }

    /// The same entry, whose values may bring tags that are not known before they are loaded, for
    /// [`Vacancy::fill_with`](crate::Vacancy::fill_with). Loads are then guarded against evicts of every tag: the
    /// versions of 64 groups of tags are captured with each lease, and a fill that brings tags takes two more requests.
    /// [Rules](Self::with_rules) that name tags do the same by themselves.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup, Ttl};
    ///
    /// let cache = Cache::memory();
    /// let page = cache.entry::<u32>("page", 1).with_late_tags();
    /// let Lookup::Vacant(vacancy) = page.lookup().await? else { panic!("nothing was stored") };
    /// cache.evict_tags(["tea:7"]).await?; // while it is loaded
    /// assert!(!vacancy.fill_with(&7, Ttl::Never, ["tea:7"]).await?.is_stored());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_late_tags(mut self) -> Self {
        self.core().misspelt.may_be_any();
        self.late_tags = true;
        self
    }

    /// The same entry, whose hits lend [`LentBytes`](crate::LentBytes) within their values what was read, instead of a copy. A value
    /// then holds all that was read with it, so it is for those that are used and dropped. What is compressed or sealed is
    /// copied all the same.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let page = cachemacro::Cache::memory().entry::<cachemacro::LentBytes>("page", 1).with_lent_bytes();
    /// # drop(page);
    /// ```
    #[must_use]
    pub fn with_lent_bytes(mut self) -> Self {
        self.lends = true;
        self
    }

    /// The same entry, which its caller knows by these bytes: a value that a [`lookup`](Self::lookup) or a [`find`](Self::find) finds is kept
    /// decoded under them, where one is kept at all, and [`Named::at_hand`](crate::Named::at_hand) takes it without an entry being made.
    ///
    /// All that the entry is made of must follow from the bytes: its key, tags, type, codec and version. Two entries of one cache that
    /// are known by the same bytes are taken for one another.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup, Meta};
    ///
    /// let cache = Cache::memory();
    /// let pages = cache.named("pages");
    /// let page = cache.entry::<String>("page", ("en", 7)).known_by("en/7").with_tags(["pages"]).counted_at(&pages);
    /// let Lookup::Vacant(vacancy) = page.lookup().await? else { panic!("nothing was stored") };
    /// assert!(vacancy.fill(&"Tea".to_owned()).await?.is_stored());
    /// let Lookup::Hit(_) = page.lookup().await? else { panic!("it was stored") };
    /// assert_eq!(pages.at_hand("en/7", |page: &String, _: &Meta| Some(page.len())), Some(3));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn known_by(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.known_by = Some(Arc::new(KnownBy(bytes.into())));
        self
    }

    /// The same entry with another codec than the cache's. Values that were stored with that one are misses.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, codec::Json};
    ///
    /// let cache = Cache::memory();
    /// let user = cache.entry("user", 7).with_codec::<Json>();
    /// user.set(&"Ada".to_owned()).await?;
    /// assert_eq!(user.get().await?.as_deref(), Some("Ada"));
    /// assert!(!cache.has::<String>("user", 7).await?, "that would be bincode");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_codec<C: Codec>(mut self) -> Self {
        self.codec = Some(CodecFor::of::<C>());
        self
    }

    /// The same entry with these options, in place of those of its site.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Policy, Ttl};
    ///
    /// let policy = Policy::new().ttl(Ttl::millis(2_000)).jitter(10);
    /// let n = Cache::memory().entry("n", 1).with_policy(policy);
    /// n.set(&7).await?;
    /// assert!(n.ttl().await?.is_some_and(|left| left.as_millis() <= 2_200));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        self.core().watch(&policy);
        if policy.recorded {
            self.core().misspelt.may_be_any();
        }
        self.with(|raw| raw.policy = policy)
    }

    /// The same entry with rules about its values, which loads, `set`, `update` and `increment` follow.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, EntryRules};
    ///
    /// let rules = EntryRules::none().unless(Vec::is_empty).tags(|rows: &Vec<u64>| {
    ///     rows.iter().map(|row| format!("row:{row}")).collect()
    /// });
    /// let cache = Cache::memory();
    /// let page = cache.entry::<Vec<u64>>("page", 1).with_rules(rules);
    ///
    /// page.get_or_load(async || vec![]).await;
    /// assert!(!page.has().await?, "an empty page is not stored");
    /// page.get_or_load(async || vec![7, 8]).await;
    /// cache.evict_tags(["row:8"]).await?;
    /// assert!(!page.has().await?, "the page showed row 8");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_rules(mut self, rules: EntryRules<T>) -> Self {
        // Those of attributed functions say where their tags come from.
        if Rules::has_tags(&rules) && self.raw.as_ref().is_ok_and(|raw| raw.site.is_none()) {
            self.core().misspelt.may_be_any();
        }
        if let Some(texts) = Rules::search(&rules)
            && self.raw.as_ref().is_ok_and(|raw| raw.site.is_some())
        {
            self.is_searched(texts);
        }
        self.rules = rules;
        self
    }

    /// The same entry with another source of its schema fingerprint: `schema::described::<T>` for a type that derives
    /// [`CacheSchema`](crate::CacheSchema), as attributed functions have it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// # use cachemacro_derive::CacheSchema;
    /// use cachemacro::{Cache, CacheSchema, schema::described};
    ///
    /// #[derive(Clone, serde::Serialize, serde::Deserialize, CacheSchema)]
    /// # #[cachemacro(crate = ::cachemacro_runtime)]
    /// struct Note {
    ///     text: String,
    /// }
    ///
    /// let note = Cache::memory().entry::<Note>("note", 1).with_schema(described::<Note>);
    /// note.set(&Note { text: "milk".to_owned() }).await?;
    /// assert!(note.has().await?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_schema(mut self, schema: fn() -> Fingerprint) -> Self {
        self.schema = schema;
        self
    }
}
