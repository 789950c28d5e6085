//! How return types relate to the value inside, as generated code tells the runtime.

use std::sync::Arc;

use cachemacro_runtime::private::{Outcome, Shared, Split};

/// `Option<V>`.
#[derive(Debug, Clone, Copy)]
pub struct Optional;

impl<V> Outcome<Option<V>> for Optional {
    type Value = V;

    fn split(self, returned: Option<V>) -> Split<V, Option<V>> {
        match returned {
            Some(value) => Split::Value(value),
            None => Split::None(None),
        }
    }

    fn value_of(self, returned: &Option<V>) -> Option<&V> {
        returned.as_ref()
    }

    fn wrap(self, value: V) -> Option<V> {
        Some(value)
    }

    fn none(self) -> Option<Option<V>> {
        Some(None)
    }
}

/// `Result<V, E>` with an error that can be cloned, and so shared.
#[derive(Debug, Clone, Copy)]
pub struct ClonedError;

impl<V, E: Clone + Send + Sync + 'static> Outcome<Result<V, E>> for ClonedError {
    type Value = V;

    fn split(self, returned: Result<V, E>) -> Split<V, Result<V, E>> {
        match returned {
            Ok(value) => Split::Value(value),
            Err(_) => Split::Err(returned),
        }
    }

    fn value_of(self, returned: &Result<V, E>) -> Option<&V> {
        returned.as_ref().ok()
    }

    fn wrap(self, value: V) -> Result<V, E> {
        Ok(value)
    }

    fn is_err(self, returned: &Result<V, E>) -> bool {
        returned.is_err()
    }

    fn share_err(self, returned: &Result<V, E>) -> Option<Shared> {
        returned.as_ref().err().map(|error| Arc::new(error.clone()) as Shared)
    }

    fn unshare_err(self, shared: &Shared) -> Option<Result<V, E>> {
        shared.downcast_ref::<E>().cloned().map(Err)
    }
}
