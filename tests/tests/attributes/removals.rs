//! Evicts as plain data: what a scope collects instead of evicting, and what another process makes of it.

use std::future::{Future, pending};
use std::panic::AssertUnwindSafe;

use cachemacro::store::faults::Op;
use cachemacro::{Cache, Entry, Filled, Lookup, Mode, Removals, cache_evict, cache_put, cached};
use cachemacro_tests::halt::reached;
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores, wait_until};
use futures_util::FutureExt as _;

#[cached(prefix = "row", key = "{id}", tags = ["rows"], entry = row_entry)]
async fn row(id: u32) -> u32 {
    id
}

#[cache_evict(entry = row_entry(id), tags = ["lists"])]
async fn change(id: u32) {}

#[cache_evict(entry = row_entry(id), before)]
async fn change_with_care(id: u32) {}

#[cache_evict(prefix = "row", all)]
async fn change_all() {}

#[cache_put(entry = row_entry(id))]
async fn write(id: u32, value: u32) -> u32 {
    value
}

/// What it evicts is known when it has returned.
#[cache_evict(tags = ["owner:{result}"])]
#[cache_evict(tags = ["lists"])]
async fn hand_over(to: u32) -> u32 {
    to
}

/// Never returns: to be dropped.
#[cache_evict(entry = row_entry(id), tags = ["lists"])]
async fn hang(id: u32) {
    pending::<()>().await;
}

#[cache_evict(entry = row_entry(id))]
async fn panics(id: u32) {
    panic!("in the body");
}

/// Runs a test with a process whose cache is the one that the functions above use.
async fn with<F: Future<Output = ()>>(process: &Process, test: F) {
    process.cache.scope(test).await;
}

fn entry(process: &Process, key: &str) -> Entry<u32> {
    process.cache.entry("direct", key)
}

fn rows(ids: &[u32]) -> Removals {
    ids.iter().fold(Removals::new(), |all, id| all.key("row", id).expect("a number can be a key"))
}

async fn stored(id: u32) -> Option<u32> {
    row_entry(id).get().await.expect("the store answers")
}

/// How many requests that change something were sent.
fn sent(process: &Process) -> u64 {
    [Op::Evict, Op::EvictTags, Op::EvictPrefix, Op::Set, Op::Fill, Op::Lease, Op::Capture]
        .map(|op| process.faults.count(op))
        .iter()
        .sum()
}

async fn what_a_task_evicts_is_collected_and_not_sent(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    with(&process, async {
        row_entry(1).set(&1).await.expect("set");
        let (before, evicts) = (sent(&process), cache.stats().total.evicts);
        let event = |id: &u32, evict: cachemacro::Evict| evict.key("event", id);
        cache.on(event);
        let ((), removals) = cache
            .collect(async {
                change(1).await;
                change_with_care(2).await;
                change_all().await;
                assert!(!row_entry(3).evict().await.expect("collected"));
                assert!(!cache.evict_key("row", 4).await.expect("collected"));
                cache.evict_tags(["tag"]).await.expect("collected");
                assert_eq!(cache.evict_prefix("page").await.expect("collected"), 0);
                assert_eq!(cache.emit(&5_u32).await.expect("collected"), 0);
                assert_eq!(cache.clone().apply(&rows(&[6])).await.expect("collected"), 0);
            })
            .await;
        let mut expected = rows(&[1, 2, 3, 4, 6]).tags(["lists", "tag"]).prefix("row").prefix("page");
        expected.merge(Removals::new().key("event", 5).expect("a number can be a key"));
        assert_eq!(removals, expected);
        assert_eq!((sent(&process), cache.stats().total.evicts), (before, evicts));
        assert_eq!((cache.stats().total.tag_evicts, stored(1).await), (0, Some(1)), "nothing went yet");

        assert_eq!(cache.apply(&removals).await.expect("the store answers"), 1);
        assert_eq!((cache.stats().total.evicts, cache.stats().total.tag_evicts), (evicts + 1, 2));
        assert_eq!(stored(1).await, None);
    })
    .await;
}

async fn a_put_evicts_once_it_is_applied_and_stores_nothing(rig: Rig) {
    let process = rig.process();
    with(&process, async {
        for id in [1, 2] {
            row_entry(id).set(&id).await.expect("set");
        }
        let before = sent(&process);
        let (written, removals) = process
            .cache
            .collect(async {
                let written = write(2, 20).await;
                row_entry(1).set(&10).await.expect("collected");
                written
            })
            .await;
        assert_eq!((written, &removals), (20, &rows(&[1, 2])));
        assert_eq!(sent(&process), before, "no lease either: a load elsewhere goes on");
        assert_eq!((stored(1).await, stored(2).await), (Some(1), Some(2)));
        process.cache.apply(&removals).await.expect("the store answers");
        assert_eq!((stored(1).await, stored(2).await), (None, None));
    })
    .await;
}

