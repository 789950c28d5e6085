//! What does it cost to make a key?

use cachemacro::Key;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

#[divan::bench]
fn of_a_number() -> Key {
    Key::new("user", black_box(7_u64)).expect("a key")
}

/// Plain text is copied, other characters are escaped.
#[divan::bench(args = ["ada", "ada.lovelace.0001.example.org.uk", "ada lovelace: {0001}, 50 % \u{e9}t\u{e9}"])]
fn of_text(bencher: Bencher<'_, '_>, text: &str) {
    bencher.bench(|| Key::new("user", black_box(text)).expect("a key"));
}

#[divan::bench]
fn of_three_parts() -> Key {
    Key::new("user", black_box((7_u64, "example.org", Some(3_u8)))).expect("a key")
}
