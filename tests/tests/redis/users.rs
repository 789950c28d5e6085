//! Users: what they may and may not, and passwords that change.
//!
//! Which mechanism each test is there for:
//!
//! | mechanism | test |
//! |---|---|
//! | credentials are asked for at each connection | `a_password_that_changes_is_asked_for_at_each_connection` |
//! | the URL or a provider, never both | `who_logs_in_is_said_once` |
//! | what a script may not run is no miss | `a_right_that_a_script_lacks_is_an_error_and_no_miss` |
//! | a refused command is named | `a_command_that_is_refused_is_named_by_the_error_and_by_health` |

use std::future::{Ready, ready};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use cachemacro_runtime::header::{DECIMAL, Header, assemble};
use cachemacro_runtime::store::redis::{Credentials, RedisConfig, RedisStore};
use cachemacro_runtime::store::{
    Cursor, FillId, Increment, LeaseKind, LeaseRequest, Store, TagKeys, Token, VersionKey,
};
use cachemacro_runtime::{Cache, Error, ErrorKind, Result};
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, LONG, RedisServer, Single as _, namespace, wait_until};

const CANARY: &str = "hunter2";

fn store(config: RedisConfig) -> RedisStore {
    RedisStore::new(config.connect_timeout(DEADLINE).command_timeout(DEADLINE)).expect("acceptable")
}

/// The rules of the guide, by user.
pub(crate) fn rules(user: &str) -> String {
    let guide = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let guide = std::fs::read_to_string(guide).expect("the guide is there");
    let line = guide.lines().find(|line| line.starts_with(&format!("ACL SETUSER {user} ")));
    line.unwrap_or_else(|| panic!("docs/operations.md has a line for {user}")).to_owned()
}

/// A server whose clients have the least rights, for all keys.
pub(crate) fn restricted() -> (&'static RedisServer, String) {
    static SHARED: OnceLock<RedisServer> = OnceLock::new();
    let server = SHARED.get_or_init(|| {
        let rules = rules("shop").replace("ACL SETUSER shop", "user shop").replace("~shop:* ~{shop:*", "~*");
        let file = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
        std::fs::write(&file, format!("user default on nopass ~* &* +@all\n{rules}\n")).expect("written");
        RedisServer::with_args(&["--aclfile", file.to_str().expect("text")])
    });
    (server, server.bare_url().replace("://", "://shop:PASSWORD@"))
}

/// A server with the user `shop`, and a store of that user.
async fn as_shop(rules: &str) -> (RedisServer, RedisStore) {
    let server = RedisServer::start();
    run(&mut server.client().await, &format!("ACL SETUSER shop on >pw ~* &* {rules}")).await;
    let url = server.bare_url().replace("://", "://shop:pw@");
    (server, store(RedisConfig::new(url)))
}

#[tokio::test]
async fn a_command_that_is_refused_is_named_by_the_error_and_by_health() {
    let (_server, store) = as_shop("+@all -scan -client -unlink").await;
    assert!(store.health().await.expect("it may").refused.is_empty());
    for (refused, what) in [
        (store.evict_prefix("a").await.map(drop), "+scan"),
        (store.evict_tags(&[tag("a")]).await.map(drop), "+unlink"),
    ] {
        let error = refused.expect_err("it may not");
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains(what), "{error}");
    }
    // What works without, does.
    store.set("k", "value".into(), LONG).await.expect("stored");
    let changes = store.changes().expect("it tells");
    wait_until("all are named", DEADLINE, async || {
        changes.changed("k", Duration::from_millis(5)).await;
        let refused = store.health().await.expect("it may").refused;
        ["scan", "unlink"].iter().all(|name| refused.iter().any(|refused| refused == name))
            && refused.iter().any(|name| name.starts_with("client"))
    })
    .await;
}

fn tag(name: &str) -> TagKeys {
    let key = VersionKey::new(name, 1);
    TagKeys::new(key.clone(), key)
}

