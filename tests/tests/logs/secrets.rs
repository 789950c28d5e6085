//! Panics: who unwraps what a cache returns, or has code that panics under it, is told no key, value, URL, password or token; nor by `Debug`
//! of anything that the crate makes, or by what is traced meanwhile.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use cachemacro::codec::Json;
use cachemacro::store::redis::{Credentials, RedisConfig, RedisStore, TlsConfig};
use cachemacro::{
    Cache, CacheBuilder, Entry, Key, Keyspace, Observation, Observer, Policy, Sealing, Ttl, Warming,
    cache_put, cached,
};
use cachemacro_tests::server::run;
use cachemacro_tests::{Log, RedisServer, namespace};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};

/// In every URL, user name, password, token, key and value of these tests, and in no other.
const CANARY: &str = "cwtch2canary";

/// The messages of all panics of this process.
static MESSAGES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Has them collected from now on.
fn collect() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
            MESSAGES.lock().unwrap_or_else(PoisonError::into_inner).push(panic.to_string());
            before(panic);
        }));
    });
}

/// How many panics there were.
fn panics() -> usize {
    MESSAGES.lock().unwrap_or_else(PoisonError::into_inner).len()
}

/// The canary, and the bytes of keys that are made of it, as they would be written.
fn secrets() -> [String; 4] {
    let bytes = &CANARY.as_bytes()[..4];
    let hex = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    [CANARY.to_owned(), format!("{bytes:?}").replace(['[', ']'], ""), hex.to_uppercase(), hex]
}

/// Panics where this tells one of them, or where one of the panics so far did.
fn assert_discreet(shown: &str) {
    let messages = MESSAGES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for secret in secrets() {
        assert!(!shown.contains(&secret), "it tells {secret}: {}", shown.replace(CANARY, "…"));
        let told: Vec<_> = messages.iter().filter(|message| message.contains(&secret)).collect();
        assert!(told.is_empty(), "a panic tells {secret}: {told:?}");
    }
}

/// Has a panic quote the error, as who unwraps it does. Whether there was one.
fn unwrapped<T, E: Debug>(result: Result<T, E>) -> bool {
    catch_unwind(AssertUnwindSafe(|| result.map(drop).unwrap())).is_err()
}

fn sealing() -> Sealing {
    let bytes: [u8; 32] = std::array::from_fn(|at| CANARY.as_bytes()[at % CANARY.len()]);
    Sealing::new(&bytes, 1, &bytes)
}

fn value() -> String {
    CANARY.repeat(3)
}

#[test]
fn settings_that_are_wrong_are_not_quoted_by_who_unwraps_them() {
    collect();
    let refused = |builder: CacheBuilder| assert!(unwrapped(builder.build()), "it is refused");
    for url in [
        "redis://:CANARY@host:port",
        "redis://CANARY:CANARY@host:99999/CANARY",
        "redis://host?password=CANARY&CANARY=1",
        "redis://host?protocol=CANARY",
        "CANARY://host",
        "rediss://host?ca=/CANARY.pem",
        "rediss://:CANARY@host?cert=/CANARY.pem&key=/CANARY.key",
        "rediss://host?insecure=CANARY",
        "redis+sentinel://:CANARY@host",
        "redis+sentinel://:CANARY@host/name/CANARY",
        "redis+cluster://:CANARY@host/CANARY",
        "unix:///CANARY?db=CANARY",
        "unix://?password=CANARY",
    ] {
        let url = url.replace("CANARY", CANARY);
        refused(Cache::builder().redis(&url));
        assert!(unwrapped(RedisStore::new(RedisConfig::new(&url))));
        assert_discreet(&format!("{:?} {:?}", RedisConfig::new(&url), Cache::builder().redis(url)));
    }
    let provider = || async { Ok(Credentials::new(CANARY, CANARY)) };
    refused(Cache::builder().redis(format!("redis://:{CANARY}@host")).credentials(provider));
    let tls = TlsConfig::new().ca(CANARY).client_certificate(CANARY, CANARY).server_name(CANARY);
    assert_discreet(&format!("{tls:?} {:?}", Credentials::new(CANARY, CANARY)));
    refused(Cache::builder().redis("rediss://host").tls(tls));
    let bytes: [u8; 32] = std::array::from_fn(|at| CANARY.as_bytes()[at % CANARY.len()]);
    let twice = sealing().reads(1, &bytes);
    assert_discreet(&format!("{twice:?}"));
    refused(Cache::builder().memory().sealed(twice));
    // Of the environment, one variable after the other.
    let asked = Mutex::new(BTreeSet::new());
    let nothing = Cache::builder().env_from(|name| {
        asked.lock().expect("not poisoned").insert(name.to_owned());
        None
    });
    let _ = nothing.expect("nothing is wrong");
    let asked = asked.into_inner().expect("not poisoned");
    assert!(asked.len() > 20, "{asked:?}");
    let mut wrong = 0;
    for variable in asked {
        let set = Cache::builder().env_from(|name| (name == variable).then(|| CANARY.to_owned()));
        wrong += usize::from(unwrapped(set.and_then(CacheBuilder::build)));
    }
    assert!(wrong > 10, "{wrong} of them are refused");
    assert_discreet("");
}

