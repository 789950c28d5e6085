//! Histories of three processes on a cluster that changes under them: no stale read, no error and no panic for a caller, and local copies
//! that follow.
//!
//! A failover loses what the replica had not got, because replication is asynchronous: what that revives is read until its TTL ends. How
//! many reads are stale then is printed in a long run, with and without the epoch check and evicts that wait for replicas; with both there
//! is none.

use std::time::{Duration, Instant};

use cachemacro_tests::authority::Authority;
use cachemacro_tests::clusters::{PRIMARIES, RedisCluster, SLOTS};
use cachemacro_tests::history::{Fleet, Plan, Report};
use cachemacro_tests::proxy::Fault;
use cachemacro_tests::server::has_tls;
use cachemacro_tests::{DEADLINE, is_long, rounds};
use tokio::time::sleep;

use crate::leaks::{Leaks, is_whole, no_lease_stays};

/// How late a copy may be of what another process evicted: a heartbeat that is not answered, and as much for a machine that is busy.
const LATEST: Duration = Duration::from_secs(2);

/// One history at a time: each keeps the machine busy.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Some readers take copies, others ask; and in a long run, once more without any.
fn plans() -> Vec<Plan> {
    let plain = Plan { tasks: 8, rows: 16, rest_millis: 5, ..Plan::default() };
    let copies = Plan { local: true, guarded: false, rows: 64, ..plain.clone() };
    if is_long() { vec![copies, plain] } else { vec![copies] }
}

/// Evicts wait for the replica, and what another node filled is a miss.
fn kept(plan: Plan) -> Plan {
    Plan { epoch: true, replicas: 1, ..plan }
}

/// Over what the processes speak to a cluster.
#[derive(Debug, Clone, Copy)]
enum Over {
    Nothing,
    Tls,
}

/// Whose certificates the servers have, where they have any: in a long run once without and once with.
fn grounds(usual: Over) -> Vec<Option<Authority>> {
    let tls = has_tls().then(|| Authority::new("of a cluster"));
    match usual {
        _ if is_long() => std::iter::once(None).chain(tls.map(Some)).collect(),
        Over::Nothing => vec![None],
        Over::Tls => vec![tls],
    }
}

/// What becomes of the nodes of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nodes {
    /// All stay, and keep what they were given.
    Stay,
    /// Some are replaced by others, which may lack something.
    AreReplaced,
}

/// What comes of a history while a cluster changes under it so many times.
async fn history(
    what: &str,
    authority: Option<&Authority>,
    plan: &Plan,
    (times, nodes): (u64, Nodes),
    change: impl AsyncFn(&mut RedisCluster, u64),
) -> Report {
    let _turn = TURN.lock().await;
    let cluster = match authority {
        Some(authority) => RedisCluster::over_tls(authority).await,
        None => RedisCluster::start().await,
    };
    played(what, plan, (cluster, authority), (times, nodes), change).await
}

/// The same on this cluster.
async fn played(
    what: &str,
    plan: &Plan,
    (mut cluster, authority): (RedisCluster, Option<&Authority>),
    (times, nodes): (u64, Nodes),
    change: impl AsyncFn(&mut RedisCluster, u64),
) -> Report {
    let url = authority.map_or_else(|| cluster.url(), |authority| cluster.tls_url(authority));
    let mut fleet = Fleet::start(env!("CARGO_BIN_EXE_history_worker"), &url, plan, 1).await;
    let mut leaks = None;
    for round in 0..=times {
        let before = fleet.counts().await;
        let least = if plan.local { before.local + 50 } else { 0 };
        fleet
            .until("they go on", 8 * DEADLINE, |done| done.hits > before.hits + 200 && done.local >= least)
            .await;
        if leaks.is_none() {
            let begun = Leaks::from_now_on(&mut fleet, plan).await;
            let stay = nodes == Nodes::Stay;
            leaks = Some(if stay { begun.and_leases(&fleet, &cluster.servers) } else { begun });
        }
        if round < times {
            change(&mut cluster, round).await;
        }
    }
    fleet.stop().await;
    if let Some(leaks) = leaks {
        leaks.none(&mut fleet).await;
    }
    no_lease_stays(&fleet, &cluster.servers).await;
    let report = fleet.report(nodes == Nodes::Stay).await;
    let (stale, window) = report.stale_window();
    let (local, latest) = (report.counts.local, Duration::from_micros(report.counts.latest));
    let Plan { epoch, replicas, .. } = plan;
    let over = if authority.is_some() { "over TLS" } else { "plainly" };
    println!(
        "{what} ×{times} {over}, epoch check {epoch}, evicts wait for {replicas} replicas: {stale} stale reads within {window:.1?}; {}; \
         {local} local hits, the latest by {latest:.1?}",
        report.summary()
    );
    is_whole(&report);
    report
}

/// The same with each of the plans, without a stale read and without a copy that is late.
async fn sound(
    what: &str,
    usual: Over,
    plan: impl Fn(Plan) -> Plan,
    (times, nodes): (u64, Nodes),
    change: impl AsyncFn(&mut RedisCluster, u64),
) {
    for authority in grounds(usual) {
        for one in plans() {
            is_sound(&history(what, authority.as_ref(), &plan(one), (times, nodes), &change).await);
        }
    }
}

