//! The future of an annotated function grows by a constant, whatever its body holds.
use std::hint::black_box;

use cachemacro::{cache_evict, cached};

async fn plain<const N: usize>(id: u64) -> u64 {
    let held = [black_box(1u8); N];
    std::future::ready(()).await;
    id + u64::from(held[N - 1])
}

#[cached]
async fn annotated<const N: usize>(id: u64) -> u64 {
    let held = [black_box(1u8); N];
    std::future::ready(()).await;
    id + u64::from(held[N - 1])
}

#[cache_evict(tags = ["size"])]
async fn evicting<const N: usize>(id: u64) -> u64 {
    let held = [black_box(1u8); N];
    std::future::ready(()).await;
    id + u64::from(held[N - 1])
}

#[test]
fn runs() {
    let added = |plain: usize, annotated: usize| annotated - plain;
    let small = added(size_of_val(&plain::<1>(1)), size_of_val(&annotated::<1>(1)));
    let large = added(size_of_val(&plain::<100_000>(1)), size_of_val(&annotated::<100_000>(1)));
    assert!(large <= small + 64, "{small} for a small body, {large} for a large one");
    let small = added(size_of_val(&plain::<1>(1)), size_of_val(&evicting::<1>(1)));
    let large = added(size_of_val(&plain::<100_000>(1)), size_of_val(&evicting::<100_000>(1)));
    assert!(large <= small + 64, "{small} for a small body, {large} for a large one");
}
