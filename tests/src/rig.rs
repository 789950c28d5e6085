//! Caches for tests of behaviour: on memory or on a real server, with a store that injects faults between.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cachemacro_runtime::store::Store;
use cachemacro_runtime::store::faults::FaultStore;
use cachemacro_runtime::store::memory::MemoryStore;
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::{Cache, CacheBuilder, Clock};

use crate::server::RedisServer;
use crate::single::Single;
use crate::wait::namespace;

/// Longer than any test takes: where a test is not about a deadline, none may end first on a busy machine.
pub const LONG: Duration = Duration::from_mins(2);

/// A namespace of its own in a store, and as many caches on it as a test wants: each is what one process has.
pub struct Rig {
    namespace: String,
    backend: Backend,
}

enum Backend {
    Memory { store: Arc<MemoryStore>, clock: Clock },
    Redis { url: String, store: Arc<RedisStore> },
}

impl fmt::Debug for Rig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rig").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// One process's cache and the faults between it and the store.
#[derive(Debug, Clone)]
pub struct Process {
    /// The cache.
    pub cache: Cache,
    /// What its store does instead of what it should.
    pub faults: Arc<FaultStore>,
}

impl Rig {
    /// On a store in memory.
    pub fn memory() -> Self {
        let clock = Clock::manual();
        let store = Arc::new(MemoryStore::builder().clock(clock.clone()).build());
        Self { namespace: namespace(), backend: Backend::Memory { store, clock } }
    }

    /// On the server that the tests of this process share.
    pub fn redis() -> Self {
        Self::at(&RedisServer::shared().url())
    }

    /// On the server at `url`.
    pub fn at(url: &str) -> Self {
        let backend = Backend::Redis { url: url.to_owned(), store: Arc::new(patient(url)) };
        Self { namespace: namespace(), backend }
    }

    /// The namespace, as keys in the store begin with it.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether the store is a server.
    pub fn is_redis(&self) -> bool {
        matches!(self.backend, Backend::Redis { .. })
    }

    /// The store in memory and its clock.
    ///
    /// # Panics
    /// Where the store is a server.
    pub fn in_memory(&self) -> (&Arc<MemoryStore>, &Clock) {
        match &self.backend {
            Backend::Memory { store, clock } => (store, clock),
            Backend::Redis { .. } => panic!("this rig's store is a server"),
        }
    }

    /// The server's URL.
    ///
    /// # Panics
    /// Where the store is in memory.
    pub fn url(&self) -> &str {
        match &self.backend {
            Backend::Redis { url, .. } => url,
            Backend::Memory { .. } => panic!("this rig's store is in memory"),
        }
    }

    /// The store, with deadlines that none of a test's waits reaches.
    pub fn store(&self) -> Arc<dyn Store> {
        match &self.backend {
            Backend::Memory { store, .. } => store.clone(),
            Backend::Redis { store, .. } => store.clone(),
        }
    }

    /// The bytes under a key of this namespace, without the namespace.
    ///
    /// # Panics
    /// Where the store does not answer, or the key holds no string.
    pub async fn raw(&self, key: &str) -> Option<Bytes> {
        self.store().entry(&format!("{}:{key}", self.namespace)).await.expect("the store answers")
    }

    /// Puts bytes under a key of this namespace, as a foreign client could.
    ///
    /// # Panics
    /// Where the store does not answer.
    pub async fn put_raw(&self, key: &str, bytes: Bytes) {
        let stored = self.store().set(&format!("{}:{key}", self.namespace), bytes, LONG).await;
        stored.expect("the store answers");
    }

    /// Another process: a cache of its own with flights and counters of its own.
    pub fn process(&self) -> Process {
        self.process_with(|builder| builder)
    }

    /// Another process with settings of its own.
    ///
    /// # Panics
    /// Where the settings are not acceptable.
    pub fn process_with(&self, settings: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Process {
        let faults = Arc::new(FaultStore::new(self.store()));
        let builder = Cache::builder().store(faults.clone()).namespace(&self.namespace);
        let builder = settings(builder.lease(LONG).wait(LONG));
        Process { cache: builder.build().expect("acceptable settings"), faults }
    }
}

/// A store on the server at `url` that never gives up in the time of a test.
fn patient(url: &str) -> RedisStore {
    let config = RedisConfig::new(url).connect_timeout(LONG).command_timeout(LONG).pool_wait(LONG);
    RedisStore::new(config).expect("a well-formed URL")
}

/// Runs each named `async fn(Rig)` as a test on memory and as one on a real server.
#[macro_export]
macro_rules! on_both_stores {
    ($($name:ident),+ $(,)?) => {
        mod on_memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::Rig::memory()).await;
            })+
        }
        mod on_redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::Rig::redis()).await;
            })+
        }
    };
}
