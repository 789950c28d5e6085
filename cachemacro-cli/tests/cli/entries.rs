//! Single entries: `list`, `inspect`, `explain`, `tags`, `verify`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cachemacro::codec::{Json, MessagePack, Postcard};
use cachemacro::header::{COMPRESSED, Parts, SEALED, assemble};
use cachemacro::{Cache, CacheSchema, Clock, MissReason, cached};
use cachemacro_tests::{DEADLINE, RedisServer, wait_until};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::harness::{Place, user};

fn field<'a>(rows: &'a [Value], field: &str) -> Option<&'a Value> {
    rows.iter().find(|row| row["field"] == field).map(|row| &row["value"])
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_with_their_tags_by_name() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    for id in 0..3 {
        user(&cache, "ac me", id).await;
    }
    cache.set("page", 1, &3).await.unwrap();
    place.reported(&[&cache]).await;

    let rows = place.rows(&["list"]).await;
    let keys: Vec<&str> = rows.iter().filter_map(|row| row["key"].as_str()).collect();
    assert_eq!(keys, ["page:1", "user:ac%20me:0", "user:ac%20me:1", "user:ac%20me:2"]);
    assert_eq!((&rows[1]["state"], &rows[1]["codec"]), (&json!("fresh"), &json!("bincode")));
    assert_eq!(rows[1]["tags"], "users org:ac%20me");
    assert!(rows[1]["ttl"].as_f64().is_some_and(|ttl| (1.0..=300.0).contains(&ttl)), "{rows:?}");
    assert_eq!(place.rows(&["list", "user:*:1"]).await.len(), 1);
    assert_eq!(place.rows(&["list", "page"]).await.len(), 1);
    assert_eq!(place.asked(&["list", "nobody"]).await.code, Some(1));
    assert_eq!(place.rows(&["list", "--limit", "2"]).await.len(), 2);

    let tags = place.rows(&["tags"]).await;
    let told: Vec<_> =
        tags.iter().map(|row| (row["tag"].as_str().unwrap_or_default(), &row["entries"])).collect();
    assert!(told.contains(&("users", &json!(3))) && told.contains(&("org:ac%20me", &json!(3))), "{told:?}");
    let redacted = place.asked(&["list", "--redact"]).await;
    assert!(!redacted.out.contains("user") && redacted.out.contains('#'), "{redacted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_top_has_the_largest_the_costliest_and_the_soonest_to_go() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    for (key, length, seconds) in [("small", 10, 500), ("large", 5_000, 90), ("middle", 900, 300)] {
        let entry = cache.entry::<String>("text", key).with_ttl(Duration::from_secs(seconds));
        entry.set(&"x".repeat(length)).await.unwrap();
    }
    let slow = async || tokio::time::sleep(Duration::from_millis(30)).await;
    cache.get_or_load("slow", 1, slow).await;
    let keys = async |args: &[&str]| -> Vec<String> {
        let rows = place.rows(&[&["top"], args].concat()).await;
        rows.iter().filter_map(|row| row["key"].as_str()).map(str::to_owned).collect()
    };
    assert_eq!(keys(&["--limit", "2"]).await, ["text:large", "text:middle"]);
    assert_eq!(keys(&["--by", "ttl", "--limit", "1"]).await, ["text:large"]);
    assert_eq!(keys(&["--by", "load-time", "--limit", "1"]).await, ["slow:1"]);
    assert_eq!(keys(&["--by", "age"]).await.len(), 4);
    let prefixes = place.rows(&["top", "--by", "prefix"]).await;
    assert_eq!((&prefixes[0]["prefix"], &prefixes[0]["entries"]), (&json!("text"), &json!(3)));
    assert_eq!(Place::on(RedisServer::shared()).asked(&["top"]).await.code, Some(1), "nothing is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_shown_and_its_value_where_it_is_asked_for() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    let entry = cache.entry::<Vec<String>>("note", 7).with_codec::<Json>();
    entry.set(&vec!["secret \u{1b}[2J".to_owned()]).await.unwrap();
    let rows = place.rows(&["inspect", "note:7"]).await;
    assert_eq!(field(&rows, "codec"), Some(&json!("json")));
    assert_eq!(field(&rows, "state"), Some(&json!("fresh")));
    assert_eq!(field(&rows, "content"), None);
    assert!(!place.asked(&["inspect", "note:7"]).await.out.contains("secret"), "unasked");
    let shown = place.asked(&["inspect", "note:7", "--value"]).await;
    assert!(shown.out.contains("secret") && !shown.out.contains('\u{1b}'), "{shown:?}");
    assert_eq!(place.asked(&["inspect", "note:8"]).await.code, Some(1));
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    id: u64,
    lines: Vec<(String, i32)>,
    paid: Option<bool>,
}

