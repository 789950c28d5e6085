//! How generated code asks for the shape of a field's type: described where the type has a [`CacheSchema`], else traced.
//!
//! Written `(&&&Probe::<T>::NEW).describe(schema)` with the traits in scope, the method that needs the fewest references
//! taken off its receiver wins; so the first of the implementations below whose bounds hold is the one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::describe::{CacheSchema, Schema};

/// Stands for `T` without a value of it.
pub struct Probe<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<T: ?Sized> Probe<T> {
    /// The probe of `T`.
    pub const NEW: Self = Self(PhantomData);
}

impl<T: ?Sized> fmt::Debug for Probe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

/// For a field, first choice: `(&&&Probe::<T>::NEW).describe(schema)` for a type that describes itself.
pub trait FieldDerived {
    /// Adds the type to a description.
    fn describe(&self, schema: &mut Schema);
}

impl<T: CacheSchema + ?Sized> FieldDerived for &&Probe<T> {
    fn describe(&self, schema: &mut Schema) {
        T::describe(schema);
    }
}

/// For a field, second choice: a type that can be walked.
pub trait FieldTraced {
    /// Adds the type to a description.
    fn describe(&self, schema: &mut Schema);
}

impl<T: DeserializeOwned + 'static> FieldTraced for &Probe<T> {
    fn describe(&self, schema: &mut Schema) {
        schema.traced::<T>();
    }
}

/// For a field, where neither is known: the type is unseen.
pub trait FieldOpaque {
    /// Adds the type to a description.
    fn describe(&self, schema: &mut Schema);
}

impl<T: ?Sized> FieldOpaque for Probe<T> {
    fn describe(&self, schema: &mut Schema) {
        schema.opaque::<T>();
    }
}
