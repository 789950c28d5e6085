//! All orders in which reads, loads, looks, evicts and what is told of them can follow each other, on the tier itself: what a call of this
//! process takes is never older than what it evicted (G2), nor than what was told (G3).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::tier::{Begun, Life, LocalCopy, Tier};
use crate::format::stamps::version_key;
use crate::ground::clock::Clock;
use crate::ground::error::{Error, ErrorKind};
use crate::store::{Placed, Query};

const KEY: &str = "shop:row:7";
const TAG: u64 = 7;
const LIFE: Life = Life { ttl: Duration::from_secs(60), fresh: Duration::from_secs(60) };

/// How often what may happen.
#[derive(Debug, Clone, Copy, Default)]
struct Scene {
    /// Calls that read what is stored and keep a copy.
    reads: usize,
    /// Calls that ask whether the copy is of what is stored.
    looks: usize,
    /// Whether a call loads, where nothing is stored.
    loads: bool,
    /// Evicts of another process, each of a changed row.
    evicts: usize,
    /// The same by the row's tag.
    tag_evicts: usize,
    /// Loads of another process.
    fills: usize,
    /// Whether this process evicts a changed row.
    own_evict: bool,
    /// How often telling stops.
    cuts: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A request is sent.
    Ask(usize),
    /// The server answers it.
    Serve(usize),
    /// The answer is here.
    Take(usize),
    Evict,
    EvictTag,
    Fill,
    /// The next change is told.
    Tell,
    /// Nothing is told any more.
    Cut,
    /// Nothing was heard for as long as copies are taken.
    Silence,
    /// A request is about to be answered by who tells nothing.
    Pause,
    /// It is noticed.
    Notice,
    /// Telling begins anew.
    Resume,
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Key,
    Tag,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    On,
    Stopped,
    Silent,
    Paused,
    Noticed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Read,
    Look,
    Load,
    OwnEvict,
}

/// A row as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stored {
    row: u64,
    version: u64,
}

/// How far a call is.
enum State {
    New,
    /// Its request is under way.
    Asked(Begun, u64),
    /// Its answer is under way: the row that is stored, if any.
    Served(Begun, Option<u64>),
    /// Its load has the right to fill, with this row and version.
    Loading(Stored),
    /// Its fill was sent, with this row.
    Filled(Begun, u64),
    Over,
}

/// Which mechanism is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    AsItIs,
    /// Requests count as sent when their answers come.
    SentLate,
    /// What is told of keys, or of tags, changes nothing.
    KeysIgnored,
    TagsIgnored,
    /// Own evicts leave copies, or drop them only before they are sent.
    OwnEvictsIgnored,
    OwnEvictsDropEarly,
    /// Copies stay when telling stops and begins anew.
    Kept,
    /// Copies are taken however long nothing was heard.
    Deaf,
    /// A load keeps its value without a look at what is stored.
    LoadsDoNotLook,
    /// What a look finds is not compared.
    LooksBelieved,
}

struct World {
    variant: Variant,
    tier: Tier,
    clock: Clock,
    row: u64,
    version: u64,
    stored: Option<Stored>,
    /// Whether the load may fill.
    leased: bool,
    told: VecDeque<Change>,
    telling: Telling,
    /// The oldest row that this process may take, and that any may once all was told.
    own: u64,
    all: u64,
    calls: Vec<(Call, State)>,
}

impl World {
    fn new(scene: &Scene, variant: Variant) -> Self {
        let clock = Clock::manual();
        let tier = Tier::new("shop", 1 << 16, None, clock.clone());
        tier.begins();
        tier.told_until(Instant::now());
        let calls = [(Call::Read, scene.reads), (Call::Look, scene.looks)];
        let single = [(Call::Load, scene.loads), (Call::OwnEvict, scene.own_evict)];
        let single = single.map(|(call, is_there)| (call, usize::from(is_there)));
        let calls = calls.into_iter().chain(single);
        let world = Self {
            variant,
            tier,
            clock,
            row: 0,
            version: 0,
            stored: Some(Stored { row: 0, version: 0 }),
            leased: false,
            told: VecDeque::new(),
            telling: Telling::On,
            own: 0,
            all: 0,
            calls: calls.flat_map(|(call, many)| (0..many).map(move |_| (call, State::New))).collect(),
        };
        world.keep(world.begin(), 0);
        world
    }

