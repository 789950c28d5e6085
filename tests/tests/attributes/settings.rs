//! What the environment and the builder accept, what they make of it, and what they say of the rest.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use cachemacro::codec::BuiltinCodec;
use cachemacro::header::Header;
use cachemacro::store::faults::{FaultStore, Op};
use cachemacro::store::memory::MemoryStore;
use cachemacro::{Cache, CacheBuilder, Error, ErrorKind, Result, Ttl, Warning};
use cachemacro_tests::{RedisServer, Rig, namespace};

/// A builder that was told these variables.
fn env(variables: &[(&str, &str)]) -> Result<CacheBuilder> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    Cache::builder().env_from(|name| variables.get(name).map(|value| (*value).to_owned()))
}

fn cache(variables: &[(&str, &str)]) -> Result<Cache> {
    env(variables)?.build()
}

/// Everything that an error says, its causes included.
fn told(error: &Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        told.push_str(": ");
        told.push_str(&cause.to_string());
        source = cause.source();
    }
    told
}

#[test]
fn a_wrong_value_names_its_variable_and_what_it_accepts_and_is_not_shown() {
    let table = [
        ("CACHEMACRO_STORE", "s3cret", "`auto`, `memory` or `redis`"),
        ("CACHEMACRO_REDIS_URL", "http://s3cret", "redis://"),
        ("CACHEMACRO_REDIS_URL", "s3cret", "redis://"),
        ("REDIS_URL", "redis://:s3cret@host:port", "from 1 to 65535"),
        ("CACHEMACRO_TTL", "s3cret", "`5m`, or `never`"),
        ("CACHEMACRO_TTL", "5", "`5m`, or `never`"),
        ("CACHEMACRO_TTL", "0", "1 ms"),
        ("CACHEMACRO_JITTER", "s3cret", "`0%` to `100%`"),
        ("CACHEMACRO_JITTER", "101%", "`0%` to `100%`"),
        ("CACHEMACRO_JITTER", "-1", "`0%` to `100%`"),
        ("CACHEMACRO_WAIT", "s3cret", "`250ms`"),
        ("CACHEMACRO_LEASE_LIMIT", "-5s", "`250ms`"),
        ("CACHEMACRO_CODEC", "s3cret", "bincode"),
        ("CACHEMACRO_MAX_VALUE", "s3cret", "bytes"),
        ("CACHEMACRO_MAX_VALUE", "0", "bytes"),
        ("CACHEMACRO_MAX_VALUE", "999_999_999_999", "bytes"),
        ("CACHEMACRO_COMPRESS_OVER", "s3cret", "bytes"),
        ("CACHEMACRO_CAPACITY", "s3cret", "bytes"),
        ("CACHEMACRO_CAPACITY", "0", "bytes"),
        ("CACHEMACRO_DISABLED", "s3cret", "`0` or `1`"),
        ("CACHEMACRO_CONNECT_TIMEOUT", "s3cret", "`250ms`"),
        ("CACHEMACRO_CONNECT_TIMEOUT", "0", "`250ms`"),
        ("CACHEMACRO_COMMAND_TIMEOUT", "0s", "`250ms`"),
        ("CACHEMACRO_COMMAND_TIMEOUT", "2h", "up to `1h`"),
        ("CACHEMACRO_CONNECT_TIMEOUT", "61m", "up to `1h`"),
        ("CACHEMACRO_POOL_WAIT", "1day", "up to `1h`"),
        ("CACHEMACRO_POOL_WAIT", "s3cret", "`250ms`"),
        ("CACHEMACRO_POOL_SIZE", "s3cret", "from 1"),
        ("CACHEMACRO_POOL_SIZE", "0", "from 1 to 10_000"),
        ("CACHEMACRO_POOL_SIZE", "10_001", "from 1 to 10_000"),
        ("CACHEMACRO_POOL_SIZE", "1000000000000000000", "from 1 to 10_000"),
    ];
    for (name, value, accepts) in table {
        let error = cache(&[(name, value)]).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Config, "{name}");
        let told = told(&error);
        assert!(told.contains(name), "{name}={value}: {told}");
        assert!(told.contains(accepts), "{name}={value}: {told}");
        assert!(!format!("{told} {error:?}").contains("s3cret"), "{name}={value}: {told}");
    }
}

