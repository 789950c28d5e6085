//! Entries found by their texts, in memory and on a real server, by the process that stored them and by others.
//!
//! | mechanism | test that fails without it |
//! |---|---|
//! | what a document points to is read again | `nothing_is_found_that_a_read_would_not_give` |
//! | it is read as its function reads it | `a_function_with_a_codec_and_a_version_of_its_own_is_read_as_it_reads` |
//! | sealed values are told to nobody | `what_is_sealed_has_no_document_and_is_not_searched` |
//! | a document is written once its value was stored, and its call does not wait | `an_index_that_fails_or_hangs_is_counted_and_no_call_waits` |
//! | what is gone makes room for the next | `documents_that_point_nowhere_make_room_for_the_next_best` |
//! | a search ends by its deadline | `an_index_that_fails_or_hangs_is_counted_and_no_call_waits` |

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cachemacro::codec::Json;
use cachemacro::{Cache, EntryRules, ErrorKind, Mode, Sealing, cache_put, cached};
use cachemacro_search::{
    Analyzer, Changes, Document, Error, Index, Language, MemoryIndex, Page, Place, Search, SearchCache,
    StoreIndex,
};
use cachemacro_tests::clusters::RedisCluster;
use cachemacro_tests::{DEADLINE, LONG, Rig, namespace, on_both_stores, wait_until};

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Airport {
    icao: String,
    name: String,
    city: String,
}

impl Airport {
    fn new(icao: &str, name: &str, city: &str) -> Self {
        Self { icao: icao.to_owned(), name: name.to_owned(), city: city.to_owned() }
    }

    fn known(icao: &str) -> Option<Self> {
        Some(match icao {
            "EGLL" => Self::new(icao, "London Heathrow", "London"),
            "EGKK" => Self::new(icao, "London Gatwick", "London"),
            "EDDB" => Self::new(icao, "Berlin Brandenburg", "Berlin"),
            "LSZH" => Self::new(icao, "Zürich Airport", "Zürich"),
            _ => return None,
        })
    }
}

#[cached(prefix = "airport", key = "{icao}", tags = ["airports", "city:{result.city}"], search = [&result.name, &result.city, result.icao.as_str()], entry = airport_entry)]
async fn airport(icao: &str) -> Option<Airport> {
    Airport::known(icao)
}

#[cache_put(entry = airport_entry(icao))]
async fn rename(icao: &str, name: &str) -> Airport {
    Airport { name: name.to_owned(), ..Airport::known(icao).expect("it is known") }
}

#[cached(prefix = "plain", key = "{icao}")]
async fn plain(icao: &str) -> Option<Airport> {
    Airport::known(icao)
}

#[cached(prefix = "coded", key = "{icao}", codec = Json, version = 7, search = [&result.name])]
async fn coded(icao: &str) -> Option<Airport> {
    Airport::known(icao)
}

#[cached(prefix = "questions", similar = question, threshold = 0.9, scope = "shared")]
async fn asked(question: &str) -> String {
    question.to_owned()
}

const ALL: [&str; 4] = ["EGLL", "EGKK", "EDDB", "LSZH"];

/// One process, with what is beside its cache.
struct Process {
    cache: Cache,
    search: Arc<Search>,
    /// Of processes in memory.
    index: Arc<MemoryIndex>,
}

impl Process {
    fn of(rig: &Rig, index: &Arc<MemoryIndex>) -> Self {
        Self::with(rig, index, |search| search)
    }

    fn with(rig: &Rig, index: &Arc<MemoryIndex>, settings: impl FnOnce(Search) -> Search) -> Self {
        let search = settings(Search::new()).with_delay(Duration::ZERO).with_deadline(LONG);
        let search = Arc::new(if rig.is_redis() { search } else { search.with_index(index.clone()) });
        let beside = search.clone();
        let cache = rig.process_with(|builder| builder.beside(beside)).cache;
        Self { cache, search, index: index.clone() }
    }

