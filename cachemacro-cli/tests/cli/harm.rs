//! What must not come of looking: foreign keys named, secrets told, a server that waits.

use std::time::{Duration, Instant};

use cachemacro::codec::Json;
use cachemacro_tests::monitor::Watched;
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, RedisServer, is_long, wait_until};

use crate::harness::{Place, by_guide, leaves_use_alone, said, user};

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
    let watcher = by_guide(&server, "watcher", namespace).await;
    for args in [
        &["list"][..],
        &["stats"],
        &["tags"],
        &["inspect", "user:acme:7"],
        &["explain", "user:acme:7"],
        &["verify"],
        &["doctor"],
        &["search", "acme", "--values"],
        &["top"],
        &["top", "--by", "prefix"],
        &["map"],
        &["stats", "--watch", "--count", "1"],
    ] {
        let said = watcher.asked(args).await;
        assert_eq!(said.code, Some(0), "{args:?} {said:?}");
        assert!(!said.out.contains("hunter2") && !said.errors.contains("hunter2"));
    }
    assert_eq!(watcher.asked(&["log"]).await.code, Some(1), "nothing was flushed");
    // Nothing was even tried that its user may not do.
    let denied: Vec<redis::Value> =
        redis::cmd("ACL").arg("LOG").query_async(&mut admin).await.expect("the server obeys");
    assert!(denied.is_empty(), "{denied:?}");
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

/// What a value says, and the password by which it is read, is in the output of no command that was not asked for values.
#[tokio::test(flavor = "multi_thread")]
async fn no_value_and_no_password_is_shown_unasked() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.settings().tag_names(100).hot_keys(true).build().expect("acceptable settings");
    cache.entry::<String>("note", 7).with_tags(["notes"]).set(&"canary".repeat(10)).await.expect("stored");
    cache.entry::<String>("note", 8).with_codec::<Json>().set(&"canary".to_owned()).await.expect("stored");
    for _ in 0..3_000 {
        user(&cache, "acme", 7).await;
    }
    cache.stored().await;
    place.reported(&[&cache]).await;
    let operator = by_guide(&server, "operator", &place.namespace).await;
    for format in ["table", "csv", "json"] {
        for args in [
            &["stats"][..],
            &["stats", "--by", "process"],
            &["stats", "--watch", "--count", "1"],
            &["top"],
            &["top", "--by", "hot"],
            &["list"],
            &["search", "note"],
            &["inspect", "note:7"],
            &["inspect", "note:8"],
            &["explain", "note:7"],
            &["tags"],
            &["map"],
            &["verify"],
            &["doctor"],
            &["flush", "--tag", "notes", "--dry-run"],
            &["log"],
        ] {
            let said = operator.asked(&[args, &["--format", format]].concat()).await;
            assert!(matches!(said.code, Some(0 | 1)), "{args:?}: {said:?}");
            let all = format!("{}{}", said.out, said.errors);
            assert!(!all.contains("canary") && !all.contains("hunter2"), "{args:?}: {said:?}");
        }
    }
    let asked = operator.asked(&["inspect", "note:8", "--value"]).await;
    assert!(asked.out.contains("canary"), "it would be seen: {asked:?}");
}

/// With `--redact` neither a key nor a tag is in the output of any command; hashes of them stand there, and templates.
#[tokio::test(flavor = "multi_thread")]
async fn with_redact_no_key_and_no_tag_is_shown() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.settings().tag_names(100).hot_keys(true).build().expect("acceptable settings");
    let note = cache.entry::<String>("note", "canary").with_codec::<Json>().with_tags(["canary:tag"]);
    note.set(&"seven".to_owned()).await.expect("stored");
    for _ in 0..3_000 {
        user(&cache, "canary", 7).await;
    }
    cache.stored().await;
    // One that `verify` names.
    let damaged = format!("{}:note:canary-damaged", place.namespace);
    redis::cmd("SET").arg(damaged).arg("x").exec_async(&mut server.client().await).await.expect("it is kept");
    place.reported(&[&cache]).await;
    wait_until("names of tags are told", DEADLINE, async || {
        place.asked(&["tags"]).await.out.contains("canary:tag")
    })
    .await;
    let looks = [
        &["top", "--by", "bytes"][..],
        &["top", "--by", "hot"],
        &["list"],
        &["search", "canary"],
        &["search", "seven", "--values"],
        &["inspect", "note:canary"],
        &["inspect", "user:canary:7"],
        &["explain", "user:canary:7"],
        &["tags"],
        &["verify"],
        &["flush", "--tag", "canary:tag", "--key", "note:canary", "--yes"],
        &["log"],
    ];
    for args in looks {
        for format in ["table", "csv", "json"] {
            let said = place.asked(&[args, &["--redact", "--format", format]].concat()).await;
            assert!(matches!(said.code, Some(0 | 1)), "{args:?}: {said:?}");
            let all = format!("{}{}", said.out, said.errors);
            assert!(!all.contains("canary"), "{args:?}: {said:?}");
            assert!(args[0] == "explain" || !said.out.is_empty(), "{args:?}: {said:?}");
        }
    }
    // What was flushed by these is in the log, where it is not hidden.
    assert!(place.asked(&["log"]).await.out.contains("canary:tag"));
}

