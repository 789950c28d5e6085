//! A cluster over TLS, by a user who has the rights of the guide and no more.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cachemacro::{Cache, CacheBuilder, ErrorKind, Sealing};
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{Store, TagKeys, VersionKey};
use cachemacro_tests::authority::Authority;
use cachemacro_tests::clusters::{PRIMARIES, RedisCluster};
use cachemacro_tests::history::{Fleet, Plan};
use cachemacro_tests::server::is_redis_6;
use cachemacro_tests::{DEADLINE, LONG, RedisServer, Single as _, is_long, namespace, wait_until};
use tokio::sync::OnceCell;

use crate::leaks::{Leaks, is_whole};
use crate::users::{self, Asked};

/// What must be seen nowhere.
const CANARY: &str = "hunter2canary";

/// A cluster, who its servers say they are, and its URL with the user in it.
pub(crate) struct Secured {
    pub(crate) cluster: RedisCluster,
    pub(crate) authority: Authority,
    pub(crate) url: String,
}

/// The cluster that all tests of this process share, which nothing happens to.
pub(crate) async fn shared() -> &'static Secured {
    static SHARED: OnceCell<Secured> = OnceCell::const_new();
    SHARED.get_or_init(start).await
}

async fn start() -> Secured {
    let authority = Authority::new("of a cluster");
    let cluster = RedisCluster::over_tls(&authority).await;
    let rules = users::rules("shop").replace("~shop:* ~{shop:*", "~*");
    cluster.each(&format!("{rules} {} +wait", on_a_cluster())).await;
    let url = cluster.tls_url(&authority).replace("://", "://shop:PASSWORD@");
    Secured { cluster, authority, url }
}

/// The rights that the guide adds on a cluster.
fn on_a_cluster() -> String {
    let guide = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md"));
    let guide = guide.expect("the guide is there");
    let rights = guide.split("on a cluster, add `").nth(1).and_then(|rest| rest.split('`').next());
    rights.expect("docs/operations.md has a line of them").to_owned()
}

fn settings(url: &str) -> CacheBuilder {
    Cache::builder().redis(url).namespace(&namespace()).command_timeout(Duration::from_secs(5))
}

fn store(url: &str) -> RedisStore {
    RedisStore::new(RedisConfig::new(url).connect_timeout(DEADLINE).command_timeout(DEADLINE))
        .expect("acceptable")
}

#[tokio::test]
async fn the_rights_of_the_guide_are_enough_on_a_cluster_over_tls() {
    let secured = shared().await;
    let cache =
        settings(&secured.url).local(LONG).epoch_check(true).evict_replicas(1).build().expect("acceptable");
    cache.connect().await.expect("it may");
    let row = |id: u64| cache.entry::<u64>("row", id).with_tags(["rows"]);
    for id in 0..20 {
        let local = async || {
            let before = cache.stats().total.local_hits;
            assert_eq!(row(id).get_or_load(async || id).await, id);
            cache.stats().total.local_hits > before
        };
        wait_until("a copy answers", DEADLINE, local).await;
    }
    assert_eq!(cache.increment("visits", 1, 2).await.expect("it may"), 2);
    assert_nobody_speaks_plainly(&secured.cluster.servers, "shop").await;
    cache.evict_tags(["rows"]).await.expect("it may");
    for id in 0..20 {
        assert_eq!(row(id).get().await.expect("it may"), None);
        row(id).set(&id).await.expect("it may");
    }
    assert_eq!(cache.evict_prefix("row").await.expect("it may"), 20);
    cache.clear().await.expect("it may");
    let health = cache.health().await.expect("it may");
    assert_eq!(health.store.refused, Vec::<String>::new());
    // On a machine that is busy a node may be heard of late, and telling begins anew.
    wait_until("nothing is warned of", DEADLINE, async || cache.warnings().is_empty()).await;
    assert_eq!(cache.stats().total.errors(), 0);
}

