//! Atomic changes: however many race, each counts, and none is lost to a load or revives what was evicted.

use std::time::Duration;

use cachemacro::store::faults::Op;
use cachemacro::{Cache, Entry, EntryRules, ErrorKind, Ttl};
use cachemacro_tests::halt::Point::{After, AfterQuery, Before};
use cachemacro_tests::halt::{Halted, Stops, Table, ended};
use cachemacro_tests::schedule::around;
use cachemacro_tests::{Process, RedisServer, Rig, Worker, namespace, on_both_stores};
use futures_util::FutureExt as _;
use futures_util::future::{join_all, try_join_all};

fn counter(process: &Process) -> Entry<i64> {
    process.cache.entry("count", 7).with_tags(["tag"])
}

fn entry(process: &Process) -> Entry<u64> {
    process.cache.entry("row", 7).with_tags(["tag"])
}

async fn a_thousand_racing_increments_all_count(rig: Rig) {
    let processes = [rig.process(), rig.process(), rig.process()];
    for (id, rules) in
        [EntryRules::none(), EntryRules::none().tags(|_| vec!["late".to_owned()])].into_iter().enumerate()
    {
        let counter =
            |n: usize| processes[n % 3].cache.entry::<i64>("count", &id).with_tags(["tag"]).with_rules(rules);
        let calls = (0..1_000).map(|n| {
            let counter = counter(n);
            async move { counter.increment(1).await }
        });
        let mut sums = try_join_all(calls).await.expect("the store answers");
        sums.sort_unstable();
        assert_eq!(sums, (1..=1_000).collect::<Vec<i64>>(), "each sum is told once");
        assert_eq!(counter(0).get().await.expect("the store answers"), Some(1_000));
    }
}

async fn a_thousand_racing_updates_all_count(rig: Rig) {
    let processes = [rig.process(), rig.process(), rig.process()];
    let calls = (0..1_000).map(|n| {
        let entry = entry(&processes[n % 3]);
        tokio::spawn(async move { entry.update(|count| count.unwrap_or(0) + 1).await })
    });
    for updated in join_all(calls).await {
        updated.expect("no panic").expect("each gets through");
    }
    assert_eq!(entry(&processes[0]).get().await.expect("the store answers"), Some(1_000));
}

#[tokio::test]
async fn a_thousand_racing_changes_from_four_processes_all_count() {
    let (url, namespace) = (RedisServer::shared().url(), namespace());
    let spawn =
        || Worker::spawn(env!("CARGO_BIN_EXE_cache_worker"), &["count", &url, &namespace, "250"], &[]);
    let mut workers: Vec<_> = (0..4).map(|_| spawn()).collect();
    for worker in &mut workers {
        worker.expect("ready").await;
    }
    for worker in &mut workers {
        worker.send("go").await;
    }
    for mut worker in workers {
        worker.expect("done").await;
        worker.finish().await;
    }
    let cache = Cache::builder().redis(url).namespace(&namespace).build().expect("acceptable settings");
    assert_eq!(cache.get::<i64>("incremented", 1).await.expect("the store answers"), Some(1_000));
    assert_eq!(cache.get::<u64>("updated", 1).await.expect("the store answers"), Some(1_000));
}

async fn an_update_whose_round_was_lost_sees_the_newer_value(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    entry(&here).set(&1).await.expect("set");
    let update = Halted::start(&here, Before(Op::CompareAndSet), |_| {
        let entry = entry(&here);
        tokio::spawn(async move { entry.update(|value| value.expect("it is there") + 10).await })
    })
    .await;
    assert_eq!(entry(&there).update(|value| value.expect("it is there") + 100).await.expect("updated"), 101);
    assert_eq!(update.end().await.expect("updated"), 111);
    // Also where the value went away between.
    let update = Halted::start(&here, Before(Op::CompareAndSet), |_| {
        let entry = entry(&here);
        tokio::spawn(async move { entry.update(|value| value.unwrap_or(0) + 1).await })
    })
    .await;
    entry(&there).evict().await.expect("evicted");
    assert_eq!(update.end().await.expect("updated"), 1);
}

