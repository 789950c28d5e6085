//! Looks into a queue that the server does not answer, and what is told of queues then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cachemacro::store::{BreakerConfig, BreakerStore};
use cachemacro::{BreakerState, Cache, ErrorKind, Mode, QueueStats, WriteBehind, cached};
use cachemacro_runtime::store::faults::{FaultStore, Op};
use cachemacro_runtime::store::memory::MemoryStore;
use cachemacro_tests::{DEADLINE, LONG, Rig, wait_until};

use super::write_behind::{Database, quick, start};

/// A service in one process, that accepts writes.
struct Users {
    cache: Cache,
    renames: WriteBehind<String>,
    loads: AtomicUsize,
}

impl Users {
    async fn on(cache: Cache) -> Self {
        let renames = quick().connect(&cache).await.expect("the store answers");
        Self { cache, renames, loads: AtomicUsize::new(0) }
    }

    #[cached(prefix = "user", key = "{id}", cache = self.cache, entry = user_entry, write_behind = self.renames)]
    async fn name(&self, id: u64) -> Option<String> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        Some(format!("{id} as the database has it"))
    }

    /// What a call gives, in the time of a test, and how often the function has run by then.
    async fn named(&self) -> (Option<String>, usize) {
        let name = tokio::time::timeout(DEADLINE, self.name(7)).await.expect("it waits for no server");
        self.cache.stored().await;
        (name, self.loads.load(Ordering::SeqCst))
    }

    async fn rename(&self) {
        self.renames.put(&self.user_entry(7), &"Ada".to_owned()).await.expect("it is accepted");
    }

    fn errors(&self, kind: ErrorKind) -> u64 {
        self.cache.stats().total.errors_of(kind)
    }
}

fn loaded(times: usize) -> (Option<String>, usize) {
    (Some("7 as the database has it".to_owned()), times)
}

fn pending(times: usize) -> (Option<String>, usize) {
    (Some("Ada".to_owned()), times)
}

/// Upholds G6.
async fn after_a_read_that_failed_nothing_is_looked_for(rig: Rig) {
    let process = rig.process();
    let (users, faults) = (Users::on(process.cache).await, process.faults);
    users.rename().await;
    faults.fail(Op::Read, ErrorKind::Timeout);
    // Nobody opens it.
    let gate = faults.gate(Op::Pending);
    for times in 1..3 {
        assert_eq!(users.named().await, loaded(times));
        let entry = users.user_entry(7);
        let by_hand = users.renames.load(&entry, async || Some("old".to_owned()));
        let by_hand = tokio::time::timeout(DEADLINE, by_hand).await.expect("it waits for no server");
        assert_eq!(by_hand.as_deref(), Some("old"));
    }
    assert_eq!(faults.count(Op::Pending), 0);
    faults.heal();
    drop(gate);
    assert_eq!(users.named().await, pending(2), "what was loaded was not stored");
    assert_eq!(users.named().await, pending(2));
    assert_eq!(faults.count(Op::Pending), 1);
}

/// Upholds G6.
async fn a_look_has_what_is_left_of_the_calls_time(rig: Rig) {
    let process = rig.process_with(|builder| builder.deadline(Duration::from_secs(1)));
    let (users, faults) = (Users::on(process.cache).await, process.faults);
    users.rename().await;
    let gates = [faults.gate(Op::Pending), faults.gate(Op::Pending), faults.gate(Op::Pending)];
    assert_eq!(users.named().await, loaded(1));
    assert_eq!(Mode::Bypass.scope(users.named()).await, loaded(2));
    let entry = users.user_entry(7);
    let by_hand = users.renames.load(&entry, async || Some("old".to_owned()));
    let by_hand = tokio::time::timeout(DEADLINE, by_hand).await.expect("it waits for no server");
    assert_eq!(by_hand.as_deref(), Some("old"));
    assert_eq!((faults.count(Op::Pending), users.errors(ErrorKind::Timeout)), (3, 3));
    drop(gates);
    assert_eq!(users.named().await, pending(2), "what was loaded was not stored");
    let times = users.cache.stats().store_times;
    let looks = times.iter().find(|(operation, _)| *operation == "pending").map(|(_, times)| times.count());
    assert_eq!(looks, Some(4));
}

/// Upholds G6.
async fn an_open_breaker_is_asked_for_nothing_that_is_pending(rig: Rig) {
    let faults = Arc::new(FaultStore::new(rig.store()));
    let config = BreakerConfig::new().failures(3).pause(LONG).longest_pause(LONG);
    let store = BreakerStore::new(faults.clone(), config).expect("acceptable settings");
    let cache = Cache::builder().store(Arc::new(store)).namespace(rig.namespace());
    let users = Users::on(cache.build().expect("acceptable settings")).await;
    users.rename().await;
    faults.fail(Op::Pending, ErrorKind::Timeout);
    for times in 1..4 {
        assert_eq!(Mode::Bypass.scope(users.named()).await, loaded(times));
    }
    assert_eq!(users.cache.stats().breaker, Some(BreakerState::Open), "looks that fail open it");
    for times in 4..7 {
        assert_eq!(Mode::Bypass.scope(users.named()).await, loaded(times));
    }
    assert_eq!(users.named().await, loaded(7));
    assert_eq!(faults.count(Op::Pending), 3);
    // Who writes waits for the server itself.
    users.rename().await;
}

