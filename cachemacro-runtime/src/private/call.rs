//! One call of a function, put together and then given its body.

use std::future::Future;
use std::pin::Pin;

use crate::calls::load::load_known;
use crate::engine::entry::Entry;
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

impl<V: Value, O, X> Call<V, O, X> {
    /// The same with rules about the value.
    pub fn rules<Y>(self, rules: Y) -> Call<V, O, Y> {
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
}
