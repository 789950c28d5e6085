//! Questions that share an answer, in memory and on a real server, in the process that stored it and in others.
//!
//! | mechanism | test that fails without it |
//! |---|---|
//! | what a document points to is read again | `an_answer_that_a_read_would_not_give_is_none` |
//! | its key is written anew in the asking call's scope | `no_answer_leaves_its_scope_whatever_documents_say` |
//! | documents are compared within one scope | `no_answer_leaves_its_scope_whatever_documents_say` |
//! | a tag of all questions | `an_evict_by_key_takes_away_one_wording_and_a_tag_of_all_takes_all` |
//! | the embedder's id is part of the scope | `vectors_of_two_models_are_never_compared` |
//! | the guard, `confirm` | `what_differs_is_refused_and_counted_by_what_differs` |
//! | vectors are seen to have a direction, a deadline, a rest | `an_embedder_that_gives_nothing_of_use_makes_a_miss` |
//! | texts of one moment are embedded together, each once | `texts_are_embedded_together_and_once` |
//! | what is gone is forgotten | `answers_that_are_gone_make_room_for_the_next` |
//! | a similar hit stores nothing | `a_hit_by_another_wording_stores_nothing_and_lengthens_nothing` |

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cachemacro::{Cache, Embedder, Error, ErrorKind, Mode, Result, Sealing, cache_put, cached};
use cachemacro_search::{
    Analyzer, Difference, Document, Guard, Index, MemoryIndex, Scope, Search, StoreIndex, WordLists,
};
use cachemacro_tests::{DEADLINE, LONG, Rig, on_both_stores, wait_until};

const DIMENSIONS: usize = 64;

/// What becomes of texts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Embeds,
    Fails,
    Hangs,
    Panics,
    Shortens,
    Zeros,
    NoNumbers,
    Loses,
}

const USELESS: [Does; 7] =
    [Does::Fails, Does::Hangs, Does::Panics, Does::Shortens, Does::Zeros, Does::NoNumbers, Does::Loses];

/// Knows a few words that mean the same, and passes over a few that mean much.
#[derive(Debug, Clone)]
struct Model {
    id: &'static str,
    does: Does,
    calls: Arc<AtomicU32>,
    texts: Arc<AtomicU32>,
}

impl Model {
    fn new(id: &'static str, does: Does) -> Self {
        Self { id, does, calls: Arc::default(), texts: Arc::default() }
    }

    fn vector(text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; DIMENSIONS];
        for word in text.to_lowercase().split(|letter: char| !letter.is_alphanumeric()) {
            let word = match word {
                "" | "to" | "not" | "are" | "which" => continue,
                "airfields" | "aerodromes" => "airports",
                "close" | "around" => "near",
                other => other,
            };
            let hash = word.bytes().fold(7_usize, |hash, byte| hash * 31 % 1_000_003 + usize::from(byte));
            vector[hash % DIMENSIONS] += 1.0;
        }
        vector
    }
}

#[async_trait]
impl Embedder for Model {
    fn id(&self) -> &str {
        self.id
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.texts.fetch_add(u32::try_from(texts.len()).expect("few"), Ordering::SeqCst);
        let made = texts.iter().map(|text| Self::vector(text));
        Ok(match self.does {
            Does::Embeds => made.collect(),
            Does::Fails => return Err(Error::new(ErrorKind::Io, "on purpose")),
            Does::Hangs => std::future::pending().await,
            Does::Panics => panic!("on purpose"),
            Does::Shortens => made.map(|vector| vector[1..].to_vec()).collect(),
            Does::Zeros => vec![vec![0.0; DIMENSIONS]; texts.len()],
            Does::NoNumbers => vec![vec![f32::NAN; DIMENSIONS]; texts.len()],
            Does::Loses => Vec::new(),
        })
    }
}

/// One process.
#[derive(Clone)]
struct Faq {
    cache: Cache,
    search: Arc<Search>,
    index: Arc<MemoryIndex>,
    model: Model,
    loads: Arc<AtomicU32>,
    threshold: f64,
}

#[expect(clippy::ptr_arg, reason = "it is given the value")]
async fn same_place(asked: &str, stored: &str, answer: &String) -> bool {
    assert!(answer.contains(stored));
    tokio::task::yield_now().await;
    asked.split(' ').next_back() == stored.split(' ').next_back()
}

