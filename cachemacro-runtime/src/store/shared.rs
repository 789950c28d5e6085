//! What the caches of one process share that are on one namespace of one store.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, Weak};

use crate::ground::sync::lock;
use crate::store::any::AnyStore;

/// A namespace of a store, and what of it is shared.
#[derive(PartialEq, Eq, Hash)]
struct Place {
    store: Identity,
    namespace: String,
    what: TypeId,
}

/// What tells one store from others in this process.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    /// A store that says where its data are.
    Told(u64),
    /// The address of one that does not. Whoever uses what is shared keeps the store there.
    Address(usize),
}

fn identity(store: &AnyStore) -> Identity {
    let address = || Identity::Address(store.address());
    store.about().identity.map_or_else(address, Identity::Told)
}

/// Whether these stores are one, or two ways to one place, as far as they tell.
#[cfg(feature = "write-behind")]
pub(crate) fn are_one(store: &AnyStore, other: &AnyStore) -> bool {
    identity(store) == identity(other)
}

/// What some cache of this process uses.
type Shared = HashMap<Place, Weak<dyn Any + Send + Sync>>;

static SHARED: LazyLock<Mutex<Shared>> = LazyLock::new(Mutex::default);

/// What all caches of the process on this namespace of this store have one of, made where this is the first.
pub(crate) fn shared<T: Any + Send + Sync>(
    store: &AnyStore,
    namespace: &str,
    make: impl FnOnce() -> T,
) -> Arc<T> {
    let place = Place { store: identity(store), namespace: namespace.to_owned(), what: TypeId::of::<T>() };
    let mut all = lock(&SHARED);
    all.retain(|_, shared| shared.strong_count() > 0);
    let known = all.get(&place).and_then(Weak::upgrade).and_then(|shared| shared.downcast().ok());
    known.unwrap_or_else(|| {
        let made = Arc::new(make());
        let shared: Arc<dyn Any + Send + Sync> = made.clone();
        all.insert(place, Arc::downgrade(&shared));
        made
    })
}
