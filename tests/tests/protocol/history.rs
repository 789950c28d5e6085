//! A random history of readers, writers and evicters in several processes has no stale read.
//!
//! While it goes on, the server loses keys, as one short of memory does. The same history on a store without the
//! fence must be found out, so that the check is known to see what it looks for.

use std::time::Duration;

use cachemacro_tests::broken::Lacks;
use cachemacro_tests::history::{Counts, Fleet, Plan};
use cachemacro_tests::{DEADLINE, Dice, RedisServer, rounds};

/// Few tasks that do not rest. No call is late, however busy the machine is.
fn plan() -> Plan {
    Plan { tasks: 8, rows: 4, rest_millis: 0, patient: true, ..Plan::default() }
}

async fn start(server: &RedisServer, plan: &Plan, seed: u64) -> Fleet {
    Fleet::start(env!("CARGO_BIN_EXE_history_worker"), &server.url(), plan, seed).await
}

/// Removes keys, whichever.
async fn lose_keys(mut server: redis::aio::MultiplexedConnection, mut dice: Dice) {
    loop {
        tokio::time::sleep(Duration::from_millis(dice.below(20))).await;
        let key: Option<String> = redis::cmd("RANDOMKEY").query_async(&mut server).await.expect("RANDOMKEY");
        redis::cmd("UNLINK").arg(key.unwrap_or_default()).exec_async(&mut server).await.expect("UNLINK");
    }
}

/// Upholds G1.
#[tokio::test]
async fn a_random_history_in_several_processes_has_no_stale_read() {
    for seed in 1..=rounds(2) {
        let server = RedisServer::start();
        let mut fleet = start(&server, &plan(), seed).await;
        let losing = tokio::spawn(lose_keys(server.client().await, Dice::new(seed)));
        let enough =
            |done: &Counts| done.reads > 2_000 && done.hits > 300 && done.refused > 100 && done.evicts > 500;
        fleet.until("the processes do a lot", 2 * DEADLINE, enough).await;
        losing.abort();
        fleet.stop().await;
        let report = fleet.report(false).await;
        assert_eq!(report.stale, [], "seed {seed}");
        assert_eq!(report.strange, [], "seed {seed}");
        assert_eq!(report.errors, [], "seed {seed}");
        assert_eq!(report.failed_evicts, [], "seed {seed}");
        assert_eq!(report.miscounted, [], "seed {seed}");
        assert!(report.panics.is_empty(), "seed {seed}: {:?}", report.panics);
    }
}

#[tokio::test]
async fn without_the_fence_the_same_history_has_stale_reads() {
    let server = RedisServer::start();
    let mut fleet = start(&server, &Plan { lacks: Some(Lacks::Fences), ..plan() }, 1).await;
    fleet.until("a stale read is found", DEADLINE, |done| done.stale > 0).await;
}
