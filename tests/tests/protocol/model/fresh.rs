//! A value that has become stale, and who loads it anew: the lease of a refresh lies under a second key, named by the value; failed
//! loads, followers, loads of those who take no stale value, evicts and puts beside it.

use std::collections::BTreeMap;

use cachemacro::store::{FillId, Guard, LeaseKind, LeaseOutcome, OnRefusal, Token};

use super::entries::{Ask, Entry, Evicts, Value, Versions, is_valid, value};
use super::explorer::{Steps, Violation, explore};

/// The value that was there before.
const FIRST: u64 = 99;

/// Who takes part.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scene {
    /// Who is served a stale value, and loads anew where it is elected; every second one behind its caller.
    pub(crate) refreshers: usize,
    /// Who takes no stale value.
    pub(crate) loaders: usize,
    /// Who found nothing of use, or a stale value, and joins the first refresher.
    pub(crate) followers: usize,
    pub(crate) evicts: usize,
    pub(crate) tag_evicts: usize,
    pub(crate) puts: usize,
    pub(crate) losses: u8,
}

/// A mechanism that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Without {
    StaleIsChecked,
    SecondKey,
    SecondLook,
    RefreshIsFenced,
    RefreshKnowsTheToken,
    StampsFromBeforeTheLoad,
    EvictTakesTheStaleValue,
    FollowersAreGivenNoStaleValue,
    ErrorsRestoreNothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Actor {
    Refresher {
        behind: bool,
        at: At,
    },
    Loader(Loads),
    Follower(Follows),
    /// Of the key, or of the tag.
    Evicter {
        tag: bool,
        at: Evicts,
    },
    Putter(Puts),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Begin,
    Read {
        floor: u8,
        found: Option<Value>,
    },
    Stale {
        floor: u8,
        old: Value,
    },
    Captured {
        floor: u8,
        old: Value,
        version: u64,
    },
    Elected {
        floor: u8,
        old: Value,
        version: u64,
    },
    Loading {
        floor: u8,
        old: Value,
        version: u64,
    },
    Loaded {
        floor: u8,
        old: Value,
        version: u64,
        row: u8,
    },
    Failed {
        floor: u8,
        old: Value,
    },
    Filled {
        version: u64,
        row: u8,
    },
    /// What followers may have: a row, or nothing but, without a mechanism, the stale one.
    Done {
        row: Option<u8>,
        old: Option<u8>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Loads {
    Begin,
    Read { floor: u8, found: Option<Value> },
    Missed { floor: u8, seen: u64 },
    Captured { floor: u8, seen: u64, version: u64, over: u64 },
    Leased { floor: u8, version: u64, token: u64 },
    Loaded { floor: u8, version: u64, token: u64, row: u8 },
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Follows {
    Begin,
    Read { floor: u8, found: Option<Value> },
    Joined { floor: u8, own: Option<u8> },
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Puts {
    Begin,
    Leased(u64),
    Wrote(u64, u8),
    Filled(u8),
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    row: u8,
    acknowledged: u8,
    entry: Entry,
    /// The second keys, by the value that names them.
    seconds: BTreeMap<u64, Entry>,
    versions: Versions,
    losses: u8,
    /// Whether anything was lost.
    lost: bool,
    actors: Vec<Actor>,
}

impl World {
    fn new(scene: &Scene) -> Self {
        let mut actors: Vec<Actor> = (0..scene.refreshers)
            .map(|number| Actor::Refresher { behind: number % 2 == 1, at: At::Begin })
            .collect();
        actors.extend(vec![Actor::Loader(Loads::Begin); scene.loaders]);
        actors.extend(vec![Actor::Follower(Follows::Begin); scene.followers]);
        actors.extend(vec![Actor::Evicter { tag: false, at: Evicts::Begin }; scene.evicts]);
        actors.extend(vec![Actor::Evicter { tag: true, at: Evicts::Begin }; scene.tag_evicts]);
        actors.extend(vec![Actor::Putter(Puts::Begin); scene.puts]);
        Self {
            row: 0,
            acknowledged: 0,
            entry: Entry::of(0, 1, FIRST),
            seconds: BTreeMap::new(),
            versions: Versions::new(),
            losses: scene.losses,
            lost: false,
            actors,
        }
    }

    fn acknowledge(&mut self, row: u8) {
        self.acknowledged = self.acknowledged.max(row);
    }

    /// How many load this value anew.
    fn loading(&self, seen: u64) -> usize {
        let loads = |actor: &&Actor| matches!(actor, Actor::Refresher { at: At::Loading { old, .. } | At::Loaded { old, .. }, .. } if old.fill == seen);
        self.actors.iter().filter(loads).count()
    }

    fn give_back(&mut self, seen: u64, token: u64) {
        if let Some(second) = self.seconds.get_mut(&seen) {
            second.release(token);
        }
    }
}

/// All orders of these steps.
pub(crate) fn explored(scene: &Scene, without: Option<Without>) -> Result<usize, Violation> {
    let is_done = |world: &World| {
        world.actors.iter().all(|actor| match actor {
            Actor::Refresher { at, .. } => matches!(at, At::Done { .. }),
            Actor::Loader(loads) => *loads == Loads::Done,
            Actor::Follower(follows) => !matches!(follows, Follows::Joined { .. }),
            Actor::Evicter { at, .. } => *at == Evicts::Done,
            Actor::Putter(puts) => *puts == Puts::Done,
        })
    };
    explore(World::new(scene), |world| next(world, without), is_done)
}

fn next(world: &World, without: Option<Without>) -> Result<Steps<World>, &'static str> {
    let value = world.entry.value();
    if is_valid(value, world.versions.tag) && value.is_some_and(|value| value.row < world.acknowledged) {
        return Err("a read now would be stale beyond an evict");
    }
    let mut steps = Vec::new();
    for (place, actor) in world.actors.iter().enumerate() {
        match *actor {
            Actor::Refresher { behind, at } => steps.extend(refreshes(world, place, behind, at, without)?),
            Actor::Loader(loads) => steps.extend(load(world, place, loads)?),
            Actor::Follower(follows) => steps.extend(follow(world, place, follows, without)?),
            Actor::Evicter { tag, at } => steps.extend(evict(world, place, tag, at, without)),
            Actor::Putter(puts) => steps.extend(put(world, place, puts)),
        }
    }
    if world.losses > 0 {
        let nobody = world.actors.len();
        let mut lose = |what, change: &dyn Fn(&mut World)| {
            let mut world = world.clone();
            (world.losses, world.lost) = (world.losses - 1, true);
            change(&mut world);
            steps.push(((nobody, what), world));
        };
        lose("the key is lost", &|world| world.entry = Entry::default());
        lose("the second keys are lost", &|world| world.seconds.clear());
        if world.entry.token() != 0 {
            lose("the lease lapses", &|world| {
                world.entry.release(world.entry.token());
            });
        }
    }
    Ok(steps)
}

#[expect(clippy::too_many_lines, reason = "one row for each step")]
fn refreshes(
    world: &World,
    place: usize,
    behind: bool,
    at: At,
    without: Option<Without>,
) -> Result<Steps<World>, &'static str> {
    let is_without = |mechanism| without == Some(mechanism);
    let own = place as u64 + 1;
    let mut steps = Vec::new();
    let mut go = |what: &'static str, to: At, change: &dyn Fn(&mut World)| {
        let mut world = world.clone();
        change(&mut world);
        world.actors[place] = Actor::Refresher { behind, at: to };
        steps.push(((place, what), world));
    };
    let nothing = At::Done { row: None, old: None };
    let served = |floor: u8, old: Value| {
        if old.row < floor { Err("a stale value is served that was evicted before") } else { Ok(()) }
    };
    match at {
        At::Begin => {
            go(
                "reads the entry",
                At::Read { floor: world.acknowledged, found: world.entry.value() },
                &|_| {},
            );
        }
        At::Read { floor, found } => {
            let valid = is_valid(found, world.versions.tag) || is_without(Without::StaleIsChecked);
            match found.filter(|_| valid) {
                // Behind the first value all others are fresh.
                Some(value) if value.fill != FIRST => {
                    served(floor, value)?;
                    go("hits", nothing, &|_| {});
                }
                Some(old) => go("finds it stale", At::Stale { floor, old }, &|_| {}),
                None => go("misses", nothing, &|_| {}),
            }
        }
        At::Stale { floor, old } => {
            let mut after = world.clone();
            let version = after.versions.capture(false);
            after.actors[place] = Actor::Refresher { behind, at: At::Captured { floor, old, version } };
            steps.push(((place, "captures"), after));
        }
        At::Captured { floor, old, version } => {
            let mut after = world.clone();
            let ask = Ask { kind: LeaseKind::Load, token: own, seen: 0, over: 0, version };
            let outcome = after.seconds.entry(old.fill).or_default().lease(ask);
            if outcome == LeaseOutcome::Taken || is_without(Without::SecondKey) {
                after.actors[place] = Actor::Refresher { behind, at: At::Elected { floor, old, version } };
                steps.push(((place, "is elected"), after));
            } else {
                served(floor, old)?;
                go("serves the old value, which another loads anew", nothing, &|_| {});
            }
        }
        At::Elected { floor, old, version } => {
            // Every caller of the second key's lease is served what its own read found valid.
            let is_same = world.entry.value() == Some(old) && old.stamp == version;
            if is_same || is_without(Without::SecondLook) {
                if behind {
                    served(floor, old)?;
                }
                let loading = At::Loading { floor, old, version };
                if world.loading(old.fill) > 0 && !world.lost {
                    return Err("two load one value anew");
                }
                if world.entry.value().is_some_and(|value| value.fill != old.fill) && !world.lost {
                    return Err("what was loaded anew already is loaded once more");
                }
                go("looks again, and begins to load", loading, &|_| {});
            } else {
                served(floor, old)?;
                go("looks again: it changed, serves", nothing, &|world| world.give_back(old.fill, own));
            }
        }
        At::Loading { floor, old, version } => {
            go("loads", At::Loaded { floor, old, version, row: world.row }, &|_| {});
            go("fails to load", At::Failed { floor, old }, &|_| {});
        }
        At::Failed { floor, old } => {
            served(floor, old)?;
            // Its lease is left to lapse, so that nobody tries again at once.
            go("serves the old value", At::Done { row: None, old: Some(old.row) }, &|world| {
                if is_without(Without::ErrorsRestoreNothing) && world.entry.value().is_none() {
                    world.entry = Entry::of(old.row, world.versions.capture(false), FIRST);
                }
            });
        }
        At::Loaded { floor, old, version, row } => {
            if !behind && row < floor {
                return Err("a load is stale");
            }
            let mut after = world.clone();
            let version = if is_without(Without::StampsFromBeforeTheLoad) {
                after.versions.capture(false)
            } else {
                version
            };
            let guard = match without {
                Some(Without::RefreshIsFenced) => Guard::Always,
                Some(Without::RefreshKnowsTheToken) => Guard::Seen(FillId::new(old.fill)),
                _ => Guard::unchanged(FillId::new(old.fill), Token::new(old.token)),
            };
            let holder = world.entry.token();
            let accepted = after.entry.write(row, version, own, guard, OnRefusal::Leave);
            if accepted && holder != 0 && holder != old.token {
                return Err("a refresh ends the lease of another");
            }
            after.give_back(old.fill, own);
            let to = if accepted {
                At::Filled { version, row }
            } else {
                At::Done { row: None, old: Some(old.row) }
            };
            after.actors[place] = Actor::Refresher { behind, at: to };
            steps.push(((place, if accepted { "fills" } else { "is refused" }), after));
        }
        At::Filled { version, row } => {
            let hold = world.versions.tag == Some(version);
            go("reads its stamps", At::Done { row: hold.then_some(row), old: None }, &|_| {});
        }
        At::Done { .. } => {}
    }
    Ok(steps)
}

fn load(world: &World, place: usize, loads: Loads) -> Result<Steps<World>, &'static str> {
    let own = place as u64 + 1;
    let mut after = world.clone();
    let (what, to) = match loads {
        Loads::Begin => {
            ("reads the entry", Loads::Read { floor: world.acknowledged, found: world.entry.value() })
        }
        Loads::Read { floor, found } => match found.filter(|_| is_valid(found, world.versions.tag)) {
            Some(value) if value.fill != FIRST => {
                if value.row < floor {
                    return Err("a hit is stale");
                }
                ("hits", Loads::Done)
            }
            _ => ("misses", Loads::Missed { floor, seen: found.map_or(0, |value| value.fill) }),
        },
        Loads::Missed { floor, seen } => {
            let version = after.versions.capture(false);
            ("captures", Loads::Captured { floor, seen, version, over: 0 })
        }
        Loads::Captured { floor, seen, version, over } => {
            let ask = Ask { kind: LeaseKind::Load, token: own, seen, over, version };
            match after.entry.lease(ask) {
                LeaseOutcome::Taken => ("takes the lease", Loads::Leased { floor, version, token: own }),
                LeaseOutcome::Found(bytes) => {
                    ("is given another value", Loads::Read { floor, found: value(&bytes) })
                }
                LeaseOutcome::Busy { outdated: Some(over), .. } => {
                    let version = after.versions.capture(false);
                    let over = over.get();
                    ("captures again", Loads::Captured { floor, seen, version, over })
                }
                _ => ("has waited", Loads::Leased { floor, version, token: 0 }),
            }
        }
        Loads::Leased { floor, version, token } => {
            ("loads", Loads::Loaded { floor, version, token, row: world.row })
        }
        Loads::Loaded { floor, version, token, row } => {
            if row < floor {
                return Err("a load is stale");
            }
            if token != 0 {
                after.entry.write(row, version, own, Guard::Lease(Token::new(token)), OnRefusal::Leave);
            }
            ("fills", Loads::Done)
        }
        Loads::Done => return Ok(Vec::new()),
    };
    after.actors[place] = Actor::Loader(to);
    Ok(vec![((place, what), after)])
}

