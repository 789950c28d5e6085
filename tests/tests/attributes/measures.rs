//! What `Cache::stats` tells of real calls: times and bytes, of each annotated function and in total.

use std::time::Duration;

use cachemacro::store::faults::Op;
use cachemacro::{CacheStats, ErrorKind, MissReason, Stats, cache_put, cached};
use cachemacro_tests::{Process, Rig, on_both_stores};

/// What a slow load takes at least.
const SLOW: Duration = Duration::from_millis(20);

/// What the slow function returns.
fn value() -> Vec<u8> {
    vec![7; 1_000]
}

#[cached(prefix = "slow", key = "{id}", tags = ["slow"], entry = slow_entry)]
async fn slow(id: u32) -> Vec<u8> {
    let _ = id;
    // The time that is measured, and nothing that is waited for.
    tokio::time::sleep(SLOW).await;
    value()
}

#[cached(prefix = "quick", key = "{id}", entry = quick_entry)]
async fn quick(id: u32) -> u32 {
    id
}

#[cached(prefix = "failing", key = "{id}")]
async fn failing(id: u32) -> Result<u32, String> {
    Err(id.to_string())
}

#[cache_put(entry = slow_entry(id))]
async fn write(id: u32) -> Vec<u8> {
    let _ = id;
    value()
}

fn site<'a>(stats: &'a CacheStats, name: &str) -> &'a Stats {
    stats.site(name).unwrap_or_else(|| panic!("{name} was called: {:?}", stats.sites))
}

/// How many bytes are stored under a key.
async fn stored(rig: &Rig, key: &str) -> u64 {
    rig.raw(key).await.expect("it is stored").len() as u64
}

/// How often the store was asked for anything that a call waits for.
fn asked(process: &Process) -> u64 {
    [Op::Read, Op::Lease, Op::Fill, Op::Versions, Op::Capture].map(|op| process.faults.count(op)).iter().sum()
}

async fn the_bytes_of_entries_are_counted_where_they_were_read_and_written(rig: Rig) {
    let process = rig.process();
    process
        .cache
        .scope(async {
            slow(1).await;
            slow(2).await;
            quick(1).await;
            let (large, small) = (stored(&rig, "slow:1").await, stored(&rig, "quick:1").await);
            assert!(large > 1_000 && small < large, "{large} {small}");
            let stats = process.cache.stats();
            assert_eq!((site(&stats, "slow").bytes_written, site(&stats, "slow").bytes_read), (2 * large, 0));
            assert_eq!((site(&stats, "quick").bytes_written, site(&stats, "quick").bytes_read), (small, 0));
            assert_eq!(stats.total.bytes_written, 2 * large + small);
            for _ in 0..3 {
                slow(1).await;
                quick(1).await;
            }
            // Direct calls on its entry are the function's.
            slow_entry(1).get().await.expect("the store answers").expect("it is there");
            let stats = process.cache.stats();
            assert_eq!(site(&stats, "slow").bytes_read, 4 * large);
            assert_eq!(site(&stats, "quick").bytes_read, 3 * small);
            assert_eq!(stats.total.bytes_read, 4 * large + 3 * small);
            assert_eq!(stats.total.bytes_written, 2 * large + small, "reading writes nothing");
            // So are puts and sets of it.
            write(1).await;
            slow_entry(2).set(&value()).await.expect("set");
            let stats = process.cache.stats();
            let of_site = site(&stats, "slow");
            assert_eq!((of_site.bytes_written, of_site.puts), (4 * large, 2));
            assert_eq!((stats.total.bytes_written, stats.total.puts), (4 * large + small, 2));
        })
        .await;
}

async fn the_time_of_loads_is_measured(rig: Rig) {
    let process = rig.process();
    process
        .cache
        .scope(async {
            for _ in 0..3 {
                slow(1).await;
                slow(2).await;
                quick(1).await;
                failing(1).await.expect_err("it fails");
            }
        })
        .await;
    let stats = process.cache.stats();
    for (name, loads) in [("slow", 2), ("quick", 1), ("failing", 3)] {
        let of_site = site(&stats, name);
        assert_eq!((of_site.loads, of_site.load_time.count()), (loads, loads), "{name}: hits load nothing");
    }
    assert_eq!((stats.total.loads, stats.total.load_time.count()), (6, 6));
    for load_time in [site(&stats, "slow").load_time, stats.total.load_time] {
        assert!(load_time.quantile(1.0) >= SLOW, "{load_time:?}");
    }
    let least = site(&stats, "slow").load_time.quantile(0.0);
    assert!(least >= SLOW, "each took that long: {least:?}");
    // The entry tells it too.
    let meta = process.cache.scope(async { slow_entry(1).meta().await }).await;
    assert!(meta.expect("the store answers").expect("it is there").load_time >= SLOW);
}

