//! What tests of the attributes share.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use cachemacro::Cache;

/// Runs `future` with an in-memory cache of its own.
///
/// # Panics
/// Where `future` does.
pub fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(Cache::memory().scope(future))
}

/// Counts how often a body ran.
#[derive(Debug, Default)]
pub struct Calls(AtomicUsize);

impl Calls {
    /// None yet.
    pub const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// One more; tells how many there are.
    pub fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Compiles only where `value` is [`Send`].
pub fn assert_send<T: Send>(value: T) -> T {
    value
}