    fn begin(&self) -> Begun {
        self.tier.begin(KEY, "shop:row:", [TAG])
    }

    fn query(&self) -> Query<impl Fn(&[u8]) -> bool> {
        Query::new(self.tier.table().hash(b"7"), |bytes: &[u8]| bytes == b"7")
    }

    fn keep(&self, begun: Begun, row: u64) {
        let placed = Placed { hash: self.tier.table().hash(b"7"), bytes: b"7".to_vec() };
        self.tier.keep(begun, [], LIFE, LocalCopy::new(placed, None, (8, 8), row));
    }

    /// What a call takes without asking.
    fn taken(&self) -> Option<u64> {
        self.tier.get(&self.query(), self.tier.on()?, |row: &u64| Some(*row))
    }

    /// What a read of the store finds.
    fn found(&self) -> Option<u64> {
        self.stored.filter(|stored| stored.version == self.version).map(|stored| stored.row)
    }

    /// Changes of one key that were not told yet are told once.
    fn changed(&mut self, change: Change) {
        if self.telling == Telling::On && self.told.back() != Some(&change) {
            self.told.push_back(change);
        }
    }

    fn evict(&mut self) {
        if self.stored.take().is_some() | std::mem::take(&mut self.leased) {
            self.changed(Change::Key);
        }
    }

    fn fill(&mut self, stored: Stored) {
        self.stored = Some(stored);
        self.leased = false;
        self.changed(Change::Key);
    }

    fn ask(&mut self, at: usize) {
        let state = match (self.calls[at].0, std::mem::replace(&mut self.calls[at].1, State::Over)) {
            (Call::Load, State::New) => {
                self.leased = true;
                State::Loading(Stored { row: self.row, version: self.version })
            }
            // Its fill was told: it looks whether that is what is stored.
            (Call::Load, State::Filled(_, row)) => State::Asked(self.begin(), row),
            (Call::OwnEvict, _) => {
                self.row += 1;
                if self.variant == Variant::OwnEvictsDropEarly {
                    self.tier.forget(KEY);
                }
                State::Asked(self.begin(), self.row)
            }
            _ => State::Asked(self.begin(), 0),
        };
        self.calls[at].1 = state;
    }

    fn serve(&mut self, at: usize) {
        let state = match (self.calls[at].0, std::mem::replace(&mut self.calls[at].1, State::Over)) {
            (Call::Load, State::Loading(stored)) => {
                let begun = self.begin();
                if self.leased {
                    self.fill(stored);
                    State::Filled(begun, stored.row)
                } else {
                    State::Over
                }
            }
            (Call::Load, State::Asked(begun, row)) => {
                let is_same = self.found() == Some(row) || self.variant == Variant::LoadsDoNotLook;
                State::Served(begun, is_same.then_some(row))
            }
            (Call::OwnEvict, State::Asked(begun, row)) => {
                self.evict();
                State::Served(begun, Some(row))
            }
            (_, State::Asked(begun, _)) => State::Served(begun, self.found()),
            _ => State::Over,
        };
        self.calls[at].1 = state;
    }