/// Upholds G1.
async fn a_change_is_not_overwritten_by_a_load_from_before_it(rig: Rig) {
    for how in ["update", "increment"] {
        let (here, table) = (rig.process(), Table::default());
        let cache = &here.cache;
        let (row, count) = (cache.entry::<u64>("row", how), cache.entry::<i64>("row", how));
        let load = Halted::start(&here, AfterQuery, |stops| table.read(&row, stops)).await;
        match how {
            "update" => assert_eq!(row.update(|none| none.unwrap_or(70)).await.expect("updated"), 70),
            _ => assert_eq!(count.increment(70).await.expect("added"), 70),
        }
        assert_eq!(load.end().await, 1, "{how}");
        assert_eq!(cache.stats().total.refused_fills, 1, "{how}");
        assert_eq!(ended(table.read(&row, Stops::default())).await, 70, "{how}");
    }
}

/// Upholds G1.
async fn an_evicted_tag_is_not_revived_by_a_change(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    assert_eq!(counter(&here).increment(5).await.expect("added"), 5);
    there.cache.evict_tags(["tag"]).await.expect("evicted");
    assert_eq!(counter(&here).get().await.expect("the store answers"), None);
    assert_eq!(counter(&here).increment(1).await.expect("added"), 1, "it begins anew");
    assert_eq!(counter(&there).get().await.expect("the store answers"), Some(1));

    entry(&here).set(&5).await.expect("set");
    there.cache.evict_tags(["tag"]).await.expect("evicted");
    assert_eq!(entry(&here).update(|value| value.unwrap_or(0) + 1).await.expect("updated"), 1);

    // Evicted while the update computes: what it stores was read before.
    let update = Halted::start(&here, Before(Op::CompareAndSet), |_| {
        let entry = entry(&here);
        tokio::spawn(async move { entry.update(|value| value.unwrap_or(0) + 1).await })
    })
    .await;
    there.cache.evict_tags(["tag"]).await.expect("evicted");
    assert_eq!(update.end().await.expect("updated"), 2);
    assert_eq!(entry(&there).get().await.expect("the store answers"), None);
}

/// Upholds G1.
async fn an_increment_never_counts_on_top_of_what_its_reader_would_not_get(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    let untagged = |process: &Process| process.cache.entry::<i64>("count", 7);
    let get = async |entry: Entry<i64>| entry.get().await.expect("the store answers");
    // A tag that the handle does not name was evicted.
    assert_eq!(counter(&here).increment(5).await.expect("added"), 5);
    assert_eq!(untagged(&there).increment(1).await.expect("added"), 6, "the tag holds");
    there.cache.evict_tags(["tag"]).await.expect("evicted");
    assert_eq!(untagged(&here).increment(1).await.expect("added"), 1, "it begins anew");
    assert_eq!(untagged(&there).increment(1).await.expect("added"), 2);
    assert_eq!(get(untagged(&there)).await, Some(2));
    // The handle names a tag that the entry lacks.
    assert_eq!(get(counter(&here)).await, None);
    assert_eq!(counter(&here).increment(1).await.expect("added"), 1, "it begins anew");
    assert_eq!(get(counter(&there)).await, Some(1));
    // The entry has that tag and others.
    let twice = counter(&here).with_tags(["tag", "other tag"]);
    assert_eq!(twice.increment(3).await.expect("added"), 3);
    assert_eq!(counter(&there).increment(1).await.expect("added"), 4);
    assert_eq!(get(twice.clone()).await, Some(4), "it keeps its tags");
    there.cache.evict_tags(["other tag"]).await.expect("evicted");
    assert_eq!(counter(&here).increment(1).await.expect("added"), 1, "it begins anew");
    assert_eq!(get(counter(&there)).await, Some(1));
    // Nor on top of a number that was not made by `increment`: what was evicted is no reason to refuse.
    twice.set(&9).await.expect("set");
    assert_eq!(untagged(&here).increment(1).await.expect_err("it holds").kind(), ErrorKind::WrongType);
    there.cache.evict_tags(["other tag"]).await.expect("evicted");
    assert_eq!(untagged(&here).increment(1).await.expect("added"), 1);
    assert_eq!(get(untagged(&there)).await, Some(1));
}

