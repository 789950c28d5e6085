//! What a cluster does for a read, node by node: commands and processor time, where one node serves all and where three do.

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
