//! What the fleet reports.

use cachemacro::{Cache, Reports, cache_evict, cached};
use cachemacro_tests::{DEADLINE, RedisServer, wait_until};
use serde_json::{Value, json};

use crate::harness::{Place, user};

#[tokio::test(flavor = "multi_thread")]
async fn stats_are_the_sum_of_all_processes() {
    let place = Place::on(RedisServer::shared());
    let services = [place.service(), place.service(), place.service()];
    for (at, cache) in services.iter().enumerate() {
        for _ in 0..=at {
            user(cache, "acme", 7).await;
        }
    }
    place.reported(&services.each_ref()).await;

    let rows = place.rows(&["stats"]).await;
    let site = rows.iter().find(|row| row["site"].as_str().is_some_and(|site| site.ends_with("::user")));
    let site = site.unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!((&site["reads"], &site["loads"]), (&json!(6), &json!(1)), "{site}");
    assert_eq!(site["hit_rate"], json!(5.0 / 6.0));
    assert_eq!(rows.last().map(|row| (&row["site"], &row["reads"])), Some((&json!("total"), &json!(6))));

    let processes = place.rows(&["stats", "--by", "process"]).await;
    let mut reads: Vec<u64> = processes.iter().filter_map(|row| row["reads"].as_u64()).collect();
    reads.sort_unstable();
    assert_eq!(reads, [1, 2, 3]);
    assert_eq!(place.rows(&["stats", "--by", "reason"]).await[0]["reason"], "absent");

    // Who is shut down takes its report along.
    services[2].shutdown().await.expect("nothing is left to deliver");
    wait_until("two are left", DEADLINE, async || place.rows(&["stats", "--by", "process"]).await.len() == 2)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_reports_nothing_is_nothing_found() {
    let place = Place::on(RedisServer::shared());
    let quiet = place.settings().reports(Reports::Off).build().expect("acceptable");
    user(&quiet, "acme", 7).await;
    let said = place.asked(&["stats"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.errors.contains("no process reported"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_alone_say_nothing_of_what_attributes_say() {
    let server = RedisServer::shared();
    let place = Place::on(server);
    let cache = place.settings().reports(Reports::Counters).build().expect("acceptable");
    user(&cache, "acme", 7).await;
    place.reported(&[&cache]).await;
    let mut admin = server.client().await;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(format!("{{{}:report}}:*", place.namespace))
        .query_async(&mut admin)
        .await
        .unwrap();
    let report: String = redis::cmd("GET").arg(&keys[0]).query_async(&mut admin).await.unwrap();
    assert!(report.contains("::user") && !report.contains("org:"), "{report}");
    assert!(!report.contains("lease_limit"), "nor of settings: {report}");
    let left: i64 = redis::cmd("PTTL").arg(&keys[0]).query_async(&mut admin).await.unwrap();
    assert!((1..=30_000).contains(&left), "{left}");
    // `clear` is about entries.
    cache.clear().await.unwrap();
    assert_eq!(place.rows(&["stats", "--by", "process"]).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_taken_from_a_file_and_a_hostile_one_crashes_nothing() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    user(&cache, "acme", 7).await;
    let mut report = serde_json::to_value(cache.report()).unwrap();
    report["sites"][0]["site"] = json!("evil\u{1b}]0;title\u{7}");
    report["sites"][0]["figures"]["counts"]["hits"] = json!(u64::MAX);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let from = |document: &str| {
        std::fs::write(&file, document).unwrap();
        place.run(&["stats", "--from", file.to_str().unwrap()])
    };
    let said = from(&report.to_string());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("evil\\u{1b}") && !said.out.contains(['\u{1b}', '\u{7}']), "{said:?}");
    for hostile in ["", "7", "{\"sites\":7}", &"[".repeat(100_000), "{\"started_at\":-1}"] {
        let said = from(hostile);
        assert_eq!(said.code, Some(1), "{said:?}");
    }
    let all_defaults = from("{}");
    assert_eq!(all_defaults.code, Some(0), "{all_defaults:?}");
    let csv = place.run(&["stats", "--format", "csv", "--from", file.to_str().unwrap()]);
    assert!(csv.out.starts_with("site,reads,hit_rate,"), "{csv:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_wrong_and_what_to_do() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.service();
    user(&cache, "acme", 7).await;
    place.reported(&[&cache]).await;
    let findings = async || -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = place.rows(&["doctor"]).await;
        rows.iter().map(|row| (text(&row["level"]), text(&row["finding"]))).collect()
    };
    assert!(findings().await.iter().all(|(level, _)| level != "wrong"), "{:?}", findings().await);
    let mut admin = server.client().await;
    cachemacro_tests::server::run(&mut admin, "CONFIG SET maxmemory 100kb").await;
    assert!(
        findings()
            .await
            .contains(&("wrong".to_owned(), "the memory is in use, and the policy is noeviction".to_owned()))
    );
    assert_eq!(place.asked(&["doctor"]).await.code, Some(1));
}

#[cached(prefix = "order", key = "{id}", tags = ["orders", "of:{result}"], entry = order_entry, cache = cache)]
async fn order(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[cached(prefix = "rate", skip(cache), cache = cache)]
async fn rate(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[cache_evict(entry = order_entry(cache, id), tags = ["order", "of:{id}"], cache = cache)]
async fn cancel(cache: &Cache, id: u64) {
    let _ = (cache, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_map_finds_a_misspelt_tag() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    order(&cache, 1).await;
    rate(&cache, 1).await;
    cancel(&cache, 1).await;
    place.reported(&[&cache]).await;
    wait_until("it has reported all of it", DEADLINE, async || {
        place.asked(&["map"]).await.out.contains("::cancel")
    })
    .await;
    let rows = place.rows(&["map"]).await;
    let note = |name: &str| {
        let row = rows.iter().find(|row| row["name"].as_str().is_some_and(|of| of.ends_with(name)));
        row.and_then(|row| row["note"].as_str()).unwrap_or_else(|| panic!("{name}: {rows:?}"))
    };
    assert_eq!(note("order"), "evicted, and no entry carries it");
    assert_eq!(note("orders"), "nothing evicts it");
    assert_eq!((note("of:{}"), note("order_entry")), ("", ""));
    assert_eq!(note("::rate"), "nothing but its TTL renews it");
    assert!(
        !rows.iter().any(|row| row["name"].as_str().is_some_and(|name| name.ends_with("::order"))),
        "{rows:?}"
    );
    assert_eq!(place.asked(&["map"]).await.code, Some(1));
    let dot = place.asked(&["map", "--dot"]).await;
    assert!(dot.code == Some(0) && dot.out.starts_with("digraph cachemacro {"), "{dot:?}");
    assert!(dot.out.contains("\"tag of:{}\" -> \"cli::fleet::order\";"), "{dot:?}");
}

#[test]
fn completions_and_the_manual_page_need_no_server() {
    let nowhere = Place { url: String::new(), namespace: String::new() };
    for shell in ["bash", "zsh", "fish"] {
        let said = nowhere.run(&["completions", shell]);
        assert!(said.code == Some(0) && said.out.contains("doctor"), "{said:?}");
    }
    let man = nowhere.run(&["man"]);
    assert!(man.code == Some(0) && man.out.contains(".TH cachemacro"), "{man:?}");
    for args in [&["fly"][..], &[], &["stats", "--by", "moon"]] {
        assert_eq!(nowhere.run(args).code, Some(2), "{args:?}");
    }
    let said = nowhere.run(&["tags"]);
    assert!(said.code == Some(2) && said.errors.contains("CACHEMACRO_NAMESPACE"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_or_a_variable_that_is_misspelt_is_told() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    user(&cache, "acme", 7).await;
    place.reported(&[&cache]).await;
    let typo = place.asked(&["doctor", "--namespace", "typo"]).await;
    assert!(typo.code == Some(1) && typo.out.contains("no entry is in the namespace `typo`"), "{typo:?}");
    let quiet = Place::on(RedisServer::shared());
    let silent = quiet.settings().reports(Reports::Off).build().expect("acceptable");
    user(&silent, "acme", 7).await;
    silent.stored().await;
    let off = quiet.asked(&["doctor"]).await;
    assert!(off.out.contains("no process reported within 30 s"), "{off:?}");
    let misspelt = format!("CACHEMACRO_{}", "TTTL");
    let said = place.run_with(&["stats"], &[(&misspelt, "5m")]);
    assert!(said.errors.contains("did you mean CACHEMACRO_TTL?"), "{said:?}");
}
