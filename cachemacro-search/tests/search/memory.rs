//! What a document takes in memory and as bytes, counted on the heap.

use std::alloc::System;
use std::process::Command;

use cachemacro_search::{Analyzer, Document, Mirror};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use crate::data::{airports, key};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes in use.
fn used() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

#[test]
#[ignore = "counted in a process of its own, where nothing else is on the heap"]
fn counted() {
    let (airports, words) = (airports(), Analyzer::new());
    let before = used();
    let (mut mirror, mut bytes) = (Mirror::new(), 0);
    for (number, airport) in airports.iter().enumerate() {
        let document = Document::of(&key(number), &[&airport.name, &airport.city, &airport.icao], &words)
            .expect("a short key");
        bytes += document.to_bytes().len();
        mirror.insert(document);
    }
    let (held, stored) = ((used() - before) / airports.len(), bytes / airports.len());
    println!("a document of an airport: {held} bytes in memory, {stored} as it is stored");
    // The guide says so.
    assert!((300..900).contains(&held) && (50..130).contains(&stored), "{held}, {stored}");
    // What a bound in bytes goes by.
    let told = mirror.bytes() / airports.len();
    println!("it counts as {told}");
    assert!((held * 3 / 4..held * 3 / 2).contains(&told), "{told} of {held}");

    let before = used();
    for number in 0..airports.len() {
        let document = Document::of(&key(number), &["something else"], &words).expect("a short key");
        mirror.insert(document);
    }
    assert!(used() < before, "what was replaced is given back");
    drop(mirror);
}

#[test]
fn a_document_takes_what_the_guide_says() {
    let program = std::env::current_exe().expect("this one");
    let output = Command::new(program)
        .args(["--exact", "memory::counted", "--ignored", "--nocapture"])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