async fn the_time_of_the_stores_answers_is_measured(rig: Rig) {
    let process = rig.process();
    process
        .cache
        .scope(async {
            quick(1).await;
            quick(1).await;
            let stats = process.cache.stats();
            assert_eq!(stats.total.store_time.count(), 2 + 1 + 1, "two reads, a lease and a fill");
            assert_eq!(asked(&process), 4);
            assert_eq!(site(&stats, "quick").store_time.count(), 4);
            slow(1).await;
            write(1).await;
            let stats = process.cache.stats();
            assert_eq!(site(&stats, "quick").store_time.count(), 4);
            assert_eq!(site(&stats, "slow").store_time.count(), 3 + 2, "read, lease, fill; lease, fill");
            assert_eq!(stats.total.store_time.count(), asked(&process));
            // The time is the store's, not the load's.
            process.faults.delay(Op::Read, 3 * SLOW);
            slow(1).await;
            process.faults.heal();
            let stats = process.cache.stats();
            assert!(site(&stats, "slow").store_time.quantile(1.0) >= 3 * SLOW);
            assert!(stats.total.store_time.quantile(1.0) >= 3 * SLOW);
            assert_eq!(site(&stats, "slow").load_time.count(), 1);
        })
        .await;
}

async fn hits_misses_and_errors_are_the_sites_and_add_up(rig: Rig) {
    let process = rig.process();
    process
        .cache
        .scope(async {
            slow(1).await;
            process.cache.evict_tags(["slow"]).await.expect("evicted");
            slow(1).await;
            for _ in 0..3 {
                quick(1).await;
            }
            failing(1).await.expect_err("it fails");
            process.faults.fail_next(Op::Read, 1, ErrorKind::Io);
            quick(1).await;
            process.faults.fail_next(Op::Lease, 1, ErrorKind::Timeout);
            slow(2).await;
        })
        .await;
    let stats = process.cache.stats();
    let (slow, quick, failing) = (site(&stats, "slow"), site(&stats, "quick"), site(&stats, "failing"));
    assert_eq!((slow.hits, slow.misses(), slow.fills), (0, 3, 2));
    assert_eq!((slow.misses_for(MissReason::Absent), slow.misses_for(MissReason::TagEvicted)), (2, 1));
    assert_eq!((slow.errors(), slow.errors_of(ErrorKind::Timeout)), (1, 1));
    assert_eq!((quick.hits, quick.misses(), quick.misses_for(MissReason::StoreFailed)), (2, 2, 1));
    assert_eq!((quick.errors(), quick.errors_of(ErrorKind::Io)), (1, 1));
    assert_eq!((failing.failed_loads, failing.misses(), failing.fills, failing.errors()), (1, 1, 0, 0));
    assert!(
        stats.sites.is_sorted_by(|one, next| one.0 < next.0) && stats.sites.len() == 3,
        "{:?}",
        stats.sites
    );
    assert_eq!(
        stats.site(concat!(module_path!(), "::quick")).map(|site| site.hits),
        Some(2),
        "by its module's path too"
    );
    let sum = |count: fn(&Stats) -> u64| stats.sites.iter().map(|(_, site)| count(site)).sum::<u64>();
    let counts: [fn(&Stats) -> u64; 6] = [
        |stats| stats.hits,
        Stats::misses,
        |stats| stats.loads,
        |stats| stats.fills,
        Stats::errors,
        |stats| stats.failed_loads,
    ];
    for (at, count) in counts.into_iter().enumerate() {
        assert_eq!(sum(count), count(&stats.total), "{at}");
    }
    assert_eq!(stats.total.tag_evicts, 1);
}

on_both_stores!(
    the_bytes_of_entries_are_counted_where_they_were_read_and_written,
    the_time_of_loads_is_measured,
    the_time_of_the_stores_answers_is_measured,
    hits_misses_and_errors_are_the_sites_and_add_up,
);
