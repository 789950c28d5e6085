//! Writes that are accepted now and applied later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachemacro::{Batch, Cache, Entry, ErrorKind, PendingWrite, WriteBehind, WriteBehindBuilder};
use cachemacro_tests::{DEADLINE, Rig, wait_until};
use serde::{Deserialize, Serialize};

/// A database of names, and what was done to it.
#[derive(Clone, Default)]
pub(super) struct Database(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    pub(super) rows: BTreeMap<String, String>,
    /// Each statement: the keys of one call.
    calls: Vec<Vec<String>>,
    /// Keys that fail, and whether all do.
    pub(super) poison: BTreeSet<String>,
    pub(super) down: bool,
}

impl Database {
    fn apply(&self, batch: Batch<String>) -> Result<(), String> {
        let mut state = self.0.lock().unwrap();
        let keys: Vec<String> = batch.writes().iter().map(|write| write.key().to_owned()).collect();
        state.calls.push(keys.clone());
        if state.down {
            return Err("the database is down".to_owned());
        }
        if let Some(key) = keys.iter().find(|key| state.poison.contains(*key)) {
            return Err(format!("{key} is poison"));
        }
        for write in batch.into_writes() {
            let key = write.key().to_owned();
            match write.into_value() {
                Some(value) => drop(state.rows.insert(key, value)),
                None => drop(state.rows.remove(&key)),
            }
        }
        Ok(())
    }

    pub(super) fn row(&self, id: u64) -> Option<String> {
        self.row_of(&format!("user:{id}"))
    }

    pub(super) fn row_of(&self, key: &str) -> Option<String> {
        self.0.lock().unwrap().rows.get(key).cloned()
    }

    fn calls(&self) -> Vec<Vec<String>> {
        self.0.lock().unwrap().calls.clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }
}

/// Applied when a test says so: as soon as the lease allows, and no sooner than it can be seen.
pub(super) fn quick() -> WriteBehindBuilder<String> {
    let queue = WriteBehind::named("renames").volatile(true).every("10ms");
    queue.lease(Duration::from_secs(2)).backoff(Duration::from_millis(1)).attempts(3)
}

pub(super) async fn start(
    cache: &Cache,
    builder: WriteBehindBuilder<String>,
    database: &Database,
) -> WriteBehind<String> {
    let database = database.clone();
    let queue = builder.start(cache, move |batch| {
        let applied = database.apply(batch);
        async move { applied }
    });
    queue.await.expect("it starts")
}

fn user(cache: &Cache, id: u64) -> Entry<String> {
    cache.entry("user", id)
}

async fn put(queue: &WriteBehind<String>, cache: &Cache, id: u64, name: &str) {
    queue.put(&user(cache, id), &name.to_owned()).await.expect("it is accepted");
}

/// What a caller is told, who looks into the queue before the database.
async fn name(queue: &WriteBehind<String>, cache: &Cache, database: &Database, id: u64) -> Option<String> {
    queue.load(&user(cache, id), async || database.row(id)).await
}

pub(super) async fn empty(queue: &WriteBehind<String>) {
    let is_empty = async || queue.stats().await.is_ok_and(|stats| stats.depth == 0);
    wait_until("all is applied or dead", DEADLINE, is_empty).await;
}

async fn an_accepted_write_is_read_by_everybody_before_and_after_it_is_applied(rig: Rig) {
    let (one, other) = (rig.process().cache, rig.process().cache);
    let database = Database::default();
    database.change(|state| drop(state.rows.insert("user:7".to_owned(), "old".to_owned())));
    database.change(|state| state.down = true);
    // As often as it takes: a dead letter is pending no more.
    let patient = || quick().attempts(1_000_000);
    let queues = [start(&one, patient(), &database).await, start(&other, patient(), &database).await];
    // Both have it, as a hit.
    for (queue, cache) in queues.iter().zip([&one, &other]) {
        assert_eq!(name(queue, cache, &database, 7).await.as_deref(), Some("old"));
        cache.stored().await;
    }
    put(&queues[0], &one, 7, "Ada").await;
    for (queue, cache) in queues.iter().zip([&one, &other]) {
        assert_eq!(name(queue, cache, &database, 7).await.as_deref(), Some("Ada"));
        let pending = queue.pending(&user(cache, 7)).await.expect("the store answers");
        assert_eq!(pending, Some(PendingWrite::Put("Ada".to_owned())));
    }
    assert_eq!(database.row(7).as_deref(), Some("old"));
    database.change(|state| state.down = false);
    empty(&queues[0]).await;
    assert_eq!(database.row(7).as_deref(), Some("Ada"));
    assert_eq!(queues[1].pending(&user(&other, 7)).await.expect("the store answers"), None);
    assert_eq!(name(&queues[1], &other, &database, 7).await.as_deref(), Some("Ada"));
    let [stats, others] = [queues[0].stats().await.unwrap(), queues[1].stats().await.unwrap()];
    assert_eq!((stats.accepted, stats.applied + others.applied), (1, 1));
}

