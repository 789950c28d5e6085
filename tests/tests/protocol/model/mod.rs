//! The protocol, explored: every order in which loads, evicts, puts and losses can follow each other, each state once.
//!
//! What is under a key is changed by the crate's own decisions, [`cachemacro::store::protocol`], on the same bytes as a store's. Who asks
//! is modelled: what a caller reads, in which order it captures, asks, loads and fills, and what it gives to others. Each mechanism is
//! taken away once, and then a violation must be found.
//!
//! What else is explored in every order, as it is written in the runtime: kept evicts, the breaker and local copies (`engine/deferred/orders.rs`,
//! `store/layers/breaker/orders.rs`, `local/orders.rs`); and by threads, under loom, these two, flights and local copies (`models.rs` beside each).

mod entries;
mod explorer;
mod fresh;
mod loads;
mod overdue;
mod pending;

use cachemacro_tests::is_long;

use self::explorer::check;

/// Upholds G1, G4 and G5.
#[test]
fn in_no_order_of_loads_evicts_and_puts_is_an_old_row_read() {
    use self::loads::{Scene, Without, explored};
    let none = Scene::default();
    let mut scenes = vec![
        Scene { readers: 2, evicts: 1, losses: 1, ..none },
        Scene { readers: 2, tag_evicts: 1, ..none },
        Scene { readers: 1, followers: 1, evicts: 1, tag_evicts: 1, ..none },
        Scene { readers: 1, puts: 2, losses: 1, ..none },
        Scene { readers: 2, puts: 1, ..none },
        Scene { readers: 2, tag_evicts: 1, begun: true, ..none },
    ];
    if is_long() {
        scenes.extend([
            Scene { readers: 3, tag_evicts: 1, ..none },
            Scene { readers: 2, tag_evicts: 1, losses: 1, ..none },
            Scene { readers: 2, followers: 1, evicts: 1, tag_evicts: 1, ..none },
            Scene { readers: 2, evicts: 1, puts: 1, ..none },
            Scene { readers: 1, tag_evicts: 1, puts: 2, ..none },
            Scene { readers: 2, followers: 2, evicts: 1, ..none },
        ]);
    }
    let evict = Scene { readers: 1, evicts: 1, ..none };
    let tag = Scene { readers: 2, tag_evicts: 1, ..none };
    let put = Scene { readers: 1, puts: 2, ..none };
    let follow = Scene { readers: 1, followers: 1, evicts: 1, tag_evicts: 1, ..none };
    let broken = [
        (Without::FillNeedsItsLease, evict),
        (Without::StampsFromBeforeTheLoad, tag),
        (Without::EvictTakesTheLeaseAlong, evict),
        (Without::VersionsAreRandom, tag),
        (Without::StampsAreCompared, tag),
        (Without::PutTakesTheLease, put),
        (Without::RefusedPutUnlinks, Scene { losses: 1, ..put }),
        (Without::SharedOnlyIfAccepted, follow),
        (Without::SharedOnlyIfStampsHold, follow),
        (Without::SharedOnlyIfJoinedBefore, follow),
        (Without::Takeover, tag),
        (Without::TakeoverBySecondCapture, tag),
        (Without::TakeoverNamesItsHolder, Scene { readers: 3, begun: true, ..tag }),
    ];
    check(&scenes, &broken, explored);
}

/// Upholds G1 and G5.
#[test]
fn in_no_order_of_refreshes_evicts_and_puts_is_an_old_row_served_beyond_an_evict() {
    use self::fresh::{Scene, Without, explored};
    let none = Scene::default();
    let mut scenes = vec![
        Scene { refreshers: 2, evicts: 1, ..none },
        Scene { refreshers: 2, tag_evicts: 1, ..none },
        Scene { refreshers: 1, followers: 1, evicts: 1, ..none },
        Scene { refreshers: 1, loaders: 1, puts: 1, ..none },
        Scene { refreshers: 1, loaders: 1, tag_evicts: 1, losses: 1, ..none },
    ];
    if is_long() {
        scenes.extend([
            Scene { refreshers: 2, evicts: 1, losses: 1, ..none },
            Scene { refreshers: 2, puts: 1, evicts: 1, ..none },
            Scene { refreshers: 2, loaders: 1, tag_evicts: 1, ..none },
            Scene { refreshers: 1, followers: 2, evicts: 1, tag_evicts: 1, ..none },
            Scene { refreshers: 3, evicts: 1, ..none },
        ]);
    }
    let evict = Scene { refreshers: 1, evicts: 1, ..none };
    let tag = Scene { refreshers: 1, tag_evicts: 1, ..none };
    let put = Scene { refreshers: 1, puts: 1, ..none };
    let two = Scene { refreshers: 2, ..none };
    let broken = [
        (Without::StaleIsChecked, tag),
        (Without::SecondKey, two),
        (Without::SecondLook, two),
        (Without::RefreshIsFenced, evict),
        (Without::RefreshKnowsTheToken, put),
        (Without::StampsFromBeforeTheLoad, tag),
        (Without::EvictTakesTheStaleValue, evict),
        (Without::FollowersAreGivenNoStaleValue, Scene { followers: 1, ..evict }),
        (Without::ErrorsRestoreNothing, evict),
    ];
    check(&scenes, &broken, explored);
}