/// Those of the documentation.
#[tokio::test(flavor = "multi_thread")]
async fn under_an_operators_rights_flushes_work() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.service();
    user(&cache, "acme", 7).await;
    place.reported(&[&cache]).await;
    let operator = by_guide(&server, "operator", &place.namespace).await;
    for args in [
        &["tags"][..],
        &["explain", "user:acme:7"],
        &["flush", "--tag", "users", "--key", "user:acme:7", "--prefix", "user", "--yes"],
        &["flush", "--all", "--yes"],
    ] {
        let said = operator.asked(args).await;
        assert_eq!(said.code, Some(0), "{args:?} {said:?}");
        assert!(!said.errors.contains("not in the log"), "{said:?}");
    }
}

/// Beside many keys of others, none of them is named, and nothing asks for all at once.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_outside_the_namespace_is_named() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.service();
    for id in 0..5 {
        user(&cache, "acme", id).await;
    }
    place.reported(&[&cache]).await;
    cache.shutdown().await.expect("nothing is left to deliver");
    let mut admin = server.client().await;
    let fill = "for n = 1, 20000 do redis.call('SET', 'somebody-elses:' .. n, 'x') end";
    redis::cmd("EVAL").arg(fill).arg(0).exec_async(&mut admin).await.expect("the server obeys");
    let watched = Watched::start(&server.url()).await;
    let listed = place.rows(&["list"]).await;
    assert!(
        listed.len() == 5
            && listed.iter().all(|row| row["key"].as_str().is_some_and(|key| key.starts_with("user:acme:"))),
        "{listed:?}"
    );
    for args in [&["list"][..], &["tags"], &["stats"], &["verify"], &["explain", "user:acme:1"], &["doctor"]]
    {
        let said = place.asked(args).await;
        assert!(said.code.is_some_and(|code| code <= 1), "{args:?} {said:?}");
        assert!(!said.out.contains("somebody-elses"), "{said:?}");
    }
    let commands = watched.commands().await;
    assert!(commands.iter().any(|words| words[0].eq_ignore_ascii_case("scan")), "{commands:?}");
    for words in &commands {
        let name = words[0].to_ascii_uppercase();
        assert!(name != "KEYS" && !words.iter().any(|word| word.contains("somebody-elses")), "{words:?}");
        let writes =
            ["SET", "UNLINK", "DEL", "ZADD", "ZREMRANGEBYSCORE", "EVAL", "EVALSHA", "PEXPIRE", "FLUSHDB"];
        assert!(!writes.contains(&name.as_str()), "{words:?}");
        if name == "SCAN" {
            assert_eq!(words.last().map(String::as_str), Some("100"), "{words:?}");
        }
    }
}

/// The keys of others count: each step looks at them.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_keys_are_looked_at_in_a_second_than_the_rate_says() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    place.service().set("page", 1, &7).await.expect("stored");
    let fill = "for n = 1, 3000 do redis.call('SET', 'somebody-elses:' .. n, 'x') end";
    redis::cmd("EVAL").arg(fill).arg(0).exec_async(&mut server.client().await).await.expect("it obeys");
    for (rate, least) in [("2000", 1_300), ("1000", 2_600)] {
        let began = Instant::now();
        assert_eq!(place.rows(&["list", "--rate", rate]).await.len(), 1);
        assert!(began.elapsed() >= Duration::from_millis(least), "{rate}: {:?}", began.elapsed());
    }
}

