//! A random history of readers, writers and evicters in several processes has no stale read.
//!
//! While it goes on, the server loses keys, as one short of memory does. The same history on a store without the
//! fence must be found out, so that the check is known to see what it looks for.

use cachemacro_tests::{Dice, RedisServer, Worker, namespace, rounds};

const PROCESSES: u64 = 3;

#[derive(Debug, Default)]
struct Seen {
    reads: u64,
    hits: u64,
    refused: u64,
    stale: u64,
}

async fn history(seed: u64, steps: u64, fence: &str) -> Seen {
    let (cache, database, namespace) = (RedisServer::start(), RedisServer::start(), namespace());
    let mut dice = Dice::new(seed);
    let mut workers = Vec::new();
    for _ in 0..PROCESSES {
        let args = [
            &cache.url(),
            &database.url(),
            &namespace,
            &dice.below(u64::MAX).to_string(),
            "8",
            &steps.to_string(),
            fence,
        ];
        workers.push(Worker::spawn(env!("CARGO_BIN_EXE_history_worker"), &args, &[]));
    }
    for worker in &mut workers {
        worker.expect("ready").await;
    }
    for worker in &mut workers {
        worker.send("play").await;
    }
    let losing = tokio::spawn(lose_keys(cache.client().await, dice.split()));
    for worker in &mut workers {
        worker.expect("played").await;
    }
    losing.abort();
    let mut total = Seen::default();
    for mut worker in workers {
        worker.send("check").await;
        let mut number = async |word| worker.expect(word).await.parse::<u64>().expect("a number");
        total.reads += number("reads").await;
        total.hits += number("hits").await;
        total.refused += number("refused").await;
        total.stale += number("stale").await;
        worker.finish().await;
    }
    total
}

/// Removes keys, whichever.
async fn lose_keys(mut server: redis::aio::MultiplexedConnection, mut dice: Dice) {
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(dice.below(20))).await;
        let key: Option<String> = redis::cmd("RANDOMKEY").query_async(&mut server).await.expect("RANDOMKEY");
        redis::cmd("UNLINK").arg(key.unwrap_or_default()).exec_async(&mut server).await.expect("UNLINK");
    }
}

/// Upholds G1.
#[tokio::test]
async fn a_random_history_in_several_processes_has_no_stale_read() {
    for seed in 1..=rounds(2) {
        let seen = history(seed, 200, "fenced").await;
        assert_eq!(seen.stale, 0, "seed {seed}: {seen:?}");
        assert!(seen.reads > 2_000 && seen.hits > 300 && seen.refused > 100, "seed {seed}: {seen:?}");
    }
}

#[tokio::test]
async fn without_the_fence_the_same_history_has_stale_reads() {
    let seen = history(1, 100, "unfenced").await;
    assert!(seen.stale > 0, "{seen:?}");
}
