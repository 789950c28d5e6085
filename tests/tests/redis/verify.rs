//! `verify` with several processes that write and read the same rows: it finds what is wrong, and nothing where nothing is.

use std::time::Duration;

use cachemacro_tests::{DEADLINE, RedisServer, Worker, is_long, namespace, wait_until};

/// Longer than a value is looked at again after: a process that stood still for so long between a write and its evict has served what was
/// not true.
const STOOD_STILL: u64 = 900;

/// Processes that play so.
struct Fleet(Vec<Worker>);

impl Fleet {
    async fn start(how: &str) -> Self {
        let (url, namespace) = (RedisServer::shared().url(), namespace());
        let args = ["truth", &url, &namespace, how];
        let worker = |_| Worker::spawn(env!("CARGO_BIN_EXE_cache_worker"), &args, &[]);
        let mut workers: Vec<_> = (0..3).map(worker).collect();
        for worker in &mut workers {
            worker.expect("ready").await;
        }
        Self(workers)
    }

    /// How many values were found to differ, how many looks there were, and the longest time between a write and the end of its evict.
    async fn counts(&mut self) -> (u64, u64, u64) {
        let mut all = (0, 0, 0);
        for worker in &mut self.0 {
            worker.send("counts").await;
            let line = worker.expect("counts").await;
            let counts: Vec<u64> = line.split(' ').map(|count| count.parse().expect("a number")).collect();
            all = (all.0 + counts[0], all.1 + counts[1], all.2.max(counts[2]));
        }
        all
    }

    async fn end(self) {
        for worker in self.0 {
            worker.kill().await;
        }
    }
}

#[tokio::test]
async fn racing_writes_of_three_processes_make_no_finding() {
    let length = if is_long() { Duration::from_mins(1) } else { Duration::from_secs(3) };
    for _ in 0..5 {
        let mut fleet = Fleet::start("well").await;
        tokio::time::sleep(length).await;
        let (found, looks, slowest) = fleet.counts().await;
        fleet.end().await;
        if found > 0 && slowest >= STOOD_STILL {
            continue;
        }
        println!("{looks} looks within {length:?}, {found} findings; the slowest write took {slowest} ms");
        assert_eq!(found, 0, "of {looks} looks");
        assert!(looks >= length.as_secs(), "{looks} looks");
        return;
    }
    panic!("the machine stands still again and again");
}

/// Within five seconds, on a machine that has time for it.
#[tokio::test]
async fn a_write_path_without_evicts_and_a_store_without_fences_are_found() {
    for how in ["lost", "unfenced"] {
        let mut fleet = Fleet::start(how).await;
        let began = std::time::Instant::now();
        wait_until(&format!("{how} is found"), DEADLINE, async || fleet.counts().await.0 > 0).await;
        println!("{how}: found after {:?}", began.elapsed());
        fleet.end().await;
    }
}
