//! By words: the ten nearest of all documents, as scikit-learn finds them.

use cachemacro_search::{Analyzer, Mirror, Query};

use crate::data::{airports, key, mirror, questions, some, table};

/// The share of the first ten that are among the nearest.
fn recall(mirror: &Mirror, rankings: &str) -> f64 {
    let (mut met, mut wanted) = (0_u32, 0_u32);
    for line in some(table(rankings), 100) {
        let (query, nearest) = line.split_first().expect("a query");
        let nearest: Vec<String> =
            nearest.iter().map(|number| key(number.parse().expect("a number"))).collect();
        let found = mirror.vector(&Query::of(query, &Analyzer::new()));
        met +=
            u32::try_from(found.iter().filter(|found| nearest.iter().any(|key| **key == *found.key)).count())
                .expect("ten");
        wanted += u32::try_from(nearest.len().min(10)).expect("ten");
    }
    f64::from(met) / f64::from(wanted)
}

#[test]
fn the_nearest_airports_are_those_that_an_exhaustive_comparison_finds() {
    let airports = airports();
    let mirror = mirror(airports.iter().map(|airport| vec![&*airport.name, &airport.city, &airport.icao]));
    let recall = recall(&mirror, "rankings_airports.tsv.gz");
    println!("airports: {recall:.4} of the ten nearest");
    assert!(recall >= 0.99, "{recall}");
}

#[test]
fn the_nearest_questions_are_those_that_an_exhaustive_comparison_finds() {
    let questions = questions("train");
    let mirror = mirror(questions.iter().map(|question| vec![&*question.text]));
    let all = recall(&mirror, "rankings_banking77.tsv.gz");
    let few = recall(&mirror.with_max_features(1_000), "rankings_banking77.tsv.gz");
    println!("questions: {all:.4} of the ten nearest; by the 1,000 most frequent words {few:.4}");
    assert!(all >= 0.99, "{all}");
    assert!(few < all, "{few}: fewer words find less");
}