/// One of everything, each unwrapped. How many failed.
async fn unwrap_all(cache: &Cache) -> usize {
    let entry: Entry<String> = cache.entry("session", CANARY).with_tags(["sessions"]);
    let space: Keyspace<str, String> = cache.keyspace("session");
    let text = value();
    let visits = cache.entry::<i64>("visits", CANARY);
    let mut failed = [
        unwrapped(cache.connect().await),
        unwrapped(cache.health().await),
        unwrapped(entry.get().await),
        unwrapped(entry.has().await),
        unwrapped(entry.ttl().await),
        unwrapped(entry.meta().await),
        unwrapped(entry.set(&text).await),
        unwrapped(entry.update(|old| old.unwrap_or_default() + CANARY).await),
        unwrapped(entry.evict().await),
        unwrapped(visits.increment(1).await),
        unwrapped(space.get(CANARY).await),
        unwrapped(space.put(CANARY, &text).await),
        unwrapped(cache.evict().key("session", CANARY).tags(["sessions"]).prefix("session").await),
        unwrapped(cache.evict_prefix("session").await),
        unwrapped(cache.clear().await),
    ]
    .into_iter()
    .filter(|failed| *failed)
    .count();
    let vacancy = entry.lookup().await;
    assert_discreet(&format!("{vacancy:?}").replace(&format!("{text:?}"), ""));
    failed += usize::from(unwrapped(vacancy));
    let (_, removals) = cache.collect(cache.evict_key("session", CANARY)).await;
    let (evict, warming) =
        (cache.evict().key("session", CANARY), Warming::of(entry.clone(), async || value()));
    assert_discreet(&format!("{cache:?} {entry:?} {space:?} {removals:?} {evict:?} {warming:?}"));
    assert_discreet(&format!("{:?} {:?} {:?}", cache.warnings(), cache.stats(), cache.health().await));
    assert_discreet(&format!("{:?}", Key::new("session", CANARY)));
    failed += usize::from(unwrapped(cache.shutdown().await));
    failed
}

