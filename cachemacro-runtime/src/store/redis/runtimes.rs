//! Something for each tokio runtime that asks, kept until that runtime ends.
//!
//! A connection's driver lives on the runtime that opened it and dies with it. So each runtime has connections of its own: they
//! live exactly as long as those who use them, and no request changes threads. Knows nothing of connections.

use std::fmt;
use std::sync::{Arc, RwLock, Weak};

use tokio::runtime::{Handle, Id};
use tokio::task::AbortHandle;

use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::sync::{read, write};

/// What each runtime has.
pub(super) struct PerRuntime<T>(Arc<RwLock<Vec<Owned<T>>>>);

/// What one runtime has.
struct Owned<T> {
    runtime: Id,
    value: Arc<T>,
    /// The task on the runtime that waits for its end.
    watch: Option<AbortHandle>,
}

impl<T: Send + Sync + 'static> PerRuntime<T> {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// Looks at what the caller's runtime has, if anything. It is locked meanwhile.
    ///
    /// # Errors
    /// Outside of any runtime.
    pub(super) fn look<R>(&self, look: impl FnOnce(&T) -> Option<R>) -> Result<Option<R>> {
        let id = runtime()?.id();
        Ok(read(&self.0).iter().find(|owned| owned.runtime == id).and_then(|owned| look(&owned.value)))
    }

    /// What the caller's runtime has, made where it is new.
    ///
    /// # Errors
    /// Outside of any runtime.
    pub(super) fn current(&self, make: impl FnOnce() -> T) -> Result<Arc<T>> {
        let runtime = runtime()?;
        let id = runtime.id();
        let mut all = write(&self.0);
        if let Some(owned) = all.iter().find(|owned| owned.runtime == id) {
            return Ok(Arc::clone(&owned.value));
        }
        let value = Arc::new(make());
        all.push(Owned { runtime: id, value: Arc::clone(&value), watch: None });
        drop(all);
        // Dropped with its runtime; at once, where that is ending. So nothing is locked here.
        let leaving = Leaving { all: Arc::downgrade(&self.0), value: Arc::downgrade(&value) };
        let watch = runtime.spawn(async move {
            let _leaving = leaving;
            std::future::pending::<()>().await;
        });
        if let Some(owned) = write(&self.0).iter_mut().find(|owned| Arc::ptr_eq(&owned.value, &value)) {
            owned.watch = Some(watch.abort_handle());
        }
        Ok(value)
    }

    /// All there are.
    pub(super) fn all(&self) -> Vec<Arc<T>> {
        read(&self.0).iter().map(|owned| Arc::clone(&owned.value)).collect()
    }
}

fn runtime() -> Result<Handle> {
    Handle::try_current()
        .map_err(|error| Error::new(ErrorKind::Connect, "no tokio runtime").with_source(error))
}

impl<T> fmt::Debug for PerRuntime<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerRuntime").field("runtimes", &read(&self.0).len()).finish()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

/// Takes away what a runtime had, when it ends.
struct Leaving<T> {
    all: Weak<RwLock<Vec<Owned<T>>>>,
    value: Weak<T>,
}

impl<T> Drop for Leaving<T> {
    fn drop(&mut self) {
        let Some(all) = self.all.upgrade() else { return };
        let mut owned = write(&all);
        let at = owned.iter().position(|owned| Arc::as_ptr(&owned.value) == self.value.as_ptr());
        let left = at.map(|at| owned.swap_remove(at));
        drop(owned);
        // What it had is dropped here, outside of the lock.
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().expect("a runtime")
    }

    fn kept(per: &PerRuntime<usize>) -> usize {
        per.all().len()
    }

    #[test]
    fn each_runtime_has_its_own_until_it_ends() {
        let (per, made) = (PerRuntime::new(), AtomicUsize::new(0));
        let ask = || {
            let has = *per.current(|| made.fetch_add(1, Ordering::SeqCst)).expect("in a runtime");
            assert_eq!(per.look(|seen| Some(*seen)).expect("in a runtime"), Some(has));
            has
        };
        let (one, other) = (runtime(), runtime());
        assert_eq!(one.block_on(async { (ask(), ask()) }), (0, 0));
        assert_eq!(other.block_on(async { ask() }), 1);
        assert_eq!(one.block_on(async { ask() }), 0, "it is still there");
        drop(one);
        assert_eq!(kept(&per), 1);
        other.shutdown_background();
        assert_eq!(kept(&per), 0);
        assert!(per.current(|| 7).is_err() && per.look(|_| Some(7)).is_err(), "outside of any");
    }

    struct Asks(Arc<PerRuntime<usize>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            // The runtime may be found here; what is spawned on it now is dropped at once.
            let _ = self.0.current(|| 1);
        }
    }

    #[test]
    fn a_runtime_that_is_ending_keeps_nothing() {
        let per = Arc::new(PerRuntime::new());
        let (runtime, asked) = (runtime(), Arc::clone(&per));
        runtime.block_on(async {
            tokio::spawn(async move {
                let _asks = Asks(asked);
                std::future::pending::<()>().await;
            });
            tokio::task::yield_now().await;
        });
        drop(runtime);
        assert_eq!(kept(&per), 0);
    }

    #[test]
    fn nothing_is_left_on_a_runtime_by_one_that_is_dropped() {
        let runtime = runtime();
        let value = runtime.block_on(async {
            let per = PerRuntime::new();
            let value = Arc::downgrade(&per.current(|| 1_usize).expect("in a runtime"));
            drop(per);
            while Handle::current().metrics().num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
            value
        });
        assert!(value.upgrade().is_none());
    }
}
