//! What the fleet reports.

use cachemacro::{Cache, Reports, cache_evict, cache_put, cached, record};
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, RedisServer, wait_until};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

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
    let reasons = place.rows(&["stats", "--by", "reason"]).await;
    let told: Vec<_> = reasons.iter().map(|row| (&row["site"], &row["reason"], &row["misses"])).collect();
    let (site, total, absent, one) = (json!("cli::harness::user"), json!("total"), json!("absent"), json!(1));
    assert_eq!(told, [(&site, &absent, &one), (&total, &absent, &one)]);

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
    assert!(csv.out.starts_with("site,reads,reads_per_s,hit_rate,"), "{csv:?}");
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

/// What processes were refused they report; what a server keeps on disk it tells, however it does so.
#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_rights_that_services_lack_and_a_server_that_persists() {
    for (args, persists) in
        [(&["--save", "3600 1"][..], true), (&["--appendonly", "yes"], true), (&["--save", ""], false)]
    {
        let server = RedisServer::with_args(args);
        run(&mut server.client().await, "ACL SETUSER shop on >hunter2 ~* &* +@all -scan").await;
        let place = Place::on(&server);
        let url = server.bare_url().replace("redis://", "redis://shop:hunter2@");
        let service = Place { url, namespace: place.namespace.clone() };
        let cache = service.service();
        user(&cache, "acme", 7).await;
        cache.evict_prefix("page").await.expect_err("it may not scan");
        wait_until("it is reported", DEADLINE, async || {
            place.asked(&["doctor"]).await.out.contains("refused commands: +scan")
        })
        .await;
        let said = place.asked(&["doctor"]).await;
        assert_eq!(said.out.contains("writes what it stores to disk"), persists, "{args:?} {said:?}");
        let is_wrong = |line: &&str| line.starts_with("wrong");
        assert!(said.out.lines().filter(is_wrong).all(|line| line.contains("evicts of process")), "{said:?}");
    }
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
    assert_eq!(note("order"), "evicted, and no entry carries it; or is it orders?");
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

