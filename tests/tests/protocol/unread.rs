//! Calls of a function whose last looks found nothing: they ask for the lease without a read before it.
//!
//! Which test fails where a mechanism is removed, each of which was removed once:
//!
//! | removed | test |
//! |---|---|
//! | what the request brings is counted as a hit, and ends the guess | `a_value_that_is_there_all_the_same_is_a_hit_and_the_next_call_reads_first` |
//! | what a kept evict may be about is not asked for | `what_a_failed_evict_was_about_is_not_served_by_a_request_either` |
//! | only who leads does without a read | `while_another_call_leads_a_call_reads_and_finds_what_is_there` |
//! | a value that ages, and versions of tags, need a read | `what_only_a_read_shows_is_read` |
//! | a wait for another's load is a miss, with that reason | `another_process_that_loads_is_waited_for` |
//! | a request that failed is told as a read that did | `where_the_store_fails_the_function_runs_and_the_next_call_reads_first` |
//! | a request that failed ends the guess | `where_the_store_fails_the_function_runs_and_the_next_call_reads_first` |

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cachemacro::store::faults::Op;
use cachemacro::{Cache, ErrorKind, MissReason, Mode, cached};
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores, wait_until};
use futures_util::future::join_all;
use tokio::sync::Notify;

/// How many looks in a row find nothing before a call expects that.
const LOOKS: u64 = 8;

#[cached(prefix = "row", key = "{id}", cache = cache, entry = row_entry)]
async fn row(cache: &Cache, id: u64, value: u64) -> u64 {
    value
}

/// A load that goes on until it is told to end.
#[derive(Default)]
struct Slow {
    loads: AtomicU64,
    end: Notify,
}

impl Slow {
    async fn began(&self) {
        wait_until("the load has begun", DEADLINE, async || self.loads.load(Ordering::SeqCst) > 0).await;
    }
}

#[cached(prefix = "slow", key = "{id}", cache = cache, entry = slow_entry)]
async fn slow(cache: &Cache, id: u64, load: Option<&Slow>) -> u64 {
    if let Some(load) = load {
        load.loads.fetch_add(1, Ordering::SeqCst);
        load.end.notified().await;
    }
    id
}

on_both_stores!(
    who_found_nothing_so_far_asks_for_the_lease_without_a_read,
    a_value_that_is_there_all_the_same_is_a_hit_and_the_next_call_reads_first,
    a_load_without_a_read_before_it_stores_nothing_that_was_evicted_meanwhile,
    while_another_call_leads_a_call_reads_and_finds_what_is_there,
    another_process_that_loads_is_waited_for,
    what_a_failed_evict_was_about_is_not_served_by_a_request_either,
    where_the_store_fails_the_function_runs_and_the_next_call_reads_first,
    what_only_a_read_shows_is_read,
);

/// A process whose functions found nothing so often that they expect nothing.
async fn expecting(rig: &Rig) -> Process {
    let process = rig.process();
    for id in 0..LOOKS {
        assert_eq!(row(&process.cache, id, id).await, id);
        assert_eq!(slow(&process.cache, id, None).await, id);
    }
    process.cache.stored().await;
    process
}

/// How often entries were read, and leases asked for, in what is done here.
async fn asked<R>(process: &Process, deed: impl Future<Output = R>) -> (R, u64, u64) {
    let count = || (process.faults.count(Op::Read), process.faults.count(Op::Lease));
    let before = count();
    let done = deed.await;
    let after = count();
    (done, after.0 - before.0, after.1 - before.1)
}

async fn who_found_nothing_so_far_asks_for_the_lease_without_a_read(rig: Rig) {
    let process = rig.process();
    for id in 0..LOOKS {
        assert_eq!(asked(&process, row(&process.cache, id, id)).await, (id, 1, 1), "a look, then a lease");
    }
    for id in LOOKS..3 * LOOKS {
        assert_eq!(asked(&process, row(&process.cache, id, id)).await, (id, 0, 1), "the lease alone");
    }
    process.cache.stored().await;
    let total = process.cache.stats().total;
    assert_eq!((total.hits, total.misses_for(MissReason::Absent), total.loads), (0, 3 * LOOKS, 3 * LOOKS));
    assert_eq!(total.fills, 3 * LOOKS);
    let max_age = Mode::MaxAge(Duration::from_secs(5)).scope(row(&process.cache, 1_000, 7));
    assert_eq!(asked(&process, max_age).await, (7, 1, 1), "other modes look");
}

/// Upholds G5.
async fn a_value_that_is_there_all_the_same_is_a_hit_and_the_next_call_reads_first(rig: Rig) {
    let (process, other) = (expecting(&rig).await, rig.process());
    let before = process.cache.stats().total;
    assert_eq!(row(&other.cache, 100, 1).await, 1);
    other.cache.stored().await;
    assert_eq!(asked(&process, row(&process.cache, 100, 2)).await, (1, 0, 1), "what the other stored");
    let total = process.cache.stats().total;
    assert_eq!((total.hits, total.misses(), total.loads), (1, before.misses(), before.loads));
    assert_eq!(asked(&process, row(&process.cache, 100, 2)).await, (1, 1, 0), "a hit like any other");
    for id in 0..LOOKS {
        assert_eq!(asked(&process, row(&process.cache, 200 + id, 3)).await, (3, 1, 1), "it may be there");
    }
    assert_eq!(asked(&process, row(&process.cache, 300, 3)).await, (3, 0, 1));
}