/// What servers do with those that they do not like quotes names and arguments.
#[test]
fn operations_that_fail_are_not_quoted_by_who_unwraps_them() {
    collect();
    let log = Log::default();
    log.watch(async {
        let server = RedisServer::start();
        let scriptless =
            RedisServer::with_args(&["--rename-command", "EVALSHA", "", "--rename-command", "EVAL", ""]);
        let full = RedisServer::with_args(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
        let user = format!("{CANARY}:{CANARY}@");
        let by = |server: &RedisServer| server.bare_url().replace("://", &format!("://{user}"));
        for (server, rights) in
            [(&server, "+ping +info +time +script|load"), (&scriptless, "+@all"), (&full, "+@all")]
        {
            let mut admin = server.client().await;
            run(&mut admin, &format!("ACL SETUSER {CANARY} on >{CANARY} ~* &* {rights}")).await;
        }
        let settings = |url: &str| {
            let builder = Cache::builder().redis(url).namespace(&namespace()).guarded(false);
            builder.sealed(sealing()).command_timeout(Duration::from_millis(300))
        };
        let token = || async { Ok(Credentials::new(CANARY, format!("{CANARY} of yesterday"))) };
        for (what, least, builder) in [
            ("nobody is there", 14, settings(&format!("redis://{user}127.0.0.1:1"))),
            ("a wrong password", 14, settings(&by(&server).replace(":cwtch2canary@", ":cwtch2canary2@"))),
            ("a wrong token", 14, settings(&server.bare_url()).credentials(token)),
            ("no rights", 10, settings(&by(&server))),
            ("no scripts", 3, settings(&by(&scriptless))),
            ("no memory", 3, settings(&by(&full))),
        ] {
            let cache = builder.build().expect("acceptable");
            let failed = unwrap_all(&cache).await;
            assert!(failed >= least, "{what}: {failed} failed");
        }
    });
    assert!(panics() > 40);
    for line in log.lines() {
        assert_discreet(&line.text);
    }
}

/// Code of the user's panics wherever the cache runs it, each time with the same words.
#[derive(Debug, Clone, PartialEq)]
struct Fragile(String);

impl Serialize for Fragile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(!self.0.ends_with("written"), "on purpose");
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fragile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        assert!(!text.ends_with("read"), "on purpose");
        Ok(Self(text))
    }
}

struct Panics;

impl Observer for Panics {
    fn event(&self, _: &Observation<'_>) {
        panic!("on purpose");
    }
}

#[cached(prefix = "fragile", key = "{name}", tags = [tag(result)], codec = Json, sealed, entry = fragile_entry)]
async fn fragile(name: &str) -> Fragile {
    assert!(!name.ends_with("loaded"), "on purpose");
    Fragile(name.to_owned())
}

fn tag(value: &Fragile) -> &'static str {
    assert!(!value.0.ends_with("tagged"), "on purpose");
    "fragile"
}

#[cache_put(entry = fragile_entry(name))]
async fn change(name: &str) -> Fragile {
    assert!(!name.ends_with("changed"), "on purpose");
    Fragile(name.to_owned())
}

#[test]
fn code_that_panics_under_a_cache_tells_what_it_says_and_nothing_more() {
    collect();
    for redis in [false, true] {
        let log = Log::default();
        log.watch(async {
            let server = redis.then(RedisServer::start);
            for observed in [false, true] {
                let builder = match &server {
                    Some(server) => Cache::builder().redis(server.url()),
                    None => Cache::builder().memory(),
                };
                let builder = builder.namespace(&namespace()).sealed(sealing());
                let builder = if observed { builder.observer(Panics) } else { builder };
                let cache = builder.build().expect("acceptable");
                let before = panics();
                cache
                    .scope(async {
                        for what in ["loaded", "written", "read", "tagged", "changed", "well"] {
                            let name = format!("{CANARY}-{what}");
                            for _ in 0..2 {
                                let ended = AssertUnwindSafe(fragile(&name)).catch_unwind().await;
                                let _ = unwrapped(ended);
                                let ended = AssertUnwindSafe(change(&name)).catch_unwind().await;
                                let _ = unwrapped(ended);
                                cache.stored().await;
                            }
                            // As a task of its own, whose end is told by an error.
                            let entry = cache.entry::<String>("task", &name);
                            let load = async move { entry.get_or_load(async || panic!("on purpose")).await };
                            let ended: Result<String, _> = tokio::spawn(load).await;
                            assert!(unwrapped(ended));
                            let policy = Policy::new().ttl(Ttl::For(Duration::from_mins(1)));
                            let space = cache.entry::<Fragile>("by-hand", &name).with_policy(policy);
                            for result in
                                [space.set(&Fragile(name.clone())).await, space.get().await.map(drop)]
                            {
                                let _ = unwrapped(result);
                            }
                        }
                    })
                    .await;
                assert!(panics() > before + 10);
                assert_discreet(&format!("{:?} {:?}", cache.warnings(), cache.stats()));
            }
        });
        for line in log.lines() {
            assert_discreet(&line.text);
        }
    }
}

