//! Several processes on one server.

use std::time::Duration;

use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{LeaseKind, LeaseOutcome, LeaseRequest, Token};
use cachemacro_tests::{DEADLINE, RedisServer, Single, Worker, namespace, wait_until};

async fn racer(server: &RedisServer) -> Worker {
    let mut worker = Worker::spawn(env!("CARGO_BIN_EXE_lease_racer"), &[&server.url()], &[]);
    worker.expect("ready").await;
    worker
}

/// Upholds G5.
#[tokio::test]
async fn of_four_processes_with_many_tasks_each_one_task_gets_the_lease() {
    let server = RedisServer::shared();
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(racer(server).await);
    }
    for _ in 0..10 {
        let key = namespace();
        for worker in &mut workers {
            worker.send(&format!("race {key} 250")).await;
        }
        let mut taken = 0;
        for worker in &mut workers {
            taken += worker.expect("taken").await.parse::<u32>().expect("a count");
        }
        assert_eq!(taken, 1);
    }
    for worker in workers {
        worker.finish().await;
    }
}

/// Upholds G9.
#[tokio::test]
async fn the_lease_of_a_killed_process_lapses() {
    let server = RedisServer::shared();
    let key = namespace();
    let mut worker = racer(server).await;
    worker.send(&format!("hold {key}")).await;
    worker.expect("held").await;
    worker.kill().await;
    let store = RedisStore::new(RedisConfig::new(server.url()).command_timeout(DEADLINE))
        .expect("the URL is well-formed");
    let mut token = 1;
    let mut busy = 0;
    wait_until("the lease is free", DEADLINE, async || {
        token += 1;
        let live = Duration::from_secs(3);
        let request = LeaseRequest::new(&key, Token::new(token), LeaseKind::Load, live);
        match store.lease_one(request).await.map(|lease| lease.outcome) {
            Ok(LeaseOutcome::Taken) => true,
            Ok(LeaseOutcome::Busy { left, .. }) => {
                busy += 1;
                assert!(left <= live);
                store.changed(&key, left).await;
                false
            }
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert!(busy > 0, "it was held before");
}
