//! `flush`, and what it asks before.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use cachemacro::inspect::tag_hash;
use cachemacro_tests::server::{is_redis_6, run};
use cachemacro_tests::{DEADLINE, RedisServer, wait_until};
use serde_json::json;

use crate::harness::{Place, by_guide, user};
use crate::terminal::Terminal;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_flushed_is_evicted_and_the_rest_stays() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    for id in 0..4 {
        user(&cache, "acme", id).await;
    }
    user(&cache, "other", 1).await;
    cache.set("page", 1, &3).await.unwrap();
    let loads = || cache.stats().total.loads;

    let plan = place.rows(&["flush", "--tag", "org:acme", "--dry-run"]).await;
    assert_eq!((&plan[0]["entries"], &plan[0]["sample"]), (&json!(4), &json!("no")), "{plan:?}");
    let bytes =
        place.rows(&["list", "user:acme:*"]).await.iter().filter_map(|row| row["bytes"].as_u64()).sum();
    assert_eq!((plan[0]["bytes"].as_u64(), &plan[0]["looked_at"]), (Some(bytes), &json!(6)), "{plan:?}");
    place.reported(&[&cache]).await;
    let sites = async |what: &[&str]| {
        let plan = place.rows(&[&["flush", "--dry-run"], what].concat()).await;
        plan[0]["sites"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(sites(&["--tag", "org:acme"]).await, "cli::harness::user");
    assert_eq!(sites(&["--key", "user:acme:1", "--key", "page:1"]).await, "cli::harness::user, direct");
    let before = loads();
    user(&cache, "acme", 0).await;
    assert_eq!(loads(), before, "nothing went");

    let unasked = place.asked(&["flush", "--tag", "org:acme"]).await;
    assert_eq!(unasked.code, Some(4), "{unasked:?}");
    assert_eq!(place.asked(&["flush", "--tag", "org:acme", "--yes"]).await.code, Some(0));
    user(&cache, "acme", 0).await;
    assert_eq!(loads(), before + 1, "evicted");
    user(&cache, "other", 1).await;
    assert_eq!(loads(), before + 1, "and the rest is there");

    assert_eq!(place.asked(&["flush", "--key", "user:other:1", "--yes"]).await.code, Some(0));
    user(&cache, "other", 1).await;
    assert_eq!(loads(), before + 2);
    assert_eq!(place.asked(&["flush", "--prefix", "page", "--yes"]).await.code, Some(0));
    assert_eq!(cache.get::<i32>("page", 1).await.unwrap(), None);
    assert_eq!(place.asked(&["flush", "--all", "--yes"]).await.code, Some(0));
    user(&cache, "other", 1).await;
    assert_eq!(loads(), before + 3);
}

#[test]
fn nothing_is_flushed_without_a_namespace_or_a_selector() {
    let place = Place::on(RedisServer::shared());
    for args in [
        &["flush", "--yes"][..],
        &["flush", "--all", "--yes", "--no-namespace"],
        &["flush", "--key", "user:acme:7", "--yes", "--no-namespace"],
        &["flush", "--tag", "users", "--yes", "--no-namespace"],
        &["flush", "--tag", "#12", "--yes"],
    ] {
        let said = place.run(args);
        assert_eq!(said.code, Some(2), "{said:?}");
    }
}

/// What was flushed by its tag is there until it expires; every command says that no read hits it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_flushed_by_tag_is_shown_as_flushed() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    for id in 0..2 {
        user(&cache, "acme", id).await;
    }
    user(&cache, "other", 1).await;
    // More tags than come along with a head at first.
    let tags: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    cache.entry::<u8>("many", 1).with_tags(&tags).set(&1).await.unwrap();
    place.reported(&[&cache]).await;
    let states = async || -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let rows = place.rows(&["list"]).await;
        rows.iter().map(|row| (text(&row["key"]), text(&row["state"]))).collect()
    };
    let state = |key: &str, state: &str| (key.to_owned(), state.to_owned());
    let fresh = ["many:1", "user:acme:0", "user:acme:1", "user:other:1"].map(|key| state(key, "fresh"));
    assert_eq!(states().await, fresh);

    assert_eq!(place.asked(&["flush", "--tag", "org:acme", "--tag", "t39", "--yes"]).await.code, Some(0));
    let evicted = ["many:1", "user:acme:0", "user:acme:1"].map(|key| state(key, "tag_evicted"));
    assert_eq!(states().await[..3], evicted);
    assert_eq!(states().await[3], state("user:other:1", "fresh"));
    let inspected = place.rows(&["inspect", "user:acme:0"]).await;
    assert!(inspected.contains(&json!({"field": "state", "value": "tag_evicted"})), "{inspected:?}");

    let carried = place.rows(&["tags"]).await;
    let named: Vec<_> = carried.iter().map(|row| (&row["tag"], &row["entries"])).collect();
    assert!(named.contains(&(&json!("users"), &json!(1))) && named.len() == 2, "{named:?}");
    // Nobody reads what it would evict.
    let again = place.asked(&["flush", "--tag", "users", "--dry-run", "--format", "json"]).await;
    assert_eq!(again.rows()[0]["entries"], json!(1), "{again:?}");
    let none = place.asked(&["flush", "--tag", "org:acme", "--dry-run"]).await;
    assert_eq!(none.code, Some(1), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_finds_nothing_ends_with_1_and_says_what_may_have_been_meant() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    user(&cache, "acme", 7).await;
    cache.stored().await;
    for nothing in [["--tag", "usrs"], ["--prefix", "usr"], ["--key", "user:acme:8"]] {
        let said = place.asked(&[&["flush"], &nothing[..], &["--yes"]].concat()).await;
        assert_eq!(said.code, Some(1), "{said:?}");
    }
    let glob = place.asked(&["flush", "--key", "user:*", "--yes"]).await;
    assert!(glob.code == Some(1) && glob.errors.contains("--prefix"), "{glob:?}");
    // As the server's own tools show the key.
    let full = format!("{}:user:acme:7", place.namespace);
    for args in [&["explain", &full][..], &["inspect", &full], &["flush", "--key", &full, "--yes"]] {
        let said = place.asked(args).await;
        assert!(said.code == Some(1) && said.errors.contains("is it user:acme:7?"), "{said:?}");
    }
    let before = cache.stats().total.loads;
    user(&cache, "acme", 7).await;
    assert_eq!(cache.stats().total.loads, before, "it is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn flushes_are_in_the_log_with_who_what_and_why() {
    let server = RedisServer::shared();
    let place = Place::on(server);
    let cache = place.service();
    user(&cache, "acme", 7).await;
    cache.stored().await;
    assert_eq!(place.asked(&["log"]).await.code, Some(1), "nothing was flushed");
    let said =
        place.asked(&["flush", "--tag", "org:acme", "--reason", "wrong \u{1b}[2J prices", "--yes"]).await;
    assert!(said.code == Some(0) && !said.errors.contains("not in the log"), "{said:?}");
    place.asked(&["flush", "--tag", "org:acme", "--dry-run"]).await;
    place.asked(&["flush", "--key", "user:acme:7"]).await;
    place.asked(&["flush", "--all", "--yes"]).await;
    let log = place.rows(&["log"]).await;
    assert_eq!(log.len(), 2, "what was not done is not there, and clearing leaves it: {log:?}");
    assert_eq!((&log[0]["what"], &log[0]["reason"]), (&json!("--all"), &json!(null)));
    assert_eq!((&log[1]["what"], &log[1]["entries"]), (&json!("--tag org:acme"), &json!(1)));
    assert_eq!(log[1]["reason"], "wrong \u{1b}[2J prices");
    assert!(log[1]["when"].as_str().is_some_and(|when| when.starts_with("20") && when.ends_with('Z')));
    let shown = place.asked(&["log", "--redact"]).await;
    assert!(
        shown.out.contains("--tag")
            && !shown.out.contains("acme")
            && !shown.out.contains("prices")
            && !shown.out.contains('\u{1b}'),
        "{shown:?}"
    );

    // What others write there crashes nothing, and no more than the last lines are kept.
    let mut admin = server.client().await;
    let stream = format!("{{{}:log}}", place.namespace);
    for line in ["", "7", "{\"entries\":-1}", "[[[["] {
        let mut add = redis::cmd("XADD");
        add.arg(&stream).arg("*").arg("line").arg(line).exec_async(&mut admin).await.unwrap();
    }
    assert_eq!(place.rows(&["log"]).await.len(), 2);
    let fill = "for n = 1, 2000 do redis.call('XADD', KEYS[1], '*', 'line', '{}') end";
    redis::cmd("EVAL").arg(fill).arg(1).arg(&stream).exec_async(&mut admin).await.unwrap();
    place.asked(&["flush", "--all", "--yes"]).await;
    let length: u64 = redis::cmd("XLEN").arg(&stream).query_async(&mut admin).await.unwrap();
    assert_eq!(length, 1_000);
}

/// A tag whose name nobody knows goes by its hash, as `tags` shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_flushed_by_its_hash() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    let entry = |id: u64, tag: &str| cache.entry::<u64>("by-hand", id).with_tags([tag]);
    entry(1, "colour:red").set(&1).await.unwrap();
    entry(2, "colour:blue").set(&2).await.unwrap();
    let hash = format!("#{:016x}", tag_hash("colour:red"));
    let tags = place.rows(&["tags"]).await;
    assert!(tags.iter().any(|row| row["tag"] == hash.as_str()), "{tags:?}");
    let said = place.asked(&["flush", "--tag", &hash, "--yes"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(entry(1, "colour:red").get().await.unwrap(), None);
    assert_eq!(entry(2, "colour:blue").get().await.unwrap(), Some(2));
}

/// A copy that a service keeps decoded goes with the entry.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_takes_the_copies_that_services_keep() {
    let place = Place::on(RedisServer::shared());
    let cache = place.settings().local(Duration::from_secs(3_600)).build().expect("acceptable settings");
    for selector in [["--tag", "org:acme"], ["--key", "user:acme:7"], ["--prefix", "user"]] {
        wait_until("it is kept", DEADLINE, async || {
            let before = cache.stats().total.local_hits;
            user(&cache, "acme", 7).await;
            cache.stats().total.local_hits > before
        })
        .await;
        let loads = cache.stats().total.loads;
        let said = place.asked(&[&["flush"], &selector[..], &["--yes"]].concat()).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        wait_until("it is loaded anew", DEADLINE, async || {
            user(&cache, "acme", 7).await;
            cache.stats().total.loads > loads
        })
        .await;
    }
}

/// What was evicted stays evicted; that it is written down nowhere is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_cannot_be_logged_says_so() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.service();
    user(&cache, "acme", 7).await;
    cache.stored().await;
    let operator = by_guide(&server, "operator", &place.namespace).await;
    run(&mut server.client().await, "ACL SETUSER operator -xadd").await;
    let said = operator.asked(&["flush", "--key", "user:acme:7", "--yes"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.errors.contains("the flush is not in the log: ") && said.errors.contains("xadd"),
        "{said:?}"
    );
    assert_eq!(place.asked(&["inspect", "user:acme:7"]).await.code, Some(1), "it went");
    assert_eq!(place.asked(&["log"]).await.code, Some(1));
}

/// A user who may write under one prefix and read under the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_fails_halfway_is_in_the_log_as_one_that_failed() {
    if is_redis_6() {
        // Rights to keys that may only be read came with Redis 7.
        return;
    }
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.service();
    user(&cache, "acme", 1).await;
    cache.set("page", 1, &3).await.unwrap();
    let name = &place.namespace;
    let rights = format!("ACL SETUSER half on >hunter2 ~{name}:user:* ~{{{name}:* %R~{name}:page:* +@all");
    run(&mut server.client().await, &rights).await;
    let url = server.url().replace("redis://", "redis://half:hunter2@");
    let half = Place { url, namespace: name.clone() };
    let said =
        half.asked(&["flush", "--key", "user:acme:1", "--prefix", "page", "--yes", "--reason", "why"]).await;
    assert_eq!(said.code, Some(3), "{said:?}");
    let gone = place.rows(&["inspect", "user:acme:1"]).await;
    assert!(gone.iter().any(|row| row["value"] == "absent"), "the first part went: {gone:?}");
    let log = place.rows(&["log"]).await;
    assert_eq!((log.len(), &log[0]["reason"]), (1, &json!("why")), "{log:?}");
    assert!(log[0]["entries"].as_str().is_some_and(|entries| entries.ends_with("failed")), "{log:?}");
}

