//! How often one hit allocates, one caller alone, and 64 tasks; and how often the server reads and runs a command for one of
//! those. Under `taskset -c 1` client and server share a processor.

use std::time::Duration;

use cachemacro_benches::rounds::{KEYS, hits};
use cachemacro_benches::server::Server;
use cachemacro_benches::subjects::Subject;
use cachemacro_benches::value;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let server = Server::start(None);
    let bytes = value::encode(&value::user(7, 67));
    let region = Region::new(ALLOCATOR);
    let decoded = value::decode(&bytes);
    println!("a value of {} bytes: {} allocations", bytes.len(), region.change().allocations);
    drop(decoded);
    for subject in Subject::all(&server.url(), 67).await {
        let alone = subject.clone();
        let alone = tokio::spawn(async move {
            for id in 0..KEYS {
                alone.hit(id).await;
            }
            let region = Region::new(ALLOCATOR);
            for id in 0..KEYS {
                alone.hit(id).await;
            }
            region.change().allocations as f64 / KEYS as f64
        });
        let alone = alone.await.expect("no panic");
        let before = served(&server.url()).await;
        let began = std::time::Instant::now();
        let region = Region::new(ALLOCATOR);
        let each = hits(&subject, 64, Duration::from_millis(300)).await;
        let count = began.elapsed().as_nanos() as f64 / each;
        let together = region.change().allocations as f64 / count;
        let after = served(&server.url()).await;
        let [reads, commands] = [0, 1].map(|at| (after[at] - before[at]) / count);
        println!(
            "{:22} allocations alone {alone:6.2}, 64 tasks {together:6.2}; server reads {reads:.3}, commands {commands:.3}",
            subject.name(),
        );
    }
}

/// How often the server read from a socket, and how many commands it ran.
async fn served(url: &str) -> [f64; 2] {
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it answers");
    let info: String = redis::cmd("INFO").arg("stats").query_async(&mut connection).await.expect("told");
    ["total_reads_processed:", "total_commands_processed:"]
        .map(|name| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).expect("told"))
}