async fn an_increment_beside_an_evict_counts_before_it_or_after_it(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    let untagged = here.cache.entry::<i64>("count", 7);
    for (at, entry) in [counter(&here), untagged].into_iter().enumerate() {
        for point in around(&[Op::Capture, Op::Increment]) {
            counter(&here).evict().await.expect("deleted");
            assert_eq!(counter(&here).increment(5).await.expect("added"), 5);
            let increment = Halted::start(&here, point, |_| {
                let entry = entry.clone();
                tokio::spawn(async move { entry.increment(1).await })
            })
            .await;
            there.cache.evict_tags(["tag"]).await.expect("evicted");
            let sum = increment.end().await.expect("added");
            let stored = entry.get().await.expect("the store answers");
            assert!([(6, None), (1, Some(1))].contains(&(sum, stored)), "{at} {point:?}: {sum} {stored:?}");
        }
    }
}

async fn an_update_beside_an_evict_counts_before_it_or_after_it(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    let late = here.cache.entry::<u64>("row", 7);
    let late = late.with_rules(EntryRules::none().tags(|_| vec!["tag".to_owned()]));
    for (at, entry) in [entry(&here), late].into_iter().enumerate() {
        for point in around(&[Op::Capture, Op::Read, Op::Versions, Op::CompareAndSet]) {
            entry.set(&5).await.expect("set");
            let update = Halted::start(&here, point, |_| {
                let entry = entry.clone();
                tokio::spawn(async move { entry.update(|value| value.unwrap_or(0) + 1).await })
            })
            .await;
            there.cache.evict_tags(["tag"]).await.expect("evicted");
            let updated = update.end().await.expect("updated");
            let stored = entry.get().await.expect("the store answers");
            assert!(
                [(6, None), (1, Some(1))].contains(&(updated, stored)),
                "{at} {point:?}: {updated} {stored:?}"
            );
        }
    }
}

async fn an_update_stores_under_versions_that_its_look_found(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    let (tagged, untagged) = (entry(&there), there.cache.entry::<u64>("row", 7));
    for (at, (found, updated)) in
        [(None, 1), (Some(tagged), 101), (Some(untagged), 1)].into_iter().enumerate()
    {
        entry(&here).evict().await.expect("deleted");
        let update = Halted::start(&here, After(Op::Capture), |_| {
            let entry = entry(&here);
            tokio::spawn(async move { entry.update(|value| value.unwrap_or(0) + 1).await })
        })
        .await;
        there.cache.evict_tags(["tag"]).await.expect("evicted");
        if let Some(found) = found {
            found.set(&100).await.expect("set");
        }
        assert_eq!(update.end().await.expect("updated"), updated, "{at}");
        assert_eq!(entry(&there).get().await.expect("the store answers"), Some(updated), "{at}");
    }
}

async fn an_increment_judges_what_it_found_by_versions_of_now(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    // What another process counts after the evict stays; what was evicted before is replaced by what can be read.
    for (more, sum) in [(None, 1), (Some(10), 11)] {
        counter(&here).increment(5).await.expect("added");
        there.cache.evict_tags(["tag"]).await.expect("evicted");
        let increment = Halted::start(&here, Before(Op::Increment), |_| {
            let entry = counter(&here);
            tokio::spawn(async move { entry.increment(1).await })
        })
        .await;
        // Evicted once more: the versions that were captured are from before.
        there.cache.evict_tags(["tag"]).await.expect("evicted");
        if let Some(more) = more {
            assert_eq!(counter(&there).increment(more).await.expect("added"), more);
        }
        assert_eq!(increment.end().await.expect("added"), sum);
        assert_eq!(counter(&there).get().await.expect("the store answers"), Some(sum));
    }
}