/// Upholds G1 and G9.
#[test]
fn in_no_order_does_who_follows_a_load_wait_for_ever_or_get_an_old_row() {
    use self::overdue::{Scene, Without, explored};
    let none = Scene::default();
    let mut scenes = vec![
        Scene { callers: 3, endless: 1, other_evicts: 1, ..none },
        Scene { callers: 3, drops: 1, own_evicts: 1, ..none },
        Scene { callers: 2, endless: 1, drops: 1, own_evicts: 1, other_evicts: 1 },
    ];
    if is_long() {
        scenes.extend([
            Scene { callers: 4, endless: 1, drops: 1, own_evicts: 1, ..none },
            Scene { callers: 4, endless: 1, other_evicts: 2, ..none },
        ]);
    }
    let endless = Scene { callers: 3, endless: 1, other_evicts: 1, ..none };
    let dropped = Scene { callers: 2, drops: 1, ..none };
    let broken = [
        (Without::Takeover, endless),
        (Without::ServedOnlyIfJoinedBeforeThatLoad, endless),
        (Without::TakerStoresNothing, endless),
        (Without::DroppedLeaderHandsOn, dropped),
        (Without::LeftOversFlyAgain, Scene { callers: 3, ..none }),
        (Without::FillNeedsItsLease, endless),
    ];
    check(&scenes, &broken, explored);
}

/// Upholds G1, where writes are applied later.
#[test]
fn in_no_order_is_a_write_that_is_applied_later_lost_or_unseen_or_applied_twice() {
    use self::pending::{Scene, Without, explored};
    let none = Scene { owners: 1, ..Scene::default() };
    let two = Scene { owners: 2, ..none };
    let mut scenes = vec![
        Scene { writers: 2, readers: 2, ..none },
        Scene { writers: 2, readers: 1, lists: 1, crashes: 1, ..none },
        Scene { writers: 2, readers: 1, lapses: 1, ..two },
        Scene { writers: 2, crashes: 1, lapses: 1, ..two },
        Scene { writers: 1, readers: 1, lists: 2, crashes: 1, ..none },
        Scene { writers: 2, readers: 1, crashes: 1, buries: 1, ..none },
        Scene { writers: 1, readers: 2, lapses: 1, buries: 1, ..two },
    ];
    if is_long() {
        scenes.extend([
            Scene { writers: 2, readers: 2, crashes: 1, buries: 2, ..none },
            Scene { writers: 3, readers: 1, crashes: 1, ..none },
            Scene { writers: 2, readers: 1, lists: 1, lapses: 1, ..two },
            Scene { writers: 2, readers: 1, crashes: 1, lapses: 1, ..two },
        ]);
    }
    let read = Scene { writers: 1, readers: 2, ..none };
    let list = Scene { writers: 1, lists: 1, crashes: 1, ..none };
    let twice = Scene { writers: 2, lapses: 1, ..two };
    let buried = Scene { writers: 1, readers: 1, buries: 1, ..none };
    let broken = [
        (Without::LooksIntoThePending, read),
        (Without::EvictsWhatIsAccepted, read),
        (Without::AcceptsInOneStep, Scene { writers: 1, ..none }),
        (Without::EvictsWhatIsApplied, list),
        (Without::EvictsBeforeItSettles, list),
        (Without::SettlesNoMoreThanItRead, Scene { writers: 2, readers: 1, ..none }),
        (Without::LedgerComparesNumbers, twice),
        (Without::FillNeedsItsLease, Scene { writers: 2, ..read }),
        (Without::EvictsWhatItBuries, buried),
        (Without::UnpendsBeforeItEvicts, buried),
        (Without::BuriesWhatWasEvicted, Scene { crashes: 1, ..buried }),
    ];
    check(&scenes, &broken, explored);
}
