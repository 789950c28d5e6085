//! What is stored, for how long and for whom: modes, conditions, sizes, TTLs, absent rows and errors.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cachemacro::__private::{NoRules, Opt, Outcome, Plain, Res, Shareable, When, Writes, load, write};
use cachemacro::header::{COMPRESSED, Header};
use cachemacro::store::faults::Op;
use cachemacro::{Cache, Entry, EntryRules, ErrorKind, MissReason, Mode, Policy, Ttl, cached};
use cachemacro_tests::halt::{ended, reached};
use cachemacro_tests::{Process, Rig, on_both_stores, wait_for};

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

fn entry(process: &Process) -> Entry<u32> {
    process.cache.entry("row", 7).with_tags(["tag"])
}

/// Everything that reads or writes an entry.
const OPS: [Op; 11] = [
    Op::Read,
    Op::ReadHead,
    Op::Versions,
    Op::Capture,
    Op::Lease,
    Op::Renew,
    Op::Release,
    Op::Fill,
    Op::Set,
    Op::CompareAndSet,
    Op::Increment,
];

/// How often the store was asked for anything.
fn asked(process: &Process) -> u64 {
    OPS.iter().map(|op| process.faults.count(*op)).sum()
}

async fn a_bypass_leaves_the_store_alone_and_still_evicts(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process);
    entry.set(&1).await.expect("set");
    let before = asked(&process);
    Mode::Bypass
        .scope(async {
            assert_eq!(entry.get_or_load(async || 2).await, 2);
            assert_eq!(entry.get().await.expect("nothing is asked"), None);
            assert!(!entry.has().await.expect("nothing is asked"));
            // Inside another mode the inner one holds.
            assert_eq!(Mode::Normal.scope(entry.get_or_load(async || 3)).await, 1);
            // A task of its own is not bypassed.
            let spawned = tokio::spawn({
                let entry = entry.clone();
                async move { entry.get_or_load(async || 4).await }
            });
            assert_eq!(spawned.await.expect("no panic"), 1);
        })
        .await;
    assert_eq!(asked(&process), before + 2, "the two reads outside the bypass");
    assert_eq!(entry.get().await.expect("the store answers"), Some(1));
    let put = Writes::new(Plain).put(Some(entry.clone()), NoRules, false);
    Mode::Bypass.scope(write(put, pin!(async { 5 }), |_, writes| writes)).await;
    assert_eq!(entry.get().await.expect("the store answers"), None, "outdated, so evicted");
}

async fn a_refresh_loads_anew_and_stores(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process);
    assert_eq!(entry.get_or_load(async || 1).await, 1);
    assert_eq!(Mode::Refresh.scope(entry.get_or_load(async || 2)).await, 2);
    assert_eq!(entry.get_or_load(async || 3).await, 2);
    // A body that reaches its own key does not come between.
    let inner = async || entry.get_or_load(async || 20).await + 1;
    assert_eq!(Mode::Refresh.scope(entry.get_or_load(inner)).await, 21);
    assert_eq!(entry.get_or_load(async || 3).await, 21);
    entry.set(&2).await.expect("set");
    // One that fails leaves what is there.
    let failed = Mode::Refresh.scope(entry.try_get_or_load(async || Err("no"))).await;
    assert_eq!(failed, Err("no"));
    assert_eq!(entry.get_or_load(async || 4).await, 2);
    // One that finds no row removes it.
    let mut body = pin!(async { None });
    let gone = Mode::Refresh.scope(load(Some(entry.clone()), Opt, NoRules, body.as_mut())).await;
    assert_eq!((gone, entry.get().await.expect("the store answers")), (None, None));
}

async fn where_the_condition_is_false_the_cache_is_left_alone(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process);
    entry.set(&1).await.expect("set");
    let before = asked(&process);
    assert_eq!(load(None, Plain, NoRules, pin!(async { 2 })).await, 2);
    let put = Writes::new(Plain).put(None, NoRules, false);
    assert_eq!(write(put, pin!(async { 3 }), |_, writes| writes).await, 3);
    assert_eq!((asked(&process), process.faults.count(Op::Evict)), (before, 0));
    assert_eq!(entry.get().await.expect("the store answers"), Some(1));
}