#[tokio::test]
async fn what_can_work_without_a_right_does() {
    let (_server, store) = as_shop("+@all -info -script -client -scan -config").await;
    store.set("k", "value".into(), LONG).await.expect("stored");
    assert!(store.entry("k").await.expect("read").is_some());
    store.evict_one("k").await.expect("a script by its source");
    let health = store.health().await.expect("it may");
    assert_eq!(health.server, None);
    assert!(health.refused.iter().any(|name| name == "info"), "{:?}", health.refused);
}

/// What a script may not run is no entry that is not there.
#[tokio::test]
async fn a_right_that_a_script_lacks_is_an_error_and_no_miss() {
    for (command, what) in [("getrange", "lease"), ("incrby", "increment"), ("time", "connect")] {
        let (_server, store) = as_shop(&format!("+@all -{command}")).await;
        let request = LeaseRequest::new("k", Token::random(), LeaseKind::Load, LONG);
        let add = || Increment::new("n", 1, decimal(&store), LONG);
        let refused = match what {
            "lease" => store.lease_one(request).await.map(drop),
            "increment" => {
                store.increment(add()).await.expect("the first is stored as it is");
                store.increment(add()).await.map(drop)
            }
            _ => store.connect().await,
        };
        let error = refused.expect_err(what);
        assert!(error.to_string().contains("lacks a right"), "{what}: {error}");
    }
}

/// The entry that a number begins with.
fn decimal(store: &RedisStore) -> bytes::Bytes {
    let header = Header::new().with_codec(DECIMAL).with_fill_id(FillId::random());
    assemble(header.with_gone_at(store.now().plus(LONG)), &[], b"").into()
}

/// What somebody needs who looks, and what somebody who removes.
#[tokio::test]
async fn the_rights_of_the_guide_are_enough_for_those_who_look_and_those_who_remove() {
    let server = RedisServer::start();
    let mut admin = server.client().await;
    let service = store(RedisConfig::new(server.url()));
    for user in ["watcher", "operator"] {
        run(&mut admin, &rules(user)).await;
        let url = server.bare_url().replace("://", &format!("://{user}:PASSWORD@"));
        service.set("shop:k", "value".into(), LONG).await.expect("stored");
        let cache = Cache::builder().redis(&*url).namespace("shop").command_timeout(DEADLINE).build();
        cache.expect("acceptable").health().await.expect("it may");
        let store = store(RedisConfig::new(url));
        let inspect = store.inspect().expect("it can be looked into");
        let page = inspect.scan("shop:", &Cursor::default()).await.expect("it may");
        assert_eq!(page.keys, ["shop:k"]);
        assert!(inspect.raw(b"shop:k").await.expect("it may").is_some());
        assert!(store.entry("shop:k").await.expect("it may").is_some());
        let tags = [TagKeys::new(VersionKey::new("{shop:tag:1}:1", 1), VersionKey::new("{shop:tag:1}", 1))];
        let removed = [
            store.evict_one("shop:k").await.map(drop),
            store.evict_tags(&tags).await,
            store.evict_prefix("shop:").await.map(drop),
        ];
        for removed in removed {
            match user {
                "operator" => removed.expect("it may"),
                _ => assert_eq!(removed.expect_err("it may not").kind(), ErrorKind::Refused),
            }
        }
        let written = store.set("shop:k", "value".into(), LONG).await;
        assert_eq!(written.expect_err("it may not").kind(), ErrorKind::Refused);
    }
}

/// Who is asked for a password that changes.
#[derive(Clone)]
pub(crate) struct Asked {
    user: &'static str,
    password: Arc<Mutex<&'static str>>,
    times: Arc<AtomicU64>,
}

impl Asked {
    pub(crate) fn new(user: &'static str, password: &'static str) -> Self {
        Self { user, password: Arc::new(Mutex::new(password)), times: Arc::default() }
    }

    /// For [`RedisConfig::credentials`].
    pub(crate) fn provider(&self) -> impl Fn() -> Ready<Result<Credentials>> + Send + Sync + use<> {
        let Self { user, password, times } = self.clone();
        move || {
            times.fetch_add(1, Ordering::SeqCst);
            ready(Ok(Credentials::new(user, *password.lock().expect("not poisoned"))))
        }
    }