impl Faq {
    #[cached(
        cache = self.cache,
        prefix = "faq",
        key = "{tenant}:{question}",
        similar = question,
        threshold = 0.9,
        embedder = self.model,
        ttl = "1h",
        tags = ["faq:{tenant}", "about:{question}"],
        entry = answer_entry
    )]
    async fn answer(&self, tenant: u32, question: &str) -> String {
        format!("{tenant}: {question} #{}", self.loads.fetch_add(1, Ordering::SeqCst))
    }

    #[cache_put(entry = self.answer_entry(tenant, question))]
    async fn correct(&self, tenant: u32, question: &str, answer: &str) -> String {
        answer.to_owned()
    }

    #[cached(
        cache = self.cache,
        prefix = "confirmed",
        similar = question,
        threshold = self.threshold,
        embedder = self.model.clone(),
        confirm = same_place,
        scope = "shared",
        entry = confirmed_entry
    )]
    async fn confirmed(&self, question: String) -> Option<String> {
        Some(format!("{question} #{}", self.loads.fetch_add(1, Ordering::SeqCst)))
    }

    #[cached(cache = self.cache, prefix = "worded", similar = question, threshold = 0.5, scope = "shared", entry = worded_entry)]
    async fn worded(&self, question: &str) -> String {
        format!("{question} #{}", self.loads.fetch_add(1, Ordering::SeqCst))
    }

    #[cached(cache = self.cache, prefix = "slow", key = "{question}", similar = question, threshold = 0.9, embedder = self.model, scope = "shared")]
    async fn slow(&self, question: &str) -> String {
        tokio::time::sleep(Duration::from_millis(200)).await;
        format!("{question} #{}", self.loads.fetch_add(1, Ordering::SeqCst))
    }

    fn loads(&self) -> u32 {
        self.loads.load(Ordering::SeqCst)
    }

    /// Until what was stored is in the index.
    async fn written(&self) {
        self.cache.stored().await;
        self.search.written().await;
    }

    async fn stored(&self, tenant: u32, question: &str) -> String {
        let answer = self.answer(tenant, question).await;
        self.written().await;
        answer
    }

    fn with_model(rig: &Rig, index: &Arc<MemoryIndex>, model: Model, deadline: Duration) -> Self {
        let search = Search::new().with_delay(Duration::ZERO).with_deadline(deadline);
        let search = Arc::new(if rig.is_redis() { search } else { search.with_index(index.clone()) });
        let beside = search.clone();
        let cache = rig.process_with(|builder| builder.beside(beside)).cache;
        Self { cache, search, index: index.clone(), model, loads: Arc::default(), threshold: 0.6 }
    }

    fn one(rig: &Rig) -> Self {
        Self::with_model(rig, &Arc::default(), Model::new("test:1", Does::Embeds), LONG)
    }

    /// Two processes of one namespace.
    fn two(rig: &Rig) -> (Self, Self) {
        let index = MemoryIndex::new();
        let index =
            Arc::new(if rig.is_redis() { index } else { index.with_clock(rig.in_memory().1.clone()) });
        let process = || Self::with_model(rig, &index, Model::new("test:1", Does::Embeds), LONG);
        (process(), process())
    }

    /// Lays a document of somebody's making.
    async fn lay(&self, space: &str, document: &Document) {
        let life = Duration::from_mins(1);
        let laid = match self.cache.raw_commands() {
            Some(commands) => StoreIndex::new(commands).write(space, document, life).await,
            None => self.index.write(space, document, life).await,
        };
        laid.expect("it takes it");
    }
}

async fn another_wording_is_given_the_answer_in_every_process(rig: Rig) {
    let (one, other) = Faq::two(&rig);
    let answer = one.stored(7, "airports near Berlin").await;
    for process in [&one, &other] {
        assert_eq!(process.answer(7, "airfields close to Berlin").await, answer);
        assert_eq!(process.answer(7, "which airports are near Berlin").await, answer);
    }
    assert_eq!((one.loads(), other.loads()), (1, 0));
    assert_ne!(other.answer(7, "airports near Bern").await, answer);
    assert_eq!(other.loads(), 1);
    let stats = other.search.alike_stats();
    assert_eq!((stats.asked, stats.answered, stats.far), (3, 2, 1), "{stats:?}");
    assert_eq!(
        (stats.shared.over(0.95), stats.nearest.over(0.95), stats.nearest.counts.iter().sum()),
        (2, 2, 3)
    );
    // A similar hit is a hit, and no load.
    let total = other.cache.stats().total;
    assert_eq!((total.hits, total.misses(), total.loads), (2, 1, 1));
    // By words alone.
    let worded = one.worded("opening hours of the library").await;
    one.written().await;
    assert_eq!(other.worded("the opening hours of library").await, worded);
    assert_ne!(other.worded("fees of a credit card").await, worded);
}

