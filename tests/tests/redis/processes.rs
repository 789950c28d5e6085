//! Several processes on one server.

use std::time::Duration;

use cachemacro_runtime::Cache;
use cachemacro_runtime::header::Header;
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{LeaseKind, LeaseOutcome, LeaseRequest, Token};
use cachemacro_tests::{DEADLINE, LONG, RedisServer, Single, Worker, namespace, wait_until};

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

/// Whose lease is on the entry.
async fn holder(server: &RedisServer, namespace: &str) -> Option<u64> {
    let key = format!("{namespace}:row:1");
    let bytes: Option<Vec<u8>> =
        redis::cmd("GET").arg(key).query_async(&mut server.client().await).await.expect("it answers");
    let header = Header::parse(&bytes?).expect("an entry");
    Some(header.token.get()).filter(|token| *token != 0)
}

/// Upholds G1, G5 and G9.
#[tokio::test]
async fn a_process_that_stood_still_for_longer_than_its_lease_neither_fills_nor_gives_back_that_of_its_successor()
 {
    let server = RedisServer::shared();
    for (how, told) in [("fill", "old, refused 1"), ("fail", "as told, refused 0")] {
        let namespace = namespace();
        let args = ["hold", &server.url(), &namespace, how];
        let mut stopped = Worker::spawn(env!("CARGO_BIN_EXE_cache_worker"), &args, &[]);
        stopped.expect("loads").await;
        let former = holder(server, &namespace).await;
        assert!(former.is_some(), "it has the lease");
        stopped.pause();
        let cache = Cache::builder().redis(server.url()).namespace(&namespace).command_timeout(LONG);
        let cache = cache.wait(LONG).build().expect("acceptable settings");
        let load = async || {
            let own = holder(server, &namespace).await;
            assert!(own.is_some() && own != former, "another took over");
            stopped.resume();
            stopped.send("go on").await;
            assert_eq!(stopped.expect("told").await, told);
            assert_eq!(holder(server, &namespace).await, own, "the lease of the successor is as it was");
            "new".to_owned()
        };
        assert_eq!(cache.get_or_load("row", 1, load).await, "new");
        cache.stored().await;
        assert_eq!(cache.get::<String>("row", 1).await.expect("it answers").as_deref(), Some("new"), "{how}");
        assert_eq!(cache.stats().total.fills, 1);
        stopped.finish().await;
    }
}