    fn take(&mut self, at: usize) {
        let (call, state) = &mut self.calls[at];
        let (call, state) = (*call, std::mem::replace(state, State::Over));
        let State::Served(begun, Some(row)) = state else { return };
        let begun = if self.variant == Variant::SentLate { self.begin() } else { begun };
        match call {
            Call::Read | Call::Load => self.keep(begun, row),
            Call::Look => {
                let is = |kept: &u64| *kept == row || self.variant == Variant::LooksBelieved;
                self.tier.confirm(&begun, &self.query(), is, LIFE);
            }
            Call::OwnEvict => {
                if !matches!(self.variant, Variant::OwnEvictsIgnored | Variant::OwnEvictsDropEarly) {
                    self.tier.forget(KEY);
                }
                self.own = self.own.max(row);
                self.all = self.all.max(row);
            }
        }
    }

    fn go(&mut self, step: Step) {
        match step {
            Step::Ask(at) => self.ask(at),
            Step::Serve(at) => self.serve(at),
            Step::Take(at) => self.take(at),
            Step::Evict => {
                self.row += 1;
                self.evict();
                self.all = self.row;
            }
            Step::EvictTag => {
                self.row += 1;
                self.version += 1;
                self.changed(Change::Tag);
                self.all = self.row;
            }
            Step::Fill => self.fill(Stored { row: self.row, version: self.version }),
            Step::Tell => match self.told.pop_front() {
                Some(Change::Key) if self.variant != Variant::KeysIgnored => {
                    self.tier.changed(KEY.as_bytes());
                }
                Some(Change::Tag) if self.variant != Variant::TagsIgnored => {
                    self.tier.changed(version_key("shop", TAG).text.as_bytes());
                }
                _ => {}
            },
            Step::Cut => {
                self.told.clear();
                self.telling = Telling::Stopped;
            }
            Step::Silence => {
                self.clock.advance(Duration::from_secs(1));
                self.telling = Telling::Silent;
            }
            Step::Pause => {
                if self.variant != Variant::Kept {
                    self.tier.pauses();
                }
                self.told.clear();
                self.telling = Telling::Paused;
            }
            Step::Notice => {
                if self.variant != Variant::Kept {
                    self.tier.ends(Error::new(ErrorKind::Io, "lost"));
                }
                self.telling = Telling::Noticed;
            }
            Step::Resume => {
                if self.variant != Variant::Kept {
                    self.tier.begins();
                }
                self.telling = Telling::On;
            }
        }
        if self.telling == Telling::On || self.variant == Variant::Deaf {
            self.tier.told_until(Instant::now());
        }
    }

    /// What a call takes now that it may not.
    fn wrong(&self) -> Option<String> {
        let row = self.taken()?;
        let is_told = self.telling == Telling::On && self.told.is_empty();
        match self.telling {
            Telling::Silent | Telling::Paused | Telling::Noticed
                if self.variant != Variant::Kept || row < self.all =>
            {
                Some(format!("{row} though nothing is heard"))
            }
            _ if row < self.own => Some(format!("{row} after an own evict of {}", self.own)),
            _ if is_told && row < self.all => Some(format!("{row}, and {} was told", self.all)),
            _ => None,
        }
    }

    /// What can be next, after these steps.
    fn next(&self, scene: &Scene, steps: &[Step]) -> Vec<Step> {
        let left = |step: Step, most: usize| steps.iter().filter(|gone| **gone == step).count() < most;
        let mut next: Vec<Step> = Vec::new();
        for (at, (call, state)) in self.calls.iter().enumerate() {
            match state {
                State::New if *call == Call::Load && self.found().is_some() => {}
                // Equal calls begin in one order.
                State::New
                    if at > 0
                        && self.calls[at - 1].0 == *call
                        && matches!(self.calls[at - 1].1, State::New) => {}
                State::New => next.push(Step::Ask(at)),
                State::Filled(begun, _) if !begun.is_sound() => next.push(Step::Ask(at)),
                State::Asked(..) | State::Loading(_) => next.push(Step::Serve(at)),
                State::Served(..) => next.push(Step::Take(at)),
                State::Filled(..) | State::Over => {}
            }
        }
        let others = [(Step::Evict, scene.evicts), (Step::EvictTag, scene.tag_evicts)];
        next.extend(others.into_iter().filter(|(step, most)| left(*step, *most)).map(|(step, _)| step));
        if self.found().is_none() && left(Step::Fill, scene.fills) {
            next.push(Step::Fill);
        }
        if !self.told.is_empty() {
            next.push(Step::Tell);
        }
        match self.telling {
            Telling::On if left(Step::Cut, scene.cuts) && left(Step::Pause, scene.cuts) => {
                next.extend([Step::Cut, Step::Pause]);
            }
            Telling::On => {}
            Telling::Stopped => next.extend([Step::Silence, Step::Notice]),
            Telling::Silent | Telling::Paused => next.push(Step::Notice),
            Telling::Noticed => next.push(Step::Resume),
        }
        next
    }
}

