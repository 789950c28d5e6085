//! Functions whose values a queue writes, and functions that look into one before they load.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};

use super::call::Call;
use crate::api::write_behind::WriteBehind;
use crate::calls::behind::Behind;
use crate::calls::write_behind::pending::Look;
use crate::engine::entry::{Entry, unusable};
use crate::ground::error::{Error, Result};
use crate::key::tag::Tag;
use crate::key::typed;
use crate::policy::outcome::{Outcome, Split, Value, unsplit};
use crate::policy::rules::Rules;
use crate::policy::site::Site;

/// What `queue` and `write_behind` give: a queue of what the function returns.
#[diagnostic::on_unimplemented(
    message = "the function returns a `{V}`, and this is no queue of such writes: `{Self}`",
    label = "this is no `WriteBehind<{V}>`",
    note = "a queue takes writes of the type that its entries hold, what is inside `Result` and `Option`"
)]
pub trait TakesWrites<V> {
    /// The queue.
    fn queue(&self) -> &WriteBehind<V>;
}

#[diagnostic::do_not_recommend]
impl<V> TakesWrites<V> for WriteBehind<V> {
    fn queue(&self) -> &Self {
        self
    }
}

/// What `queue` gives beside `delete`.
#[diagnostic::on_unimplemented(
    message = "`queue` gives a `cachemacro::WriteBehind`, which `{Self}` is not",
    label = "this is no queue of writes",
    note = "a queue is started by `WriteBehind::named(\"renames\").start(&cache, apply)`"
)]
pub trait IsQueue {
    /// What it takes writes of.
    type Value;

    /// The queue.
    fn queue(&self) -> &WriteBehind<Self::Value>;
}

#[diagnostic::do_not_recommend]
impl<V> IsQueue for WriteBehind<V> {
    type Value = V;

    fn queue(&self) -> &Self {
        self
    }
}

/// An entry whose removal a queue takes: it holds what the queue takes writes of.
#[diagnostic::on_unimplemented(
    message = "the queue takes writes of `{V}`, and the entry holds another type: `{Self}`",
    label = "this is no entry of `{V}`"
)]
pub trait RemovedFrom<V> {
    /// The entry.
    fn removed(self) -> Entry<V>;
}

#[diagnostic::do_not_recommend]
impl<V> RemovedFrom<V> for Entry<V> {
    fn removed(self) -> Self {
        self
    }
}

/// A return type that can say that a write was not accepted.
#[diagnostic::on_unimplemented(
    message = "`#[cache_write_behind]` needs a function that returns a `Result` whose error can be made from `cachemacro::Error`",
    label = "`{Self}` cannot say that the write was not accepted",
    note = "implement `From<cachemacro::Error>` for the error type: a queue that stays full, or a server that fails, is an error of this function"
)]
pub trait TellsUnaccepted {
    /// The failure as this function returns it.
    fn tell(error: Error) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, E: From<Error>> TellsUnaccepted for Result<T, E> {
    fn tell(error: Error) -> Self {
        Err(E::from(error))
    }
}

/// A write that was not accepted, as this function returns it.
pub fn unaccepted<R: TellsUnaccepted>(error: Error) -> R {
    R::tell(error)
}

/// A queue of what the function returns.
pub fn queue_of<R, O: Outcome<R>, Q: TakesWrites<O::Value> + ?Sized>(
    _outcome: O,
    queue: &Q,
) -> &WriteBehind<O::Value> {
    queue.queue()
}

/// A queue, whatever it takes writes of.
pub fn queue_of_any<Q: IsQueue + ?Sized>(queue: &Q) -> &WriteBehind<Q::Value> {
    queue.queue()
}

/// What a function gives to a queue: put together by generated code before its body runs.
#[must_use]
pub struct Queueing<R, O, T> {
    outcome: O,
    queue: WriteBehind<T>,
    /// `None`: it mentions the result, and there is none.
    entry: Option<Entry<T>>,
    tags: Result<Vec<String>>,
    unaccepted: fn(Error) -> R,
    /// What reports tell of the function.
    site: Option<&'static Site>,
}

impl<R, O, T> fmt::Debug for Queueing<R, O, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queueing").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl<R, O: Outcome<R>, T: Value> Queueing<R, O, T> {
    /// A write into this queue. `unaccepted` makes the function's error of one that is not accepted.
    pub fn new(outcome: O, queue: &WriteBehind<T>, unaccepted: fn(Error) -> R) -> Self {
        Self { outcome, queue: queue.clone(), entry: None, tags: Ok(Vec::new()), unaccepted, site: None }
    }

    /// The function, for reports. What its write evicts counts for that of the entry.
    pub fn at(mut self, site: &'static Site) -> Self {
        self.site = Some(site);
        self
    }

    /// The entry that holds what is written.
    pub fn entry(mut self, entry: Entry<T>) -> Self {
        self.site.iter().for_each(|site| entry.core().called_at(site));
        self.entry = Some(entry);
        self
    }

    /// The entry that is removed.
    pub fn removed<E: RemovedFrom<T>>(self, entry: E) -> Self {
        self.entry(entry.removed())
    }

