//! A random history of questions that share answers, and of searches: nobody is given what was outdated before they asked, what belongs to another scope, or the answer to
//! what means something else.
//!
//! While it goes on the server loses keys, of entries and of the index, and documents of the index change places. Processes have models whose vectors have nothing in common. The same
//! history on what lacks something must be found out, so that the check is known to see what it looks for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cachemacro::{Cache, Embedder, Result, cache_put, cached};
use cachemacro_runtime::header::Parts;
use cachemacro_runtime::store::{Excerpt, Few, Read, ReadRequest, Store, Version, pass_on};
use cachemacro_search::{MemoryIndex, Search, SearchCache};
use cachemacro_tests::{DEADLINE, Dice, LONG, RedisServer, Rig, rounds, wait_until};
use tokio::task::JoinSet;

const TENANTS: usize = 2;
const TOPICS: usize = 3;
/// Words that mean the same.
const WORDINGS: [&str; 4] = ["asked", "wondered", "inquired", "begged"];

/// What the history is played on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Built {
    Whole,
    /// What was read once is given again, without a second read.
    ReadOnce,
    /// Versions of tags stay what they were.
    StampsUnchecked,
    /// Vectors of all models are compared.
    OneId,
    /// Tenants are no part of the key.
    ScopeLost,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Answer {
    tenant: usize,
    topic: usize,
    wording: usize,
    version: u64,
}

/// What is true, and what has been said to be outdated.
#[derive(Debug, Default)]
struct World {
    versions: [[AtomicU64; TOPICS]; TENANTS],
    /// Below these nothing may be given any more, by tenant, topic and wording of the answer.
    floors: Mutex<HashMap<(usize, usize, usize), u64>>,
    stale: AtomicU64,
    strange: AtomicU64,
    told: Mutex<Vec<String>>,
    asked: AtomicU64,
    found: AtomicU64,
    writes: AtomicU64,
}

impl World {
    fn bump(&self, tenant: usize, topic: usize) -> u64 {
        self.versions[tenant][topic].fetch_add(1, Ordering::SeqCst) + 1
    }

    fn floors(&self) -> HashMap<(usize, usize, usize), u64> {
        self.floors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An evict, or a put, was acknowledged.
    fn outdated(&self, tenant: usize, topic: usize, wording: usize, version: u64) {
        let mut floors = self.floors.lock().unwrap_or_else(PoisonError::into_inner);
        let floor = floors.entry((tenant, topic, wording)).or_default();
        *floor = version.max(*floor);
    }

    /// An answer that was given to somebody who began to ask when the floors were these.
    fn given(
        &self,
        answer: &Answer,
        floors: &HashMap<(usize, usize, usize), u64>,
        asked: Option<(usize, usize)>,
    ) {
        let floor = floors.get(&(answer.tenant, answer.topic, answer.wording)).copied().unwrap_or_default();
        let is_strange = asked.is_some_and(|asked| asked != (answer.tenant, answer.topic));
        if answer.version >= floor && !is_strange {
            return;
        }
        let counter = if is_strange { &self.strange } else { &self.stale };
        counter.fetch_add(1, Ordering::SeqCst);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < 5 {
            told.push(format!("{answer:?} below {floor}, asked by {asked:?}"));
        }
    }
}

/// Knows topics and nothing else; one whose topics are turned has vectors that mean something else.
#[derive(Debug, Clone)]
struct Model {
    id: &'static str,
    turned: usize,
}

#[async_trait]
impl Embedder for Model {
    fn id(&self) -> &str {
        self.id
    }

