//! By what was mistyped: names of airports with one edit.

use std::collections::BTreeMap;

use cachemacro_search::{Analyzer, Found, Fuzzy, Mirror, Query};

use crate::data::{Airport, airports, key, mirror, some, table};

/// The ten that are meant, of a hundred candidates.
fn found(mirror: &Mirror, airports: &[Airport], typed: &str, with_all: bool) -> Vec<Found> {
    let query = Query::of(typed, &Analyzer::new()).limit(100);
    let fuzzy = Fuzzy::of(typed);
    let scored = mirror.candidates(&query).into_iter().filter_map(|candidate| {
        let airport = &airports[candidate.key.parse::<usize>().expect("a number")];
        let texts = [&*airport.name, &airport.city, &airport.icao];
        let score = fuzzy.score(if with_all { &texts } else { &texts[..1] })?;
        Some(Found::new(candidate.key, score))
    });
    query.limit(10).keep(scored.collect())
}

#[test]
fn names_with_one_edit_are_among_the_first_ten() {
    let airports = airports();
    let mirror = mirror(airports.iter().map(|airport| vec![&*airport.name]));
    let (mut met, mut first, mut all) = (0.0, 0.0, 0.0);
    let mut missed: BTreeMap<String, u32> = BTreeMap::new();
    for line in some(table("typos.tsv.gz"), 300) {
        let [typed, number, edit] = &line[..] else { panic!("{line:?}") };
        let wanted = key(number.parse().expect("a number"));
        let found = found(&mirror, &airports, typed, false);
        all += 1.0;
        first += f64::from(u8::from(found.first().is_some_and(|found| *found.key == *wanted)));
        if found.iter().any(|found| *found.key == *wanted) {
            met += 1.0;
        } else {
            println!(
                "missed: {typed} ({edit}), for {}",
                airports[number.parse::<usize>().expect("a number")].name
            );
            *missed.entry(edit.clone()).or_default() += 1;
        }
    }
    let (recall, first): (f64, f64) = (met / all, first / all);
    println!("typos: {recall:.3} among the first ten, {first:.3} the first; missed {missed:?}");
    assert!(recall >= 0.997, "{recall}: trigrams and cosine alone find so many");
}

#[test]
fn a_code_comes_first_whatever_else_is_like_it() {
    let airports = airports();
    let mirror = mirror(airports.iter().map(|airport| vec![&*airport.name, &airport.city, &airport.icao]));
    for number in (0..airports.len()).step_by(airports.len() / 100) {
        let code = &airports[number].icao;
        let found = found(&mirror, &airports, &code.to_lowercase(), true);
        assert_eq!(&*airports[found[0].key.parse::<usize>().expect("a number")].icao, &**code);
    }
}
