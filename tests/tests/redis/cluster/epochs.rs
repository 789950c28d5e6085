//! Ids of nodes under the epoch check: what another node filled, and the one that took over revived, is a miss.
//!
//! | mechanism | test that fails without it |
//! |---|---|
//! | entries carry the id of their node | `what_a_failover_of_a_node_revived_is_a_miss_under_the_epoch_check` |
//! | each slot has its node's id, not the cluster's | `a_failover_of_one_node_leaves_what_the_others_have` |
//! | ids are of the node that answered | `what_moved_to_another_node_is_a_miss_there_once` |

use std::time::Duration;

use cachemacro::{Cache, CacheBuilder};
use cachemacro_tests::clusters::{RedisCluster, slot_of};
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, namespace, wait_until};

async fn number(cache: &Cache, id: u64, fresh: u64) -> u64 {
    let number = cache.entry::<u64>("row", id).with_tags(["rows"]).get_or_load(async || fresh).await;
    cache.stored().await;
    number
}

fn cache(cluster: &RedisCluster, namespace: &str) -> CacheBuilder {
    let builder = Cache::builder().redis(cluster.url()).namespace(namespace);
    builder.command_timeout(Duration::from_secs(2)).guarded(false)
}

async fn slot(cluster: &RedisCluster, namespace: &str, id: u64) -> u16 {
    slot_of(&cluster.servers[1], &format!("{namespace}:row:{id}")).await
}

/// Upholds G1 where the check is on.
#[tokio::test]
async fn what_a_failover_of_a_node_revived_is_a_miss_under_the_epoch_check() {
    let mut cluster = RedisCluster::start().await;
    let ns = namespace();
    let (plain, checked) = (format!("{ns}a"), format!("{ns}b"));
    let without = cache(&cluster, &plain).build().expect("acceptable");
    let with = cache(&cluster, &checked).epoch_check(true).build().expect("acceptable");
    // Rows of the first node, in both namespaces.
    let mut rows = Vec::new();
    for namespace in [&plain, &checked] {
        let mut id = 0;
        while cluster.owner(slot(&cluster, namespace, id).await).await != 0 {
            id += 1;
        }
        rows.push(id);
    }
    let (one, other) = (rows[0], rows[1]);
    for _ in 0..2 {
        assert_eq!((number(&without, one, 1).await, number(&with, other, 1).await), (1, 1));
    }
    assert_eq!(number(&with, other, 2).await, 1, "a hit");
    let replica = cluster.replica_of(0).await;
    let offset = async |server: usize| {
        let mut client = cluster.servers[server].client().await;
        let told: String =
            redis::cmd("INFO").arg("replication").query_async(&mut client).await.expect("INFO");
        told.lines().find_map(|line| line.strip_prefix("master_repl_offset:")).unwrap_or_default().to_owned()
    };
    wait_until("the replica has everything", DEADLINE, async || offset(0).await == offset(replica).await)
        .await;
    // The replica hears no more of its primary, which then takes an evict and ends.
    let mut primary = cluster.servers[0].client().await;
    run(&mut primary, "ACL SETUSER default -psync -sync").await;
    run(&mut primary, "CLIENT KILL TYPE replica").await;
    for (cache, id) in [(&without, one), (&with, other)] {
        cache.evict_key("row", id).await.expect("acknowledged by the former primary");
    }
    cluster.servers[0].stop();
    cluster.is_primary(replica).await;
    let mut read = Vec::new();
    for (cache, id) in [(&without, one), (&with, other)] {
        let served = async || cache.entry::<u64>("row", id).has().await.is_ok();
        wait_until("the next one serves", 4 * DEADLINE, served).await;
        read.push(number(cache, id, 3).await);
    }
    assert_eq!(read, [1, 3], "without the check the old value serves");
    let is_hit = async || number(&with, other, 4).await == number(&with, other, 5).await;
    wait_until("the next one keeps it", 4 * DEADLINE, is_hit).await;
}

#[tokio::test]
async fn a_failover_of_one_node_leaves_what_the_others_have() {
    let cluster = RedisCluster::start().await;
    let ns = namespace();
    let cache = cache(&cluster, &ns).epoch_check(true).build().expect("acceptable");
    let mut of_the_first = Vec::new();
    for id in 0..30 {
        assert_eq!(number(&cache, id, 1).await, 1);
        of_the_first.push(cluster.owner(slot(&cluster, &ns, id).await).await == 0);
    }
    for id in 0..30 {
        assert_eq!(number(&cache, id, 2).await, 1, "a hit");
    }
    let many: Vec<_> = (0..30_u64).map(|id| cache.entry::<u64>("row", id).with_tags(["rows"])).collect();
    let next = cluster.hand_over(0).await;
    cluster.is_primary(next).await;
    // Until it hears of that, the former one answers reads.
    cluster.follows(0).await;
    wait_until("the next one serves", DEADLINE, async || {
        let mut served = true;
        for entry in &many {
            served &= entry.has().await.is_ok();
        }
        served
    })
    .await;
    for (id, of_the_first) in (0..30).zip(of_the_first) {
        // Its tag's version may have been of the first, and is the same on the next one.
        assert_eq!(number(&cache, id, 2).await, if of_the_first { 2 } else { 1 }, "row {id}");
    }
}

#[tokio::test]
async fn what_moved_to_another_node_is_a_miss_there_once() {
    let cluster = RedisCluster::start().await;
    let ns = namespace();
    let cache = cache(&cluster, &ns).epoch_check(true).build().expect("acceptable");
    assert_eq!(number(&cache, 1, 1).await, 1);
    assert_eq!(number(&cache, 1, 2).await, 1, "a hit");
    let moved = slot(&cluster, &ns, 1).await;
    let from = cluster.owner(moved).await;
    cluster.move_slot(moved, from, (from + 1) % 3).await;
    assert_eq!(number(&cache, 1, 2).await, 2);
    assert_eq!(number(&cache, 1, 3).await, 2, "a hit");
    assert_eq!(cache.increment("count", 1, 7).await.expect("added"), 7);
    assert_eq!(cache.increment("count", 1, 1).await.expect("added"), 8);
    // Of many at once, each has the id of its own node.
    let many = cache.keyspace::<u64, u64>("many");
    for id in 0..20 {
        many.put(&id, &(id + 7)).await.expect("stored");
    }
    let read = many.get_many(0..20).await;
    assert!((0..20).all(|id| read.get(&id) == Some(&(id + 7))), "{read:?}");
}
