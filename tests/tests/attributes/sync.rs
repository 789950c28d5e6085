//! Sync functions: their values are kept in this process, decoded, and no runtime is there.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use cachemacro::{Cache, Clock, MissReason, Mode, cache_evict, cache_put, cached};

thread_local! {
    static RUNS: Cell<usize> = const { Cell::new(0) };
}

fn ran() {
    RUNS.set(RUNS.get() + 1);
}

/// Runs code with a cache of its own, whose clock stands still.
fn with_cache(run: impl FnOnce(&Cache, &Clock)) {
    let clock = Clock::manual();
    let cache = Cache::builder().memory().clock(clock.clone()).build().expect("acceptable");
    cache.scope_sync(|| run(&cache, &clock));
}

/// How often a function ran in `calls`.
#[track_caller]
fn runs<R>(expected: usize, calls: impl FnOnce() -> R) {
    let before = RUNS.get();
    drop(Box::new(calls()));
    assert_eq!(RUNS.get() - before, expected);
}

#[cached(ttl = "1m", tags = ["lengths", "length:{text}"], entry = length_entry)]
fn length(text: &str) -> usize {
    ran();
    text.len()
}

#[test]
fn a_sync_function_runs_once_for_equal_arguments_without_a_runtime() {
    with_cache(|cache, clock| {
        runs(2, || assert_eq!((length("abc"), length("abc"), length("abcd")), (3, 3, 4)));
        clock.advance(Duration::from_secs(59));
        runs(0, || length("abc"));
        clock.advance(Duration::from_secs(1));
        runs(1, || length("abc"));
        let stats = cache.stats();
        let site = stats.site("length").expect("it was called");
        assert_eq!((site.hits, site.misses(), site.loads, site.fills), (2, 3, 3, 3));
        assert_eq!((stats.local.entries, stats.local.expired), (2, 1));
    });
}

#[test]
fn evicts_by_entry_key_tag_prefix_and_all_reach_it_from_sync_and_from_async_code() {
    #[cached(prefix = "double", key = "{n}", tags = ["numbers"], entry = double_entry)]
    fn double(n: u64) -> u64 {
        ran();
        2 * n
    }
    with_cache(|cache, _| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let gone = |evict: &dyn Fn()| {
            double(1);
            runs(0, || double(1));
            evict();
            runs(1, || double(1));
        };
        gone(&|| assert!(double_entry(1).evict()));
        gone(&|| cache.evict().tags(["numbers"]).run_sync().expect("tags are built"));
        gone(&|| cache.evict().key("double", 1).run_sync().expect("a number can be a key"));
        gone(&|| cache.evict().prefix("double").run_sync().expect("nothing to build"));
        gone(&|| assert!(runtime.block_on(cache.evict_tags(["numbers"])).is_ok()));
        gone(&|| assert!(runtime.block_on(cache.evict_key("double", 1)).is_ok()));
        gone(&|| assert!(runtime.block_on(cache.evict_prefix("double")).is_ok()));
        gone(&|| assert!(runtime.block_on(cache.clear()).is_ok()));
        cache.evict().tags(["others"]).key("double", 2).prefix("doubl").run_sync().expect("all are built");
        runs(0, || double(1));
        assert!(!double_entry(2).evict(), "nothing was there");
    });
}

#[test]
fn an_entry_reads_what_the_function_keeps() {
    with_cache(|_, clock| {
        assert_eq!(length_entry("abc").get(), None);
        length("abc");
        assert_eq!(length_entry("abc").get(), Some(3));
        clock.advance(Duration::from_secs(20));
        assert_eq!(length_entry("abc").ttl(), Some(Duration::from_secs(40)));
        clock.advance(Duration::from_secs(40));
        assert_eq!((length_entry("abc").get(), length_entry("abc").ttl()), (None, None));
        assert!(length_entry("abc").key().expect("text can be a key").as_str().ends_with("length:abc"));
    });
}

/// Upholds G1.
#[test]
fn a_value_that_lacks_a_tag_of_the_call_is_not_taken() {
    #[cached(prefix = "member", key = "{id}", tags = ["org:{org}"])]
    fn member(org: u32, id: u32) -> u32 {
        ran();
        org + id
    }
    with_cache(|cache, _| {
        runs(1, || member(1, 7));
        cache.evict().tags(["org:2"]).run_sync().expect("a tag can be built");
        runs(1, || assert_eq!(member(2, 7), 9, "not what was loaded before the evict"));
        assert_eq!(cache.stats().total.misses_for(MissReason::TagLacking), 1);
    });
}

/// Upholds G1.
#[test]
fn a_load_under_other_tags_is_not_waited_for() {
    static INSIDE: Barrier = Barrier::new(2);
    #[cached(prefix = "held", key = "{id}", tags = ["org:{org}"])]
    fn held(org: u32, id: u32) -> u32 {
        if org == 1 {
            INSIDE.wait();
            INSIDE.wait();
        }
        org + id
    }
    let cache = Cache::memory();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| cache.scope_sync(|| held(1, 7)));
        INSIDE.wait();
        cache.evict().tags(["org:2"]).run_sync().expect("a tag can be built");
        assert_eq!(cache.scope_sync(|| held(2, 7)), 9);
        INSIDE.wait();
        assert_eq!(first.join().expect("it does not panic"), 8);
    });
}