#[tokio::test]
async fn accepted_values_do_what_they_say() {
    let cache = cache(&[
        ("CACHEMACRO_STORE", "memory"),
        ("CACHEMACRO_NAMESPACE", "shop: 1"),
        ("CACHEMACRO_TTL", "1h30m"),
        ("CACHEMACRO_MAX_VALUE", "1_000"),
        ("CACHEMACRO_CODEC", "JSON"),
        ("CACHEMACRO_DISABLED", "0"),
        // Not needed in memory, and not opened.
        ("REDIS_URL", "redis://nowhere.invalid"),
    ])
    .expect("acceptable");
    let health = cache.health().await.expect("memory is there");
    assert_eq!((health.store.name, &*health.namespace), ("memory", "shop%3A%201"));
    let entry = cache.entry::<String>("a", 1);
    entry.set(&"é".repeat(499)).await.expect("set");
    assert!(entry.ttl().await.expect("memory answers").is_some_and(|ttl| ttl > Duration::from_mins(89)));
    assert_eq!(
        entry.meta().await.expect("memory answers").map(|meta| meta.size),
        Some(1_000),
        "with its quotes"
    );
    assert_eq!(entry.set(&"é".repeat(500)).await.expect_err("too large").kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn ttl_jitter_and_switches_take_every_form() {
    for (text, ttl) in [("90s", 90_000), ("2m", 120_000), ("1h", 3_600_000), ("  1500ms ", 1_500)] {
        let entry = cache(&[("CACHEMACRO_TTL", text)]).expect(text).entry::<u8>("a", 1);
        entry.set(&1).await.expect("set");
        let told = entry.ttl().await.expect("memory answers").expect("it is there");
        let ttl = Duration::from_millis(ttl);
        assert!(told <= ttl && told + Duration::from_secs(1) > ttl, "{text}: {told:?}");
    }
    let never = cache(&[("CACHEMACRO_TTL", "never")]).expect("never").entry::<u8>("a", 1);
    never.set(&1).await.expect("set");
    assert!(
        never.ttl().await.expect("memory answers").is_some_and(|ttl| ttl > Duration::from_hours(24 * 365))
    );
    for jitter in ["0", "10%", "10 %", "100%"] {
        assert!(cache(&[("CACHEMACRO_JITTER", jitter)]).is_ok(), "{jitter}");
    }
    for (text, disabled) in
        [("1", true), ("true", true), ("on", true), ("0", false), ("no", false), ("", false)]
    {
        assert_eq!(cache(&[("CACHEMACRO_DISABLED", text)]).expect(text).is_disabled(), disabled, "{text}");
    }
    for codec in BuiltinCodec::ALL {
        assert!(cache(&[("CACHEMACRO_CODEC", codec.name())]).is_ok(), "{}", codec.name());
    }
}

#[tokio::test]
async fn the_urls_own_variable_goes_before_the_common_one() {
    let server = RedisServer::shared();
    let namespace = namespace();
    for variables in [
        vec![("REDIS_URL", server.url())],
        vec![("CACHEMACRO_REDIS_URL", server.url()), ("REDIS_URL", "redis://nowhere.invalid".to_owned())],
        vec![("CACHEMACRO_STORE", "redis".to_owned()), ("REDIS_URL", server.url())],
    ] {
        let mut variables: Vec<_> = variables.iter().map(|(name, value)| (*name, &**value)).collect();
        variables.push(("CACHEMACRO_NAMESPACE", &namespace));
        variables.push(("CACHEMACRO_COMMAND_TIMEOUT", "10s"));
        let cache = cache(&variables).expect("acceptable");
        cache.connect().await.expect("the server is there");
        assert_eq!(cache.health().await.expect("the server answers").store.name, "redis");
    }
}

#[tokio::test]
async fn memory_is_taken_only_where_it_is_not_forbidden() {
    let health = async |cache: Cache| cache.health().await.expect("it is there").store.name;
    assert_eq!(health(cache(&[]).expect("acceptable")).await, "memory");
    assert_eq!(health(cache(&[("CACHEMACRO_STORE", "auto")]).expect("acceptable")).await, "memory");
    let error = cache(&[("CACHEMACRO_STORE", "redis")]).expect_err("no URL");
    assert!(told(&error).contains("CACHEMACRO_REDIS_URL") && told(&error).contains("REDIS_URL"), "{error}");
}

#[tokio::test]
async fn what_the_environment_does_not_say_stays_as_it_was() {
    let builder = Cache::builder().memory().namespace("mine").ttl(Duration::from_secs(7)).disabled(true);
    let cache = builder.env_from(|_| None).expect("nothing is wrong").build().expect("acceptable");
    assert_eq!(cache.health().await.expect("memory is there").namespace, "mine");
    assert!(cache.is_disabled());
}

type Change = fn(CacheBuilder) -> CacheBuilder;

#[test]
fn the_builder_refuses_what_cannot_work() {
    let refused: [(&str, Change); 8] = [
        ("lease limit", |builder| builder.lease_limit(Duration::ZERO)),
        ("jitter", |builder| builder.jitter(101)),
        ("lease", |builder| builder.lease(Duration::from_millis(29))),
        ("value", |builder| builder.max_value(0)),
        ("value", |builder| builder.max_value(usize::MAX)),
        ("TTL", |builder| builder.ttl(Duration::ZERO)),
        ("TTL", |builder| builder.ttl(Ttl::millis(0))),
        ("capacity", |builder| builder.capacity(0)),
    ];
    for (what, change) in refused {
        let error = change(Cache::builder().memory()).build().expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(what), "{error}");
    }
    let redis = |url: &str| Cache::builder().redis(url);
    assert_eq!(
        redis("redis://").command_timeout(Duration::ZERO).build().expect_err("zero").kind(),
        ErrorKind::Config
    );
    for size in [0, 10_001, usize::MAX] {
        let error = redis("redis://h").pool_size(size).build().expect_err("zero or very many");
        assert_eq!(error.kind(), ErrorKind::Config, "{size}");
    }
    assert!(redis("redis://h").pool_size(10_000).build().is_ok());
}

#[tokio::test]
async fn compression_starts_where_the_environment_says() {
    let rig = Rig::memory();
    let process = rig.process_with(|builder| {
        builder
            .env_from(|name| (name == "CACHEMACRO_COMPRESS_OVER").then(|| "100".to_owned()))
            .expect("acceptable")
    });
    for (length, compressed) in [(50, false), (5_000, true)] {
        process.cache.set("text", &length, &"x".repeat(length)).await.expect("set");
        let bytes = rig.raw(&format!("text:{length}")).await.expect("it is stored");
        let header = Header::parse(&bytes).expect("an entry");
        assert_eq!(header.has(cachemacro::header::COMPRESSED), compressed, "{length}");
    }
}

#[tokio::test]
async fn what_is_wrong_though_calls_go_on_is_told_without_a_log() {
    let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    let cache = Cache::builder().store(store.clone()).build().expect("acceptable settings");
    assert_eq!(cache.warnings(), []);
    store.fail(Op::Evict, ErrorKind::Io);
    cache.evict_key("n", 1).await.expect_err("as told");
    store.fail(Op::Evict, ErrorKind::Timeout);
    cache.evict_key("n", 1).await.expect_err("as told");
    let failed = [
        Warning::FailedEvicts { count: 2, last: ErrorKind::Timeout },
        Warning::KeptEvicts { count: 1, all: false },
    ];
    assert_eq!(cache.warnings(), failed);
    assert_eq!(cache.health().await.expect("memory answers").warnings, failed);
    store.fail(Op::Health, ErrorKind::Io);
    cache.health().await.expect_err("as told");
    assert_eq!(cache.warnings(), failed, "told without the store");
}

#[test]
fn a_missing_namespace_and_caching_that_is_off_are_told_without_a_log() {
    let redis = || Cache::builder().redis("redis://localhost:1");
    let warnings = |builder: CacheBuilder| builder.build().expect("acceptable settings").warnings();
    assert_eq!(warnings(redis()), [Warning::NoNamespace]);
    assert_eq!(warnings(redis().namespace("shop")), []);
    assert_eq!(warnings(redis().namespace("shop").disabled(true)), [Warning::Disabled]);
    let away = || Cache::builder().redis("redis://cache1").namespace("shop");
    assert_eq!(warnings(away()), [Warning::Plaintext], "another host");
}
