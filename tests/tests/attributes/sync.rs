//! Sync functions: their values are kept in this process, decoded, and no runtime is there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cachemacro::{Cache, Clock, cached};

#[test]
fn a_sync_function_runs_once_for_equal_arguments_without_a_runtime() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);

    #[cached(ttl = "1m", entry = length_entry)]
    fn length(text: &str) -> usize {
        RUNS.fetch_add(1, Ordering::Relaxed);
        text.len()
    }

    let clock = Clock::manual();
    let cache = Cache::builder().memory().clock(clock.clone()).build().expect("acceptable");
    cache.scope_sync(|| {
        assert_eq!((length("abc"), length("abc"), length("abcd")), (3, 3, 4));
        assert_eq!(RUNS.load(Ordering::Relaxed), 2);
        assert_eq!(length_entry("abc").get(), Some(3));
        assert!(length_entry("abc").evict());
        assert_eq!(length("abc"), 3);
        assert_eq!(RUNS.load(Ordering::Relaxed), 3);
        clock.advance(Duration::from_secs(61));
        assert_eq!(length("abc"), 3);
        assert_eq!(RUNS.load(Ordering::Relaxed), 4);
    });
    let stats = cache.stats();
    let site = stats.site("length").expect("it was called");
    assert_eq!((site.hits, site.loads, site.fills), (1, 4, 4));
}
