//! Futures that are too large to be moved about.

use std::future::Future;
use std::pin::Pin;

/// The future that `make` gives, on the heap. It never lies on the stack of who awaits it, where a build without optimization keeps
/// room for each of its moves as long as it is polled: so a body that calls itself goes deeper.
#[inline(never)]
pub(crate) fn on_heap<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::pin(make())
}