async fn an_increment_takes_one_request_and_one_for_its_tags(rig: Rig) {
    let process = rig.process();
    let all = [Op::Read, Op::Versions, Op::Capture, Op::Increment];
    let count = || all.into_iter().map(|op| process.faults.count(op)).sum::<u64>();
    let requests = async |entry: Entry<i64>| {
        let before = count();
        entry.increment(1).await.expect("added");
        count() - before
    };
    let untagged = process.cache.entry::<i64>("count", 1);
    let tagged = process.cache.entry::<i64>("count", 2).with_tags(["tag"]);
    for _ in 0..2 {
        assert_eq!((requests(untagged.clone()).await, requests(tagged.clone()).await), (1, 2));
    }
}

async fn tags_that_the_value_names_go_with_a_change(rig: Rig) {
    let process = rig.process();
    let rules = EntryRules::none().tags(|value: &u64| vec![format!("value {value}")]);
    let entry = process.cache.entry("row", 7).with_rules(rules);
    assert_eq!(entry.update(|_| 1).await.expect("updated"), 1);
    process.cache.evict_tags(["value 2"]).await.expect("evicted");
    assert_eq!(entry.get().await.expect("the store answers"), Some(1));
    process.cache.evict_tags(["value 1"]).await.expect("evicted");
    assert_eq!(entry.get().await.expect("the store answers"), None);
}

async fn an_increment_follows_the_rules(rig: Rig) {
    let process = rig.process();
    let rules = EntryRules::none()
        .tags(|sum| vec![format!("sum {sum}")])
        .ttl(|sum| Ttl::millis(u64::try_from(*sum).unwrap_or(0) * 60_000))
        .unless(|sum| *sum == 13);
    let plain = process.cache.entry::<i64>("count", 7);
    let entry = plain.clone().with_rules(rules);
    let get = async || entry.get().await.expect("the store answers");
    assert_eq!(entry.increment(1).await.expect("added"), 1);
    assert_eq!(entry.increment(1).await.expect("added"), 2);
    process.cache.evict_tags(["sum 1"]).await.expect("evicted");
    assert_eq!(get().await, Some(2));
    let left = entry.ttl().await.expect("the store answers").expect("it is there");
    assert!(Duration::from_secs(100) < left && left <= Duration::from_mins(2), "{left:?}");
    process.cache.evict_tags(["sum 2"]).await.expect("evicted");
    assert_eq!(get().await, None);
    // What is not to be stored, by either rule, changes nothing; nor does a sum that does not fit.
    assert_eq!(entry.increment(12).await.expect("it begins anew"), 12);
    for (by, kind) in [(1, ErrorKind::Encode), (-12, ErrorKind::Encode), (i64::MAX, ErrorKind::WrongType)] {
        assert_eq!(entry.increment(by).await.expect_err("refused").kind(), kind, "{by}");
        assert_eq!(get().await, Some(12));
    }
    assert_eq!(process.cache.stats().total.errors_of(ErrorKind::WrongType), 1);
    // What was counted without rules goes on with them.
    plain.evict().await.expect("deleted");
    assert_eq!(plain.increment(5).await.expect("added"), 5);
    assert_eq!(entry.increment(1).await.expect("added"), 6);
    process.cache.evict_tags(["sum 6"]).await.expect("evicted");
    assert_eq!(plain.get().await.expect("the store answers"), None);
}

async fn what_cannot_be_changed_says_why_and_stays(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    // Not made by `increment`.
    cache.entry::<i64>("typed", 1).set(&5).await.expect("set");
    let error = cache.entry::<i64>("typed", 1).increment(1).await.expect_err("another codec");
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert_eq!(cache.get::<i64>("typed", 1).await.expect("the store answers"), Some(5));
    // The sum does not fit.
    let full = cache.entry::<i64>("full", 1);
    assert_eq!(full.increment(i64::MAX).await.expect("added"), i64::MAX);
    assert_eq!(full.increment(1).await.expect_err("too much").kind(), ErrorKind::WrongType);
    assert_eq!(full.increment(-1).await.expect("subtracted"), i64::MAX - 1);
    assert_eq!(full.increment(i64::MIN).await.expect("subtracted"), -2);
    // Nothing may be stored.
    let error = cache.entry::<u64>("row", 1).with_ttl(Ttl::millis(0)).update(|_| 1).await;
    assert_eq!(error.expect_err("a TTL of zero").kind(), ErrorKind::Encode);
}

