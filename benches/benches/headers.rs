//! What does it cost to read the header that stands before a stored value?

use cachemacro::header::Header;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

#[divan::bench]
fn parsed(bencher: Bencher<'_, '_>) {
    let bytes = Header::new().to_bytes();
    bencher.bench(|| Header::parse(black_box(&bytes)));
}

#[divan::bench]
fn written(bencher: Bencher<'_, '_>) {
    let header = Header::new();
    bencher.bench(|| black_box(&header).to_bytes());
}
