//! What is said of a server that cannot be used: the cause, wherever it is told, and not what follows from it.
//!
//! Which mechanism each test is there for:
//!
//! | mechanism | test |
//! |---|---|
//! | a call whose time is over tells why the store was not reached | `an_evict_that_was_never_sent_tells_why_and_so_does_the_breaker` |
//! | the breaker tells why, and not that answers are slow | the same |
//! | what may have been sent is told as late | `what_may_have_been_sent_is_not_told_as_never_sent` |
//! | each thing that can be wrong with an address has words of its own | `what_is_wrong_with_an_address_is_told` |

use std::error::Error as _;
use std::time::Duration;

use cachemacro::{Cache, Error, ErrorKind, cache_evict};
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, FaultProxy, Log, RedisServer, namespace, wait_until};

#[derive(Debug)]
struct Failed(Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

#[cache_evict(prefix = "row", key = "{id}", on_evict_error = "return")]
async fn change(id: u64) -> Result<(), Failed> {
    let _ = id;
    Ok(())
}

#[cache_evict(prefix = "row", key = "{id}")]
async fn change_quietly(id: u64) {
    let _ = id;
}

fn cache(url: &str) -> Cache {
    Cache::builder().redis(url).namespace(&namespace()).build().expect("acceptable settings")
}

/// Evicts in vain until the breaker is open: each tells the cause, and so does the breaker.
async fn all_tell(url: &str, says: &str) {
    let cache = cache(url);
    for _ in 0..3 {
        let Failed(error) = cache.scope(change(1)).await.expect_err("nobody is there");
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        let told = format!("{error}: {source}");
        assert_eq!(error.kind(), ErrorKind::Connect, "{told}");
        assert!(told.contains(says), "{told}");
    }
    cache.scope(change_quietly(1)).await;
    wait_until("the breaker is open", DEADLINE, async || cache.stats().breaker_trips > 0).await;
    let error = cache.get::<u64>("row", 2).await.expect_err("it is not asked");
    let source = error.source().expect("why the breaker opened").to_string();
    assert!(source.contains(says), "{source}");
    assert_eq!(cache.stats().total.errors_of(ErrorKind::Timeout), 0);
}

#[test]
fn an_evict_that_was_never_sent_tells_why_and_so_does_the_breaker() {
    let server = RedisServer::start();
    let log = Log::default();
    log.watch(async {
        run(&mut server.client().await, "CONFIG SET requirepass right").await;
        all_tell(&server.bare_url().replace("://", "://:wrong@"), "refused the user name or password").await;
        all_tell("redis://127.0.0.1:1", "nobody listens there").await;
    });
    let alarms = log.alarms();
    for part in ["an evict did not reach the store", "the breaker is open"] {
        assert!(alarms.iter().any(|line| line.text.contains(part)), "{part}: {alarms:#?}");
    }
    for line in &alarms {
        assert!(!line.text.contains("slow") && !line.text.contains("time at the store"), "{line}");
    }
}

/// Upholds G7.
#[tokio::test]
async fn what_may_have_been_sent_is_not_told_as_never_sent() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(&server.address());
    let cache = cache(&proxy.url());
    cache.connect().await.expect("connected");
    proxy.black_hole();
    let Failed(error) = cache.scope(change(1)).await.expect_err("no answer");
    assert!(error.is_ambiguous(), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_an_address_is_told() {
    let server = RedisServer::start();
    let plain = server.address();
    for (url, says) in [
        (format!("rediss://{plain}"), "may not speak TLS"),
        (format!("redis+sentinel://{plain}/primary"), "what answers there is no sentinel"),
        (format!("redis://{plain}/99"), "no database of this number"),
        ("redis://no-such-host.invalid".to_owned(), "the name of its host cannot be resolved"),
    ] {
        let builder = Cache::builder().redis(&url).namespace(&namespace());
        let cache = builder.connect_timeout(Duration::from_secs(2)).build().expect("acceptable settings");
        let error = cache.connect().await.expect_err("it is of no use");
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert!(
            !error.to_string().contains("127.0.0.1") && !error.to_string().contains("invalid"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_failed_is_warned_of_until_it_was_sent_again() {
    let mut server = RedisServer::start();
    let cache = cache(&server.url());
    cache.connect().await.expect("connected");
    for _ in 0..2 {
        server.stop();
        cache.scope(change_quietly(1)).await;
        let told = |word: &str| cache.warnings().iter().any(|warning| warning.as_str() == word);
        assert!(told("failed_evicts") && told("kept_evicts"), "{:?}", cache.warnings());
        let count = cache
            .warnings()
            .iter()
            .find(|warning| warning.as_str() == "failed_evicts")
            .map(ToString::to_string);
        assert!(count.expect("it is there").starts_with("1 evicts"), "those of this outage");
        server.restart();
        wait_until("nothing is wrong any more", DEADLINE, async || cache.warnings().is_empty()).await;
    }
    assert_eq!(cache.stats().total.failed_evicts, 2);
}

#[tokio::test]
async fn an_environment_that_gives_no_cache_says_nothing_that_is_not_so() {
    // In a process of its own, because the global cache is made once.
    let envs = [("REDIS_URL", "redis://h?nonsense=1")];
    let mut worker = cachemacro_tests::Worker::spawn(env!("CARGO_BIN_EXE_global_worker"), &["evict"], &envs);
    let (mut log, mut shutdown) = (Vec::new(), None);
    while shutdown.is_none() {
        let line = worker.line().await;
        match line.split_once(' ') {
            Some(("log", line)) => log.push(line.to_owned()),
            Some(("shutdown", told)) => shutdown = Some(told.to_owned()),
            _ => {}
        }
    }
    worker.finish().await;
    let says = |part: &str| log.iter().any(|line| line.contains(part));
    assert!(says("does not give a cache") && says("an evict reached no store"), "{log:#?}");
    assert!(!says("cache made") && !says("sent again"), "{log:#?}");
    let shutdown = shutdown.expect("it ended");
    assert!(shutdown.contains("1 evicted keys") && shutdown.contains("`config`"), "{shutdown}");
}