/// What its own key answers is embedded by nobody and compared with nothing.
async fn an_exact_hit_asks_nobody(rig: Rig) {
    let (one, other) = Faq::two(&rig);
    let answer = one.stored(7, "airports near Berlin").await;
    let asked = |faq: &Faq| (faq.search.alike_stats().asked, faq.model.texts.load(Ordering::SeqCst));
    let before = (asked(&one), asked(&other));
    for process in [&one, &other] {
        assert_eq!(process.answer(7, "airports near Berlin").await, answer);
    }
    assert_eq!((asked(&one), asked(&other)), before);
}

/// The threshold, then the guard, then the read, then `confirm`; who is refused makes room for the next.
async fn a_candidate_that_is_refused_makes_room_for_the_next(rig: Rig) {
    let faq = Faq::one(&rig);
    // The model passes over "not", so both are as near; by their keys the first comes first.
    faq.stored(7, "airports near Berlin").await;
    let not = Mode::Refresh.scope(faq.answer(7, "airports not near Berlin")).await;
    faq.written().await;
    assert_eq!(faq.answer(7, "airfields not close to Berlin").await, not);
    let stats = faq.search.alike_stats();
    assert_eq!(
        (stats.guarded.iter().map(|(_, count)| count).sum::<u64>(), stats.answered),
        (1, 1),
        "{stats:?}"
    );
    // What the guard refuses is not read: that it is gone is not seen.
    faq.answer_entry(7, "airports near Berlin").evict().await.expect("evicted");
    assert_eq!(faq.answer(7, "aerodromes not close to Berlin").await, not);
    let stats = faq.search.alike_stats();
    assert_eq!((stats.guarded.iter().map(|(_, count)| count).sum::<u64>(), stats.gone), (2, 0), "{stats:?}");
    // `confirm` looks at the last word.
    faq.confirmed("Bern airports near".to_owned()).await;
    faq.written().await;
    let bern = Mode::Refresh.scope(faq.confirmed("airports near Bern".to_owned())).await;
    faq.written().await;
    assert_eq!(faq.confirmed("airfields around Bern".to_owned()).await, bern);
    assert_eq!(faq.search.alike_stats().unconfirmed, 1);
}

/// Upholds that a life that is over needs no code beside the read.
async fn an_answer_that_has_ended_is_none(rig: Rig) {
    let (one, other) = Faq::two(&rig);
    let life = if rig.is_redis() { Duration::from_millis(300) } else { Duration::from_mins(5) };
    let (question, ask) = ("airports near Berlin", "airfields close to Berlin");
    let own = one.answer_entry(7, question).with_ttl(life);
    own.set(&"soon gone".to_owned()).await.expect("stored");
    one.written().await;
    if rig.is_redis() {
        wait_until("it has ended", DEADLINE, async || !own.has().await.expect("it answers")).await;
    } else {
        assert_eq!(other.answer(7, ask).await, "soon gone");
        rig.in_memory().1.advance(life);
    }
    for process in [&one, &other] {
        assert_ne!(process.answer(7, ask).await, "soon gone");
        process.answer_entry(7, ask).evict().await.expect("evicted");
    }
}

/// Whoever says what differs, or that nothing does, is heard.
async fn a_guard_is_as_it_was_said(rig: Rig) {
    let asks = async |settings: fn(Search) -> Search, stored: &str, ask: &str| {
        let search = settings(Search::new().with_delay(Duration::ZERO).with_deadline(LONG));
        let search = Arc::new(search.with_index(Arc::new(MemoryIndex::new())));
        let beside = search.clone();
        let cache = rig.process_with(|builder| builder.beside(beside)).cache;
        let model = Model::new("test:1", Does::Embeds);
        let faq = Faq { cache, search, index: Arc::default(), model, loads: Arc::default(), threshold: 0.6 };
        faq.cache.clear().await.expect("cleared");
        let answer = faq.stored(7, stored).await;
        faq.answer(7, ask).await == answer
    };
    let (with, without) = ("airports near Berlin", "airports not near Berlin");
    assert!(!asks(|search| search, with, without).await);
    assert!(asks(Search::without_guard, with, without).await);
    // The model takes both for the same; only these lists have them as opposites.
    let own = |search: Search| {
        let lists = WordLists::english().opposites(&["airports"], &["airfields"]);
        search.with_guard(Guard::new(lists))
    };
    assert!(asks(|search| search, with, "airfields near Berlin").await);
    assert!(!asks(own, with, "airfields near Berlin").await);
}

