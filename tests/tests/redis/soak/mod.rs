//! Histories of three processes of 32 tasks each, each under another fault: no stale read, nothing lost or left behind,
//! no error and no panic for a caller.
//!
//! A few seconds under some of the faults; a minute under each in a long run, where no call may take long either but
//! where the server is silent. Each prints a line of what was done and seen (`--nocapture`).

mod faults;
mod local;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cachemacro_tests::broken::Lacks;
use cachemacro_tests::history::{Counts, Fleet, Incident, Plan, Report, micros};
use cachemacro_tests::{DEADLINE, is_long};
use tokio::sync::Mutex;

use self::faults::{Fault, Seen};
use crate::leaks::Leaks;
use crate::leases::{LONG_ENOUGH, Watch};

const WORKER: &str = env!("CARGO_BIN_EXE_history_worker");

/// One history at a time: each keeps the machine busy.
static TURN: Mutex<()> = Mutex::const_new(());

/// What no call may take while the server answers, with as much again for a machine that is busy. A lease that nobody
/// holds costs three seconds.
const LONGEST: Duration = Duration::from_secs(1);

/// The longest time without a hit after the server is back.
const RECOVERY: Duration = Duration::from_secs(2);

/// How many incidents of each sort are shown.
const SHOWN: usize = 5;

/// How long a history goes on.
fn length() -> Duration {
    match (is_long(), is_told()) {
        (true, _) => Duration::from_mins(1),
        (false, true) => Duration::from_secs(8),
        (false, false) => Duration::from_millis(1_500),
    }
}

/// Whether what is seen is written into the table of the guide: with `UPDATE_FAULTS=1`.
fn is_told() -> bool {
    std::env::var_os("UPDATE_FAULTS").is_some()
}

/// Whether faults are played for longer.
fn plays_all() -> bool {
    is_long() || is_told()
}

/// Writes a row of the table in the guide, where it is to be; it has one of each fault.
fn tell(fault: Fault, row: Option<&str>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/consistency.md");
    let text = fs::read_to_string(&path).expect("the guide is there");
    let begin = format!("| {} |", fault.told());
    assert!(text.lines().any(|line| line.starts_with(&begin)), "docs/consistency.md has no row of {begin}");
    if let Some(row) = row {
        let lines = text.lines().map(|line| if line.starts_with(&begin) { row } else { line });
        let told: Vec<&str> = lines.collect();
        fs::write(&path, told.join("\n") + "\n").expect("the guide can be written");
    }
}

/// What came of a history.
struct Outcome {
    fault: Fault,
    times: u64,
    counts: Counts,
    /// Of connections to the primary.
    stale: Vec<Incident>,
    /// Of connections that a demoted server kept: nothing is promised of these.
    stale_when_demoted: usize,
    leases: Vec<Incident>,
    unloadable: Vec<Incident>,
    /// While the server answered.
    failed_evicts: Vec<Incident>,
    failed_evicts_while_away: usize,
    slow: Vec<Incident>,
    slowest_while_away: Duration,
    /// After the server was back.
    without_hits: Duration,
    report: Report,
}

impl Outcome {
    fn new(fault: Fault, seen: &Seen, report: Report, leases: Vec<Incident>, loads: Vec<Incident>) -> Self {
        let is_slow = |load: &Incident| took(load) > LONGEST || load.outcome != "loaded";
        let (demoted, stale): (Vec<_>, _) =
            report.stale.iter().cloned().partition(|read| seen.is_demoted_in(read));
        let (away, mut failed): (Vec<_>, Vec<_>) =
            report.failed_evicts.iter().cloned().partition(|evict| seen.is_away_in(evict));
        let (slow_away, mut slow): (Vec<_>, Vec<_>) =
            report.slow.iter().cloned().partition(|call| seen.is_away_in(call));
        slow.sort_by_key(took);
        for evict in &mut failed {
            if let Some(since) = seen.since_back(evict) {
                evict.outcome = format!("{} ({since:.1?} after the server was back)", evict.outcome);
            }
        }
        Self {
            fault,
            times: seen.times(),
            counts: report.counts.clone(),
            stale,
            stale_when_demoted: demoted.len(),
            leases: if fault.lies() { Vec::new() } else { leases },
            unloadable: loads.into_iter().filter(|load| is_slow(load) && !fault.lies()).collect(),
            failed_evicts: failed,
            failed_evicts_while_away: away.len(),
            slow,
            slowest_while_away: slow_away.iter().map(took).max().unwrap_or_default(),
            without_hits: Duration::ZERO,
            report,
        }
    }

