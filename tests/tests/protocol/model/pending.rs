//! Writes that are applied later: accepted into a stream and the pending writes, applied by whoever owns them, evicted, settled; readers that
//! look into the pending writes before they load, and lists that do not. One key; what a delete is, a put of nothing is.

use super::explorer::{Steps, Violation, explore};

/// Who takes part.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scene {
    pub(crate) writers: usize,
    pub(crate) readers: usize,
    /// Readers of an entry that is made of the row, and evicted by its tag.
    pub(crate) lists: usize,
    pub(crate) owners: usize,
    /// How often an owner may be killed.
    pub(crate) crashes: u8,
    /// How often an owner may be stopped for longer than its lease lives.
    pub(crate) lapses: u8,
    /// How often an owner may give a write up: it will never be applied.
    pub(crate) buries: u8,
}

/// A mechanism that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    LooksIntoThePending,
    EvictsWhatIsAccepted,
    AcceptsInOneStep,
    EvictsWhatIsApplied,
    EvictsBeforeItSettles,
    SettlesNoMoreThanItRead,
    LedgerComparesNumbers,
    FillNeedsItsLease,
    EvictsWhatItBuries,
    UnpendsBeforeItEvicts,
    BuriesWhatWasEvicted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Actor {
    Writer(Writes),
    Reader { list: bool, at: Reads },
    Owner(Owns),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Writes {
    Begin,
    /// In the stream, and not among the pending writes.
    Half(u8),
    Accepted(u8),
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reads {
    Begin,
    Missed {
        floor: u8,
    },
    /// Nothing is pending.
    Clear {
        floor: u8,
    },
    Has {
        floor: u8,
        row: u8,
    },
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owns {
    Idle,
    Owner {
        fence: u8,
    },
    /// What it read: up to this number.
    Read {
        fence: u8,
        write: u8,
    },
    Applied {
        fence: u8,
        write: u8,
    },
    Evicted {
        fence: u8,
        write: u8,
    },
    /// Without `EvictsBeforeItSettles`.
    Settled {
        write: u8,
    },
    /// It gave this write up, which is pending no more.
    GaveUp {
        fence: u8,
        write: u8,
    },
    /// And what was cached of it is evicted.
    Cleared {
        fence: u8,
        write: u8,
    },
}

/// One entry of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Entry {
    row: Option<u8>,
    lease: Option<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    /// The number of the write that the database has.
    row: u8,
    /// What its ledger says: the newest write, and how often each took effect.
    ledger: u8,
    effects: [u8; 4],
    /// Numbers in the stream.
    stream: Vec<u8>,
    pending: Option<u8>,
    accepted: u8,
    acknowledged: u8,
    /// The newest that was settled.
    settled: u8,
    entry: Entry,
    list: Entry,
    fence: u8,
    owned: bool,
    crashes: u8,
    lapses: u8,
    buries: u8,
    /// The newest write that was given up.
    given_up: u8,
    actors: Vec<Actor>,
}

/// All orders of these steps.
pub(crate) fn explored(scene: &Scene, without: Option<Without>) -> Result<usize, Violation> {
    let mut actors = vec![Actor::Writer(Writes::Begin); scene.writers];
    actors.extend(vec![Actor::Reader { list: false, at: Reads::Begin }; scene.readers]);
    actors.extend(vec![Actor::Reader { list: true, at: Reads::Begin }; scene.lists]);
    actors.extend(vec![Actor::Owner(Owns::Idle); scene.owners]);
    let start = World {
        row: 0,
        ledger: 0,
        effects: [0; 4],
        stream: Vec::new(),
        pending: None,
        accepted: 0,
        acknowledged: 0,
        settled: 0,
        entry: Entry { row: Some(0), lease: None },
        list: Entry { row: Some(0), lease: None },
        fence: 0,
        owned: false,
        crashes: scene.crashes,
        lapses: scene.lapses,
        buries: scene.buries,
        given_up: 0,
        actors,
    };
    let is_done = |world: &World| {
        world.actors.iter().all(|actor| match actor {
            Actor::Writer(writes) => *writes == Writes::Done,
            Actor::Reader { at, .. } => *at == Reads::Done,
            Actor::Owner(owns) => matches!(owns, Owns::Idle | Owns::Owner { .. }),
        })
    };
    explore(start, |world| next(world, without), is_done)
}

#[expect(clippy::too_many_lines, reason = "one row for each step")]
fn next(world: &World, without: Option<Without>) -> Result<Steps<World>, &'static str> {
    let is_without = |mechanism| without == Some(mechanism);
    if world.effects.iter().any(|count| *count > 1) {
        return Err("a write has taken effect twice");
    }
    let hit = world.entry.row;
    // What was given up is promised no longer.
    let is_older = |row, floor| row < floor && floor > world.given_up;
    if hit.is_some_and(|row| is_older(row, world.acknowledged)) {
        return Err("a hit now would be older than what was acknowledged");
    }
    let at_rest = world.stream.is_empty()
        && world.actors.iter().all(|actor| match actor {
            Actor::Writer(writes) => *writes == Writes::Done,
            Actor::Owner(owns) => matches!(owns, Owns::Idle | Owns::Owner { .. }),
            Actor::Reader { .. } => true,
        });
    if at_rest {
        if world.row != world.accepted && world.accepted > world.given_up {
            return Err("a write that was accepted is lost");
        }
        if world.pending.is_some() {
            return Err("a write is pending for ever");
        }
        if world.entry.row.is_some_and(|row| row > world.row) {
            return Err("a hit is a write that will never be applied");
        }
        if world.list.row.is_some_and(|row| row < world.settled) {
            return Err("a list is older than what was applied");
        }
    }
    let mut steps = Steps::new();
    for (place, actor) in world.actors.iter().enumerate() {
        let id = u8::try_from(place).expect("there are few");
        let mut go = |label, change: &dyn Fn(&mut World), actor| {
            let mut world = world.clone();
            change(&mut world);
            world.actors[place] = actor;
            steps.push(((place, label), world));
        };
        match *actor {
            Actor::Writer(Writes::Begin) => {
                let number = world.accepted + 1;
                let half = is_without(Without::AcceptsInOneStep);
                let then = if half { Writes::Half(number) } else { Writes::Accepted(number) };
                let accept = |world: &mut World| {
                    world.accepted = number;
                    world.stream.push(number);
                    if !half {
                        world.pending = Some(number);
                    }
                };
                go("accept", &accept, Actor::Writer(then));
            }
            Actor::Writer(Writes::Half(number)) => {
                go("pend", &|world| world.pending = Some(number), Actor::Writer(Writes::Accepted(number)));
            }
            Actor::Writer(Writes::Accepted(number)) => {
                let evict = |world: &mut World| {
                    if !is_without(Without::EvictsWhatIsAccepted) {
                        world.entry = Entry::default();
                    }
                    world.acknowledged = world.acknowledged.max(number);
                };
                go("evict", &evict, Actor::Writer(Writes::Done));
            }
            Actor::Writer(Writes::Done) | Actor::Reader { at: Reads::Done, .. } => {}
            Actor::Reader { list, at } => {
                let entry = if list { world.list } else { world.entry };
                let reader = |at| Actor::Reader { list, at };
                let entry_of = |world: &mut World, change: &dyn Fn(&mut Entry)| {
                    change(if list { &mut world.list } else { &mut world.entry });
                };
                match at {
                    Reads::Begin => {
                        let floor = if list { 0 } else { world.acknowledged };
                        match entry {
                            Entry { row: Some(row), .. } if is_older(row, floor) => {
                                return Err("a hit is stale");
                            }
                            Entry { row: Some(_), .. } => go("hit", &|_| (), reader(Reads::Done)),
                            // It waits for the other, and is what that one is.
                            Entry { lease: Some(_), .. } => {}
                            Entry { .. } => {
                                let lease =
                                    |world: &mut World| entry_of(world, &|entry| entry.lease = Some(id));
                                go("lease", &lease, reader(Reads::Missed { floor }));
                            }
                        }
                    }
                    Reads::Missed { floor } if list || is_without(Without::LooksIntoThePending) => {
                        go("look nowhere", &|_| (), reader(Reads::Clear { floor }));
                    }
                    Reads::Missed { floor } => match world.pending {
                        Some(row) => go("find", &|_| (), reader(Reads::Has { floor, row })),
                        None => go("look", &|_| (), reader(Reads::Clear { floor })),
                    },
                    Reads::Clear { floor } => {
                        go("load", &|_| (), reader(Reads::Has { floor, row: world.row }));
                    }
                    Reads::Has { floor, row } => {
                        if is_older(row, floor) {
                            return Err("a read is older than what was acknowledged before it began");
                        }
                        let is_mine = entry.lease == Some(id) || is_without(Without::FillNeedsItsLease);
                        let fill = |world: &mut World| {
                            if is_mine {
                                entry_of(world, &|entry| *entry = Entry { row: Some(row), lease: None });
                            }
                        };
                        go("fill", &fill, reader(Reads::Done));
                    }
                    Reads::Done => {}
                }
            }
            Actor::Owner(owns) => {
                let owner = Actor::Owner;
                let is_owner = |fence| world.owned && world.fence == fence;
                if world.crashes > 0 && owns != Owns::Idle {
                    let ends = |world: &mut World| {
                        world.crashes -= 1;
                        // Its lease lapses, unless it is another's by now.
                        world.owned &= fence_of(owns).is_some_and(|fence| world.fence != fence);
                    };
                    go("is killed", &ends, owner(Owns::Idle));
                }
                if world.lapses > 0 && world.owned && owns != Owns::Idle {
                    let lapse = |world: &mut World| {
                        world.lapses -= 1;
                        world.owned = false;
                    };
                    go("is stopped", &lapse, owner(owns));
                }
                match owns {
                    Owns::Idle if !world.owned && !world.stream.is_empty() => {
                        let own = |world: &mut World| {
                            world.owned = true;
                            world.fence += 1;
                        };
                        go("own", &own, owner(Owns::Owner { fence: world.fence + 1 }));
                    }
                    Owns::Idle => {}
                    Owns::Owner { fence } if !is_owner(fence) => {
                        go("has lost it", &|_| (), owner(Owns::Idle));
                    }
                    Owns::Owner { fence } => {
                        if let Some(write) = world.stream.last() {
                            go("read", &|_| (), owner(Owns::Read { fence, write: *write }));
                        }
                    }
                    Owns::Read { fence, write } => {
                        if world.buries > 0 {
                            let give_up = |world: &mut World| {
                                world.buries -= 1;
                                give_up(world, fence, write, without);
                            };
                            go("give up", &give_up, owner(Owns::GaveUp { fence, write }));
                        }
                        let compares = !is_without(Without::LedgerComparesNumbers);
                        if !compares || write > world.ledger {
                            if write < world.row {
                                return Err("an older write is applied over a newer one");
                            }
                            let apply = |world: &mut World| {
                                world.row = write;
                                world.ledger = write;
                                world.effects[usize::from(write)] += 1;
                            };
                            go("apply", &apply, owner(Owns::Applied { fence, write }));
                        } else {
                            go("was applied", &|_| (), owner(Owns::Applied { fence, write }));
                        }
                    }
                    Owns::Applied { fence, write } => {
                        if is_without(Without::EvictsBeforeItSettles) {
                            let settle = |world: &mut World| settle(world, fence, write, without);
                            go("settle", &settle, owner(Owns::Settled { write }));
                        } else {
                            let evict = |world: &mut World| evict(world, without);
                            go("evict", &evict, owner(Owns::Evicted { fence, write }));
                        }
                    }
                    Owns::Evicted { fence, write } => {
                        let settle = |world: &mut World| settle(world, fence, write, without);
                        let then = if is_owner(fence) { Owns::Owner { fence } } else { Owns::Idle };
                        go("settle", &settle, owner(then));
                    }
                    Owns::GaveUp { fence, write } => {
                        let evict = |world: &mut World| {
                            if !is_without(Without::EvictsWhatItBuries) {
                                evict(world, without);
                            }
                        };
                        go("evict", &evict, owner(Owns::Cleared { fence, write }));
                    }
                    Owns::Cleared { fence, write } => {
                        let bury = |world: &mut World| bury(world, fence, write);
                        let then = if is_owner(fence) { Owns::Owner { fence } } else { Owns::Idle };
                        go("bury", &bury, owner(then));
                    }
                    Owns::Settled { .. } => {
                        let evict = |world: &mut World| {
                            evict(world, without);
                            world.owned = false;
                        };
                        go("evict", &evict, owner(Owns::Idle));
                    }
                }
            }
        }
    }
    Ok(steps)
}

fn fence_of(owns: Owns) -> Option<u8> {
    match owns {
        Owns::Owner { fence }
        | Owns::Read { fence, .. }
        | Owns::Applied { fence, .. }
        | Owns::Evicted { fence, .. }
        | Owns::GaveUp { fence, .. }
        | Owns::Cleared { fence, .. } => Some(fence),
        Owns::Idle | Owns::Settled { .. } => None,
    }
}

fn evict(world: &mut World, without: Option<Without>) {
    if without != Some(Without::EvictsWhatIsApplied) {
        world.entry = Entry::default();
        world.list = Entry::default();
    }
}

/// What was read is no part of the stream any more, and not pending, unless something newer is; by the owner alone.
fn settle(world: &mut World, fence: u8, write: u8, without: Option<Without>) {
    if !world.owned || world.fence != fence {
        return;
    }
    world.settled = world.settled.max(write);
    world.stream.retain(|other| *other > write);
    let goes = |pending: &u8| *pending > write && without != Some(Without::SettlesNoMoreThanItRead);
    world.pending = world.pending.filter(goes);
}

/// It is pending no more, unless something newer is; by the owner alone.
fn give_up(world: &mut World, fence: u8, write: u8, without: Option<Without>) {
    if !world.owned || world.fence != fence {
        return;
    }
    world.given_up = world.given_up.max(write);
    if without != Some(Without::UnpendsBeforeItEvicts) {
        world.pending = world.pending.filter(|pending| *pending > write);
    }
    if without == Some(Without::BuriesWhatWasEvicted) {
        world.stream.retain(|other| *other > write);
    }
}

/// It is a dead letter, and no part of the stream any more; by the owner alone.
fn bury(world: &mut World, fence: u8, write: u8) {
    if !world.owned || world.fence != fence {
        return;
    }
    world.stream.retain(|other| *other > write);
    world.pending = world.pending.filter(|pending| *pending > write);
}
