//! Requirements on the user's types, worded for the user.
//!
//! Each trait holds exactly where something else does; what it adds is the message of the compiler where it does
//! not. `do_not_recommend` keeps the compiler from looking through it.

use std::borrow::Borrow;
use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::kinds::{Never, Opt, Refused, ResOpt};
use crate::entry::Entry;
use crate::error::Error;
use crate::options::Ttl;
use crate::outcome::{Outcome, Value};
use crate::write::Writes;

/// A cached value is given to several callers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached because it is not `Clone`",
    label = "what is inside this return type is given to several callers",
    note = "write `#[derive(Clone)]` on it, or return an `Arc` of it",
    note = "a type parameter needs the bound `cachemacro::Value`"
)]
pub trait CanClone {}

#[diagnostic::do_not_recommend]
impl<T: Clone> CanClone for T {}

/// A cached value goes from task to task.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached because it cannot be shared between threads",
    label = "what is inside this return type must be `Send` and `Sync`"
)]
pub trait CanShare {}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync> CanShare for T {}

/// A cached value is turned into bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached because it is not `serde::Serialize`",
    label = "what is inside this return type is stored as bytes",
    note = "write `#[derive(serde::Serialize, serde::Deserialize)]` on the types that it is made of"
)]
pub trait CanSerialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> CanSerialize for T {}

/// A cached value is made from bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached because it is not `serde::Deserialize`, or borrows",
    label = "what is inside this return type is made from stored bytes, and must own all it has",
    note = "write `#[derive(serde::Deserialize)]` on the types that it is made of; return `String` instead of `&str`, `Vec<T>` instead of `&[T]`"
)]
pub trait CanDeserialize {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> CanDeserialize for T {}

/// No `Result` inside an `Option`.
#[diagnostic::on_unimplemented(
    message = "an `Option<Result<…>>` cannot be cached: it is not clear what becomes of the `Err`",
    label = "return `Result<Option<…>, …>` instead (`.transpose()` turns one into the other)"
)]
pub trait NotNested {}

/// An error that `cache_err` can store.
#[diagnostic::on_unimplemented(
    message = "`cache_err` cannot store `{Self}`",
    label = "the error must be `serde::Serialize` and `serde::Deserialize`",
    note = "write `#[derive(serde::Serialize, serde::Deserialize)]` on `{Self}`, or leave `cache_err` out"
)]
pub trait CanStoreErr: Serialize + DeserializeOwned + 'static {}

#[diagnostic::do_not_recommend]
impl<E: Serialize + DeserializeOwned + 'static> CanStoreErr for E {}

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

/// An argument in a default key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a key because it is not `serde::Serialize`",
    label = "this is part of the key",
    note = "leave an argument out with `skip(…)`, name what makes up the key with `key = \"…\"`, or derive `serde::Serialize`"
)]
pub trait KeyPart: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> KeyPart for T {}

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

/// What a closure for `tags` gives.
#[diagnostic::on_unimplemented(
    message = "`tags` gives a list of strings, not `{Self}`",
    label = "these are no tags",
    note = "write `[…]` around a single tag, and `.to_string()` behind what is no text"
)]
pub trait GivesTags {
    /// As text.
    fn into_tags(self) -> Vec<String>;
}

#[diagnostic::do_not_recommend]
impl<I: IntoIterator<Item: AsRef<str>>> GivesTags for I {
    fn into_tags(self) -> Vec<String> {
        self.into_iter().map(|tag| tag.as_ref().to_owned()).collect()
    }
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

/// A TTL, as an expression or closure gives it.
pub fn ttl<T: GivesTtl>(ttl: T) -> Ttl {
    ttl.into_ttl()
}

/// Tags, as a closure gives them.
pub fn strings<T: GivesTags>(tags: T) -> Vec<String> {
    tags.into_tags()
}

/// What a placeholder prints.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be printed in a template because it is not `Display`",
    label = "a placeholder of this template prints a `{Self}`",
    note = "write `{{name:?}}` for what `Debug` prints, name a field or call a method as in `{{name.id}}`, or give an expression instead of a template: `key = (a, b)` goes through serde"
)]
pub trait Printed: Display {}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> Printed for T {}

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

/// An entry that a put writes: it holds what the function returns.
pub const fn held<R, O: Outcome<R>>(_outcome: O, entry: Entry<O::Value>) -> Entry<O::Value> {
    entry
}
