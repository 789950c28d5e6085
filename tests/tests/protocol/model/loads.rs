//! Loads, puts and evicts of one entry: leases, tags, takeovers of leases, followers. Capturing a version and asking for the lease are two
//! steps, as in a cluster they can be.

use cachemacro::store::{Guard, LeaseKind, LeaseOutcome, OnRefusal, Token};

use super::entries::{Ask, Entry, Evicts, Value, Versions, is_valid, value};
use super::explorer::{Steps, Violation, explore};

/// Who takes part.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scene {
    pub(crate) readers: usize,
    /// One of each of the first readers.
    pub(crate) followers: usize,
    pub(crate) evicts: usize,
    pub(crate) tag_evicts: usize,
    pub(crate) puts: usize,
    /// How often the store loses something.
    pub(crate) losses: u8,
    /// Whether the first reader had the lease before the tag was evicted a first time.
    pub(crate) begun: bool,
}

/// A mechanism that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    FillNeedsItsLease,
    StampsFromBeforeTheLoad,
    EvictTakesTheLeaseAlong,
    VersionsAreRandom,
    StampsAreCompared,
    PutTakesTheLease,
    RefusedPutUnlinks,
    SharedOnlyIfAccepted,
    SharedOnlyIfStampsHold,
    SharedOnlyIfJoinedBefore,
    Takeover,
    TakeoverBySecondCapture,
    TakeoverNamesItsHolder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Actor {
    Reader(At),
    /// Of the reader with this number.
    Follower(usize, Follows),
    Evicter(Evicts),
    TagEvicter(Evicts),
    Putter(Puts),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Begin,
    Read {
        floor: u8,
        doomed: u64,
        found: Option<Value>,
    },
    Missed {
        floor: u8,
        doomed: u64,
        seen: u64,
    },
    Captured {
        floor: u8,
        doomed: u64,
        seen: u64,
        version: u64,
        over: u64,
    },
    /// Whose lease it found under another version.
    Outdated {
        floor: u8,
        doomed: u64,
        seen: u64,
        over: u64,
    },
    Leased {
        floor: u8,
        version: u64,
        token: u64,
    },
    Loaded {
        floor: u8,
        version: u64,
        token: u64,
        row: u8,
    },
    Filled {
        version: u64,
        row: u8,
    },
    /// What followers may have that joined during the load.
    Done(Option<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Follows {
    Begin,
    /// Joined before the load began, and whether only then it may have whatever was loaded.
    Joined {
        floor: u8,
        before: bool,
    },
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Puts {
    Begin,
    Captured(u64),
    Leased(u64),
    Wrote(u64, u8),
    Filled(u8),
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    /// The row in the database.
    row: u8,
    /// The newest row before whose evict, which was acknowledged, nothing may be read.
    acknowledged: u8,
    entry: Entry,
    versions: Versions,
    losses: u8,
    actors: Vec<Actor>,
}

impl World {
    fn new(scene: &Scene) -> Self {
        let mut actors = vec![Actor::Reader(At::Begin); scene.readers];
        actors.extend((0..scene.followers).map(|leader| Actor::Follower(leader, Follows::Begin)));
        actors.extend(vec![Actor::Evicter(Evicts::Begin); scene.evicts]);
        actors.extend(vec![Actor::TagEvicter(Evicts::Begin); scene.tag_evicts]);
        actors.extend(vec![Actor::Putter(Puts::Begin); scene.puts]);
        let (mut entry, mut versions) = (Entry::default(), Versions::missing());
        if scene.begun {
            let (token, version) = (1, versions.capture(false));
            entry.lease(Ask { kind: LeaseKind::Load, token, seen: 0, over: 0, version });
            actors[0] = Actor::Reader(At::Leased { floor: 0, version, token });
            versions.tag = None;
        }
        Self { row: 0, acknowledged: 0, entry, versions, losses: scene.losses, actors }
    }

    fn write(&mut self) -> u8 {
        self.row += 1;
        self.row
    }

    fn acknowledge(&mut self, row: u8) {
        self.acknowledged = self.acknowledged.max(row);
    }

    /// Whether what is stored under the lease that is there could be read by nobody.
    fn is_doomed(&self) -> bool {
        self.entry.value().is_none() && self.entry.captured() != self.versions.tag
    }
}

/// All orders of these steps.
pub(crate) fn explored(scene: &Scene, without: Option<Without>) -> Result<usize, Violation> {
    let is_done = |world: &World| {
        world.actors.iter().all(|actor| match actor {
            Actor::Reader(at) => matches!(at, At::Done(_)),
            // Who found no flight to join is a reader.
            Actor::Follower(_, follows) => !matches!(follows, Follows::Joined { .. }),
            Actor::Evicter(evicts) | Actor::TagEvicter(evicts) => *evicts == Evicts::Done,
            Actor::Putter(puts) => *puts == Puts::Done,
        })
    };
    explore(World::new(scene), |world| next(world, without), is_done)
}

fn next(world: &World, without: Option<Without>) -> Result<Steps<World>, &'static str> {
    let is_without = |mechanism| without == Some(mechanism);
    let stored = world.entry.value().filter(|_| {
        is_without(Without::StampsAreCompared) || is_valid(world.entry.value(), world.versions.tag)
    });
    if stored.is_some_and(|value| value.row < world.acknowledged) {
        return Err("a read now would be stale");
    }
    let mut steps = Vec::new();
    for (place, actor) in world.actors.iter().enumerate() {
        let mut go = |what: &'static str, to: Actor, change: &dyn Fn(&mut World)| {
            let mut world = world.clone();
            change(&mut world);
            world.actors[place] = to;
            steps.push(((place, what), world));
        };
        match *actor {
            Actor::Reader(at) => steps.extend(reads(world, place, at, without)?),
            Actor::Follower(leader, Follows::Begin) => {
                let Actor::Reader(at) = world.actors[leader] else { continue };
                let before = match at {
                    At::Missed { .. } | At::Captured { .. } | At::Outdated { .. } | At::Leased { .. } => true,
                    At::Loaded { .. } => is_without(Without::SharedOnlyIfJoinedBefore),
                    _ => continue,
                };
                let floor = world.acknowledged;
                go("joins", Actor::Follower(leader, Follows::Joined { floor, before }), &|_| {});
                if let At::Loaded { .. } = at {
                    let joined = Follows::Joined { floor, before: false };
                    go("joins after the load began", Actor::Follower(leader, joined), &|_| {});
                }
            }
            Actor::Follower(leader, Follows::Joined { floor, before }) => {
                let Actor::Reader(at) = world.actors[leader] else { continue };
                let row = match at {
                    // (a)
                    At::Loaded { row, .. } if before => Some(row),
                    // (c)
                    At::Done(row) => row,
                    _ => continue,
                };
                if row.is_some_and(|row| row < floor) {
                    return Err("a follower is given what is stale");
                }
                go("is told", Actor::Follower(leader, Follows::Done), &|_| {});
            }
            Actor::Follower(_, Follows::Done) => {}
            Actor::Evicter(evicts) => match evicts {
                Evicts::Begin => {
                    let wrote = Actor::Evicter(Evicts::Wrote(world.row + 1));
                    go("writes", wrote, &|world| {
                        world.write();
                    });
                }
                Evicts::Wrote(row) => go("evicts", Actor::Evicter(Evicts::Evicted(row)), &|world| {
                    let is_pending = world.entry.value().is_none();
                    if !(is_pending && is_without(Without::EvictTakesTheLeaseAlong)) {
                        world.entry.evict();
                    }
                }),
                Evicts::Evicted(row) => {
                    go("is acknowledged", Actor::Evicter(Evicts::Done), &|world| world.acknowledge(row));
                }
                Evicts::Done => {}
            },
            Actor::TagEvicter(evicts) => match evicts {
                Evicts::Begin => {
                    let wrote = Actor::TagEvicter(Evicts::Wrote(world.row + 1));
                    go("writes", wrote, &|world| {
                        world.write();
                    });
                }
                Evicts::Wrote(row) => {
                    let evicted = Actor::TagEvicter(Evicts::Evicted(row));
                    go("evicts the tag", evicted, &|world| world.versions.tag = None);
                }
                Evicts::Evicted(row) => {
                    go("is acknowledged", Actor::TagEvicter(Evicts::Done), &|world| world.acknowledge(row));
                }
                Evicts::Done => {}
            },
            Actor::Putter(puts) => steps.extend(put(world, place, puts, without)),
        }
    }
    if world.losses > 0 {
        let nobody = world.actors.len();
        let mut lose = |what, change: &dyn Fn(&mut World)| {
            let mut world = world.clone();
            world.losses -= 1;
            change(&mut world);
            steps.push(((nobody, what), world));
        };
        lose("the key is lost", &|world| world.entry = Entry::default());
        lose("the version is lost", &|world| world.versions.tag = None);
        if world.entry.token() != 0 {
            lose("the lease lapses", &|world| {
                world.entry.release(world.entry.token());
            });
        }
    }
    Ok(steps)
}

#[expect(clippy::too_many_lines, reason = "one row for each step")]
fn reads(
    world: &World,
    place: usize,
    at: At,
    without: Option<Without>,
) -> Result<Steps<World>, &'static str> {
    let is_without = |mechanism| without == Some(mechanism);
    let mut steps = Vec::new();
    let mut go = |what: &'static str, to: At, change: &dyn Fn(&mut World)| {
        let mut world = world.clone();
        change(&mut world);
        world.actors[place] = Actor::Reader(to);
        steps.push(((place, what), world));
    };
    let own = place as u64 + 1;
    match at {
        At::Begin => {
            let doomed = if world.is_doomed() { world.entry.token() } else { 0 };
            let found = world.entry.value();
            let floor = world.acknowledged;
            go("reads the entry", At::Read { floor, doomed, found }, &|_| {});
            go("asks for the lease at once", At::Missed { floor, doomed, seen: 0 }, &|_| {});
        }
        At::Read { floor, doomed, found } => {
            let valid = is_valid(found, world.versions.tag) || is_without(Without::StampsAreCompared);
            match found.filter(|_| valid) {
                Some(value) if value.row < floor => return Err("a hit is stale"),
                Some(_) => go("reads the version: a hit", At::Done(None), &|_| {}),
                None => {
                    let seen = found.map_or(0, |value| value.fill);
                    go("reads the version: a miss", At::Missed { floor, doomed, seen }, &|_| {});
                }
            }
        }
        At::Missed { floor, doomed, seen } => {
            let (mut world, counted) = (world.clone(), is_without(Without::VersionsAreRandom));
            let version = world.versions.capture(counted);
            world.actors[place] = Actor::Reader(At::Captured { floor, doomed, seen, version, over: 0 });
            steps.push(((place, "captures"), world));
        }
        At::Outdated { floor, doomed, seen, over } => {
            let mut world = world.clone();
            let version = world.versions.capture(is_without(Without::VersionsAreRandom));
            world.actors[place] = Actor::Reader(At::Captured { floor, doomed, seen, version, over });
            steps.push(((place, "captures again"), world));
        }
        At::Captured { floor, doomed, seen, version, over } => {
            let mut after = world.clone();
            let holder = world.entry.token();
            let over = match over {
                0 if is_without(Without::TakeoverBySecondCapture) => holder,
                0 => 0,
                _ if is_without(Without::TakeoverNamesItsHolder) => holder,
                over => over,
            };
            let ask = Ask { kind: LeaseKind::Load, token: own, seen, over, version };
            let outcome = after.entry.lease(ask);
            let read_again = |world: &World| At::Read { floor, doomed, found: world.entry.value() };
            match outcome {
                LeaseOutcome::Taken => {
                    let is_pending = world.entry.value().is_none();
                    if holder != 0 && over == holder && is_pending && !world.is_doomed() {
                        return Err("a lease is taken over whose load could be stored");
                    }
                    after.actors[place] = Actor::Reader(At::Leased { floor, version, token: own });
                    steps.push(((place, "takes the lease"), after));
                }
                LeaseOutcome::Found(bytes) => {
                    let found = value(&bytes);
                    go("is given another value", At::Read { floor, doomed, found }, &|_| {});
                }
                LeaseOutcome::Busy { outdated: Some(over), .. } if !is_without(Without::Takeover) => {
                    let over = Token::get(over);
                    go(
                        "finds it held under another version",
                        At::Outdated { floor, doomed, seen, over },
                        &|_| {},
                    );
                }
                _ => {
                    if holder == doomed && holder != 0 {
                        return Err("somebody waits for a load that was worthless before it came");
                    }
                    go("waits", read_again(world), &|_| {});
                    go("has waited", At::Leased { floor, version, token: 0 }, &|_| {});
                }
            }
        }
        At::Leased { floor, version, token } => {
            go("loads", At::Loaded { floor, version, token, row: world.row }, &|_| {});
        }
        At::Loaded { floor, version, token, row } => {
            if row < floor {
                return Err("a load is stale");
            }
            let mut after = world.clone();
            let version = if is_without(Without::StampsFromBeforeTheLoad) {
                after.versions.capture(false)
            } else {
                version
            };
            let guard = if is_without(Without::FillNeedsItsLease) {
                Guard::Always
            } else {
                Guard::Lease(Token::new(token))
            };
            let accepted = token != 0 && after.entry.write(row, version, own, guard, OnRefusal::Leave);
            let refused = is_without(Without::SharedOnlyIfAccepted).then_some(row);
            let to = if accepted { At::Filled { version, row } } else { At::Done(refused) };
            after.actors[place] = Actor::Reader(to);
            steps.push(((place, if accepted { "fills" } else { "is refused" }), after));
        }
        At::Filled { version, row } => {
            let hold = world.versions.tag == Some(version) || is_without(Without::SharedOnlyIfStampsHold);
            go("reads its stamps", At::Done(hold.then_some(row)), &|_| {});
        }
        At::Done(_) => {}
    }
    Ok(steps)
}

