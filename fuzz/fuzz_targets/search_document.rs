//! Any bytes as a stored document: refused, or one that is written alike and can be searched. Any text as a document, a query, and what a guard compares.
#![no_main]

use cachemacro_search::{Analyzer, Document, Fuzzy, Guard, Mirror, Query};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = Document::from_bytes(bytes) {
        assert_eq!(&document.to_bytes()[..], bytes);
        Mirror::new().insert(document);
    }
    let text = String::from_utf8_lossy(bytes);
    let (one, other) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let words = Analyzer::new();
    let document = Document::of("key", &[one, other], &words).expect("a short key");
    assert!(Document::from_bytes(&document.to_bytes()).is_ok_and(|same| same == document));
    let mut mirror = Mirror::new();
    mirror.insert(document);
    let query = Query::of(one, &words);
    for found in [mirror.vector(&query), mirror.candidates(&query)].concat() {
        assert!((0.0..=1.0).contains(&found.score));
    }
    assert!(Fuzzy::of(one).score(&[one, other]).is_none_or(|score| score == 1.0));
    let guard = Guard::english();
    assert_eq!(guard.compare(one, other), guard.compare(other, one));
    assert_eq!(guard.compare(one, one), None);
});
