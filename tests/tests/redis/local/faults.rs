//! What is told comes late, or not at all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cachemacro::store::faults::Op;
use cachemacro_tests::server::run;
use cachemacro_tests::{RedisServer, namespace, wait_for};

use super::{Process, Table, is_off, plain};

/// After a second of silence no copy is taken; so long it may take to see that on a machine that is busy.
const BUSY: Duration = Duration::from_secs(8);

/// Waits until this process was told of all that the other one has changed so far: what is told comes in order.
pub(super) async fn told(process: &Process, other: &Process) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let marker = |process: &Process| process.cache.entry::<u64>("marker", 1);
    let (nothing, next) = (Table::default(), NEXT.fetch_add(1, Ordering::SeqCst));
    process.warm(&marker(process), &nothing).await;
    marker(other).set(&next).await.expect("set");
    process.sees(&marker(process), &nothing, next).await;
}

/// Upholds G3.
#[tokio::test]
async fn what_changed_while_a_value_was_on_its_way_is_not_kept() {
    let (server, namespace, table) = (RedisServer::shared(), namespace(), Table::default());
    let (one, other) = (Process::new(server, &namespace), Process::new(server, &namespace));
    for (entry, theirs) in [(one.row(), other.row()), (one.tagged(), other.tagged())] {
        one.warm(&entry, &table).await;
        for by_tag in [false, true] {
            one.cache.evict_prefix("").await.expect("evicted");
            entry.set(&table.query()).await.expect("set");
            // The reader is delayed on purpose: its reply is there, and it does not know.
            let gate = one.faults.gate_after(Op::Read);
            let late = entry.get_or_load(async || panic!("it is stored"));
            let changed = async {
                gate.reached().await;
                table.write(table.query() + 1);
                if by_tag {
                    other.cache.evict_tags(["rows"]).await.expect("evicted");
                }
                theirs.set(&table.query()).await.expect("set");
                told(&one, &other).await;
                gate.open();
            };
            tokio::join!(late, changed);
            let read = entry.get_or_load(async || panic!("it is stored")).await;
            assert_eq!(read, table.query(), "the old value was kept");
        }
    }
}

/// Upholds G3.
#[tokio::test]
async fn a_lost_connection_turns_the_tier_off_and_empties_it() {
    let (server, namespace, table) = (RedisServer::shared(), namespace(), Table::default());
    let (one, other) = (Process::new(server, &namespace), Process::new(server, &namespace));
    let entry = one.tagged();
    for how in ["cut", "refuse"] {
        one.warm(&entry, &table).await;
        let refused = how == "refuse";
        if refused {
            one.told.refuse();
            is_off(&one).await;
            assert!(!one.is_local(&entry, &table).await);
            assert_eq!(one.cache.warnings()[0].as_str(), "local_off");
        } else {
            one.told.cut();
        }
        table.write(table.query() + 1);
        other.tagged().evict().await.expect("evicted");
        plain(&other.tagged()).get_or_load(async || table.query()).await;
        one.told.pass();
        one.sees(&entry, &table, table.query()).await;
        // It comes back, with nothing from before.
        one.warm(&entry, &table).await;
        assert_eq!(entry.get_or_load(async || 0).await, table.query());
        wait_for("nothing is warned of", || one.cache.warnings().is_empty()).await;
    }
}

/// Upholds G3: a silent connection is found by a heartbeat.
#[tokio::test]
async fn a_silent_connection_is_found_within_a_second() {
    let (server, namespace, table) = (RedisServer::shared(), namespace(), Table::default());
    let (one, other) = (Process::new(server, &namespace), Process::new(server, &namespace));
    let entry = one.row();
    one.warm(&entry, &table).await;
    one.told.black_hole();
    let began = Instant::now();
    table.write(1);
    other.row().evict().await.expect("evicted");
    one.sees(&entry, &table, 1).await;
    assert!(began.elapsed() < BUSY, "{:?}", began.elapsed());
    is_off(&one).await;
    one.told.pass();
    one.warm(&entry, &table).await;
}

/// Upholds G3.
#[tokio::test]
async fn changes_that_are_told_late_are_seen_late_and_no_later() {
    let (server, namespace, table) = (RedisServer::shared(), namespace(), Table::default());
    let (one, other) = (Process::new(server, &namespace), Process::new(server, &namespace));
    let entry = one.tagged();
    one.warm(&entry, &table).await;
    // Later than a heartbeat may be.
    one.told.delay(2 * BUSY);
    table.write(1);
    let began = Instant::now();
    other.cache.evict_tags(["rows"]).await.expect("evicted");
    one.sees(&entry, &table, 1).await;
    assert!(began.elapsed() < BUSY, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_refuses_tracking_is_asked_for_each_call() {
    let server = RedisServer::start();
    let mut admin = server.client().await;
    run(&mut admin, "ACL SETUSER default -client|tracking").await;
    let (process, table) = (Process::new(&server, &namespace()), Table::default());
    let entry = process.row();
    entry.get_or_load(async || table.query()).await;
    is_off(&process).await;
    assert!(!process.is_local(&entry, &table).await);
    let warning = process.cache.warnings()[0].to_string();
    assert!(warning.contains("does not tell of changes") && warning.contains("NOPERM"), "{warning}");
}

/// Upholds G3.
#[tokio::test]
async fn a_restart_a_flush_and_a_killed_connection_leave_no_copy() {
    let mut server = RedisServer::start();
    let (process, table) = (Process::new(&server, &namespace()), Table::default());
    let entry = process.tagged();
    for how in ["FLUSHALL", "FLUSHDB", "CLIENT KILL TYPE normal SKIPME yes", "restart", "frozen"] {
        process.warm(&entry, &table).await;
        table.write(table.query() + 1);
        match how {
            "restart" => server.restart(),
            "frozen" => {
                server.pause();
                is_off(&process).await;
                server.resume();
                run(&mut server.client().await, "FLUSHALL").await;
            }
            _ => {
                run(&mut server.client().await, how).await;
                if how.starts_with("CLIENT") {
                    run(&mut server.client().await, "FLUSHALL").await;
                }
            }
        }
        process.sees(&entry, &table, table.query()).await;
    }
    process.warm(&entry, &table).await;
}

/// Upholds G3: in broadcast mode there is no table that could overflow.
#[tokio::test]
async fn a_full_table_of_tracked_keys_hides_no_change() {
    let server = RedisServer::with_args(&["--tracking-table-max-keys", "1"]);
    let (namespace, table) = (namespace(), Table::default());
    let (one, other) = (Process::new(&server, &namespace), Process::new(&server, &namespace));
    for id in 0..50_u64 {
        one.warm(&one.cache.entry("row", id), &table).await;
    }
    table.write(1);
    for id in 0..50_u64 {
        other.cache.evict_key("row", id).await.expect("evicted");
    }
    for id in 0..50_u64 {
        one.sees(&one.cache.entry("row", id), &table, 1).await;
    }
}
