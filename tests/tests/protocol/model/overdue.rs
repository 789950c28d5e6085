//! The flights of one process: callers that lead, join, are dropped, and take over from a load that does not end; evicts of this process,
//! which detach flights, and of others, which do not.

use cachemacro::store::{Guard, LeaseKind, OnRefusal, Token};

use super::entries::{Ask, Entry, Evicts, Versions, is_valid};
use super::explorer::{Steps, Violation, explore};

/// Who takes part.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scene {
    pub(crate) callers: usize,
    /// How many loads never end.
    pub(crate) endless: u8,
    /// How many callers may be dropped while they lead.
    pub(crate) drops: u8,
    /// Evicts of this process, and of others.
    pub(crate) own_evicts: usize,
    pub(crate) other_evicts: usize,
}

/// A mechanism that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    Takeover,
    ServedOnlyIfJoinedBeforeThatLoad,
    TakerStoresNothing,
    DroppedLeaderHandsOn,
    LeftOversFlyAgain,
    FillNeedsItsLease,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Actor {
    Caller(Calls),
    Evicter { own: bool, at: Evicts },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Calls {
    Begin,
    /// Waits for this flight, having joined it before its load began or not, and before that of who took over.
    Waits {
        flight: u8,
        floor: u8,
        before: bool,
        before_taker: bool,
    },
    Leads {
        flight: u8,
        floor: u8,
    },
    Loads {
        flight: u8,
        floor: u8,
        row: u8,
        leads: bool,
    },
    /// What it was not served; it asks anew, in the next flight.
    Left {
        floor: u8,
    },
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    row: u8,
    acknowledged: u8,
    entry: Entry,
    versions: Versions,
    /// The flight that callers join now.
    open: Option<u8>,
    flights: u8,
    /// Loads that never end, by the caller.
    stuck: u64,
    endless: u8,
    drops: u8,
    actors: Vec<Actor>,
}

/// All orders of these steps.
pub(crate) fn explored(scene: &Scene, without: Option<Without>) -> Result<usize, Violation> {
    let mut actors = vec![Actor::Caller(Calls::Begin); scene.callers];
    actors.extend(vec![Actor::Evicter { own: true, at: Evicts::Begin }; scene.own_evicts]);
    actors.extend(vec![Actor::Evicter { own: false, at: Evicts::Begin }; scene.other_evicts]);
    let start = World {
        row: 0,
        acknowledged: 0,
        entry: Entry::default(),
        versions: Versions::new(),
        open: None,
        flights: 0,
        stuck: 0,
        endless: scene.endless,
        drops: scene.drops,
        actors,
    };
    let is_done = |world: &World| {
        world.actors.iter().enumerate().all(|(place, actor)| match actor {
            Actor::Caller(Calls::Loads { .. }) => world.stuck & (1 << place) != 0,
            Actor::Caller(calls) => *calls == Calls::Done,
            Actor::Evicter { at, .. } => *at == Evicts::Done,
        })
    };
    explore(start, |world| next(world, without), is_done)
}

/// Whether somebody loads beside the leader of this flight already.
fn is_taken_over(world: &World, flight: u8) -> bool {
    let beside = |actor: &Actor| matches!(actor, Actor::Caller(Calls::Loads { flight: of, leads: false, .. }) if *of == flight);
    world.actors.iter().any(beside)
}

/// A load of this flight has landed: those who joined before it began have its row, and the others fly again.
fn land(
    world: &mut World,
    flight: u8,
    taker: bool,
    row: u8,
    without: Option<Without>,
) -> Result<(), &'static str> {
    for actor in &mut world.actors {
        let Actor::Caller(calls) = actor else { continue };
        let Calls::Waits { flight: of, floor, before, before_taker } = *calls else { continue };
        if of != flight {
            continue;
        }
        let served = if taker { before_taker } else { before };
        if served || without == Some(Without::ServedOnlyIfJoinedBeforeThatLoad) {
            if row < floor {
                return Err("a follower is given what is stale");
            }
            *calls = Calls::Done;
        } else if without != Some(Without::LeftOversFlyAgain) {
            *calls = Calls::Left { floor };
        }
    }
    if world.open == Some(flight) {
        world.open = None;
    }
    Ok(())
}

