//! What a load brings is kept here at once, and what changes without the value changing leaves copies as they are.

use std::sync::Arc;
use std::time::Duration;

use cachemacro::store::faults::Op;
use cachemacro::{Entry, Mode, Policy};
use cachemacro_tests::{RedisServer, namespace};

use super::{Process, Table, on, plain};

fn text(process: &Process) -> Entry<Arc<String>> {
    process.cache.entry::<Arc<String>>("text", 7).with_tags(["texts"])
}

async fn read(entry: &Entry<Arc<String>>, text: &str) -> Arc<String> {
    entry.get_or_load(async || Arc::new(text.to_owned())).await
}

#[tokio::test]
async fn what_is_loaded_answers_the_next_call_without_a_look_at_the_store() {
    let process = Process::new(RedisServer::shared(), &namespace());
    on(&process).await;
    let before = process.local_hits();
    for size in [10, 100_000] {
        let entry = process.cache.entry::<Arc<String>>("text", size).with_tags(["texts"]);
        let loaded = read(&entry, &"x".repeat(size)).await;
        process.cache.stored().await;
        let (reads, heads) = (process.faults.count(Op::Read), process.faults.count(Op::ReadHead));
        assert!(Arc::ptr_eq(&read(&entry, "").await, &loaded), "kept as it was loaded");
        assert!(Arc::ptr_eq(&entry.get().await.expect("read").expect("a value"), &loaded));
        assert_eq!((process.faults.count(Op::Read), process.faults.count(Op::ReadHead)), (reads, heads));
    }
    assert_eq!(process.local_hits(), before + 4);
}

#[tokio::test]
async fn what_a_batch_loads_is_kept_for_batches_and_for_others() {
    let process = Process::new(RedisServer::shared(), &namespace());
    on(&process).await;
    let load = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, id * id)).collect();
    let squares = process.cache.get_or_load_many("square", [2, 3], load).await;
    process.cache.stored().await;
    let (reads, hits) = (process.faults.count(Op::Read), process.local_hits());
    let nothing = async |_: Vec<u64>| panic!("all are here");
    assert_eq!(process.cache.get_or_load_many("square", [2, 3], nothing).await, squares);
    assert_eq!(process.cache.get::<u64>("square", 3).await.expect("read"), Some(9));
    assert_eq!((process.faults.count(Op::Read), process.local_hits()), (reads, hits + 3));
}

#[tokio::test]
async fn what_followers_were_given_is_kept_once() {
    let process = Process::new(RedisServer::shared(), &namespace());
    on(&process).await;
    let (entry, gate) = (text(&process), tokio::sync::Notify::new());
    let (loads, entries) = (process.cache.stats().total.loads, process.cache.stats().local.entries);
    let slow = entry.get_or_load(async || {
        gate.notified().await;
        Arc::new("loaded".to_owned())
    });
    let follow = async {
        let follower = read(&entry, "not this");
        let open = async {
            cachemacro_tests::wait_for("the load", || process.cache.stats().total.loads > loads).await;
            gate.notify_one();
        };
        tokio::join!(follower, open).0
    };
    let (led, followed) = tokio::join!(slow, follow);
    assert!(Arc::ptr_eq(&led, &followed));
    process.cache.stored().await;
    let hits = process.local_hits();
    assert!(Arc::ptr_eq(&read(&entry, "").await, &led));
    assert_eq!((process.local_hits(), process.cache.stats().local.entries), (hits + 1, entries + 1));
}

/// Upholds G3: what the store tells of a fill does not say whether something else changed with it.
#[tokio::test]
async fn what_changes_while_a_fill_is_told_is_not_kept() {
    let (server, namespace, table) = (RedisServer::shared(), namespace(), Table::default());
    let (one, other) = (Process::new(server, &namespace), Process::new(server, &namespace));
    on(&one).await;
    for by_tag in [false, true] {
        let (entry, theirs) = (one.tagged(), other.tagged());
        entry.evict().await.expect("evicted");
        // The fill was answered, and the header is asked for; the answer is there, and its caller does not know.
        let gate = one.faults.gate_after(Op::ReadHead);
        let old = entry.get_or_load(async || table.query()).await;
        gate.reached().await;
        table.write(old + 1);
        if by_tag {
            other.cache.evict_tags(["rows"]).await.expect("evicted");
        } else {
            theirs.evict().await.expect("evicted");
        }
        plain(&theirs).get_or_load(async || table.query()).await;
        super::faults::told(&one, &other).await;
        gate.open();
        one.cache.stored().await;
        assert_eq!(entry.get_or_load(async || panic!("it is stored")).await, old + 1);
    }
}