/// However many keys there are, no more of them are held than come in a step.
#[tokio::test(flavor = "multi_thread")]
async fn values_are_looked_at_while_keys_are_found() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.service();
    for id in 0..500_u32 {
        cache.set("row", id, &format!("needle {id}")).await.expect("stored");
    }
    for args in [&["search", "needle 4", "--values"][..], &["verify"]] {
        let watched = Watched::start(&server.url()).await;
        let said = place.asked(args).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let commands = watched.commands().await;
        let is = |words: &[String], name: &str| words[0].eq_ignore_ascii_case(name);
        let first_value = commands.iter().position(|words| is(words, "GET"));
        let last_step = commands.iter().rposition(|words| is(words, "SCAN"));
        assert!(first_value.is_some() && first_value < last_step, "{args:?}: {first_value:?} {last_step:?}");
    }
}

/// A report that is followed by none is gone after its life.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_killed_is_gone_once_its_report_is() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.service();
    user(&cache, "acme", 1).await;
    place.reported(&[&cache]).await;
    drop(cache);
    // Its document is gone before the set that names it is.
    let mut admin = server.client().await;
    let set = format!("{{{}:report}}", place.namespace);
    let ids: Vec<String> = redis::cmd("ZRANGE")
        .arg(&set)
        .arg(0)
        .arg(-1)
        .query_async(&mut admin)
        .await
        .expect("the set is there");
    run(&mut admin, &format!("DEL {set}:{}", ids[0])).await;
    let said = place.asked(&["stats"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
}

/// Whoever may write there may write anything: what is no report hides nobody's, and nothing of it gets to the terminal as it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_report_hides_none_and_nothing_in_one_reaches_the_terminal_raw() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.service();
    user(&cache, "acme", 7).await;
    place.reported(&[&cache]).await;
    let mut admin = server.client().await;
    let set = format!("{{{}:report}}", place.namespace);
    let hostile = serde_json::json!({
        "instance": "\u{1b}[2J", "breaker": "\u{1b}]0;x\u{7}", "left_out": u64::MAX,
        "sites": [{
            "site": "\u{1b}[31m\u{202e}shop::user", "key": "{org}:{id}", "tags": ["= f(\u{9b}31m)"], "writes": ["tag \u{1b}[5m"],
            "value": "T", "stored_as": [{"prefix": "user", "codec": 1, "schema": "0"}],
            "figures": {"counts": {"hits": u64::MAX}, "misses": {"\u{1b}[1m": u64::MAX}},
        }],
    });
    for (id, value) in
        [("hostile", hostile.to_string()), ("large", "x".repeat(3 << 20)), ("none", "[".repeat(100_000))]
    {
        redis::cmd("SET")
            .arg(format!("{set}:{id}"))
            .arg(value)
            .exec_async(&mut admin)
            .await
            .expect("it is kept");
        redis::cmd("ZADD").arg(&set).arg("+inf").arg(id).exec_async(&mut admin).await.expect("it is kept");
    }
    redis::cmd("RPUSH").arg(format!("{set}:list")).arg("x").exec_async(&mut admin).await.expect("it is kept");
    redis::cmd("ZADD").arg(&set).arg("+inf").arg("list").exec_async(&mut admin).await.expect("it is kept");
    for args in [
        &["stats"][..],
        &["stats", "--by", "process"],
        &["stats", "--by", "reason"],
        &["stats", "--watch", "--count", "1", "--format", "csv"],
        &["explain", "user:acme:7"],
        &["inspect", "user:acme:7"],
        &["list"],
        &["tags"],
        &["map"],
        &["map", "--dot"],
        &["map", "--svg"],
        &["doctor"],
        &["verify"],
    ] {
        for format in ["table", "csv", "json"] {
            let has_own =
                args.contains(&"--format") || args.iter().any(|arg| ["--dot", "--svg"].contains(arg));
            let form = if has_own { &[][..] } else { &["--format", format] };
            // What stands in the environment is said where it is no setting.
            let envs = [("CACHEMACRO_\u{1b}[2J\u{202e}", "1")];
            let said = place.asked_with(&[args, form].concat(), &envs).await;
            assert!(matches!(said.code, Some(0 | 1)), "{args:?} {said:?}");
            assert!(said.errors.contains("CACHEMACRO_"), "{args:?} {said:?}");
            for c in said.out.chars().chain(said.errors.chars()) {
                let is_plain = c == '\n' || c == '\r' || !(c.is_control() || c == '\u{202e}');
                assert!(is_plain, "{args:?}: {c:?} in {said:?}");
            }
        }
    }
    let processes = place.rows(&["stats", "--by", "process"]).await;
    assert_eq!(processes.len(), 2, "the service's and the hostile one: {processes:?}");
}