#[cached(prefix = "stock", key = "{id}", entry = stock_entry, cache = cache)]
async fn stock(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[cache_put(entry = stock_entry(cache, id))]
async fn sell(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[cached(prefix = "summary", key = "{id}", recorded, cache = cache)]
async fn summary(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    record(["db:sales"]);
    id
}

#[cached(prefix = "shelf", key = "{id}", entry = shelf_entry, cache = cache)]
async fn shelf(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[cache_evict(entries = ids.iter().map(|id| shelf_entry(cache, *id)), tags = ["db:shelves"], cache = cache)]
async fn clear_shelves(cache: &Cache, ids: &[u64]) {
    let _ = (cache, ids);
}

#[cached(prefix = "offer", key = "{id}", cache = cache)]
async fn offer(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[cache_evict(prefix = "offer", key = "{id}", cache = cache)]
async fn withdraw(cache: &Cache, id: u64) {
    let _ = (cache, id);
}

/// What is put, what loads record and what an expression evicts renews an entry as a tag does.
#[tokio::test(flavor = "multi_thread")]
async fn the_map_tells_who_puts_and_takes_nothing_for_misspelt_that_loads_may_record() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    stock(&cache, 1).await;
    sell(&cache, 1).await;
    shelf(&cache, 1).await;
    clear_shelves(&cache, &[1]).await;
    offer(&cache, 1).await;
    withdraw(&cache, 1).await;
    let of = |rows: &[Value], name: &str| {
        let row = rows.iter().find(|row| row["name"].as_str().is_some_and(|of| of.ends_with(name)));
        row.cloned().unwrap_or_default()
    };
    wait_until("it has reported all of it", DEADLINE, async || {
        let said = place.asked(&["map"]).await;
        ["::sell", "::clear_shelves", "::withdraw"].iter().all(|name| said.out.contains(name))
    })
    .await;
    let said = place.asked(&["map", "--format", "json"]).await;
    assert_eq!(said.code, Some(1), "nobody records yet: {said:?}");
    let rows = said.rows();
    assert_eq!(of(&rows, "db:shelves")["note"], "evicted, and no entry carries it");
    let stock = of(&rows, "stock_entry");
    assert_eq!(
        (&stock["put_by"], &stock["evicted_by"]),
        (&json!("cli::fleet::sell"), &json!("")),
        "{rows:?}"
    );
    assert_eq!(of(&rows, "shelf_entry")["evicted_by"], "cli::fleet::clear_shelves", "{rows:?}");
    let offer = of(&rows, "offer");
    assert_eq!(
        (&offer["what"], &offer["read_by"]),
        (&json!("prefix"), &json!("cli::fleet::offer")),
        "{rows:?}"
    );
    assert_eq!(offer["evicted_by"], "cli::fleet::withdraw");
    for renewed in ["::stock", "::shelf", "::offer"] {
        assert_eq!(of(&rows, renewed), Value::Null, "something renews it: {rows:?}");
    }

    summary(&cache, 1).await;
    wait_until("it has reported that", DEADLINE, async || {
        place.asked(&["map"]).await.out.contains("::summary")
    })
    .await;
    let said = place.asked(&["map", "--format", "json"]).await;
    assert_eq!(said.code, Some(0), "it may be recorded: {said:?}");
    let rows = said.rows();
    assert_eq!(of(&rows, "::summary")["note"], "what its loads record evicts it", "{rows:?}");
    assert_eq!(of(&rows, "db:shelves")["note"], "no template makes it; a recorded load may carry it");

    // One that is nearly that of an entry is told all the same.
    order(&cache, 1).await;
    cancel(&cache, 1).await;
    wait_until("it has reported that", DEADLINE, async || {
        place.asked(&["map"]).await.out.contains("::cancel")
    })
    .await;
    let rows = place.rows(&["map"]).await;
    let meant = "no template makes it; a recorded load may carry it; or is it orders?";
    assert_eq!(of(&rows, "order")["note"], meant, "{rows:?}");
}

/// A service that gives its report to whoever asks for `/report`, and 404 for anything else.
async fn route(report: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1_024];
            let read = stream.read(&mut asked).await.unwrap_or_default();
            let is_there = String::from_utf8_lossy(&asked[..read]).starts_with("GET /report ");
            let (status, body) = if is_there { ("200 OK", &*report) } else { ("404 Not Found", &b"{}"[..]) };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_taken_from_a_services_route() {
    let nowhere = Place { url: String::new(), namespace: String::new() };
    let cache = Cache::memory();
    for _ in 0..3 {
        user(&cache, "acme", 7).await;
    }
    let url = route(serde_json::to_vec(&cache.report()).unwrap()).await;
    let from = format!("{url}/report");
    let rows = nowhere.rows(&["stats", "--from", &from, "--from", &from]).await;
    assert_eq!((&rows[0]["site"], &rows[0]["reads"]), (&json!("cli::harness::user"), &json!(6)), "{rows:?}");
    let map = nowhere.rows(&["map", "--from", &from]).await;
    assert!(map.iter().any(|row| row["name"] == "org:{}"), "{map:?}");
    let missing = nowhere.asked(&["stats", "--from", &format!("{url}/other")]).await;
    assert!(missing.code == Some(3) && missing.errors.contains("404"), "{missing:?}");
    let refused = nowhere.asked(&["stats", "--from", "http://127.0.0.1:1/report"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
}

/// What does not come from reports alone is not asked of one.
#[test]
fn a_report_that_is_named_and_not_read_is_refused() {
    let place = Place::on(RedisServer::shared());
    for args in [
        &["list"][..],
        &["tags"],
        &["top"],
        &["inspect", "user:7"],
        &["explain", "user:7"],
        &["search", "7"],
        &["verify"],
        &["doctor"],
        &["log"],
        &["flush", "--all", "--yes"],
        &["warm", "--urls", "-"],
        &["stats", "--watch"],
        &["man"],
    ] {
        let said = place.run(&[args, &["--from", "report.json"]].concat());
        assert_eq!(said.code, Some(2), "{args:?} {said:?}");
        assert!(said.errors.contains("--from") && said.out.is_empty(), "{args:?} {said:?}");
    }
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
