//! The evicts that caches share: one queue for each namespace of each store in this process.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, Weak};

use super::queue::{Deferred, Evicts};
use crate::ground::sync::lock;
use crate::store::AnyStore;

/// A namespace of a store.
#[derive(PartialEq, Eq, Hash)]
struct Place {
    store: Identity,
    namespace: String,
}

/// What tells one store from others in this process.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    /// A store that says where its data are.
    Told(u64),
    /// The address of one that does not. Whoever uses a queue of it keeps it there.
    Address(usize),
}

/// The queues that some cache of this process uses. They do not know the type of caches.
type Queues = HashMap<Place, Weak<dyn Any + Send + Sync>>;

static QUEUES: LazyLock<Mutex<Queues>> = LazyLock::new(Mutex::default);

impl<C: Send + Sync + 'static> Deferred<C> {
    /// What a cache on this namespace of this store leaves to do. Its evicts are known to all caches of the process that are
    /// on the same: what one of them left to evict, the others do not read either.
    pub(crate) fn of(store: &AnyStore, namespace: &str) -> Self {
        let store = store.about().identity.map_or_else(|| Identity::Address(store.address()), Identity::Told);
        let place = Place { store, namespace: namespace.to_owned() };
        let mut queues = lock(&QUEUES);
        queues.retain(|_, evicts| evicts.strong_count() > 0);
        let known = queues.get(&place).and_then(Weak::upgrade).and_then(|evicts| evicts.downcast().ok());
        Self::new(known.unwrap_or_else(|| {
            let evicts = Arc::new(Evicts::default());
            let shared: Arc<dyn Any + Send + Sync> = evicts.clone();
            queues.insert(place, Arc::downgrade(&shared));
            evicts
        }))
    }
}
