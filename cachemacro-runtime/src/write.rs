//! One call of a function that writes: its body always runs, and the cache follows its success.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use crate::cache::Cache;
use crate::entry::Entry;
use crate::error::Error;
use crate::evict::{Evict, Targets, log_failed};
use crate::key::KeyBuilder;
use crate::lease::{self, Held};
use crate::lookup::Target;
use crate::mode::Loading;
use crate::outcome::{Outcome, Value};
use crate::prepared::Prepared;
use crate::rules::Rules;
use crate::site::Site;
use crate::stats::{Counters, Event};
use crate::storing::finish_put;

/// When the evicts of one attribute happen, besides after success.
#[derive(Debug, Clone, Copy, Default)]
pub struct When {
    /// Before the body too, and after it whatever became of it.
    pub before: bool,
    /// After an `Err` too.
    pub on_err: bool,
}

/// What one function does to the cache, however many attributes say so: collected before its body runs.
#[must_use]
pub struct Writes<'a, R, O: Outcome<R>> {
    pub(crate) outcome: O,
    puts: Vec<Put<'a, O::Value>>,
    evicts: Vec<Group>,
    /// Which group is being added to.
    current: usize,
    on_failed: Option<fn(Error) -> R>,
    /// The function.
    site: Option<&'static Site>,
}

/// Encodes what the body returned, `None` being a `None`.
type Prepare<'a, V> = Box<dyn Fn(Option<&V>) -> Option<Prepared> + Send + 'a>;

/// A value to write through.
struct Put<'a, V> {
    target: Target,
    late_tags: bool,
    on_err: bool,
    prepare: Prepare<'a, V>,
    held: Option<Held>,
}

/// The evicts of one attribute, one for each cache.
struct Group {
    when: When,
    /// In the attribute's own cache.
    own: Evict,
    /// In other caches, which entries are of.
    others: Vec<Evict>,
}

impl Group {
    fn all(&self) -> impl Iterator<Item = &Evict> {
        std::iter::once(&self.own).chain(&self.others)
    }

    /// What is evicted from `cache`.
    fn within(&mut self, cache: &Cache, site: Option<&'static Site>) -> &mut Evict {
        let same = |evict: &Evict| evict.cache().core().id == cache.core().id;
        if same(&self.own) {
            return &mut self.own;
        }
        let at = self.others.iter().position(same).unwrap_or_else(|| {
            self.others.push(evict_at(site, cache.clone()));
            self.others.len() - 1
        });
        &mut self.others[at]
    }
}

/// No evicts yet, which are to count for this site too.
fn evict_at(site: Option<&'static Site>, cache: Cache) -> Evict {
    let counters = site.map(|site| cache.site_counters(site));
    Evict::new(cache).counted(counters)
}

impl<R, O: Outcome<R>> fmt::Debug for Writes<'_, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writes")
            .field("puts", &self.puts.len())
            .field("evicts", &self.evicts.len())
            .finish_non_exhaustive()
    }
}

impl<'a, R, O: Outcome<R>> Writes<'a, R, O> {
    /// Nothing yet.
    pub const fn new(outcome: O) -> Self {
        Self { outcome, puts: Vec::new(), evicts: Vec::new(), current: 0, on_failed: None, site: None }
    }

    /// Evicts count for this site too. Puts, and what they evict instead, count for that of their entry.
    pub fn at(mut self, site: &'static Site) -> Self {
        self.site = Some(site);
        self
    }

    /// A failed evict is handed to the caller, as `make` turns it into what the function returns.
    pub fn return_errors(mut self, make: fn(Error) -> R) -> Self {
        self.on_failed = Some(make);
        self
    }

