//! The future of an annotated function grows by a constant, whatever its body holds.
use std::future::Future;
use std::hint::black_box;

use cachemacro::{cache_evict, cache_put, cached};
use cachemacro_tests::attributes::run;

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

#[cached(prefix = "size", key = "{id}", entry = size_entry)]
async fn stored(id: u64) -> u64 {
    id
}

#[cache_put(entry = size_entry(id))]
async fn putting<const N: usize>(id: u64) -> u64 {
    let held = [black_box(1u8); N];
    std::future::ready(()).await;
    id + u64::from(held[N - 1])
}

#[cache_put(prefix = "size", key = "{result}")]
#[cache_put(entry = size_entry(id))]
#[cache_evict(tags = ["size"], before)]
#[cache_evict(entry = size_entry(id + 1), on_err = "evict")]
async fn stacked<const N: usize>(id: u64) -> u64 {
    let held = [black_box(1u8); N];
    std::future::ready(()).await;
    id + u64::from(held[N - 1])
}

fn plain_future<const N: usize>(id: u64) -> impl Future<Output = u64> + Send {
    plain::<N>(id)
}

#[cached]
fn loading_future<const N: usize>(id: u64) -> impl Future<Output = u64> + Send {
    plain::<N>(id)
}

#[cache_put(entry = size_entry(id))]
fn putting_future<const N: usize>(id: u64) -> impl Future<Output = u64> + Send {
    plain::<N>(id)
}

#[cache_evict(tags = ["size"])]
fn evicting_future<const N: usize>(id: u64) -> impl Future<Output = u64> + Send {
    plain::<N>(id)
}

const LARGE: usize = 10_000;

/// What one with a small and one with a large body add to a plain function's.
macro_rules! added {
    ($plain:ident, $annotated:ident) => {
        (
            stringify!($annotated),
            size_of_val(&$annotated::<1>(1)) - size_of_val(&$plain::<1>(1)),
            size_of_val(&$annotated::<LARGE>(1)) - size_of_val(&$plain::<LARGE>(1)),
        )
    };
}

#[test]
fn runs() {
    for (name, small, large) in [
        added!(plain, annotated),
        added!(plain, evicting),
        added!(plain, putting),
        added!(plain, stacked),
        added!(plain_future, loading_future),
        added!(plain_future, putting_future),
        added!(plain_future, evicting_future),
    ] {
        assert!(large <= small + 64, "{name}: {small} for a small body, {large} for a large one");
    }
    run(async {
        let id = black_box(1);
        let _ = stored(id).await;
        assert_eq!((annotated::<1>(id).await, loading_future::<1>(id).await), (2, 2));
        assert_eq!((putting::<1>(id).await, putting_future::<1>(id).await), (2, 2));
        assert_eq!((evicting::<1>(id).await, evicting_future::<1>(id).await), (2, 2));
        assert_eq!((stacked::<1>(id).await, size_entry(id).get().await.unwrap()), (2, Some(2)));
    });
}
