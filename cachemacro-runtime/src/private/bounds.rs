//! Requirements on the user's types alone, worded for the user.
//!
//! Each trait holds exactly where something else does; what it adds is the message of the compiler where it does
//! not. `do_not_recommend` keeps the compiler from looking through it.

use serde::Serialize;
use serde::de::DeserializeOwned;

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
