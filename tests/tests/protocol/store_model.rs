//! Random sequences of operations on the in-memory store, compared step by step with a model that is written
//! from the design's words and knows no bytes.

use std::collections::HashMap;
use std::time::Duration;

use cachemacro_runtime::header::{DECIMAL, FIXED, Header, PUT, Parts, Stamp, assemble};
use cachemacro_runtime::store::memory::MemoryStore;
use cachemacro_runtime::store::{
    EvictRequest, FillId, Guard, Increment, IncrementOutcome, LeaseKind, LeaseOutcome, LeaseRequest,
    OnRefusal, OtherStamps, Store, TagKeys, Token, Version, VersionKey, Write,
};
use cachemacro_runtime::{Clock, ErrorKind};
use cachemacro_tests::{Single, rounds};
use proptest::collection::vec;
use proptest::prelude::*;

/// Milliseconds since the start of a run.
type Millis = u64;

#[derive(Debug, Clone)]
enum Step {
    Pass(Millis),
    Lease { key: usize, kind: LeaseKind, token: u64, seen: u64, live: Millis },
    Renew { key: usize, token: u64, live: Millis },
    Release { key: usize, token: u64 },
    Fill { key: usize, token: u64, value: Value, unlink_refused: bool },
    Refill { key: usize, seen: u64, token: u64, value: Value },
    Set { key: usize, value: Value },
    CompareAndSet { key: usize, seen: u64, value: Value },
    Increment { key: usize, by: i64, others: Others, value: Value },
    Evict { keys: Vec<usize>, now: bool },
    EvictPrefix,
    Garbage { key: usize, life: Millis },
    Capture { key: usize, life: Millis },
    EvictTag { key: usize },
}

/// What a step stores; of a fresh decimal entry, all but the number.
#[derive(Debug, Clone, Copy)]
struct Value {
    fill_id: u64,
    number: Option<i64>,
    /// Of its stamp; zero: it has none.
    version: u64,
    readable: Millis,
    life: Millis,
}