    /// The longest call while the server answered.
    fn slowest(&self) -> Duration {
        match self.slow.last() {
            Some(call) => took(call),
            // None took so long that it was reported.
            None => Duration::from_micros(self.counts.slowest).min(Duration::from_millis(250)),
        }
    }

    /// How many calls were slow, by the prefix of what they were about.
    fn slow_by_kind(&self) -> BTreeMap<&str, usize> {
        let mut kinds = BTreeMap::new();
        for call in &self.slow {
            *kinds.entry(call.about.split(':').next().unwrap_or_default()).or_default() += 1;
        }
        kinds
    }

    /// Its row in the table of the guide.
    fn row(&self) -> String {
        let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
        let away = if self.fault.leaves() {
            let away = self.slowest_while_away;
            // Shorter ones are not reported one by one.
            let away = if away.is_zero() { "≤ 0.25 s".to_owned() } else { seconds(away) };
            (away, seconds(self.without_hits))
        } else {
            ("–".to_owned(), "–".to_owned())
        };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.fault.told(),
            self.times,
            self.counts.calls,
            self.stale.len(),
            self.report.strange.len(),
            self.report.errors.len(),
            self.report.undelivered,
            seconds(self.slowest()),
            away.0,
            away.1,
        )
    }

    /// Nothing of this may come about under any fault.
    fn check(&self) {
        let counters = if self.fault.lies() { &Vec::new() } else { &self.report.miscounted };
        let never = [
            ("stale reads", &self.stale),
            ("values of other rows", &self.report.strange),
            ("counters that lost or repeated a change", counters),
            ("errors that a caller saw", &self.report.errors),
            ("leases that nobody holds", &self.leases),
            ("rows that cannot be loaded at once", &self.unloadable),
        ];
        for (what, incidents) in never {
            assert!(incidents.is_empty(), "{what}: {}", shown(incidents));
        }
        assert!(self.report.panics.is_empty(), "panics: {:#?}", self.report.panics);
        assert_eq!(self.report.undelivered, 0, "evicts that were never sent");
        // What takes how long is told fault by fault.
        if is_long() && self.fault != Fault::Any {
            // To a busy machine an answer can be late, and then nothing was promised either; nor while a breaker is open.
            let is_promised =
                |evict: &&Incident| !["timeout", "breaker"].iter().any(|why| evict.outcome.contains(why));
            let failed = self.failed_evicts.iter().filter(is_promised);
            let failed: Vec<_> = failed.cloned().collect();
            assert!(
                self.fault.hinders() || failed.is_empty(),
                "evicts that failed while the server answered: {}",
                shown(&failed)
            );
            assert!(self.slowest() <= LONGEST, "slow calls: {}", shown(&self.slow));
            assert!(self.without_hits <= RECOVERY, "{:?} without a hit after it was back", self.without_hits);
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { calls, dropped, reads, hits, failed_loads, refused, evicts, .. } = &self.counts;
        write!(
            f,
            "{:?} ×{}: calls {calls} dropped {dropped} | reads {reads} hits {hits} failed loads {failed_loads} refused fills {refused} | evicts {evicts} \
             failed {} (server away {}) | stale {} (demoted {}) strange {} miscounted {} | leases left {} unloadable {} | \
             errors {} refusals {} panics {} | slowest {:?} (server away {:?}) slow {:?}",
            self.fault,
            self.times,
            self.failed_evicts.len(),
            self.failed_evicts_while_away,
            self.stale.len(),
            self.stale_when_demoted,
            self.report.strange.len(),
            self.report.miscounted.len(),
            self.leases.len(),
            self.unloadable.len(),
            self.report.errors.len(),
            self.report.refusals.len(),
            self.report.panics.len(),
            self.slowest(),
            self.slowest_while_away,
            self.slow_by_kind(),
        )?;
        for (what, incidents) in [
            ("failed evicts", &self.failed_evicts),
            ("refusals", &self.report.refusals),
            ("slow", &self.slow),
        ] {
            if !incidents.is_empty() {
                write!(f, "\n  {what}: {}", shown(incidents))?;
            }
        }
        Ok(())
    }
}