/// Who sits at a terminal is asked; for all of it, by the namespace's name.
#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_a_flush_asks_and_takes_no_for_an_answer() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    user(&cache, "acme", 7).await;
    place.reported(&[&cache]).await;
    let namespace = place.namespace.clone();
    let name = format!("type the namespace's name, {namespace}, to evict:");
    for (args, asks, answer, code, loads) in [
        ("flush --tag org:acme", "evict? type yes:", "no", 4, 0),
        ("flush --tag org:acme", "evict? type yes:", "yes", 0, 1),
        ("flush --all", &*name, "yes", 4, 0),
        ("flush --all", &*name, &*namespace, 0, 1),
    ] {
        let before = cache.stats().total.loads;
        let terminal = Terminal::start(&place, (160, 24), args);
        terminal.shows(asks).await;
        let screen = terminal.screen();
        assert!(
            screen.contains("harness::user") && screen.contains("entries"),
            "the plan comes first: {screen}"
        );
        terminal.keys(&[answer, "Enter"]);
        terminal.shows(&format!("ended with {code}")).await;
        user(&cache, "acme", 7).await;
        assert_eq!(cache.stats().total.loads - before, loads, "{args}: {answer}");
        cache.stored().await;
    }
}

/// More than ten thousand entries are not evicted by a yes that was meant for ten.
#[tokio::test(flavor = "multi_thread")]
async fn beyond_ten_thousand_entries_a_terminal_asks_for_the_namespaces_name() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let mut admin = server.client().await;
    let namespace = place.namespace.clone();
    let fill = "for n = tonumber(ARGV[2]), tonumber(ARGV[3]) do redis.call('SET', ARGV[1] .. ':page:' .. n, 'x') end";
    let store = async |admin: &mut _, from: u32, to: u32| {
        let mut store = redis::cmd("EVAL");
        store.arg(fill).arg(0).arg(&namespace).arg(from).arg(to);
        store.exec_async(admin).await.expect("the server obeys");
    };
    let name = format!("type the namespace's name, {namespace}, to evict:");
    let there =
        async |admin: &mut _| -> u64 { redis::cmd("DBSIZE").query_async(admin).await.expect("it answers") };
    store(&mut admin, 1, 10_000).await;
    let before = there(&mut admin).await;
    for (keys, asks, answer, code) in
        [(10_000, "evict? type yes:", "no", 4), (10_001, &*name, "yes", 4), (10_001, &*name, &*namespace, 0)]
    {
        if keys == 10_001 {
            store(&mut admin, 10_001, 10_001).await;
        }
        let plan = place.rows(&["flush", "--prefix", "page", "--dry-run"]).await;
        assert_eq!(
            (&plan[0]["entries"], &plan[0]["looked_at"]),
            (&json!(10_000), &json!(10_000)),
            "{plan:?}"
        );
        let sample = plan[0]["sample"].as_str().unwrap_or_default();
        assert_eq!(sample.starts_with("yes"), keys == 10_001, "a sample is called one: {plan:?}");
        let terminal = Terminal::start(&place, (160, 24), "flush --prefix page");
        terminal.shows(asks).await;
        terminal.keys(&[answer, "Enter"]);
        terminal.shows(&format!("ended with {code}")).await;
        let left = there(&mut admin).await;
        assert_eq!(left >= before, code == 4, "{left} keys are left of {keys} after {answer}");
    }
}

/// What comes over a pipe is no answer of somebody who has seen the plan.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_a_yes_on_standard_input_confirms_nothing() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    user(&cache, "acme", 7).await;
    cache.stored().await;
    for (args, text) in [(&["--tag", "users"][..], "yes"), (&["--all"], &*place.namespace)] {
        let mut command = place.command(&[&["flush"], args].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().expect("the binary can be run");
        // It may have ended already.
        let _ = running.stdin.take().expect("it is piped").write_all(format!("{text}\n").as_bytes());
        let ended = tokio::task::spawn_blocking(move || running.wait_with_output());
        let ended = ended.await.expect("it does not panic").expect("it ends");
        assert_eq!(ended.status.code(), Some(4), "{ended:?}");
    }
    let loads = cache.stats().total.loads;
    user(&cache, "acme", 7).await;
    assert_eq!(cache.stats().total.loads, loads, "nothing went");
}