/// What an increment knows of an entry with a stamp of this version, as in [`Value`].
#[derive(Debug, Clone, Copy)]
enum Others {
    Unknown,
    Valid(u64),
    Outdated(u64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Lease {
    token: u64,
    deadline: Millis,
    put: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Content {
    Garbage,
    Pending(Lease),
    Value { fill_id: u64, number: Option<i64>, version: u64, gone_at: Millis, lease: Option<Lease> },
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Cell {
    content: Content,
    expires: Millis,
}

#[derive(Debug, PartialEq)]
enum Asked {
    Taken,
    Found(u64),
    Busy(Millis),
}

#[derive(Debug, PartialEq)]
enum Added {
    Sum(i64),
    /// A value with another stamp, of this fill id.
    Found(u64),
    WrongType,
}

#[derive(Default)]
struct Model {
    now: Millis,
    cells: HashMap<usize, Cell>,
    /// Expiry of the versions that exist.
    versions: HashMap<usize, Millis>,
}

impl Model {
    fn pass(&mut self, time: Millis) {
        self.now += time;
        let now = self.now;
        self.cells.retain(|_, cell| now < cell.expires);
        self.versions.retain(|_, expires| now < *expires);
    }

    fn put(&mut self, key: usize, content: Content, expires: Millis) {
        self.cells.insert(key, Cell { content, expires });
        self.pass(0);
    }

    fn store(&mut self, key: usize, value: Value) {
        let Value { fill_id, number, version, readable, life } = value;
        let content = Content::Value { fill_id, number, version, gone_at: self.now + readable, lease: None };
        self.put(key, content, self.now + life);
    }

    /// Fill id and number of the value that may be read.
    fn readable(&self, key: usize) -> Option<(u64, Option<i64>)> {
        match self.cells.get(&key)?.content {
            Content::Value { fill_id, number, gone_at, .. } if self.now < gone_at => Some((fill_id, number)),
            _ => None,
        }
    }

    fn lease_of(&self, key: usize) -> Option<Lease> {
        match self.cells.get(&key)?.content {
            Content::Pending(lease) => Some(lease),
            Content::Value { lease, .. } => lease,
            Content::Garbage => None,
        }
    }

    fn holds(&self, key: usize, token: u64) -> bool {
        token != 0 && self.lease_of(key).is_some_and(|lease| lease.token == token)
    }

    /// Whether this value is there, readable or not, with this token in its header.
    fn is_unchanged(&self, key: usize, seen: u64, token: u64) -> bool {
        let held = self.lease_of(key).map_or(0, |lease| lease.token);
        let value = self.cells.get(&key).map(|cell| cell.content);
        matches!(value, Some(Content::Value { fill_id, .. }) if seen != 0 && fill_id == seen && held == token)
    }

    fn lease(&mut self, key: usize, kind: LeaseKind, token: u64, seen: u64, live: Millis) -> Asked {
        let value = self.readable(key);
        if let Some((fill_id, _)) = value
            && fill_id != seen
            && kind != LeaseKind::Put
        {
            return Asked::Found(fill_id);
        }
        if let Some(holder) = self.lease_of(key).filter(|lease| self.now < lease.deadline) {
            let free = kind == LeaseKind::Put || holder.put;
            if !free {
                return Asked::Busy(holder.deadline - self.now);
            }
        }
        let lease = Lease { token, deadline: self.now + live, put: kind == LeaseKind::Put };
        if value.is_some() {
            self.give(key, lease);
        } else {
            self.put(key, Content::Pending(lease), lease.deadline);
        }
        Asked::Taken
    }

    fn give(&mut self, key: usize, new: Lease) {
        if let Some(cell) = self.cells.get_mut(&key) {
            match &mut cell.content {
                Content::Pending(lease) => *lease = new,
                Content::Value { lease, .. } => *lease = Some(new),
                Content::Garbage => return,
            }
            cell.expires = cell.expires.max(new.deadline);
        }
        self.pass(0);
    }

    fn release(&mut self, key: usize) {
        match self.cells.get_mut(&key) {
            Some(Cell { content: Content::Value { lease, .. }, .. }) => *lease = None,
            _ => {
                self.cells.remove(&key);
            }
        }
    }

    fn increment(&mut self, key: usize, by: i64, others: Others, value: Value) -> Added {
        let fresh = Value { number: Some(by), ..value };
        let (number, version) = match self.cells.get(&key).map(|cell| cell.content) {
            Some(Content::Value { number, version, gone_at, .. }) if self.now < gone_at => (number, version),
            _ => {
                self.store(key, fresh);
                return Added::Sum(by);
            }
        };
        if version != value.version {
            match others {
                Others::Valid(valid) if valid == version => {}
                Others::Outdated(outdated) if outdated == version => {
                    self.store(key, fresh);
                    return Added::Sum(by);
                }
                _ => return Added::Found(self.readable(key).unwrap().0),
            }
        }
        let Some(sum) = number.and_then(|number| number.checked_add(by)) else { return Added::WrongType };
        if let Some(Cell { content: Content::Value { fill_id, number, lease, .. }, .. }) =
            self.cells.get_mut(&key)
        {
            (*fill_id, *number, *lease) = (value.fill_id, Some(sum), None);
        }
        Added::Sum(sum)
    }

    fn capture(&mut self, key: usize, life: Millis) {
        let extended = self.now + 2 * life;
        let expires = self.versions.entry(key).or_insert(extended);
        if *expires < self.now + life {
            *expires = extended;
        }
        self.pass(0);
    }
}

/// The store beside its model.
struct Run {
    store: MemoryStore,
    clock: Clock,
    start: u64,
    model: Model,
    seen_versions: HashMap<usize, u64>,
}

const KEYS: usize = 3;

fn key(key: usize) -> String {
    // Key 0 is the prefix of the others.
    ["k", "k1", "k2"][key].to_owned()
}

fn tag(key: usize) -> TagKeys {
    TagKeys::new(VersionKey::new(format!("t{key}"), 0), VersionKey::new("any", 0))
}

/// One of this version; none where it is zero.
fn stamps(version: u64) -> Vec<Stamp> {
    (version != 0).then_some(Stamp::new(1, Version::new(version))).into_iter().collect()
}

fn fill_id(entry: &[u8]) -> u64 {
    Header::parse(entry).unwrap().fill_id.get()
}

const fn millis(time: Millis) -> Duration {
    Duration::from_millis(time)
}

impl Run {
    fn new() -> Self {
        let clock = Clock::manual();
        let store = MemoryStore::builder().clock(clock.clone()).build();
        let start = clock.now().millis();
        Self { store, clock, start, model: Model::default(), seen_versions: HashMap::new() }
    }

    fn header(&self, value: Value) -> Header {
        Header::new()
            .with_codec(if value.number.is_some() { DECIMAL } else { 1 })
            .with_fill_id(FillId::new(value.fill_id))
            .with_gone_at(self.store.now().plus(millis(value.readable)))
    }

    fn bytes(&self, value: Value) -> bytes::Bytes {
        let payload = value.number.map_or("payload".to_owned(), |number| number.to_string());
        assemble(self.header(value), &stamps(value.version), payload.as_bytes()).into()
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each step")]
    async fn step(&mut self, step: Step) {
        match step {
            Step::Pass(time) => {
                self.clock.advance(millis(time));
                self.model.pass(time);
            }
            Step::Lease { key: at, kind, token, seen, live } => {
                let key = key(at);
                let request = LeaseRequest::new(&key, Token::new(token), kind, millis(live));
                let request = request.with_seen(FillId::new(seen));
                let asked = match self.store.lease_one(request).await.unwrap().outcome {
                    LeaseOutcome::Taken => Asked::Taken,
                    LeaseOutcome::Found(bytes) => Asked::Found(fill_id(&bytes)),
                    LeaseOutcome::Busy { left, .. } => Asked::Busy(u64::try_from(left.as_millis()).unwrap()),
                    other => panic!("{other:?}"),
                };
                assert_eq!(asked, self.model.lease(at, kind, token, seen, live));
            }
            Step::Renew { key: at, token, live } => {
                let held = self.model.holds(at, token);
                assert_eq!(self.store.renew(&key(at), token, millis(live)).await.unwrap(), held);
                if held && let Some(lease) = self.model.lease_of(at) {
                    self.model.give(at, Lease { deadline: self.model.now + live, ..lease });
                }
            }
            Step::Release { key: at, token } => {
                let held = self.model.holds(at, token);
                assert_eq!(self.store.release(&key(at), token).await.unwrap(), held);
                if held {
                    self.model.release(at);
                }
            }
            Step::Fill { key: at, token, value, unlink_refused } => {
                let (key, bytes, life) = (key(at), self.bytes(value), millis(value.life));
                let on_refusal = if unlink_refused { OnRefusal::Unlink } else { OnRefusal::Leave };
                let fill = Write::new(&key, bytes, life).with_guard(Guard::Lease(Token::new(token)));
                let held = self.model.holds(at, token);
                let filled = self.store.write_one(fill.with_on_refusal(on_refusal)).await.unwrap();
                assert_eq!(filled.accepted, held);
                if held {
                    self.model.store(at, value);
                } else if unlink_refused {
                    self.model.cells.remove(&at);
                }
            }
            Step::Refill { key: at, seen, token, value } => {
                let (key, bytes, life) = (key(at), self.bytes(value), millis(value.life));
                let guard = Guard::unchanged(FillId::new(seen), Token::new(token));
                let unchanged = self.model.is_unchanged(at, seen, token);
                let refill = Write::new(&key, bytes, life).with_guard(guard);
                assert_eq!(self.store.write_one(refill).await.unwrap().accepted, unchanged);
                if unchanged {
                    self.model.store(at, value);
                }
            }
            Step::Set { key: at, value } => {
                self.store.set(&key(at), self.bytes(value), millis(value.life)).await.unwrap();
                self.model.store(at, value);
            }
            Step::CompareAndSet { key: at, seen, value } => {
                let (bytes, life) = (self.bytes(value), millis(value.life));
                let stored = self.store.compare_and_set(&key(at), seen, bytes, life).await.unwrap();
                assert_eq!(stored, self.model.readable(at).map_or(0, |(fill_id, _)| fill_id) == seen);
                if stored {
                    self.model.store(at, value);
                }
            }
            Step::Increment { key: at, by, others, value } => self.increment(at, by, others, value).await,
            Step::Evict { keys, now } => {
                let names: Vec<_> = keys.iter().copied().map(key).collect();
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                let request = EvictRequest::new(&names, &[]);
                let expected: Vec<_> = keys
                    .iter()
                    .map(|at| {
                        let existed = self.model.readable(*at).is_some();
                        self.model.cells.remove(at);
                        existed
                    })
                    .collect();
                let evicted = if now {
                    self.store.immediate().unwrap().evict(request)
                } else {
                    self.store.evict(request).await.unwrap()
                };
                assert_eq!(evicted, expected);
            }
            Step::EvictPrefix => {
                let evicted = self.store.evict_prefix(&key(0)).await.unwrap();
                assert_eq!(evicted, self.model.cells.drain().count() as u64);
            }
            Step::Garbage { key: at, life } => {
                self.store.put_raw(&key(at), "garbage".into(), millis(life));
                self.model.put(at, Content::Garbage, self.model.now + life);
            }
            Step::Capture { key: at, life } => {
                let version = self.store.capture(&[tag(at).tag], millis(life)).await.unwrap()[0].get();
                let known = self.seen_versions.insert(at, version);
                let existed = self.model.versions.contains_key(&at);
                assert_eq!(known == Some(version), existed);
                self.model.capture(at, life);
            }
            Step::EvictTag { key: at } => {
                self.store.evict_tags(&[tag(at)]).await.unwrap();
                self.model.versions.remove(&at);
            }
        }
    }

    async fn increment(&mut self, at: usize, by: i64, others: Others, value: Value) {
        let (key, life) = (key(at), millis(value.life));
        let decimal = Value { number: Some(0), ..value };
        let fresh = assemble(self.header(decimal), &stamps(value.version), b"").into();
        let bytes = |version| assemble(Header::default(), &stamps(version), b"").split_off(FIXED);
        let known = match others {
            Others::Unknown => None,
            Others::Valid(version) | Others::Outdated(version) => Some(bytes(version)),
        };
        let known = match (others, &known) {
            (Others::Valid(_), Some(stamps)) => OtherStamps::Valid(stamps),
            (Others::Outdated(_), Some(stamps)) => OtherStamps::Outdated(stamps),
            _ => OtherStamps::Unknown,
        };
        let increment = Increment::new(&key, by, fresh, life).with_others(known);
        let added = match self.store.increment(increment).await {
            Ok(IncrementOutcome::Added(sum)) => Added::Sum(sum),
            Ok(IncrementOutcome::Found(bytes)) => Added::Found(fill_id(&bytes)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WrongType);
                Added::WrongType
            }
        };
        assert_eq!(added, self.model.increment(at, by, others, value));
    }

    /// Compares everything that can be seen of the store with the model.
    async fn compare(&self) {
        for at in 0..KEYS {
            let entry = self.store.entry(&key(at)).await.unwrap();
            let life = self.store.life_left(&key(at)).map(|life| self.clock.now().plus(life).millis());
            let content = entry.as_deref().map(|bytes| self.content(bytes));
            let cell =
                content.zip(life).map(|(content, expires)| Cell { content, expires: expires - self.start });
            assert_eq!(cell.as_ref(), self.model.cells.get(&at), "{}", key(at));
            let version =
                self.store.life_left(&tag(at).tag.text).map(|life| self.clock.now().plus(life).millis());
            assert_eq!(version.map(|expires| expires - self.start), self.model.versions.get(&at).copied());
        }
    }

    fn content(&self, bytes: &[u8]) -> Content {
        let Ok(parts) = Parts::parse(bytes) else { return Content::Garbage };
        let header = parts.header;
        let lease = (!header.token.is_none()).then(|| Lease {
            token: header.token.get(),
            deadline: header.lease_deadline.millis() - self.start,
            put: header.has(PUT),
        });
        match lease {
            Some(lease) if header.has(cachemacro_runtime::header::PENDING) => Content::Pending(lease),
            lease => Content::Value {
                fill_id: header.fill_id.get(),
                number: std::str::from_utf8(parts.payload).unwrap().parse().ok(),
                version: parts.stamps().next().map_or(0, |stamp| stamp.version.get()),
                gone_at: header.gone_at.millis() - self.start,
                lease,
            },
        }
    }
}

fn time() -> impl Strategy<Value = Millis> {
    prop_oneof![Just(1), Just(10), Just(100), 1..200_u64]
}

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        2 => Just(None),
        2 => (-3..3_i64).prop_map(Some),
        1 => Just(Some(i64::MAX)),
        1 => Just(Some(i64::MIN)),
    ];
    (1..5_u64, number, 0..3_u64, time(), time()).prop_map(|(fill_id, number, version, readable, life)| {
        Value { fill_id, number, version, readable, life }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![2 => Just(LeaseKind::Load), 1 => Just(LeaseKind::Put)];
    let (key, token, seen) = (0..KEYS, 0..4_u64, 0..5_u64);
    let others = prop_oneof![
        Just(Others::Unknown),
        (0..3_u64).prop_map(Others::Valid),
        (0..3_u64).prop_map(Others::Outdated),
    ];
    prop_oneof![
        3 => time().prop_map(Step::Pass),
        6 => (key.clone(), kind, 1..4_u64, seen.clone(), time())
            .prop_map(|(key, kind, token, seen, live)| Step::Lease { key, kind, token, seen, live }),
        2 => (key.clone(), token.clone(), time()).prop_map(|(key, token, live)| Step::Renew { key, token, live }),
        2 => (key.clone(), token.clone()).prop_map(|(key, token)| Step::Release { key, token }),
        4 => (key.clone(), token.clone(), value(), any::<bool>())
            .prop_map(|(key, token, value, unlink_refused)| Step::Fill { key, token, value, unlink_refused }),
        1 => (key.clone(), value()).prop_map(|(key, value)| Step::Set { key, value }),
        2 => (key.clone(), seen.clone(), prop_oneof![Just(0), token], value())
            .prop_map(|(key, seen, token, value)| Step::Refill { key, seen, token, value }),
        2 => (key.clone(), seen, value())
            .prop_map(|(key, seen, value)| Step::CompareAndSet { key, seen, value }),
        3 => (key.clone(), -2..3_i64, others, value())
            .prop_map(|(key, by, others, value)| Step::Increment { key, by, others, value }),
        1 => (vec(key.clone(), 0..3), any::<bool>()).prop_map(|(keys, now)| Step::Evict { keys, now }),
        1 => Just(Step::EvictPrefix),
        1 => (key.clone(), time()).prop_map(|(key, life)| Step::Garbage { key, life }),
        1 => (key.clone(), prop_oneof![time(), Just(60 * 24 * 60 * 60 * 1_000)])
            .prop_map(|(key, life)| Step::Capture { key, life }),
        1 => key.prop_map(|key| Step::EvictTag { key }),
    ]
}

/// How many sequences are tried.
fn cases() -> u32 {
    u32::try_from(rounds(1_000)).expect("some thousands")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_does_what_the_model_says(steps in vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new();
            for step in steps {
                run.step(step).await;
                run.compare().await;
            }
        });
    }
}