fn follow(
    world: &World,
    place: usize,
    follows: Follows,
    without: Option<Without>,
) -> Result<Steps<World>, &'static str> {
    let Some(Actor::Refresher { at, .. }) = world.actors.first() else { return Ok(Vec::new()) };
    let (what, to) = match follows {
        Follows::Begin => {
            ("reads the entry", Follows::Read { floor: world.acknowledged, found: world.entry.value() })
        }
        Follows::Read { floor, found } => {
            let own = found.filter(|_| is_valid(found, world.versions.tag)).map(|value| value.row);
            // It joins before the fill is sent: then (c) holds.
            match at {
                At::Stale { .. }
                | At::Captured { .. }
                | At::Elected { .. }
                | At::Loading { .. }
                | At::Loaded { .. } => ("reads the version, and joins", Follows::Joined { floor, own }),
                _ => ("reads the version, and finds no flight", Follows::Done),
            }
        }
        Follows::Joined { floor, own } => {
            let At::Done { row, old } = *at else { return Ok(Vec::new()) };
            let leaders = old.filter(|_| without == Some(Without::FollowersAreGivenNoStaleValue));
            if row.or(own).or(leaders).is_some_and(|row| row < floor) {
                return Err("a follower is given what is stale");
            }
            ("is told", Follows::Done)
        }
        Follows::Done => return Ok(Vec::new()),
    };
    let mut after = world.clone();
    after.actors[place] = Actor::Follower(to);
    Ok(vec![((place, what), after)])
}

