//! What the programs of this package share: a server, a value, those that are compared, and how they take turns.

pub mod rounds;
pub mod server;
pub mod subjects;
pub mod value;

/// The connection's own source, measured without the store around it.
#[path = "../../cachemacro-runtime/src/store/redis/wire/mod.rs"]
#[allow(dead_code, unused_imports)]
mod wire_source;

/// What that source uses of its crate.
mod ground {
    pub(crate) mod sync {
        use std::sync::{Mutex, MutexGuard, PoisonError};

        pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
            mutex.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
