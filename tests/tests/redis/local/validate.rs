//! Copies that the store is asked about at each call.

use std::sync::Arc;
use std::time::Duration;

use cachemacro::store::faults::Op;
use cachemacro::{Entry, Policy};
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, RedisServer, namespace, wait_until};

use super::{Process, Table};

fn validated(process: &Process, policy: Policy) -> Entry<Arc<String>> {
    let entry = process.cache.entry::<Arc<String>>("page", 7);
    entry.with_tags(["pages"]).with_policy(policy.validate(true))
}

async fn read(entry: &Entry<Arc<String>>, text: &str) -> Arc<String> {
    entry.get_or_load(async || Arc::new(text.to_owned())).await
}

/// Upholds G1.
#[tokio::test]
async fn a_hit_asks_for_the_header_and_hands_out_the_copy_until_any_process_evicts() {
    let (server, namespace) = (RedisServer::shared(), namespace());
    let (one, other) = (Process::new(server, &namespace), Process::new(server, &namespace));
    for size in [10, 100_000] {
        let text = "x".repeat(size);
        let (mine, theirs) = (validated(&one, Policy::new()), validated(&other, Policy::new()));
        read(&mine, &text).await;
        // The header that is read behind it counts as well.
        one.cache.stored().await;
        let copy = read(&mine, "").await;
        assert_eq!(copy.len(), size);
        let (reads, heads, bytes) =
            (one.faults.count(Op::Read), one.faults.count(Op::ReadHead), one.cache.stats().total.bytes_read);
        let again = read(&mine, "").await;
        // What is told of its own fill may have dropped the copy before that.
        if Arc::ptr_eq(&again, &copy) && size > 1_000 {
            assert_eq!((one.faults.count(Op::Read), one.faults.count(Op::ReadHead)), (reads, heads + 1));
            assert_eq!(one.cache.stats().total.bytes_read, bytes, "nothing was transferred");
        }
        // What was loaded is kept behind the calls, in the place of what they have read.
        let is_kept = async || Arc::ptr_eq(&read(&mine, "").await, &read(&mine, "").await);
        wait_until("the copy is handed out", DEADLINE, is_kept).await;
        assert_eq!(one.local_hits(), 0, "none is taken without a question");
        for how in ["tag", "entry", "set", "prefix"] {
            match how {
                "tag" => other.cache.evict_tags(["pages"]).await.expect("evicted"),
                "entry" => drop(theirs.evict().await.expect("evicted")),
                "set" => theirs.set(&Arc::new(how.to_owned())).await.expect("set"),
                _ => drop(other.cache.evict_prefix("page").await.expect("evicted")),
            }
            assert_eq!(*read(&mine, how).await, how, "it is asked for, however late it is told");
            assert_eq!(*read(&mine, "").await, how);
            assert_eq!(*read(&mine, "").await, how);
        }
        one.cache.clear().await.expect("cleared");
    }
}

/// Upholds G1: nothing need be told for it.
#[tokio::test]
async fn a_server_that_refuses_tracking_confirms_copies_all_the_same() {
    let server = RedisServer::start();
    run(&mut server.client().await, "ACL SETUSER default -client|tracking").await;
    let namespace = namespace();
    let (one, other) = (Process::new(&server, &namespace), Process::new(&server, &namespace));
    let (mine, text) = (validated(&one, Policy::new().local(Duration::from_mins(1))), "x".repeat(10_000));
    read(&mine, &text).await;
    one.cache.stored().await;
    super::is_off(&one).await;
    read(&mine, "").await;
    let heads = one.faults.count(Op::ReadHead);
    assert!(Arc::ptr_eq(&read(&mine, "").await, &read(&mine, "").await));
    assert_eq!(one.faults.count(Op::ReadHead), heads + 2);
    validated(&other, Policy::new()).evict().await.expect("evicted");
    assert_eq!(*read(&mine, "new").await, "new");
}

/// Upholds G8.
#[tokio::test]
async fn another_type_takes_no_copy() {
    let (process, table) = (Process::new(RedisServer::shared(), &namespace()), Table::default());
    process.warm(&process.row(), &table).await;
    let other = process.cache.entry::<String>("row", 7);
    assert_eq!(other.get_or_load(async || "text".to_owned()).await, "text");
    assert_eq!(other.get_or_load(async || "another".to_owned()).await, "text");
}