/// The process ends before what was found pending is evicted: whoever owns the partition next does that.
async fn a_dead_letters_entry_is_evicted_though_its_owner_ends_before_that(rig: Rig) {
    let database = Database::default();
    database.change(|state| state.down = true);
    let poison = || quick().attempts(4).backoff(Duration::from_millis(200)).lease(Duration::from_secs(30));
    let owner = rig.process();
    let renames = start(&owner.cache, poison(), &database).await;
    let reader = Users::on(rig.process().cache).await;
    renames.put(&owner.cache.entry("user", 7), &"Ada".to_owned()).await.expect("it is accepted");
    assert_eq!(reader.named().await, pending(0));
    let before = owner.faults.count(Op::Evict);
    owner.faults.fail(Op::Evict, ErrorKind::Io);
    let is_tried = async || owner.faults.count(Op::Evict) > before + 1;
    wait_until("it is tried to be evicted", DEADLINE, is_tried).await;
    let stats = reader.renames.stats().await.expect("the store answers");
    assert_eq!((stats.depth, stats.dead), (1, 0), "it is no dead letter before that");
    drop(renames);
    assert_eq!(reader.named().await, pending(0), "it is cached");
    let next = start(&rig.process().cache, poison(), &database).await;
    wait_until("it is dead", DEADLINE, async || next.stats().await.is_ok_and(|stats| stats.dead == 1)).await;
    assert_eq!(next.stats().await.expect("the store answers").depth, 0);
    assert_eq!(reader.named().await, loaded(1));
}

cachemacro_tests::on_both_stores!(
    after_a_read_that_failed_nothing_is_looked_for,
    a_look_has_what_is_left_of_the_calls_time,
    an_open_breaker_is_asked_for_nothing_that_is_pending,
    a_dead_letters_entry_is_evicted_though_its_owner_ends_before_that,
);

fn told(cache: &Cache) -> QueueStats {
    cache.stats().queues.first().map(|(_, stats)| *stats).expect("there is one")
}

#[tokio::test(start_paused = true)]
async fn what_a_queue_holds_is_told_as_long_as_it_is_known() {
    let faults = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    let users = Users::on(Cache::builder().store(faults.clone()).build().expect("acceptable settings")).await;
    users.rename().await;
    // Longer than it takes until the next look.
    let look = async || tokio::time::sleep(Duration::from_secs(6)).await;
    look().await;
    let stats = told(&users.cache);
    assert!(stats.seen.is_some_and(|seen| seen <= Duration::from_secs(6)), "{stats:?}");
    assert_eq!((stats.depth, stats.accepted), (1, 1));
    // One partition is enough.
    faults.fail(Op::Depth, ErrorKind::Timeout);
    look().await;
    assert_eq!(told(&users.cache).depth, 1, "it was seen a moment ago");
    look().await;
    look().await;
    let stats = told(&users.cache);
    assert_eq!((stats.seen, stats.depth, stats.oldest, stats.accepted), (None, 0, None, 1));
    faults.heal();
    look().await;
    assert_eq!(told(&users.cache).depth, 1);
    users.renames.shutdown(Duration::ZERO).await;
    let stats = told(&users.cache);
    assert_eq!((stats.seen, stats.depth, stats.accepted), (None, 0, 1));
    let asked = users.renames.stats().await.expect("the store answers");
    assert_eq!((asked.seen, asked.depth), (Some(Duration::ZERO), 1), "whoever asks is told");
    assert_eq!(told(&users.cache).seen, None);
}

#[tokio::test]
async fn counts_of_queues_never_fall() {
    let cache = Cache::memory();
    let (one, other) = (Users::on(cache.clone()).await, Users::on(cache.clone()).await);
    for users in [&one, &one, &other] {
        users.rename().await;
    }
    assert_eq!(told(&cache).accepted, 3);
    drop(one);
    assert_eq!(told(&cache).accepted, 3);
    drop(other);
    let stats = told(&cache);
    assert_eq!((stats.accepted, stats.seen), (3, None));
    let again = Users::on(cache.clone()).await;
    again.rename().await;
    assert_eq!(told(&cache).accepted, 4);
    // There is a bound to those that are gone.
    for at in 0..200 {
        let queue = WriteBehind::<String>::named(&format!("queue {at}")).volatile(true);
        drop(queue.connect(&cache).await.expect("the store answers"));
    }
    let queues = cache.stats().queues;
    assert!(queues.len() <= 100, "{}", queues.len());
    assert!(queues.iter().any(|(name, stats)| name == "renames" && stats.accepted == 4), "it runs");
}