/// Upholds G7.
#[test]
fn a_panic_over_the_result_loses_no_evict() {
    fn name(result: u32) -> String {
        panic!("as asked of {result}")
    }
    #[cache_evict(entry = length_entry("abc"), tags = [name(*result)])]
    fn change() -> u32 {
        7
    }
    with_cache(|_, _| {
        length("abc");
        std::panic::catch_unwind(change).expect_err("it panics");
        assert_eq!(length_entry("abc").get(), None);
    });
}

#[derive(Clone, Debug, PartialEq)]
struct NotSerde(u32);

#[test]
fn values_need_no_serde_and_keys_need_none_in_a_template() {
    struct Id(u32);
    impl Display for Id {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{}", self.0)
        }
    }
    #[cached(key = "{id}")]
    fn get(id: &Id) -> Arc<NotSerde> {
        ran();
        Arc::new(NotSerde(id.0))
    }
    with_cache(|_, _| {
        runs(2, || {
            let first = get(&Id(1));
            assert!(Arc::ptr_eq(&first, &get(&Id(1))), "the value itself is shared");
            assert_eq!(*get(&Id(2)), NotSerde(2));
        });
    });
}

#[test]
fn what_is_not_stored_and_what_is_goes_by_the_rules_of_async_functions() {
    #[cached]
    fn plain(n: i32) -> Result<Option<i32>, String> {
        ran();
        match n {
            0 => Ok(None),
            n if n < 0 => Err("negative".to_owned()),
            n => Ok(Some(n)),
        }
    }
    #[cached(none_ttl = "1s", cache_err, ttl = "1m")]
    fn all(n: i32) -> Result<Option<i32>, String> {
        ran();
        match n {
            0 => Ok(None),
            n if n < 0 => Err("negative".to_owned()),
            n => Ok(Some(n)),
        }
    }
    #[cached(unless = *result > 9, ttl = Duration::from_millis(u64::from(*result)), tags = ["of:{result}"])]
    fn ruled(n: u32) -> u32 {
        ran();
        n
    }
    #[cached(condition = n > 1)]
    fn conditional(n: u32) -> u32 {
        ran();
        n
    }
    with_cache(|cache, clock| {
        runs(5, || [0, 0, -1, -1, 7, 7].map(plain));
        runs(3, || [0, 0, -1, -1, 7, 7].map(all));
        clock.advance(Duration::from_secs(1));
        runs(1, || [0, -1, 7].map(all));
        runs(4, || [10, 10, 0, 0].map(ruled));
        runs(1, || [9, 9].map(ruled));
        cache.evict().tags(["of:9"]).run_sync().expect("a tag is built");
        runs(1, || ruled(9));
        clock.advance(Duration::from_millis(9));
        runs(1, || ruled(9));
        runs(3, || [1, 1, 2, 2].map(conditional));
        let total = cache.stats().total;
        assert_eq!(total.failed_loads, 3);
    });
}

#[test]
fn a_tag_of_the_value_that_is_evicted_during_the_load_refuses_it() {
    #[cached(tags = ["of:{result}"])]
    fn get(n: u32) -> u32 {
        ran();
        Cache::current().evict().tags([format!("of:{n}")]).run_sync().expect("a tag is built");
        n
    }
    with_cache(|cache, _| {
        runs(2, || assert_eq!((get(1), get(1)), (1, 1)));
        assert_eq!(cache.stats().total.refused_fills, 2);
    });
}

#[test]
fn methods_generics_and_traits_have_entries_of_their_own() {
    struct Store<T>(T);
    impl<T: Display + 'static> Store<T> {
        #[cached(key = "{self.0}:{n}")]
        fn get(&self, n: u32) -> String {
            ran();
            format!("{}{n}", self.0)
        }
    }
    trait Shape {
        #[cached]
        fn area(&self, n: u32) -> usize {
            ran();
            n as usize * size_of_val(self)
        }
        fn name(&self) -> String;
    }
    impl Shape for u8 {
        #[cached]
        fn name(&self) -> String {
            ran();
            "byte".to_owned()
        }
    }
    impl Shape for u32 {
        #[cached]
        fn name(&self) -> String {
            ran();
            "number".to_owned()
        }
    }
    #[cached]
    fn name_of<T>(n: u32) -> String {
        ran();
        format!("{}{n}", std::any::type_name::<T>())
    }
    with_cache(|_, _| {
        runs(3, || {
            for _ in 0..2 {
                assert_eq!(
                    (Store(1_u8).get(2), Store(1_u64).get(2), Store("x").get(2)),
                    ("12".into(), "12".into(), "x2".into())
                );
            }
        });
        runs(4, || {
            for _ in 0..2 {
                assert_eq!((1_u8.area(2), 1_u32.area(2)), (2, 8));
                assert_eq!((1_u8.name(), 1_u32.name()), ("byte".into(), "number".into()));
            }
        });
        runs(2, || {
            for _ in 0..2 {
                assert_eq!(
                    (name_of::<u8>(1), name_of::<String>(1)),
                    ("u81".into(), "alloc::string::String1".into())
                );
            }
        });
    });
}

