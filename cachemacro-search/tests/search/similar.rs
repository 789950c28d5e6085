//! Answers shared by alike questions: how often that is wrong, what a guard sees, whether a calibrated threshold keeps its budget.

use std::fmt::Write as _;

use cachemacro_search::{Analyzer, Calibration, Difference, Guard, Query, Trial};

use crate::data::{mirror, questions, some, table};

/// How like two texts are by their words, among questions to a bank's support.
fn lexical(pairs: &[(String, String)]) -> Vec<f32> {
    let others = questions("train");
    let likeness = |one: &str, other: &str| {
        let texts = std::iter::once(one).chain(others.iter().take(1_000).map(|question| &*question.text));
        let found =
            mirror(texts.map(|text| vec![text])).vector(&Query::of(other, &Analyzer::new()).limit(1_001));
        found.iter().find(|found| &*found.key == "000000").map_or(0.0, |found| found.score)
    };
    pairs.iter().map(|(one, other)| likeness(one, other)).collect()
}

/// For each test question the nearest training question's likeness, whether that has the same intent, and whether the guard lets it pass.
fn trials() -> Vec<(Trial, bool)> {
    let (known, guard) = (questions("train"), Guard::english());
    let mirror = mirror(known.iter().map(|question| vec![&*question.text]));
    let trial = |question: crate::data::Question| {
        let found = mirror.vector(&Query::of(&question.text, &Analyzer::new()).limit(1));
        let Some(found) = found.first() else { return (Trial { score: 0.0, is_right: true }, true) };
        let nearest = &known[found.key.parse::<usize>().expect("a number")];
        let trial = Trial { score: found.score.into(), is_right: nearest.intent == question.intent };
        (trial, guard.compare(&question.text, &nearest.text).is_none())
    };
    questions("test").into_iter().map(trial).collect()
}

/// The share of all questions that are answered from this threshold on, and the share of those that are answered falsely; in percent.
fn shares(trials: &[Trial], threshold: f64) -> (f64, f64) {
    let hits: Vec<&Trial> = trials.iter().filter(|trial| trial.score >= threshold).collect();
    let wrong = hits.iter().filter(|trial| !trial.is_right).count();
    let percent = |some: usize, all: usize| {
        100.0 * f64::from(u32::try_from(some).expect("few"))
            / f64::from(u32::try_from(all.max(1)).expect("few"))
    };
    (percent(hits.len(), trials.len()), percent(wrong, hits.len()))
}

#[test]
fn false_hits_are_what_the_guide_says() {
    let trials = trials();
    let all: Vec<Trial> = trials.iter().map(|(trial, _)| *trial).collect();
    // What the guard refuses goes to the load.
    let guarded: Vec<Trial> = trials
        .iter()
        .map(|(trial, passes)| if *passes { *trial } else { Trial { score: 0.0, ..*trial } })
        .collect();
    let mut text = "| threshold | answered | falsely | with the guard | falsely |\n".to_owned();
    for threshold in [0.5, 0.6, 0.7, 0.8, 0.9, 0.95] {
        let ((hits, wrong), (guarded_hits, guarded_wrong)) =
            (shares(&all, threshold), shares(&guarded, threshold));
        writeln!(
            text,
            "| {threshold} | {hits:.0} % | {wrong:.1} % | {guarded_hits:.0} % | {guarded_wrong:.1} % |"
        )
        .expect("memory");
    }
    println!("{text}");
    let within = |threshold: f64, answered: f64, falsely: f64| {
        let (hits, wrong) = shares(&all, threshold);
        assert!((hits - answered).abs() <= 6.0, "{threshold}: answered {hits}");
        assert!(wrong <= falsely + 2.0, "{threshold}: {wrong} falsely");
    };
    within(0.5, 91.0, 18.0);
    within(0.8, 35.0, 8.0);
    within(0.9, 17.0, 5.0);
    within(0.95, 8.0, 2.0);
}

#[test]
fn a_calibrated_threshold_keeps_its_budget_on_questions_it_has_not_seen() {
    let trials: Vec<Trial> = trials().into_iter().map(|(trial, _)| trial).collect();
    for budget in [0.01, 0.05, 0.1, 0.15, 0.2] {
        let (mut kept, mut refused) = (0, 0);
        for seed in 0..100_u64 {
            let (mut seen, mut unseen) = (Vec::new(), Vec::new());
            let mut state = seed;
            for trial in &trials {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                if (mixed ^ (mixed >> 27)).count_ones() % 2 == 0 {
                    seen.push(*trial);
                } else {
                    unseen.push(*trial);
                }
            }
            match Calibration::of(&seen, budget).expect("acceptable").threshold() {
                None => refused += 1,
                Some(threshold) if shares(&unseen, threshold).1 <= 100.0 * budget => kept += 1,
                Some(_) => {}
            }
        }
        println!("budget {budget}: kept in {kept} of 100 splits, refused in {refused}");
        assert!(kept + refused >= 95, "{budget}: kept in {kept}, refused in {refused}");
        assert!(budget < 0.2 || kept > 50, "{budget} can be kept: {kept}");
    }
    println!("{}", Calibration::of(&trials, 0.2).expect("acceptable"));
}

#[test]
fn what_differs_in_one_thing_is_refused_and_words_alone_do_not_see_it() {
    let guard = Guard::english();
    let lines = table("guard_pairs.tsv");
    assert_eq!(lines.len(), 200);
    let pairs: Vec<(String, String)> = lines.iter().map(|line| (line[1].clone(), line[2].clone())).collect();
    let passed: Vec<_> = pairs
        .iter()
        .filter(|(one, other)| guard.compare(one, other).is_none() || guard.compare(other, one).is_none())
        .collect();
    assert!(passed.is_empty(), "{passed:#?}");
    // Without the guard some of them would be hits at any threshold.
    let likeness = lexical(&some(pairs, 40));
    let over = |threshold: f32| likeness.iter().filter(|score| **score >= threshold).count();
    println!(
        "of {} pairs {} are 0.5 alike by their words, {} are 0.8 alike",
        likeness.len(),
        over(0.5),
        over(0.8)
    );
    assert!(over(0.5) > 0);
}

#[test]
fn few_paraphrases_are_refused() {
    let (guard, lines) = (Guard::english(), table("paraphrases.tsv"));
    assert_eq!(lines.len(), 200);
    let refused: Vec<(Difference, String)> = lines
        .iter()
        .filter_map(|line| Some((guard.compare(&line[0], &line[1])?, line.join(" / "))))
        .collect();
    println!("of {} paraphrases the guard refuses {}:", lines.len(), refused.len());
    for (difference, pair) in &refused {
        println!("  {difference}: {pair}");
    }
    assert!(refused.len() <= 20, "{}", refused.len());
}
