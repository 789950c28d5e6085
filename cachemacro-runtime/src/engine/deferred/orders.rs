//! All orders in which evicts fail, are sent again, take effect and are acknowledged, while others fill the entry anew, on what is kept
//! itself: what a failed evict was about is not served before an evict of it that was sent later took effect (G7).

use super::kept::Kept;
use crate::engine::targets::Targets;

/// How many steps a run has.
const STEPS: usize = 8;
const KEY: &str = "row";
/// The task that sends what is kept, and a call that evicts.
const REPLAY: usize = 0;
const CALL: usize = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The row changes, and the evict does not reach the store.
    ChangeInVain,
    /// The row changes, and an evict is sent.
    Change,
    /// What is kept is sent again.
    Replay,
    /// What was sent takes effect.
    Effect(usize),
    /// Its answer comes.
    Answer(usize),
    /// Its answer is lost.
    Lost(usize),
    /// Another process stores the row as it is.
    Fill,
}

/// An evict under way.
struct Sent {
    /// What was the latest that was kept when it was sent.
    latest: u64,
    /// How the row was when it was called.
    row: u64,
    done: bool,
}

fn targets() -> Targets {
    Targets { keys: vec![KEY.to_owned()], ..Targets::default() }
}

/// Which mechanism is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    AsItIs,
    /// An acknowledgement ends what was kept since, too.
    EndsAll,
    /// What has failed is not kept.
    KeepsNothing,
}

/// Goes these steps; gives those that can be next, or what was read that may not be.
fn run(steps: &[Step], variant: Variant) -> Result<Vec<Step>, String> {
    let kept = Kept::default();
    let mut sent: [Option<Sent>; 2] = [None, None];
    let (mut row, mut stored) = (0_u64, Some(0_u64));
    // What may not be served any more: how the row was before an evict whose outcome this process knows.
    let mut floor = 0;
    let keep = || {
        if variant != Variant::KeepsNothing {
            kept.add([targets()]);
        }
    };
    for step in steps {
        match *step {
            Step::ChangeInVain => {
                row += 1;
                keep();
                floor = row;
            }
            Step::Change => {
                row += 1;
                sent[CALL] = Some(Sent { latest: kept.latest(), row, done: false });
            }
            Step::Replay => sent[REPLAY] = Some(Sent { latest: kept.latest(), row: floor, done: false }),
            Step::Effect(who) => {
                stored = None;
                sent[who].iter_mut().for_each(|sent| sent.done = true);
            }
            Step::Answer(who) => {
                let Sent { latest, row, .. } = sent[who].take().expect("it is under way");
                let latest = if variant == Variant::EndsAll { kept.latest() } else { latest };
                kept.acknowledge(&targets(), latest);
                floor = floor.max(row);
            }
            Step::Lost(who) => {
                let Sent { row, .. } = sent[who].take().expect("it is under way");
                if who == CALL {
                    keep();
                    floor = floor.max(row);
                }
            }
            Step::Fill => stored = Some(row),
        }
        // A read of this process.
        if !kept.concerns(&[KEY])
            && let Some(read) = stored.filter(|read| *read < floor)
        {
            return Err(format!("{read} instead of {floor} after {steps:?}"));
        }
    }
    let mut next = vec![Step::ChangeInVain];
    if stored.is_none() {
        next.push(Step::Fill);
    }
    match &sent[CALL] {
        None => next.push(Step::Change),
        Some(Sent { done: true, .. }) => next.push(Step::Answer(CALL)),
        Some(_) => next.push(Step::Effect(CALL)),
    }
    match &sent[REPLAY] {
        None if kept.count() > 0 => next.push(Step::Replay),
        None => {}
        Some(Sent { done: true, .. }) => next.push(Step::Answer(REPLAY)),
        Some(_) => next.push(Step::Effect(REPLAY)),
    }
    next.extend([REPLAY, CALL].into_iter().filter(|who| sent[*who].is_some()).map(Step::Lost));
    Ok(next)
}

fn explore(steps: &mut Vec<Step>, variant: Variant, runs: &mut u64) -> Result<(), String> {
    let next = run(steps, variant)?;
    *runs += 1;
    if steps.len() < STEPS {
        for step in next {
            steps.push(step);
            explore(steps, variant, runs)?;
            steps.pop();
        }
    }
    Ok(())
}

/// Upholds G7.
#[test]
fn in_no_order_is_what_a_failed_evict_was_about_served_before_a_later_one_took_effect() {
    let mut runs = 0;
    explore(&mut Vec::new(), Variant::AsItIs, &mut runs).expect("nothing old is read");
    assert!(runs > 10_000, "{runs} orders");
    for broken in [Variant::EndsAll, Variant::KeepsNothing] {
        explore(&mut Vec::new(), broken, &mut 0).expect_err("it is found out");
    }
}
