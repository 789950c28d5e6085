//! Where requests go once what is known of the nodes is outdated, and by whose clock they are late.
//!
//! Which mechanism each test is there for:
//!
//! | mechanism | test |
//! |---|---|
//! | who serves a slot that nobody served is asked for anew | `a_slot_that_nobody_served_is_found_once_somebody_does` |
//! | where one slot has moved, all are asked for anew | `after_one_slot_moved_others_are_known_to_have` |
//! | a node that says that the cluster is down may be cut off from it | `a_node_that_is_cut_off_is_left_for_who_serves_its_slot_now` |
//! | an evict goes on until it is done, by who serves what then | the same |
//! | a look at the nodes' health has who serves what asked for, where one does not answer | `a_look_at_the_health_notices_that_a_node_is_gone` |
//! | a request is late by the clock of its node | `a_lease_is_late_by_the_clock_of_the_node_that_it_is_asked_of` |

use std::collections::HashSet;
use std::time::Duration;

use cachemacro_runtime::Timestamp;
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{EvictRequest, LeaseKind, LeaseOutcome, LeaseRequest, Store, Token};
use cachemacro_tests::clusters::{PRIMARIES, RedisCluster, SLOTS, slot_of};
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, LONG, Single as _, namespace, wait_until};

use super::store;

/// Less than after which all nodes are asked for what they serve without a reason.
const SOON: Duration = Duration::from_secs(10);

/// A key that this primary serves at first.
async fn key_of(cluster: &RedisCluster, primary: usize) -> (String, u16) {
    loop {
        let key = namespace();
        let slot = slot_of(&cluster.servers[1], &key).await;
        if usize::from(slot / SLOTS.div_ceil(3)) == primary {
            return (key, slot);
        }
    }
}

#[tokio::test]
async fn a_slot_that_nobody_served_is_found_once_somebody_does() {
    let cluster = RedisCluster::with_args(&["--cluster-require-full-coverage", "no"]).await;
    let (key, slot) = key_of(&cluster, 0).await;
    for server in &cluster.servers {
        let mut forget = redis::cmd("CLUSTER");
        // A replica may be told by its primary first.
        let _ = forget.arg("DELSLOTS").arg(slot).exec_async(&mut server.client().await).await;
    }
    let store = store(&cluster.url());
    store.connect().await.expect("the others are served");
    let error = store.set(&key, "value".into(), LONG).await.expect_err("nobody serves it");
    assert!(error.to_string().contains("no node of the cluster serves the slot"), "{error}");
    run(&mut cluster.servers[0].client().await, &format!("CLUSTER ADDSLOTS {slot}")).await;
    let served = async || store.set(&key, "value".into(), LONG).await.is_ok();
    wait_until("it is served", SOON, served).await;
}

#[tokio::test]
async fn after_one_slot_moved_others_are_known_to_have() {
    let cluster = RedisCluster::start().await;
    let store = store(&cluster.url());
    store.connect().await.expect("it is up");
    cluster.hand_over(0).await;
    cluster.follows(0).await;
    let former = &mut cluster.servers[0].client().await;
    let mut refused = async || {
        let told: String = redis::cmd("INFO").arg("errorstats").query_async(former).await.expect("INFO");
        let line =
            told.lines().find_map(|line| line.strip_prefix("errorstat_MOVED:count=")).map(str::to_owned);
        line.and_then(|count| count.parse::<u64>().ok()).unwrap_or(0)
    };
    let mut asked = HashSet::new();
    wait_until("a key of a slot that was not asked for before goes to who serves it", SOON, async || {
        let (mut key, mut slot) = key_of(&cluster, 0).await;
        while !asked.insert(slot) {
            (key, slot) = key_of(&cluster, 0).await;
        }
        let before = refused().await;
        assert!(store.entry(&key).await.expect("followed").is_none());
        refused().await == before
    })
    .await;
}