/// A question with its answer, found by its meaning and by its words.
#[cached(prefix = "canaries", key = "{question}", similar = question, threshold = 0.5, scope = "shared", search = [result], entry = asked_entry)]
async fn asked(question: &str) -> String {
    format!("{question} {}", value())
}

/// Texts are told by nothing that shows itself, nor by what is traced.
#[test]
fn texts_that_are_searched_are_told_nobody() {
    use std::sync::Arc;

    use cachemacro_search::{
        Analyzer, Document, Follower, Index as _, MemoryIndex, Mirror, Page, Place, Query, Search,
        SearchCache as _, StoreIndex,
    };

    collect();
    let log = Log::default();
    log.watch(async {
        for server in [None, Some(RedisServer::start())] {
            let index = Arc::new(MemoryIndex::new());
            let search = Search::new().with_delay(Duration::ZERO);
            let search = Arc::new(if server.is_some() { search } else { search.with_index(index.clone()) });
            let ours = namespace();
            let builder = Cache::builder().namespace(&ours).beside(search.clone());
            let builder = match &server {
                Some(server) => builder.redis(server.url()),
                None => builder.memory(),
            };
            let cache = builder.build().expect("acceptable");
            let questions =
                [format!("opening hours of {CANARY}"), format!("what are the opening hours of {CANARY}")];
            for question in &questions {
                cache.scope(asked(question)).await;
                cache.stored().await;
                search.written().await;
            }
            assert_eq!(search.alike_stats().answered, 1);
            let alike = cache.scope(async { asked_entry(&questions[1]).similar(&questions[1]).await });
            let alike = alike.await.expect("it answers");
            assert!(alike.is_some());
            let found = cache.search("canaries").fuzzy(CANARY).run::<String>().await.expect("searched");
            assert_eq!(found.len(), 1);
            let asks = cache.search("canaries").vector(CANARY);
            assert_discreet(&format!(
                "{search:?} {index:?} {cache:?} {alike:?} {found:?} {:?} {asks:?}",
                found[0]
            ));
            // Whoever looks into the index.
            let mut pages: Vec<Page> = Vec::new();
            let commands = cache.raw_commands();
            for space in [format!("{ours}:canaries"), format!("{ours}:canaries:")] {
                pages.push(match &commands {
                    Some(commands) => {
                        StoreIndex::new(commands.clone()).scan(&space, None).await.expect("it answers")
                    }
                    None => index.scan(&space, None).await.expect("it answers"),
                });
            }
            assert!(pages.iter().any(|page| !page.laid.is_empty()), "{pages:?}");
            let document =
                Document::of(CANARY, &[CANARY], &Analyzer::new()).expect("short").with_text(CANARY);
            let (mut mirror, query) = (Mirror::new(), Query::of(CANARY, &Analyzer::new()));
            mirror.insert(document.clone());
            let found = mirror.vector(&query);
            assert_eq!(found.len(), 1);
            let follower = Follower::new("space", mirror);
            let searcher = follower.searcher();
            searcher.forget(CANARY);
            let place = Place::new(CANARY);
            assert_discreet(&format!(
                "{place:?} {pages:?} {document:?} {query:?} {found:?} {follower:?} {searcher:?}"
            ));
            unwrapped(cache.search("none").fuzzy(CANARY).run::<String>().await);
            unwrapped(cache.search("canaries").fuzzy(CANARY).threshold(7.0).run::<String>().await);
        }
    });
    assert!(panics() > 1);
    for line in log.lines() {
        assert_discreet(&line.text);
    }
}