    /// Another password is given from now on.
    pub(crate) fn changes_to(&self, password: &'static str) {
        *self.password.lock().expect("not poisoned") = password;
    }

    /// How often it was asked so far.
    pub(crate) fn times(&self) -> u64 {
        self.times.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_password_that_changes_is_asked_for_at_each_connection() {
    let server = RedisServer::start();
    let mut admin = server.client().await;
    run(&mut admin, "ACL SETUSER shop on >first ~* &* +@all").await;
    let asked = Asked::new("shop", "first");
    let store = store(RedisConfig::new(server.bare_url()).credentials(asked.provider()).push(false));
    store.set("k", "value".into(), LONG).await.expect("stored");
    store.evict_prefix("none").await.expect("scanned");
    assert_eq!(asked.times(), 2, "one shared connection, one of the pool");
    run(&mut admin, "ACL SETUSER shop resetpass >second").await;
    store.entry("k").await.expect("connections that are open stay so");
    asked.changes_to("second");
    run(&mut admin, "CLIENT KILL USER shop").await;
    wait_until("it logs in again", DEADLINE, async || store.entry("k").await.is_ok()).await;
    store.evict_prefix("none").await.expect("scanned");
    assert_eq!(asked.times(), 4);
}

#[tokio::test]
async fn a_provider_that_fails_is_told_and_asked_again() {
    let server = RedisServer::start();
    run(&mut server.client().await, &format!("ACL SETUSER shop on >{CANARY} ~* &* +@all")).await;
    let fails = Arc::new(Mutex::new(true));
    let provider = {
        let fails = Arc::clone(&fails);
        move || {
            let fails = *fails.lock().expect("not poisoned");
            async move {
                if fails {
                    Err(Error::new(ErrorKind::Io, "no token"))
                } else {
                    Ok(Credentials::new("shop", CANARY))
                }
            }
        }
    };
    let ns = namespace();
    let settings =
        Cache::builder().redis(server.bare_url()).credentials(provider).namespace(&ns).guarded(false);
    let cache = settings.build().expect("acceptable");
    let error = cache.connect().await.expect_err("no credentials");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("their provider failed"), "{error}");
    assert_eq!(cache.get_or_load("n", 1, async || 7).await, 7, "the function runs");
    *fails.lock().expect("not poisoned") = false;
    wait_until("it logs in", DEADLINE, async || cache.connect().await.is_ok()).await;
    cache.set("n", 1, &8).await.expect("stored");
    assert!(!format!("{cache:?}").contains(CANARY));
}

#[tokio::test]
async fn a_password_that_is_wrong_is_told_and_shown_nowhere() {
    let server = RedisServer::with_args(&["--requirepass", "right"]);
    let provider = || async { Ok(Credentials::password(CANARY)) };
    let bare = server.bare_url();
    for config in [
        RedisConfig::new(bare.replace("://", &format!("://:{CANARY}@"))),
        RedisConfig::new(format!("{bare}?password={CANARY}&protocol=resp3")),
        RedisConfig::new(bare.clone()).credentials(provider),
    ] {
        let shown = format!("{config:?}");
        let store = store(config);
        let error = store.connect().await.expect_err("it is wrong");
        let shown = format!("{shown} {store:?} {error} {error:?}");
        assert!(shown.contains("user name or password") && !shown.contains(CANARY), "{shown}");
    }
    let config = RedisConfig::new(bare).credentials(|| async { Ok(Credentials::password("right")) });
    store(config).connect().await.expect("it is right");
}

#[test]
fn who_logs_in_is_said_once() {
    let provider = || async { Ok(Credentials::password("a")) };
    let twice = RedisConfig::new(format!("redis://:{CANARY}@localhost")).credentials(provider);
    let error = RedisStore::new(twice).expect_err("said twice");
    assert!(error.kind() == ErrorKind::Config && !error.to_string().contains(CANARY), "{error}");
}