    /// Writes the body's value to `entry`, which there is none of where the attribute's condition is false. `on_err`: an
    /// `Err` evicts.
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
        let target = match entry.keyed() {
            Ok(target) => target.clone(),
            Err(error) => {
                entry.failed(&error);
                return self;
            }
        };
        let late_tags = entry.has_late_tags(&rules);
        let prepare = {
            let target = target.clone();
            move |value: Option<&O::Value>| entry.prepare(&target, &rules, value)
        };
        self.puts.push(Put { target, late_tags, on_err, prepare: Box::new(prepare), held: None });
        self
    }

    /// Begins the evicts of one attribute, in the given cache, else the scoped or the global one.
    pub fn evict(mut self, cache: Option<&Cache>, when: When) -> Self {
        let own = evict_at(self.site, cache.cloned().unwrap_or_else(crate::registry::current));
        self.current = self.evicts.len();
        self.evicts.push(Group { when, own, others: Vec::new() });
        self
    }

    /// Goes on with the evicts that began as number `at`, counted from zero: those that mention the result.
    pub fn select(mut self, at: usize) -> Self {
        self.current = at;
        self
    }

    fn change(mut self, change: impl FnOnce(&mut Evict)) -> Self {
        if let Some(group) = self.evicts.get_mut(self.current) {
            change(&mut group.own);
        }
        self
    }

    /// Evicts one entry, from its own cache.
    pub fn evict_entry<V: Value>(mut self, entry: &Entry<V>) -> Self {
        if let Some(group) = self.evicts.get_mut(self.current) {
            group.within(entry.cache(), self.site).add_entry(entry);
        }
        self
    }

    /// Evicts many entries.
    pub fn evict_entries<V, I: crate::private::GivesEntries<V>>(self, entries: I) -> Self {
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

    /// Evicts what a site elsewhere is called by the prefix and key of a put, see [`evict_key`](Self::evict_key).
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

    /// Evicts everything under a prefix.
    pub fn evict_prefix(self, prefix: &str) -> Self {
        self.change(|evict| evict.add_prefix(prefix))
    }

    /// What must go whatever becomes of the body, in case it wrote before it was dropped or panicked.
    fn guard(&self) -> Guard {
        let puts = self.puts.iter().map(|put| {
            let counters = put.target.site.as_ref().map(|(_, counters)| counters.clone());
            (put.target.cache.clone(), Targets::key(&put.target.full), counters)
        });
        let evicts = self.evicts.iter().flat_map(Group::all);
        let evicts =
            evicts.map(|evict| (evict.cache().clone(), evict.targets().clone(), evict.site().cloned()));
        Guard(puts.chain(evicts).collect())
    }
}

/// Evicts from its destructor, unless told that the evicts were done.
struct Guard(Vec<(Cache, Targets, Option<Arc<Counters>>)>);

impl Guard {
    fn disarm(mut self) {
        self.0.clear();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        for (cache, targets, site) in self.0.drain(..) {
            cache.evict_later(targets, site);
        }
    }
}

/// Runs `body`, then puts and evicts. `after` adds what mentions the value inside the result; it is not called
/// where there is none.
pub async fn write<'a, R, O, F, A>(mut writes: Writes<'a, R, O>, body: Pin<&mut F>, after: A) -> R
where
    O: Outcome<R>,
    F: Future<Output = R>,
    A: FnOnce(&O::Value, Writes<'a, R, O>) -> Writes<'a, R, O>,
{
    let guard = writes.guard();
    for group in writes.evicts.iter().filter(|group| group.when.before) {
        // All of it is sent again after the body, and counts as failed only if it fails then.
        for evict in group.all() {
            evict.send_ahead().await;
        }
    }
    // Outside the cache nothing is stored, but what is there gets outdated all the same.
    for put in writes.puts.iter_mut().filter(|put| !put.target.cache.is_bypassed()) {
        put.held = lease::acquire_for_put(&put.target, put.late_tags).await;
    }
    let mut loading = Loading::current();
    for put in &writes.puts {
        loading = loading.with(put.target.cache.core().id, put.target.full.clone());
    }
    let held: Vec<&Held> = writes.puts.iter().filter_map(|put| put.held.as_ref()).collect();
    let deadline = writes.puts.iter().map(|put| put.target.deadline()).max().unwrap_or_default();
    let began = Instant::now();
    let returned = lease::keep(&held, deadline, loading.scope(body)).await;
    drop(held);
    let took = began.elapsed();
    let is_err = writes.outcome.is_err(&returned);
    if !is_err && let Some(value) = writes.outcome.value_of(&returned) {
        writes = after(value, writes);
    }
    let mut failed = None;
    for group in writes.evicts.iter().filter(|group| !is_err || group.when.before || group.when.on_err) {
        failed = failed.or(run(group).await);
    }
    for put in std::mem::take(&mut writes.puts) {
        if is_err && !put.on_err {
            // Dropping the lease leaves what is stored as it was.
            continue;
        }
        let prepared = if is_err { None } else { (put.prepare)(writes.outcome.value_of(&returned)) };
        match finish_put(&put.target, put.held, prepared, took).await {
            Ok(true) => put.target.record(Event::Put),
            Ok(false) => {}
            Err(error) => {
                log_failed(&error);
                failed = failed.or(Some(error));
            }
        }
    }
    guard.disarm();
    match (failed, writes.on_failed) {
        (Some(error), Some(make)) if !is_err => make(error),
        _ => returned,
    }
}

/// Sends the evicts of one attribute. Tries all, gives the first error.
async fn run(group: &Group) -> Option<Error> {
    let mut failed = None;
    for evict in group.all() {
        if evict.targets().is_empty() && !evict.has_failed() {
            continue;
        }
        if let Err(error) = evict.send().await {
            log_failed(&error);
            failed = failed.or(Some(error));
        }
    }
    failed
}
