//! What a cluster does for a read, node by node: commands and processor time, where one node serves all and where three do. And how long
//! callers wait where each node is far away: for the farthest of them, and not for one after the other.

use std::time::{Duration, Instant};

use cachemacro::{Cache, Entry};
use cachemacro_tests::clusters::{PRIMARIES, RedisCluster};
use cachemacro_tests::{DEADLINE, RedisServer, is_long, namespace};
use futures_util::future::join_all;

/// How many entries there are, each with the same tag.
const ENTRIES: u32 = 3_000;
/// How many tasks read them.
const TASKS: u32 = 64;

/// What the busiest node did for a read.
#[derive(Debug, Clone, Copy)]
struct Done {
    commands: f64,
    micros: f64,
}

/// Commands that a server carried out, and how many microseconds of a processor it took in all.
async fn done(server: &RedisServer) -> (f64, f64) {
    let mut client = server.client().await;
    let mut ask = redis::cmd("INFO");
    let told: String = ask.arg("all").query_async(&mut client).await.expect("INFO");
    let field = |name: &str| -> f64 {
        let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse().ok()).expect("it tells")
    };
    let calls = ["cmdstat_get:calls=", "cmdstat_mget:calls=", "cmdstat_getrange:calls="].map(|command| {
        let line = told.lines().find_map(|line| line.strip_prefix(command));
        line.and_then(|line| line.split(',').next()?.parse::<f64>().ok()).unwrap_or(0.0)
    });
    let seconds = field("used_cpu_sys") + field("used_cpu_user");
    (calls.iter().sum(), seconds * 1e6)
}

/// Reads by many tasks at once; of the servers, what the busiest did for a read.
async fn read(url: &str, servers: &[RedisServer]) -> Done {
    let cache = Cache::builder().redis(url).namespace(&namespace()).command_timeout(DEADLINE).build();
    let cache = cache.expect("acceptable");
    let entry = |id: u32| -> Entry<u32> { cache.entry("entry", id).with_tags(["all"]) };
    for chunk in (0..ENTRIES).collect::<Vec<_>>().chunks(500) {
        for stored in join_all(chunk.iter().map(|id| async { entry(*id).set(id).await })).await {
            stored.expect("stored");
        }
    }
    let rounds = if is_long() { 100 } else { 3 };
    let mut before = Vec::new();
    for server in servers {
        before.push(done(server).await);
    }
    let reader = |task: u32| async move {
        for _ in 0..rounds {
            for id in (task..ENTRIES).step_by(usize::try_from(TASKS).expect("a few")) {
                assert_eq!(entry(id).get().await.expect("answered"), Some(id));
            }
        }
    };
    join_all((0..TASKS).map(reader)).await;
    let reads = f64::from(rounds) * f64::from(ENTRIES);
    let mut most = Done { commands: 0.0, micros: 0.0 };
    for (server, (commands, micros)) in servers.iter().zip(before) {
        let now = done(server).await;
        most.commands = most.commands.max((now.0 - commands) / reads);
        most.micros = most.micros.max((now.1 - micros) / reads);
    }
    most
}

/// On two processors the servers are not what limits the reads, so commands are counted; processor time is printed.
#[tokio::test]
async fn three_nodes_share_reads_of_entries_that_all_have_one_tag() {
    let cluster = RedisCluster::start().await;
    let three = read(&cluster.url(), &cluster.servers[..PRIMARIES]).await;
    drop(cluster);
    let alone = RedisCluster::alone().await;
    let one = read(&alone.url(), &alone.servers).await;
    drop(alone);
    let server = RedisServer::start();
    let single = read(&server.url(), std::slice::from_ref(&server)).await;
    println!(
        "for a read, the busiest of three nodes {three:.3?}, one node by itself {one:.3?}, no cluster {single:.3?}"
    );
    assert!(one.commands >= 2.5 * three.commands, "{one:?} {three:?}");
}

/// How long the bytes of a node are under way, in each direction.
const FAR: Duration = Duration::from_millis(60);