fn evict(world: &World, place: usize, tag: bool, at: Evicts, without: Option<Without>) -> Steps<World> {
    let mut after = world.clone();
    let (what, to) = match at {
        Evicts::Begin => {
            after.row += 1;
            ("writes", Evicts::Wrote(after.row))
        }
        Evicts::Wrote(row) if tag => {
            after.versions.tag = None;
            ("evicts the tag", Evicts::Evicted(row))
        }
        Evicts::Wrote(row) => {
            if without != Some(Without::EvictTakesTheStaleValue) {
                after.entry.evict();
            }
            ("evicts", Evicts::Evicted(row))
        }
        Evicts::Evicted(row) => {
            after.acknowledge(row);
            ("is acknowledged", Evicts::Done)
        }
        Evicts::Done => return Vec::new(),
    };
    after.actors[place] = Actor::Evicter { tag, at: to };
    vec![((place, what), after)]
}

fn put(world: &World, place: usize, puts: Puts) -> Steps<World> {
    let own = place as u64 + 1;
    let mut after = world.clone();
    let (what, to) = match puts {
        Puts::Begin => {
            let version = after.versions.capture(false);
            after.entry.lease(Ask { kind: LeaseKind::Put, token: own, seen: 0, over: 0, version });
            ("captures, and takes the lease by force", Puts::Leased(version))
        }
        Puts::Leased(version) => {
            after.row += 1;
            ("writes", Puts::Wrote(version, after.row))
        }
        Puts::Wrote(version, row) => {
            after.entry.write(row, version, own, Guard::Lease(Token::new(own)), OnRefusal::Unlink);
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
