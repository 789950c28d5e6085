//! All entries under one prefix, defined once.

use std::collections::HashMap;
use std::time::Duration;

use cachemacro::codec::Json;
use cachemacro::store::faults::Op;
use cachemacro::{EntryRules, ErrorKind, Keyspace, MissReason, Mode};
use cachemacro_tests::{Process, Rig, on_both_stores};

fn users(process: &Process) -> Keyspace<u64, Vec<u8>> {
    process
        .cache
        .keyspace("user")
        .ttl(Duration::from_mins(1))
        .tags(|id| [format!("shard:{}", id % 2)])
        .tags(|_| ["users"])
        .codec::<Json>()
        .rules(EntryRules::none().unless(Vec::is_empty))
}

async fn every_entry_follows_the_one_definition(rig: Rig) {
    let (process, users) = (rig.process(), users(&rig.process()));
    users.put(&7, &vec![1]).await.expect("set");
    let meta = users.entry(&7).meta().await.expect("the store answers").expect("it was stored");
    assert!(meta.tags == 2 && meta.ttl <= Duration::from_mins(1), "{meta:?}");
    assert_eq!(process.cache.get::<Vec<u8>>("user", 7).await.expect("the store answers"), None, "no JSON");
    assert_eq!(process.cache.stats().total.misses_for(MissReason::OtherCodec), 1);
    process.cache.evict_tags(["shard:1"]).await.expect("evicted");
    assert_eq!(users.get(&7).await.expect("the store answers"), None);
    assert!(users.get_or_load(&7, async || vec![]).await.is_empty());
    assert_eq!(users.get(&7).await.expect("the store answers"), None, "an empty one is not stored");
}

async fn many_are_read_in_one_round_trip_and_nothing_is_loaded(rig: Rig) {
    let process = rig.process();
    let users = users(&process);
    for id in 0..3 {
        users.put(&id, &vec![1]).await.expect("set");
    }
    assert!(users.evict(&1).await.expect("evicted"));
    let found = users.get_many(0..20).await;
    assert_eq!(found, HashMap::from([(0, vec![1]), (2, vec![1])]));
    assert_eq!((process.faults.count(Op::Read), process.faults.count(Op::Lease)), (1, 0));
    assert_eq!(Mode::Bypass.scope(users.get_many([0])).await, HashMap::new());
    assert_eq!(Mode::Refresh.scope(users.get_many([0])).await, HashMap::new());
    process.faults.fail_next(Op::Read, 1, ErrorKind::Io);
    assert_eq!(users.get_many([0]).await, HashMap::new(), "the failure is counted");
    assert_eq!(process.cache.stats().total.errors_of(ErrorKind::Io), 1);

    let load = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, vec![9])).collect::<HashMap<_, _>>();
    assert_eq!(users.get_or_load_many([0, 1], load).await, HashMap::from([(0, vec![1]), (1, vec![9])]));
    assert_eq!(users.evict_all().await.expect("evicted"), 3);
}

on_both_stores! {
    every_entry_follows_the_one_definition,
    many_are_read_in_one_round_trip_and_nothing_is_loaded,
}