async fn a_disabled_cache_runs_functions_and_evicts(rig: Rig) {
    let process = rig.process_with(|builder| builder.disabled(true));
    let others = rig.process();
    let (cache, entry) = (&process.cache, entry(&process));
    assert_eq!(entry.get_or_load(async || 1).await, 1);
    assert_eq!(entry.get_or_load(async || 2).await, 2);
    assert_eq!(entry.get().await.expect("nothing to do"), None);
    assert!(!entry.has().await.expect("nothing to do"));
    let double = async |ids: Vec<u32>| ids.into_iter().map(|id| (id, id * 2)).collect();
    assert_eq!(cache.get_or_load_many::<u32, u32, _>("many", [1], double).await[&1], 2);
    let writes = Writes::new(Plain).put(Some(entry.clone()), NoRules, false);
    let writes = writes.evict(Some(cache), When { before: true, on_err: true }).evict_tags(["tag"]);
    assert_eq!(write(writes, pin!(async { 4 }), |_, writes| writes).await, 4);
    // What others have stored is outdated by the writes of this process, too.
    let theirs = self::entry(&others);
    let outdated = async |what: &str, tags: u64| {
        assert_eq!(theirs.get().await.expect("the store answers"), None, "{what}");
        theirs.set(&5).await.expect("set");
        assert_eq!(process.faults.count(Op::EvictTags), tags);
    };
    outdated("a put and an evict of a tag", 2).await;
    entry.set(&3).await.expect("evicted");
    outdated("a set", 2).await;
    entry.evict().await.expect("evicted");
    outdated("a delete", 2).await;
    assert_eq!(asked(&process), 0, "nothing else is asked of the store");
}

async fn what_is_over_the_size_limit_is_returned_and_not_stored(rig: Rig) {
    let process = rig.process_with(|builder| builder.max_value(100));
    let entry = process.cache.entry::<Vec<u8>>("large", 7);
    let value = |length: usize| vec![7; length];
    // One byte of the hundred is its length.
    assert_eq!(entry.get_or_load(async || value(100)).await.len(), 100);
    assert_eq!(entry.get().await.expect("the store answers"), None);
    assert_eq!(entry.get_or_load(async || value(99)).await.len(), 99);
    assert_eq!(entry.get_or_load(async || value(100)).await.len(), 99, "it was small enough");
    process.cache.stored().await;
    let stats = process.cache.stats().total;
    assert_eq!((stats.too_large, stats.fills, stats.errors_of(ErrorKind::TooLarge)), (1, 1, 1));
    // What is written through and too large removes what is there, whichever way.
    let put = Writes::new(Plain).put(Some(entry.clone()), NoRules, false);
    assert_eq!(write(put, pin!(async { value(100) }), |_, writes| writes).await.len(), 100);
    assert_eq!(entry.get().await.expect("the store answers"), None);
    entry.set(&value(99)).await.expect("set");
    assert_eq!(entry.set(&value(100)).await.expect_err("too large").kind(), ErrorKind::TooLarge);
    assert_eq!(entry.get().await.expect("the store answers"), None);
}

async fn large_values_are_compressed_where_that_makes_them_smaller(rig: Rig) {
    let process = rig.process_with(|builder| builder.compress_over(200));
    let stored = async |id: &str, text: &str| {
        let entry = process.cache.entry::<String>("text", id);
        entry.set(&text.to_owned()).await.expect("set");
        assert_eq!(entry.get().await.expect("the store answers").as_deref(), Some(text), "{id}");
        let bytes = rig.raw(&format!("text:{id}")).await.expect("it is stored");
        (Header::parse(&bytes).expect("an entry").has(COMPRESSED), bytes.len())
    };
    let mut dice = cachemacro_tests::Dice::new(7);
    let random: String = (0..2_000)
        .map(|_| char::from_digit(u32::try_from(dice.below(36)).expect("small"), 36).expect("a digit"))
        .collect();
    assert!(!stored("short", &"x".repeat(150)).await.0);
    let (compressed, length) = stored("long", &"x".repeat(10_000)).await;
    assert!(compressed && length < 300, "{length}");
    assert!(!stored("random", &random).await.0, "it would not be smaller");
    // Who does not compress reads it; who allows less does not inflate it.
    let entry = |process: &Process| process.cache.entry::<String>("text", "long");
    assert!(entry(&rig.process()).get().await.expect("the store answers").is_some());
    let small = rig.process_with(|builder| builder.max_value(1_000));
    assert_eq!(entry(&small).get().await.expect("the store answers"), None);
    assert_eq!(small.cache.stats().total.misses_for(MissReason::Undecodable), 1);
}

