//! Times in a header that its writer cannot have meant: the clock was set back since, or the bytes are damaged.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use cachemacro::header::{Header, Parts, assemble};
use cachemacro::store::Token;
use cachemacro::{Entry, Lookup, MissReason};
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores};
use tokio::time::timeout;

const HOUR: Duration = Duration::from_hours(1);

fn entry(process: &Process, id: u32) -> Entry<u32> {
    process.cache.entry("row", id)
}

/// Upholds G9.
async fn a_lease_of_another_clock_keeps_nobody_waiting(rig: Rig) {
    let process = rig.process();
    for id in 1..=3 {
        let deadline = rig.store().time().await.expect("the store answers").plus(HOUR);
        let header = Header::pending(Token::new(9), deadline, false);
        rig.put_raw(&format!("row:{id}"), Bytes::copy_from_slice(&header.to_bytes())).await;
    }
    let all = async {
        assert_eq!(entry(&process, 1).get_or_load(async || 1).await, 1);
        let load = async |ids: Vec<u32>| ids.into_iter().map(|id| (id, id)).collect::<HashMap<_, _>>();
        assert_eq!(process.cache.get_or_load_many::<u32, u32, _>("row", [2], load).await[&2], 2);
        let Ok(Lookup::Vacant(vacancy)) = entry(&process, 3).lookup().await else { panic!("it is pending") };
        assert!(vacancy.fill(&3).await.expect("a small value").is_stored());
    };
    timeout(DEADLINE, all).await.expect("nobody waits, though they would for two minutes");
    for id in 1..=3 {
        assert_eq!(entry(&process, id).get().await.expect("the store answers"), Some(id), "stored");
    }
}

/// Upholds G9.
async fn a_value_from_the_future_is_loaded_anew(rig: Rig) {
    let process = rig.process();
    entry(&process, 1).set(&1).await.expect("the store answers");
    let bytes = rig.raw("row:1").await.expect("it was set");
    let parts = Parts::parse(&bytes).expect("a whole entry");
    let later = |header: Header| header.with_stored_at(header.stored_at.plus(HOUR));
    rig.put_raw("row:1", assemble(later(parts.header), &[], parts.payload).into()).await;
    assert_eq!(entry(&process, 1).get().await.expect("the store answers"), None);
    assert_eq!(entry(&process, 1).get_or_load(async || 2).await, 2);
    assert_eq!(entry(&process, 1).get().await.expect("the store answers"), Some(2), "stored");
    assert_eq!(process.cache.stats().total.misses_for(MissReason::Expired), 2);
}

on_both_stores!(a_lease_of_another_clock_keeps_nobody_waiting, a_value_from_the_future_is_loaded_anew);