#[test]
fn equal_sets_are_hits_in_whatever_order_they_come() {
    #[cached]
    fn count(of: &HashSet<u32>) -> usize {
        ran();
        of.len()
    }
    with_cache(|_, _| {
        runs(1, || {
            for _ in 0..20 {
                // Each has a hasher of its own.
                assert_eq!(count(&(0..50).collect()), 50);
            }
        });
    });
}

#[test]
fn a_put_writes_what_another_function_keeps_and_an_evict_takes_it_away() {
    #[cached(key = "{id}", entry = name_entry)]
    fn name(id: u64) -> Result<Option<String>, String> {
        ran();
        Ok(Some(format!("user {id}")))
    }
    #[cache_put(entry = name_entry(id), unless = result.is_empty(), on_err = "evict")]
    #[cache_evict(tags = ["names:{result}"])]
    fn rename(id: u64, name: &str) -> Result<String, String> {
        if name == "wrong" { Err(name.to_owned()) } else { Ok(name.to_owned()) }
    }
    #[cache_evict(entry = name_entry(id))]
    fn delete(id: u64) -> Result<(), String> {
        if id == 0 { Err("none".to_owned()) } else { Ok(()) }
    }
    #[cache_evict(entry = name_entry(id), before)]
    fn broken(id: u64) {
        assert_eq!(id, 0, "on purpose");
    }
    with_cache(|cache, _| {
        runs(0, || {
            rename(1, "Ada").expect("a name");
            assert_eq!(name(1), Ok(Some("Ada".to_owned())));
        });
        runs(1, || {
            rename(1, "").expect("no name, which is not stored");
            assert_eq!(name(1), Ok(Some("user 1".to_owned())));
        });
        runs(1, || {
            rename(1, "wrong").expect_err("a wrong name");
            drop(name(1));
        });
        runs(1, || {
            delete(1).expect("it is there");
            drop((name(1), name(1)));
        });
        drop(name(0));
        runs(0, || {
            delete(0).expect_err("refused");
            drop(name(0));
        });
        runs(1, || {
            std::panic::catch_unwind(|| broken(1)).expect_err("it panics");
            drop(name(1));
        });
        assert_eq!(cache.stats().total.puts, 1);
    });
}

#[test]
fn the_cache_may_be_off_bypassed_refreshed_or_asked_for_young_values() {
    with_cache(|_, clock| {
        length("abc");
        runs(1, || Mode::Bypass.scope_sync(|| length("abc")));
        runs(1, || Mode::Refresh.scope_sync(|| length("abc")));
        clock.advance(Duration::from_secs(10));
        runs(0, || Mode::MaxAge(Duration::from_secs(10)).scope_sync(|| length("abc")));
        runs(1, || Mode::MaxAge(Duration::from_secs(9)).scope_sync(|| length("abc")));
        runs(0, || length("abc"));
    });
    let cache = Cache::builder().memory().disabled(true).build().expect("acceptable");
    cache.scope_sync(|| runs(2, || (length("abc"), length("abc"))));
}

#[tokio::test]
async fn a_transaction_collects_evicts_of_sync_code_and_keeps_nothing_after_them() {
    let cache = Cache::memory();
    cache
        .scope(async {
            length("abc");
            let ((), removals) = cache
                .collect(async {
                    assert!(!length_entry("abc").evict(), "not yet");
                    runs(2, || (length("abc"), length("abc")));
                })
                .await;
            runs(0, || length("abc"));
            cache.apply(&removals).await.expect("memory does not fail");
            runs(1, || length("abc"));
        })
        .await;
}

#[test]
fn what_is_kept_stays_within_the_capacity_and_what_is_used_stays() {
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    struct Dropped;
    impl Drop for Dropped {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    #[cached(ttl = "never")]
    fn held(n: u64) -> Arc<Dropped> {
        ran();
        Arc::new(Dropped)
    }
    const CAPACITY: u32 = 256 << 10;
    let cache = Cache::builder().memory().local_capacity(CAPACITY as usize).build().expect("acceptable");
    cache.scope_sync(|| {
        held(0);
        runs(20_000, || {
            for n in 1..=20_000 {
                held(n);
                if n % 100 == 0 {
                    // In use again and again, so it stays.
                    held(0);
                }
            }
        });
    });
    let local = cache.stats().local;
    assert!(local.bytes <= u64::from(CAPACITY), "{local:?}");
    assert!(local.entries > 300 && local.for_room + local.entries == 20_001, "{local:?}");
    drop(cache);
    assert_eq!(DROPPED.load(Ordering::Relaxed), 20_001, "dropping the cache frees all");
}
