//! `verify`: whether what is served is what the functions return.
//!
//! Which test is about which mechanism:
//!
//! | mechanism | test |
//! |---|---|
//! | a difference counts a second later at least | `a_difference_that_an_evict_ends_is_no_finding` |
//! | it is seen whether the value is still there, and its tags | `a_value_that_is_evicted_while_it_is_looked_at_is_overtaken` |
//! | and whether it is the same one | `a_value_that_was_stored_anew_while_it_was_looked_at_is_overtaken` |
//! | and whether somebody is about to replace it | `a_value_that_a_put_is_about_to_replace_is_overtaken` |
//! | nested calls bypass the cache; nothing is filled or shared | `a_look_fills_and_shares_nothing_and_what_it_calls_bypasses_the_cache` |
//! | nothing of what a look reads is what its caller depends on | `what_a_look_reads_is_no_part_of_what_its_caller_depends_on` |
//! | one look at a time, five in a second | `looks_are_few` |
//! | in a second of the process, whatever its caches | `five_looks_a_second_are_taken_by_a_process_whatever_its_caches` |
//! | calls for a suspected key are looked at whatever the share, after 1, 10 and 60 s | `a_suspected_value_is_looked_at_again_however_small_the_share` |
//! | and nobody else's for long | `a_suspect_that_nobody_asks_for_costs_others_little_and_is_forgotten` |
//! | the last 32 findings are kept | `of_many_findings_the_last_32_are_told` |
//! | `within`, `on_inconsistent`, `verify_by`, canonical form | `a_value_may_differ…`, `what_was_found_is_evicted…`, `what_is_the_same…`, `equal_maps…` |

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachemacro::store::Store;
use cachemacro::store::memory::MemoryStore;
use cachemacro::{Cache, CacheBuilder, Clock, Policy, Verify, cache_put, cached};
use cachemacro_tests::broken::{Broken, Lacks};
use cachemacro_tests::{DEADLINE, wait_for, wait_until};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    name: String,
    prices: HashMap<String, u32>,
    weight: f64,
}

/// A database, and a cache in front of it.
struct Source {
    cache: Cache,
    clock: Clock,
    row: Mutex<Row>,
    queries: AtomicU32,
    fails: AtomicBool,
    /// Each query takes a permit.
    permits: Semaphore,
}

impl Source {
    fn new() -> Arc<Self> {
        Self::with(|builder| builder)
    }

