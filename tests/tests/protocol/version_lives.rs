//! How long tag versions live: as long as the longest-lived entry that carries them, whatever way that was stored, and not
//! much longer.
//!
//! What was removed once, and the test that failed:
//!
//! | removed | test |
//! |---|---|
//! | what is captured lives by the entry's TTL | `a_version_outlives_its_entry_and_not_by_much` |
//! | a value that lives longer than was known before its load prolongs | `a_version_outlives_an_entry_whose_value_says_its_ttl` |
//! | each version of a batch has the life of its own entries | `in_a_batch_each_tag_has_the_life_of_its_own_entries` |

use std::convert::Infallible;
use std::time::Duration;

use cachemacro::store::Cursor;
use cachemacro::store::faults::Op;
use cachemacro::{Entry, EntryRules, Lookup, Mode, Ttl, cache_put, cached};
use cachemacro_tests::{Process, Rig, on_both_stores};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// How long each tag's version has left in the rig's namespace, shortest first.
async fn lives(rig: &Rig) -> Vec<Duration> {
    let store = rig.store();
    let inspect = store.inspect().expect("both stores can be looked into");
    let prefix = format!("{{{}:tag:", rig.namespace());
    let (mut lives, mut next) = (Vec::new(), Some(Cursor::default()));
    while let Some(cursor) = next {
        let page = inspect.scan(&prefix, &cursor).await.expect("the store answers");
        for key in page.keys {
            // Behind the bucket's name stands the tag's hash; without one it is the bucket's own version.
            if key.ends_with(b"}") {
                continue;
            }
            let raw = inspect.raw(&key).await.expect("the store answers").expect("it does not lapse so soon");
            lives.push(raw.left.expect("each lapses"));
        }
        next = page.next;
    }
    lives.sort_unstable();
    lives
}

/// Asserts that the only version outlives an entry of this TTL, and that it does not live much longer.
async fn assert_follows(rig: &Rig, ttl: Duration, what: &str) {
    let [life] = lives(rig).await[..] else { panic!("{what}: one version, not {:?}", lives(rig).await) };
    assert!(life >= ttl, "{what}: {life:?} is less than {ttl:?}");
    assert!(life <= 4 * ttl + 10 * MINUTE, "{what}: {life:?} for {ttl:?}");
}

fn row(process: &Process, ttl: impl Into<Ttl>) -> Entry<i64> {
    process.cache.entry::<i64>("row", 1).with_ttl(ttl).with_tags(["t"])
}

/// The ways to store an entry.
#[derive(Debug, Clone, Copy)]
enum Way {
    Load,
    Set,
    Update,
    Increment,
    Batch,
    Refresh,
    ByHand,
}

const WAYS: [Way; 7] =
    [Way::Load, Way::Set, Way::Update, Way::Increment, Way::Batch, Way::Refresh, Way::ByHand];

async fn store(process: &Process, entry: &Entry<i64>, way: Way) {
    match way {
        Way::Load => drop(entry.get_or_load(async || 1).await),
        Way::Set => entry.set(&1).await.expect("set"),
        Way::Update => drop(entry.update(|_| 1).await.expect("updated")),
        Way::Increment => drop(entry.increment(1).await.expect("incremented")),
        Way::Batch => {
            let load = async |ids: Vec<u32>| Ok::<_, Infallible>(ids.into_iter().map(|id| (id, 1)).collect());
            let Ok(_) = process.cache.try_get_or_load_many([1], |_| entry.clone(), load).await;
        }
        Way::Refresh => drop(Mode::Refresh.scope(entry.get_or_load(async || 1)).await),
        Way::ByHand => match entry.lookup().await.expect("the store answers") {
            Lookup::Vacant(vacancy) => drop(vacancy.fill(&1).await.expect("filled")),
            Lookup::Hit(_) => panic!("nothing is there"),
        },
    }
    assert_eq!(entry.get().await.expect("the store answers"), Some(1), "{way:?}");
}

async fn a_version_outlives_its_entry_and_not_by_much(rig: Rig) {
    let process = rig.process();
    for way in WAYS {
        for ttl in [SECOND, MINUTE, HOUR, 20 * DAY] {
            process.cache.clear().await.expect("cleared");
            store(&process, &row(&process, ttl), way).await;
            assert_follows(&rig, ttl, &format!("{way:?}")).await;
        }
        process.cache.clear().await.expect("cleared");
        store(&process, &row(&process, Ttl::Never), way).await;
        // As a tagged entry does that never expires.
        assert_follows(&rig, 30 * DAY, &format!("{way:?}")).await;
    }
}