    fn dimensions(&self) -> usize {
        TOPICS
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        tokio::task::yield_now().await;
        let vector = |text: &&str| {
            let mut vector = vec![0.0; TOPICS];
            vector[(topic_of(text) + self.turned) % TOPICS] = 1.0;
            vector
        };
        Ok(texts.iter().map(vector).collect())
    }
}

/// The guard sees no number in it.
fn question(topic: usize, wording: usize) -> String {
    format!("{} about {}", WORDINGS[wording], ["tea", "milk", "bread"][topic])
}

fn topic_of(question: &str) -> usize {
    ["tea", "milk", "bread"].iter().position(|topic| question.ends_with(topic)).expect("a topic")
}

fn wording_of(question: &str) -> usize {
    WORDINGS.iter().position(|wording| question.starts_with(wording)).expect("a wording")
}

#[derive(Clone)]
struct Process {
    cache: Cache,
    search: Arc<Search>,
    model: Model,
    world: Arc<World>,
    built: Built,
}

impl Process {
    #[cached(
        cache = self.cache,
        prefix = "hist",
        key = "{tenant}:{question}",
        similar = question,
        threshold = 0.95,
        embedder = self.model,
        ttl = "1h",
        tags = ["hist:{tenant}"],
        search = [format!("topic{} tenant{}", result.topic, result.tenant)],
        entry = answer_entry
    )]
    async fn answer(&self, tenant: usize, question: &str) -> Answer {
        self.load(tenant, question).await
    }

    #[cached(cache = self.cache, prefix = "loose", key = "{question}", similar = question, threshold = 0.95, embedder = self.model, scope = "shared")]
    async fn loose(&self, tenant: usize, question: &str) -> Answer {
        self.load(tenant, question).await
    }

    #[cache_put(entry = self.answer_entry(tenant, question))]
    async fn correct(&self, tenant: usize, question: &str) -> Answer {
        let (topic, wording) = (topic_of(question), wording_of(question));
        Answer { tenant, topic, wording, version: self.world.bump(tenant, topic) }
    }

    async fn load(&self, tenant: usize, question: &str) -> Answer {
        let (topic, wording) = (topic_of(question), wording_of(question));
        let version = self.world.versions[tenant][topic].load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(version % 3)).await;
        Answer { tenant, topic, wording, version }
    }

    async fn read(&self, dice: &mut Dice) {
        let world = &self.world;
        let tenant = usize::try_from(dice.below(TENANTS as u64)).expect("few");
        let topic = usize::try_from(dice.below(TOPICS as u64)).expect("few");
        let wording = usize::try_from(dice.below(WORDINGS.len() as u64)).expect("few");
        let (floors, question) = (world.floors(), question(topic, wording));
        match dice.below(8) {
            0 | 1 => {
                let asked = self.cache.search("hist").vector(format!("topic{topic}")).limit(5);
                let found = asked.run::<Answer>().await.expect("it is searched");
                for found in found {
                    world.given(&found.value, &floors, None);
                    world.found.fetch_add(1, Ordering::SeqCst);
                }
            }
            2 => {
                let entry = self.answer_entry(tenant, "x of nothing");
                if let Some(alike) = entry.similar(&question).await.expect("it answers") {
                    world.given(&alike.value, &floors, Some((tenant, topic)));
                }
            }
            _ => {
                let answer = if self.built == Built::ScopeLost {
                    self.loose(tenant, &question).await
                } else {
                    self.answer(tenant, &question).await
                };
                world.given(&answer, &floors, Some((tenant, topic)));
                world.asked.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    async fn write(&self, dice: &mut Dice) {
        let world = &self.world;
        let tenant = usize::try_from(dice.below(TENANTS as u64)).expect("few");
        let topic = usize::try_from(dice.below(TOPICS as u64)).expect("few");
        let wording = usize::try_from(dice.below(WORDINGS.len() as u64)).expect("few");
        let question = question(topic, wording);
        match dice.below(10) {
            0..5 => {
                let version = world.bump(tenant, topic);
                self.answer_entry(tenant, &question).evict().await.expect("evicted");
                world.outdated(tenant, topic, wording, version);
            }
            5..7 => {
                let versions: Vec<u64> = (0..TOPICS).map(|topic| world.bump(tenant, topic)).collect();
                self.cache.evict_tags([format!("hist:{tenant}")]).await.expect("evicted");
                for (topic, version) in versions.into_iter().enumerate() {
                    (0..WORDINGS.len()).for_each(|wording| world.outdated(tenant, topic, wording, version));
                }
            }
            7..9 => {
                let put = self.correct(tenant, &question).await;
                world.outdated(tenant, topic, wording, put.version);
            }
            _ => {
                let all = (0..TENANTS).flat_map(|tenant| (0..TOPICS).map(move |topic| (tenant, topic)));
                let versions: Vec<_> =
                    all.map(|(tenant, topic)| (tenant, topic, world.bump(tenant, topic))).collect();
                self.cache.evict_prefix("hist").await.expect("evicted");
                for (tenant, topic, version) in versions {
                    (0..WORDINGS.len()).for_each(|wording| world.outdated(tenant, topic, wording, version));
                }
            }
        }
        world.writes.fetch_add(1, Ordering::SeqCst);
    }
}

/// A store that answers with what it answered before.
#[derive(Debug)]
struct Remembers {
    store: Arc<dyn Store>,
    built: Built,
    entries: Mutex<HashMap<String, Excerpt>>,
    versions: Mutex<HashMap<u64, Version>>,
}

#[async_trait]
impl Store for Remembers {
    pass_on!(self.store: about, now, capture, lease, write, keep, evict, evict_prefix, health, time, connect, close, changes);

    async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
        let mut read = self.store.read(request).await?;
        if self.built == Built::ReadOnce
            && let [key] = request.keys
            && request.first.is_none()
        {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            let excerpt = read.entries.into_first().flatten();
            let excerpt = match (entries.get(*key), excerpt) {
                (Some(before), _) => Some(before.clone()),
                (None, Some(now)) => {
                    // What is only a lease is no value.
                    if Parts::parse(&now.bytes).is_ok_and(|parts| !parts.payload.is_empty()) {
                        entries.insert((*key).to_owned(), now.clone());
                    }
                    Some(now)
                }
                (None, None) => None,
            };
            read.entries = Few::one(excerpt);
        }
        if self.built == Built::StampsUnchecked {
            let mut known = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
            let versions = request.versions.iter().zip(read.versions.iter());
            let versions: Vec<_> = versions
                .map(|(key, now)| match now {
                    Some(now) => Some(*known.entry(key.hash).or_insert(*now)),
                    None => known.get(&key.hash).copied(),
                })
                .collect();
            read.versions = versions.into_iter().collect();
        }
        Ok(read)
    }
}

/// Processes on a server of their own, with an index of their own where the store has no commands for one.
fn fleet(rig: &Rig, built: Built, world: &Arc<World>) -> Vec<Process> {
    let index = Arc::new(MemoryIndex::new());
    let process = |number: usize| {
        let search = Search::new().with_delay(Duration::from_millis(20)).with_deadline(LONG);
        let is_broken = matches!(built, Built::ReadOnce | Built::StampsUnchecked);
        let search = if rig.is_redis() && !is_broken { search } else { search.with_index(index.clone()) };
        let search = Arc::new(search);
        let beside = search.clone();
        let store = rig.store();
        let cache = rig.process_with(|builder| {
            let builder = builder.beside(beside);
            if !is_broken {
                return builder;
            }
            let (entries, versions) = (Mutex::default(), Mutex::default());
            builder.store(Arc::new(Remembers { store, built, entries, versions }))
        });
        let turned = number % 2;
        let id = if built == Built::OneId { "one" } else { ["even", "odd"][turned] };
        Process { cache: cache.cache, search, model: Model { id, turned }, world: world.clone(), built }
    };
    (0..4).map(process).collect()
}

/// Removes keys, whichever; and has documents of the index change places.
async fn harm(server: redis::aio::MultiplexedConnection, mut dice: Dice) {
    let mut server = server;
    loop {
        tokio::time::sleep(Duration::from_millis(dice.below(30))).await;
        let key: Option<String> = redis::cmd("RANDOMKEY").query_async(&mut server).await.expect("RANDOMKEY");
        redis::cmd("UNLINK").arg(key.unwrap_or_default()).exec_async(&mut server).await.expect("UNLINK");
        let laid: Vec<String> = redis::cmd("KEYS").arg("{*:d").query_async(&mut server).await.expect("KEYS");
        if laid.len() < 2 {
            continue;
        }
        let mut pick = || laid[usize::try_from(dice.below(laid.len() as u64)).expect("few")].clone();
        let (one, other) = (pick(), pick());
        let get = async |key: &str, mut server: redis::aio::MultiplexedConnection| -> Option<Vec<u8>> {
            redis::cmd("GET").arg(key).query_async(&mut server).await.expect("GET")
        };
        let (Some(first), Some(second)) =
            (get(&one, server.clone()).await, get(&other, server.clone()).await)
        else {
            continue;
        };
        for (key, bytes) in [(&one, second), (&other, first)] {
            redis::cmd("SET")
                .arg(key)
                .arg(bytes)
                .arg("XX")
                .arg("KEEPTTL")
                .exec_async(&mut server)
                .await
                .expect("SET");
        }
    }
}

/// Tasks of all processes, until they are dropped.
fn play(fleet: &[Process], seed: u64) -> JoinSet<()> {
    let (mut tasks, mut dice) = (JoinSet::new(), Dice::new(seed));
    for process in fleet {
        for number in 0..4 {
            let (process, mut dice) = (process.clone(), dice.split());
            tasks.spawn(async move {
                loop {
                    if number == 0 {
                        process.write(&mut dice).await;
                        tokio::time::sleep(Duration::from_millis(dice.below(20))).await;
                    } else {
                        process.read(&mut dice).await;
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
    }
    tasks
}

async fn until(tasks: &mut JoinSet<()>, what: &str, done: impl Fn() -> bool) {
    let over = async {
        if let Some(Err(ended)) = tasks.join_next().await {
            panic!("a task ended: {ended}");
        }
    };
    let done = wait_until(what, 2 * DEADLINE, async || done());
    tokio::select! { () = over => panic!("no task ends"), () = done => {} }
}

async fn has_no_stale_and_no_strange_answer(rig: Rig, server: Option<&RedisServer>) {
    for seed in 1..=rounds(1) {
        let world = Arc::new(World::default());
        let fleet = fleet(&rig, Built::Whole, &world);
        let mut tasks = play(&fleet, seed);
        let harming = match server {
            Some(server) => Some(tokio::spawn(harm(server.client().await, Dice::new(seed)))),
            None => None,
        };
        let answered = || fleet.iter().map(|process| process.search.alike_stats().answered).sum::<u64>();
        until(&mut tasks, "the processes do a lot", || {
            let is = |counter: &AtomicU64, most: u64| counter.load(Ordering::SeqCst) > most;
            is(&world.asked, 3_000) && is(&world.found, 500) && is(&world.writes, 500) && answered() > 200
        })
        .await;
        if let Some(harming) = harming {
            harming.abort();
        }
        tasks.shutdown().await;
        let told = world.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (stale, strange) = (world.stale.load(Ordering::SeqCst), world.strange.load(Ordering::SeqCst));
        println!(
            "seed {seed}: {} asked, {} answered by others', {} found, {} writes",
            world.asked.load(Ordering::SeqCst),
            answered(),
            world.found.load(Ordering::SeqCst),
            world.writes.load(Ordering::SeqCst)
        );
        assert_eq!((stale, strange), (0, 0), "seed {seed}: {told:#?}");
    }
}

/// Upholds G1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis_a_random_history_has_no_stale_and_no_strange_answer() {
    let server = RedisServer::start();
    has_no_stale_and_no_strange_answer(Rig::at(&server.url()), Some(&server)).await;
}

/// Upholds G1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory_a_random_history_has_no_stale_and_no_strange_answer() {
    has_no_stale_and_no_strange_answer(Rig::memory(), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lacks_something_is_found_out_by_the_same_history() {
    let server = RedisServer::start();
    for built in [Built::ReadOnce, Built::StampsUnchecked, Built::OneId, Built::ScopeLost] {
        let world = Arc::new(World::default());
        let fleet = fleet(&Rig::at(&server.url()), built, &world);
        let mut tasks = play(&fleet, 1);
        let wrong = match built {
            Built::OneId | Built::ScopeLost => &world.strange,
            _ => &world.stale,
        };
        until(&mut tasks, &format!("{built:?} is found out"), || wrong.load(Ordering::SeqCst) > 0).await;
        tasks.shutdown().await;
    }
}