    /// Two of one namespace.
    fn two(rig: &Rig) -> (Self, Self) {
        let index = MemoryIndex::new();
        let index =
            Arc::new(if rig.is_redis() { index } else { index.with_clock(rig.in_memory().1.clone()) });
        (Self::of(rig, &index), Self::of(rig, &index))
    }

    async fn fill(&self) {
        self.cache
            .scope(async {
                for icao in ALL {
                    airport(icao).await.expect("it is known");
                }
            })
            .await;
        self.written().await;
    }

    /// Until what was stored is in the index.
    async fn written(&self) {
        self.cache.stored().await;
        self.search.written().await;
    }

    /// The codes of what is found.
    async fn finds(&self, text: &str) -> Vec<String> {
        let found = self.cache.search("airport").fuzzy(text).run::<Airport>().await.expect("it is searched");
        assert!(!found.is_partial());
        found.into_iter().map(|found| found.value.icao).collect()
    }
}

async fn what_one_process_stores_another_finds_by_each_method(rig: Rig) {
    let (one, other) = Process::two(&rig);
    one.fill().await;
    for process in [&one, &other] {
        assert_eq!(process.finds("heatrow london").await[0], "EGLL");
        assert_eq!(process.finds("zurch").await[0], "LSZH");
        assert_eq!(process.finds("eddb").await[0], "EDDB");
        let search = || process.cache.search("airport");
        let like =
            search().vector("airfields near berlin").limit(1).run::<Airport>().await.expect("searched");
        assert_eq!(like[0].value, Airport::known("EDDB").expect("known"));
        assert_eq!(&*like[0].key, "airport:EDDB");
        assert!(like[0].score > 0.2 && like[0].score <= 1.0 && like[0].age < LONG, "{like:?}");
        let exact = search().exact("LONDON").run::<Airport>().await.expect("searched");
        assert_eq!(exact.iter().map(|found| &*found.value.icao).collect::<Vec<_>>(), ["EGKK", "EGLL"]);
        assert!(search().exact("heatrow").run::<Airport>().await.expect("searched").is_empty());
    }
    // Who has not called the function says by what its values are found.
    let typed = other.cache.search("airport").fuzzy("gatwik");
    let found = typed.run_by(|airport: &Airport| vec![airport.name.clone()]).await.expect("searched");
    assert_eq!(found.len(), 1);
    assert_eq!((one.search.stats().written, other.search.stats().written), (4, 0));
}

async fn nothing_is_found_that_a_read_would_not_give(rig: Rig) {
    let (one, other) = Process::two(&rig);
    for way in ["key", "tag", "late tag", "prefix", "clear"] {
        one.fill().await;
        assert_eq!(other.finds("heathrow").await[0], "EGLL", "{way}");
        match way {
            "key" => drop(one.cache.evict_key("airport", "EGLL").await.expect("evicted")),
            "tag" => one.cache.evict_tags(["airports"]).await.expect("evicted"),
            "late tag" => one.cache.evict_tags(["city:London"]).await.expect("evicted"),
            "prefix" => drop(one.cache.evict_prefix("airport").await.expect("evicted")),
            _ => drop(one.cache.clear().await.expect("evicted")),
        }
        for process in [&one, &other] {
            assert!(!process.finds("heathrow").await.contains(&"EGLL".to_owned()), "{way}");
        }
        assert!(one.search.stats().gone > 0);
    }
    // A put changes what is found, and what it is found by.
    one.fill().await;
    one.cache.scope(rename("EGLL", "Heathrow International")).await;
    one.written().await;
    let found =
        other.cache.search("airport").vector("international").run::<Airport>().await.expect("searched");
    assert_eq!(found[0].value.name, "Heathrow International");
    // Outside of the cache nothing is found, and nothing is forgotten.
    let bypassed = Mode::Bypass.scope(one.finds("heathrow")).await;
    assert!(bypassed.is_empty());
    assert_eq!(one.finds("heathrow").await[0], "EGLL");
    // Another type is not what a read gives.
    let strange = one.cache.search("airport").vector("heathrow").run::<u64>().await.expect("searched");
    assert!(strange.is_empty());
    assert_eq!(one.finds("heathrow").await[0], "EGLL");
}

