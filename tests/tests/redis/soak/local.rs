//! Histories in which some readers take local copies, and others have them confirmed, beside plain ones.

use std::time::{Duration, Instant};

use cachemacro_tests::DEADLINE;
use cachemacro_tests::history::{Counts, Fleet, LOCAL, Plan};

use super::faults::Fault;
use super::{TURN, WORKER, length, shown};

/// How late a copy may be of what another process evicted where telling works, on a machine that is busy. One that is not told of at all
/// is as late as copies are kept.
const TOLD: Duration = Duration::from_secs(2);

/// How late where telling fails: a heartbeat, and as much for a machine that is busy.
const SILENT: Duration = Duration::from_secs(2);

/// Plays a history while the fault comes about. No copy is later than so long.
async fn play(fault: Fault, latest: Duration) {
    let _turn = TURN.lock().await;
    let scene = fault.scene().await;
    let (url, seen) = (scene.url(), scene.seen.clone());
    let plan = Plan { local: true, rest_millis: 10, rows: 64, guarded: false, ..Plan::default() };
    let mut fleet = Fleet::start(WORKER, &url, &plan, 1).await;
    let began = Instant::now();
    let enough = |done: &Counts| done.reads > 1_000 && done.local > 100 && done.evicts > 50;
    let playing = async {
        let mut last_turn = length();
        tokio::time::sleep(last_turn).await;
        while !enough(&fleet.counts().await) && began.elapsed() < length() + 2 * DEADLINE {
            if began.elapsed() > 2 * last_turn {
                last_turn = began.elapsed();
                seen.be_rarer();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen.end();
    };
    let (scene, ()) = tokio::join!(scene.go_on(), playing);
    fleet.stop().await;
    let report = fleet.report(fault.keeps_data()).await;
    drop(scene);
    let Counts { reads, hits, local, evicts, late, latest: seen_late, .. } = report.counts;
    let seen_late = Duration::from_micros(seen_late);
    eprintln!(
        "{fault:?} ×{}: reads {reads} hits {hits} local {local} | evicts {evicts} | stale {} (bound 0: plain and confirmed reads, and \
         local ones of what their own process evicted) | late {late} of others' evicts, the latest by {seen_late:?} (bound {latest:?}, \
         where all fails the local TTL of {LOCAL:?})",
        seen.times(),
        report.stale.len(),
    );
    assert!(report.stale.is_empty(), "stale reads: {}", shown(&report.stale));
    assert!(report.strange.is_empty(), "values of other rows: {}", shown(&report.strange));
    assert!(report.errors.is_empty(), "errors: {}", shown(&report.errors));
    assert!(report.panics.is_empty(), "panics: {:#?}", report.panics);
    assert!(seen_late <= latest, "a copy was {seen_late:?} late");
    assert!(enough(&report.counts), "too little was done: {:?}", report.counts);
}

/// Upholds G1, G2 and G3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_follow_what_other_processes_evict_as_soon_as_it_is_told() {
    play(Fault::None, TOLD).await;
}

/// Upholds G1, G2 and G3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_follow_while_all_connections_are_killed_again_and_again() {
    play(Fault::KilledClients, SILENT).await;
}

/// Upholds G1, G2 and G3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_follow_while_what_is_told_comes_late() {
    play(Fault::Delay, SILENT).await;
}

/// Upholds G1, G2 and G3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_follow_while_the_server_is_silent_for_a_second_again_and_again() {
    play(Fault::Silence, SILENT).await;
    if cachemacro_tests::is_long() {
        play(Fault::LostData, SILENT).await;
        play(Fault::Crash, SILENT).await;
    }
}
