//! In debug builds a tag that is evicted, and that nobody makes, is warned of.

use cachemacro::{Cache, Policy, cache_evict, cached, record};
use cachemacro_tests::Log;
use tracing::Level;

#[cached(prefix = "row", key = "{id}", tags = ["rows", "row:{id}:of"], cache = cache)]
async fn row(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[cached(prefix = "sum", key = "{id}", tags = ["sum:{result}"], cache = cache)]
async fn sum(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[cached(prefix = "any", key = "{id}", tags = vec![format!("any:{id}")], cache = cache)]
async fn any(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[cache_evict(tags = ["row", "row:{id}:of", "secret:{id}"], cache = cache)]
async fn write(cache: &Cache, id: u64) {
    let _ = (cache, id);
}

#[cached(prefix = "sold", key = "{id}", recorded, cache = cache)]
async fn sold(cache: &Cache, id: u64) -> u64 {
    let _ = cache;
    record(["db:sales"]);
    id
}

const SAYS: &str = "is it misspelt?";

fn warned(log: &Log) -> Vec<String> {
    log.found(Level::WARN, SAYS).into_iter().map(|line| line.text).collect()
}

#[test]
fn an_evicted_tag_that_no_template_makes_is_warned_of_once() {
    let log = Log::default();
    log.watch(async {
        let cache = Cache::memory();
        write(&cache, 1).await;
        assert_eq!(warned(&log), [""; 0], "nothing is known yet");
        row(&cache, 1).await;
        sum(&cache, 1).await;
        cache.evict_tags(["rows", "row:7:of", "sum:9"]).await.unwrap();
        assert_eq!(warned(&log), [""; 0], "these are made");
        for id in 2..5 {
            write(&cache, id).await;
        }
        let lines = warned(&log);
        if cfg!(debug_assertions) {
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert!(lines[0].contains("tag=\"row\"") && lines[0].contains("misspelt::write"), "{lines:?}");
            assert!(lines[1].contains("tag=\"secret:{id}\""), "{lines:?}");
            cache.evict_tags(["canary"]).await.unwrap();
            let lines = warned(&log);
            assert!(
                lines.len() == 3 && lines[2].contains("tag=\"#") && !lines[2].contains("canary"),
                "{lines:?}"
            );
        } else {
            assert_eq!(lines, [""; 0]);
        }
    });
}

#[test]
fn where_tags_may_be_any_nothing_is_warned_of() {
    let log = Log::default();
    log.watch(async {
        let cache = Cache::memory();
        row(&cache, 1).await;
        any(&cache, 1).await;
        write(&cache, 1).await;
        let by_hand = Cache::memory();
        row(&by_hand, 1).await;
        by_hand.entry("n", 1).with_tags(["secret:1"]).set(&1).await.unwrap();
        write(&by_hand, 1).await;
        let late = Cache::memory();
        row(&late, 1).await;
        drop(late.entry::<u8>("n", 1).with_late_tags());
        write(&late, 1).await;
        assert_eq!(warned(&log), [""; 0]);
    });
}

/// What loads record is in no template, so that a write to what one of them read is no mistake.
#[test]
fn where_loads_record_what_they_read_nothing_is_warned_of() {
    let log = Log::default();
    log.watch(async {
        let cache = Cache::memory();
        row(&cache, 1).await;
        sold(&cache, 1).await;
        cache.evict_tags(["db:sales"]).await.unwrap();
        cache.evict_tags(["db:sales/7"]).await.unwrap();
        let by_hand = Cache::memory();
        row(&by_hand, 1).await;
        let entry = by_hand.entry::<u64>("sold", 1).with_policy(Policy::new().recorded(true));
        entry.get_or_load(async || 7).await;
        by_hand.evict_tags(["db:sales"]).await.unwrap();
        assert_eq!(warned(&log), [""; 0]);
    });
}