async fn what_was_matched_can_be_asked(rig: Rig) {
    let faq = Faq::one(&rig);
    let asks = |question: &'static str| {
        let faq = faq.clone();
        async move { faq.answer_entry(7, question).similar(question).await.expect("it answers") }
    };
    assert_eq!(asks("airports near Berlin").await, None);
    let answer = faq.stored(7, "airports near Berlin").await;
    let own = asks("airports near Berlin").await.expect("it is there");
    assert_eq!((&own.value, own.score), (&answer, 1.0));
    let alike = asks("airfields close to Berlin").await.expect("it is there");
    assert_eq!((&alike.value, alike.key.as_str()), (&answer, "faq:7:airports%20near%20Berlin"));
    assert!(alike.score > 0.99 && alike.age < LONG, "{alike:?}");
    assert!(!format!("{alike:?}").contains("Berlin"));
    assert_eq!(asks("airports near Bern").await, None);
    // In another scope there is none; and any question may be asked in the scope of an entry.
    assert_eq!(faq.answer_entry(8, "x").similar("airports near Berlin").await.expect("it answers"), None);
    assert!(faq.answer_entry(7, "x").similar("airports near Berlin").await.expect("it answers").is_some());
    let plain = faq.cache.entry::<String>("faq", "x").similar("x").await;
    assert_eq!(plain.expect_err("no function's").kind(), ErrorKind::Config);
    assert_eq!(faq.loads(), 1);
}

async fn no_answer_leaves_its_scope_whatever_documents_say(rig: Rig) {
    let faq = Faq::one(&rig);
    let secret = faq.stored(7, "airports near Berlin").await;
    // Without any document of its own scope.
    assert_ne!(faq.answer(8, "airfields close to Berlin").await, secret);
    // Somebody lays documents into the scope of tenant 9 that point to the answer of tenant 7, in every way that there is.
    let space = format!("{}:faq:", rig.namespace());
    for (text, scope) in [
        ("airports near Berlin", "faq:9:\0"),
        ("airports near Berlin", "faq:7:\0"),
        ("7:airports near Berlin", "faq:9:\0"),
    ] {
        for key in ["7:airports%20near%20Berlin", "9:airports%20near%20Berlin", "9:x"] {
            let document = Document::of(key, &[text], &Analyzer::new()).expect("a short key").with_text(text);
            let document =
                document.with_vector(Model::vector("airports near Berlin")).expect("it has a direction");
            faq.lay(&space, &document.with_scope(Scope::of([scope, "test:1"]))).await;
            assert_ne!(faq.answer(9, "airfields close to Berlin").await, secret, "{key} {text} {scope}");
            faq.answer_entry(9, "airfields close to Berlin").evict().await.expect("evicted");
        }
    }
    assert!(faq.search.alike_stats().gone >= 3, "they were looked at: {:?}", faq.search.alike_stats());
}