#[cached(prefix = "order", key = "{id}", ttl = "1m", cache = cache)]
async fn order(cache: &Cache, id: u64) -> Order {
    let _ = cache;
    Order { id, lines: vec![("tea \u{1b}[2J".to_owned(), -3)], paid: Some(true) }
}

/// bincode does not say what is what; the service that stored it told.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_a_compact_codec_is_read_by_the_layout_of_its_type() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    order(&cache, 7).await;
    place.reported(&[&cache]).await;
    let mut content = Value::Null;
    wait_until("the layout is told", DEADLINE, async || {
        let rows = place.rows(&["inspect", "order:7", "--value"]).await;
        content = field(&rows, "content").cloned().unwrap_or_default();
        content.as_str().is_some_and(|content| content.starts_with('{'))
    })
    .await;
    let content: Value = serde_json::from_str(content.as_str().unwrap()).unwrap();
    assert_eq!(content, json!({ "id": 7, "lines": [["tea \u{1b}[2J", -3]], "paid": true }));
    let shown = place.asked(&["inspect", "order:7", "--value"]).await;
    assert!(shown.out.contains("tea") && !shown.out.contains('\u{1b}'), "{shown:?}");
    assert!(!place.asked(&["inspect", "order:7"]).await.out.contains("tea"), "unasked");
}

/// What says itself what it is, is shown; of the rest it is said why it is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_shown_in_each_codec_or_it_is_said_why_it_is_not() {
    let place = Place::on(RedisServer::shared());
    let cache = place.settings().reports(cachemacro::Reports::Off).build().expect("acceptable settings");
    let order = Order { id: 7, lines: vec![("tea".to_owned(), -3)], paid: None };
    cache.entry::<Order>("packed", 7).with_codec::<MessagePack>().set(&order).await.unwrap();
    cache.entry::<Order>("terse", 7).with_codec::<Postcard>().set(&order).await.unwrap();
    cache.set("bare", 7, &order).await.unwrap();
    let content = async |place: &Place, key: &str| {
        let rows = place.rows(&["inspect", key, "--value"]).await;
        field(&rows, "content").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let packed: Value = serde_json::from_str(&content(&place, "packed:7").await).unwrap();
    assert!(packed.to_string().contains("tea") && packed.to_string().contains("-3"), "{packed}");
    for (key, codec) in [("terse:7", "postcard"), ("bare:7", "bincode")] {
        let said = content(&place, key).await;
        assert!(said.contains(&format!("bytes of {codec}, which does not say what is what")), "{said}");
        assert!(!said.contains("tea"), "{said}");
    }

    // The same of a function whose process tells.
    let telling = Place::on(RedisServer::shared());
    let cache = telling.service();
    brief_order(&cache, 7).await;
    telling.reported(&[&cache]).await;
    wait_until("the layout is told", DEADLINE, async || {
        let told = content(&telling, "brief-order:7").await;
        let told: Value = serde_json::from_str(&told).unwrap_or_default();
        told == json!({ "id": 7, "lines": [["tea", 1]], "paid": false })
    })
    .await;
}

#[cached(prefix = "brief-order", key = "{id}", ttl = "1m", codec = Postcard, cache = cache)]
async fn brief_order(cache: &Cache, id: u64) -> Order {
    let _ = cache;
    Order { id, lines: vec![("tea".to_owned(), 1)], paid: Some(false) }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CacheSchema)]
struct Described {
    id: u64,
    #[serde(rename = "called")]
    name: Option<String>,
}

#[cached(prefix = "described", key = "{id}", ttl = "1m", cache = cache)]
async fn described(cache: &cachemacro::Cache, id: u64) -> Described {
    let _ = cache;
    Described { id, name: Some("tea".to_owned()) }
}

