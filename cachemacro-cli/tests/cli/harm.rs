//! What must not come of looking: foreign keys named, secrets told, a server that waits.

use cachemacro_tests::RedisServer;
use cachemacro_tests::server::run;

use crate::harness::{Place, user};

#[test]
fn a_server_that_is_not_there_ends_it_with_3_and_no_secret() {
    let place = Place { url: "redis://someone:hunter2@127.0.0.1:1".to_owned(), namespace: "shop".to_owned() };
    for args in [&["list"][..], &["stats"], &["doctor"], &["flush", "--key", "a:1", "--yes"]] {
        let said = place.run(args);
        assert_eq!(said.code, Some(3), "{said:?}");
        assert!(!said.out.contains("hunter2") && !said.errors.contains("hunter2"), "{said:?}");
    }
    let on_the_line = place.run(&["list", "--url", "redis://:hunter2@127.0.0.1:1"]);
    assert_eq!(on_the_line.code, Some(2), "{on_the_line:?}");
    assert!(on_the_line.errors.contains("CACHEMACRO_REDIS_URL") && !on_the_line.errors.contains("hunter2"));
}

/// Who only watches reads, and is denied what changes anything.
#[tokio::test(flavor = "multi_thread")]
async fn under_a_watchers_rights_reads_work_and_writes_end_with_3() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.service();
    user(&cache, "acme", 7).await;
    place.reported(&[&cache]).await;
    let mut admin = server.client().await;
    let namespace = &place.namespace;
    run(
        &mut admin,
        &format!(
            "ACL SETUSER watcher on >hunter2 ~{namespace}:* ~{{{namespace}:* -@all +get +mget +getrange +pttl +strlen +time +scan +ping +info +unwatch +zrangebyscore"
        ),
    )
    .await;
    let url = server.url().replace("redis://", "redis://watcher:hunter2@");
    let watcher = Place { url, namespace: namespace.clone() };
    for args in [
        &["list"][..],
        &["stats"],
        &["tags"],
        &["inspect", "user:acme:7"],
        &["explain", "user:acme:7"],
        &["verify"],
        &["doctor"],
    ] {
        let said = watcher.asked(args).await;
        assert_eq!(said.code, Some(0), "{args:?} {said:?}");
        assert!(!said.out.contains("hunter2") && !said.errors.contains("hunter2"));
    }
    for args in [
        &["flush", "--key", "user:acme:7", "--yes"][..],
        &["flush", "--tag", "users", "--yes"],
        &["flush", "--all", "--yes"],
    ] {
        let said = watcher.asked(args).await;
        assert_eq!(said.code, Some(3), "{said:?}");
    }
    let before = cache.stats().total.loads;
    user(&cache, "acme", 7).await;
    assert_eq!(cache.stats().total.loads, before, "nothing went");
}