async fn of_each_key_the_newest_is_applied_deletes_alike(rig: Rig) {
    let cache = rig.process().cache;
    let database = Database::default();
    database.change(|state| state.down = true);
    let queue = start(&cache, quick().attempts(1_000_000), &database).await;
    for round in 0..5 {
        for id in 0..40 {
            put(&queue, &cache, id, &format!("{id} in round {round}")).await;
        }
    }
    for id in 0..10 {
        queue.delete(&user(&cache, id)).await.expect("it is accepted");
    }
    for id in 0..5 {
        put(&queue, &cache, id, "back").await;
    }
    assert_eq!(name(&queue, &cache, &database, 7).await, None, "a delete is pending");
    assert_eq!(queue.stats().await.expect("the store answers").depth, 215);
    assert!(queue.stats().await.expect("the store answers").oldest.is_some());
    database.change(|state| state.down = false);
    empty(&queue).await;
    for id in 0..40 {
        let expected = match id {
            0..5 => Some("back".to_owned()),
            5..10 => None,
            _ => Some(format!("{id} in round 4")),
        };
        assert_eq!(database.row(id), expected, "{id}");
    }
    let stats = queue.stats().await.expect("the store answers");
    assert_eq!(stats.applied + stats.coalesced, 215);
    assert_eq!(stats.dead, 0);
}

async fn tags_are_evicted_once_it_was_applied(rig: Rig) {
    let cache = rig.process().cache;
    let database = Database::default();
    database.change(|state| state.down = true);
    let queue = start(&cache, quick().attempts(1_000_000), &database).await;
    let list = cache.entry::<usize>("list", ()).with_tags(["user-lists"]);
    let count = async || list.get_or_load(async || database.0.lock().unwrap().rows.len()).await;
    queue.put(&user(&cache, 7), &"Ada".to_owned()).tags(["user-lists"]).await.expect("it is accepted");
    assert_eq!(count().await, 0);
    database.change(|state| state.down = false);
    empty(&queue).await;
    assert_eq!(count().await, 1);
}

/// As a site does that does not look into the queue.
async fn what_was_loaded_before_the_apply_is_gone_after_it(rig: Rig) {
    let cache = rig.process().cache;
    let database = Database::default();
    database.change(|state| state.down = true);
    let queue = start(&cache, quick().attempts(1_000_000), &database).await;
    put(&queue, &cache, 7, "Ada").await;
    let load = async || user(&cache, 7).get_or_load(async || database.row(7).unwrap_or_default()).await;
    assert_eq!(load().await, "");
    cache.stored().await;
    database.change(|state| state.down = false);
    empty(&queue).await;
    assert_eq!(load().await, "Ada");
}

async fn poison_stands_alone_in_the_end_and_the_rest_goes_on(rig: Rig) {
    let cache = rig.process().cache;
    let database = Database::default();
    database.change(|state| {
        state.poison.insert("user:7".to_owned());
        state.poison.insert("user:23".to_owned());
    });
    let queue = start(&cache, quick(), &database).await;
    for id in 0..50 {
        put(&queue, &cache, id, "Ada").await;
    }
    empty(&queue).await;
    let there: Vec<u64> = (0..50).filter(|id| database.row(*id).is_some()).collect();
    assert_eq!(there, (0..50).filter(|id| ![7, 23].contains(id)).collect::<Vec<_>>());
    let alone = |key: &str| database.calls().iter().filter(|keys| keys[..] == [key.to_owned()]).count();
    assert!(alone("user:7") >= 3 && alone("user:23") >= 3, "{:?}", database.calls());
    assert_eq!(name(&queue, &cache, &database, 7).await, None, "it is evicted");
    let mut dead = queue.dead(10).await.expect("the store answers");
    dead.sort_by(|one, other| one.write().key().cmp(other.write().key()));
    assert_eq!(dead.iter().map(|dead| dead.write().key()).collect::<Vec<_>>(), ["user:23", "user:7"]);
    assert_eq!(dead[1].why(), "user:7 is poison");
    assert_eq!(dead[1].write().value().map(String::as_str), Some("Ada"));
    assert_eq!(queue.stats().await.expect("the store answers").dead, 2);
    // Later writes of its key go on.
    database.change(|state| state.poison.clear());
    put(&queue, &cache, 7, "Grace").await;
    empty(&queue).await;
    assert_eq!(database.row(7).as_deref(), Some("Grace"));
    // A dead letter is dropped, or goes once more.
    assert!(queue.discard(&dead[1]).await.expect("the store answers"));
    assert!(queue.replay(&dead[0]).await.expect("the store answers"));
    empty(&queue).await;
    assert_eq!(database.row(23).as_deref(), Some("Ada"));
    assert!(queue.dead(10).await.expect("the store answers").is_empty());
    assert!(!queue.discard(&dead[0]).await.expect("the store answers"));
}