#[tokio::test]
async fn a_lease_over_a_value_costs_others_a_look_and_not_their_copies() {
    let (server, namespace) = (RedisServer::shared(), namespace());
    let (one, other) = (Process::new(server, &namespace), Process::new(server, &namespace));
    on(&one).await;
    let copy = read(&text(&one), &"x".repeat(10_000)).await;
    one.cache.stored().await;
    let theirs = text(&other);
    let gate = other.faults.gate(Op::Fill);
    let refresh = Mode::Refresh.scope(read(&theirs, "new"));
    let look = async {
        gate.reached().await;
        super::faults::told(&one, &other).await;
        let bytes = one.cache.stats().total.bytes_read;
        assert!(
            Arc::ptr_eq(&read(&text(&one), "").await, &copy),
            "the lease is another's, the value the same"
        );
        let hits = one.local_hits();
        assert!(Arc::ptr_eq(&read(&text(&one), "").await, &copy));
        assert_eq!((one.cache.stats().total.bytes_read, one.local_hits()), (bytes, hits + 1));
        gate.open();
    };
    tokio::join!(refresh, look);
    super::faults::told(&one, &other).await;
    assert_eq!(*read(&text(&one), "").await, "new");
}

#[tokio::test]
async fn a_refresh_that_brings_the_same_value_leaves_the_copies_of_others() {
    let (server, namespace) = (RedisServer::shared(), namespace());
    let (one, other) = (Process::new(server, &namespace), Process::new(server, &namespace));
    on(&one).await;
    let long = "x".repeat(10_000);
    let mine = text(&one).with_ttl(Duration::from_mins(1));
    let copy = read(&mine, &long).await;
    one.cache.stored().await;
    let theirs = text(&other).with_policy(Policy::new().refresh(1).local(Duration::ZERO));
    let theirs = theirs.with_ttl(Duration::from_mins(1));
    // Due after half a second, to them.
    let before = other.cache.stats().total.loads;
    cachemacro_tests::wait_until("a refresh", cachemacro_tests::DEADLINE, async || {
        read(&theirs, &long).await;
        other.cache.stats().total.loads > before
    })
    .await;
    other.cache.stored().await;
    super::faults::told(&one, &other).await;
    let bytes = one.cache.stats().total.bytes_read;
    assert!(Arc::ptr_eq(&read(&mine, "").await, &copy), "it is the same value");
    assert_eq!(one.cache.stats().total.bytes_read, bytes, "its header is enough");
    let hits = one.local_hits();
    assert!(Arc::ptr_eq(&read(&mine, "").await, &copy));
    assert_eq!(one.local_hits(), hits + 1);
    // Another value has another name.
    let changed = "y".repeat(10_000);
    let before = other.cache.stats().total.loads;
    cachemacro_tests::wait_until("a refresh", cachemacro_tests::DEADLINE, async || {
        read(&theirs, &changed).await;
        other.cache.stats().total.loads > before
    })
    .await;
    other.cache.stored().await;
    super::faults::told(&one, &other).await;
    assert_eq!(*read(&mine, "").await, changed);
}

#[tokio::test]
async fn a_value_over_the_size_that_is_set_is_not_kept() {
    let process =
        Process::with(RedisServer::shared(), &namespace(), |builder| builder.local_max_value(2_000));
    on(&process).await;
    for (size, kept) in [(1_000, true), (3_000, false)] {
        let entry = process.cache.entry::<Arc<String>>("text", size);
        read(&entry, &"x".repeat(size)).await;
        process.cache.stored().await;
        let hits = process.local_hits();
        for _ in 0..3 {
            read(&entry, "").await;
        }
        assert_eq!(process.local_hits(), if kept { hits + 3 } else { hits }, "{size}");
    }
}