async fn an_answer_that_a_read_would_not_give_is_none(rig: Rig) {
    let (one, other) = Faq::two(&rig);
    let ask = "airfields close to Berlin";
    for way in ["key", "tag", "tag of the question", "prefix", "clear", "lost"] {
        let answer = one.stored(7, "airports near Berlin").await;
        assert_eq!(other.answer(7, ask).await, answer, "{way}");
        let entry = one.answer_entry(7, "airports near Berlin");
        match way {
            "key" => drop(entry.evict().await.expect("evicted")),
            "tag" => one.cache.evict_tags(["faq:7"]).await.expect("evicted"),
            "tag of the question" => {
                one.cache.evict_tags(["about:airports%20near%20Berlin"]).await.expect("evicted");
            }
            "prefix" => drop(one.cache.evict_prefix("faq").await.expect("evicted")),
            "clear" => drop(one.cache.clear().await.expect("evicted")),
            _ => {
                let key = "faq:7:airports%20near%20Berlin";
                rig.put_raw(key, "lost".into()).await;
            }
        }
        for process in [&one, &other] {
            let loaded = process.answer(7, ask).await;
            assert!(loaded != answer && loaded.contains(ask), "{way}: {loaded}");
            process.answer_entry(7, ask).evict().await.expect("evicted");
        }
    }
    // A put is found as the answer that it is.
    one.correct(7, "airports near Berlin", "corrected").await;
    one.written().await;
    assert_eq!(other.answer(7, ask).await, "corrected");
    // Outside of the cache nothing is given; newer than a moment ago nothing is, and nothing is forgotten.
    assert_ne!(Mode::Bypass.scope(other.answer(7, ask)).await, "corrected");
    if rig.is_redis() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    } else {
        rig.in_memory().1.advance(Duration::from_secs(1));
    }
    let recent = Mode::MaxAge(Duration::ZERO).scope(other.answer(7, ask)).await;
    assert_ne!(recent, "corrected");
    other.answer_entry(7, ask).evict().await.expect("evicted");
    assert_eq!(other.answer(7, ask).await, "corrected");
}

/// Upholds G1, and pins what it does not say.
async fn an_evict_by_key_takes_away_one_wording_and_a_tag_of_all_takes_all(rig: Rig) {
    let (one, other) = Faq::two(&rig);
    let ask = "airfields close to Berlin";
    let older = one.stored(7, "airports near Berlin").await;
    // Loaded, whatever is alike.
    let own = Mode::Refresh.scope(one.answer(7, ask)).await;
    one.written().await;
    for process in [&one, &other] {
        assert_eq!(process.answer(7, ask).await, own);
    }
    one.answer_entry(7, ask).evict().await.expect("evicted");
    // The answer to the other wording was loaded before that evict, which was none of it.
    for process in [&one, &other] {
        assert_eq!(process.answer(7, ask).await, older);
    }
    one.cache.evict_tags(["faq:7"]).await.expect("evicted");
    let anew = other.answer(7, ask).await;
    assert!(anew != older && anew != own, "{anew}");
}

async fn what_differs_is_refused_and_counted_by_what_differs(rig: Rig) {
    let faq = Faq::one(&rig);
    faq.stored(7, "airports near Berlin").await;
    let refused = faq.answer(7, "airports not near Berlin").await;
    assert!(refused.contains("not near"), "{refused}");
    let stats = faq.search.alike_stats();
    let negations = stats.guarded.iter().find(|(difference, _)| *difference == Difference::Negations);
    assert_eq!(negations.map(|(_, count)| *count), Some(1), "{stats:?}");
    // Of 0.6 on "near Bern" is alike, and `confirm` tells them apart; the next candidate is taken.
    let berlin = faq.confirmed("airports near Berlin".to_owned()).await;
    faq.written().await;
    let bern = faq.confirmed("airports near Bern".to_owned()).await;
    assert_ne!(berlin, bern);
    assert_eq!(faq.search.alike_stats().unconfirmed, 1);
    faq.written().await;
    for ask in ["airfields close to Bern", "airfields around Bern"] {
        assert_eq!(faq.confirmed(ask.to_owned()).await, bern);
    }
    // A threshold that is none shares nothing, and says so where that can be said.
    for threshold in [0.0, -1.0, 1.5, f64::NAN] {
        let faq = Faq { threshold, ..faq.clone() };
        let asked = "airfields around Bern".to_owned();
        assert_ne!(faq.confirmed(asked.clone()).await, bern, "{threshold}");
        let refused = faq.confirmed_entry(&asked).similar(&asked).await.expect_err("no threshold");
        assert_eq!(refused.kind(), ErrorKind::Config);
        faq.confirmed_entry(&asked).evict().await.expect("evicted");
    }
}

async fn a_hit_by_another_wording_stores_nothing_and_lengthens_nothing(rig: Rig) {
    let faq = Faq::one(&rig);
    faq.stored(7, "airports near Berlin").await;
    let own = faq.answer_entry(7, "airports near Berlin");
    let before = own.meta().await.expect("it answers").expect("it is there");
    let ask = "airfields close to Berlin";
    for _ in 0..3 {
        faq.answer(7, ask).await;
    }
    faq.written().await;
    assert!(!faq.answer_entry(7, ask).has().await.expect("it answers"));
    let after = own.meta().await.expect("it answers").expect("it is there");
    assert!(after.ttl <= before.ttl && after.age >= before.age, "{before:?} {after:?}");
    assert_eq!((faq.loads(), faq.search.stats().written), (1, 1));
}

