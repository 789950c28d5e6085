//! Locks that a panic does not take along. No user code runs under any of them, not even a subscriber to what is logged,
//! so what a poisoned one holds is consistent.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// The locks and atomics of what loom explores: std's, and loom's in its models (`scripts/loom`).
pub(crate) mod modelled {
    #[cfg(all(test, loom))]
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
    #[cfg(all(test, loom))]
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    #[cfg(not(all(test, loom)))]
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
    #[cfg(not(all(test, loom)))]
    pub(crate) use std::sync::{Mutex, MutexGuard};

    use std::sync::PoisonError;

    /// Lets another thread go on where loom plays the orders, which knows of no step but locks. Nothing otherwise.
    pub(crate) fn step() {
        #[cfg(all(test, loom))]
        loom::thread::yield_now();
    }

    /// What loom knows nothing of, but that it is looked at or changed: it plays the orders in which threads come to it.
    #[derive(Debug, Default)]
    pub(crate) struct Unknown(#[cfg(all(test, loom))] AtomicUsize);

    impl Unknown {
        /// To be called before each use. Nothing where loom does not play.
        #[inline]
        pub(crate) fn step(&self) {
            #[cfg(all(test, loom))]
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            #[cfg(not(all(test, loom)))]
            let Self() = self;
        }
    }

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
