//! Reports that processes leave at the server: nothing depends on them.

use std::time::Duration;

use cachemacro::inspect::Inspector;
use cachemacro::{BreakerState, Cache, Reports, Sealing, Status};
use cachemacro_tests::monitor::Watched;
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, RedisServer, wait_until};

/// How many reports lie in this namespace.
async fn reports(server: &RedisServer, namespace: &str) -> u64 {
    let mut admin = server.client().await;
    redis::cmd("ZCARD")
        .arg(format!("{{{namespace}:report}}"))
        .query_async(&mut admin)
        .await
        .expect("a sorted set")
}

/// What an operator sees, who may read what processes leave; they themselves may not.
fn seen(server: &RedisServer, namespace: &str) -> Inspector {
    let settings = Cache::builder().redis(server.bare_url()).namespace(namespace).reports(Reports::Off);
    settings.build().expect("acceptable settings").inspector().expect("it can be looked into")
}

#[tokio::test]
async fn a_report_that_is_refused_counts_nowhere() {
    let server = RedisServer::start();
    let mut admin = server.client().await;
    run(&mut admin, "ACL SETUSER shop on >hunter2 ~* +@all -zadd").await;
    let url = server.bare_url().replace("redis://", "redis://shop:hunter2@");
    let settings = Cache::builder().redis(url).namespace("shop").report_interval(Duration::from_millis(10));
    let cache = settings.build().expect("acceptable settings");
    cache.get_or_load("n", 1, async || 7).await;
    wait_until("some were refused", DEADLINE, async || {
        let denied: Vec<redis::Value> =
            redis::cmd("ACL").arg("LOG").query_async(&mut admin).await.expect("the log can be read");
        format!("{denied:?}").contains("zadd")
    })
    .await;
    let stats = cache.stats();
    assert_eq!((stats.total.errors(), stats.breaker_trips), (0, 0));
    assert_eq!(stats.breaker, Some(BreakerState::Closed));
    let health = cache.health().await.expect("it answers");
    assert_eq!((health.status, health.warnings.len()), (Status::Ok, 0), "{health:?}");
}