async fn callers_with_one_wording_share_a_load_and_two_wordings_are_two(rig: Rig) {
    let faq = Faq::one(&rig);
    let ask = |question: &'static str| {
        let faq = faq.clone();
        async move { faq.slow(question).await }
    };
    let asked: Vec<_> =
        (0..20).map(|n| ask(["airports near Berlin", "airfields near Berlin"][n % 2])).collect();
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(faq.loads(), 2, "{answers:?}");
    faq.written().await;
    let asked: Vec<_> = (0..20).map(|_| ask("airports close to Berlin")).collect();
    assert!(futures_util::future::join_all(asked).await.iter().all(|answer| answers.contains(answer)));
    assert_eq!(faq.loads(), 2);
}

async fn vectors_of_two_models_are_never_compared(rig: Rig) {
    let index = Arc::new(MemoryIndex::new());
    let process = |id| Faq::with_model(&rig, &index, Model::new(id, Does::Embeds), LONG);
    let (one, two) = (process("test:1"), process("test:2"));
    let answer = one.stored(7, "airports near Berlin").await;
    assert_ne!(two.answer(7, "airfields close to Berlin").await, answer);
    two.written().await;
    two.answer_entry(7, "airfields close to Berlin").evict().await.expect("evicted");
    assert_eq!(one.answer(7, "aerodromes close to Berlin").await, answer);
}

async fn answers_that_are_gone_make_room_for_the_next(rig: Rig) {
    let faq = Faq::one(&rig);
    // All are as near as can be, and more than are looked at.
    let wordings = [
        "airports near",
        "airfields near",
        "airports close to",
        "airfields close to",
        "aerodromes near",
        "airports around",
    ];
    let mut answers = Vec::new();
    for wording in wordings {
        let question = format!("{wording} Berlin");
        // Loaded, whatever is alike.
        answers.push(Mode::Refresh.scope(faq.answer(7, &question)).await);
    }
    faq.written().await;
    // The nearest come by their keys where they are equally near: all but the last one go.
    let mut sorted = wordings.to_vec();
    sorted.sort_unstable();
    for wording in &sorted[..5] {
        faq.answer_entry(7, format!("{wording} Berlin")).evict().await.expect("evicted");
    }
    let ask = "aerodromes around Berlin";
    // More are gone than are looked at: they are forgotten meanwhile.
    faq.answer(7, ask).await;
    assert!(faq.search.alike_stats().gone >= 4);
    faq.answer_entry(7, ask).evict().await.expect("evicted");
    assert!(answers.contains(&faq.answer(7, ask).await), "what was gone is not looked at again");
}

async fn questions_of_any_kind_are_answered(rig: Rig) {
    let faq = Faq::one(&rig);
    let word = "w".repeat(1_000_000);
    for question in ["", "?!", "the", "🙂 ?", "Аэропорт 空港 مطار", &word, "\0\n:{}%"] {
        for _ in 0..2 {
            let answer = faq.worded(question).await;
            assert!(answer.starts_with(question));
            faq.written().await;
        }
        assert_eq!(faq.loads(), 1, "its own key has it");
        faq.loads.store(0, Ordering::SeqCst);
        faq.cache.clear().await.expect("cleared");
        // What it was asked of by vectors, too.
        faq.stored(7, question).await;
        faq.answer_entry(7, question).similar(question).await.expect("an answer");
        faq.loads.store(0, Ordering::SeqCst);
    }
}

on_both_stores!(
    an_exact_hit_asks_nobody,
    a_candidate_that_is_refused_makes_room_for_the_next,
    an_answer_that_has_ended_is_none,
    a_guard_is_as_it_was_said,
    another_wording_is_given_the_answer_in_every_process,
    what_was_matched_can_be_asked,
    no_answer_leaves_its_scope_whatever_documents_say,
    an_answer_that_a_read_would_not_give_is_none,
    an_evict_by_key_takes_away_one_wording_and_a_tag_of_all_takes_all,
    what_differs_is_refused_and_counted_by_what_differs,
    a_hit_by_another_wording_stores_nothing_and_lengthens_nothing,
    callers_with_one_wording_share_a_load_and_two_wordings_are_two,
    vectors_of_two_models_are_never_compared,
    answers_that_are_gone_make_room_for_the_next,
    questions_of_any_kind_are_answered,
);

