//! Failovers that lose evicts: what the epoch check and `WAIT` do about them, and what happens without.
//!
//! | mechanism | test that fails without it |
//! |---|---|
//! | entries carry the server's id | `what_a_failover_revived_is_a_miss_under_the_epoch_check` |
//! | the id is captured before the load | `what_was_loaded_before_a_failover_is_a_miss_after_it` |
//! | connections that are open are asked again | `a_server_that_was_demoted_and_promoted_under_an_open_connection_is_another_one` |
//! | copies end where the server's id is another one | `copies_of_a_server_that_was_a_replica_for_a_moment_are_let_go` |
//! | an evict waits for replicas, on each topology | `an_evict_is_done_once_the_replica_has_it`, and two more |

use std::sync::Arc;
use std::time::Duration;

use cachemacro::{Cache, CacheBuilder, ErrorKind, Warning};
use cachemacro_tests::clusters::{PRIMARIES, RedisCluster};
use cachemacro_tests::sentinels::Watched;
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, FaultProxy, LONG, RedisServer, namespace, wait_until};
use redis::aio::MultiplexedConnection;

async fn info(server: &mut MultiplexedConnection, field: &str) -> String {
    let info: String = redis::cmd("INFO").query_async(server).await.expect("the server tells");
    let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}

/// A primary behind an address, and its replica.
struct Pair {
    primary: RedisServer,
    replica: RedisServer,
    proxy: FaultProxy,
    namespace: String,
}

impl Pair {
    async fn start() -> Self {
        let start = || RedisServer::with_args(&["--repl-diskless-sync-delay", "0"]);
        let (primary, replica) = (start(), start());
        let proxy = FaultProxy::start(&primary.address());
        let pair = Self { primary, replica, proxy, namespace: namespace() };
        run(&mut pair.replica.client().await, &format!("REPLICAOF 127.0.0.1 {}", pair.primary.port())).await;
        pair.is_in_step().await;
        pair
    }

    fn settings(&self) -> CacheBuilder {
        let settings = Cache::builder().redis(self.proxy.url()).namespace(&self.namespace);
        settings.command_timeout(DEADLINE).guarded(false)
    }

    /// Waits until the replica has all that was written.
    async fn is_in_step(&self) {
        let (mut primary, mut replica) = (self.primary.client().await, self.replica.client().await);
        wait_until("the replica has everything", DEADLINE, async || {
            info(&mut replica, "master_link_status").await == "up"
                && info(&mut primary, "master_repl_offset").await
                    == info(&mut replica, "master_repl_offset").await
        })
        .await;
    }

    /// The replica takes over with what it has by then; what the primary does afterwards is lost.
    async fn promote(&self) {
        run(&mut self.replica.client().await, "REPLICAOF NO ONE").await;
    }

    /// The address leads to the new primary.
    fn fail_over(&self) {
        self.proxy.point_at(&self.replica.address());
        self.proxy.cut();
    }
}

async fn number(cache: &Cache, fresh: u64) -> u64 {
    let number = cache.entry::<u64>("row", 1).with_tags(["rows"]).get_or_load(async || fresh).await;
    // What is cut off or fails over then is not on its way any more.
    cache.stored().await;
    number
}

/// What is read after a failover that lost an evict, of a value that was loaded anew.
async fn after_a_lost_evict(settings: fn(CacheBuilder) -> CacheBuilder, tag: bool) -> u64 {
    let pair = Pair::start().await;
    let cache = settings(pair.settings()).build().expect("acceptable settings");
    assert_eq!(number(&cache, 1).await, 1);
    assert_eq!(number(&cache, 2).await, 1, "a hit");
    pair.is_in_step().await;
    pair.promote().await;
    let evicted =
        if tag { cache.evict_tags(["rows"]).await } else { cache.evict_key("row", 1).await.map(drop) };
    evicted.expect("acknowledged by the former primary");
    pair.fail_over();
    number(&cache, 3).await
}