/// Upholds G7.
async fn who_hangs_up_while_evicts_are_sent_loses_none_that_mention_the_result(rig: Rig) {
    let process = rig.process();
    let owned: Entry<u32> = process.cache.entry("owned", 2).with_tags(["owner:7"]);
    owned.set(&2).await.expect("the store answers");
    let gate = process.faults.gate(Op::EvictTags);
    {
        let mut call = std::pin::pin!(process.cache.scope(hand_over(7)));
        tokio::select! {
            _ = &mut call => panic!("it waits for its evicts"),
            () = reached(&gate) => {}
        }
    }
    drop(gate);
    wait_until("it is evicted", DEADLINE, async || !owned.has().await.unwrap_or(true)).await;
}

async fn what_calls_that_are_dropped_inside_were_to_evict_is_collected(rig: Rig) {
    let process = rig.process();
    with(&process, async {
        let (caught, removals) = process
            .cache
            .collect(async {
                assert!(hang(1).now_or_never().is_none());
                AssertUnwindSafe(panics(2)).catch_unwind().await
            })
            .await;
        assert!(caught.is_err());
        assert_eq!(removals, rows(&[1, 2]).tags(["lists"]));
        assert_eq!(sent(&process), 0);
    })
    .await;
}

/// Upholds G7.
async fn a_scope_that_is_dropped_or_panics_evicts_what_it_had_collected(rig: Rig) {
    let process = rig.process();
    with(&process, async {
        for id in 1..=4 {
            row_entry(id).set(&id).await.expect("set");
        }
        let dropped = process.cache.collect(async {
            change(1).await;
            hang(2).await;
        });
        assert!(dropped.now_or_never().is_none());
        let panicked = process.cache.collect(async {
            change(3).await;
            panics(4).await;
        });
        assert!(AssertUnwindSafe(panicked).catch_unwind().await.is_err());
        for id in 1..=4 {
            assert_eq!(stored(id).await, None, "{id}");
        }
        // Within another scope it is that one's to collect.
        let ((), removals) = process
            .cache
            .collect(async {
                assert!(process.cache.collect(hang(5)).now_or_never().is_none());
            })
            .await;
        assert_eq!(removals, rows(&[5]).tags(["lists"]));
    })
    .await;
}

async fn the_innermost_scope_of_a_cache_collects(rig: Rig) {
    let (process, other) = (rig.process(), rig.process());
    with(&process, async {
        entry(&other, "free").set(&1).await.expect("set");
        let ((), outer) = process
            .cache
            .collect(async {
                change_with_care(1).await;
                let ((), inner) = process.cache.collect(change_with_care(2)).await;
                assert_eq!(inner, rows(&[2]));
                let ((), of_other) = other
                    .cache
                    .collect(async {
                        change_with_care(3).await;
                        entry(&other, "own").evict().await.expect("collected");
                    })
                    .await;
                assert_eq!(of_other, Removals::new().key("direct", "own").expect("text can be a key"));
                assert!(entry(&other, "free").evict().await.expect("the store answers"), "not collected");
            })
            .await;
        assert_eq!(outer, rows(&[1, 3]));
    })
    .await;
}

async fn tasks_that_are_spawned_and_other_caches_evict_at_once(rig: Rig) {
    let (process, other) = (rig.process(), rig.process());
    let ((), removals) = process
        .cache
        .collect(async {
            for process in [process.clone(), other] {
                entry(&process, "x").set(&1).now_or_never();
                let task = tokio::spawn(async move { entry(&process, "spawned").evict().await });
                task.await.expect("it does not panic").expect("the store answers");
            }
        })
        .await;
    assert_eq!(removals, Removals::new().key("direct", "x").expect("text can be a key"));
}

async fn reads_after_a_write_neither_read_nor_store(rig: Rig) {
    let process = rig.process();
    with(&process, async {
        row_entry(1).set(&10).await.expect("set");
        let ((), removals) = process
            .cache
            .collect(async {
                assert_eq!((row(1).await, row(2).await), (10, 2), "as always, until something is written");
                assert_eq!(stored(2).await, Some(2));
                change(7).await;
                let counts = (sent(&process), process.faults.count(Op::Read));
                // Also other rows: what a query joins is not known.
                assert_eq!((row(1).await, row(3).await), (1, 3));
                assert_eq!((stored(1).await, stored(2).await), (None, None));
                let batch = async |ids: Vec<u32>| Ok::<_, ()>(ids.into_iter().map(|id| (id, id)).collect());
                let many = process.cache.try_get_or_load_many([1, 4], |&id| row_entry(id), batch).await;
                assert_eq!(many.expect("loaded")[&1], 1);
                let Ok(Lookup::Vacant(vacancy)) = row_entry(5).lookup().await else { panic!("not read") };
                assert!(!vacancy.is_held());
                assert_eq!(Mode::Refresh.scope(row(6)).await, 6);
                assert_eq!((sent(&process), process.faults.count(Op::Read)), counts);
            })
            .await;
        assert_eq!(removals, rows(&[7]).tags(["lists"]));
        for (id, there) in [(1, Some(10)), (2, Some(2)), (3, None), (4, None), (5, None), (6, None)] {
            assert_eq!(stored(id).await, there, "{id}");
        }
    })
    .await;
}

