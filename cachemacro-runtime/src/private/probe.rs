//! What a function's return type is, found by type and not by spelling.
//!
//! Generated code writes `(&&&Probe::<Ret>::NEW).shape().kind()`. Method lookup takes the candidate that needs the
//! fewest references taken away, so the most specific [`Shape`] wins; through aliases too, because it is types that
//! are matched. A type parameter is always plain: the decision is made where the function is defined.
//!
//! `kind` then looks at what is inside. Where that cannot be cached it answers [`Refused`], with which everything
//! that follows compiles, so that the user reads one error, at the return type, and no echoes of it.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use super::bounds::{CanClone, CanDeserialize, CanSerialize, CanShare, CanStoreErr, NotNested};
use super::explain::ReturnsErr;
use super::kinds::{Opaque, Opt, Refused, Res, ResOpt, Shareable, Storing};
use crate::format::schema::{CacheSchema, Fingerprint, described_and_laid_out, fingerprint_of};
use crate::policy::outcome::{Plain, Value};

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident<$($inside:ident),+>;)+) => {$(
        $(#[$doc])*
        pub struct $name<$($inside),+>(PhantomData<fn() -> ($(PhantomData<$inside>,)+)>);

        impl<$($inside),+> $name<$($inside),+> {
            /// The only value.
            pub const NEW: Self = Self(PhantomData);
        }

        impl<$($inside),+> Clone for $name<$($inside),+> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($inside),+> Copy for $name<$($inside),+> {}

        impl<$($inside),+> fmt::Debug for $name<$($inside),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )+};
}

shapes! {
    /// Asks what the type `R` is.
    Probe<R>;
    /// A type that is neither `Result` nor `Option`.
    PlainShape<T>;
    /// `Option<T>`.
    OptShape<T>;
    /// `Result<T, E>`.
    ResShape<T, E>;
    /// `Result<Option<T>, E>`.
    ResOptShape<T, E>;
    /// `Option<Result<T, E>>`, which is refused: would the `Err` be stored?
    NestedShape<T, E>;
}

/// Which shape a return type has.
pub trait Shape {
    /// The shape.
    type Shape;

    /// The shape.
    fn shape(&self) -> Self::Shape;
}

macro_rules! probed {
    ($(<$($inside:ident),+> $probe:ty => $shape:ty;)+) => {$(
        impl<$($inside),+> Shape for $probe {
            type Shape = $shape;

            fn shape(&self) -> Self::Shape {
                <$shape>::NEW
            }
        }
    )+};
}

probed! {
    <T> Probe<T> => PlainShape<T>;
    <T> &Probe<Option<T>> => OptShape<T>;
    <T, E> &Probe<Result<T, E>> => ResShape<T, E>;
    <T, E> &&Probe<Result<Option<T>, E>> => ResOptShape<T, E>;
    <T, E> &&Probe<Option<Result<T, E>>> => NestedShape<T, E>;
}

/// How a value of a shape is cached.
///
/// An inherent method of the same name is tried before this trait; this trait on a reference comes last, and
/// requires what is not there, which is how the user learns of it.
pub trait Kind: Sized {
    /// The `Outcome` that caches this shape.
    type Kind;
    /// What must be fit to be cached.
    type Inside;
    /// Whether an error hides inside an option.
    type Nesting;

    /// The `Outcome` that caches this shape.
    fn kind(self) -> Self::Kind
    where
        Self::Nesting: NotNested,
        Self::Inside: CanClone + CanShare + CanSerialize + CanDeserialize;

    /// What computes the fingerprint of what is inside.
    fn schema(self) -> fn() -> Fingerprint;
}

/// No `Option<Result<…>>`.
#[derive(Debug)]
pub struct Flat;

impl NotNested for Flat {}

macro_rules! kinds {
    ($(<$($inside:ident $(: $bound:ident)?),+> $shape:ty => $kind:ty, $needs:ty, $nesting:ty, $value:expr, $seen:ty;)+) => {$(
        impl<$($inside $(: $bound)?),+> Kind for $shape {
            type Kind = $kind;
            type Inside = $needs;
            type Nesting = $nesting;

            fn kind(self) -> $kind
            where
                $nesting: NotNested,
                $needs: CanClone + CanShare + CanSerialize + CanDeserialize,
            {
                $value
            }

            fn schema(self) -> fn() -> Fingerprint {
                fingerprint_of::<$seen>
            }
        }
    )+};
}

kinds! {
    <T: Value> PlainShape<T> => Plain, (), Flat, Plain, T;
    <T: Value> OptShape<T> => Opt, (), Flat, Opt, T;
    <T: Value, E> ResShape<T, E> => Res<Opaque>, (), Flat, Res::NEW, T;
    <T: Value, E> ResOptShape<T, E> => ResOpt<Opaque>, (), Flat, ResOpt::NEW, T;
    <T> &PlainShape<T> => Refused<T>, T, Flat, Refused::NEW, ();
    <T> &OptShape<T> => Refused<T>, T, Flat, Refused::NEW, ();
    <T, E> &ResShape<T, E> => Refused<T>, T, Flat, Refused::NEW, ();
    <T, E> &ResOptShape<T, E> => Refused<T>, T, Flat, Refused::NEW, ();
    <T, E> &NestedShape<T, E> => Refused<T>, (), Option<Result<T, E>>, Refused::NEW, ();
}

impl<T: Value, E: Any + Clone + Send + Sync> ResShape<T, E> {
    /// A result whose error is shared by the callers of one flight.
    pub fn kind(self) -> Res<Shareable> {
        Res::NEW
    }
}