async fn a_ttl_of_nothing_is_not_stored(rig: Rig) {
    let process = rig.process();
    for ttl in [Duration::ZERO, Duration::from_micros(999)] {
        let entry = entry(&process).with_ttl(ttl);
        assert_eq!(entry.get_or_load(async || 1).await, 1, "{ttl:?}");
        assert_eq!(entry.get_or_load(async || 2).await, 2, "{ttl:?}");
        // What is written through and not to be stored removes what is there.
        self::entry(&process).set(&3).await.expect("set");
        entry.set(&4).await.expect("set");
        assert_eq!(entry.get().await.expect("the store answers"), None, "{ttl:?}");
        self::entry(&process).set(&3).await.expect("set");
        let put = Writes::new(Plain).put(Some(entry.clone()), NoRules, false);
        write(put, pin!(async { 4 }), |_, writes| writes).await;
        assert_eq!(entry.get().await.expect("the store answers"), None, "{ttl:?}");
    }
    process.cache.stored().await;
    let stats = process.cache.stats().total;
    assert_eq!(
        (stats.fills, stats.not_stored),
        (0, 6),
        "two loads and a put each time; a set says so itself"
    );
    let entry = entry(&process).with_ttl(Duration::from_millis(1));
    entry.get_or_load(async || 1).await;
    process.cache.stored().await;
    process.cache.stored().await;
    assert_eq!(process.cache.stats().total.fills, 1, "a millisecond is something");
}

async fn the_ttl_is_the_values_the_calls_the_sites_or_the_caches(rig: Rig) {
    let process = rig.process_with(|builder| builder.ttl(MINUTE));
    let base = || process.cache.entry::<u32>("row", 7);
    let site = Policy::new().ttl(Ttl::For(2 * MINUTE));
    let rules = EntryRules::none().ttl(|minutes: &u32| Ttl::For(*minutes * MINUTE));
    for (what, entry, minutes) in [
        ("the cache's", base(), 1),
        ("the site's", base().with_policy(site), 2),
        ("the call's", base().with_policy(site).with_ttl(3 * MINUTE), 3),
        ("the value's", base().with_policy(site).with_ttl(3 * MINUTE).with_rules(rules), 4),
    ] {
        entry.evict().await.expect("evicted");
        entry.get_or_load(async || 4).await;
        let ttl = entry.ttl().await.expect("the store answers").expect("it is there");
        let full = minutes * MINUTE;
        assert!(ttl <= full && ttl + MINUTE / 2 > full, "{what}: {ttl:?}");
    }
}

async fn never_is_a_long_time_and_with_tags_thirty_days(rig: Rig) {
    let process = rig.process();
    let never = process.cache.entry::<u32>("row", 8).with_ttl(Ttl::Never);
    let tagged = entry(&process).with_ttl(Ttl::Never);
    let longer = process.cache.entry::<u32>("row", 9).with_tags(["tag"]).with_ttl(90 * DAY);
    let late = process.cache.entry::<u32>("row", 10).with_ttl(Ttl::Never);
    let late = late.with_rules(EntryRules::none().tags(|_| vec!["late".to_owned()]));
    for entry in [&never, &tagged, &longer, &late] {
        entry.get_or_load(async || 1).await;
    }
    let ttl = async |entry: &Entry<u32>| entry.ttl().await.expect("the store answers").expect("it is there");
    assert!(ttl(&never).await > 365 * DAY);
    for entry in [&tagged, &longer, &late] {
        let ttl = ttl(entry).await;
        assert!(ttl <= 30 * DAY && ttl > 29 * DAY, "{ttl:?}");
    }
}

