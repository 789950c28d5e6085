//! What a route's closures make of one request.
//!
//! A user's closure may look a session up or parse a token, so each runs once, whichever ways the request goes.

use http::request::Parts;

use crate::route::Rule;

/// What they made of it so far.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    is_let_in: Option<bool>,
    /// Empty where nobody known sends it.
    identity: Option<Vec<String>>,
    key: Option<String>,
}

impl Judged {
    /// Whether the route's condition lets the request be answered from the cache.
    pub(crate) fn is_let_in(&mut self, rule: &Rule, parts: &Parts) -> bool {
        let Some(condition) = &rule.condition else { return true };
        *self.is_let_in.get_or_insert_with(|| condition(parts))
    }

    /// Who sends the request; `None` where the route does not ask, or nobody known does.
    pub(crate) fn identity(&mut self, rule: &Rule, parts: &Parts) -> Option<&str> {
        let identity = rule.identity.as_ref()?;
        let known = self.identity.get_or_insert_with(|| identity(parts).into_iter().collect());
        known.first().map(String::as_str)
    }

    /// What tells the request apart besides; `None` where the route names nothing.
    pub(crate) fn key(&mut self, rule: &Rule, parts: &Parts) -> Option<&str> {
        let key = rule.key.as_ref()?;
        Some(self.key.get_or_insert_with(|| key(parts)))
    }
}
