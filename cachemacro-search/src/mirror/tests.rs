use super::Mirror;
use crate::document::{Document, Scope};
use crate::error::Error;
use crate::query::{Found, Query};
use crate::text::Analyzer;

fn document(key: &str, text: &str) -> Document {
    Document::of(key, &[text], &Analyzer::new()).expect("a short key")
}

fn query(text: &str) -> Query {
    Query::of(text, &Analyzer::new())
}

fn keys(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| &*found.key).collect()
}

/// Numbers that a seed repeats.
fn dice(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 40).expect("24 bits")
}

fn texts(count: usize) -> Vec<(String, String)> {
    let mut seed = 7;
    let text =
        |seed: &mut u64| (0..5).map(|_| "word".to_owned() + &(dice(seed) % 200).to_string() + " ").collect();
    (0..count).map(|n| (format!("key {n}"), text(&mut seed))).collect()
}

#[test]
fn scores_are_cosines_of_weighted_counts() {
    let mut mirror = Mirror::new();
    for (key, text) in [("a", "sun sun moon"), ("b", "moon"), ("c", "star")] {
        mirror.insert(document(key, text));
    }
    let idf = |having: f64| (4.0 / (1.0 + having)).ln() + 1.0;
    let (sun, moon) = ((1.0 + 2.0_f64.ln()) * idf(1.0), idf(2.0));
    let found = mirror.vector(&query("sun"));
    let expected = sun / sun.hypot(moon);
    assert_eq!(keys(&found), ["a"]);
    assert!((f64::from(found[0].score) - expected).abs() < 1e-6, "{found:?}, {expected}");
    // A word that no document has is as rare as can be.
    let found = mirror.vector(&query("moon comet"));
    let expected = idf(2.0) / idf(2.0).hypot(idf(0.0));
    assert!((f64::from(found[0].score) - expected).abs() < 1e-6, "{found:?}, {expected}");
}

#[test]
fn what_came_and_went_leaves_no_trace() {
    let all = texts(6_000);
    let (mut long, mut fresh) = (Mirror::new(), Mirror::new());
    for (key, text) in &all {
        long.insert(document(key, text));
        // Replaced by what it will be.
        long.insert(document(key, text));
    }
    let mut seed = 3;
    let (gone, stays): (Vec<_>, Vec<_>) = all.iter().partition(|_| !dice(&mut seed).is_multiple_of(3));
    assert!(gone.iter().all(|(key, _)| long.remove(key)) && !long.remove(&gone[0].0));
    for (key, text) in stays {
        fresh.insert(document(key, text));
    }
    assert_eq!(long.len(), fresh.len());
    assert!(long.held.len() < 2 * fresh.len(), "numbers of those that went are given anew");
    for (_, text) in all.iter().take(50) {
        let query = query(text);
        assert_eq!(long.vector(&query), fresh.vector(&query));
        assert_eq!(long.candidates(&query), fresh.candidates(&query));
    }
}

#[test]
fn the_order_of_insertion_decides_nothing() {
    let all = texts(2_000);
    let (mut one, mut other) = (Mirror::new(), Mirror::new());
    for (key, text) in &all {
        one.insert(document(key, text));
    }
    for (key, text) in all.iter().rev() {
        other.insert(document(key, text));
    }
    for (_, text) in all.iter().take(50) {
        assert_eq!(one.vector(&query(text)), other.vector(&query(text)));
        assert_eq!(one.candidates(&query(text)), other.candidates(&query(text)));
    }
}

#[test]
fn the_oldest_leave_first_and_are_counted() {
    let mut mirror = Mirror::with_limit(10).expect("acceptable");
    for n in 0..25 {
        mirror.insert(document(&n.to_string(), "text"));
        assert!(mirror.len() <= 10);
    }
    // Inserted again it is the newest, and nothing leaves for it.
    mirror.insert(document("15", "text"));
    assert_eq!((mirror.len(), mirror.left()), (10, 15));
    mirror.insert(document("new", "text"));
    assert!(mirror.contains("15") && !mirror.contains("16"));
    let limits = [0, Mirror::MOST + 1, usize::MAX];
    assert!(limits.into_iter().all(|limit| Mirror::with_limit(limit).err() == Some(Error::Limit)));
    mirror.clear();
    assert_eq!((mirror.len(), mirror.left()), (0, 16));
    assert!(mirror.vector(&query("text")).is_empty() && mirror.candidates(&query("text")).is_empty());
}

