//! The conformance suite on stores in this process, whose clock the tests move: the one in memory, and those that show what
//! the protocol and the trait bring along.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro_runtime::store::conformance::{Env, Subject, store_conformance};
use cachemacro_runtime::store::faults::FaultStore;
use cachemacro_runtime::store::memory::MemoryStore;
use cachemacro_runtime::store::protocol::{Backend, Protocol, Slot, Step};
use cachemacro_runtime::store::{About, Few, Store, StoreHealth, Write, Written, pass_on};
use cachemacro_runtime::{Clock, Result, Timestamp};

struct Memory {
    clock: Clock,
    raw: Arc<MemoryStore>,
    store: Arc<dyn Store>,
}

impl Memory {
    fn new() -> Self {
        let clock = Clock::manual();
        let raw = Arc::new(MemoryStore::builder().clock(clock.clone()).build());
        Self { clock, store: Arc::clone(&raw) as Arc<dyn Store>, raw }
    }

    fn behind_no_faults() -> Self {
        let memory = Self::new();
        Self { store: Arc::new(FaultStore::new(memory.store)), ..memory }
    }

    fn without_what_is_provided() -> Self {
        let memory = Self::new();
        Self { store: Arc::new(Required(memory.store)), ..memory }
    }
}

#[async_trait]
impl Subject for Memory {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time + Duration::from_millis(1));
    }

    async fn put_raw(&self, key: &str, bytes: &[u8], life: Duration) {
        self.raw.put_raw(key, Bytes::copy_from_slice(bytes), life);
    }

    async fn life_left(&self, key: &str) -> Option<Duration> {
        self.raw.life_left(key)
    }
}

/// A store that brings the required methods alone: what is provided is made of them.
#[derive(Debug)]
struct Required(Arc<dyn Store>);

#[async_trait]
impl Store for Required {
    pass_on!(self.0: about, now, read, capture, lease, keep, evict, evict_prefix, health);

    async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        // Somebody else may run in between, as on a server.
        tokio::task::yield_now().await;
        self.0.write(writes).await
    }
}

/// A map that takes each step twice, as one that compares and swaps does where another writer came between: at first on
/// what is not there any more.
#[derive(Debug)]
struct Twice {
    clock: Clock,
    slots: Mutex<HashMap<String, Slot>>,
    before: Mutex<HashMap<String, Slot>>,
}

impl Backend for Twice {
    fn about(&self) -> About {
        About::new("twice")
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn get(&self, keys: &[&str]) -> Result<Few<Option<Slot>>> {
        let (slots, now) = (self.slots.lock().unwrap(), self.now());
        Ok(keys.iter().map(|key| slots.get(*key).filter(|slot| slot.is_alive(now)).cloned()).collect())
    }

    async fn update(&self, key: &str, step: &mut Step<'_>) -> Result<()> {
        let (mut slots, mut before, now) =
            (self.slots.lock().unwrap(), self.before.lock().unwrap(), self.now());
        let mut outdated = before.get(key).filter(|slot| slot.is_alive(now)).cloned();
        step(&mut outdated, now);
        let mut slot = slots.remove(key).filter(|slot| slot.is_alive(now));
        if let Some(slot) = &slot {
            before.insert(key.to_owned(), slot.clone());
        }
        step(&mut slot, now);
        slots.extend(slot.map(|slot| (key.to_owned(), slot)));
        Ok(())
    }

    async fn remove_prefix(&self, prefix: &str) -> Result<u64> {
        let (mut slots, now) = (self.slots.lock().unwrap(), self.now());
        let removed = slots.extract_if(|key, _| key.starts_with(prefix));
        Ok(removed.filter(|(_, slot)| slot.is_alive(now)).count() as u64)
    }

    async fn health(&self) -> Result<StoreHealth> {
        Ok(StoreHealth::new("twice", None, Duration::ZERO))
    }
}

fn twice() -> Env {
    let clock = Clock::manual();
    let map = Twice { clock: clock.clone(), slots: Mutex::default(), before: Mutex::default() };
    let pass = move |time| -> Ready<()> {
        clock.advance(time);
        ready(())
    };
    Env::over(Protocol::new(map), pass)
}

store_conformance!(memory, async || Env::new(Memory::new()));
store_conformance!(faultless, async || Env::new(Memory::behind_no_faults()));
store_conformance!(required, async || Env::new(Memory::without_what_is_provided()));
store_conformance!(steps_taken_twice, async || twice());
