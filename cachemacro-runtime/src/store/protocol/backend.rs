//! What a map must do to be made a store.

use std::fmt;

use crate::ground::clock::Timestamp;
use crate::ground::error::Result;
use crate::store::contract::{Changes, Immediate, Inspect};
use crate::store::messages::about::{About, StoreHealth};
use crate::store::messages::few::Few;
use crate::store::protocol::steps::Slot;

/// A change of one key: it gets what is under the key (`None`: nothing, or what has expired) and the time, and leaves there what
/// belongs there. It may be called again where another writer came between: the last call counts.
pub type Step<'a> = dyn FnMut(&mut Option<Slot>, Timestamp) -> Change + Send + 'a;

/// What a [`Step`] did.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::protocol::Change;
///
/// assert_ne!(Change::Nothing, Change::Entry);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It left everything as it was: there is nothing to write.
    Nothing,
    /// It wrote what nobody waits for: a lease, or a version.
    Quiet,
    /// It wrote or removed an entry, or gave its lease back: who waits for the entry is to look.
    Entry,
}

impl Change {
    /// What removing this is.
    pub(crate) const fn of_removal(slot: Option<&Slot>) -> Self {
        if slot.is_some() { Self::Entry } else { Self::Nothing }
    }
}

/// A map that can change one key at a time, atomically. [`Protocol`](super::Protocol) makes a store of it.
///
/// A key is gone once its [expiry](Slot::expires) has come, by the time that [`now`](Self::now) tells: neither
/// [`get`](Self::get) nor a step sees it then. A key that is lost is a miss, and never a stale value.
///
/// The methods that give a future are best written as `async fn`.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::protocol::{Backend, Change, Protocol, Slot, Step};
/// use cachemacro::store::{About, Few, StoreHealth};
/// use cachemacro::{Cache, Clock, Result, Timestamp};
/// use std::{collections::BTreeMap, sync::{Arc, Mutex}, time::Duration};
///
/// #[derive(Debug)]
/// struct Sorted(Clock, Mutex<BTreeMap<String, Slot>>);
///
/// impl Backend for Sorted {
///     fn about(&self) -> About {
///         About::new("sorted")
///     }
///
///     fn now(&self) -> Timestamp {
///         self.0.now()
///     }
///
///     async fn get(&self, keys: &[&str]) -> Result<Few<Option<Slot>>> {
///         let (map, now) = (self.1.lock().unwrap(), self.now());
///         Ok(keys.iter().map(|&key| map.get(key).filter(|slot| slot.is_alive(now)).cloned()).collect())
///     }
///
///     async fn update(&self, key: &str, step: &mut Step<'_>) -> Result<()> {
///         let (mut map, now) = (self.1.lock().unwrap(), self.now());
///         let mut slot = map.remove(key).filter(|slot| slot.is_alive(now));
///         step(&mut slot, now);
///         map.extend(slot.map(|slot| (key.to_owned(), slot)));
///         Ok(())
///     }
///
///     async fn remove_prefix(&self, prefix: &str) -> Result<u64> {
///         let (mut map, now) = (self.1.lock().unwrap(), self.now());
///         let mut removed = 0;
///         map.retain(|key, slot| {
///             let goes = key.starts_with(prefix);
///             removed += u64::from(goes && slot.is_alive(now));
///             !goes
///         });
///         Ok(removed)
///     }
///
///     async fn health(&self) -> Result<StoreHealth> {
///         Ok(StoreHealth::new("sorted", None, Duration::ZERO))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let store = Protocol::new(Sorted(Clock::system(), Mutex::default()));
/// let cache = Cache::builder().store(Arc::new(store)).build()?;
/// assert_eq!(cache.get_or_load("n", 1, async || 7).await, 7);
/// assert_eq!(cache.get::<i32>("n", 1).await?, Some(7));
/// # Ok(())
/// # }
/// ```
pub trait Backend: Send + Sync + fmt::Debug + 'static {
    /// What this store is. See [`Store::about`](crate::store::Store::about).
    fn about(&self) -> About;

    /// The time by which leases lapse and keys expire: where processes share the map, the same for all of them.
    fn now(&self) -> Timestamp;

    /// What is under these keys, in the same order.
    ///
    /// # Errors
    /// Where the map failed.
    fn get(&self, keys: &[&str]) -> impl Future<Output = Result<Few<Option<Slot>>>> + Send;

    /// Applies `step` to what is under `key`, and stores what it leaves there, in one atomic change.
    ///
    /// # Errors
    /// Where the map failed.
    fn update(&self, key: &str, step: &mut Step<'_>) -> impl Future<Output = Result<()>> + Send;

    /// Removes every key that begins with `prefix`, and tells how many.
    ///
    /// # Errors
    /// Where the map failed: some of them may be gone.
    fn remove_prefix(&self, prefix: &str) -> impl Future<Output = Result<u64>> + Send;

    /// Asks the map whether it is there.
    ///
    /// # Errors
    /// Where it is not.
    fn health(&self) -> impl Future<Output = Result<StoreHealth>> + Send;

    /// See [`Store::time`](crate::store::Store::time).
    ///
    /// # Errors
    /// Where the map cannot be asked.
    fn time(&self) -> impl Future<Output = Result<Timestamp>> + Send {
        std::future::ready(Ok(self.now()))
    }

    /// See [`Store::connect`](crate::store::Store::connect).
    ///
    /// # Errors
    /// Where the map cannot be opened.
    fn connect(&self) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// See [`Store::close`](crate::store::Store::close).
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// See [`Store::changes`](crate::store::Store::changes).
    fn changes(&self) -> Option<&dyn Changes> {
        None
    }

    /// See [`Store::immediate`](crate::store::Store::immediate).
    fn immediate(&self) -> Option<&dyn Immediate> {
        None
    }

    /// See [`Store::inspect`](crate::store::Store::inspect).
    fn inspect(&self) -> Option<&dyn Inspect> {
        None
    }
}