/// The shortest of three, on a machine that is busy.
async fn shortest<T>(mut call: impl AsyncFnMut() -> T) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        call().await;
        shortest = shortest.min(began.elapsed());
    }
    shortest
}

/// How many of the primaries have keys that begin so.
async fn nodes_with(cluster: &RedisCluster, prefix: &str) -> usize {
    let mut nodes = 0;
    for server in &cluster.servers[..PRIMARIES] {
        let mut keys = redis::cmd("KEYS");
        let asked = keys.arg(format!("{prefix}*"));
        let keys: Vec<String> = asked.query_async(&mut server.client().await).await.expect("keys");
        nodes += usize::from(!keys.is_empty());
    }
    nodes
}

/// Each compared with what one node costs in the same run.
#[tokio::test]
async fn what_lies_on_three_nodes_is_waited_for_at_once() {
    let cluster = RedisCluster::behind_proxies(None).await;
    // Always the same one, so that its tags lie on all nodes.
    let cache = Cache::builder().redis(cluster.url()).namespace("far").command_timeout(DEADLINE).build();
    let cache = cache.expect("acceptable");
    let one: Entry<u32> = cache.entry("one", 1);
    let tags: Vec<String> = (0..12).map(|tag| format!("tag-{tag}")).collect();
    let tagged: Entry<u32> = cache.entry("tagged", 1).with_tags(&tags);
    let many: Vec<Entry<u32>> = (0..12).map(|id| cache.entry("many", id)).collect();
    let store = async || {
        for stored in join_all(many.iter().chain([&one, &tagged]).map(|entry| entry.set(&7))).await {
            stored.expect("stored");
        }
    };
    store().await;
    assert_eq!(nodes_with(&cluster, "far:many:").await, PRIMARIES);
    assert_eq!(nodes_with(&cluster, "{far:tag:").await, PRIMARIES);
    // Connections for scans are opened before anything is measured.
    cache.evict_prefix("none").await.expect("evicted");
    let keyspace = cache.keyspace::<u32, u32>("many");
    let delay = |nodes: usize, by: Duration| cluster.proxies[..nodes].iter().for_each(|node| node.delay(by));
    let evict_all = async || cache.evict_prefix("many").await.expect("evicted");

    delay(PRIMARIES, FAR);
    let read_one = shortest(async || assert_eq!(one.get().await.expect("answered"), Some(7))).await;
    let evict_one = shortest(async || one.evict().await.expect("evicted")).await;
    assert!(read_one >= 2 * FAR && evict_one >= 2 * FAR, "{read_one:?} {evict_one:?}");
    let read = [
        (
            "entry with tags",
            shortest(async || assert_eq!(tagged.get().await.expect("answered"), Some(7))).await,
        ),
        ("batch", shortest(async || assert_eq!(keyspace.get_many(0..12).await.len(), 12)).await),
    ];
    let evicted = [
        ("tags", shortest(async || cache.evict_tags(&tags).await.expect("evicted")).await),
        ("keys", shortest(async || cache.evict().entries(&many).await.expect("evicted")).await),
    ];
    // A scan takes several steps: where one node is far, as many as where all are.
    let mut swept = Vec::new();
    for nodes in [1, PRIMARIES] {
        delay(PRIMARIES, Duration::ZERO);
        store().await;
        delay(nodes, FAR);
        swept.push(shortest(evict_all).await);
    }
    println!(
        "bytes {FAR:?} under way: a read {read_one:.0?}, {read:.0?}, an evict {evict_one:.0?}, {evicted:.0?}, a prefix {swept:.0?}"
    );
    let measured = read.map(|(what, took)| (what, took, read_one)).into_iter();
    let measured = measured.chain(evicted.map(|(what, took)| (what, took, evict_one)));
    let measured = measured.chain([("prefix", swept[1], swept[0])]);
    let one_by_one: Vec<_> = measured.filter(|(_, took, one)| *took > *one + *one / 2).collect();
    assert_eq!(one_by_one, [], "what was waited for one by one");
}