/// A type that describes its shape itself is laid out as its `Deserialize` tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_a_type_that_describes_itself_is_read_by_its_layout_too() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    described(&cache, 7).await;
    place.reported(&[&cache]).await;
    wait_until("the layout is told", DEADLINE, async || {
        let rows = place.rows(&["inspect", "described:7", "--value"]).await;
        let content = field(&rows, "content").and_then(Value::as_str).unwrap_or_default();
        serde_json::from_str::<Value>(content).ok() == Some(json!({ "id": 7, "called": "tea" }))
    })
    .await;
}

#[cached(prefix = "brief", ttl = "1m", cache = cache, skip(cache))]
async fn brief(cache: &cachemacro::Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[cached(prefix = "worn", key = "{id}", ttl = "1m", refresh = "50%", cache = cache)]
async fn worn(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

/// What ages is to `explain` what it is to a read: where the function says how, and where the cache's settings do.
#[tokio::test(flavor = "multi_thread")]
async fn explain_says_of_what_ages_what_the_next_read_makes_of_it() {
    let server = RedisServer::shared();
    let place = Place::on(server);
    let cache = place.settings().stale(Duration::from_secs(3_600)).build().expect("acceptable settings");
    user(&cache, "acme", 7).await;
    worn(&cache, 7).await;
    cache.set("by-hand", 7, &7).await.unwrap();
    cache.stored().await;
    place.reported(&[&cache]).await;
    let mut admin = server.client().await;
    let mut aged = async |key: &str, by: u64, fresh_for: u64| {
        let full = format!("{}:{key}", place.namespace);
        let bytes: Vec<u8> = redis::cmd("GET").arg(&full).query_async(&mut admin).await.unwrap();
        let parts = Parts::parse(&bytes).unwrap();
        let header = parts.header;
        let then = cachemacro::Timestamp(header.stored_at.millis() - by * 1_000);
        let header = header.with_stored_at(then).with_fresh_until(then.plus(Duration::from_secs(fresh_for)));
        let bytes = assemble(header, &parts.stamps().collect::<Vec<_>>(), parts.payload);
        redis::cmd("SET").arg(&full).arg(bytes).arg("PX").arg(600_000).exec_async(&mut admin).await.unwrap();
    };
    let next = async |key: &str| {
        let rows = place.rows(&["explain", key]).await;
        let text = |name: &str| rows[0][name].as_str().unwrap_or_default().to_owned();
        (text("next_read"), text("why"))
    };
    let said = |read: &str, why: &str| (read.to_owned(), why.to_owned());
    assert_eq!(next("user:acme:7").await, said("hit", "fresh"));
    let ages = async |key: &str, age: &str| {
        let (read, why) = next(key).await;
        assert!(read == "hit" && why.starts_with(&format!("{age}: ")), "{key}: {read} {why}");
    };
    let due = || cache.stats().total.misses_for(MissReason::Due);
    aged("by-hand:7", 400, 300).await;
    ages("by-hand:7", "stale").await;
    assert_eq!(cache.get::<i32>("by-hand", 7).await.unwrap(), Some(7), "as long as the cache says");
    assert_eq!(cache.stats().total.stale, 1);
    aged("user:acme:7", 400, 300).await;
    ages("user:acme:7", "stale").await;
    // A function whose last look found nothing asks for the lease at once, and is given the value instead.
    wait_until("one caller loads it anew", DEADLINE, async || {
        user(&cache, "acme", 7).await;
        due() == 1
    })
    .await;

    assert_eq!(next("worn:7").await, said("hit", "fresh"));
    aged("worn:7", 40, 60).await;
    ages("worn:7", "due").await;
    wait_until("one caller loads it anew", DEADLINE, async || {
        worn(&cache, 7).await;
        due() == 2
    })
    .await;
    cache.stored().await;
    assert_eq!(next("worn:7").await, said("hit", "fresh"));
}

/// `explain` and a read of the service agree, for each reason that lies in what is stored. The others lie with the reader: `too_old`,
/// `refused`, `store_failed`; and `due` with one of them.
#[tokio::test(flavor = "multi_thread")]
async fn explain_says_what_the_next_read_finds() {
    let server = RedisServer::shared();
    let place = Place::on(server);
    let cache = place.service();
    user(&cache, "acme", 7).await;
    brief(&cache, 1).await;
    place.reported(&[&cache]).await;
    let mut admin = server.client().await;
    let full = |key: &str| format!("{}:{key}", place.namespace);
    let misses = |reason| cache.stats().total.misses_for(reason);

    let hit = place.rows(&["explain", "user:acme:7"]).await;
    assert_eq!((&hit[0]["next_read"], hit.len()), (&json!("hit"), 1), "{hit:?}");
    assert!(hit[0]["site"].as_str().is_some_and(|site| site.ends_with("harness::user")), "{hit:?}");

    let agree = async |key: &str, reason: MissReason, read: &dyn Fn() -> u64| {
        let rows = place.rows(&["explain", key]).await;
        assert_eq!(rows[0]["next_read"], "miss", "{rows:?}");
        let why = rows[0]["why"].as_str().unwrap_or_default().to_owned();
        assert!(why.starts_with(&format!("{}:", reason.as_str())), "{}: {why}", reason.as_str());
        assert!(rows[0]["what_to_do"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{rows:?}");
        read()
    };

    // A tag.
    cache.evict_tags(["org:acme"]).await.unwrap();
    let before = agree("user:acme:7", MissReason::TagEvicted, &|| misses(MissReason::TagEvicted)).await;
    let why = |rows: &[Value]| rows[0]["why"].as_str().unwrap_or_default().to_owned();
    let told = why(&place.rows(&["explain", "user:acme:7"]).await);
    assert!(told.contains("1 of its 2 tags") && told.ends_with(": org:acme"), "{told}");
    let redacted = why(&place.rows(&["explain", "user:acme:7", "--redact"]).await);
    assert!(!redacted.contains("acme") && redacted.contains(": #"), "{redacted}");
    user(&cache, "acme", 7).await;
    assert_eq!(misses(MissReason::TagEvicted), before + 1);
    assert_eq!(place.asked(&["explain", "user:acme:7"]).await.code, Some(0));

    // Nothing there.
    let before = agree("user:acme:8", MissReason::Absent, &|| misses(MissReason::Absent)).await;
    user(&cache, "acme", 8).await;
    assert_eq!(misses(MissReason::Absent), before + 1);

    // Another release's type, codec; damage; another's bytes.
    let bytes: Vec<u8> = redis::cmd("GET").arg(full("brief:1")).query_async(&mut admin).await.unwrap();
    let header = cachemacro::header::Header::parse(&bytes).unwrap();
    let again = |header: cachemacro::header::Header| cachemacro::header::assemble(header, &[], &bytes[96..]);
    let cases = [
        (again(header.with_schema(header.schema ^ 1)), MissReason::OtherSchema),
        (again(header.with_codec(4)), MissReason::OtherCodec),
        (again(header.with_key_hash(7)), MissReason::OtherKey),
        (again(header.with_fresh_until(header.stored_at)), MissReason::Expired),
        (again(header.with_flags(SEALED)), MissReason::Unsealed),
        (assemble(header.with_flags(COMPRESSED), &[], &[0xff; 8]), MissReason::Undecodable),
        ([&bytes[..96], &[bytes[96] ^ 1]].concat(), MissReason::Malformed),
        (b"\x1b[2J not an entry".to_vec(), MissReason::Malformed),
    ];
    for (bytes, reason) in cases {
        let mut set = redis::cmd("SET");
        set.arg(full("brief:1")).arg(&bytes).arg("PX").arg(60_000);
        set.exec_async(&mut admin).await.unwrap();
        let before = agree("brief:1", reason, &|| misses(reason)).await;
        brief(&cache, 1).await;
        assert_eq!(misses(reason), before + 1, "{}", reason.as_str());
    }

    // A tag that the function did not name when it was stored.
    let bytes: Vec<u8> = redis::cmd("GET").arg(full("user:acme:7")).query_async(&mut admin).await.unwrap();
    let parts = Parts::parse(&bytes).unwrap();
    let bare = assemble(parts.header, &[], parts.payload);
    let mut set = redis::cmd("SET");
    set.arg(full("user:acme:7")).arg(&bare).arg("PX").arg(60_000);
    set.exec_async(&mut admin).await.unwrap();
    let lacking = MissReason::TagLacking;
    let before = agree("user:acme:7", lacking, &|| misses(lacking)).await;
    user(&cache, "acme", 7).await;
    assert_eq!(misses(lacking), before + 1);

    // A lease.
    let slow = cache.entry::<u64>("brief", 9);
    let (loading, loaded) = (tokio::sync::oneshot::channel::<()>(), tokio::sync::Notify::new());
    let load = slow.get_or_load(async || {
        loaded.notify_one();
        let _ = loading.1.await;
        9
    });
    let look = async {
        loaded.notified().await;
        let pending = MissReason::Pending;
        let before = agree("brief:9", pending, &|| misses(pending)).await;
        assert_eq!(slow.get().await.unwrap(), None);
        assert_eq!(misses(pending), before + 1);
        drop(loading.0);
    };
    tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(load, look) }).await.unwrap();
}

mod old {
    #[cachemacro::cached(prefix = "thing", key = "{id}", ttl = "1m", cache = cache)]
    pub(super) async fn thing(cache: &cachemacro::Cache, id: u64) -> u64 {
        let _ = cache;
        id
    }
}

mod new {
    #[cachemacro::cached(prefix = "thing", key = "{id}", ttl = "1m", cache = cache)]
    pub(super) async fn thing(cache: &cachemacro::Cache, id: u64) -> String {
        let _ = cache;
        id.to_string()
    }
}

/// While two releases run, what is a hit to the one is a miss to the other.
#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_each_release_that_runs() {
    let place = Place::on(RedisServer::shared());
    let (before, after) = (place.service(), place.service());
    new::thing(&after, 1).await;
    old::thing(&before, 7).await;
    after.stored().await;
    before.stored().await;
    place.reported(&[&before, &after]).await;
    let rows = place.rows(&["explain", "thing:7"]).await;
    let of = |release: &str| {
        let is = |row: &&Value| row["site"].as_str().is_some_and(|site| site.contains(release));
        let row = rows.iter().find(is).unwrap_or_else(|| panic!("{release}: {rows:?}"));
        (row["next_read"].as_str().unwrap_or_default(), row["why"].as_str().unwrap_or_default())
    };
    assert_eq!(of("old::thing"), ("hit", "fresh"));
    let (next, why) = of("new::thing");
    assert!(next == "miss" && why.starts_with("other_schema:"), "{rows:?}");
    assert_eq!(place.asked(&["explain", "thing:7"]).await.code, Some(1), "one of them misses");
}

/// What compact codecs wrote is searched as what it means, where a process told how its type is laid out.
#[tokio::test(flavor = "multi_thread")]
async fn values_are_searched_by_the_layout_of_their_type() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    order(&cache, 7).await;
    order(&cache, 8).await;
    cache.stored().await;
    place.reported(&[&cache]).await;
    wait_until("the layout is told", DEADLINE, async || {
        let said = place.asked(&["search", r#""id":8"#, "--values", "--format", "json"]).await;
        said.code == Some(0) && said.rows().len() == 1 && said.rows()[0]["key"] == "order:8"
    })
    .await;
    assert_eq!(place.rows(&["search", r#""paid":true"#, "--values"]).await.len(), 2);
    assert_eq!(place.asked(&["search", r#""paid":false"#, "--values"]).await.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_what_is_damaged_and_nothing_else() {
    let server = RedisServer::shared();
    let place = Place::on(server);
    let cache = place.service();
    for id in 0..5 {
        user(&cache, "acme", id).await;
    }
    let well = place.asked(&["verify"]).await;
    assert_eq!((well.code, well.out.lines().count()), (Some(0), 1), "{well:?}");
    let mut admin = server.client().await;
    let hostile = format!("{}:user:\u{1b}[31m", place.namespace);
    redis::cmd("SET").arg(hostile).arg("x").exec_async(&mut admin).await.unwrap();
    let rows = place.asked(&["verify"]).await;
    assert_eq!(rows.code, Some(1));
    assert!(rows.out.contains("malformed") && !rows.out.contains('\u{1b}'), "{rows:?}");
    // One bit of a payload, an entry that was copied, one that stays for ever.
    let full = |id: u64| format!("{}:user:acme:{id}", place.namespace);
    let mut bytes: Vec<u8> = redis::cmd("GET").arg(full(0)).query_async(&mut admin).await.unwrap();
    redis::cmd("SET").arg(full(1)).arg(&bytes).arg("PX").arg(60_000).exec_async(&mut admin).await.unwrap();
    redis::cmd("PERSIST").arg(full(2)).exec_async(&mut admin).await.unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    redis::cmd("SET").arg(full(0)).arg(&bytes).arg("PX").arg(60_000).exec_async(&mut admin).await.unwrap();
    let found = place.asked(&["verify", "--format", "json"]).await;
    assert_eq!(found.code, Some(1), "{found:?}");
    let mut found: Vec<(String, String)> = found
        .rows()
        .iter()
        .map(|row| (row["key"].as_str().unwrap().to_owned(), row["finding"].as_str().unwrap().to_owned()))
        .collect();
    found.sort();
    let wrong =
        [("user:\u{1b}[31m", "malformed"), ("user:acme:0", "malformed"), ("user:acme:1", "other_key")];
    let wrong = wrong.into_iter().chain([("user:acme:2", "never_expires")]);
    let wrong: Vec<(String, String)> = wrong.map(|(key, what)| (key.to_owned(), what.to_owned())).collect();
    assert_eq!(found, wrong);
    let listed = place.asked(&["list"]).await;
    assert!(listed.out.contains("user:\\u{1b}[31m") && !listed.out.contains('\u{1b}'), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_values_are_searched_by_glob_text_and_regex() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    user(&cache, "acme", 7).await;
    let json = cache.entry::<Vec<String>>("note", 1).with_codec::<Json>();
    json.set(&vec!["a needle \u{1b}[2J".to_owned()]).await.unwrap();
    cache.set("plain", 2, &"a needle of bincode".to_owned()).await.unwrap();
    cache.entry::<String>("old", 3).with_tags(["t"]).set(&"a needle".to_owned()).await.unwrap();
    cache.evict_tags(["t"]).await.unwrap();
    cache.stored().await;
    let found = async |args: &[&str]| -> Vec<(String, String)> {
        let said = place.asked(&[&["search"], args, &["--format", "json"]].concat()).await;
        assert!(said.code.is_some_and(|code| code <= 1) && !said.out.contains('\u{1b}'), "{said:?}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        said.rows().iter().map(|row| (text(&row["key"]), text(&row["found_in"]))).collect()
    };
    let in_key = |key: &str| (key.to_owned(), "key".to_owned());
    let in_value = |key: &str| (key.to_owned(), "value".to_owned());
    assert_eq!(found(&["acme"]).await, [in_key("user:acme:7")]);
    assert_eq!(found(&["*:7"]).await, [in_key("user:acme:7")]);
    assert_eq!(found(&["--regex", r"^(note|plain):\d$"]).await, [in_key("note:1"), in_key("plain:2")]);
    assert_eq!(found(&["needle"]).await, []);
    let both = [in_value("note:1"), in_value("plain:2")];
    assert_eq!(found(&["needle", "--values"]).await, both, "no read finds what was evicted");
    assert_eq!(found(&["--regex", "needle.*bincode|user", "--values"]).await.len(), 2);
    assert_eq!(found(&["--regex", ".", "--limit", "2"]).await.len(), 2);
    assert_eq!(place.asked(&["search", "--regex", "("]).await.code, Some(2));
    assert_eq!(place.asked(&["search", "nobody"]).await.code, Some(1));
}

#[cached(prefix = "price", key = "{id}", ttl = "5m", cache = cache, verify = "100%, inline")]
async fn price(cache: &Cache, truth: &AtomicU64, id: u64) -> u64 {
    let _ = cache;
    truth.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_shows_what_processes_found_that_look_whether_what_they_serve_is_true() {
    let place = Place::on(RedisServer::shared());
    let clock = Clock::manual();
    let cache = place.settings().clock(clock.clone()).build().unwrap();
    let truth = AtomicU64::new(1);
    price(&cache, &truth, 7).await;
    cache.stored().await;
    truth.store(4_711, Ordering::SeqCst);
    wait_until("it is found", DEADLINE, async || {
        clock.advance(Duration::from_secs(1));
        assert_eq!(price(&cache, &truth, 7).await, 1, "what is stored");
        cache.stats().total.inconsistent == 1
    })
    .await;
    let mut said = place.asked(&["verify", "--format", "json"]).await;
    wait_until("it is reported", DEADLINE, async || {
        said = place.asked(&["verify", "--format", "json"]).await;
        said.code == Some(1)
    })
    .await;
    let rows = said.rows();
    assert_eq!((&rows[0]["key"], &rows[0]["finding"]), (&"price:7".into(), &"inconsistent".into()));
    assert!(rows[0]["detail"].as_str().unwrap().contains("price: value differs"), "{said:?}");
    assert!(!said.out.contains("4711"), "no value is told");
    let redacted = place.asked(&["verify", "--redact"]).await;
    assert!(!redacted.out.contains("price:7"), "{redacted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hottest_keys_are_found_by_samples_of_all_processes() {
    let place = Place::on(RedisServer::shared());
    let quiet = place.asked(&["top", "--by", "hot"]).await;
    assert_eq!(quiet.code, Some(1));
    assert!(quiet.errors.contains("CACHEMACRO_HOT_KEYS"), "{quiet:?}");
    let cache = place.settings().hot_keys(true).build().unwrap();
    wait_until("it is reported", DEADLINE, async || {
        for call in 0..2_000 {
            user(&cache, "acme", if call % 5 == 0 { call } else { 7 }).await;
        }
        let said = place.asked(&["top", "--by", "hot", "--format", "json"]).await;
        said.code == Some(0) && said.rows()[0]["key"] == "user:acme:7"
    })
    .await;
    let rows = place.rows(&["top", "--by", "hot"]).await;
    assert_eq!(rows[0]["hits_about"].as_u64().unwrap() % 1_024, 0);
}

/// Tags that no template makes are shown by their names where processes may tell them.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_tags_are_known_where_processes_tell_them() {
    let place = Place::on(RedisServer::shared());
    let cache = place.settings().tag_names(10).build().expect("acceptable settings");
    let silent = place.service();
    let by_hand =
        |cache: &cachemacro::Cache, id: u64, tag: &str| cache.entry::<u64>("by-hand", id).with_tags([tag]);
    by_hand(&cache, 1, "colour:red").set(&1).await.unwrap();
    by_hand(&cache, 2, "colour:blue").get_or_load(async || 2).await;
    by_hand(&silent, 3, "colour:hidden").set(&3).await.unwrap();
    cache.stored().await;
    let shown = async || {
        let rows = place.rows(&["tags"]).await;
        let mut names: Vec<String> =
            rows.iter().map(|row| row["tag"].as_str().unwrap_or_default().to_owned()).collect();
        names.sort();
        names
    };
    wait_until("names are told", DEADLINE, async || {
        shown().await.iter().filter(|name| name.starts_with("colour:")).count() == 2
    })
    .await;
    let names = shown().await;
    assert!(names[0].starts_with('#') && names[1..] == ["colour:blue", "colour:red"], "{names:?}");
    let rows = place.rows(&["inspect", "by-hand:1"]).await;
    assert_eq!(field(&rows, "tag"), Some(&json!("colour:red")));
    let redacted = place.asked(&["tags", "--redact"]).await;
    assert!(!redacted.out.contains("colour"), "{redacted:?}");
    // Of more than ten the oldest go; what is evicted and stored again comes back.
    for n in 0..20 {
        by_hand(&cache, 100 + n, &format!("shade:{n}")).set(&n).await.unwrap();
    }
    wait_until("ten are kept", DEADLINE, async || {
        let names = shown().await;
        names.iter().filter(|name| name.starts_with("shade:")).count() == 10
            && !names.contains(&"colour:red".to_owned())
    })
    .await;
    cache.evict_tags(["colour:red"]).await.unwrap();
    by_hand(&cache, 1, "colour:red").set(&1).await.unwrap();
    wait_until("it is known again", DEADLINE, async || shown().await.contains(&"colour:red".to_owned()))
        .await;
}