#[tokio::test]
async fn an_embedder_that_gives_nothing_of_use_makes_a_miss() {
    for does in USELESS {
        let deadline = if does == Does::Hangs { Duration::from_millis(50) } else { LONG };
        let faq = Faq::with_model(&Rig::memory(), &Arc::default(), Model::new("test:1", does), deadline);
        let began = Instant::now();
        for (at, question) in ["airports near Berlin", "airfields close to Berlin"].into_iter().enumerate() {
            assert!(faq.answer(7, question).await.contains(question), "{does:?}");
            assert_eq!(faq.loads() as usize, at + 1);
            faq.search.written().await;
        }
        let (stats, alike) = (faq.search.stats(), faq.search.alike_stats());
        assert_eq!((stats.written, stats.refused), (0, 2), "{does:?}");
        assert_eq!((alike.asked, alike.unembedded, alike.answered), (2, 2, 0), "{does:?}");
        // After five failures in a row it is left alone.
        for n in 0..20 {
            faq.answer(7, &format!("another question, number {n}")).await;
        }
        assert!(faq.model.calls.load(Ordering::SeqCst) < 20, "{does:?}: {:?}", faq.model.calls);
        assert!(began.elapsed() < DEADLINE);
    }
}

#[tokio::test]
async fn texts_are_embedded_together_and_once() {
    let faq = Faq::one(&Rig::memory());
    let asked = (0..50).map(|n| {
        let faq = faq.clone();
        async move { faq.answer(7, &format!("question {}", n % 25)).await }
    });
    futures_util::future::join_all(asked).await;
    faq.written().await;
    let (calls, texts) = (faq.model.calls.load(Ordering::SeqCst), faq.model.texts.load(Ordering::SeqCst));
    assert!(calls <= 5 && texts == 25, "{calls} calls for {texts} texts");
    // A caller that leaves ends nothing that others wait for.
    let slow = Faq::one(&Rig::memory());
    let left = tokio::time::timeout(Duration::ZERO, slow.answer(7, "a question"));
    let (_, stays) = tokio::join!(left, slow.answer(7, "a question"));
    assert!(stays.contains("a question"));
}

#[tokio::test]
async fn what_is_sealed_shares_no_answers() {
    let index = Arc::new(MemoryIndex::new());
    let search = Arc::new(Search::new().with_index(index.clone()).with_delay(Duration::ZERO));
    let sealing = Sealing::new(&[1; 32], 1, &[2; 32]).only(["faq"]);
    let cache = Cache::builder().memory().sealed(sealing).beside(search.clone()).build().expect("acceptable");
    let model = Model::new("test:1", Does::Embeds);
    let faq = Faq { cache, search, index, model, loads: Arc::default(), threshold: 0.6 };
    let answer = faq.stored(7, "airports near Berlin").await;
    assert_ne!(faq.answer(7, "airfields close to Berlin").await, answer);
    faq.written().await;
    assert_eq!((faq.search.stats().sealed, faq.search.stats().written), (2, 0));
    assert_eq!(faq.model.calls.load(Ordering::SeqCst), 0, "its text is told to no model");
    let refused = faq.answer_entry(7, "x").similar("x").await.expect_err("it is sealed");
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(faq.index.scan("faq:", None).await.expect("it answers").laid.is_empty());
}

#[tokio::test]
async fn a_call_without_anybody_beside_its_cache_is_as_any_other() {
    let cache = Cache::memory();
    let model = Model::new("test:1", Does::Embeds);
    let search = Arc::new(Search::new());
    let faq = Faq { cache, search, index: Arc::default(), model, loads: Arc::default(), threshold: 0.6 };
    let answer = faq.answer(7, "airports near Berlin").await;
    assert_ne!(faq.answer(7, "airfields close to Berlin").await, answer);
    assert_eq!(faq.model.calls.load(Ordering::SeqCst), 0);
    assert_eq!(faq.answer_entry(7, "x").similar("x").await.expect_err("nobody").kind(), ErrorKind::Config);
}