    fn with(settings: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Arc<Self> {
        let clock = Clock::manual();
        let builder = settings(Cache::builder().memory().clock(clock.clone()));
        let prices = ["CHF", "EUR", "USD", "GBP"].map(|unit| (unit.to_owned(), 7)).into();
        Arc::new(Self {
            cache: builder.build().expect("acceptable settings"),
            clock,
            row: Mutex::new(Row { name: "tea".to_owned(), prices, weight: 1.0 }),
            queries: AtomicU32::new(0),
            fails: AtomicBool::new(false),
            permits: Semaphore::new(100_000),
        })
    }

    async fn query(&self) -> Result<Option<Row>, String> {
        self.queries.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.map_err(|_| "closed")?.forget();
        let row = self.row.lock().unwrap().clone();
        if self.fails.load(Ordering::SeqCst) { Err("down".to_owned()) } else { Ok(Some(row)) }
    }

    fn write(&self, change: impl FnOnce(&mut Row)) {
        change(&mut self.row.lock().unwrap());
    }

    fn queries(&self) -> u32 {
        self.queries.load(Ordering::SeqCst)
    }

    /// What looks came to: consistent, overtaken, inconsistent, inconclusive.
    fn looks(&self) -> [u64; 4] {
        let total = self.cache.stats().total;
        [total.consistent, total.overtaken, total.inconsistent, total.inconclusive]
    }

    /// Calls `row`, a second after the other, until as many looks came to something as that.
    async fn until<R>(&self, looks: [u64; 4], mut row: impl AsyncFnMut() -> R) -> R {
        let mut last = None;
        wait_until(&format!("{looks:?}"), DEADLINE, async || {
            self.clock.advance(SECOND);
            last = Some(row().await);
            self.looks() == looks
        })
        .await;
        last.expect("it was called")
    }
}

#[cached(cache = source.cache, skip(source), ttl = "1h", tags = ["rows"], verify = "100%")]
async fn row(source: Arc<Source>) -> Result<Option<Row>, String> {
    source.query().await
}

#[cached(cache = source.cache, key = "{id}", ttl = "1h", verify = "100%, inline")]
async fn inline(source: &Source, id: &str) -> Result<Option<Row>, String> {
    assert!(id != "panics" || source.queries() == 0, "on purpose");
    source.query().await
}

#[cached(cache = source.cache, skip(source), ttl = "1h", verify = "100%", within = "10m")]
async fn drifts(source: Arc<Source>) -> Result<Option<Row>, String> {
    source.query().await
}

fn alike(one: &Row, other: &Row) -> bool {
    (one.weight - other.weight).abs() < 0.5
}

#[cached(cache = source.cache, skip(source), ttl = "1h", verify = "100%", verify_by = alike, entry = weighed_entry)]
async fn weighed(source: Arc<Source>) -> Result<Option<Row>, String> {
    source.query().await
}

#[cached(cache = source.cache, skip(source), ttl = "1h", verify = "100%", on_inconsistent = "evict")]
async fn heals(source: Arc<Source>) -> Result<Option<Row>, String> {
    source.query().await
}

#[cached(cache = source.cache, skip(source), ttl = "1h", verify = "100%")]
async fn outer(source: Arc<Source>) -> Result<Option<Row>, String> {
    plain(&source).await
}

#[cached(cache = source.cache, skip(source), ttl = "1h")]
async fn plain(source: &Source) -> Result<Option<Row>, String> {
    source.query().await
}

#[cached(cache = source.cache, skip(source), ttl = "1h", verify = "off")]
async fn trusted(source: &Source) -> Result<Option<Row>, String> {
    source.query().await
}

#[cached(cache = source.cache, skip(source), ttl = "1h", verify = "0.01%")]
async fn seldom(source: Arc<Source>) -> Result<Option<Row>, String> {
    source.query().await
}

#[cached(cache = source.cache, skip(source), ttl = "1h", cache_none, verify = "100%, inline")]
async fn none(source: &Source) -> Option<u32> {
    (source.query().await.is_err()).then_some(7)
}

#[tokio::test]
async fn a_write_that_lost_its_evict_is_found_and_what_is_served_stays_as_it_was() {
    let source = Source::new();
    let before = row(source.clone()).await.unwrap();
    source.write(|row| row.name = "coffee".to_owned());
    let served = source.until([0, 0, 1, 0], || row(source.clone())).await;
    assert_eq!(served, Ok(before), "the checker repairs nothing unasked");
    let report = source.cache.report();
    let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert!(finding.site.ends_with("verify::row"), "{finding:?}");
    assert_eq!((finding.paths.as_slice(), finding.key.len()), (&[".name".to_owned()][..], 16));
    assert!(finding.after_millis >= 1_000 && finding.age_millis >= finding.after_millis, "{finding:?}");
    assert!(!format!("{report:?}").contains("coffee"));
    // Looked at again after ten seconds and after a minute: one finding, told anew.
    wait_until("a minute has passed", DEADLINE, async || {
        source.clock.advance(SECOND);
        drop(row(source.clone()).await);
        source.cache.report().findings[0].after_millis >= 60_000
    })
    .await;
    assert_eq!((source.looks()[2], source.cache.report().findings.len()), (1, 1));
}

#[tokio::test]
async fn a_look_fills_and_shares_nothing_and_what_it_calls_bypasses_the_cache() {
    let source = Source::new();
    Box::pin(outer(source.clone())).await.unwrap();
    let before = source.cache.stats();
    source.until([1, 0, 0, 0], || Box::pin(outer(source.clone()))).await.unwrap();
    let after = source.cache.stats();
    assert_eq!((after.total.loads, after.total.fills), (before.total.loads, before.total.fills));
    let of = |stats: &cachemacro::CacheStats| stats.site("plain").map(|site| (site.hits, site.misses()));
    assert_eq!(of(&after), of(&before), "it was called outside of the cache");
    assert!(source.queries() >= 2);
    assert_eq!(after.total.misses(), before.total.misses());
    assert!(after.total.hits > before.total.hits);
}

#[tokio::test]
async fn a_value_that_is_evicted_while_it_is_looked_at_is_overtaken() {
    let source = Source::new();
    row(source.clone()).await.unwrap();
    for tags in [true, false] {
        let [.., overtaken, _, _] = source.looks();
        source.permits.forget_permits(usize::MAX);
        source.clock.advance(SECOND);
        let queries = source.queries();
        row(source.clone()).await.unwrap();
        wait_for("the look has begun", || source.queries() > queries).await;
        source.write(|row| row.name.push('!'));
        if tags {
            source.cache.evict_tags(["rows"]).await.unwrap();
        } else {
            source.cache.clear().await.unwrap();
        }
        source.permits.add_permits(100_000);
        wait_for("it was overtaken", || source.looks()[1] == overtaken + 1).await;
        row(source.clone()).await.unwrap();
    }
    assert_eq!(source.looks()[2], 0);
}

#[tokio::test]
async fn a_difference_that_an_evict_ends_is_no_finding() {
    let source = Source::new();
    row(source.clone()).await.unwrap();
    source.write(|row| row.name = "coffee".to_owned());
    // The clock stands still: it may be looked at as often as it will.
    let looked = source.queries();
    for _ in 0..3 {
        row(source.clone()).await.unwrap();
    }
    wait_for("it was looked at", || source.queries() > looked).await;
    assert_eq!(source.looks()[2], 0);
    source.cache.evict_tags(["rows"]).await.unwrap();
    wait_until("what is there now is right", DEADLINE, async || {
        source.clock.advance(2 * SECOND);
        let now = row(source.clone()).await.unwrap();
        now.is_some_and(|row| row.name == "coffee") && source.looks()[0] > 1
    })
    .await;
    assert_eq!(source.looks()[2], 0);
}

#[tokio::test]
async fn of_many_findings_the_last_32_are_told() {
    let source = Source::new();
    let ids: Vec<String> = (0..40).map(|id| id.to_string()).collect();
    for id in &ids {
        inline(&source, id).await.unwrap();
    }
    source.write(|row| row.name = "coffee".to_owned());
    let told =
        || -> Vec<String> { source.cache.report().findings.into_iter().map(|finding| finding.key).collect() };
    let mut all = Vec::new();
    for (id, found) in ids.iter().zip(1..) {
        source.until([0, 0, found, 0], || inline(&source, id)).await.unwrap();
        all.push(told().pop().expect("it was found"));
    }
    assert_eq!(told(), all[8..]);
}

#[tokio::test]
async fn a_function_that_fails_proves_nothing() {
    let source = Source::new();
    row(source.clone()).await.unwrap();
    source.fails.store(true, Ordering::SeqCst);
    source.until([0, 0, 0, 1], || row(source.clone())).await.expect("the hit is served");
    let source = Source::new();
    inline(&source, "panics").await.unwrap();
    source.until([0, 0, 0, 1], || inline(&source, "panics")).await.expect("the hit is served");
}

#[tokio::test]
async fn a_value_may_differ_for_as_long_as_its_site_says() {
    let source = Source::new();
    drifts(source.clone()).await.unwrap();
    source.write(|row| row.weight = 9.0);
    source.until([2, 0, 0, 0], || drifts(source.clone())).await.unwrap();
    source.clock.advance(600 * SECOND);
    wait_until("it is found", DEADLINE, async || {
        source.clock.advance(SECOND);
        drop(drifts(source.clone()).await);
        source.looks()[2] == 1
    })
    .await;
    assert_eq!(source.cache.report().findings[0].paths, [".weight"]);
}

#[tokio::test]
async fn what_is_the_same_can_be_said_by_a_function() {
    let source = Source::new();
    let first = weighed(source.clone()).await.unwrap();
    source.write(|row| (row.weight, row.name) = (1.2, "another".to_owned()));
    source.until([2, 0, 0, 0], || weighed(source.clone())).await.unwrap();
    // The entry that the function makes says it too.
    let query = async || source.query().await.unwrap().unwrap();
    let entry = weighed_entry(&source);
    let inline = entry.with_policy(Policy::new().verify(Verify::millionths(1_000_000)));
    let served = source.until([4, 0, 0, 0], || inline.get_or_load(query)).await;
    assert_eq!(Some(served), first);
    source.write(|row| row.weight = 2.0);
    source.until([4, 0, 1, 0], || inline.get_or_load(query)).await;
}

#[tokio::test]
async fn what_was_found_is_evicted_where_the_site_says_so() {
    let source = Source::new();
    heals(source.clone()).await.unwrap();
    source.write(|row| {
        row.prices.insert("CHF".to_owned(), 8);
    });
    wait_until("it serves what is true", DEADLINE, async || {
        source.clock.advance(SECOND);
        heals(source.clone()).await.unwrap().is_some_and(|row| row.prices["CHF"] == 8)
    })
    .await;
    assert_eq!(source.looks()[2], 1);
    assert_eq!(source.cache.report().findings[0].paths, [".prices{}"], "no key of a map is told");
    assert_eq!(source.cache.stats().total.loads, 2);
}

#[tokio::test]
async fn a_cache_may_look_at_the_hits_of_all_its_functions() {
    let source = Source::with(|builder| builder.verify(Verify::millionths(1_000_000)));
    plain(&source).await.unwrap();
    trusted(&source).await.unwrap();
    source.write(|row| row.name = "coffee".to_owned());
    let queries = source.queries();
    source.until([0, 0, 1, 0], || plain(&source)).await.unwrap();
    assert!(source.queries() > queries);
    let queries = source.queries();
    for _ in 0..5 {
        source.clock.advance(SECOND);
        trusted(&source).await.unwrap();
    }
    assert_eq!(source.queries(), queries, "its site says that it is not to be looked at");
    let direct = source.cache.entry::<u32>("direct", 1);
    direct.get_or_load(async || 1).await;
    source.until([0, 0, 2, 0], || direct.get_or_load(async || 2)).await;
    assert_eq!(source.cache.report().findings[1].site, "", "it belongs to no function");
}

#[tokio::test]
async fn that_there_is_nothing_is_looked_at_too() {
    let source = Source::new();
    assert_eq!(none(&source).await, None);
    source.until([1, 0, 0, 0], || none(&source)).await;
    source.fails.store(true, Ordering::SeqCst);
    assert_eq!(source.until([1, 0, 1, 0], || none(&source)).await, None);
    assert_eq!(source.cache.report().findings[0].paths, ["value"]);
}

#[tokio::test]
async fn looks_are_few() {
    let source = Source::new();
    row(source.clone()).await.unwrap();
    source.permits.forget_permits(usize::MAX);
    for _ in 0..20 {
        row(source.clone()).await.unwrap();
    }
    wait_for("one has begun", || source.queries() == 2).await;
    row(source.clone()).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(source.queries(), 2, "one at a time");
    source.permits.add_permits(100_000);
    for _ in 0..1_000 {
        row(source.clone()).await.unwrap();
        tokio::task::yield_now().await;
    }
    wait_for("they came to an end", || source.looks()[0] == 5).await;
    assert_eq!(source.queries(), 6, "five in a second, and the clock stands still");
}

#[tokio::test]
async fn a_suspected_value_is_looked_at_again_however_small_the_share() {
    let source = Source::new();
    seldom(source.clone()).await.unwrap();
    source.write(|row| row.name = "coffee".to_owned());
    wait_until("it was looked at once", DEADLINE, async || {
        for _ in 0..1_000 {
            seldom(source.clone()).await.unwrap();
        }
        source.queries() > 1
    })
    .await;
    // One call a second: by chance alone it would take hours.
    source.until([0, 0, 1, 0], || seldom(source.clone())).await.unwrap();
    let queries = source.queries();
    let told = |source: &Source| source.cache.report().findings[0].after_millis;
    let mut all = vec![told(&source)];
    for _ in 0..80 {
        source.clock.advance(SECOND);
        let before = source.queries();
        seldom(source.clone()).await.unwrap();
        settled().await;
        if source.queries() > before {
            wait_for("it is told anew", || told(&source) != *all.last().unwrap()).await;
            all.push(told(&source));
        }
    }
    assert_eq!(source.queries(), queries + 2, "after ten seconds and after a minute, and no more");
    assert!(
        all[0] < 5_000 && (10_000..12_000).contains(&all[1]) && (60_000..62_000).contains(&all[2]),
        "{all:?}"
    );
}

/// Lets what was spawned run, where nothing else waits.
async fn settled() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[cached(cache = source.cache, key = "{id}", ttl = "1h", verify = "0.01%")]
async fn of_many(source: Arc<Source>, id: u32) -> Result<Option<Row>, String> {
    let _ = id;
    source.query().await
}

#[tokio::test]
async fn a_suspect_that_nobody_asks_for_costs_others_little_and_is_forgotten() {
    let source = Source::new();
    of_many(source.clone(), 1).await.unwrap();
    source.write(|row| row.name = "coffee".to_owned());
    wait_until("it was looked at once", DEADLINE, async || {
        for _ in 0..1_000 {
            of_many(source.clone(), 1).await.unwrap();
        }
        source.queries() > 1
    })
    .await;
    settled().await;
    of_many(source.clone(), 2).await.unwrap();
    source.clock.advance(2 * SECOND);
    let local = || source.cache.stats().total.local_hits;
    let before = local();
    for _ in 0..3_000 {
        of_many(source.clone(), 2).await.unwrap();
    }
    assert!(local() - before > 2_500, "{} of 3,000 took the decoded value", local() - before);
    // Whoever asks for it finds it looked at all the same.
    source.clock.advance(600 * SECOND);
    for _ in 0..100 {
        of_many(source.clone(), 2).await.unwrap();
    }
    assert_eq!(source.looks()[2..], [0, 1], "it came to nothing");
    let before = local();
    for _ in 0..1_000 {
        of_many(source.clone(), 2).await.unwrap();
    }
    assert!(local() - before > 990, "and nothing is left of it: {}", local() - before);
}

#[cached(cache = source.cache, skip(source), ttl = "1h", verify = "100%", entry = held_entry)]
async fn held(source: Arc<Source>) -> Result<Option<Row>, String> {
    source.query().await
}

#[cache_put(entry = held_entry(&source))]
async fn rewrite(source: Arc<Source>) -> Result<Row, String> {
    source.query().await?.ok_or_else(|| "there is none".to_owned())
}

/// A look at `held` that has begun, and whose function goes on once it is let.
async fn look_that_waits(source: &Arc<Source>) {
    held(source.clone()).await.unwrap();
    source.permits.forget_permits(usize::MAX);
    source.clock.advance(SECOND);
    let queries = source.queries();
    held(source.clone()).await.unwrap();
    wait_for("the look has begun", || source.queries() > queries).await;
}

#[tokio::test]
async fn a_value_that_was_stored_anew_while_it_was_looked_at_is_overtaken() {
    let source = Source::new();
    look_that_waits(&source).await;
    // The same value: only its fill tells that it is another.
    let old = source.row.lock().unwrap().clone();
    source.write(|row| row.name.push('!'));
    held_entry(&source).set(&old).await.unwrap();
    source.permits.add_permits(100_000);
    wait_for("it was overtaken", || source.looks()[1] == 1).await;
}

#[tokio::test]
async fn a_value_that_a_put_is_about_to_replace_is_overtaken() {
    let source = Source::new();
    look_that_waits(&source).await;
    let queries = source.queries();
    let put = tokio::spawn(rewrite(source.clone()));
    wait_for("the put has begun", || source.queries() > queries).await;
    source.write(|row| row.name.push('!'));
    // For the look, which came first.
    source.permits.add_permits(1);
    wait_for("it was overtaken", || source.looks()[1] == 1).await;
    source.permits.add_permits(100_000);
    put.await.unwrap().unwrap();
}

#[cached(cache = source.cache, skip(source), ttl = "1h", tags = ["deep"])]
async fn deep(source: &Source) -> Result<Option<Row>, String> {
    source.query().await
}

#[cached(cache = source.cache, skip(source), ttl = "1h", verify = "100%, inline", tags = ["of-its-own"])]
async fn over_deep(source: &Source) -> Result<Option<Row>, String> {
    cachemacro::record(["recorded"]);
    deep(source).await
}

#[tokio::test]
async fn what_a_look_reads_is_no_part_of_what_its_caller_depends_on() {
    let source = Source::new();
    over_deep(&source).await.unwrap();
    let looks = source.looks()[0];
    source.clock.advance(SECOND);
    let (served, gathered) = source.cache.gather(over_deep(&source)).await;
    served.unwrap();
    assert_eq!(source.looks()[0], looks + 1, "it was looked at");
    assert_eq!((gathered.len(), gathered.is_complete()), (1, true), "{gathered:?}");
}

#[tokio::test]
async fn five_looks_a_second_are_taken_by_a_process_whatever_its_caches() {
    let sources: Vec<_> = (0..4).map(|_| Source::with(|builder| builder.clock(Clock::system()))).collect();
    for source in &sources {
        row(source.clone()).await.unwrap();
        plain(source).await.unwrap();
    }
    let began = std::time::Instant::now();
    for _ in 0..500 {
        for source in &sources {
            row(source.clone()).await.unwrap();
            settled().await;
        }
    }
    let looks: u32 = sources.iter().map(|source| source.queries() - 2).sum();
    let seconds = u32::try_from(began.elapsed().as_secs()).unwrap() + 1;
    assert!(looks <= 5 * seconds, "{looks} looks within {seconds} s");
}

/// Five looks a second are enough for that, and so is a clock that goes on by a tenth of a second.
#[tokio::test]
async fn a_write_that_lost_its_evict_is_found_within_five_seconds() {
    let source = Source::new();
    row(source.clone()).await.unwrap();
    source.write(|row| row.name = "coffee".to_owned());
    let mut tenths = 0;
    while source.looks()[2] == 0 {
        tenths += 1;
        assert!(tenths < 50, "five seconds went by: {:?}", source.looks());
        source.clock.advance(SECOND / 10);
        row(source.clone()).await.unwrap();
        settled().await;
    }
}

#[cached(cache = source.cache, skip(source), ttl = "1h")]
async fn square(source: &Source, id: u64) -> u64 {
    source.queries.fetch_add(1, Ordering::SeqCst);
    id * id
}

#[tokio::test]
async fn the_keys_that_are_hit_most_are_counted_where_they_are_sampled() {
    let source = Source::with(|builder| builder.hot_keys(true));
    for call in 0..50_000_u64 {
        let id = if call % 3 == 0 { call % 1_000 } else { 1_007 };
        assert_eq!(square(&source, id).await, id * id);
    }
    let report = source.cache.report();
    let site = report.sites.iter().find(|site| site.site.ends_with("square")).expect("it was called");
    let samples: u64 = site.hot.iter().map(|key| key.samples).sum();
    assert!((25..=49).contains(&samples), "one in 1,024: {samples}");
    assert!(site.hot[0].samples > samples / 2, "{:?}", site.hot);
    assert_eq!(site.figures.reads(), 50_000);
    assert_eq!(u64::from(source.queries()), site.figures.count("loads"), "each was loaded once");
}

#[cached(prefix = "slow", key = "only", cache = source.cache, ttl = "1h", verify = "100%")]
async fn slow(source: Arc<Source>) -> Result<Option<Row>, String> {
    let row = source.row.lock().unwrap().clone();
    source.query().await?;
    Ok(Some(row))
}

/// A store that takes what a late loader brings.
#[tokio::test]
async fn what_an_unfenced_store_took_is_found_within_five_seconds() {
    let store: Arc<dyn Store> = Arc::new(Broken::new(Arc::new(MemoryStore::new()), Lacks::Fences));
    let source = Source::with(|builder| builder.store(store.clone()));
    let other = Cache::builder().store(store).build().expect("acceptable settings");
    source.permits.forget_permits(usize::MAX);
    let load = tokio::spawn(slow(source.clone()));
    wait_for("the load has read its row", || source.queries() == 1).await;
    source.write(|row| row.name = "coffee".to_owned());
    other.entry::<Row>("slow", "only").evict().await.expect("evicted");
    source.permits.add_permits(100_000);
    load.await.unwrap().unwrap();
    source.cache.stored().await;
    let mut tenths = 0;
    while source.looks()[2] == 0 {
        tenths += 1;
        assert!(tenths < 50, "five seconds went by: {:?}", source.looks());
        source.clock.advance(SECOND / 10);
        assert_eq!(slow(source.clone()).await.unwrap().unwrap().name, "tea", "it serves what is not true");
        settled().await;
    }
}

#[tokio::test]
async fn a_look_whose_function_hangs_ends_and_the_next_one_begins() {
    let source = Source::new();
    look_that_waits(&source).await;
    tokio::time::pause();
    tokio::time::sleep(61 * SECOND).await;
    settled().await;
    assert_eq!(source.looks()[3], 1, "inconclusive");
    source.clock.advance(SECOND);
    let queries = source.queries();
    held(source.clone()).await.unwrap();
    settled().await;
    assert_eq!(source.queries(), queries + 1, "another look has begun");
}

#[cached(cache = source.cache, skip(source), ttl = "1m", stale = "1h", verify = "100%, inline")]
async fn aging(source: &Source) -> Result<Option<Row>, String> {
    source.query().await
}

/// What is past its TTL is known to be old: whoever finds it loads anew, and nothing is held against it.
#[tokio::test]
async fn a_value_that_is_stale_is_loaded_anew_and_not_looked_at() {
    let source = Source::new();
    aging(&source).await.unwrap();
    source.clock.advance(120 * SECOND);
    source.write(|row| row.name = "coffee".to_owned());
    let loaded = aging(&source).await.unwrap().expect("it is there");
    assert_eq!((loaded.name.as_str(), source.looks()), ("coffee", [0; 4]));
}