async fn what_a_nested_scope_wrote_holds_back_reads_around_it(rig: Rig) {
    let process = rig.process();
    with(&process, async {
        row_entry(1).set(&10).await.expect("set");
        let (read, outer) = process
            .cache
            .collect(async {
                let ((), inner) = process.cache.collect(change(7)).await;
                assert!(!inner.is_empty());
                row(1).await
            })
            .await;
        assert_eq!((read, outer), (1, Removals::new()));
        assert_eq!(row(1).await, 10, "outside all is as it was");
    })
    .await;
}

async fn what_was_being_loaded_when_its_task_wrote_is_not_stored(rig: Rig) {
    let process = rig.process();
    with(&process, async {
        let writes = async |id: u32| {
            change(7).await;
            id
        };
        let ((), _) = process.cache.collect(async { assert_eq!(loads(1, writes).await, 1) }).await;
        let ((), _) = process.cache.collect(async { assert_eq!(batch(2, writes).await, 2) }).await;
        let refresh = Mode::Refresh.scope(loads(3, writes));
        let ((), refreshed) = process.cache.collect(async { assert_eq!(refresh.await, 3) }).await;
        assert_eq!(
            refreshed,
            rows(&[3, 7]).tags(["lists"]),
            "a lease was taken by force: what is there may be old"
        );
        let (filled, _) = process
            .cache
            .collect(async {
                let Ok(Lookup::Vacant(vacancy)) = row_entry(4).lookup().await else {
                    panic!("nothing is there")
                };
                writes(7).await;
                vacancy.fill(&4).await.expect("a small value")
            })
            .await;
        assert_eq!(filled, Filled::Refused);
        for id in 1..=4 {
            assert_eq!(stored(id).await, None, "{id}");
            // Nobody waits for a lease that was left behind.
            assert_eq!(row_entry(id).get_or_load(async || id).await, id);
        }
    })
    .await;
}

async fn what_a_task_loaded_when_it_wrote_is_not_shared(rig: Rig) {
    let process = rig.process();
    for many in [false, true] {
        let gate = process.faults.gate(Op::Lease);
        let (cache, writes) = (process.cache.clone(), async |id: u32| {
            change(7).await;
            id
        });
        let leader = tokio::spawn(process.cache.scope(async move {
            let load = async { if many { batch(1, writes).await } else { loads(1, writes).await } };
            cache.collect(load).await.0
        }));
        reached(&gate).await;
        let mut follower = std::pin::pin!(process.cache.scope(async { loads(1, async |_| 2).await }));
        assert!(follower.as_mut().now_or_never().is_none(), "it waits for the other task");
        gate.open();
        assert_eq!((leader.await.expect("it does not panic"), follower.await), (1, 2), "{many}");
        process.cache.clear().await.expect("the store answers");
    }
}

async fn what_failed_when_its_task_wrote_is_not_shared(rig: Rig) {
    let process = rig.process();
    let gate = process.faults.gate(Op::Lease);
    let cache = process.cache.clone();
    let leader = tokio::spawn(process.cache.scope(async move {
        let entry = row_entry(1);
        let load = entry.try_get_or_load(async || {
            change(7).await;
            Err::<u32, _>("rolled back")
        });
        cache.collect(load).await.0
    }));
    reached(&gate).await;
    let load = process.cache.scope(async { row_entry(1).try_get_or_load(async || Ok::<_, &str>(2)).await });
    let mut follower = std::pin::pin!(load);
    assert!(follower.as_mut().now_or_never().is_none(), "it waits for the other task");
    gate.open();
    assert_eq!(leader.await.expect("it does not panic"), Err("rolled back"));
    assert_eq!(follower.await, Ok(2), "the error is not its own");
}

async fn loads(id: u32, load: impl AsyncFnOnce(u32) -> u32) -> u32 {
    row_entry(id).get_or_load(|| load(id)).await
}

async fn batch(id: u32, load: impl AsyncFn(u32) -> u32) -> u32 {
    let all = async |ids: Vec<u32>| {
        let value = load(ids[0]).await;
        Ok::<_, ()>(ids.into_iter().map(|id| (id, value)).collect())
    };
    Cache::current().try_get_or_load_many([id], |&id| row_entry(id), all).await.expect("loaded")[&id]
}