/// How many there are, and the last few.
fn shown(incidents: &[Incident]) -> String {
    let last = incidents.iter().rev().take(SHOWN);
    let lines = last.fold(String::new(), |lines, incident| lines + "\n    " + &incident.to_string());
    format!("{}{lines}", incidents.len())
}

fn took(incident: &Incident) -> Duration {
    Duration::from_micros(incident.ended - incident.began)
}

/// Plays a history while the fault comes about at least so many `times`.
async fn soak(fault: Fault, times: u64) {
    let _turn = TURN.lock().await;
    tell(fault, None);
    let scene = fault.scene().await;
    let (url, seen) = (scene.url(), scene.seen.clone());
    let password = scene.password().map(Path::to_owned);
    let plan = Plan { password, reads_most: plays_all(), ..Plan::default() };
    let mut fleet = Fleet::start(WORKER, &url, &plan, 1).await;
    let (watch, watched) = Watch::new(vec![url], fleet.namespace());
    let watch = tokio::spawn(watch.left_behind());
    let began = Instant::now();
    let enough = |done: &Counts| {
        seen.times() >= times
            && done.reads > 500
            && done.hits > 100
            && done.failed_loads > 5
            && done.evicts > 100
            && done.dropped > 50
    };
    let mut hits = Vec::new();
    let play = async {
        loop {
            let counts = fleet.counts().await;
            hits.push((micros(), counts.hits));
            let left = length().saturating_sub(began.elapsed());
            if left.is_zero() && (enough(&counts) || began.elapsed() > length() + 2 * DEADLINE) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        seen.end();
    };
    let (scene, ()) = tokio::join!(scene.go_on(), play);
    fleet.stop().await;
    let played = began.elapsed();
    let loads = fleet.load_each().await;
    watched.store(true, Ordering::SeqCst);
    let leases = watch.await.expect("the watch does not panic");
    let report = fleet.report(fault.keeps_data()).await;
    drop(scene);
    let mut outcome = Outcome::new(fault, &seen, report, leases, loads);
    outcome.without_hits = seen.longest_without_hits(&hits);
    eprintln!("{played:.1?} of {outcome}\n{}", outcome.row());
    tell(fault, Some(outcome.row()).filter(|_| is_told()).as_deref());
    outcome.check();
    assert!(enough(&outcome.counts), "too little was done, or the fault did not come about {times} times");
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_without_a_fault() {
    soak(Fault::None, 0).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_all_connections_are_killed_again_and_again() {
    soak(Fault::KilledClients, 5).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_the_scripts_are_forgotten_again_and_again() {
    soak(Fault::ForgottenScripts, 10).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_all_data_are_lost_again_and_again() {
    soak(Fault::LostData, 3).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_the_server_is_silent_for_a_second_again_and_again() {
    soak(Fault::Silence, if is_long() { 5 } else { 1 }).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_the_server_is_short_of_memory() {
    soak(Fault::ShortMemory, if is_long() { 1_000 } else { 100 }).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_the_server_crashes_again_and_again() {
    soak(Fault::Crash, if is_long() { 5 } else { 1 }).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_the_primary_is_demoted_behind_its_address_again_and_again() {
    soak(Fault::Demotion, if plays_all() { 2 } else { 1 }).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_bytes_come_late_now_and_then() {
    soak(Fault::Delay, if plays_all() { 5 } else { 1 }).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_the_server_puts_its_clients_off_again_and_again() {
    soak(Fault::Paused, if plays_all() { 3 } else { 1 }).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_nobody_is_let_in_again_and_again() {
    soak(Fault::Crowded, if plays_all() { 3 } else { 1 }).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_the_password_is_changed_again_and_again() {
    soak(Fault::Locked, if plays_all() { 3 } else { 1 }).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_the_memory_is_full_again_and_again() {
    soak(Fault::Full, if plays_all() { 5 } else { 1 }).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_every_key_becomes_a_list_again_and_again() {
    soak(Fault::WrongTypes, if plays_all() { 5 } else { 1 }).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_all_connections_are_reset_again_and_again() {
    soak(Fault::Reset, 5).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_replies_are_cut_off_at_one_byte_after_the_other() {
    soak(Fault::Truncated, 5).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_little_passes_at_a_time() {
    soak(Fault::Narrow, if plays_all() { 5 } else { 1 }).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_connections_are_half_open_again_and_again() {
    soak(Fault::HalfOpen, if plays_all() { 3 } else { 1 }).await;
}

/// Upholds G8.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_replies_change_places() {
    soak(Fault::Swapped, 100).await;
}

/// Upholds G1, G6 and G7.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_the_right_to_write_is_revoked_again_and_again() {
    soak(Fault::Revoked, if plays_all() { 3 } else { 1 }).await;
}

/// Upholds G1, G6 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_while_the_password_is_rotated_again_and_again() {
    soak(Fault::Rotated, 3).await;
}

/// One fault after the other for ten minutes in a long run, as dice fall: the same is checked, and afterwards each process uses what it
/// used before. `CACHEMACRO_TEST_SEED` repeats another run.
///
/// Upholds G1, G6, G7 and G9.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_soak_of_faults_as_dice_fall_leaves_nothing_behind() {
    let _turn = TURN.lock().await;
    let length = if is_long() { Duration::from_mins(10) } else { Duration::from_secs(4) };
    let scene = Fault::Any.scene().await;
    let seen = scene.seen.clone();
    let mut fleet = Fleet::start(WORKER, &scene.url(), &Plan::default(), faults::seed()).await;
    // All sorts of calls were made, so that what is made once is there.
    fleet.until("all were warm", DEADLINE, |done| done.reads > 500 && done.evicts > 100).await;
    let leaks = Leaks::from_now_on(&mut fleet, &Plan::default()).await;
    let playing = async {
        tokio::time::sleep(length).await;
        seen.end();
    };
    let (scene, ()) = tokio::join!(scene.go_on(), playing);
    fleet.stop().await;
    let (before, after) = leaks.none(&mut fleet).await;
    println!(
        "seed {}, {length:?}, {} faults\nat the start {before:?}\nat the end   {after:?}",
        faults::seed(),
        seen.times()
    );
    for (after, before) in after.iter().zip(&before) {
        // What a history notes, copies and tables of the allocator's grow with what was done, and not for ever.
        assert!(after.memory < 2 * before.memory + 64 * 1024, "{before:?} became {after:?}");
    }
    let report = fleet.report(false).await;
    drop(scene);
    let outcome = Outcome::new(Fault::Any, &seen, report, Vec::new(), Vec::new());
    eprintln!("{outcome}");
    outcome.check();
}

/// What the checks of a history on such a store find: each finds a store out that lacks what it checks.
async fn found(lacks: Lacks) -> (Report, Vec<Incident>) {
    let scene = Fault::None.scene().await;
    let plan = Plan { lacks: Some(lacks), ..Plan::default() };
    let mut fleet = Fleet::start(WORKER, &scene.url(), &plan, 1).await;
    let (watch, watched) = Watch::new(vec![scene.url()], fleet.namespace());
    let watch = tokio::spawn(watch.left_behind());
    fleet
        .until("a lot was done", DEADLINE, |done| {
            done.reads > 800 && (done.evicts > 100 || lacks == Lacks::Evicts)
        })
        .await;
    tokio::time::sleep(LONG_ENOUGH).await;
    fleet.stop().await;
    watched.store(true, Ordering::SeqCst);
    let leases = watch.await.expect("the watch does not panic");
    (fleet.report(lacks != Lacks::Evicts).await, leases)
}

/// Upholds G1, G6 and G9.
#[tokio::test]
async fn a_history_without_the_fence_is_found_out() {
    let _turn = TURN.lock().await;
    let scene = Fault::None.scene().await;
    let plan = Plan { lacks: Some(Lacks::Fences), ..Plan::default() };
    let mut fleet = Fleet::start(WORKER, &scene.url(), &plan, 1).await;
    fleet.until("a stale read is found", DEADLINE, |done| done.stale > 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_on_a_store_that_lacks_something_is_found_out_by_what_checks_it() {
    let _turn = TURN.lock().await;
    let (report, _) = found(Lacks::Removing).await;
    assert!(!report.stale.is_empty(), "stale reads");
    let (report, _) = found(Lacks::KeysApart).await;
    assert!(!report.strange.is_empty(), "values of other rows");
    let (report, _) = found(Lacks::Comparing).await;
    assert!(!report.miscounted.is_empty(), "counters that lost a change");
    let (_, leases) = found(Lacks::Releases).await;
    assert!(!leases.is_empty(), "leases that nobody holds");
    let (report, _) = found(Lacks::Evicts).await;
    assert!(report.undelivered > 0, "evicts that were never sent");
}
