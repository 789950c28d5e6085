//! Large entries, which are laid beside the key that they are for and moved there by a script.
//!
//! Which mechanism each test is there for:
//!
//! | mechanism | test |
//! |---|---|
//! | what is laid is moved only where the guard holds | `a_large_fill_that_an_evict_overtakes_between_its_steps_stores_nothing` |
//! | what is laid and refused is taken away | the same |
//! | what was moved lives as long as its entry should | the same |
//! | bytes are laid before they are moved, on one connection, and do not go through the script | `what_is_laid_goes_before_its_script_and_not_through_it` |
//! | each filler lays under a name of its own | `each_filler_of_a_key_lays_its_bytes_apart` |
//! | a lease whose fill was laid and lost is given back | `a_large_fill_whose_bytes_were_lost_between_its_steps_gives_its_lease_back` |
//! | … and a put leaves nothing | `a_large_put_whose_bytes_were_lost_between_its_steps_leaves_nothing` |
//! | what is laid expires | `what_a_filler_that_died_left_beside_an_entry_expires_and_is_no_entry` |
//! | a user without the right to rename stores all the same, and leaves nothing | `a_user_that_may_not_rename_stores_large_values_all_the_same` |
//! | nothing is laid in a slot that is on its way to another node | `a_large_fill_into_a_slot_that_is_on_its_way_fails_nothing` |
//! | the name of what is laid tells no sealed key, and its bytes no sealed value | `large_values_that_are_sealed_or_compressed_are_moved_as_they_are` |

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cachemacro_runtime::header::{Header, assemble};
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{
    EvictRequest, FillId, Guard, LeaseKind, LeaseOutcome, LeaseRequest, OnRefusal, ReadRequest, Store, Token,
    Write,
};
use cachemacro_runtime::{Cache, Result, Sealing};
use cachemacro_tests::clusters::{PRIMARIES, RedisCluster, slot_of};
use cachemacro_tests::monitor::Watched;
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
    entry_of(store, fill_id, LARGE)
}

fn entry_of(store: &RedisStore, fill_id: u64, size: usize) -> Bytes {
    let header = Header::new().with_fill_id(FillId::new(fill_id)).with_stored_at(store.now());
    assemble(header.with_gone_at(store.now().plus(LONG)), &[], &vec![7; size]).into()
}

async fn lease(store: &RedisStore, key: &str) {
    lease_for(store, key, LeaseKind::Load).await;
}

async fn lease_for(store: &RedisStore, key: &str, kind: LeaseKind) {
    let request = LeaseRequest::new(key, TOKEN, kind, LONG);
    let leases = store.lease(&[request]).await.expect("leased");
    assert_eq!(leases[0].outcome, LeaseOutcome::Taken);
}

async fn fill(store: &RedisStore, key: &str) -> Result<bool> {
    fill_or(store, key, OnRefusal::Leave).await
}