#[tokio::test]
async fn a_password_that_changes_is_asked_for_at_each_connection_to_a_node() {
    let cluster = RedisCluster::shared().await;
    cluster.each("ACL SETUSER rotated on >first ~* &* +@all").await;
    let asked = Asked::new("rotated", "first");
    let config = RedisConfig::new(cluster.bare_url()).connect_timeout(DEADLINE).command_timeout(DEADLINE);
    let store = RedisStore::new(config.credentials(asked.provider())).expect("acceptable");
    let keys: Vec<String> = (0..20).map(|id| format!("{}:{id}", namespace())).collect();
    for key in &keys {
        store.set(key, "value".into(), LONG).await.expect("stored");
    }
    let before = asked.times();
    assert!(before > PRIMARIES as u64, "who looked the nodes up, and one for each of them: {before}");
    asked.changes_to("second");
    cluster.each("ACL SETUSER rotated resetpass >second").await;
    cluster.each("CLIENT KILL USER rotated").await;
    for key in &keys {
        wait_until("it logs in again", DEADLINE, async || store.entry(key).await.is_ok()).await;
        store.set(key, "again".into(), LONG).await.expect("stored");
    }
    assert!(asked.times() >= before + PRIMARIES as u64, "{} after {before}", asked.times());
    // One that does not know the cluster yet asks for whoever looks it up, too.
    asked.changes_to("first");
    let config = RedisConfig::new(cluster.bare_url()).connect_timeout(DEADLINE).command_timeout(DEADLINE);
    let late = RedisStore::new(config.credentials(asked.provider())).expect("acceptable");
    let error = late.connect().await.expect_err("it is the former one");
    assert!(error.to_string().contains("user name or password"), "{error}");
}

/// Of all whom these servers know by this name, none came to the plain port.
async fn assert_nobody_speaks_plainly(servers: &[RedisServer], user: &str) {
    let mut known = 0;
    for server in servers {
        let mut list = redis::cmd("CLIENT");
        let clients: String =
            list.arg("LIST").query_async(&mut server.client().await).await.expect("it tells");
        let plain = format!(" laddr=127.0.0.1:{} ", server.port());
        for client in clients.lines().filter(|client| client.contains(&format!(" user={user} "))) {
            assert!(!client.contains(&plain), "{client}");
            known += 1;
        }
    }
    assert!(known >= PRIMARIES, "{known} connections");
}

/// Upholds G1 and G2.
#[tokio::test]
async fn a_history_over_tls_with_few_rights_has_no_stale_read() {
    let url = &shared().await.url;
    let plan = Plan { tasks: 8, rows: 64, rest_millis: 5, local: true, epoch: true, ..Plan::default() };
    let mut fleet = Fleet::start(env!("CARGO_BIN_EXE_history_worker"), url, &plan, 1).await;
    let most = if is_long() { 20_000 } else { 300 };
    fleet.until("they are warm", 8 * DEADLINE, |done| done.hits > most / 3 && done.evicts > 15).await;
    let leaks =
        Leaks::from_now_on(&mut fleet, &plan).await.and_leases(&fleet, &shared().await.cluster.servers);
    fleet
        .until("they play", 8 * DEADLINE, |done| done.hits > most && done.local > most && done.evicts > 50)
        .await;
    fleet.stop().await;
    leaks.none(&mut fleet).await;
    let report = fleet.report(true).await;
    println!("over TLS with few rights: {}", report.summary());
    is_whole(&report);
    assert_eq!(report.stale, []);
}

#[tokio::test]
async fn nodes_that_cannot_prove_over_tls_who_they_are_are_refused_and_why_is_told() {
    let secured = shared().await;
    let other = Authority::new("another");
    let ca = |authority: &Authority| authority.file().display().to_string();
    let plain = secured.cluster.bare_url().replace("redis+", "rediss+");
    for (url, says) in [
        (secured.url.replace(&ca(&secured.authority), &ca(&other)), "a CA that is not trusted"),
        (format!("{}&server_name=elsewhere", secured.url), "for another name"),
        (format!("{plain}?ca={}", ca(&secured.authority)), "connect"),
        (secured.url.replace("PASSWORD", CANARY), "user name or password"),
    ] {
        let store = store(&url);
        let error = store.connect().await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        let shown = format!("{error} {error:?} {store:?}");
        assert!(
            shown.contains(says) && !shown.contains(CANARY) && !shown.contains("PASSWORD"),
            "{says}: {shown}"
        );
    }
}