async fn later_writes_of_a_key_wait_behind_what_fails_in_their_order(rig: Rig) {
    let cache = rig.process().cache;
    let database = Database::default();
    database.change(|state| _ = state.poison.insert("user:7".to_owned()));
    let builder = quick().attempts(1_000_000).backoff(Duration::from_millis(20));
    let queue = start(&cache, builder, &database).await;
    put(&queue, &cache, 7, "first").await;
    wait_until("it fails", DEADLINE, async || database.calls().len() > 2).await;
    put(&queue, &cache, 7, "second").await;
    queue.delete(&user(&cache, 7)).await.expect("it is accepted");
    put(&queue, &cache, 7, "third").await;
    for id in 0..7 {
        put(&queue, &cache, id, "Ada").await;
    }
    wait_until("others go on", DEADLINE, async || (0..7).all(|id| database.row(id).is_some())).await;
    assert_eq!(database.row(7), None);
    assert_eq!(name(&queue, &cache, &database, 7).await.as_deref(), Some("third"));
    database.change(|state| state.poison.clear());
    empty(&queue).await;
    assert_eq!(database.row(7).as_deref(), Some("third"));
}

async fn what_cannot_be_decoded_is_a_dead_letter_and_the_rest_goes_on(rig: Rig) {
    #[derive(Clone, Serialize, Deserialize)]
    struct Other {
        id: u64,
    }
    let cache = rig.process().cache;
    let database = Database::default();
    let foreign = WriteBehind::<Other>::named("renames").volatile(true).every("1h");
    let foreign = foreign.start(&cache, |_| async { Err::<(), _>("not here") }).await.expect("it starts");
    for id in 0..20 {
        foreign.put(&cache.entry("user", id), &Other { id }).await.expect("it is accepted");
    }
    foreign.shutdown(Duration::ZERO).await;
    let queue = start(&cache, quick(), &database).await;
    put(&queue, &cache, 100, "Ada").await;
    empty(&queue).await;
    assert_eq!(database.row(100).as_deref(), Some("Ada"));
    let dead = queue.dead(100).await.expect("the store answers");
    assert_eq!(dead.len(), 20);
    assert!(
        dead.iter().all(|dead| !dead.is_known() && dead.why() == "it could not be decoded by this build")
    );
}

async fn a_full_queue_has_its_callers_wait_and_then_tells_them(rig: Rig) {
    let cache = rig.process().cache;
    let database = Database::default();
    database.change(|state| state.down = true);
    let builder = quick().attempts(1_000_000).capacity(16).wait(Duration::from_millis(50));
    let queue = start(&cache, builder, &database).await;
    put(&queue, &cache, 7, "Ada").await;
    let full = queue.put(&user(&cache, 7), &"Grace".to_owned()).await;
    assert_eq!(full.map_err(|error| error.kind()), Err(ErrorKind::Full));
    let pending = queue.pending(&user(&cache, 7)).await.expect("the store answers");
    assert_eq!(pending, Some(PendingWrite::Put("Ada".to_owned())), "nothing is dropped");
    assert_eq!(queue.stats().await.expect("the store answers").refused, 1);
    let patient = start(&cache, quick().capacity(16).wait(DEADLINE), &database).await;
    let (entry, name) = (user(&cache, 7), "Grace".to_owned());
    let (waited, ()) = tokio::join!(patient.put(&entry, &name).into_future(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        database.change(|state| state.down = false);
    });
    waited.expect("there is room");
    empty(&queue).await;
    assert_eq!(database.row(7).as_deref(), Some("Grace"));
}

