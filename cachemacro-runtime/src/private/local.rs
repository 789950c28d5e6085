//! Calls of sync functions, whose values are kept in this process.

use std::any::Any;

use super::bounds::{CanClone, CanShare, NotNested};
use super::explain::ReturnsErr;
use super::kinds::{Opaque, Opt, Refused, Res, ResOpt, Shareable};
use super::probe::{Flat, NestedShape, OptShape, PlainShape, ResOptShape, ResShape, Returning};
use crate::api::cache::Cache;
use crate::calls::load_here::load_here;
use crate::engine::local::LocalEntry;
use crate::key::KeyBuilder;
use crate::key::parts::{self, Call, Parts, ToCompare, ToHash, ToKeep};
use crate::policy::outcome::{Outcome, Plain};
use crate::policy::rules::{NoRules, Rules};
use crate::policy::site::Site;
use crate::store::Placed;

/// A value that one process keeps as it is.
pub trait Keepable: Any + Clone + Send + Sync {}

impl<T: Any + Clone + Send + Sync> Keepable for T {}

/// The arguments of a call for which nothing was kept, to keep its value under.
#[derive(Debug)]
pub struct LocalArguments(Option<Placed>);

/// The arguments of a call of this site, which each of the three closures tells. `inside` is a closure in the function.
#[inline(always)]
#[expect(clippy::inline_always, reason = "part of the hit")]
pub fn parts_of<F, H, C, K>(site: &'static Site, inside: &F, hash: H, compare: C, keep: K) -> Call<H, C, K>
where
    H: Fn(&mut ToHash<'_>),
    C: Fn(&mut ToCompare<'_>),
    K: Fn(&mut ToKeep<'_>),
{
    parts::of(std::ptr::from_ref(site) as usize as u64, inside, hash, compare, keep)
}

/// What is kept for these arguments: every one that key and tags mention.
///
/// # Errors
/// The arguments, where the call must go the whole way.
#[inline]
pub fn local_hit<R, O>(site: &'static Site, outcome: O, parts: &impl Parts) -> Result<R, LocalArguments>
where
    O: Outcome<R>,
    O::Value: Keepable,
{
    let found = Cache::with_current(|cache| cache.core().kept(site, parts, |stored| stored.revive(outcome)));
    found.map_err(LocalArguments)
}

/// The entry of one call of a sync function.
pub fn local_entry<V>(site: &'static Site, key: KeyBuilder) -> LocalEntry<V> {
    let nameless = key.is_nameless();
    let key = key.finish();
    Cache::with_current(|cache| {
        if let Err(error) = &key
            && nameless
            && !cache.is_disabled()
        {
            site.warn_uncached(error);
        }
        LocalEntry::new(cache.core().clone(), site, key.clone())
    })
}

/// All that is known before the body of a sync function runs.
#[derive(Debug)]
pub struct LocalCall<V, O, X> {
    entry: Option<LocalEntry<V>>,
    arguments: LocalArguments,
    outcome: O,
    rules: X,
}

/// A call without rules.
pub fn local_call<V, O>(outcome: O, known: (LocalEntry<V>, LocalArguments)) -> LocalCall<V, O, NoRules> {
    local_call_when(outcome, Some(known))
}

/// The same under a condition, without which there is no entry.
pub fn local_call_when<V, O>(
    outcome: O,
    known: Option<(LocalEntry<V>, LocalArguments)>,
) -> LocalCall<V, O, NoRules> {
    let (entry, arguments) = known.unzip();
    LocalCall { entry, arguments: arguments.unwrap_or(NO_ARGUMENTS), outcome, rules: NoRules }
}

/// Of a call whose key calls something: it is run once, for the key's text.
pub const NO_ARGUMENTS: LocalArguments = LocalArguments(None);

impl<V: Keepable, O, X> LocalCall<V, O, X> {
    /// The same with rules about the value.
    pub fn rules<Y>(self, rules: Y) -> LocalCall<V, O, Y> {
        LocalCall { entry: self.entry, arguments: self.arguments, outcome: self.outcome, rules }
    }

    /// Runs `body`, or gives what is kept.
    pub fn load<R>(self, body: impl FnOnce() -> R) -> R
    where
        O: Outcome<R, Value = V>,
        X: Rules<V>,
    {
        load_here(self.entry, self.arguments.0, self.outcome, &self.rules, body)
    }
}

/// How a value of a shape is kept in this process: as [`Kind`](super::Kind), without bytes.
pub trait LocalKind: Sized {
    /// The `Outcome` that keeps this shape.
    type Kind;
    /// What must be fit to be kept.
    type Inside;
    /// Whether an error hides inside an option.
    type Nesting;

    /// The `Outcome` that keeps this shape.
    fn local_kind(self) -> Self::Kind
    where
        Self::Nesting: NotNested,
        Self::Inside: CanClone + CanShare;
}

macro_rules! local_kinds {
    ($(<$($inside:ident $(: $bound:ident)?),+> $shape:ty => $kind:ty, $needs:ty, $nesting:ty, $value:expr;)+) => {$(
        impl<$($inside $(: $bound)?),+> LocalKind for $shape {
            type Kind = $kind;
            type Inside = $needs;
            type Nesting = $nesting;

            fn local_kind(self) -> $kind
            where
                $nesting: NotNested,
                $needs: CanClone + CanShare,
            {
                $value
            }
        }
    )+};
}

local_kinds! {
    <T: Keepable> PlainShape<T> => Plain, (), Flat, Plain;
    <T: Keepable> OptShape<T> => Opt, (), Flat, Opt;
    <T: Keepable, E> ResShape<T, E> => Res<Opaque>, (), Flat, Res::NEW;
    <T: Keepable, E> ResOptShape<T, E> => ResOpt<Opaque>, (), Flat, ResOpt::NEW;
    <T> &PlainShape<T> => Refused<T>, T, Flat, Refused::NEW;
    <T> &OptShape<T> => Refused<T>, T, Flat, Refused::NEW;
    <T, E> &ResShape<T, E> => Refused<T>, T, Flat, Refused::NEW;
    <T, E> &ResOptShape<T, E> => Refused<T>, T, Flat, Refused::NEW;
    <T, E> &NestedShape<T, E> => Refused<T>, (), Option<Result<T, E>>, Refused::NEW;
}

impl<T: Keepable, E: Keepable> ResShape<T, E> {
    /// A result whose error is shared by the threads of one load.
    pub fn local_kind(self) -> Res<Shareable> {
        Res::NEW
    }
}

impl<T: Keepable, E: Keepable> ResOptShape<T, E> {
    /// A result whose error is shared by the threads of one load.
    pub fn local_kind(self) -> ResOpt<Shareable> {
        ResOpt::NEW
    }
}

/// An error that `cache_err` can keep.
#[diagnostic::on_unimplemented(
    message = "`cache_err` cannot keep `{Self}`",
    label = "the error is given to several callers, so it must be `Clone`, `Send` and `Sync`",
    note = "write `#[derive(Clone)]` on `{Self}`, or leave `cache_err` out"
)]
pub trait CanKeepErr: Any + Clone + Send + Sync {}

#[diagnostic::do_not_recommend]
impl<E: Any + Clone + Send + Sync> CanKeepErr for E {}

/// How a value of a shape is kept where errors are too (`cache_err`); otherwise as [`LocalKind`].
pub trait LocalStoringKind: Sized {
    /// The `Outcome` that keeps this shape.
    type Kind;
    /// What must be fit to be kept.
    type Inside;
    /// The error, which must be fit too.
    type Error;
    /// Whether there is an error at all.
    type Returns;

    /// The `Outcome` that keeps this shape.
    fn local_storing_kind(self) -> Self::Kind
    where
        Self::Returns: ReturnsErr,
        Self::Error: CanKeepErr,
        Self::Inside: CanClone + CanShare;
}

/// The same where `cache_err` is a default: a return type without errors is kept as [`LocalKind`] says.
pub trait DefaultLocalStoringKind: Sized {
    /// The `Outcome` that keeps this shape.
    type Kind;
    /// What must be fit to be kept.
    type Inside;
    /// The error, which must be fit too.
    type Error;
    /// Whether there is an error at all.
    type Returns;

    /// The `Outcome` that keeps this shape.
    fn local_storing_kind(self) -> Self::Kind
    where
        Self::Returns: ReturnsErr,
        Self::Error: CanKeepErr,
        Self::Inside: CanClone + CanShare;
}

macro_rules! local_storing_kinds {
    ($trait:ident: $(<$($inside:ident $(: $bound:ident)?),+> $shape:ty => $kind:ty, $needs:ty, $error:ty, $returns:ty, $value:expr;)+) => {$(
        impl<$($inside $(: $bound)?),+> $trait for $shape {
            type Kind = $kind;
            type Inside = $needs;
            type Error = $error;
            type Returns = $returns;

            fn local_storing_kind(self) -> $kind
            where
                $returns: ReturnsErr,
                $error: CanKeepErr,
                $needs: CanClone + CanShare,
            {
                $value
            }
        }
    )+};
    ($($trait:ident),+) => {$(
        local_storing_kinds! {
            $trait:
            <T: Keepable, E: Keepable> ResShape<T, E> => Res<Shareable>, (), (), Returning, Res::NEW;
            <T: Keepable, E: Keepable> ResOptShape<T, E> => ResOpt<Shareable>, (), (), Returning, ResOpt::NEW;
            <T, E> &ResShape<T, E> => Refused<T>, T, E, Returning, Refused::NEW;
            <T, E> &ResOptShape<T, E> => Refused<T>, T, E, Returning, Refused::NEW;
            <T, E> NestedShape<T, E> => Refused<T>, (), (), Option<Result<T, E>>, Refused::NEW;
        }
    )+};
}

local_storing_kinds! { LocalStoringKind, DefaultLocalStoringKind }

local_storing_kinds! {
    LocalStoringKind:
    <T> PlainShape<T> => Refused<T>, (), (), T, Refused::NEW;
    <T> OptShape<T> => Refused<T>, (), (), Option<T>, Refused::NEW;
}

local_storing_kinds! {
    DefaultLocalStoringKind:
    <T: Keepable> PlainShape<T> => Plain, (), (), Returning, Plain;
    <T: Keepable> OptShape<T> => Opt, (), (), Returning, Opt;
    <T> &PlainShape<T> => Refused<T>, T, (), Returning, Refused::NEW;
    <T> &OptShape<T> => Refused<T>, T, (), Returning, Refused::NEW;
}