fn next(world: &World, without: Option<Without>) -> Result<Steps<World>, &'static str> {
    let is_without = |mechanism| without == Some(mechanism);
    let value = world.entry.value();
    if is_valid(value, world.versions.tag) && value.is_some_and(|value| value.row < world.acknowledged) {
        return Err("a read now would be stale");
    }
    let mut steps = Vec::new();
    for (place, actor) in world.actors.iter().enumerate() {
        let own = place as u64 + 1;
        let mut go = |what: &'static str, change: &dyn Fn(&mut World) -> Result<(), &'static str>| {
            let mut world = world.clone();
            let changed = change(&mut world);
            steps.push(((place, what), world));
            changed
        };
        match *actor {
            Actor::Caller(Calls::Begin) => {
                let floor = world.acknowledged;
                match value {
                    Some(value) if is_valid(Some(value), world.versions.tag) => {
                        if value.row < floor {
                            return Err("a hit is stale");
                        }
                        go("hits", &|world| to(world, place, Calls::Done))?;
                    }
                    _ => go("misses, and joins or leads", &|world| join(world, place, floor))?,
                }
            }
            Actor::Caller(Calls::Left { floor }) => {
                go("joins or leads the next flight", &|world| join(world, place, floor))?;
            }
            Actor::Caller(Calls::Leads { flight, floor }) => {
                go("takes the lease, and begins to load", &|world| {
                    let version = world.versions.capture(false);
                    let seen = world.entry.value().map_or(0, |value| value.fill);
                    let ask = Ask { kind: LeaseKind::Load, token: own, seen, over: 0, version };
                    // Where it is not free, it loads all the same, and its fill is refused.
                    let _ = world.entry.lease(ask);
                    to(world, place, Calls::Loads { flight, floor, row: world.row, leads: true })
                })?;
            }
            Actor::Caller(Calls::Loads { flight, floor, row, leads }) => {
                if world.stuck & (1 << place) != 0 {
                    continue;
                }
                go("has loaded, and fills", &|world| {
                    if row < floor {
                        return Err("a load is stale");
                    }
                    let version = world.versions.tag.unwrap_or(1);
                    let token = Guard::Lease(Token::new(own));
                    let guard = if is_without(Without::FillNeedsItsLease) { Guard::Always } else { token };
                    if leads {
                        world.entry.write(row, version, own, guard, OnRefusal::Leave);
                    } else if is_without(Without::TakerStoresNothing) {
                        world.entry.write(row, version, own, Guard::Always, OnRefusal::Leave);
                    }
                    to(world, place, Calls::Done)?;
                    land(world, flight, !leads, row, without)
                })?;
                if world.endless > 0 && leads {
                    go("loads without end", &|world| {
                        (world.endless, world.stuck) = (world.endless - 1, world.stuck | 1 << place);
                        Ok(())
                    })?;
                }
                if world.drops > 0 && leads {
                    go("is dropped", &|world| {
                        world.drops -= 1;
                        world.entry.release(own);
                        to(world, place, Calls::Done)?;
                        if !is_without(Without::DroppedLeaderHandsOn) {
                            hand_on(world, flight);
                        }
                        Ok(())
                    })?;
                }
            }
            Actor::Caller(Calls::Waits { flight, floor, .. }) => {
                let leader = world.actors.iter().enumerate().find(|(_, actor)| {
                    matches!(actor, Actor::Caller(Calls::Loads { flight: of, leads: true, .. }) if *of == flight)
                });
                let overdue = leader.is_some_and(|(leader, _)| world.stuck & (1 << leader) != 0);
                if overdue && !is_taken_over(world, flight) && !is_without(Without::Takeover) {
                    go("takes over: it loads beside", &|world| {
                        for actor in &mut world.actors {
                            if let Actor::Caller(Calls::Waits { flight: of, before_taker, .. }) = actor
                                && *of == flight
                            {
                                *before_taker = true;
                            }
                        }
                        to(world, place, Calls::Loads { flight, floor, row: world.row, leads: false })
                    })?;
                }
            }
            Actor::Caller(Calls::Done) => {}
            Actor::Evicter { own, at } => evict(own, at, &mut go, place, world.row)?,
        }
    }
    Ok(steps)
}

#[expect(clippy::unnecessary_wraps, reason = "it ends a step, which may fail")]
fn to(world: &mut World, place: usize, calls: Calls) -> Result<(), &'static str> {
    world.actors[place] = Actor::Caller(calls);
    Ok(())
}

/// Joins the flight that is open, or opens one.
fn join(world: &mut World, place: usize, floor: u8) -> Result<(), &'static str> {
    let Some(flight) = world.open else {
        world.flights += 1;
        world.open = Some(world.flights);
        return to(world, place, Calls::Leads { flight: world.flights, floor });
    };
    let leads =
        |actor: &Actor| matches!(actor, Actor::Caller(Calls::Leads { flight: of, .. }) if *of == flight);
    let before = world.actors.iter().any(leads);
    to(world, place, Calls::Waits { flight, floor, before, before_taker: false })
}

/// The next of those who wait leads; where there is none, the flight is over.
fn hand_on(world: &mut World, flight: u8) {
    let next = world.actors.iter_mut().find_map(|actor| match actor {
        Actor::Caller(calls) => match *calls {
            Calls::Waits { flight: of, floor, .. } if of == flight => Some((calls, floor)),
            _ => None,
        },
        Actor::Evicter { .. } => None,
    });
    if let Some((calls, floor)) = next {
        *calls = Calls::Leads { flight, floor };
        for actor in &mut world.actors {
            if let Actor::Caller(Calls::Waits { flight: of, before, .. }) = actor
                && *of == flight
            {
                *before = true;
            }
        }
    } else if world.open == Some(flight) {
        world.open = None;
    }
}

type Go<'a> =
    dyn FnMut(&'static str, &dyn Fn(&mut World) -> Result<(), &'static str>) -> Result<(), &'static str> + 'a;

fn evict(own: bool, at: Evicts, go: &mut Go<'_>, place: usize, row: u8) -> Result<(), &'static str> {
    let to = |world: &mut World, at| world.actors[place] = Actor::Evicter { own, at };
    match at {
        Evicts::Begin => go("writes", &|world| {
            world.row += 1;
            to(world, Evicts::Wrote(row + 1));
            Ok(())
        }),
        Evicts::Wrote(row) => go("evicts", &|world| {
            world.entry.evict();
            if own {
                world.open = None;
            }
            to(world, Evicts::Evicted(row));
            Ok(())
        }),
        Evicts::Evicted(row) => go("is acknowledged", &|world| {
            world.acknowledged = world.acknowledged.max(row);
            to(world, Evicts::Done);
            Ok(())
        }),
        Evicts::Done => Ok(()),
    }
}