/// Upholds G1.
async fn a_load_without_a_read_before_it_stores_nothing_that_was_evicted_meanwhile(rig: Rig) {
    let (process, other) = (expecting(&rig).await, rig.process());
    let load = Slow::default();
    let loading = asked(&process, slow(&process.cache, 100, Some(&load)));
    let evicting = async {
        load.began().await;
        slow_entry(&other.cache, 100).evict().await.expect("evicted");
        load.end.notify_one();
    };
    assert_eq!(tokio::join!(loading, evicting).0, (100, 0, 1));
    process.cache.stored().await;
    assert_eq!(slow_entry(&other.cache, 100).get().await.expect("read"), None);
    assert_eq!(process.cache.stats().total.refused_fills, 1);
}

/// Upholds G5.
async fn while_another_call_leads_a_call_reads_and_finds_what_is_there(rig: Rig) {
    let (process, other) = (expecting(&rig).await, rig.process());
    let load = Slow::default();
    let first = slow(&process.cache, 100, Some(&load));
    let others = async {
        load.began().await;
        let others = (0..16).map(|_| slow(&process.cache, 100, Some(&load)));
        let ended = async {
            let joined = || process.faults.count(Op::Read) >= 2 * LOOKS + 16;
            wait_until("the others have looked", DEADLINE, async || joined()).await;
            load.end.notify_one();
        };
        tokio::join!(asked(&process, join_all(others)), ended).0
    };
    // Who has its seat only after the fill asks for the lease, and is given what was stored.
    let (first, (others, reads, _)) = tokio::join!(first, others);
    assert_eq!((first, others, reads), (100, vec![100; 16], 16));
    assert_eq!(load.loads.load(Ordering::SeqCst), 1);
    // What is stored while another call leads is had at once by who reads.
    let load = Slow::default();
    let first = slow(&process.cache, 101, Some(&load));
    let second = async {
        load.began().await;
        slow_entry(&other.cache, 101).set(&7).await.expect("stored");
        let second = slow(&process.cache, 101, Some(&load)).await;
        load.end.notify_one();
        second
    };
    assert_eq!(tokio::join!(first, second), (101, 7));
}

/// Upholds G5.
async fn another_process_that_loads_is_waited_for(rig: Rig) {
    let (process, other) = (expecting(&rig).await, rig.process());
    let load = Slow::default();
    let elsewhere = slow(&other.cache, 100, Some(&load));
    let here = async {
        load.began().await;
        let gate = process.faults.gate_after(Op::Lease);
        let ended = async {
            gate.reached().await;
            load.end.notify_one();
            gate.open();
        };
        tokio::join!(slow(&process.cache, 100, Some(&load)), ended).0
    };
    assert_eq!(tokio::join!(elsewhere, here), (100, 100));
    assert_eq!(load.loads.load(Ordering::SeqCst), 1);
    let total = process.cache.stats().total;
    assert_eq!((total.hits, total.misses_for(MissReason::Pending)), (0, 1), "as a read would have told");
}

/// Upholds G7.
async fn what_a_failed_evict_was_about_is_not_served_by_a_request_either(rig: Rig) {
    let (process, other) = (expecting(&rig).await, rig.process());
    row_entry(&other.cache, 100).set(&1).await.expect("stored");
    process.faults.fail(Op::Evict, ErrorKind::Connect);
    row_entry(&process.cache, 100).evict().await.expect_err("an evict that did not happen is told");
    assert_eq!(row(&process.cache, 100, 2).await, 2, "the old value is there, and not served");
    process.faults.heal();
    let evicted = async || row_entry(&other.cache, 100).get().await.expect("read").is_none();
    wait_until("it is sent again", DEADLINE, evicted).await;
}

/// Upholds G6.
async fn where_the_store_fails_the_function_runs_and_the_next_call_reads_first(rig: Rig) {
    let process = expecting(&rig).await;
    for kind in [ErrorKind::Connect, ErrorKind::Timeout, ErrorKind::Io, ErrorKind::Refused] {
        process.faults.fail_next(Op::Lease, 1, kind);
        assert_eq!(asked(&process, row(&process.cache, 100, 7)).await, (7, 0, 1), "nothing is asked twice");
        for id in 0..LOOKS {
            let look = asked(&process, row(&process.cache, 1_000 + 100 * kind as u64 + id, 8)).await;
            assert_eq!(look, (8, 1, 1), "it looks first");
        }
    }
    process.cache.stored().await;
    let total = process.cache.stats().total;
    assert_eq!((total.hits, total.misses_for(MissReason::StoreFailed)), (0, 4), "as a read would have told");
}

async fn what_only_a_read_shows_is_read(rig: Rig) {
    #[cached(prefix = "tagged", key = "{id}", cache = cache, tags = ["rows"])]
    async fn tagged(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[cached(prefix = "named", key = "{id}", cache = cache, tags = ["row:{result}"])]
    async fn named(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[cached(prefix = "stale", key = "{id}", cache = cache, stale = "1h")]
    async fn stale(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[cached(prefix = "due", key = "{id}", cache = cache, refresh = "80%")]
    async fn due(cache: &Cache, id: u64) -> u64 {
        id
    }
    #[cached(prefix = "spare", key = "{id}", cache = cache, ttl = "1m", max_age = "1h")]
    async fn spare(cache: &Cache, id: u64) -> u64 {
        id
    }
    let process = rig.process();
    for id in 0..3 * LOOKS {
        assert_eq!(asked(&process, tagged(&process.cache, id)).await.1, 1);
        assert_eq!(asked(&process, named(&process.cache, id)).await.1, 1);
        assert_eq!(asked(&process, stale(&process.cache, id)).await.1, 1);
        assert_eq!(asked(&process, due(&process.cache, id)).await.1, 1);
        assert_eq!(asked(&process, spare(&process.cache, id)).await.1, 1);
    }
    assert_eq!(process.cache.stats().total.hits, 0);
}