async fn jitter_spreads_ttls_by_its_part_of_them(rig: Rig) {
    let process = rig.process_with(|builder| builder.jitter(10).ttl(100 * MINUTE));
    let spread = async |policy: Policy| {
        let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
        for id in 0..200_u32 {
            let entry = process.cache.entry::<u32>("row", &id).with_policy(policy);
            entry.set(&1).await.expect("set");
            let ttl = entry.ttl().await.expect("the store answers").expect("it is there");
            shortest = shortest.min(ttl);
            longest = longest.max(ttl);
        }
        (shortest, longest)
    };
    // On a busy server, what is told may already be some seconds old.
    let (shortest, longest) = spread(Policy::new()).await;
    assert!(shortest >= 89 * MINUTE && longest <= 110 * MINUTE, "{shortest:?} {longest:?}");
    assert!(shortest < 93 * MINUTE && longest > 107 * MINUTE, "{shortest:?} {longest:?}");
    let (shortest, longest) = spread(Policy::new().jitter(0)).await;
    assert!(shortest > 99 * MINUTE && longest <= 100 * MINUTE, "{shortest:?} {longest:?}");
    let (shortest, longest) = spread(Policy::new().jitter(50)).await;
    assert!(shortest < 65 * MINUTE && longest > 135 * MINUTE, "{shortest:?} {longest:?}");
}

/// One call of a function that returns an `Option` or a `Result`.
async fn call<R, O: Outcome<R, Value = u32>>(entry: &Entry<u32>, outcome: O, returns: R) -> R {
    load(Some(entry.clone()), outcome, NoRules, pin!(async { returns })).await
}

async fn an_absent_row_is_stored_where_the_site_says_so(rig: Rig) {
    let process = rig.process();
    let plain = entry(&process);
    assert_eq!(call(&plain, Opt, None).await, None);
    assert_eq!(call(&plain, Opt, Some(1)).await, Some(1), "it was not stored");
    plain.evict().await.expect("evicted");

    let policy = Policy::new().cache_none(true).none_ttl(Ttl::For(MINUTE));
    let entry = plain.clone().with_policy(policy);
    assert_eq!(call(&entry, Opt, None).await, None);
    assert_eq!(call(&entry, Opt, Some(1)).await, None, "it was");
    let before = process.cache.stats().total;
    assert_eq!(entry.get().await.expect("the store answers"), None);
    assert!(!entry.has().await.expect("the store answers"));
    assert!(entry.ttl().await.expect("the store answers").is_some_and(|ttl| ttl <= MINUTE));
    let after = process.cache.stats().total;
    assert_eq!(
        (after.hits, after.misses()),
        (before.hits + 1, before.misses()),
        "that there is none was known"
    );
    // Its tags hold for it too.
    process.cache.evict_tags(["tag"]).await.expect("evicted");
    assert_eq!(call(&entry, Opt, Some(1)).await, Some(1));
}

async fn an_error_is_never_stored_unless_the_site_says_so(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process);
    assert_eq!(call(&entry, Res::<Shareable>::NEW, Err("no")).await, Err("no"));
    assert_eq!(call(&entry, Res::<Shareable>::NEW, Ok::<_, &str>(1)).await, Ok(1));
    process.cache.stored().await;
    process.cache.stored().await;
    let stats = process.cache.stats().total;
    assert_eq!((stats.failed_loads, stats.fills), (1, 1));
}

#[cached(prefix = "failing", key = "{id}", cache = cache, cache_err, wait = "0s", entry = failing_entry)]
async fn failing(cache: &Cache, id: u32, loads: &AtomicU32) -> Result<u32, String> {
    loads.fetch_add(1, Ordering::SeqCst);
    Err("no".to_owned())
}

