//! Large entries, which are laid beside the key that they are for and moved there by a script.
//!
//! Which mechanism each test is there for:
//!
//! | mechanism | test |
//! |---|---|
//! | what is laid is moved only where the guard holds | `a_large_fill_that_an_evict_overtakes_between_its_steps_stores_nothing` |
//! | what is laid and refused is taken away | the same |
//! | a lease whose fill was laid and lost is given back | `a_large_fill_whose_bytes_were_lost_between_its_steps_gives_its_lease_back` |
//! | what is laid expires | `what_a_filler_that_died_left_beside_an_entry_expires_and_is_no_entry` |
//! | a user without the right to rename stores all the same | `a_user_that_may_not_rename_stores_large_values_all_the_same` |

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cachemacro_runtime::header::{Header, assemble};
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{
    EvictRequest, FillId, Guard, LeaseKind, LeaseOutcome, LeaseRequest, OnRefusal, ReadRequest, Store, Token,
    Write,
};
use cachemacro_runtime::{Cache, Result};
use cachemacro_tests::clusters::RedisCluster;
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, FaultProxy, LONG, RedisServer, namespace, wait_until};

/// More than goes through a script.
const LARGE: usize = 100_000;
/// How long bytes lie beside an entry at most.
const LAID: i64 = 10_000;
const TOKEN: Token = Token::new(7);

fn store(url: &str) -> RedisStore {
    RedisStore::new(RedisConfig::new(url).connect_timeout(LONG).command_timeout(LONG)).expect("acceptable")
}

fn entry(store: &RedisStore, fill_id: u64) -> Bytes {
    let header = Header::new().with_fill_id(FillId::new(fill_id)).with_stored_at(store.now());
    assemble(header.with_gone_at(store.now().plus(LONG)), &[], &vec![7; LARGE]).into()
}

async fn lease(store: &RedisStore, key: &str) {
    let request = LeaseRequest::new(key, TOKEN, LeaseKind::Load, LONG);
    let leases = store.lease(&[request]).await.expect("leased");
    assert_eq!(leases[0].outcome, LeaseOutcome::Taken);
}

async fn fill(store: &RedisStore, key: &str) -> Result<bool> {
    let fill = Write::new(key, entry(store, 1), LONG).with_guard(Guard::Lease(TOKEN));
    Ok(store.write(&[fill]).await?[0].accepted)
}

async fn is_there(store: &RedisStore, key: &str) -> bool {
    store.read(ReadRequest::new(&[key])).await.expect("read").into_entry().is_some()
}

/// What lies beside this key.
async fn laid(server: &RedisServer, key: &str) -> Vec<String> {
    let mut client = server.client().await;
    redis::cmd("KEYS")
        .arg(format!("{{{key}}}:f:*"))
        .query_async(&mut client)
        .await
        .expect("the server answers")
}

/// A server that is behind a proxy for one store and not for the other; the script of the first fill is not known, which is told late, so
/// that something can happen between its two steps.
struct Between {
    server: RedisServer,
    proxy: FaultProxy,
    filler: RedisStore,
    other: RedisStore,
}

impl Between {
    async fn new(key: &str) -> Self {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(&server.address());
        let (filler, other) = (store(&proxy.url()), store(&server.url()));
        lease(&filler, key).await;
        Self { server, proxy, filler, other }
    }

    /// Fills, and does this between the two steps.
    async fn fill(&self, key: &str, meanwhile: impl AsyncFnOnce()) -> Result<bool> {
        self.proxy.answer(b"EVALSHA", "NOSCRIPT No matching script.", 1);
        self.proxy.delay(Duration::from_millis(100));
        let (filled, ()) = tokio::join!(fill(&self.filler, key), async {
            wait_until("the bytes are laid", DEADLINE, async || !laid(&self.server, key).await.is_empty())
                .await;
            meanwhile().await;
        });
        filled
    }
}

/// Upholds G1.
#[tokio::test]
async fn a_large_fill_that_an_evict_overtakes_between_its_steps_stores_nothing() {
    let between = Between::new("k").await;
    let filled = between.fill("k", async || {
        assert_eq!(between.other.evict(EvictRequest::new(&["k"], &[])).await.expect("evicted"), [false]);
    });
    assert!(!filled.await.expect("answered"));
    assert!(!is_there(&between.other, "k").await);
    assert!(laid(&between.server, "k").await.is_empty());
    // Without an evict it is stored.
    lease(&between.filler, "k").await;
    assert!(between.fill("k", async || {}).await.expect("answered"));
    assert!(is_there(&between.other, "k").await && laid(&between.server, "k").await.is_empty());
    let left: i64 = redis::cmd("PTTL")
        .arg("k")
        .query_async(&mut between.server.client().await)
        .await
        .expect("it answers");
    assert!(left > LAID, "it lives as long as it should: {left}");
}

