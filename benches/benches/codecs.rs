//! What does it cost to decode the usual value, and to clone it?

use cachemacro_benches::ground::value::{decode, encode, user};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

#[divan::bench]
fn encoded_with_bincode(bencher: Bencher<'_, '_>) {
    let user = user(7);
    bencher.bench(|| encode(black_box(&user)));
}

#[divan::bench]
fn decoded_with_bincode(bencher: Bencher<'_, '_>) {
    let bytes = encode(&user(7));
    bencher.bench(|| decode(black_box(&bytes)));
}

#[divan::bench]
fn cloned(bencher: Bencher<'_, '_>) {
    let user = user(7);
    bencher.bench(|| black_box(&user).clone());
}
