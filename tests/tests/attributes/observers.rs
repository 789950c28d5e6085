//! Observers are told of each event once, with its site and how long it took, and cannot make a call fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachemacro::{Cache, Event, MissReason, Observation, Observer, Stats, cache_evict, cache_put, cached};

/// What an observer was told: the event, its function, and whether it came with a time.
type Told = (Event, Option<&'static str>, bool);

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Told>>>);

impl Observer for Log {
    fn event(&self, seen: &Observation<'_>) {
        let site = seen.site.map(cachemacro::SiteId::function);
        self.0.lock().expect("no test panics in it").push((seen.event, site, seen.took.is_some()));
    }
}

impl Log {
    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut *self.0.lock().expect("no test panics in it"))
    }

    /// Without round trips and bytes.
    fn take_calls(&self) -> Vec<(Event, Option<&'static str>)> {
        let incidental =
            |event: &Event| matches!(event, Event::StoreCall | Event::BytesRead(_) | Event::BytesWritten(_));
        let told = self.take().into_iter().map(|(event, site, _)| (event, site));
        told.filter(|(event, _)| !incidental(event)).collect()
    }
}

fn observed(observer: impl Observer) -> Cache {
    Cache::builder().memory().observer(observer).build().expect("acceptable settings")
}

#[cached(prefix = "seen", key = "{id}", entry = seen_entry)]
async fn seen(id: u64) -> Option<u64> {
    (id < 100).then_some(id)
}

#[cache_put(entry = seen_entry(id))]
async fn put(id: u64) -> Option<u64> {
    Some(id)
}

#[cache_evict(entry = seen_entry(id), tags = ["all"])]
async fn evict(id: u64) {}

#[tokio::test]
async fn each_event_comes_once_with_its_site() {
    let log = Log::default();
    let cache = observed(log.clone());
    cache
        .scope(async {
            let at = Some("seen");
            seen(1).await;
            let loaded = [Event::Miss(MissReason::Absent), Event::Load, Event::Loaded, Event::Fill];
            assert_eq!(log.take_calls(), loaded.map(|event| (event, at)));
            seen(1).await;
            assert_eq!(log.take_calls(), [(Event::Hit, at)]);
            put(1).await;
            assert_eq!(log.take_calls(), [(Event::Fill, at), (Event::Put, at)], "a put counts for its entry");
            evict(1).await;
            assert_eq!(
                log.take_calls(),
                [(Event::TagEvict(1), Some("evict")), (Event::Evict(1), Some("evict"))]
            );
        })
        .await;
    cache.set("direct", 1, &7).await.expect("memory does not fail");
    assert_eq!(log.take_calls(), [(Event::Put, None)]);
}

#[tokio::test]
async fn loads_and_round_trips_come_with_their_time() {
    let log = Log::default();
    let cache = observed(log.clone());
    cache.get_or_load("n", 1, async || 7).await;
    let told = log.take();
    for (event, _, timed) in &told {
        assert_eq!(*timed, matches!(event, Event::Loaded | Event::StoreCall), "{event:?}");
    }
    let calls = told.iter().filter(|(event, ..)| *event == Event::StoreCall).count() as u64;
    assert_eq!(cache.stats().total.store_time.count(), calls);
    assert_eq!(cache.stats().total.load_time.count(), 1);
}

/// All counters that are numbers, and both histograms' counts.
fn numbers(stats: &Stats) -> [u64; 10] {
    [
        stats.hits,
        stats.misses(),
        stats.loads,
        stats.fills,
        stats.puts,
        stats.evicts,
        stats.tag_evicts,
        stats.bytes_read,
        stats.load_time.count(),
        stats.store_time.count(),
    ]
}

#[tokio::test]
async fn totals_are_the_sums_of_sites_and_of_what_has_none() {
    let cache = Cache::memory();
    cache
        .scope(async {
            for id in 1..=3 {
                seen(id).await;
                seen(id).await;
            }
            put(2).await;
            evict(1).await;
            let load = async |ids: Vec<u64>| {
                Ok::<HashMap<u64, u64>, ()>(ids.into_iter().map(|id| (id, id)).collect())
            };
            let one_site = cache.try_get_or_load_many([1, 2, 50], |id| seen_entry(*id), load).await;
            assert_eq!(one_site.map(|values| values.len()), Ok(3));
        })
        .await;
    let before = cache.stats();
    assert_eq!(before.sites.len(), 3, "seen, evict, and put, for which nothing is counted");
    let sum = before.sites.iter().fold([0; 10], |mut sum, (_, stats)| {
        sum.iter_mut().zip(numbers(stats)).for_each(|(sum, more)| *sum += more);
        sum
    });
    let total = numbers(&before.total);
    assert_eq!(total[2..9], sum[2..9], "nothing but the batch's round trips was done at no site");
    assert_eq!(before.site("seen").map(|site| site.loads), Some(4), "three calls and one batch");

    cache.set("direct", 1, &7).await.expect("memory does not fail");
    let after = cache.stats();
    assert_eq!(after.total.puts, before.total.puts + 1);
    assert_eq!(after.site("seen").map(|site| site.puts), before.site("seen").map(|site| site.puts));
}

struct Broken;

impl Observer for Broken {
    fn event(&self, seen: &Observation<'_>) {
        panic!("an observer may be broken: {:?}", seen.event);
    }
}

#[tokio::test]
async fn an_observer_that_panics_costs_neither_the_call_nor_the_other_observers() {
    let log = Log::default();
    let cache = Cache::builder().memory().observer(Broken).observer(log.clone()).build();
    let cache = cache.expect("acceptable settings");
    assert_eq!(cache.get_or_load("n", 1, async || 7).await, 7);
    assert_eq!(cache.get::<i32>("n", 1).await.expect("memory does not fail"), Some(7));
    assert!(log.take_calls().contains(&(Event::Hit, None)));
    assert_eq!(cache.stats().total.hits, 1);
}

/// Asks the cache for its stats in the middle of an event.
#[derive(Clone, Default)]
struct Asks(Arc<Mutex<Option<Cache>>>, Log);

impl Observer for Asks {
    fn event(&self, seen: &Observation<'_>) {
        let cache = self.0.lock().expect("no test panics in it").clone();
        if let Some(cache) = cache
            && seen.event == Event::Hit
        {
            assert_eq!(cache.stats().total.hits, 1, "the counters come first");
            let nested = cache.evict_tags(["nested"]);
            let done = futures_util::FutureExt::now_or_never(nested);
            assert!(done.is_some_and(|done| done.is_ok()));
        }
        self.1.event(seen);
    }
}

#[tokio::test]
async fn an_observer_may_use_the_cache() {
    let asks = Asks::default();
    let cache = observed(asks.clone());
    *asks.0.lock().expect("no test panics in it") = Some(cache.clone());
    cache.set("n", 1, &7).await.expect("memory does not fail");
    let read = tokio::time::timeout(Duration::from_secs(30), cache.get::<i32>("n", 1)).await;
    assert_eq!(read.expect("no deadlock").expect("memory does not fail"), Some(7));
    assert!(asks.1.take_calls().contains(&(Event::TagEvict(1), None)));
    asks.0.lock().expect("no test panics in it").take();
}
