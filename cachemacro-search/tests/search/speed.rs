//! How long insertions and searches take, as a table over numbers of documents. Nothing is asserted: it is for a quiet machine.

use std::time::{Duration, Instant};

use cachemacro_search::{Analyzer, Document, Fuzzy, Mirror, Query};

use crate::data::{airports, is_long, key};

/// The median of these times.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn timed<T>(deed: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(deed());
    start.elapsed()
}

#[test]
#[ignore = "measures; run alone, with --nocapture"]
fn searches_of_names_and_vectors() {
    let (airports, words) = (airports(), Analyzer::new());
    println!(
        "| documents | insert | first vector | vector | candidates | and ordered | 384 dimensions | read once |"
    );
    let sizes: &[usize] =
        if is_long() { &[1_000, 10_000, 28_298, 100_000, 1_000_000] } else { &[1_000, 10_000, 28_298] };
    for &size in sizes {
        let mut mirror = Mirror::with_limit(size).expect("not above a million");
        let texts = |number: usize| {
            let airport = &airports[number % airports.len()];
            [&*airport.name, &*airport.city, &*airport.icao]
        };
        let insert = timed(|| {
            for number in 0..size {
                mirror.insert(Document::of(&key(number), &texts(number), &words).expect("a short key"));
            }
        });
        let queries: Vec<&str> = (0..100).map(|n| texts(n * 277 % size)[0]).collect();
        let query = |text: &str| Query::of(text, &words);
        let first = timed(|| mirror.vector(&query(queries[0])));
        let vector = median(queries.iter().map(|text| timed(|| mirror.vector(&query(text)))).collect());
        let candidates = |text: &str| mirror.candidates(&query(text).limit(100));
        let found = median(queries.iter().map(|text| timed(|| candidates(text))).collect());
        let ordered = |text: &str| {
            let fuzzy = Fuzzy::of(text);
            let found = candidates(text);
            found
                .iter()
                .filter_map(|found| fuzzy.score(&texts(found.key.parse().expect("a number"))))
                .sum::<f32>()
        };
        let ordered = median(queries.iter().map(|text| timed(|| ordered(text))).collect());

        drop(mirror);
        let mut dense = Mirror::with_limit(size).expect("not above a million");
        let part = |number: usize| f32::from(u16::try_from(number % 1_009).expect("small")) - 504.0;
        let vector_of = |number: usize| {
            (0..384).map(|at| part(number * 31 + at * at * 7 + number * at)).collect::<Vec<f32>>()
        };
        let most = size.min(100_000);
        let all: Vec<Vec<f32>> = (0..most).map(vector_of).collect();
        for (number, vector) in all.iter().enumerate() {
            let document =
                Document::of(&key(number), &[], &words).and_then(|it| it.with_vector(vector.clone()));
            dense.insert(document.expect("acceptable"));
        }
        let nearest = median((0..9).map(|n| timed(|| dense.nearest(&all[n], &query("")))).collect());
        let read = || {
            all.iter()
                .map(|vector| vector.iter().map(|part| part.to_bits() as usize).sum::<usize>())
                .sum::<usize>()
        };
        let read = median((0..9).map(|_| timed(read)).collect());
        let insert = insert / u32::try_from(size).expect("a million");
        println!(
            "| {size} | {insert:?} | {first:?} | {vector:?} | {found:?} | {ordered:?} | {nearest:?} of {most} | {read:?} |"
        );
    }
}