    /// Tags that are evicted once the write was applied.
    pub fn with_tags<S: typed::Tag>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        if let Ok(all) = &mut self.tags {
            all.extend(tags.into_iter().map(|tag| tag.text().into_owned()));
        }
        self
    }

    /// The same of tags that templates built.
    pub fn with_built_tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        for tag in tags {
            self.tags = self.tags.and_then(|mut all| {
                all.push(tag.into_text().map_err(|failure| unusable(&failure))?);
                Ok(all)
            });
        }
        self
    }

    /// How the function's return type is taken apart.
    pub const fn outcome(&self) -> O {
        self.outcome
    }

    /// The closure, seen as what [`put`](Self::put) and [`delete`](Self::delete) take.
    pub fn after<A>(&self, after: A) -> A
    where
        A: FnOnce(&O::Value, Self) -> Self,
    {
        after
    }

    /// Runs `body`, then has the queue accept what it returned: a value, or `None`, which removes the entry. `after` adds what mentions the
    /// value; it is not called where there is none.
    pub fn put<F, A>(self, body: Pin<&mut F>, after: A) -> impl Future<Output = R>
    where
        O: Outcome<R, Value = T>,
        F: Future<Output = R>,
        A: FnOnce(&T, Self) -> Self,
    {
        self.run(body, after, |value| value)
    }

    /// Runs `body`, then has the queue accept that the entry is removed, whatever but an `Err` it returned.
    pub fn delete<F, A>(self, body: Pin<&mut F>, after: A) -> impl Future<Output = R>
    where
        F: Future<Output = R>,
        A: FnOnce(&O::Value, Self) -> Self,
    {
        self.run(body, after, |_| None)
    }

    /// `written`: what the entry is to hold, of what was returned.
    async fn run<F, A>(
        self,
        body: Pin<&mut F>,
        after: A,
        written: for<'a> fn(Option<&'a O::Value>) -> Option<&'a T>,
    ) -> R
    where
        F: Future<Output = R>,
        A: FnOnce(&O::Value, Self) -> Self,
    {
        let (outcome, unaccepted) = (self.outcome, self.unaccepted);
        // Not in a variable, which would hold what was returned, perhaps not `Send`, over the await.
        let value = match outcome.split(body.await) {
            Split::Err(failure) => return failure,
            Split::None(_) => None,
            Split::Value(value) => Some(value),
        };
        let this = match &value {
            Some(value) => after(value, self),
            None => self,
        };
        match this.accepted(written(value.as_ref())).await {
            Ok(()) => unsplit(outcome, value),
            Err(error) => unaccepted(error),
        }
    }

    async fn accepted(self, value: Option<&T>) -> Result<()> {
        let tags = self.tags?;
        let Some(entry) = &self.entry else { return Ok(()) };
        let write = match value {
            Some(value) => self.queue.put(entry, value),
            None => self.queue.delete(entry),
        };
        write.tags(tags).await
    }
}

/// A call that looks into a queue before it loads.
#[derive(Debug)]
pub struct PendingCall<V, O, X> {
    call: Call<V, O, X>,
    look: Option<Look>,
}

impl<V: Value, O, X> Call<V, O, X> {
    /// The same, where what is pending of the entry comes before the body.
    pub fn write_behind(mut self, queue: &WriteBehind<V>) -> PendingCall<V, O, X> {
        let look = self.entry_mut().and_then(|entry| Look::of(queue.shared(), entry));
        PendingCall { call: self, look }
    }
}

/// The body, behind a look into the queue.
async fn looking<R, O, F>(look: Option<Look>, outcome: O, body: F) -> R
where
    O: Outcome<R>,
    O::Value: Value,
    F: Future<Output = R>,
{
    match look {
        Some(look) => look.or(outcome, body).await,
        None => body.await,
    }
}

impl<V: Value, O, X> PendingCall<V, O, X> {
    /// As [`Call::load`].
    #[expect(clippy::manual_async_fn, reason = "the future of one holds its arguments twice")]
    pub fn load<R, F>(self, body: Pin<&mut F>) -> impl Future<Output = R>
    where
        O: Outcome<R, Value = V>,
        X: Rules<V>,
        F: Future<Output = R>,
    {
        async move {
            let body = pin!(looking(self.look, self.call.outcome(), body));
            self.call.load(body).await
        }
    }

    /// As [`Call::load_behind`].
    pub fn load_behind<R, F>(
        self,
        body: F,
        behind: Behind,
        late: impl FnOnce() -> Option<R>,
    ) -> impl Future<Output = R>
    where
        R: Send + 'static,
        O: Outcome<R, Value = V> + 'static,
        X: Rules<V> + Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let body = looking(self.look, self.call.outcome(), body);
        self.call.load_behind(body, behind, late)
    }

    /// As [`Call::load_verified`].
    pub fn load_verified<R, F>(self, body: F) -> impl Future<Output = R>
    where
        R: Send + 'static,
        O: Outcome<R, Value = V> + 'static,
        X: Rules<V> + Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let body = looking(self.look, self.call.outcome(), body);
        self.call.load_verified(body)
    }
}
