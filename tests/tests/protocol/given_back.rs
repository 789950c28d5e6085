//! Leases whose release fails: they are given back as soon as the store can be reached again, and keep nobody waiting until
//! they lapse.

use std::time::Duration;

use cachemacro::store::faults::Op;
use cachemacro::{Entry, ErrorKind, Lookup, Mode};
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores, wait_until};

use crate::kept_evicts::all_are_sent;

/// How a lease comes to be nobody's.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Left {
    /// The answer to the request of a load was lost.
    Load,
    Lookup,
    Batch,
    Refresh,
    /// It was had, and the fill failed.
    Fill,
    BatchFill,
    RefreshFill,
    /// It was had, and given up.
    Vacancy,
    Error,
    /// It is a put's, whose value is not stored and whose evict fails.
    Put,
    BatchPut,
}

const LEFT: [Left; 11] = [
    Left::Load,
    Left::Lookup,
    Left::Batch,
    Left::Refresh,
    Left::Fill,
    Left::BatchFill,
    Left::RefreshFill,
    Left::Vacancy,
    Left::Error,
    Left::Put,
    Left::BatchPut,
];

async fn leave(process: &Process, left: Left) {
    let Process { cache, faults } = process;
    let row: Entry<u32> = cache.entry("row", 1).with_tags(["tag"]);
    match left {
        Left::Load | Left::Lookup | Left::Batch | Left::Refresh => faults.lose_reply_next(Op::Lease),
        Left::Fill | Left::BatchFill | Left::RefreshFill => faults.fail(Op::Fill, ErrorKind::Io),
        Left::Vacancy | Left::Error | Left::Put | Left::BatchPut => {}
    }
    // What is not stored is evicted instead, and its lease would go with it.
    faults.fail(Op::Evict, ErrorKind::Io);
    let load = async |ids: Vec<u32>| ids.into_iter().map(|id| (id, id)).collect();
    let unstored = row.clone().with_ttl(Duration::ZERO);
    match left {
        Left::Load | Left::Fill => assert_eq!(row.get_or_load(async || 1).await, 1),
        Left::Error => drop(row.try_get_or_load(async || Err::<u32, _>(())).await),
        Left::Lookup => drop(row.lookup().await),
        Left::Vacancy => assert!(matches!(row.lookup().await, Ok(Lookup::Vacant(_)))),
        Left::Batch | Left::BatchFill => {
            drop(cache.get_or_load_many::<u32, u32, _>("row", [1, 2], load).await);
        }
        Left::Refresh | Left::RefreshFill => {
            assert_eq!(Mode::Refresh.scope(row.get_or_load(async || 1)).await, 1);
        }
        Left::Put => assert_eq!(Mode::Refresh.scope(unstored.get_or_load(async || 1)).await, 1),
        Left::BatchPut => {
            let load = async |ids: Vec<u32>| Ok::<_, ()>(load(ids).await);
            let many = cache.try_get_or_load_many([1], |_| unstored.clone(), load);
            drop(Mode::Refresh.scope(many).await);
        }
    }
}

/// Upholds G9.
async fn a_lease_whose_release_fails_again_and_again_is_given_back(rig: Rig) {
    for left in LEFT {
        let process = rig.process();
        process.faults.set_immediate(false);
        process.faults.fail(Op::Release, ErrorKind::Io);
        leave(&process, left).await;
        wait_until("its release fails", DEADLINE, async || process.faults.count(Op::Release) >= 3).await;
        assert!(rig.raw("row:1").await.is_some(), "{left:?}: the lease is there");
        process.faults.heal();
        wait_until(&format!("{left:?}: no lease is left"), DEADLINE, async || {
            rig.raw("row:1").await.is_none() && rig.raw("row:2").await.is_none()
        })
        .await;
        // What is kept is known to the next process too: the caches of one process on one namespace share it.
        all_are_sent(&process.cache).await;
    }
}

on_both_stores!(a_lease_whose_release_fails_again_and_again_is_given_back,);