fn put(world: &World, place: usize, puts: Puts, without: Option<Without>) -> Steps<World> {
    let own = place as u64 + 1;
    let mut after = world.clone();
    let (what, to) = match puts {
        Puts::Begin => ("captures", Puts::Captured(after.versions.capture(false))),
        Puts::Captured(version) => {
            if without != Some(Without::PutTakesTheLease) {
                let ask = Ask { kind: LeaseKind::Put, token: own, seen: 0, over: 0, version };
                assert_eq!(after.entry.lease(ask), LeaseOutcome::Taken, "by force");
            }
            ("takes the lease by force", Puts::Leased(version))
        }
        Puts::Leased(version) => ("writes", Puts::Wrote(version, after.write())),
        Puts::Wrote(version, row) => {
            let guard = match without {
                Some(Without::PutTakesTheLease) => Guard::Always,
                _ => Guard::Lease(Token::new(own)),
            };
            let refused = match without {
                Some(Without::RefusedPutUnlinks) => OnRefusal::Leave,
                _ => OnRefusal::Unlink,
            };
            after.entry.write(row, version, own, guard, refused);
            ("fills, or unlinks", Puts::Filled(row))
        }
        Puts::Filled(row) => {
            after.acknowledge(row);
            ("is acknowledged", Puts::Done)
        }
        Puts::Done => return Vec::new(),
    };
    after.actors[place] = Actor::Putter(to);
    vec![((place, what), after)]
}