#[tokio::test]
async fn a_command_that_a_node_refuses_is_named_by_the_error_and_by_health() {
    let cluster = RedisCluster::shared().await;
    let allow = async |user: &str, rules: &str| {
        cluster.each(&format!("ACL SETUSER {user} on >{CANARY} ~* &* {rules}")).await;
        store(&cluster.bare_url().replace("://", &format!("://{user}:{CANARY}@")))
    };
    let some = allow("some", "+@all -scan -unlink").await;
    let keys: Vec<String> = (0..20).map(|id| format!("{}:{id}", namespace())).collect();
    for key in &keys {
        some.set(key, "value".into(), LONG).await.expect("what works without does");
    }
    let version = |text: &str| VersionKey::new(text, 1);
    let tags = [1, 2, 3]
        .map(|tag| TagKeys::new(version(&format!("{{a:{tag}}}:b")), version(&format!("{{a:{tag}}}"))));
    for (refused, what) in [
        (some.evict_prefix("a").await.map(drop), "+scan"),
        (some.evict_tags(&tags).await.map(drop), "+unlink"),
    ] {
        let error = refused.expect_err("it may not");
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    let health = some.health().await.expect("it may");
    assert_eq!(health.refused, ["scan", "unlink"]);
    // Without these nobody knows where anything is.
    for lacks in ["-cluster|slots", "-cluster|info"] {
        let error = allow("none", &format!("+@all {lacks}")).await.connect().await.expect_err("it may not");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(&lacks.replace('-', "+")) && !shown.contains(CANARY), "{lacks}: {shown}");
    }
}

/// Upholds G8.
#[tokio::test]
async fn what_is_sealed_is_seen_on_no_node_over_tls() {
    let secured = shared().await;
    let cache =
        settings(&secured.url).sealed(Sealing::new(&[1; 32], 1, &[2; 32])).build().expect("acceptable");
    for id in 0..20 {
        let key = format!("{CANARY}:{id}");
        cache.set("session", &key, &CANARY.repeat(3)).await.expect("stored");
        assert_eq!(cache.get::<String>("session", &key).await.expect("answered"), Some(CANARY.repeat(3)));
    }
    let mut stored = 0;
    for server in &secured.cluster.servers[..PRIMARIES] {
        let mut client = server.client().await;
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(&mut client).await.expect("keys");
        for key in keys {
            assert!(!String::from_utf8_lossy(&key).contains(CANARY));
            let value: redis::RedisResult<Vec<u8>> =
                redis::cmd("GET").arg(&key).query_async(&mut client).await;
            // A log or a list of processes is no string.
            let value = value.unwrap_or_default();
            assert!(!String::from_utf8_lossy(&value).contains(CANARY));
            stored += usize::from(String::from_utf8_lossy(&key).contains(":session:"));
        }
    }
    assert!(stored >= 20, "{stored} entries");
    let shown = format!("{cache:?} {:?} {:?}", cache.warnings(), cache.health().await);
    assert!(!shown.contains(CANARY) && !shown.contains("PASSWORD"), "{shown}");
}

/// As a new user does it.
#[tokio::test]
async fn the_script_of_the_guide_starts_a_cluster_over_tls_for_a_user_with_few_rights() {
    // It needs Redis 7.
    if is_redis_6() {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/cluster");
    let mut command = Command::new(script);
    command.args([
        "--tls",
        "sh",
        "-c",
        "echo \"$REDIS_URL\"; echo \"$CACHEMACRO_NAMESPACE\"; echo \"$OPERATOR_URL\"; read -r _ || true",
    ]);
    // Six ports, below those that systems give away.
    command.env("CACHEMACRO_CLUSTER_PORT", (10_000 + 6 * (std::process::id() % 2_000)).to_string());
    let mut cluster = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash is here");
    let mut lines = BufReader::new(cluster.stdout.take().expect("it is piped")).lines();
    let told =
        tokio::task::spawn_blocking(move || [lines.next(), lines.next(), lines.next()]).await.expect("read");
    let [url, namespace, operator] = told.map(|line| line.expect("it tells").expect("text"));
    let cache = Cache::builder().redis(url).namespace(&namespace).local(LONG).build().expect("acceptable");
    cache.connect().await.expect("it may");
    for id in 0..20_u64 {
        assert_eq!(cache.entry("row", id).with_tags(["rows"]).get_or_load(async || id).await, id);
    }
    cache.stored().await;
    cache.evict_tags(["rows"]).await.expect("it may");
    // As the command line does.
    let looks = Cache::builder().redis(operator).namespace(&namespace).guarded(false).load_scripts(false);
    let looks = looks.reports(cachemacro::Reports::Off).build().expect("acceptable");
    looks.inspector().expect("it looks").reports().await.expect("it may");
    cache.clear().await.expect("it may");
    assert_eq!(cache.health().await.expect("it may").store.refused, Vec::<String>::new());
    drop(cluster.stdin.take());
    assert!(cluster.wait().expect("it ends").success());
}