async fn a_function_with_a_codec_and_a_version_of_its_own_is_read_as_it_reads(rig: Rig) {
    let (one, other) = Process::two(&rig);
    one.cache.scope(coded("EGLL")).await;
    one.written().await;
    let found = one.cache.search("coded").fuzzy("heatrow").run::<Airport>().await.expect("searched");
    assert_eq!(found[0].value.icao, "EGLL");
    // A process that has called the function too, though it stored nothing.
    let asks = || async { other.cache.search("coded").fuzzy("heatrow").run::<Airport>().await };
    assert!(asks().await.expect("searched").is_empty(), "nobody told it how they are read");
    other.cache.scope(coded("EGLL")).await;
    assert_eq!(asks().await.expect("searched")[0].value.icao, "EGLL");
    assert_eq!(other.search.stats().written, 0);
}

async fn what_cannot_be_searched_is_an_error_that_says_why(rig: Rig) {
    let (one, _) = Process::two(&rig);
    let without = rig.process().cache;
    assert_eq!(without.search("airport").fuzzy("x").run::<Airport>().await, Err(Error::NotBeside));
    one.cache.scope(plain("EGLL")).await;
    let refused = one.cache.search("plain").fuzzy("heathrow").run::<Airport>().await.expect_err("no search");
    assert_eq!(refused, Error::NotSearched);
    assert!(refused.to_string().contains("add `search = ["), "{refused}");
    one.fill().await;
    let search = || one.cache.search("airport");
    assert_eq!(search().run::<Airport>().await, Err(Error::Unasked));
    for threshold in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let refused = search().vector("london").threshold(threshold).run::<Airport>().await;
        assert_eq!(refused, Err(Error::Threshold), "{threshold}");
    }
    let word = "w".repeat(1 << 20);
    for text in ["", "?!", "🙂 ?", "the", &word, "Аэропорт 空港 مطار"] {
        for limit in [0, 10, 1_000_000_000] {
            let searches = [search().fuzzy(text), search().vector(text), search().exact(text)];
            for asked in searches {
                assert!(asked.limit(limit).run::<Airport>().await.expect("an answer").is_empty());
            }
        }
    }
    let all = search().vector("london").limit(1_000_000_000).run::<Airport>().await.expect("an answer");
    assert_eq!(all.len(), 2);
}

async fn documents_that_point_nowhere_make_room_for_the_next_best(rig: Rig) {
    let (one, other) = Process::two(&rig);
    let rules = EntryRules::none().search(|name: &String| vec![name.clone()]);
    let entry = |cache: &Cache, n: u32| cache.entry::<String>("many", n).with_rules(rules);
    for n in 0..200 {
        // The lower numbers have fewer other words, and come first.
        let text = format!("common{}", " other".repeat(usize::from(n >= 150)));
        entry(&one.cache, n).set(&text).await.expect("stored");
    }
    one.written().await;
    for n in 0..150 {
        entry(&one.cache, n).evict().await.expect("evicted");
    }
    for process in [&one, &other] {
        let found =
            process.cache.search("many").vector("common").limit(20).run::<String>().await.expect("searched");
        assert_eq!(found.len(), 20);
        assert!(found.iter().all(|found| found.value == "common other"));
    }
}