async fn a_version_outlives_an_entry_whose_value_says_its_ttl(rig: Rig) {
    let process = rig.process();
    for way in WAYS {
        for ttl in [MINUTE, 7 * DAY] {
            let late = EntryRules::none().ttl(if ttl == MINUTE {
                |_| Ttl::For(MINUTE)
            } else {
                |_| Ttl::For(7 * DAY)
            });
            process.cache.clear().await.expect("cleared");
            store(&process, &row(&process, MINUTE).with_rules(late), way).await;
            assert_follows(&rig, ttl, &format!("{way:?}")).await;
            // A tag that comes from the value too.
            process.cache.clear().await.expect("cleared");
            let entry = process.cache.entry::<i64>("row", 1).with_ttl(MINUTE);
            store(&process, &entry.with_rules(late.tags(|_| vec!["t".to_owned()])), way).await;
            assert_follows(&rig, ttl, &format!("{way:?}, tagged late")).await;
        }
    }
}

#[cached(prefix = "maybe", key = "{id}", ttl = "1m", jitter = "100%", cache_none, none_ttl = "2d", tags = ["t"], entry = maybe_entry)]
async fn maybe(id: u32, there: bool) -> Option<u32> {
    there.then_some(id)
}

#[cached(prefix = "said", key = "{id}", ttl = Duration::from_secs(*result), jitter = "0%", tags = ["t"], entry = said_entry)]
async fn said(id: u32, seconds: u64) -> u64 {
    let _ = id;
    seconds
}

#[cache_put(entry = said_entry(id))]
async fn say(id: u32, seconds: u64) -> u64 {
    seconds
}

async fn what_an_attribute_says_of_lives_counts(rig: Rig) {
    let process = rig.process();
    process
        .cache
        .scope(async {
            maybe(1, false).await;
            assert_follows(&rig, 2 * DAY, "a stored None").await;
            process.cache.clear().await.expect("cleared");
            said(1, 3 * 24 * 3_600).await;
            assert_follows(&rig, 3 * DAY, "a TTL of the value").await;
            process.cache.clear().await.expect("cleared");
            say(1, 3 * 24 * 3_600).await;
            assert_follows(&rig, 3 * DAY, "a put whose TTL is the value's").await;
        })
        .await;
}

async fn in_a_batch_each_tag_has_the_life_of_its_own_entries(rig: Rig) {
    let process = rig.process();
    let entry = |id: &u32| {
        let ttl = [MINUTE, HOUR, 20 * DAY][*id as usize % 3];
        process.cache.entry::<u32>("row", id).with_ttl(ttl).with_tags([format!("t{}", id % 3)])
    };
    let load = async |ids: Vec<u32>| Ok::<_, Infallible>(ids.into_iter().map(|id| (id, id)).collect());
    let Ok(found) = process.cache.try_get_or_load_many(0..30, entry, load).await;
    assert_eq!(found.len(), 30);
    assert_eq!(process.faults.count(Op::Lease), 1, "captured by one request");
    let lives = lives(&rig).await;
    assert_eq!(lives.len(), 3);
    for (life, ttl) in lives.into_iter().zip([MINUTE, HOUR, 20 * DAY]) {
        assert!((ttl..=4 * ttl + 10 * MINUTE).contains(&life), "{life:?} for {ttl:?}");
    }
}

/// Upholds G1.
async fn a_versions_life_follows_the_longest_ttl_and_is_never_shortened(rig: Rig) {
    let process = rig.process();
    let entry = |id: u32, ttl| process.cache.entry::<u32>("row", &id).with_ttl(ttl).with_tags(["t"]);
    let mut longest = Duration::ZERO;
    for (id, ttl) in [(1, MINUTE), (2, DAY), (3, MINUTE), (4, 10 * DAY), (5, SECOND), (6, HOUR)] {
        entry(id, ttl).get_or_load(async || id).await;
        longest = longest.max(ttl);
        assert_follows(&rig, longest, &format!("after {id}")).await;
    }
    for id in [2, 4] {
        assert_eq!(
            entry(id, DAY).get().await.expect("the store answers"),
            Some(id),
            "of one version all along"
        );
    }
    // Reading does not touch it.
    let [before] = lives(&rig).await[..] else { panic!("one version") };
    for _ in 0..10 {
        entry(4, 30 * DAY).get_or_load(async || 0).await;
    }
    let [after] = lives(&rig).await[..] else { panic!("one version") };
    assert!(after <= before);
    assert_eq!(process.faults.count(Op::Capture), 0);
}

on_both_stores!(
    a_version_outlives_its_entry_and_not_by_much,
    a_version_outlives_an_entry_whose_value_says_its_ttl,
    what_an_attribute_says_of_lives_counts,
    in_a_batch_each_tag_has_the_life_of_its_own_entries,
    a_versions_life_follows_the_longest_ttl_and_is_never_shortened,
);