/// Goes these steps; gives those that can be next, or what was taken that may not be.
fn run(scene: &Scene, steps: &[Step], variant: Variant) -> Result<Vec<Step>, String> {
    let mut world = World::new(scene, variant);
    for step in steps {
        world.go(*step);
    }
    match world.wrong() {
        Some(wrong) => Err(format!("{wrong}, after {steps:?}")),
        None => Ok(world.next(scene, steps)),
    }
}

fn explore(scene: &Scene, steps: &mut Vec<Step>, variant: Variant, runs: &mut u64) -> Result<(), String> {
    *runs += 1;
    for step in run(scene, steps, variant)? {
        steps.push(step);
        explore(scene, steps, variant, runs)?;
        steps.pop();
    }
    Ok(())
}

/// Upholds G2 and G3.
#[test]
fn in_no_order_is_a_copy_taken_that_is_older_than_an_own_evict_or_than_what_was_told() {
    let none = Scene::default();
    let evict = Scene { reads: 1, evicts: 1, fills: 1, ..none };
    let look = Scene { looks: 1, evicts: 1, fills: 1, ..none };
    let tag = Scene { reads: 1, tag_evicts: 1, ..none };
    let own = Scene { reads: 1, own_evict: true, ..none };
    let load = Scene { loads: true, evicts: 2, ..none };
    let cut = Scene { reads: 1, evicts: 1, cuts: 1, ..none };
    let scenes = [
        Scene { reads: 2, ..evict },
        Scene { reads: 1, ..look },
        Scene { evicts: 1, fills: 1, ..tag },
        Scene { evicts: 1, ..own },
        Scene { reads: 0, looks: 1, fills: 1, ..own },
        Scene { tag_evicts: 1, ..load },
        Scene { loads: true, ..own },
        Scene { fills: 1, ..cut },
        Scene { reads: 0, looks: 1, fills: 1, ..cut },
        Scene { reads: 0, loads: true, ..cut },
        Scene { reads: 0, own_evict: true, fills: 1, ..cut },
        Scene { evicts: 0, tag_evicts: 1, ..cut },
    ];
    for scene in scenes {
        let mut runs = 0;
        let found = explore(&scene, &mut Vec::new(), Variant::AsItIs, &mut runs);
        found.unwrap_or_else(|wrong| panic!("{scene:?}: {wrong}"));
        println!("{runs} orders of {scene:?}");
        assert!(runs > 500, "{runs} orders of {scene:?}");
    }
    let broken = [
        (Variant::SentLate, evict),
        (Variant::KeysIgnored, evict),
        (Variant::TagsIgnored, tag),
        (Variant::OwnEvictsIgnored, own),
        (Variant::OwnEvictsDropEarly, own),
        (Variant::Kept, cut),
        (Variant::Deaf, cut),
        (Variant::LoadsDoNotLook, load),
        (Variant::LooksBelieved, look),
    ];
    for (variant, scene) in broken {
        let found = explore(&scene, &mut Vec::new(), variant, &mut 0);
        assert!(found.is_err(), "{variant:?} is not found out");
    }
}
