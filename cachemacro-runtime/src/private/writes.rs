//! What a function writes and evicts, put together by generated code before its body runs.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::local::Keepable;
use crate::api::cache::Cache;
use crate::calls::write::{self as calls, Effects, Group, Put, When, evict_at};
use crate::calls::write_here::{PutHere, write_here};
use crate::engine::entry::Entry;
use crate::engine::evict::Evict;
use crate::engine::local::LocalEntry;
use crate::ground::error::Error;
use crate::key::KeyBuilder;
use crate::key::tag::Tag;
use crate::key::typed;
use crate::policy::outcome::{Outcome, Value};
use crate::policy::rules::Rules;
use crate::policy::site::Site;
use crate::store::local::Pending;

/// What one function does to the cache, however many attributes say so: collected before its body runs.
#[must_use]
pub struct Writes<'a, R, O: Outcome<R>> {
    effects: Effects<'a, R, O>,
    /// Which group is being added to.
    current: usize,
    /// The site that the evicts are counted for, and that reports tell of.
    site: Option<&'static Site>,
    /// What a sync function puts.
    here: Vec<PutHere<'a, O::Value>>,
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
        let effects = Effects::of_puts(outcome, Vec::new());
        Self { effects, current: 0, site: None, here: Vec::new() }
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
        self.site.iter().for_each(|site| entry.core().called_at(site));
        self.effects.puts.extend(Put::of(entry, rules, on_err));
        self
    }

    /// Begins the evicts of one attribute, in the given cache, else the scoped or the global one.
    pub fn evict(mut self, cache: Option<&Cache>, when: When) -> Self {
        let own = evict_at(self.site, cache.cloned().unwrap_or_else(Cache::current).core().clone());
        self.current = self.effects.evicts.len();
        self.effects.evicts.push(Group { when, own, others: Vec::new(), here: Vec::new() });
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
    pub fn evict_entry(mut self, entry: &impl Evictable) -> Self {
        if let Some(group) = self.effects.evicts.get_mut(self.current) {
            entry.add_to(&mut Evicting(group), self.site);
        }
        self
    }

    /// Adds a put of the body's value to the `entry` of a sync function; `None` where the attribute's `condition` is false.
    /// `on_err`: an `Err` evicts.
    pub fn put_here(
        mut self,
        entry: Option<LocalEntry<O::Value>>,
        rules: impl Rules<O::Value> + Send + 'a,
        on_err: bool,
    ) -> Self
    where
        O::Value: Keepable,
    {
        let Some(entry) = entry else { return self };
        let raw = entry.raw.clone();
        self.site.iter().for_each(|site| raw.core.called_at(site));
        let pending = raw.is_active_put().then(|| raw.begin(entry.has_late_tags(&rules), true));
        let keep = Box::new(move |pending: &mut Pending, value: Option<&O::Value>| {
            entry.keep(pending, None, &rules, value)
        });
        self.here.push(PutHere { raw, pending, keep, on_err });
        self
    }

    /// Runs the `body` of a sync function, then writes.
    pub fn run_here<A>(self, body: impl FnOnce() -> R, after: A) -> R
    where
        A: FnOnce(&O::Value, Writes<'a, R, O>) -> Writes<'a, R, O>,
    {
        let Self { effects, site, here, .. } = self;
        write_here(effects, here, body, move |value, effects| {
            after(value, Writes { effects, current: 0, site, here: Vec::new() }).effects
        })
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
    pub fn evict_tags<S: typed::Tag>(self, tags: impl IntoIterator<Item = S>) -> Self {
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
            after(value, Writes { effects, current: 0, site, here: Vec::new() }).effects
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

/// What `entry` gives to evict.
#[diagnostic::on_unimplemented(
    message = "`entry` gives an entry to evict, which `{Self}` is not",
    label = "this is no entry",
    note = "write `entry = user_entry(id)`; several go into `entries = ids.iter().map(user_entry)`"
)]
pub trait Evictable {
    /// Adds it to what is evicted.
    #[doc(hidden)]
    fn add_to(&self, group: &mut Evicting<'_>, site: Option<&'static Site>);
}

/// The evicts of one attribute.
pub struct Evicting<'g>(&'g mut Group);

impl fmt::Debug for Evicting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evicting").finish_non_exhaustive()
    }
}

#[diagnostic::do_not_recommend]
impl<V: Value> Evictable for Entry<V> {
    fn add_to(&self, group: &mut Evicting<'_>, site: Option<&'static Site>) {
        group.0.within(self.core(), site).add_entry(self);
    }
}

#[diagnostic::do_not_recommend]
impl<V> Evictable for LocalEntry<V> {
    fn add_to(&self, group: &mut Evicting<'_>, _site: Option<&'static Site>) {
        group.0.here.push(self.raw.clone());
    }
}

/// An entry that a put of a sync function writes: a sync function's, of what this one returns.
#[diagnostic::on_unimplemented(
    message = "a sync function writes entries of sync functions, of what it returns: not `{Self}`",
    label = "this is no entry of a sync function that returns a `{V}`",
    note = "to write an entry in a store, write `async fn`; to evict it instead, write `#[cache_evict]`"
)]
pub trait HoldsHere<V> {
    /// The entry.
    fn held(self) -> LocalEntry<V>;
}

#[diagnostic::do_not_recommend]
impl<V> HoldsHere<V> for LocalEntry<V> {
    fn held(self) -> Self {
        self
    }
}

/// An entry that a put of a sync function writes.
pub fn held_here<R, O: Outcome<R>, E: HoldsHere<O::Value>>(_outcome: O, entry: E) -> LocalEntry<O::Value> {
    entry.held()
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