async fn updates_go_through(rig: Rig) {
    let process = rig.process();
    let (_, removals) = process
        .cache
        .collect(async {
            entry(&process, "x").evict().await.expect("collected");
            assert_eq!(process.cache.increment("visits", "home", 1).await.expect("the store answers"), 1);
            entry(&process, "n").update(|n| n.unwrap_or(0) + 1).await.expect("the store answers")
        })
        .await;
    assert_eq!(removals.len(), 1);
    assert_eq!(entry(&process, "n").get().await.expect("the store answers"), Some(1));
}

async fn another_process_applies_what_was_kept_as_text(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    for key in ["a", "b", "tagged", "x:y"] {
        entry(&here, key).with_tags((key == "tagged").then_some("org:3 %")).set(&1).await.expect("set");
    }
    here.cache.set("page", 1, &1).await.expect("set");
    let removals = Removals::new().entry(&entry(&here, "x:y")).expect("text can be a key");
    let removals = removals.key("direct", "a").expect("text can be a key").tags(["org:3 %"]).prefix("page");
    let text = serde_json::to_string(&removals).expect("it is plain data");
    assert!(!text.contains(rig.namespace()), "{text}");
    let read: Removals = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(read, removals);
    assert_eq!(there.cache.apply(&read).await.expect("the store answers"), 3);
    for (key, there) in [("a", None), ("b", Some(1)), ("tagged", None), ("x:y", None)] {
        assert_eq!(entry(&here, key).get().await.expect("the store answers"), there, "{key}");
    }
}

async fn an_evict_that_could_not_be_applied_is_told_and_can_be_applied_again(rig: Rig) {
    let process = rig.process();
    entry(&process, "x").set(&1).await.expect("set");
    let ((), removals) = process
        .cache
        .collect(async {
            let gone = entry(&process, "x").evict().await;
            assert!(!gone.expect("collected"));
        })
        .await;
    process.faults.fail_next(Op::Evict, 1, cachemacro::ErrorKind::Io);
    assert!(process.cache.apply(&removals).await.is_err());
    assert_eq!(process.cache.stats().total.failed_evicts, 1);
    assert_eq!(process.cache.apply(&removals).await.expect("the store answers"), 1);
}

async fn scopes_of_two_tasks_do_not_mix(rig: Rig) {
    let process = rig.process();
    let other = process.clone();
    let gate = process.faults.gate(Op::Evict);
    let outside = tokio::spawn(async move { entry(&other, "y").evict().await });
    reached(&gate).await;
    let (done, removals) = process.cache.collect(entry(&process, "x").evict()).await;
    assert!(!done.expect("collected") && removals.len() == 1);
    gate.open();
    assert!(!outside.await.expect("it does not panic").expect("the store answers"));
}

on_both_stores! {
    what_a_task_evicts_is_collected_and_not_sent,
    a_put_evicts_once_it_is_applied_and_stores_nothing,
    who_hangs_up_while_evicts_are_sent_loses_none_that_mention_the_result,
    what_calls_that_are_dropped_inside_were_to_evict_is_collected,
    a_scope_that_is_dropped_or_panics_evicts_what_it_had_collected,
    the_innermost_scope_of_a_cache_collects,
    tasks_that_are_spawned_and_other_caches_evict_at_once,
    reads_after_a_write_neither_read_nor_store,
    what_a_nested_scope_wrote_holds_back_reads_around_it,
    what_was_being_loaded_when_its_task_wrote_is_not_stored,
    what_a_task_loaded_when_it_wrote_is_not_shared,
    what_failed_when_its_task_wrote_is_not_shared,
    updates_go_through,
    another_process_applies_what_was_kept_as_text,
    an_evict_that_could_not_be_applied_is_told_and_can_be_applied_again,
    scopes_of_two_tasks_do_not_mix,
}

#[test]
fn parts_may_be_missing_from_the_text_and_unknown_ones_are_refused() {
    let read = |text| serde_json::from_str::<Removals>(text);
    assert_eq!(read(r#"{"tags": ["users"]}"#).expect("keys are missing"), Removals::new().tags(["users"]));
    assert_eq!(read("{}").expect("all are missing"), Removals::default());
    assert!(read(r#"{"tags": ["users"], "patterns": ["user:*"]}"#).is_err(), "an evict of a later version");
}

#[test]
fn a_debug_print_shows_no_names() {
    let removals = Removals::new().key("secret", "secret").expect("text can be a key");
    let removals = removals.tags(["secret"]).prefix("secret");
    assert_eq!(format!("{removals:?}"), "Removals { keys: 1, tags: 1, prefixes: 1, events: 0 }");
}
