//! What a function writes and evicts, put together by generated code before its body runs.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::api::cache::Cache;
use crate::calls::write::{self as calls, Effects, Group, Put, When, evict_at};
use crate::engine::entry::Entry;
use crate::engine::evict::Evict;
use crate::ground::error::Error;
use crate::key::KeyBuilder;
use crate::key::tag::Tag;
use crate::policy::outcome::{Outcome, Value};
use crate::policy::rules::Rules;
use crate::policy::site::Site;

/// What one function does to the cache, however many attributes say so: collected before its body runs.
#[must_use]
pub struct Writes<'a, R, O: Outcome<R>> {
    effects: Effects<'a, R, O>,
    /// Which group is being added to.
    current: usize,
    /// The site that the evicts are counted for.
    site: Option<&'static Site>,
}

impl<R, O: Outcome<R>> fmt::Debug for Writes<'_, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writes")
            .field("puts", &self.effects.puts.len())
            .field("evicts", &self.effects.evicts.len())
            .finish_non_exhaustive()
    }
}

impl<'a, R, O: Outcome<R>> Writes<'a, R, O> {
    /// No puts and no evicts.
    pub const fn new(outcome: O) -> Self {
        let effects = Effects { outcome, puts: Vec::new(), evicts: Vec::new(), on_failed: None };
        Self { effects, current: 0, site: None }
    }

    /// Evicts count at this site. Puts, and what they evict instead, count for that of their entry.
    pub fn at(mut self, site: &'static Site) -> Self {
        self.site = Some(site);
        self
    }

    /// A failed evict is handed to the caller, as `make` turns it into what the function returns.
    pub fn return_errors(mut self, make: fn(Error) -> R) -> Self {
        self.effects.on_failed = Some(make);
        self
    }

    /// Adds a put of the body's value to `entry`; `None` where the attribute's `condition` is false. `on_err`: an `Err`
    /// evicts.
    pub fn put(
        mut self,
        entry: Option<Entry<O::Value>>,
        rules: impl Rules<O::Value> + Send + 'a,
        on_err: bool,
    ) -> Self
    where
        O::Value: Value,
    {
        let Some(entry) = entry else { return self };
        let raw = match entry.keyed() {
            Ok(raw) => raw.clone(),
            Err(error) => {
                entry.failed(&error);
                return self;
            }
        };
        let late_tags = entry.has_late_tags(&rules);
        let prepare = {
            let raw = raw.clone();
            move |value: Option<&O::Value>| entry.prepare(&raw, &rules, value)
        };
        self.effects.puts.push(Put { raw, late_tags, on_err, prepare: Box::new(prepare), held: None });
        self
    }

    /// Begins the evicts of one attribute, in the given cache, else the scoped or the global one.
    pub fn evict(mut self, cache: Option<&Cache>, when: When) -> Self {
        let own = evict_at(self.site, cache.cloned().unwrap_or_else(Cache::current).core().clone());
        self.current = self.effects.evicts.len();
        self.effects.evicts.push(Group { when, own, others: Vec::new() });
        self
    }

    /// Makes evict group `at` (from zero) current again, to add the evicts that mention the result.
    pub fn select(mut self, at: usize) -> Self {
        self.current = at;
        self
    }

    fn change(mut self, change: impl FnOnce(&mut Evict)) -> Self {
        if let Some(group) = self.effects.evicts.get_mut(self.current) {
            change(&mut group.own);
        }
        self
    }

    /// Evicts one entry, from its own cache.
    pub fn evict_entry<V: Value>(mut self, entry: &Entry<V>) -> Self {
        if let Some(group) = self.effects.evicts.get_mut(self.current) {
            group.within(entry.core(), self.site).add_entry(entry);
        }
        self
    }

    /// Evicts many entries.
    pub fn evict_entries<V, I: GivesEntries<V>>(self, entries: I) -> Self {
        entries.add_to(self)
    }

    /// Evicts by key. In a trait or a generic `impl` there are two sites that may be meant: one within it, whose key
    /// has the types, and one elsewhere, whose key has none.
    pub fn evict_key(self, key: KeyBuilder) -> Self {
        let plain = key.without_types();
        let writes = if key.is_nameless() { self } else { self.change(|evict| evict.add_key(key.finish())) };
        match plain {
            Some(plain) => writes.change(|evict| evict.add_key(plain.finish())),
            None => writes,
        }
    }

    /// Evicts the key that a function outside this generic `impl` gives the same entry: without the type part. See
    /// [`evict_key`](Self::evict_key).
    pub fn evict_namesake(self, plain: Option<KeyBuilder>) -> Self {
        match plain {
            Some(plain) => self.change(|evict| evict.add_key(plain.finish())),
            None => self,
        }
    }

    /// Evicts tags.
    pub fn evict_tags<S: AsRef<str>>(self, tags: impl IntoIterator<Item = S>) -> Self {
        self.change(|evict| evict.add_tags(tags))
    }

    /// Evicts tags that templates built.
    pub fn evict_built_tags(self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.change(|evict| evict.add_built_tags(tags))
    }

    /// Evicts everything under a prefix.
    pub fn evict_prefix(self, prefix: &str) -> Self {
        self.change(|evict| evict.add_prefix(prefix))
    }

    /// The closure, seen as what [`run`](Self::run) takes.
    pub fn after<A>(&self, after: A) -> A
    where
        A: FnOnce(&O::Value, Writes<'a, R, O>) -> Writes<'a, R, O>,
    {
        after
    }

    /// How the function's return type is taken apart.
    pub const fn outcome(&self) -> O {
        self.effects.outcome
    }

    /// Runs `body`, then writes. Not an `async fn`, see [`Call::load`](super::Call::load).
    pub fn run<F, A>(self, body: Pin<&mut F>, after: A) -> impl Future<Output = R>
    where
        F: Future<Output = R>,
        A: FnOnce(&O::Value, Writes<'a, R, O>) -> Writes<'a, R, O>,
    {
        let Self { effects, site, .. } = self;
        calls::write(effects, body, move |value, effects| {
            after(value, Writes { effects, current: 0, site }).effects
        })
    }
}

/// Runs `body`, then puts and evicts. `after` adds what mentions the value inside the result; it is not called
/// where there is none.
pub fn write<'a, R, O, F, A>(writes: Writes<'a, R, O>, body: Pin<&mut F>, after: A) -> impl Future<Output = R>
where
    O: Outcome<R>,
    F: Future<Output = R>,
    A: FnOnce(&O::Value, Writes<'a, R, O>) -> Writes<'a, R, O>,
{
    writes.run(body, after)
}

/// What `entries` gives.
#[diagnostic::on_unimplemented(
    message = "`entries` gives entries to evict, which `{Self}` does not",
    label = "this is no iterator of entries",
    note = "write `entries = ids.iter().map(user_entry)`; a single one goes into `entry = user_entry(id)`"
)]
pub trait GivesEntries<V> {
    /// Adds them to `writes`.
    fn add_to<R, O: Outcome<R>>(self, writes: Writes<'_, R, O>) -> Writes<'_, R, O>;
}

#[diagnostic::do_not_recommend]
impl<V: Value, I: IntoIterator<Item: Borrow<Entry<V>>>> GivesEntries<V> for I {
    fn add_to<R, O: Outcome<R>>(self, writes: Writes<'_, R, O>) -> Writes<'_, R, O> {
        self.into_iter().fold(writes, |writes, entry| writes.evict_entry(entry.borrow()))
    }
}
