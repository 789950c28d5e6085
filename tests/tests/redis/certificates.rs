//! Certificates where there is more than one server: on a cluster each node proves who it is, by way of sentinels they and the primary.
//! What becomes of those of a single server is in `tls`.

use std::time::Duration;

use cachemacro_runtime::store::Store as _;
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::{Cache, ErrorKind};
use cachemacro_tests::authority::{Authority, Identity};
use cachemacro_tests::clusters::{RedisCluster, slot_of};
use cachemacro_tests::sentinels::OverTls;
use cachemacro_tests::server::{is_redis_6, run};
use cachemacro_tests::{DEADLINE, LONG, Single as _, namespace, wait_until};

/// Whom all of them are for, where they are not for another.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

fn store(url: &str) -> RedisStore {
    RedisStore::new(RedisConfig::new(url).connect_timeout(DEADLINE).command_timeout(DEADLINE))
        .expect("acceptable")
}

async fn refused(url: &str) -> String {
    let error = store(url).connect().await.expect_err("it is no server for us");
    assert_eq!(error.kind(), ErrorKind::Connect);
    error.to_string()
}

/// The URL with a client certificate.
fn with(url: &str, identity: &Identity) -> String {
    format!("{url}&cert={}&key={}", identity.certificate.display(), identity.key.display())
}

/// Certificates that no client is to believe, and what it says of each.
fn wrong(ours: &Authority, theirs: &Authority) -> [(Identity, &'static str); 3] {
    [
        (ours.signed_long_ago(&NAMES), "has expired"),
        (ours.signs(&["elsewhere"]), "for another name"),
        (theirs.signs(&NAMES), "a CA that is not trusted"),
    ]
}

#[tokio::test]
async fn primaries_and_sentinels_that_cannot_prove_over_tls_who_they_are_are_refused_and_why_is_told() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let good = ours.signs(&NAMES);
    for (bad, says) in wrong(&ours, &theirs) {
        let error = refused(&OverTls::with(&ours, (&bad, false), (&good, false)).url).await;
        assert!(error.contains(says) && !error.contains("sentinel"), "{says}: {error}");
        let error = refused(&OverTls::with(&ours, (&good, false), (&bad, false)).url).await;
        assert!(error.contains(says) && error.contains("sentinel"), "{says}: {error}");
    }
}

#[tokio::test]
async fn primaries_and_sentinels_that_ask_over_tls_for_a_certificate_get_it_or_it_is_told() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let good = ours.signs(&NAMES);
    for (primary, sentinel) in [(true, false), (false, true)] {
        let watched = OverTls::with(&ours, (&good, primary), (&good, sentinel));
        store(&with(&watched.url, &ours.signs(&["shop"]))).connect().await.expect("it has one");
        for url in [
            watched.url.clone(),
            with(&watched.url, &theirs.signs(&["shop"])),
            with(&watched.url, &ours.signed_long_ago(&["shop"])),
        ] {
            let error = refused(&url).await;
            assert!(error.contains("client certificate"), "{error}");
            assert_eq!(error.contains("sentinel"), sentinel, "{error}");
        }
    }
}

/// Waits until all nodes see the others.
async fn is_up(cluster: &RedisCluster) {
    for server in &cluster.servers {
        let mut client = server.client().await;
        wait_until("the cluster is up", 4 * DEADLINE, async || {
            let mut ask = redis::cmd("CLUSTER");
            let info: String = ask.arg("INFO").query_async(&mut client).await.expect("INFO");
            info.contains("cluster_state:ok")
        })
        .await;
    }
}