#[tokio::test]
async fn what_a_failover_revived_is_a_miss_under_the_epoch_check() {
    for tag in [false, true] {
        assert_eq!(after_a_lost_evict(|cache| cache, tag).await, 1, "without the check the old value serves");
        assert_eq!(after_a_lost_evict(|cache| cache.epoch_check(true), tag).await, 3);
    }
}

#[tokio::test]
async fn connections_that_break_do_not_empty_the_cache_under_the_epoch_check() {
    let pair = Pair::start().await;
    let cache = pair.settings().epoch_check(true).build().expect("acceptable settings");
    assert_eq!(number(&cache, 1).await, 1);
    for _ in 0..5 {
        pair.proxy.cut();
        assert_eq!(number(&cache, 2).await, 1, "the same server, and the same value");
    }
    assert_eq!(cache.increment("count", 1, 7).await.expect("the server is there"), 7);
    pair.is_in_step().await;
    pair.promote().await;
    pair.fail_over();
    assert_eq!(number(&cache, 3).await, 3);
    assert_eq!(cache.increment("count", 1, 1).await.expect("the server is there"), 1, "it counts anew");
    assert_eq!(cache.get::<i64>("count", 1).await.expect("the server is there"), Some(1));
}

#[tokio::test]
async fn what_was_loaded_before_a_failover_is_a_miss_after_it() {
    let pair = Arc::new(Pair::start().await);
    let cache = pair.settings().epoch_check(true).build().expect("acceptable settings");
    let row = cache.entry::<u64>("row", 1);
    let loaded = row.get_or_load(async || {
        // It has the old row. Then it is evicted on the former primary, which the new one does not know.
        pair.is_in_step().await;
        pair.promote().await;
        row.evict().await.expect("acknowledged by the former primary");
        pair.fail_over();
        cache.get::<u64>("other", 1).await.expect("the new primary is there");
        1
    });
    assert_eq!(loaded.await, 1);
    assert_eq!(row.get_or_load(async || 2).await, 2);
}

#[tokio::test]
async fn a_server_that_was_demoted_and_promoted_under_an_open_connection_is_another_one() {
    let pair = Pair::start().await;
    let settings = Cache::builder().redis(pair.primary.url()).namespace(&pair.namespace).epoch_check(true);
    let cache = settings.health_interval(Duration::from_millis(50)).build().expect("acceptable settings");
    assert_eq!(number(&cache, 1).await, 1);
    pair.is_in_step().await;
    pair.promote().await;
    let mut former = pair.primary.client().await;
    run(&mut former, &format!("REPLICAOF 127.0.0.1 {}", pair.replica.port())).await;
    wait_until("it follows", DEADLINE, async || info(&mut former, "master_link_status").await == "up").await;
    run(&mut former, "REPLICAOF NO ONE").await;
    wait_until("what it had is not used", DEADLINE, async || number(&cache, 2).await == 2).await;
}

#[tokio::test]
async fn a_server_that_does_not_tell_its_id_is_not_used_under_the_epoch_check() {
    let server = RedisServer::start();
    run(&mut server.client().await, "ACL SETUSER shop on >secret ~* +@all -info").await;
    let url = format!("redis://shop:secret@{}", server.address());
    let cache = Cache::builder().redis(url).namespace("shop").epoch_check(true).build().expect("acceptable");
    let error = cache.connect().await.expect_err("it cannot be checked");
    assert!(error.to_string().contains("epoch check"), "{error}");
    assert_eq!(number(&cache, 1).await, 1, "the function runs");
}

/// How many keys, tags and prefixes are to be sent again.
fn kept(cache: &Cache) -> Option<u64> {
    cache.warnings().iter().find_map(|warning| match warning {
        Warning::KeptEvicts { count, .. } => Some(*count),
        _ => None,
    })
}