impl<T: Value, E: Any + Clone + Send + Sync> ResOptShape<T, E> {
    /// A result whose error is shared by the callers of one flight.
    pub fn kind(self) -> ResOpt<Shareable> {
        ResOpt::NEW
    }
}

/// How a value of a shape is cached where errors are stored too (`cache_err`); otherwise as [`Kind`].
pub trait StoringKind: Sized {
    /// The `Outcome` that caches this shape.
    type Kind;
    /// What must be fit to be cached.
    type Inside;
    /// The error, which must be fit too.
    type Error;
    /// Whether there is an error at all.
    type Returns;

    /// The `Outcome` that caches this shape.
    fn storing_kind(self) -> Self::Kind
    where
        Self::Returns: ReturnsErr,
        Self::Error: CanStoreErr,
        Self::Inside: CanClone + CanShare + CanSerialize + CanDeserialize;
}

/// There is an error.
#[derive(Debug)]
pub struct Returning;

impl ReturnsErr for Returning {}

/// The same where `cache_err` is a default: a return type without errors is cached as [`Kind`] says.
pub trait DefaultStoringKind: Sized {
    /// The `Outcome` that caches this shape.
    type Kind;
    /// What must be fit to be cached.
    type Inside;
    /// The error, which must be fit too.
    type Error;
    /// Whether what is returned is more than an error inside an option.
    type Returns;

    /// The `Outcome` that caches this shape.
    fn storing_kind(self) -> Self::Kind
    where
        Self::Returns: ReturnsErr,
        Self::Error: CanStoreErr,
        Self::Inside: CanClone + CanShare + CanSerialize + CanDeserialize;
}

macro_rules! storing_kinds {
    ($trait:ident: $(<$($inside:ident $(: $bound:path)?),+> $shape:ty => $kind:ty, $needs:ty, $error:ty, $returns:ty, $value:expr;)+) => {$(
        impl<$($inside $(: $bound)?),+> $trait for $shape {
            type Kind = $kind;
            type Inside = $needs;
            type Error = $error;
            type Returns = $returns;

            fn storing_kind(self) -> $kind
            where
                $returns: ReturnsErr,
                $error: CanStoreErr,
                $needs: CanClone + CanShare + CanSerialize + CanDeserialize,
            {
                $value
            }
        }
    )+};
    ($($trait:ident),+) => {$(
        storing_kinds! {
            $trait:
            <T: Value, E: CanStoreErr> ResShape<T, E> => Res<Storing<Opaque>>, (), (), Returning, Res::NEW;
            <T: Value, E: CanStoreErr> ResOptShape<T, E> => ResOpt<Storing<Opaque>>, (), (), Returning, ResOpt::NEW;
            <T, E> &ResShape<T, E> => Refused<T>, T, E, Returning, Refused::NEW;
            <T, E> &ResOptShape<T, E> => Refused<T>, T, E, Returning, Refused::NEW;
            <T, E> NestedShape<T, E> => Refused<T>, (), (), Option<Result<T, E>>, Refused::NEW;
        }
    )+};
}

storing_kinds! { StoringKind, DefaultStoringKind }

storing_kinds! {
    StoringKind:
    <T> PlainShape<T> => Refused<T>, (), (), T, Refused::NEW;
    <T> OptShape<T> => Refused<T>, (), (), Option<T>, Refused::NEW;
}

storing_kinds! {
    DefaultStoringKind:
    <T: Value> PlainShape<T> => Plain, (), (), Returning, Plain;
    <T: Value> OptShape<T> => Opt, (), (), Returning, Opt;
    <T> &PlainShape<T> => Refused<T>, T, (), Returning, Refused::NEW;
    <T> &OptShape<T> => Refused<T>, T, (), Returning, Refused::NEW;
}

impl<T: Value, E: CanStoreErr + Clone + Send + Sync> ResShape<T, E> {
    /// A result whose error is stored, and shared by the callers of one flight.
    pub fn storing_kind(self) -> Res<Storing<Shareable>> {
        Res::NEW
    }
}

impl<T: Value, E: CanStoreErr + Clone + Send + Sync> ResOptShape<T, E> {
    /// A result whose error is stored, and shared by the callers of one flight.
    pub fn storing_kind(self) -> ResOpt<Storing<Shareable>> {
        ResOpt::NEW
    }
}

macro_rules! looks {
    ($(<$($inside:ident),+> $shape:ident => $kind:ty, $value:expr;)+) => {$(
        impl<$($inside),+> $shape<$($inside),+> {
            /// How the result of a function that only evicts is looked at, whatever is inside.
            pub fn look(self) -> $kind {
                $value
            }
        }
    )+};
}

looks! {
    <T> PlainShape => Plain, Plain;
    <T> OptShape => Opt, Opt;
    <T, E> ResShape => Res<Opaque>, Res::NEW;
    <T, E> ResOptShape => ResOpt<Opaque>, ResOpt::NEW;
    <T, E> NestedShape => Plain, Plain;
}

macro_rules! described {
    ($(<$inside:ident $(, $error:ident)?> $shape:ident;)+) => {$(
        impl<$inside: CacheSchema + Value $(, $error)?> $shape<$inside $(, $error)?> {
            /// What computes the fingerprint of what is inside, where `#[derive(CacheSchema)]` describes it.
            pub fn schema(self) -> fn() -> Fingerprint {
                if $inside::WALKED { fingerprint_of::<$inside> } else { described_and_laid_out::<$inside> }
            }
        }
    )+};
}

described! {
    <T> PlainShape;
    <T> OptShape;
    <T, E> ResShape;
    <T, E> ResOptShape;
}