async fn an_update_whose_reply_was_lost_says_that_it_may_have_happened(rig: Rig) {
    let process = rig.process();
    process.faults.lose_reply_next(Op::CompareAndSet);
    assert!(entry(&process).update(|_| 1).await.expect_err("no answer").is_ambiguous());
    assert_eq!(entry(&process).get().await.expect("the store answers"), Some(1));
    process.faults.lose_reply_next(Op::Increment);
    assert!(counter(&process).increment(1).await.expect_err("no answer").is_ambiguous());
    assert_eq!(counter(&process).get().await.expect("the store answers"), Some(1), "once, not twice");
    assert_eq!(process.cache.stats().total.errors_of(ErrorKind::Timeout), 2);
}

async fn a_cache_that_is_disabled_has_nothing_to_change(rig: Rig) {
    let process = rig.process_with(|builder| builder.disabled(true));
    assert_eq!(entry(&process).update(|_| 1).await.expect_err("disabled").kind(), ErrorKind::Disabled);
    assert_eq!(counter(&process).increment(1).await.expect_err("disabled").kind(), ErrorKind::Disabled);
}

on_both_stores!(
    a_thousand_racing_increments_all_count,
    a_thousand_racing_updates_all_count,
    an_update_whose_round_was_lost_sees_the_newer_value,
    a_change_is_not_overwritten_by_a_load_from_before_it,
    an_evicted_tag_is_not_revived_by_a_change,
    an_increment_never_counts_on_top_of_what_its_reader_would_not_get,
    an_increment_beside_an_evict_counts_before_it_or_after_it,
    an_update_beside_an_evict_counts_before_it_or_after_it,
    an_update_stores_under_versions_that_its_look_found,
    an_increment_judges_what_it_found_by_versions_of_now,
    an_increment_takes_one_request_and_one_for_its_tags,
    tags_that_the_value_names_go_with_a_change,
    an_increment_follows_the_rules,
    what_cannot_be_changed_says_why_and_stays,
    an_update_whose_reply_was_lost_says_that_it_may_have_happened,
    a_cache_that_is_disabled_has_nothing_to_change,
);

#[tokio::test]
async fn the_ttl_of_a_counter_counts_from_its_creation_and_that_of_an_update_from_the_update() {
    let rig = Rig::memory();
    let process = rig.process();
    let minute = Duration::from_mins(1);
    let (counted, updated) = (counter(&process).with_ttl(minute), entry(&process).with_ttl(minute));
    counted.increment(1).await.expect("added");
    updated.update(|_| 1).await.expect("updated");
    rig.in_memory().1.advance(minute / 2);
    counted.increment(1).await.expect("added");
    updated.update(|_| 2).await.expect("updated");
    assert_eq!(counted.ttl().await.expect("the store answers"), Some(minute / 2));
    assert_eq!(updated.ttl().await.expect("the store answers"), Some(minute));
    rig.in_memory().1.advance(minute / 2);
    assert_eq!(counted.increment(1).await.expect("added"), 1, "it had expired");
}

#[tokio::test]
async fn an_update_that_is_always_too_late_gives_up() {
    let rig = Rig::memory();
    let (busy, other) = (entry(&rig.process()), entry(&rig.process()));
    let mut rounds = 0;
    let update = busy.update(|_| {
        rounds += 1;
        // In the middle of each round another change goes through; in memory it has nothing to wait for.
        other.set(&rounds).now_or_never().expect("at once").expect("set");
        0
    });
    assert_eq!(update.await.expect_err("others were faster").kind(), ErrorKind::Contention);
    assert!(rounds >= 100);
    assert_eq!(busy.get().await.expect("the store answers"), Some(rounds));
}