/// Upholds G7: a slot is moved while its former node sees none of the others.
#[tokio::test]
async fn a_node_that_is_cut_off_is_left_for_who_serves_its_slot_now() {
    let cluster = RedisCluster::behind_proxies(None).await;
    let config = RedisConfig::new(cluster.url()).connect_timeout(DEADLINE);
    let store = || RedisStore::new(config.clone().command_timeout(DEADLINE / 20)).expect("acceptable");
    let (reader, writer) = (store(), store());
    let (key, slot) = key_of(&cluster, 0).await;
    writer.set(&key, "value".into(), LONG).await.expect("stored");
    assert!(reader.entry(&key).await.expect("answered").is_some());
    cluster.move_slot(slot, 0, 1).await;
    cluster.proxies[0].answer(key.as_bytes(), "CLUSTERDOWN The cluster is down", u64::MAX);
    let is_read = async || reader.entry(&key).await.is_ok_and(|value| value.is_some());
    wait_until("it is read where it is now", SOON, is_read).await;
    writer.evict(EvictRequest::new(&[&key], &[])).await.expect("evicted where it is now");
    assert_eq!(reader.entry(&key).await.expect("answered"), None);
}

/// How often the nodes that live were asked who serves what.
async fn looks(cluster: &RedisCluster, gone: usize) -> u64 {
    let mut looks = 0;
    for (at, server) in cluster.servers.iter().enumerate() {
        if at == gone {
            continue;
        }
        let mut client = server.client().await;
        let told: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut client).await.expect("INFO");
        let of_clusters = told.lines().filter_map(|line| line.strip_prefix("cmdstat_cluster"));
        let calls = of_clusters
            .filter_map(|line| line.split_once(":calls=")?.1.split(',').next()?.parse::<u64>().ok());
        looks += calls.sum::<u64>();
    }
    looks
}

/// Whoever only asks for the health, as a process without calls does, is not the last to know.
#[tokio::test]
async fn a_look_at_the_health_notices_that_a_node_is_gone() {
    let mut cluster = RedisCluster::start().await;
    let store = store(&cluster.url());
    store.connect().await.expect("it is up");
    let replica = cluster.replica_of(0).await;
    cluster.servers[0].stop();
    cluster.is_primary(replica).await;
    let before = looks(&cluster, 0).await;
    store.health().await.expect("the others answer");
    wait_until("it is asked who serves what", SOON, async || looks(&cluster, 0).await > before).await;
}

/// Upholds G9: the clock of the first node, by which a caller says when its request is late, is an hour behind the others.
#[tokio::test]
async fn a_lease_is_late_by_the_clock_of_the_node_that_it_is_asked_of() {
    let cluster = RedisCluster::behind_proxies(None).await;
    // The store goes by the first in the order of their ports.
    let first = (0..PRIMARIES).min_by_key(|at| cluster.proxies[*at].port()).expect("there are some");
    let mut an_hour_ago = redis::cmd("EVAL");
    an_hour_ago
        .arg("local now = redis.call('TIME') return {tostring(tonumber(now[1]) - 3600), now[2]}")
        .arg(0);
    cluster.proxies[first].replace(b"$4\r\nTIME\r\n", &an_hour_ago, u64::MAX);
    let store = store(&cluster.url());
    store.connect().await.expect("it is up");
    let now = store.now();
    let here = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    let behind = u64::try_from(here.as_millis()).expect("it is short").saturating_sub(now.millis());
    assert!((3_500_000..3_700_000).contains(&behind), "{behind} ms behind");
    for at in (0..PRIMARIES).filter(|at| *at != first) {
        for (millis, outcome) in [(60_000_i64, LeaseOutcome::Taken), (-60_000, LeaseOutcome::Late)] {
            let (key, _) = key_of(&cluster, at).await;
            let not_after = Timestamp(now.millis().saturating_add_signed(millis));
            let lease =
                LeaseRequest::new(&key, Token::random(), LeaseKind::Load, LONG).with_not_after(not_after);
            assert_eq!(
                store.lease_one(lease).await.expect("answered").outcome,
                outcome,
                "{millis} ms from now"
            );
        }
    }
}