#[tokio::test]
async fn who_is_shut_down_takes_its_report_along_and_who_goes_without_leaves_no_more() {
    let server = RedisServer::start();
    let build = || {
        let settings = Cache::builder().redis(server.url()).namespace("shop");
        settings.report_interval(Duration::from_millis(10)).build().expect("acceptable settings")
    };
    let (one, other) = (build(), build());
    wait_until("both report", DEADLINE, async || reports(&server, "shop").await == 2).await;
    one.shutdown().await.expect("nothing is left to send");
    assert_eq!(reports(&server, "shop").await, 1);
    drop(other);
    wait_until("nothing more is sent", DEADLINE, async || {
        let watched = Watched::start(&server.url()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        !watched.commands().await.iter().any(|words| words[0].eq_ignore_ascii_case("zadd"))
    })
    .await;
}

#[tokio::test]
async fn no_report_is_sent_without_a_namespace_nor_where_it_is_off() {
    let server = RedisServer::start();
    let watched = Watched::start(&server.url()).await;
    let settings = || Cache::builder().redis(server.url()).report_interval(Duration::from_millis(5));
    let all = [
        settings(),
        settings().namespace("shop").reports(Reports::Off),
        settings().namespace("shop").disabled(true),
    ];
    let caches: Vec<Cache> = all.into_iter().map(|of| of.build().expect("acceptable settings")).collect();
    let told = settings().namespace("told").build().expect("acceptable settings");
    wait_until("who may has reported often", DEADLINE, async || {
        caches[0].get_or_load("n", 1, async || 7).await;
        reports(&server, "told").await == 1
    })
    .await;
    told.shutdown().await.expect("nothing is left to send");
    let commands = watched.commands().await;
    let of = |namespace: &str| {
        commands.iter().filter(|words| words.iter().any(|word| word.contains(namespace))).count()
    };
    assert!(of("{told:report}") > 0);
    assert_eq!((of("{shop:report}"), of("{:report}")), (0, 0));
}

/// Who may write there may write anything.
#[tokio::test]
async fn foreign_values_among_the_reports_hide_none_and_are_not_read_whole() {
    let server = RedisServer::start();
    let settings = Cache::builder().redis(server.url()).namespace("shop");
    let cache = settings.report_interval(Duration::from_millis(10)).build().expect("acceptable settings");
    wait_until("it reports", DEADLINE, async || reports(&server, "shop").await == 1).await;
    let mut admin = server.client().await;
    let large = "x".repeat(8 << 20);
    redis::cmd("SET").arg("{shop:report}:large").arg(large).exec_async(&mut admin).await.expect("it is kept");
    run(&mut admin, "RPUSH {shop:report}:list x").await;
    run(&mut admin, "HSET {shop:report}:shape:0000000000000007 a b").await;
    for id in ["large", "list", "gone"] {
        run(&mut admin, &format!("ZADD {{shop:report}} +inf {id}")).await;
    }
    let inspector = seen(&server, "shop");
    let told = inspector.reports().await.expect("they can be read");
    assert_eq!(told.len(), 2, "its own and the large one");
    assert!(told.iter().all(|document| document.len() <= 1 << 20), "no more than one can have");
    assert!(!matches!(inspector.layout(7).await, Ok(Some(_))), "what is no layout is none");
    cache.set("n", 1, &7).await.expect("stored");
    cache.clear().await.expect("cleared");
    assert_eq!(cache.get::<i32>("n", 1).await.expect("it answers"), None);
    let left: u64 = redis::cmd("EXISTS")
        .arg(&["{shop:report}", "{shop:report}:large", "{shop:report}:list"])
        .query_async(&mut admin)
        .await
        .expect("it answers");
    assert_eq!(left, 3, "clearing leaves reports and the set of their names");
}

/// A report that none follows is gone after 30 s, and so is its name; and where nobody reports any more, so is the set of names.
#[tokio::test]
async fn a_report_and_its_name_are_gone_in_time() {
    let server = RedisServer::start();
    let settings = Cache::builder().redis(server.url()).namespace("shop");
    let _cache = settings.report_interval(Duration::from_millis(10)).build().expect("acceptable settings");
    wait_until("it reports", DEADLINE, async || reports(&server, "shop").await == 1).await;
    let mut admin = server.client().await;
    let names = async |admin: &mut _| -> Vec<String> {
        let mut range = redis::cmd("ZRANGE");
        range.arg("{shop:report}").arg(0).arg(-1).query_async(admin).await.expect("a sorted set")
    };
    let own = names(&mut admin).await.remove(0);
    for (key, most) in [(format!("{{shop:report}}:{own}"), 30_000), ("{shop:report}".to_owned(), 60_000)] {
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut admin).await.expect("it answers");
        assert!(left > 0 && left <= most, "{key}: {left} ms");
    }
    // One that was left 31 s ago, and one 20 s ago.
    let now: (u64, u64) = redis::cmd("TIME").query_async(&mut admin).await.expect("it answers");
    let now = now.0 * 1_000;
    for (id, ago) in [("gone", 31_000), ("late", 20_000)] {
        run(&mut admin, &format!("ZADD {{shop:report}} {} {id}", now - ago)).await;
        run(&mut admin, &format!("SET {{shop:report}}:{id} {{}}")).await;
    }
    let told = seen(&server, "shop").reports().await.expect("they can be read");
    assert_eq!(told.len(), 2, "its own and the one that is late");
    wait_until("the name of the other is gone", DEADLINE, async || {
        !names(&mut admin).await.contains(&"gone".to_owned())
    })
    .await;
    assert!(names(&mut admin).await.contains(&"late".to_owned()));
}

/// A name of a tag may say what a sealed key does not.
#[tokio::test]
async fn a_cache_that_seals_leaves_no_names_of_tags() {
    let server = RedisServer::start();
    let settings = |namespace: &str| {
        let redis = Cache::builder().redis(server.url()).namespace(namespace).tag_names(10);
        redis.report_interval(Duration::from_millis(10))
    };
    let sealed = settings("sealed").sealed(Sealing::new(&[1; 32], 1, &[2; 32]));
    let caches = [settings("plain"), sealed].map(|of| of.build().expect("acceptable settings"));
    for cache in &caches {
        cache.entry::<u64>("patient", 7).with_tags(["canary"]).set(&7).await.expect("stored");
    }
    let [plain, sealed] = ["plain", "sealed"].map(|namespace| seen(&server, namespace));
    wait_until("names are told", DEADLINE, async || {
        plain.tag_names().await.expect("they can be read") == ["canary"]
    })
    .await;
    // Names go behind a report: once the second one that counts the write is there, they have gone behind the first.
    let mut written = std::collections::BTreeSet::new();
    wait_until("the other has reported twice", DEADLINE, async || {
        for document in sealed.reports().await.expect("they can be read") {
            let report: cachemacro::report::Report = serde_json::from_slice(&document).expect("a report");
            if report.direct.count("puts") == 1 {
                written.insert(report.written_at);
            }
        }
        written.len() >= 2
    })
    .await;
    assert_eq!(sealed.tag_names().await.expect("they can be read"), Vec::<String>::new());
}