/// Evicts a key, a tag and a prefix while these replicas are silent.
async fn evicts_wait(settings: CacheBuilder, replicas: &[&RedisServer]) {
    let cache = settings.command_timeout(Duration::from_secs(2)).build().expect("acceptable settings");
    let rows = [
        cache.entry::<u64>("by-key", 1),
        cache.entry("by-tag", 1).with_tags(["rows"]),
        cache.entry("by-prefix", 1),
    ];
    for row in &rows {
        assert_eq!(row.get_or_load(async || 1).await, 1);
    }
    cache.stored().await;
    for row in &rows {
        assert_eq!(row.get_or_load(async || 2).await, 1, "a hit");
    }
    for replica in replicas {
        replica.pause();
    }
    let (key, tag, prefix) = tokio::join!(
        cache.evict_key("by-key", 1),
        cache.evict_tags(["rows"]),
        cache.evict_prefix("by-prefix")
    );
    for (evicted, what) in [(key.map(drop), "key"), (tag, "tag"), (prefix.map(drop), "prefix")] {
        assert_eq!(evicted.expect_err("a replica has it not").kind(), ErrorKind::Refused, "{what}");
    }
    assert_eq!(kept(&cache), Some(3));
    // Nobody else waits.
    assert_eq!(cache.get_or_load("other", 1, async || 7).await, 7);
    for replica in replicas {
        replica.resume();
    }
    wait_until("they are sent again", DEADLINE, async || kept(&cache).is_none()).await;
    for row in &rows {
        assert_eq!(row.get_or_load(async || 2).await, 2, "{row:?}");
    }
    cache.evict_key("by-key", 1).await.expect("the replicas have it");
}

/// Upholds G7.
#[tokio::test]
async fn an_evict_is_done_once_the_replica_has_it() {
    let pair = Pair::start().await;
    evicts_wait(pair.settings().evict_replicas(1), &[&pair.replica]).await;
}

/// Upholds G7: as many as it waits for, and not one of them.
#[tokio::test]
async fn an_evict_by_way_of_sentinels_is_done_once_all_replicas_have_it() {
    let watched = Watched::start().await;
    let settings = Cache::builder().redis(watched.url()).namespace(&namespace()).guarded(false);
    evicts_wait(settings.evict_replicas(2), &[&watched.servers[2]]).await;
}

/// Upholds G7.
#[tokio::test]
async fn an_evict_on_a_cluster_is_done_once_the_replicas_of_its_node_have_it() {
    let cluster = RedisCluster::start().await;
    let settings = Cache::builder().redis(cluster.url()).namespace(&namespace()).guarded(false);
    let replicas: Vec<&RedisServer> = cluster.servers[PRIMARIES..].iter().collect();
    evicts_wait(settings.evict_replicas(1), &replicas).await;
}

/// Upholds G3: nobody was told that it was a replica.
#[tokio::test]
async fn copies_of_a_server_that_was_a_replica_for_a_moment_are_let_go() {
    let pair = Pair::start().await;
    let settings = Cache::builder().redis(pair.primary.url()).namespace(&pair.namespace).epoch_check(true);
    let settings = settings.local(LONG).health_interval(Duration::from_millis(50));
    let cache = settings.command_timeout(DEADLINE).build().expect("acceptable settings");
    wait_until("a copy answers", DEADLINE, async || {
        let before = cache.stats().total.local_hits;
        assert_eq!(number(&cache, 1).await, 1);
        cache.stats().total.local_hits > before
    })
    .await;
    let mut both = redis::pipe();
    both.atomic().cmd("REPLICAOF").arg("127.0.0.1").arg(pair.replica.port());
    both.cmd("REPLICAOF").arg("NO").arg("ONE");
    both.exec_async(&mut pair.primary.client().await).await.expect("it was one and is none");
    wait_until("what it had is not used", DEADLINE, async || number(&cache, 2).await == 2).await;
}