/// It does without a document, wherever that lies. Upholds that a document lives as long as its entry.
async fn what_has_ended_is_not_found(rig: Rig) {
    let (one, other) = Process::two(&rig);
    let rules = EntryRules::none().search(|name: &String| vec![name.clone()]);
    let life = if rig.is_redis() { Duration::from_millis(300) } else { Duration::from_mins(5) };
    let entry = one.cache.entry::<String>("brief", 1).with_ttl(life).with_rules(rules);
    entry.set(&"heathrow".to_owned()).await.expect("stored");
    one.written().await;
    let asks = async |process: &Process| {
        let asked = process.cache.search("brief").vector("heathrow");
        asked.run_by(|name: &String| vec![name.clone()]).await.expect("searched").len()
    };
    let before = asks(&other).await;
    if rig.is_redis() {
        wait_until("it has ended", DEADLINE, async || asks(&other).await == 0).await;
    } else {
        assert_eq!(before, 1);
        rig.in_memory().1.advance(life);
        assert_eq!(asks(&other).await, 0);
    }
    // Nor is its document there, which the server counts down from a moment later.
    let space = format!("{}:brief", rig.namespace());
    match one.cache.raw_commands() {
        Some(commands) => {
            let index = StoreIndex::new(commands);
            let laid = async || index.scan(&space, None).await.expect("it answers").laid;
            wait_until("its document has ended", DEADLINE, async || laid().await.is_empty()).await;
        }
        None => assert!(one.index.scan(&space, None).await.expect("it answers").laid.is_empty()),
    }
}

async fn what_is_searched_and_what_is_not_is_counted(rig: Rig) {
    let index = Arc::new(MemoryIndex::new());
    let one = Process::of(&rig, &index);
    let few = Process::with(&rig, &index, |search| search.with_documents(3).expect("a limit"));
    one.fill().await;
    assert_eq!((one.search.stats().documents, one.search.stats().left), (0, 0), "it only fills");
    one.finds("heathrow").await;
    few.finds("heathrow").await;
    assert_eq!((one.search.stats().documents, one.search.stats().left), (4, 0));
    assert_eq!((few.search.stats().documents, few.search.stats().left), (3, 1));
    assert_eq!(few.search.stats().unread, 0);
}

/// Words are compared by their stems, where all processes do it so.
async fn texts_are_taken_apart_as_it_is_said(rig: Rig) {
    let index = Arc::new(MemoryIndex::new());
    let stems = |search: Search| search.with_words(Analyzer::new().stemming(Language::English));
    let (one, other) = (Process::with(&rig, &index, stems), Process::with(&rig, &index, stems));
    let rules = EntryRules::none().search(|name: &String| vec![name.clone()]);
    let entry = one.cache.entry::<String>("stemmed", 1).with_rules(rules);
    entry.set(&"regional airports".to_owned()).await.expect("stored");
    one.written().await;
    for (text, count) in [("airport", 1), ("region", 1), ("harbour", 0)] {
        let asked = other.cache.search("stemmed").vector(text);
        let found = asked.run_by(|name: &String| vec![name.clone()]).await.expect("searched");
        assert_eq!(found.len(), count, "{text}");
    }
}

/// Words that are not among the most frequent count for nothing, but in questions, which they tell apart.
async fn words_that_are_rare_may_count_for_nothing(rig: Rig) {
    let index = Arc::new(MemoryIndex::new());
    let few = Process::with(&rig, &index, |search| search.with_max_features(1));
    let all = Process::of(&rig, &index);
    let rules = EntryRules::none().search(|name: &String| vec![name.clone()]);
    for (n, text) in ["common berlin", "common bern", "common basel"].into_iter().enumerate() {
        few.cache
            .entry::<String>("frequent", n)
            .with_rules(rules)
            .set(&text.to_owned())
            .await
            .expect("stored");
    }
    few.written().await;
    let best = async |process: &Process| {
        let asked = process.cache.search("frequent").vector("common bern").limit(1);
        let found = asked.run_by(|name: &String| vec![name.clone()]).await.expect("searched");
        (found[0].value.clone(), found[0].score)
    };
    assert_eq!(best(&few).await, ("common berlin".to_owned(), 1.0), "all are alike, and it is the first");
    assert_eq!(best(&all).await.0, "common bern");
    few.cache.scope(asked("airports near Berlin")).await;
    few.written().await;
    assert_eq!(few.cache.scope(asked("airports near Bern")).await, "airports near Bern");
}

on_both_stores!(
    words_that_are_rare_may_count_for_nothing,
    what_has_ended_is_not_found,
    what_is_searched_and_what_is_not_is_counted,
    texts_are_taken_apart_as_it_is_said,
    what_one_process_stores_another_finds_by_each_method,
    nothing_is_found_that_a_read_would_not_give,
    a_function_with_a_codec_and_a_version_of_its_own_is_read_as_it_reads,
    what_cannot_be_searched_is_an_error_that_says_why,
    documents_that_point_nowhere_make_room_for_the_next_best,
);

