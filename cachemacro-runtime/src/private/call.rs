//! One call of a function, put together and then given its body.

use std::future::Future;
use std::pin::Pin;

use crate::api::cache::Cache;
use crate::calls::behind::{Behind, load_behind, load_verified};
use crate::calls::load::{call_span, load_known};
use crate::engine::entry::Entry;
use crate::engine::spans;
use crate::policy::outcome::{Outcome, Value};
use crate::policy::rules::{NoRules, Rules};
use crate::private::hit::Arguments;

/// All that is known before the body runs.
#[derive(Debug)]
pub struct Call<V, O, X> {
    entry: Option<Entry<V>>,
    outcome: O,
    rules: X,
    arguments: Arguments,
}

/// A call without rules.
pub fn call<V: Value, O>(outcome: O, known: (Entry<V>, Arguments)) -> Call<V, O, NoRules> {
    call_when(outcome, Some(known))
}

/// The same under a condition, without which there is no entry.
pub fn call_when<V: Value, O>(outcome: O, known: Option<(Entry<V>, Arguments)>) -> Call<V, O, NoRules> {
    let (entry, arguments) = known.unzip();
    let arguments = arguments.flatten();
    Call { entry, outcome, rules: NoRules, arguments }
}

#[cfg(feature = "write-behind")]
impl<V, O: Copy, X> Call<V, O, X> {
    pub(super) const fn outcome(&self) -> O {
        self.outcome
    }
}

#[cfg(feature = "write-behind")]
impl<V, O, X> Call<V, O, X> {
    pub(super) const fn entry_mut(&mut self) -> Option<&mut Entry<V>> {
        self.entry.as_mut()
    }
}

impl<V: Value, O, X> Call<V, O, X> {
    /// The same with rules about the value.
    pub fn rules<Y: Rules<V>>(self, rules: Y) -> Call<V, O, Y>
    where
        V: Value,
    {
        if let (Some(texts), Some(entry)) = (rules.search(), &self.entry) {
            entry.is_searched(texts);
        }
        Call { entry: self.entry, outcome: self.outcome, rules, arguments: self.arguments }
    }

    /// Runs `body`, or gives what is cached. Not an `async fn`, whose future would hold the call once more.
    pub fn load<R, F>(self, body: Pin<&mut F>) -> impl Future<Output = R>
    where
        O: Outcome<R, Value = V>,
        X: Rules<V>,
        F: Future<Output = R>,
    {
        load_known(self.entry, self.arguments.map(|known| known.0), self.outcome, self.rules, body)
    }

    /// The same with a load that goes on behind its caller.
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
        let body = Cache::with_scoped(body);
        let arguments = self.arguments.map(|known| known.0);
        let span = call_span(self.entry.as_ref());
        let call = load_behind(self.entry, arguments, self.outcome, self.rules, body, behind, late);
        spans::in_call(span, call)
    }

    /// The same with a body that may run behind a hit, to see whether that is true.
    pub fn load_verified<R, F>(self, body: F) -> impl Future<Output = R>
    where
        R: Send + 'static,
        O: Outcome<R, Value = V> + 'static,
        X: Rules<V> + Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let body = Cache::with_scoped(body);
        let arguments = self.arguments.map(|known| known.0);
        let span = call_span(self.entry.as_ref());
        spans::in_call(span, load_verified(self.entry, arguments, self.outcome, self.rules, body))
    }
}