#[test]
fn documents_are_bounded_in_bytes_and_the_oldest_leave_first() {
    let one = {
        let mut mirror = Mirror::new();
        mirror.insert(document("00", "opening hours"));
        mirror.bytes()
    };
    let mut mirror = Mirror::new().with_bytes(10 * one);
    for n in 10..40 {
        mirror.insert(document(&n.to_string(), "opening hours"));
        assert!(mirror.bytes() <= 10 * one);
    }
    assert_eq!((mirror.len(), mirror.left(), mirror.bytes()), (10, 20, 10 * one));
    // A large one makes as many leave as it takes room of.
    mirror.insert(document("large", &texts(3).into_iter().map(|(_, text)| text + " ").collect::<String>()));
    assert!(mirror.contains("large") && mirror.len() < 10 && mirror.bytes() <= 10 * one);
    // One that is larger than all the room is not kept.
    mirror.insert(document("huge", &texts(500).into_iter().map(|(_, text)| text + " ").collect::<String>()));
    assert_eq!((mirror.len(), mirror.bytes()), (0, 0));
    mirror.insert(document("a", "opening hours"));
    let bytes = mirror.bytes();
    mirror.insert(document("a", "opening hours"));
    assert_eq!((mirror.len(), mirror.bytes()), (1, bytes));
    mirror.clear();
    assert_eq!(mirror.bytes(), 0);
    mirror.insert(document("b", &"many words ".repeat(10)));
    assert!(mirror.with_bytes(0).is_empty());
}

#[test]
fn only_the_scope_that_was_asked_for_is_found() {
    let mut mirror = Mirror::new();
    for tenant in ["7", "8"] {
        let document = document(tenant, "opening hours").with_scope(Scope::of([tenant]));
        mirror.insert(document.with_vector(vec![1.0, 2.0]).expect("a vector"));
    }
    let query = query("opening hours").scope(Scope::of(["8"]));
    let nearest = mirror.nearest(&[1.0, 2.0], &query).expect("a vector");
    for found in [mirror.vector(&query), mirror.candidates(&query), nearest] {
        assert_eq!(keys(&found), ["8"]);
    }
}

#[test]
fn any_query_has_an_answer() {
    let mut mirror = Mirror::new();
    (0..100).for_each(|n| mirror.insert(document(&n.to_string(), "opening hours")));
    mirror.insert(document("empty", "?! 🙂"));
    let word = "x".repeat(1 << 20);
    for text in ["", "?!", "🙂", "nothing like it", &word, "hours\0"] {
        for limit in [0, 1, 1_000_000_000, usize::MAX] {
            let query = query(text).limit(limit);
            for found in [mirror.vector(&query), mirror.candidates(&query)] {
                assert!(
                    found.len() <= limit.min(100)
                        && found.iter().all(|found| (0.0..=1.0).contains(&found.score))
                );
            }
        }
    }
    assert_eq!(mirror.vector(&query("opening hours").limit(usize::MAX)).len(), 100);
    assert_eq!(
        mirror.vector(&query("opening hours").threshold(1.0).expect("acceptable").limit(1_000)).len(),
        100
    );
}

#[test]
fn only_the_most_frequent_words_count_where_that_is_asked_for() {
    let mut mirror = Mirror::new().with_max_features(1);
    mirror.insert(document("a", "common rare"));
    mirror.insert(document("b", "common"));
    assert_eq!(keys(&mirror.vector(&query("rare unknown"))), [""; 0]);
    let found = mirror.vector(&query("common rare unknown"));
    assert_eq!((keys(&found), found[0].score), (vec!["a", "b"], 1.0));
}

#[test]
fn mistakes_in_short_words_are_found_among_many_words_alike() {
    let mut mirror = Mirror::new();
    let letters = ['a', 'e', 'g', 'k', 'l', 's'];
    let code = |n: usize| (0..4).map(|place| letters[n / 6_usize.pow(place) % 6]).collect::<String>();
    (0..1_296).map(code).for_each(|code| mirror.insert(document(&code, &format!("{code} airport"))));
    for typed in ["eglk", "gelk", "eglks", "egkl", "glk"] {
        let found = mirror.candidates(&query(typed).limit(100));
        assert!(keys(&found).contains(&"eglk"), "{typed}: {found:?}");
    }
}

#[test]
fn dense_vectors_are_found_by_their_direction() {
    let mut mirror = Mirror::new();
    let mut seed = 1;
    let vectors: Vec<Vec<f32>> = (0..200)
        .map(|_| {
            (0..37)
                .map(|_| f32::from(u16::try_from(dice(&mut seed) % 1_000).expect("below")) - 500.0)
                .collect()
        })
        .collect();
    for (n, vector) in vectors.iter().enumerate() {
        mirror.insert(document(&n.to_string(), "").with_vector(vector.clone()).expect("a vector"));
    }
    mirror.insert(document("other", "").with_vector(vec![1.0; 36]).expect("a vector"));
    for (n, vector) in vectors.iter().enumerate() {
        let scaled: Vec<f32> = vector.iter().map(|part| part * 3.0).collect();
        let found = mirror.nearest(&scaled, &query("").limit(3)).expect("a vector");
        assert_eq!((&*found[0].key, found.len()), (&*n.to_string(), 3));
        assert!((found[0].score - 1.0).abs() < 1e-5 && found[1].score < 0.9);
    }
    assert_eq!(mirror.nearest(&[f32::NAN], &query("")), Err(Error::Vector));
}