/// Nodes that announce host names, which their certificates are for and their addresses are not; and nodes all of one other name. In the
/// end they are for all again.
async fn are_called_by_names(cluster: &RedisCluster, ours: &Authority) {
    let url = cluster.tls_url(ours);
    let show = async |identity: Identity| {
        for server in 0..cluster.servers.len() {
            cluster.shows(server, &identity).await;
        }
    };
    let all = async |url: &str| {
        let store = store(url);
        store.connect().await.expect("they prove who they are");
        // On all nodes.
        for id in 0..20 {
            store.set(&format!("{}:{id}", namespace()), "value".into(), LONG).await.expect("stored");
        }
    };
    show(ours.signs(&["cache.internal"])).await;
    assert!(refused(&url).await.contains("for another name"));
    all(&format!("{url}&server_name=cache.internal")).await;
    // Redis 6 has no names to announce.
    if !is_redis_6() {
        show(ours.signs(&["localhost"])).await;
        let by_name = url.replace("127.0.0.1", "localhost");
        assert!(refused(&by_name).await.contains("for another name"), "they lead to addresses");
        for server in &cluster.servers {
            let mut client = server.client().await;
            run(&mut client, "CONFIG SET cluster-announce-hostname localhost").await;
            run(&mut client, "CONFIG SET cluster-preferred-endpoint-type hostname").await;
        }
        for server in &cluster.servers {
            wait_until("it knows all names", 2 * DEADLINE, async || {
                let mut ask = redis::cmd("CLUSTER");
                let nodes: String =
                    ask.arg("NODES").query_async(&mut server.client().await).await.expect("NODES");
                nodes.lines().all(|node| node.contains(",localhost"))
            })
            .await;
        }
        all(&by_name).await;
        cluster.each("CONFIG SET cluster-preferred-endpoint-type ip").await;
    }
    show(ours.signs(&NAMES)).await;
    is_up(cluster).await;
}

/// Nodes are asked one after the other for who serves what, so all of them have the same to show.
#[tokio::test]
async fn nodes_whose_certificates_are_not_to_be_believed_over_tls_are_refused_and_why_is_told() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let cluster = RedisCluster::over_tls(&ours).await;
    let url = cluster.tls_url(&ours);
    store(&url).connect().await.expect("they prove who they are");
    for (bad, says) in wrong(&ours, &theirs) {
        for server in 0..cluster.servers.len() {
            cluster.shows(server, &bad).await;
        }
        let error = refused(&url).await;
        assert!(error.contains(says), "{says}: {error}");
    }
    for server in 0..cluster.servers.len() {
        cluster.shows(server, &ours.signs(&NAMES)).await;
    }
    is_up(&cluster).await;
    store(&url).connect().await.expect("they prove who they are");
    are_called_by_names(&cluster, &ours).await;
    cluster.each("CONFIG SET tls-auth-clients yes").await;
    store(&with(&url, &ours.signs(&["shop"]))).connect().await.expect("it has one");
    for url in
        [url.clone(), with(&url, &theirs.signs(&["shop"])), with(&url, &ours.signed_long_ago(&["shop"]))]
    {
        let error = refused(&url).await;
        assert!(error.contains("client certificate"), "{error}");
    }
}

/// Upholds G6: nothing is said to that node, the function runs for what it has, and the others serve.
#[tokio::test]
async fn a_node_whose_certificate_has_expired_over_tls_costs_no_call() {
    let authority = Authority::new("ours");
    let cluster = RedisCluster::over_tls(&authority).await;
    let ns = namespace();
    let settings = Cache::builder().redis(cluster.tls_url(&authority)).namespace(&ns).guarded(false);
    let cache = settings.command_timeout(Duration::from_secs(2)).build().expect("acceptable");
    let row = async |id: u64, fresh: u64| {
        let value = cache.entry::<u64>("row", id).get_or_load(async || fresh).await;
        cache.stored().await;
        value
    };
    let mut on_the_first = Vec::new();
    for id in 0..30 {
        assert_eq!(row(id, 1).await, 1);
        let slot = slot_of(&cluster.servers[1], &format!("{ns}:row:{id}")).await;
        on_the_first.push(cluster.owner(slot).await == 0);
    }
    assert!(on_the_first.contains(&true) && on_the_first.contains(&false), "{on_the_first:?}");
    cluster.shows(0, &authority.signed_long_ago(&NAMES)).await;
    for (id, on_the_first) in (0..30).zip(&on_the_first) {
        assert_eq!(row(id, 2).await, if *on_the_first { 2 } else { 1 }, "row {id}");
    }
    let error = cache.connect().await.expect_err("one of them is not believed").to_string();
    assert!(error.contains("has expired"), "{error}");
    cluster.shows(0, &authority.signs(&NAMES)).await;
    let all_hit = async || {
        let mut all = true;
        for id in 0..30 {
            all &= row(id, 3).await == 1;
        }
        all
    };
    wait_until("it serves what it had", DEADLINE, all_hit).await;
}