/// An index that refuses everything, or never answers.
#[derive(Debug)]
struct Broken {
    hangs: bool,
}

impl Broken {
    async fn answer<T>(&self) -> cachemacro::Result<T> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Err(cachemacro::Error::new(ErrorKind::Io, "it is broken"))
    }
}

#[async_trait]
impl Index for Broken {
    async fn write(&self, _: &str, _: &Document, _: Duration) -> cachemacro::Result<()> {
        self.answer().await
    }

    async fn remove(&self, _: &str, _: &str) -> cachemacro::Result<()> {
        self.answer().await
    }

    async fn place(&self, _: &str) -> cachemacro::Result<Place> {
        self.answer().await
    }

    async fn changes(&self, _: &str, _: &Place, _: usize) -> cachemacro::Result<Changes> {
        self.answer().await
    }

    async fn scan(&self, _: &str, _: Option<&Place>) -> cachemacro::Result<Page> {
        self.answer().await
    }
}

#[tokio::test]
async fn an_index_that_fails_or_hangs_is_counted_and_no_call_waits() {
    for hangs in [false, true] {
        let search =
            Search::new().with_index(Arc::new(Broken { hangs })).with_deadline(Duration::from_millis(50));
        let search = Arc::new(search);
        let cache = Cache::builder().memory().beside(search.clone()).build().expect("acceptable");
        let began = Instant::now();
        for icao in ALL {
            assert!(cache.scope(airport(icao)).await.is_some());
        }
        let found = cache.search("airport").fuzzy("heathrow").run::<Airport>().await.expect("an answer");
        assert!(found.is_empty() && found.is_partial() && began.elapsed() < DEADLINE);
        assert_eq!(search.stats().partial, 1);
        if !hangs {
            search.written().await;
            assert_eq!((search.stats().failed, search.stats().written), (4, 0));
        }
    }
}

#[tokio::test]
async fn what_is_sealed_has_no_document_and_is_not_searched() {
    let (search, index) = (Search::new(), Arc::new(MemoryIndex::new()));
    let search = Arc::new(search.with_index(index.clone()));
    let sealing = Sealing::new(&[1; 32], 1, &[2; 32]).only(["airport"]);
    let cache = Cache::builder().memory().sealed(sealing).beside(search.clone()).build().expect("acceptable");
    cache.scope(airport("EGLL")).await;
    search.written().await;
    assert_eq!((search.stats().sealed, search.stats().written), (1, 0));
    assert!(index.scan("airport", None).await.expect("it answers").laid.is_empty());
    assert_eq!(cache.search("airport").fuzzy("heathrow").run::<Airport>().await, Err(Error::Sealed));
    cache.scope(coded("EGLL")).await;
    search.written().await;
    assert_eq!(cache.search("coded").fuzzy("heathrow").run::<Airport>().await.expect("searched").len(), 1);
}

#[tokio::test]
async fn on_a_cluster_documents_go_through_the_stores_own_connections() {
    let (cluster, ours) = (RedisCluster::shared().await, namespace());
    let process = || {
        let search = Arc::new(Search::new().with_delay(Duration::ZERO).with_deadline(LONG));
        let builder = Cache::builder().redis(cluster.url()).namespace(&ours).command_timeout(LONG);
        let cache = builder.wait(LONG).beside(search.clone()).build().expect("acceptable");
        Process { cache, search, index: Arc::default() }
    };
    let (one, other) = (process(), process());
    one.fill().await;
    assert_eq!(one.search.stats().written, 4, "{:?}", one.search.stats());
    for process in [&one, &other] {
        assert_eq!(process.finds("heatrow london").await[0], "EGLL");
    }
    one.cache.evict_key("airport", "EGLL").await.expect("evicted");
    assert!(!other.finds("heatrow").await.contains(&"EGLL".to_owned()));
}