/// It is stored behind the back of its caller, and whoever calls meanwhile waits for it, however short its patience.
async fn an_error_that_is_stored_is_loaded_once(rig: Rig) {
    let (process, loads) = (rig.process(), Arc::new(AtomicU32::new(0)));
    let no = || Err("no".to_owned());
    for _ in 0..3 {
        assert_eq!(failing(&process.cache, 7, &loads).await, no());
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    failing_entry(&process.cache, 7).evict().await.expect("evicted");
    let fill = process.faults.gate(Op::Fill);
    assert_eq!(failing(&process.cache, 7, &loads).await, no());
    reached(&fill).await;
    let pending = || process.cache.stats().total.misses_for(MissReason::Pending);
    let before = pending();
    let others: Vec<_> = (0..3)
        .map(|_| {
            let (cache, loads) = (process.cache.clone(), loads.clone());
            tokio::spawn(async move { failing(&cache, 7, &loads).await })
        })
        .collect();
    wait_for("they find that it is not stored yet", || pending() == before + 3).await;
    fill.open();
    for other in others {
        assert_eq!(ended(other).await, no());
    }
    assert_eq!(loads.load(Ordering::SeqCst), 2, "once before the evict and once after it");
}

#[cached(prefix = "briefly", key = "{id}", cache = cache, ttl = "1h", err_ttl = "1m", entry = briefly_entry)]
async fn failing_briefly(cache: &Cache, id: u32) -> Result<u32, String> {
    Err("no".to_owned())
}

async fn an_error_is_stored_as_long_as_the_site_says(rig: Rig) {
    let process = rig.process();
    assert_eq!(failing_briefly(&process.cache, 7).await, Err("no".to_owned()));
    wait_for("it is stored", || process.cache.stats().total.fills == 1).await;
    let ttl = briefly_entry(&process.cache, 7).ttl().await.expect("the store answers").expect("it is there");
    assert!(ttl <= MINUTE && ttl + MINUTE / 2 > MINUTE, "{ttl:?}");
}

async fn what_says_that_there_is_nothing_has_a_quota(rig: Rig) {
    let process = rig.process_with(|builder| builder.negatives(3));
    let policy = Policy::new().cache_none(true).ttl(Ttl::For(DAY));
    let row = |id: u32| process.cache.entry::<u32>("row", id).with_policy(policy);
    for id in 0..5 {
        assert_eq!(call(&row(id), Opt, None).await, None);
        assert_eq!(call(&row(id + 10), Opt, Some(1)).await, Some(1), "a value has none");
    }
    process.cache.stored().await;
    process.cache.stored().await;
    let stats = process.cache.stats().total;
    assert_eq!((stats.fills, stats.not_stored), (5 + 3, 2));
    assert_eq!(failing_briefly(&process.cache, 7).await, Err("no".to_owned()));
    wait_for("another function has its own", || process.cache.stats().total.fills == 9).await;
}

async fn what_its_rules_refuse_is_returned_and_not_stored(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process).with_rules(EntryRules::none().unless(|value| *value == 0));
    assert_eq!(entry.get_or_load(async || 0).await, 0);
    assert_eq!(entry.get_or_load(async || 1).await, 1);
    process.cache.stored().await;
    assert_eq!(process.cache.stats().total.not_stored, 1);
    entry.set(&0).await.expect("set");
    assert_eq!(entry.get().await.expect("the store answers"), None, "and removes what is there");
}

async fn arguments_that_cannot_be_a_key_run_the_function_uncached(rig: Rig) {
    /// A map whose serialization fails.
    struct NoKey;
    impl serde::Serialize for NoKey {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not a key"))
        }
    }
    let process = rig.process();
    let entry = process.cache.entry::<u32>("row", &NoKey);
    assert_eq!(entry.key(), None);
    for round in 0..2 {
        assert_eq!(entry.get_or_load(async || round).await, round);
    }
    assert_eq!(entry.get().await.expect_err("no key").kind(), ErrorKind::Key);
    assert_eq!(entry.set(&1).await.expect_err("no key").kind(), ErrorKind::Key);
    assert_eq!(entry.evict().await.expect_err("no key").kind(), ErrorKind::Key);
    let error = process.cache.evict().entry(&entry).key("row", 1).run().await.expect_err("no key");
    assert_eq!(error.kind(), ErrorKind::Key);
    assert_eq!(process.faults.count(Op::Evict), 1, "the other one is evicted all the same");
    assert!(process.cache.stats().total.errors_of(ErrorKind::Key) >= 2);
}

on_both_stores!(
    a_bypass_leaves_the_store_alone_and_still_evicts,
    a_refresh_loads_anew_and_stores,
    where_the_condition_is_false_the_cache_is_left_alone,
    a_disabled_cache_runs_functions_and_evicts,
    what_is_over_the_size_limit_is_returned_and_not_stored,
    large_values_are_compressed_where_that_makes_them_smaller,
    a_ttl_of_nothing_is_not_stored,
    the_ttl_is_the_values_the_calls_the_sites_or_the_caches,
    never_is_a_long_time_and_with_tags_thirty_days,
    jitter_spreads_ttls_by_its_part_of_them,
    an_absent_row_is_stored_where_the_site_says_so,
    an_error_is_never_stored_unless_the_site_says_so,
    an_error_that_is_stored_is_loaded_once,
    an_error_is_stored_as_long_as_the_site_says,
    what_says_that_there_is_nothing_has_a_quota,
    what_its_rules_refuse_is_returned_and_not_stored,
    arguments_that_cannot_be_a_key_run_the_function_uncached,
);
