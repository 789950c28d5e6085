//! Local copies on a cluster: each node tells of its changes, and nodes come and go.
//!
//! | mechanism | test that fails without it |
//! |---|---|
//! | each node that serves slots is watched | `copies_of_all_nodes_follow_what_another_process_changes` |
//! | nothing is asked of a node that is not watched before telling has ended | `a_node_that_was_added_is_watched_before_its_values_are_kept` |
//! | the heartbeat asks for what only the node of a slot answers | `a_node_that_was_demoted_does_not_pass_for_one_that_tells` |
//! | a node that slots are on their way to is watched with the others | `a_slot_on_its_way_to_a_new_node_leaves_the_copies_in_use` |
//! | telling ends with the first node that does not tell | `no_copy_is_taken_while_a_primary_is_gone` |

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cachemacro::{Cache, Entry};
use cachemacro_tests::clusters::{PRIMARIES, RedisCluster, slot_of};
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, LONG, RedisServer, namespace, wait_until};

/// One process of several. Caches of one process at the same nodes share their copies.
struct Process {
    cache: Cache,
    namespace: String,
}

/// What is behind the cache.
#[derive(Debug, Default)]
struct Table(AtomicU64);

impl Process {
    fn new(cluster: &RedisCluster, nodes: usize, namespace: &str) -> Self {
        let hosts: Vec<_> = cluster.servers[..nodes].iter().map(RedisServer::address).collect();
        let url = format!("redis+cluster://{}", hosts.join(","));
        let builder = Cache::builder().redis(url).namespace(namespace).local(Duration::from_hours(1));
        let cache = builder.command_timeout(Duration::from_secs(2)).wait(LONG).build().expect("acceptable");
        Self { cache, namespace: namespace.to_owned() }
    }

    /// Two of one namespace.
    fn two(cluster: &RedisCluster) -> (Self, Self) {
        let ours = namespace();
        (Self::new(cluster, PRIMARIES, &ours), Self::new(cluster, PRIMARIES - 1, &ours))
    }

    fn row(&self, id: u64) -> Entry<u64> {
        self.cache.entry("row", id).with_tags(["rows"])
    }

    async fn read(&self, id: u64, table: &Table) -> u64 {
        self.row(id).get_or_load(async || table.0.load(Ordering::SeqCst)).await
    }

    /// Whether this call is answered by a copy.
    async fn is_local(&self, id: u64, table: &Table) -> bool {
        let before = self.cache.stats().total.local_hits;
        self.read(id, table).await;
        self.cache.stats().total.local_hits > before
    }

    async fn warm(&self, ids: impl Iterator<Item = u64>, table: &Table) {
        for id in ids {
            wait_until("a copy answers", 4 * DEADLINE, async || self.is_local(id, table).await).await;
        }
    }

    async fn sees(&self, id: u64, table: &Table) {
        let now = table.0.load(Ordering::SeqCst);
        wait_until("the change is seen", DEADLINE, async || self.read(id, table).await == now).await;
    }

    /// Waits until nothing is warned of: on a machine that is busy a node may be heard of late, and telling begins anew.
    async fn is_well(&self) {
        wait_until("nothing is warned of", DEADLINE, async || self.cache.warnings().is_empty()).await;
    }

    async fn slot(&self, cluster: &RedisCluster, id: u64) -> u16 {
        slot_of(&cluster.servers[1], &format!("{}:row:{id}", self.namespace)).await
    }
}

