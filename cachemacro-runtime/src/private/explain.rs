//! Requirements on the user's types, worded for the user.
//!
//! Each trait holds exactly where something else does; what it adds is the message of the compiler where it does
//! not. `do_not_recommend` keeps the compiler from looking through it.

use super::kinds::{Never, Opt, Refused, ResOpt};
use crate::engine::entry::Entry;
use crate::ground::error::Error;
use crate::key::typed::Tag;
use crate::policy::outcome::Outcome;
use crate::policy::ttl::Ttl;

/// A return type that has errors to store.
#[diagnostic::on_unimplemented(
    message = "`cache_err` needs a function that returns a `Result`",
    label = "this function never returns an `Err`"
)]
pub trait ReturnsErr {}

/// A kind of return type that has a `None` to store.
#[diagnostic::on_unimplemented(
    message = "`cache_none` and `none_ttl` need a function that returns an `Option`",
    label = "this function never returns `None`"
)]
pub trait StoresNone {}

impl StoresNone for Opt {}
impl<M> StoresNone for ResOpt<M> {}
impl<T> StoresNone for Refused<T> {}

/// The type that `entry` was told, or guessed, is the type that the function returns.
#[diagnostic::on_unimplemented(
    message = "`entry` does not see that this function's value is `{Self}`",
    label = "the spelling of this return type hides it",
    note = "write `value = {Self}` beside `entry`"
)]
pub trait Same<V> {}

impl<T> Same<T> for T {}
impl<T> Same<T> for Never<T> {}

/// A return type that can carry the failure of an evict.
#[diagnostic::on_unimplemented(
    message = "`on_evict_error = \"return\"` needs a function that returns a `Result` whose error can be made from `cachemacro::Error`",
    label = "`{Self}` cannot carry a failed evict",
    note = "implement `From<cachemacro::Error>` for the error type, or leave `on_evict_error` out: the failure is then logged and counted"
)]
pub trait CarriesError {
    /// The failure as this function returns it.
    fn carry(error: Error) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, E: From<Error>> CarriesError for Result<T, E> {
    fn carry(error: Error) -> Self {
        Err(E::from(error))
    }
}

/// What an option uses beside the body, which takes it.
#[diagnostic::on_unimplemented(
    message = "the body takes this, and an option needs it too, so `{Self}` is cloned for it",
    label = "`{Self}` is not `Clone`",
    note = "derive `Clone`, write `&` in front of it where the option only reads it, or give what the option needs as an argument of its own"
)]
pub trait Kept: Clone {}

#[diagnostic::do_not_recommend]
impl<T: Clone> Kept for T {}

/// What `ttl` gives.
#[diagnostic::on_unimplemented(
    message = "`ttl` gives a `Duration`, not `{Self}`",
    label = "this is no length of time",
    note = "write `Duration::from_secs(…)`; a TTL that is always the same can be text, as in `ttl = \"5m\"`"
)]
pub trait GivesTtl {
    /// As a TTL.
    fn into_ttl(self) -> Ttl;
}

#[diagnostic::do_not_recommend]
impl<T: Into<Ttl>> GivesTtl for T {
    fn into_ttl(self) -> Ttl {
        self.into()
    }
}

/// What an expression or closure for `tags` gives.
#[diagnostic::on_unimplemented(
    message = "`tags` gives a list of strings, not `{Self}`",
    label = "these are no tags",
    note = "write `[…]` around a single tag, also behind the `|…|` of a closure: `tags = |user| [format!(\"user:{{}}\", user.id)]`"
)]
pub trait GivesTags {
    /// What gives them one by one.
    type Tags: IntoIterator<Item: Tag>;

    /// As they are.
    fn tags(self) -> Self::Tags;
}

#[diagnostic::do_not_recommend]
impl<I: IntoIterator<Item: Tag>> GivesTags for I {
    type Tags = I;

    fn tags(self) -> I {
        self
    }
}

/// A clone for an option, because the body takes what it is of.
pub fn kept<T: Kept>(of: &T) -> T {
    of.clone()
}

/// A TTL, as an expression gives it.
pub fn ttl<T: GivesTtl>(ttl: T) -> Ttl {
    ttl.into_ttl()
}

/// Tags, as an expression or closure gives them.
pub fn strings<T: GivesTags>(tags: T) -> Vec<String> {
    tags.tags().into_iter().map(|tag| tag.text().into_owned()).collect()
}

/// Tags that are made before the body, as they are.
pub fn tags_of<T: GivesTags>(tags: T) -> impl Iterator<Item = impl Tag> {
    tags.tags().into_iter()
}

/// Proves [`Same`].
pub fn same<V, R, O: Outcome<R>>(_outcome: O)
where
    O::Value: Same<V>,
{
}

/// Proves [`StoresNone`].
pub fn stores_none<K: StoresNone>(_kind: K) {}

/// The failure of an evict as this function returns it.
pub fn carry<R: CarriesError>(error: Error) -> R {
    R::carry(error)
}

/// An entry of what the function returns.
#[diagnostic::on_unimplemented(
    message = "the function returns a `{V}`, and the entry holds another type: `{Self}`",
    label = "this is no entry of `{V}`",
    note = "return what the entry holds, or name the entry of a function that returns a `{V}`; to evict it instead, write `#[cache_evict]`"
)]
pub trait Holds<V> {
    /// The entry.
    fn held(self) -> Entry<V>;
}

#[diagnostic::do_not_recommend]
impl<V> Holds<V> for Entry<V> {
    fn held(self) -> Self {
        self
    }
}

/// An entry that a put writes: it holds what the function returns.
pub fn held<R, O: Outcome<R>, E: Holds<O::Value>>(_outcome: O, entry: E) -> Entry<O::Value> {
    entry.held()
}
