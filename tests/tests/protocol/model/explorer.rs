//! Every order in which steps can follow each other, each state once.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Who goes a step, and which.
pub(crate) type Label = (usize, &'static str);

/// What can happen in a state: each step with the state behind it.
pub(crate) type Steps<W> = Vec<(Label, W)>;

/// A way to a state that may not be.
#[derive(Debug)]
pub(crate) struct Violation {
    /// What is wrong with it.
    pub(crate) what: &'static str,
    /// The shortest way there.
    pub(crate) steps: Vec<Label>,
}

/// All states from this one on, or the shortest way to a violation. `next` gives what can happen, or what is wrong with a state or a
/// step from it; `is_done` says of a state from where nothing happens whether nobody waits there.
pub(crate) fn explore<W: Clone + Eq + Hash>(
    start: W,
    next: impl Fn(&W) -> Result<Steps<W>, &'static str>,
    is_done: impl Fn(&W) -> bool,
) -> Result<usize, Violation> {
    let mut places: HashMap<W, usize> = HashMap::new();
    let mut ways: Vec<Option<(usize, Label)>> = vec![None];
    let mut todo = VecDeque::from([(0, start.clone())]);
    places.insert(start, 0);
    let violation = |ways: &[Option<(usize, Label)>], mut at: usize, what| {
        let mut steps = Vec::new();
        while let Some((before, label)) = ways[at] {
            steps.push(label);
            at = before;
        }
        steps.reverse();
        Violation { what, steps }
    };
    while let Some((at, world)) = todo.pop_front() {
        let steps = next(&world).map_err(|what| violation(&ways, at, what))?;
        if steps.is_empty() && !is_done(&world) {
            return Err(violation(&ways, at, "somebody waits for ever"));
        }
        for (label, world) in steps {
            if !places.contains_key(&world) {
                let place = ways.len();
                ways.push(Some((at, label)));
                places.insert(world.clone(), place);
                todo.push_back((place, world));
            }
        }
    }
    Ok(places.len())
}

/// Plays the protocol as it is in each of these scenes, where it must hold, and without each mechanism in its scene, where that must be
/// found out.
pub(crate) fn check<S: std::fmt::Debug, B: std::fmt::Debug + Copy>(
    scenes: &[S],
    broken: &[(B, S)],
    explored: impl Fn(&S, Option<B>) -> Result<usize, Violation>,
) {
    let mut states = 0;
    for scene in scenes {
        let count = explored(scene, None)
            .unwrap_or_else(|Violation { what, steps }| panic!("{what} in {scene:?} after {steps:#?}"));
        println!("{count:>9} states of {scene:?}");
        states += count;
    }
    println!("{states:>9} states in all");
    for (mechanism, scene) in broken {
        let found = explored(scene, Some(*mechanism));
        let Violation { what, steps } =
            found.expect_err(&format!("{mechanism:?} is not missed in {scene:?}"));
        println!("{mechanism:?}: {what}, after {} steps", steps.len());
    }
}