async fn a_shutdown_applies_what_is_there_and_leaves_the_rest_to_others(rig: Rig) {
    let cache = rig.process().cache;
    let database = Database::default();
    let queue = start(&cache, quick().every("1h"), &database).await;
    // Until it owns all partitions.
    for id in 0..100 {
        put(&queue, &cache, id, "Ada").await;
    }
    assert!(queue.shutdown(DEADLINE).await);
    let refused = queue.put(&user(&cache, 7), &"Grace".to_owned()).await;
    assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Refused));
    let rows = database.0.lock().unwrap().rows.len();
    assert_eq!((rows, queue.stats().await.expect("the store answers").depth), (100, 0));
    // One that does not come to it in time.
    database.change(|state| state.down = true);
    let slow = start(&cache, quick().attempts(1_000_000), &database).await;
    put(&slow, &cache, 7, "Grace").await;
    wait_until("it was tried", DEADLINE, async || database.calls().len() > 20).await;
    slow.shutdown(Duration::from_millis(20)).await;
    let tried = database.calls().len();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(database.calls().len(), tried, "it is over");
    database.change(|state| state.down = false);
    let next = start(&cache, quick(), &database).await;
    empty(&next).await;
    assert_eq!(database.row(7).as_deref(), Some("Grace"));
}

async fn who_is_gone_is_replaced_once_its_lease_has_lapsed(rig: Rig) {
    let (gone, cache) = (rig.process().cache, rig.process().cache);
    let database = Database::default();
    let hanging = quick().lease(Duration::from_millis(300));
    let applies = Arc::new(AtomicBool::new(false));
    let begun = applies.clone();
    let hangs = hanging
        .start(&gone, move |_| {
            begun.store(true, Ordering::SeqCst);
            std::future::pending::<Result<(), String>>()
        })
        .await
        .expect("it starts");
    put(&hangs, &gone, 7, "Ada").await;
    wait_until("it is being applied", DEADLINE, async || applies.load(Ordering::SeqCst)).await;
    let queue = start(&cache, quick().lease(Duration::from_millis(300)), &database).await;
    // It hangs, and keeps its lease: nobody else applies.
    tokio::time::sleep(Duration::from_millis(600)).await;
    if !rig.is_redis() {
        // Nobody's lease lapses while it is renewed; the clock of the store stands.
        assert_eq!(queue.stats().await.expect("the store answers").depth, 1);
    }
    drop(hangs);
    wait_until("another applies it", DEADLINE, async || {
        if !rig.is_redis() {
            rig.in_memory().1.advance(Duration::from_millis(100));
        }
        database.row(7).is_some()
    })
    .await;
    empty(&queue).await;
}

cachemacro_tests::on_both_stores!(
    an_accepted_write_is_read_by_everybody_before_and_after_it_is_applied,
    of_each_key_the_newest_is_applied_deletes_alike,
    tags_are_evicted_once_it_was_applied,
    what_was_loaded_before_the_apply_is_gone_after_it,
    poison_stands_alone_in_the_end_and_the_rest_goes_on,
    later_writes_of_a_key_wait_behind_what_fails_in_their_order,
    what_cannot_be_decoded_is_a_dead_letter_and_the_rest_goes_on,
    a_full_queue_has_its_callers_wait_and_then_tells_them,
    a_shutdown_applies_what_is_there_and_leaves_the_rest_to_others,
    who_is_gone_is_replaced_once_its_lease_has_lapsed,
);

#[tokio::test]
async fn what_is_wrong_is_said_before_anything_is_accepted() {
    let cache = Cache::memory();
    let named = || WriteBehind::<String>::named("renames").volatile(true);
    let wrong = [
        WriteBehind::named("").volatile(true),
        named().batch(0),
        named().batch(10_001),
        named().every("soon"),
        named().every("0s"),
        named().capacity(0),
        named().attempts(0),
        named().lease(Duration::ZERO),
        named().volatile(false),
    ];
    for builder in wrong {
        let told = format!("{builder:?}");
        let started = builder.start(&cache, |_| async { Ok::<(), String>(()) }).await;
        assert_eq!(started.map(drop).map_err(|error| error.kind()), Err(ErrorKind::Config), "{told}");
    }
}
