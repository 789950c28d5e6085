//! The conformance suite for stores on a real server.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use cachemacro_runtime::store::Store;
use cachemacro_runtime::store::conformance::{Env, Subject, store_conformance};
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_tests::RedisServer;
use cachemacro_tests::authority::Authority;
use cachemacro_tests::clusters::{RedisCluster, slot_of};
use cachemacro_tests::sentinels::{NAME, OverTls};
use redis::aio::MultiplexedConnection;

use crate::cluster::secured::{self, Secured};
use crate::{tls, users};

struct Redis {
    server: &'static RedisServer,
    store: Arc<RedisStore>,
}

impl Redis {
    fn on(server: &'static RedisServer, protocol: &str) -> Self {
        Self::at(server, format!("{}?protocol={protocol}", server.url()))
    }

    fn over_tls() -> Self {
        let (server, authority) = tls::shared();
        Self::at(&server.server, server.url(authority))
    }

    fn by_sentinel() -> Self {
        static SHARED: OnceLock<(RedisServer, RedisServer)> = OnceLock::new();
        let (server, sentinel) = SHARED.get_or_init(|| {
            let server = RedisServer::start();
            let watches = format!("sentinel monitor {NAME} 127.0.0.1 {} 1", server.port());
            (server, RedisServer::sentinel(&watches))
        });
        Self::at(server, format!("redis+sentinel://{}/{NAME}", sentinel.address()))
    }

    fn by_sentinel_over_tls() -> Self {
        static SHARED: OnceLock<(OverTls, Authority)> = OnceLock::new();
        let (watched, _) = SHARED.get_or_init(|| {
            let authority = Authority::new("of a sentinel");
            (OverTls::start(&authority), authority)
        });
        Self::at(&watched.primary.server, watched.url.clone())
    }

    fn with_few_rights() -> Self {
        let (server, url) = users::restricted();
        Self::at(server, url)
    }

    fn at(server: &'static RedisServer, url: String) -> Self {
        // The deadline is not what these cases are about, and they run beside many others.
        let config = RedisConfig::new(url).command_timeout(Duration::from_secs(10));
        Self { server, store: Arc::new(RedisStore::new(config).expect("the URL is well-formed")) }
    }
}

#[async_trait]
impl Subject for Redis {
    fn store(&self) -> Arc<dyn Store> {
        Arc::<RedisStore>::clone(&self.store)
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time + Duration::from_millis(20)).await;
    }

    async fn put_raw(&self, key: &str, bytes: &[u8], life: Duration) {
        put_raw(self.server.client().await, key, bytes, life).await;
    }

    async fn life_left(&self, key: &str) -> Option<Duration> {
        life_left(self.server.client().await, key).await
    }
}

async fn put_raw(mut server: MultiplexedConnection, key: &str, bytes: &[u8], life: Duration) {
    let mut set = redis::cmd("SET");
    set.arg(key).arg(bytes).arg("PX").arg(life.as_millis());
    set.exec_async(&mut server).await.expect("SET");
}

async fn life_left(mut server: MultiplexedConnection, key: &str) -> Option<Duration> {
    let left: i64 = redis::cmd("PTTL").arg(key).query_async(&mut server).await.expect("PTTL");
    u64::try_from(left).ok().map(Duration::from_millis)
}

/// The same on a cluster; keys are put and looked at where their slots are served.
struct OnCluster {
    cluster: &'static RedisCluster,
    store: Arc<RedisStore>,
}

impl OnCluster {
    async fn plainly() -> Self {
        let cluster = RedisCluster::shared().await;
        Self::at(cluster, cluster.url())
    }

    /// By a user with few rights.
    async fn over_tls() -> Self {
        let Secured { cluster, url, .. } = secured::shared().await;
        Self::at(cluster, url.clone())
    }

    fn at(cluster: &'static RedisCluster, url: String) -> Self {
        let config = RedisConfig::new(url).command_timeout(Duration::from_secs(10));
        Self { cluster, store: Arc::new(RedisStore::new(config).expect("the URL is well-formed")) }
    }

    async fn client(&self, key: &str) -> MultiplexedConnection {
        let slot = slot_of(&self.cluster.servers[0], key).await;
        self.cluster.servers[self.cluster.owner(slot).await].client().await
    }
}

#[async_trait]
impl Subject for OnCluster {
    fn store(&self) -> Arc<dyn Store> {
        Arc::<RedisStore>::clone(&self.store)
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time + Duration::from_millis(20)).await;
    }

    async fn put_raw(&self, key: &str, bytes: &[u8], life: Duration) {
        put_raw(self.client(key).await, key, bytes, life).await;
    }

    async fn life_left(&self, key: &str) -> Option<Duration> {
        life_left(self.client(key).await, key).await
    }
}

store_conformance!(on_a_cluster, async || Env::new(OnCluster::plainly().await));
store_conformance!(on_a_cluster_over_tls, async || Env::new(OnCluster::over_tls().await));
store_conformance!(resp2, async || Env::new(Redis::on(RedisServer::shared(), "resp2")));
store_conformance!(resp3, async || Env::new(Redis::on(RedisServer::shared(), "resp3")));
store_conformance!(over_tls, async || Env::new(Redis::over_tls()));
store_conformance!(with_few_rights, async || Env::new(Redis::with_few_rights()));
store_conformance!(by_sentinel, async || Env::new(Redis::by_sentinel()));
store_conformance!(by_sentinel_over_tls, async || Env::new(Redis::by_sentinel_over_tls()));
