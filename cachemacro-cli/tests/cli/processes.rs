//! Processes of their own, as services are: what they did is summed, and one that was killed is gone in time.

use std::time::{Duration, Instant};

use cachemacro_tests::{DEADLINE, RedisServer, Worker, is_long, wait_until};
use serde_json::{Value, json};

use crate::harness::{Place, user};

/// How long a report is there after its process left it.
const LIFE: Duration = Duration::from_secs(30);

/// What each process does: so many calls for a user of its own.
const CALLS: [u64; 3] = [10, 20, 30];

/// A service, in a process of its own: this program, told to run this alone. It calls so often for one user, says so, and lives as long as its
/// input is open.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that other tests start"]
async fn service() {
    let told = |name: &str| std::env::var(name).expect("it is started by a test");
    let place = Place { url: told("SERVICE_URL"), namespace: told("SERVICE_NAMESPACE") };
    let calls: u64 = told("SERVICE_CALLS").parse().expect("a number");
    let cache = place.service();
    for _ in 0..calls {
        user(&cache, "acme", calls).await;
    }
    cachemacro_tests::worker::say("\nready");
    tokio::task::spawn_blocking(|| cachemacro_tests::worker::commands().for_each(drop))
        .await
        .expect("it reads");
}

async fn start(place: &Place, calls: u64) -> Worker {
    let itself = std::env::current_exe().expect("it runs");
    let args = ["--ignored", "--exact", "processes::service", "--nocapture"];
    let calls = calls.to_string();
    let envs =
        [("SERVICE_URL", &*place.url), ("SERVICE_NAMESPACE", &place.namespace), ("SERVICE_CALLS", &calls)];
    let mut worker = Worker::spawn(itself.to_str().expect("text"), &args, &envs);
    while worker.line().await != "ready" {}
    worker
}

async fn reads(place: &Place) -> Vec<u64> {
    let said = place.asked(&["stats", "--by", "process", "--format", "json"]).await;
    let rows: Vec<Value> = serde_json::from_str(&said.out).unwrap_or_default();
    let mut reads: Vec<u64> = rows.iter().filter_map(|row| row["reads"].as_u64()).collect();
    reads.sort_unstable();
    reads
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_are_the_sum_of_three_processes_and_one_that_was_killed_is_gone_in_time() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let mut workers = Vec::new();
    for calls in CALLS {
        workers.push(start(&place, calls).await);
    }
    wait_until("all have reported", DEADLINE, async || reads(&place).await == CALLS).await;
    let rows = place.rows(&["stats"]).await;
    let site = rows.iter().find(|row| row["site"].as_str().is_some_and(|site| site.ends_with("::user")));
    let site = site.unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!((&site["reads"], &site["loads"]), (&json!(60), &json!(3)), "{site}");
    assert_eq!(site["hit_rate"], json!(57.0 / 60.0));
    let total = rows.last().expect("it is the last row");
    assert_eq!((&total["site"], &total["reads"], &total["loads"]), (&json!("total"), &json!(60), &json!(3)));

    workers.pop().expect("there are three").kill().await;
    let killed = Instant::now();
    let mut admin = server.client().await;
    if !is_long() {
        // The rest of its life is taken from each report; those who live leave the next one at once.
        let reports: Vec<String> = redis::cmd("KEYS")
            .arg(format!("{{{}:report}}:????????????????", place.namespace))
            .query_async(&mut admin)
            .await
            .expect("it answers");
        assert_eq!(reports.len(), 3, "{reports:?}");
        for report in reports {
            let left: i64 =
                redis::cmd("PTTL").arg(&report).query_async(&mut admin).await.expect("it answers");
            assert!(left > 0 && Duration::from_millis(left.unsigned_abs()) <= LIFE, "{left} ms");
            redis::cmd("PEXPIRE").arg(&report).arg(1).exec_async(&mut admin).await.expect("it obeys");
        }
    }
    wait_until("it is gone", 2 * LIFE, async || reads(&place).await == CALLS[..2]).await;
    println!("gone {:?} after it was killed", killed.elapsed());
    assert!(killed.elapsed() <= LIFE + Duration::from_secs(2), "{:?}", killed.elapsed());
    let rows = place.rows(&["stats"]).await;
    assert_eq!(rows.last().map(|row| &row["reads"]), Some(&json!(30)));
}