fn is_sound(report: &Report) {
    assert_eq!(report.stale, []);
    assert!(Duration::from_micros(report.counts.latest) < LATEST, "a copy was late");
}

/// Upholds G1, G2 and G3: all of them three times in a long run.
#[tokio::test]
async fn while_slots_are_resharded_no_read_is_stale() {
    let (step, times) = (if is_long() { 1 } else { 37 }, (rounds(1).min(3), Nodes::Stay));
    sound("resharded", Over::Nothing, |plan| plan, times, async |cluster, _| cluster.reshard(step).await)
        .await;
}

/// Upholds G1, G2 and G3.
#[tokio::test]
async fn while_a_node_is_silent_for_a_moment_no_read_is_stale() {
    let times = (rounds(2), Nodes::Stay);
    sound(
        "silent for a moment",
        Over::Nothing,
        |plan| plan,
        times,
        async |cluster, round| {
            let node = &cluster.servers[usize::try_from(round).expect("a few") % PRIMARIES];
            node.pause();
            // Less than after which its replica takes over: what that lacks is lost.
            sleep(Duration::from_millis(700)).await;
            node.resume();
        },
    )
    .await;
}

/// A history on a cluster behind proxies, each fault at one node after the other.
async fn faults_of_the_network(authority: Option<&Authority>) {
    let _turn = TURN.lock().await;
    let cluster = RedisCluster::behind_proxies(authority).await;
    let plan = plans().swap_remove(0);
    let times = if is_long() { 150 } else { 5 };
    let what = "faults of the network";
    let report = played(what, &plan, (cluster, authority), (times, Nodes::Stay), async |cluster, round| {
        let at = usize::try_from(round).expect("a few");
        Fault::of_round(round)
            .strike(&cluster.proxies[(at / Fault::ALL.len() + at) % PRIMARIES], round)
            .await;
    })
    .await;
    is_sound(&report);
}

/// Upholds G1, G2 and G3.
#[tokio::test]
async fn while_the_network_to_one_node_after_the_other_is_broken_no_read_is_stale() {
    faults_of_the_network(None).await;
}

/// Upholds G1, G2 and G3.
#[tokio::test]
async fn while_the_network_is_broken_no_read_is_stale_over_tls_either() {
    faults_of_the_network(Some(&Authority::new("of a cluster"))).await;
}

/// Upholds G1, G2 and G3: its replica takes over meanwhile, and it follows that one when it is back.
#[tokio::test]
async fn while_a_node_is_silent_for_five_seconds_no_read_is_stale() {
    let times = (if is_long() { 6 } else { 1 }, Nodes::AreReplaced);
    sound("silent for 5 s", Over::Nothing, kept, times, async |cluster, round| {
        let node = cluster.owner(end(round)).await;
        cluster.servers[node].pause();
        sleep(Duration::from_secs(5)).await;
        cluster.servers[node].resume();
        cluster.follows(node).await;
    })
    .await;
}

/// Upholds G1, G2 and G3: for a minute in a long run.
#[tokio::test]
async fn while_replicas_take_over_every_second_no_read_is_stale() {
    let once = (1, Nodes::AreReplaced);
    sound("hands over each second", Over::Nothing, kept, once, async |cluster, _| {
        let began = Instant::now();
        let mut times = 0;
        while began.elapsed() < if is_long() { Duration::from_mins(1) } else { Duration::from_secs(2) } {
            let next = Instant::now() + Duration::from_secs(1);
            let primary = cluster.owner(0).await;
            cluster.hand_over(primary).await;
            // Before that it may still say that it serves the slot.
            cluster.follows(primary).await;
            times += 1;
            tokio::time::sleep_until(next.into()).await;
        }
        println!("{times} times in {:.1?}", began.elapsed());
    })
    .await;
}

/// Upholds G1, G2 and G3: over TLS, where the servers speak it.
#[tokio::test]
async fn where_evicts_wait_and_ids_are_checked_no_failover_of_a_cluster_brings_a_stale_read() {
    sound("failovers", Over::Tls, kept, (rounds(1), Nodes::AreReplaced), fail_over).await;
}

/// No caller sees an error. What a failover loses is told, and bounded by TTLs alone.
#[tokio::test]
async fn a_history_goes_on_while_primaries_are_killed_and_hand_over() {
    let settings = [(false, 0), (true, 0), (false, 1)];
    for (epoch, replicas) in settings.into_iter().take(if is_long() { 3 } else { 1 }) {
        for plan in plans().into_iter().filter(|plan| !plan.local) {
            let plan = Plan { epoch, replicas, ..plan };
            history("failovers", None, &plan, (rounds(1), Nodes::AreReplaced), fail_over).await;
        }
    }
}

/// The first slot and the last one in turn.
fn end(round: u64) -> u16 {
    if round.is_multiple_of(2) { 0 } else { SLOTS - 1 }
}

/// The primary is killed and comes back as a replica of the one that took over; every other time but one it is told to hand over.
async fn fail_over(cluster: &mut RedisCluster, round: u64) {
    let primary = cluster.owner(end(round)).await;
    if round % 4 < 2 {
        let replica = cluster.replica_of(primary).await;
        cluster.servers[primary].stop();
        cluster.is_primary(replica).await;
        cluster.restart_as_replica(primary, replica).await;
    } else {
        cluster.hand_over(primary).await;
        cluster.follows(primary).await;
    }
}