impl Table {
    fn change(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Upholds G2 and G3.
#[tokio::test]
async fn copies_of_all_nodes_follow_what_another_process_changes() {
    let cluster = RedisCluster::shared().await;
    let (one, other) = Process::two(cluster);
    let table = Table::default();
    one.warm(0..30, &table).await;
    table.change();
    for id in 0..30 {
        other.row(id).evict().await.expect("evicted");
        one.sees(id, &table).await;
    }
    one.warm(0..30, &table).await;
    table.change();
    other.cache.evict_tags(["rows"]).await.expect("evicted");
    for id in 0..30 {
        one.sees(id, &table).await;
    }
    one.warm(0..30, &table).await;
    table.change();
    one.cache.evict_tags(["rows"]).await.expect("evicted");
    for id in 0..30 {
        assert_eq!(one.read(id, &table).await, 3, "its own at once");
    }
    one.is_well().await;
}

/// Upholds G3.
#[tokio::test]
async fn a_node_that_was_added_is_watched_before_its_values_are_kept() {
    let mut cluster = RedisCluster::start().await;
    let (one, other) = Process::two(&cluster);
    let table = Table::default();
    one.warm(0..4, &table).await;
    let slot = one.slot(&cluster, 2).await;
    let (from, added) = (cluster.owner(slot).await, cluster.add().await);
    cluster.move_slot(slot, from, added).await;
    table.change();
    other.row(2).evict().await.expect("evicted");
    one.sees(2, &table).await;
    // Only what is told brings an end to the copies, and they come back.
    for _ in 0..3 {
        one.warm(0..4, &table).await;
        table.change();
        other.row(2).evict().await.expect("evicted");
        one.sees(2, &table).await;
    }
}

/// Upholds G3: what is read at that node is told by it.
#[tokio::test]
async fn a_slot_on_its_way_to_a_new_node_leaves_the_copies_in_use() {
    let mut cluster = RedisCluster::start().await;
    let (one, other) = Process::two(&cluster);
    let table = Table::default();
    one.warm(0..4, &table).await;
    other.read(2, &table).await;
    let slot = one.slot(&cluster, 2).await;
    let (from, added) = (cluster.owner(slot).await, cluster.add().await);
    cluster.begin_move(slot, from, added, usize::MAX).await;
    for _ in 0..3 {
        let all = async || {
            let before = one.cache.stats().total.local_hits;
            for id in 0..4 {
                one.read(id, &table).await;
            }
            one.cache.stats().total.local_hits == before + 4
        };
        wait_until("copies of all answer one after the other", DEADLINE, all).await;
        table.change();
        other.row(2).evict().await.expect("evicted where the slot will be");
        one.sees(2, &table).await;
        one.warm(0..4, &table).await;
        table.change();
        other.cache.evict_tags(["rows"]).await.expect("evicted");
        for id in 0..4 {
            one.sees(id, &table).await;
        }
    }
    cluster.finish_move(slot, from, added).await;
    table.change();
    other.row(2).evict().await.expect("evicted");
    one.sees(2, &table).await;
    one.warm(0..4, &table).await;
}

/// Upholds G3.
#[tokio::test]
async fn a_node_that_was_demoted_does_not_pass_for_one_that_tells() {
    let cluster = RedisCluster::start().await;
    let (one, other) = Process::two(&cluster);
    let table = Table::default();
    one.warm(0..20, &table).await;
    let mut of_the_first = Vec::new();
    for id in 0..20 {
        if cluster.owner(one.slot(&cluster, id).await).await == 0 {
            of_the_first.push(id);
        }
    }
    // What takes over lets nobody follow it: the former primary goes on answering, and hears of nothing.
    let replica = cluster.replica_of(0).await;
    run(&mut cluster.servers[replica].client().await, "ACL SETUSER default -psync -sync").await;
    cluster.hand_over(0).await;
    table.change();
    for id in &of_the_first {
        wait_until("it is evicted", DEADLINE, async || other.row(*id).evict().await.is_ok()).await;
    }
    for id in of_the_first {
        one.sees(id, &table).await;
    }
}

/// Upholds G3.
#[tokio::test]
async fn no_copy_is_taken_while_a_primary_is_gone() {
    let mut cluster = RedisCluster::start().await;
    let (one, other) = Process::two(&cluster);
    let table = Table::default();
    one.warm(0..20, &table).await;
    let replica = cluster.replica_of(0).await;
    // So that nobody takes over meanwhile.
    cluster.servers[replica].pause();
    cluster.servers[0].stop();
    let is_off = async || one.cache.warnings().iter().any(|warning| warning.as_str() == "local_off");
    wait_until("the tier is off", DEADLINE, is_off).await;
    for id in 0..20 {
        assert!(!one.is_local(id, &table).await, "of no node");
    }
    cluster.servers[replica].resume();
    cluster.is_primary(replica).await;
    table.change();
    for id in 0..20 {
        wait_until("it is evicted", DEADLINE, async || other.row(id).evict().await.is_ok()).await;
        one.sees(id, &table).await;
    }
    one.warm(0..20, &table).await;
    one.is_well().await;
}