/// Without a namespace every key is looked at, and `--url` says where, as the variables do.
#[tokio::test(flavor = "multi_thread")]
async fn a_url_and_no_namespace_are_taken_from_the_command_line() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    place.service().set("page", 1, &7).await.expect("stored");
    run(&mut server.client().await, "SET somebody-elses x").await;
    let bare = Place { url: server.bare_url(), namespace: place.namespace.clone() };
    let listed = async |args: &[&str]| {
        let args: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
        let mut command = bare.command(&args);
        command.env_remove("CACHEMACRO_REDIS_URL").env_remove("CACHEMACRO_NAMESPACE");
        if !server.url().contains(&server.bare_url()) {
            // These tests are run by a user with a password.
            command.env("CACHEMACRO_REDIS_URL", server.url());
        }
        let said = tokio::task::spawn_blocking(move || said(&mut command)).await.expect("it does not panic");
        assert_eq!(said.code, Some(0), "{said:?}");
        said.rows().iter().map(|row| row["key"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let url = bare.url.as_str();
    assert_eq!(listed(&["list", "--url", url, "--namespace", &place.namespace]).await, ["page:1"]);
    let all = listed(&["list", "--url", url, "--no-namespace"]).await;
    assert!(all.contains(&format!("{}:page:1", place.namespace)), "{all:?}");
    assert!(all.contains(&"somebody-elses".to_owned()), "{all:?}");
}

#[test]
fn a_password_on_the_command_line_is_refused() {
    let nowhere = Place { url: String::new(), namespace: "shop".to_owned() };
    for args in [
        &["--url", "redis+sentinel://shop:canary@s1,s2:26379/name", "stats"][..],
        &["--url", "redis+sentinel://s1,s2/name?sentinel_password=canary", "list"],
        &["--from", "http://shop:canary@127.0.0.1:1/report", "stats"],
    ] {
        let said = nowhere.run(args);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(!format!("{said:?}").contains("canary"), "{said:?}");
    }
    assert_eq!(
        nowhere.run(&["warm", "--urls", "-", "--rate", "4000000000"]).code,
        Some(2),
        "more than one a microsecond"
    );
}

/// Seconds since each key was last used.
async fn idle(server: &RedisServer, key: &str) -> i64 {
    let mut admin = server.client().await;
    redis::cmd("OBJECT").arg("IDLETIME").arg(key).query_async(&mut admin).await.expect("it is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_look_counts_as_use_names_alone_are_listed_unless_asked_for_more() {
    let server = RedisServer::with_args(&["--maxmemory-policy", "allkeys-lru"]);
    let place = Place::on(&server);
    let cache = place.service();
    cache.set("page", 1, &7).await.expect("stored");
    let key = format!("{}:page:1", place.namespace);
    let is_old = !leaves_use_alone(&server).await;
    wait_until("it was not used for a while", DEADLINE, async || idle(&server, &key).await >= 2).await;
    let said = place.asked(&["list"]).await;
    assert!(said.out.contains("page:1") && idle(&server, &key).await >= 2, "{said:?}");
    assert_eq!(said.errors.contains("--touch"), is_old, "{said:?}");
    let rows = place.rows(&["list", "--touch"]).await;
    assert_eq!(rows[0]["state"], "fresh");
    assert_eq!(idle(&server, &key).await < 2, is_old);
}

/// Where the server could leave alone when keys were used, and the user may not ask for that, a look counts as use as it does on an older one.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_leave_use_alone_names_alone_are_listed() {
    let server = RedisServer::with_args(&["--maxmemory-policy", "allkeys-lru"]);
    let place = Place::on(&server);
    place.service().set("page", 1, &7).await.expect("stored");
    let key = format!("{}:page:1", place.namespace);
    let watcher = by_guide(&server, "watcher", &place.namespace).await;
    let is_old = !leaves_use_alone(&server).await;
    wait_until("it was not used for a while", DEADLINE, async || idle(&server, &key).await >= 2).await;
    let said = watcher.asked(&["list"]).await;
    assert_eq!(said.errors.contains("--touch"), is_old, "the guide's rights suffice: {said:?}");
    if !is_old {
        run(&mut server.client().await, "ACL SETUSER watcher -client|no-touch").await;
    }
    let said = watcher.asked(&["list"]).await;
    assert!(said.errors.contains("+client|no-touch"), "{said:?}");
    assert!(said.out.contains("page:1") && !said.out.contains("fresh"), "{said:?}");
    assert!(idle(&server, &key).await >= 2, "it was not looked at");
    let doctor = watcher.asked(&["doctor"]).await;
    assert!(doctor.out.contains("+client|no-touch"), "{doctor:?}");
}

/// What is in use stays in place of what was only looked at.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_look_counts_as_use_ten_thousand_entries_are_looked_at_and_no_more() {
    let server = RedisServer::with_args(&["--maxmemory-policy", "allkeys-lru"]);
    let place = Place::on(&server);
    let mut admin = server.client().await;
    let is_old = !leaves_use_alone(&server).await;
    let fill = "for n = 1, 10050 do redis.call('SET', ARGV[1] .. ':page:' .. n, 'x') end";
    let mut fill_it = redis::cmd("EVAL");
    fill_it.arg(fill).arg(0).arg(&place.namespace).exec_async(&mut admin).await.expect("the server obeys");
    let entries = async |args: &[&str]| {
        let said = place.asked(&[&["top", "--by", "prefix", "--format", "json"], args].concat()).await;
        let entries = said.rows()[0]["entries"].as_u64();
        (entries, said.errors.contains("--touch"))
    };
    assert_eq!(entries(&[]).await, (Some(if is_old { 10_000 } else { 10_050 }), is_old));
    assert_eq!(entries(&["--touch"]).await, (Some(10_050), false));
}

/// Beside a million keys of others none is named, and no command keeps the server from others for long.
#[tokio::test(flavor = "multi_thread")]
async fn beside_a_million_foreign_keys_none_is_named_and_no_command_is_long() {
    if !is_long() {
        return;
    }
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.service();
    for id in 0..100 {
        user(&cache, "acme", id).await;
    }
    place.reported(&[&cache]).await;
    let mut admin = server.client().await;
    for part in 0..100 {
        let fill = "for n = 1, 10000 do redis.call('SET', 'somebody-elses:' .. ARGV[1] .. ':' .. n, 'x') end";
        redis::cmd("EVAL").arg(fill).arg(0).arg(part).exec_async(&mut admin).await.expect("the server obeys");
    }
    let looks = [
        &["list"][..],
        &["tags"],
        &["top"],
        &["top", "--by", "prefix"],
        &["search", "7"],
        &["verify"],
        &["doctor"],
    ];
    let looks = looks.map(|args| [args, &["--rate", "1000000"]].concat());
    let watcher = by_guide(&server, "watcher", &place.namespace).await;
    let watched = Watched::start(&server.url()).await;
    let said = watcher.asked(&looks[0]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let commands = watched.commands().await;
    let scans = commands.iter().filter(|words| words[0].eq_ignore_ascii_case("scan")).count();
    assert!(scans >= 5_000, "{scans} steps");
    assert!(!commands.iter().flatten().any(|word| word.contains("somebody-elses")), "none is named");
    // The time of the server alone, without who watches it.
    for setting in [
        "CONFIG RESETSTAT",
        "SLOWLOG RESET",
        "CONFIG SET slowlog-log-slower-than 200",
        "CONFIG SET slowlog-max-len 1000000",
    ] {
        run(&mut admin, setting).await;
    }
    for args in &looks {
        let said = watcher.asked(args).await;
        assert!(
            said.code.is_some_and(|code| code <= 1) && !said.out.contains("somebody-elses"),
            "{args:?} {said:?}"
        );
    }
    let slow: u64 = redis::cmd("SLOWLOG").arg("LEN").query_async(&mut admin).await.expect("it answers");
    let info: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut admin).await.expect("it answers");
    // What a connection is asked before it is used says nothing of how long a look is.
    let calls = |line: &str| -> Option<(String, u64)> {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    let calls: Vec<(String, u64)> = info.lines().filter_map(calls).collect();
    let of =
        |name: &str| calls.iter().filter(|(called, _)| called == name).map(|(_, calls)| calls).sum::<u64>();
    let all = calls.iter().map(|(_, calls)| calls).sum::<u64>() - of("ping") - of("unwatch");
    println!(
        "{slow} of {all} commands, {} of them steps of scans, took more than 200 µs of the server's time",
        of("scan")
    );
    assert!(of("scan") > 50_000 && slow * 100 <= all, "{slow} of {all} took more than 200 µs: {calls:?}");
}