#[tokio::test]
async fn a_large_fill_whose_bytes_were_lost_between_its_steps_gives_its_lease_back() {
    let between = Between::new("k").await;
    let filled = between.fill("k", async || {
        let mut client = between.server.client().await;
        for key in laid(&between.server, "k").await {
            run(&mut client, &format!("UNLINK {key}")).await;
        }
    });
    assert!(!filled.await.expect("answered"));
    lease(&between.other, "k").await;
}

#[tokio::test]
async fn what_a_filler_that_died_left_beside_an_entry_expires_and_is_no_entry() {
    let between = Between::new("shop:k").await;
    between.proxy.answer(b"EVALSHA", "ERR on purpose", 1);
    fill(&between.filler, "shop:k").await.expect_err("refused");
    let mut client = between.server.client().await;
    let left = laid(&between.server, "shop:k").await;
    assert_eq!(left.len(), 1);
    let life: i64 = redis::cmd("PTTL").arg(&left[0]).query_async(&mut client).await.expect("it answers");
    assert!((1..=LAID).contains(&life), "{life}");
    // The entry's pending header is all that is under the prefix.
    assert_eq!(between.other.evict_prefix("shop:").await.expect("evicted"), 1);
}

/// Guards of other kinds, and what is refused by them.
#[tokio::test]
async fn large_values_are_compared_refreshed_and_refused_like_small_ones() {
    let server = RedisServer::start();
    let store = store(&server.url());
    let write = async |guard, fill_id, on_refusal| {
        let write =
            Write::new("k", entry(&store, fill_id), LONG).with_guard(guard).with_on_refusal(on_refusal);
        store.write(&[write]).await.expect("answered")[0].accepted
    };
    let there = async || {
        let read = store.read(ReadRequest::new(&["k"])).await.expect("read").into_entry();
        read.map(|bytes| (Header::parse(&bytes).expect("a header").fill_id, bytes.len()))
    };
    let all = 96 + LARGE;
    assert!(write(Guard::Always, 1, OnRefusal::Leave).await);
    assert!(!write(Guard::Seen(FillId::new(9)), 2, OnRefusal::Leave).await);
    assert!(write(Guard::Seen(FillId::new(1)), 2, OnRefusal::Leave).await);
    assert_eq!(there().await, Some((FillId::new(2), all)));
    let unchanged = |seen| Guard::unchanged(FillId::new(seen), Token::NONE);
    assert!(!write(unchanged(1), 3, OnRefusal::Leave).await);
    assert!(write(unchanged(2), 3, OnRefusal::Leave).await);
    assert_eq!(there().await, Some((FillId::new(3), all)));
    assert!(!write(Guard::Lease(TOKEN), 4, OnRefusal::Leave).await);
    assert_eq!(there().await, Some((FillId::new(3), all)));
    // G4
    assert!(!write(Guard::Lease(TOKEN), 4, OnRefusal::Unlink).await);
    assert_eq!(there().await, None);
    let keys: i64 = redis::cmd("DBSIZE").query_async(&mut server.client().await).await.expect("it answers");
    assert_eq!(keys, 0, "nothing lies beside");
}

#[tokio::test]
async fn a_user_that_may_not_rename_stores_large_values_all_the_same() {
    let server = RedisServer::start();
    run(&mut server.client().await, "ACL SETUSER shop on >pw ~* &* +@all -rename").await;
    let store = store(&server.bare_url().replace("://", "://shop:pw@"));
    lease(&store, "k").await;
    assert!(fill(&store, "k").await.expect("stored"));
    assert!(is_there(&store, "k").await && laid(&server, "k").await.is_empty());
}

#[tokio::test]
async fn large_values_are_cached_on_a_cluster_too() {
    let cluster = RedisCluster::shared().await;
    let cache = Cache::builder()
        .store(Arc::new(store(&cluster.url())))
        .namespace(&namespace())
        .build()
        .expect("acceptable");
    for id in 0..20 {
        let text = id.to_string().repeat(LARGE);
        assert_eq!(cache.get_or_load("large", id, async || text.clone()).await, text);
        cache.stored().await;
        assert_eq!(cache.get::<String>("large", id).await.expect("read"), Some(text));
    }
    let total = cache.stats().total;
    assert_eq!((total.fills, total.refused_fills, total.errors()), (20, 0, 0));
}
