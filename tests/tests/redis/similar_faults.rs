//! Whoever is beside a cache and does not do what it should, a `confirm` that never ends, a store that is slow: no call waits for them for long, and none fails by them.

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cachemacro::store::faults::{FaultStore, Op};
use cachemacro::store::memory::MemoryStore;
use cachemacro::{Asked, Beside, Cache, Candidate, Judged, Stored, cached};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
/// What is always near: more than are looked at.
const NEAR: [&str; 7] = ["one", "two", "three", "four", "five", "six", "seven"];
/// So many are.
const LOOKED_AT: usize = 5;

/// What whoever is beside the cache does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Finds,
    Hangs,
    HangsFor(Duration),
    Panics,
    PanicsOfItsDeadline,
    PanicsWhenTold,
}

struct Strange {
    does: Does,
    judged: Mutex<Vec<Judged>>,
}

impl Strange {
    fn new(does: Does) -> Arc<Self> {
        Arc::new(Self { does, judged: Mutex::default() })
    }

    fn judged(&self) -> Vec<Judged> {
        self.judged.lock().expect("no panic").clone()
    }
}

#[async_trait]
impl Beside for Strange {
    fn stored(&self, _stored: &Stored<'_>) {}

    fn deadline(&self) -> Duration {
        match self.does {
            Does::HangsFor(time) => time,
            Does::PanicsOfItsDeadline => panic!("on purpose"),
            _ => SECOND,
        }
    }

    async fn near(&self, _asked: &Asked<'_>) -> Vec<Candidate> {
        match self.does {
            Does::Hangs | Does::HangsFor(_) | Does::PanicsOfItsDeadline => pending().await,
            Does::Panics => panic!("on purpose"),
            _ => NEAR.map(|text| Candidate::new(text, text, 1.0)).to_vec(),
        }
    }

    fn judged(&self, _asked: &Asked<'_>, _candidate: &Candidate, judged: Judged) {
        assert!(self.does != Does::PanicsWhenTold, "on purpose");
        self.judged.lock().expect("no panic").push(judged);
    }
}

/// Its answer says for which question it was loaded.
#[cached(prefix = "asked", key = "{question}", similar = question, threshold = 0.5, scope = "shared", ttl = "1h")]
async fn asked(question: &str) -> String {
    question.to_owned()
}

/// The same, loaded behind its callers.
#[cached(prefix = "behind", key = "{question}", similar = question, threshold = 0.5, scope = "shared", ttl = "1h", refresh = "80%")]
async fn behind(question: String) -> String {
    question
}

#[cached(prefix = "confirmed", key = "{question}", similar = question, threshold = 0.5, confirm = never, scope = "shared", ttl = "1h", entry = confirmed_entry)]
async fn confirmed(question: &str) -> String {
    question.to_owned()
}

async fn never(_asked: &str, _stored: &str, _answer: &String) -> bool {
    CONFIRMS.fetch_add(1, Ordering::SeqCst);
    pending().await
}

static CONFIRMS: AtomicU32 = AtomicU32::new(0);

fn beside(strange: &Arc<Strange>) -> Cache {
    Cache::builder().memory().beside(strange.clone()).build().expect("acceptable")
}

/// Upholds G6 and G9.
#[tokio::test(start_paused = true)]
async fn a_call_waits_for_what_is_near_no_longer_than_was_said() {
    let times = [
        (Does::Hangs, SECOND),
        (Does::HangsFor(7 * SECOND), 7 * SECOND),
        (Does::HangsFor(Duration::ZERO), Duration::ZERO),
        (Does::PanicsOfItsDeadline, SECOND),
        (Does::Panics, Duration::ZERO),
    ];
    for (does, time) in times {
        let (cache, began) = (beside(&Strange::new(does)), Instant::now());
        assert_eq!(cache.scope(asked("another")).await, "another", "{does:?}");
        let took = began.elapsed();
        assert!(took >= time && took < time + SECOND / 2, "{does:?}: {took:?}");
        cache.stored().await;
        assert_eq!(cache.scope(asked("another")).await, "another", "{does:?}");
        assert_eq!(cache.stats().total.loads, 1, "{does:?}: it was stored all the same");
    }
}

/// Upholds G6 and G9.
#[tokio::test]
async fn a_value_that_was_found_is_given_though_who_is_told_panics() {
    let cache = beside(&Strange::new(Does::PanicsWhenTold));
    let given = cache.scope(async {
        // Nothing that is near is there: who is told of that panics, too.
        assert_eq!(asked("three").await, "three");
        asked("another").await
    });
    assert_eq!(given.await, "three");
}

#[tokio::test]
async fn of_many_that_are_near_a_few_are_looked_at() {
    let strange = Strange::new(Does::Finds);
    let cache = beside(&strange);
    let near_to = |question: &'static str| cache.scope(asked(question));
    assert_eq!(near_to("another").await, "another");
    assert_eq!(strange.judged(), [Judged::Gone; LOOKED_AT]);
    // The last that is looked at answers, and the one after it does not.
    near_to("six").await;
    assert_eq!(near_to("a third").await, "a third");
    near_to("five").await;
    assert_eq!(near_to("a fourth").await, "five");
}

/// Upholds G6.
#[tokio::test(start_paused = true)]
async fn a_confirm_that_never_ends_is_a_no_after_five_seconds_in_all() {
    let strange = Strange::new(Does::Finds);
    let cache = beside(&strange);
    cache
        .scope(async {
            for near in NEAR {
                confirmed_entry(near).set(&near.to_owned()).await.expect("stored");
            }
            let began = Instant::now();
            assert_eq!(confirmed("another").await, "another");
            let took = began.elapsed();
            assert!(took >= 5 * SECOND && took < 6 * SECOND, "{took:?}");
        })
        .await;
    assert_eq!(strange.judged(), [Judged::Unconfirmed; LOOKED_AT]);
    assert!(CONFIRMS.load(Ordering::SeqCst) >= 1);
}

/// Upholds G6.
#[tokio::test]
async fn answers_to_other_questions_are_read_within_the_call() {
    for is_behind in [false, true] {
        let strange = Strange::new(Does::Finds);
        let faults = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
        faults.set_immediate(false);
        let builder = Cache::builder().store(faults.clone()).beside(strange.clone());
        let cache = builder.deadline(Duration::from_millis(200)).build().expect("acceptable");
        faults.delay(Op::Read, Duration::from_millis(150));
        let call =
            async { if is_behind { behind("another".to_owned()).await } else { asked("another").await } };
        assert_eq!(cache.scope(call).await, "another");
        // The second one is not answered in the time that the first one has left; the others are not asked for.
        assert!(faults.count(Op::Read) <= 2, "{is_behind}: {} reads", faults.count(Op::Read));
        assert_eq!(strange.judged(), [], "{is_behind}");
    }
}
