//! The conformance suite on the in-memory store, whose clock the tests move.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro_runtime::Clock;
use cachemacro_runtime::store::Store;
use cachemacro_runtime::store::faults::FaultStore;
use cachemacro_runtime::store::memory::MemoryStore;
use cachemacro_tests::conformance::{Backend, Env};
use cachemacro_tests::store_conformance;

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
}

#[async_trait]
impl Backend for Memory {
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

store_conformance!(memory, async || Env::new(Memory::new()));
store_conformance!(faultless, async || Env::new(Memory::behind_no_faults()));