async fn fill_or(store: &RedisStore, key: &str, on_refusal: OnRefusal) -> Result<bool> {
    let fill = Write::new(key, entry(store, 1), LONG).with_guard(Guard::Lease(TOKEN));
    Ok(store.write(&[fill.with_on_refusal(on_refusal)]).await?[0].accepted)
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
        self.fill_or(key, OnRefusal::Leave, meanwhile).await
    }

    /// Takes what was laid away between the two steps.
    async fn fill_and_lose(&self, key: &str, on_refusal: OnRefusal) -> Result<bool> {
        let lose = async || {
            let mut client = self.server.client().await;
            for laid in laid(&self.server, key).await {
                run(&mut client, &format!("UNLINK {laid}")).await;
            }
        };
        self.fill_or(key, on_refusal, lose).await
    }

    async fn fill_or(&self, key: &str, on_refusal: OnRefusal, meanwhile: impl AsyncFnOnce()) -> Result<bool> {
        self.proxy.answer(b"EVALSHA", "NOSCRIPT No matching script.", 1);
        self.proxy.delay(Duration::from_millis(100));
        let (filled, ()) = tokio::join!(fill_or(&self.filler, key, on_refusal), async {
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
    assert!(!between.fill_and_lose("k", OnRefusal::Leave).await.expect("answered"));
    lease(&between.other, "k").await;
}

/// Upholds G4.
#[tokio::test]
async fn a_large_put_whose_bytes_were_lost_between_its_steps_leaves_nothing() {
    let between = Between::new("k").await;
    assert!(fill(&between.other, "k").await.expect("stored"));
    lease_for(&between.filler, "k", LeaseKind::Put).await;
    assert!(is_there(&between.other, "k").await, "until it is written");
    assert!(!between.fill_and_lose("k", OnRefusal::Unlink).await.expect("answered"));
    assert!(!is_there(&between.other, "k").await);
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
async fn what_is_laid_goes_before_its_script_and_not_through_it() {
    let server = RedisServer::start();
    let store = store(&server.url());
    lease(&store, "k").await;
    let watched = Watched::start(&server.url()).await;
    assert!(fill(&store, "k").await.expect("stored"));
    let commands = watched.commands().await;
    let at = |name: &str| commands.iter().position(|command| command[0].eq_ignore_ascii_case(name));
    let (set, script, rename) = (at("SET"), at("EVALSHA"), at("RENAME"));
    assert!(set < script && script < rename && set.is_some(), "{set:?}, {script:?}, {rename:?}");
    let longest = commands[script.expect("sent")].iter().map(String::len).max();
    assert!(longest < Some(100), "{longest:?} bytes of one argument");
    assert_eq!(commands.iter().filter(|command| command[0].eq_ignore_ascii_case("SET")).count(), 1);
}

/// How long the server works on a fill of so many bytes, in microseconds as it counts them: the least of some.
async fn spent(server: &RedisServer, store: &RedisStore, size: usize) -> u64 {
    let mut client = server.client().await;
    let mut least = u64::MAX;
    for _ in 0..20 {
        lease(store, "k").await;
        run(&mut client, "CONFIG RESETSTAT").await;
        let fill = Write::new("k", entry_of(store, 1, size), LONG).with_guard(Guard::Lease(TOKEN));
        assert!(store.write(&[fill]).await.expect("answered")[0].accepted);
        let stats: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut client).await.expect("INFO");
        let of = |name: &str| -> Option<u64> {
            let (_, line) = stats.split_once(&format!("cmdstat_{name}:"))?;
            line.split_once("usec=")?.1.split(',').next()?.parse().ok()
        };
        // What a script does is in its own time.
        let is_laid = of("rename").is_some();
        let laid = if is_laid { of("set").expect("it was laid") } else { 0 };
        least = least.min(laid + of("evalsha").expect("it was filled"));
        store.evict(EvictRequest::new(&["k"], &[])).await.expect("evicted");
    }
    least
}

/// `docs/consistency.md` has what this prints.
#[tokio::test]
async fn the_server_works_little_longer_on_what_is_large() {
    let server = RedisServer::start();
    let store = store(&server.url());
    let mut all = Vec::new();
    for size in [10 << 10, 64 << 10, 1 << 20] {
        let spent = spent(&server, &store, size).await;
        println!("a fill of {} KiB: {spent} µs of the server", size >> 10);
        all.push(spent.max(1));
    }
    // Through the script it is 15 times as long.
    assert!(all[2] < 8 * all[1], "{all:?}");
}

/// Upholds G1: what another has laid may be older than what the guard of this one admits.
#[tokio::test]
async fn each_filler_of_a_key_lays_its_bytes_apart() {
    let between = Between::new("k").await;
    for count in 1..=3 {
        between.proxy.answer(b"EVALSHA", "ERR on purpose", 1);
        fill(&between.filler, "k").await.expect_err("refused");
        assert_eq!(laid(&between.server, "k").await.len(), count);
    }
}

/// Many words, half as long where they are compressed.
fn words(of: u64) -> String {
    let mut random = of | 1;
    let word = |_| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        format!("{:08x} ", (random % 256) * 0x0101_0101)
    };
    (0..LARGE / 4).map(word).collect()
}

#[tokio::test]
async fn large_values_that_are_sealed_or_compressed_are_moved_as_they_are() {
    let server = RedisServer::start();
    let cache = |sealed: bool, compressed: bool| {
        let cache = Cache::builder().redis(server.url()).namespace("shop");
        let cache = cache.connect_timeout(LONG).command_timeout(LONG);
        let cache = if sealed { cache.sealed(Sealing::new(&[1; 32], 1, &[2; 32])) } else { cache };
        if compressed { cache.compress_over(1_000) } else { cache }.build().expect("acceptable")
    };
    let mut client = server.client().await;
    let mut moved = 0;
    for (sealed, compressed) in [(true, false), (false, true), (true, true)] {
        let (one, other) = (cache(sealed, compressed), cache(sealed, compressed));
        let (prefix, value) = (format!("secret-{compressed}"), words(u64::from(sealed) + 2));
        let watched = Watched::start(&server.url()).await;
        assert_eq!(one.get_or_load(&prefix, "secret key", async || value.clone()).await, value);
        one.stored().await;
        moved += 1;
        let told = watched.commands().await;
        let told: Vec<&String> = told.iter().flatten().collect();
        let stats: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut client).await.expect("INFO");
        assert!(stats.contains(&format!("cmdstat_rename:calls={moved},")), "{stats}");
        let tells = |text: &str| told.iter().any(|part| part.contains(text));
        assert_eq!((tells("secret%20key"), tells(&value[..18])), (!sealed, false));
        let longest = told.iter().map(|part| part.len()).max().unwrap_or_default();
        assert!(longest >= LARGE / 4, "{longest}");
        if compressed && !sealed {
            // Of what is not compressed each byte is one letter.
            assert!(server_length(&mut client, "shop:secret-true:secret%20key").await < value.len() * 2 / 3);
        }
        let found = other.get::<String>(&prefix, "secret key").await.expect("read");
        assert!(found.as_ref() == Some(&value), "sealed {sealed}, compressed {compressed}");
        // What is small once it is compressed is laid nowhere.
        let alike = "x".repeat(10 * LARGE);
        if compressed {
            assert_eq!(one.get_or_load(&prefix, "alike", async || alike.clone()).await, alike);
            one.stored().await;
            assert!(other.get(&prefix, "alike").await.expect("read") == Some(alike));
        }
        let total = other.stats().total;
        assert_eq!((total.hits, total.errors()), (1 + u64::from(compressed), 0));
        assert_eq!((one.stats().total.fills, one.stats().total.errors()), (1 + u64::from(compressed), 0));
    }
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut client).await.expect("INFO");
    assert!(stats.contains("cmdstat_rename:calls=3,"), "{stats}");
}

async fn server_length(client: &mut redis::aio::MultiplexedConnection, key: &str) -> usize {
    redis::cmd("STRLEN").arg(key).query_async(client).await.expect("it answers")
}

#[tokio::test]
async fn a_large_fill_into_a_slot_that_is_on_its_way_fails_nothing() {
    let cluster = RedisCluster::start().await;
    let store = store(&cluster.url());
    let key = format!("{{{}}}:k", namespace());
    let slot = slot_of(&cluster.servers[0], &key).await;
    let from = cluster.owner(slot).await;
    let to = (from + 1) % PRIMARIES;
    lease(&store, &key).await;
    // The entry's lease stays where it was, and what is new goes to the other node.
    cluster.begin_move(slot, from, to, 0).await;
    assert!(!fill(&store, &key).await.expect("answered"), "the other node knows of no lease");
    cluster.finish_move(slot, from, to).await;
    assert!(fill(&store, &key).await.expect("answered"), "the lease came along");
    assert!(is_there(&store, &key).await);
    assert_eq!(cluster.keys(&key).await.len(), 1, "nothing lies beside");
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
