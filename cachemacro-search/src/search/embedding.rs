//! Vectors of questions: those of the same moment are made together, each is remembered by its text, and a model that fails is left alone for a while.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cachemacro::Embedder;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::turn::Turn;
use crate::document::unit;
use crate::limits::MOST_DIMENSIONS;

/// So many vectors are remembered of a model, and so many numbers in them.
const MOST_KEPT: usize = 4_096;
const MOST_NUMBERS: usize = 4 << 20;
/// So many texts are embedded at once, and so many wait.
const AT_ONCE: usize = 64;
const MOST_WAITING: usize = 4_096;
/// After so many failures in a row a model is left alone for so long; and after each rest it is tried once.
const FAILURES: u32 = 5;
const REST: Duration = Duration::from_secs(1);

type Vector = Arc<[f32]>;
type Models = Arc<Mutex<HashMap<Box<str>, Model>>>;

pub(super) struct Embedding {
    models: Models,
    /// How long one may take.
    deadline: Duration,
}

/// What is known of one model.
#[derive(Default)]
struct Model {
    kept: HashMap<Arc<str>, Vector>,
    /// In the order in which they came.
    order: VecDeque<Arc<str>>,
    numbers: usize,
    /// In the order in which they came.
    waiting: Vec<Waiting>,
    /// Whose turn it is to embed what waits.
    turn: Turn,
    /// In a row, up to those that make it rest.
    failures: u32,
    rests_until: Option<Instant>,
}

/// A text, and who is told its vector.
type Waiting = (Arc<str>, oneshot::Sender<Option<Vector>>);

/// Neither texts nor vectors are shown.
impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedding").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

fn lock(models: &Models) -> MutexGuard<'_, HashMap<Box<str>, Model>> {
    models.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Embedding {
    pub(super) fn new(deadline: Duration) -> Self {
        Self { models: Models::default(), deadline }
    }

    /// How long one may take.
    pub(super) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The vector of this text, of length one; `None` where there is none in time, or none that is of use.
    pub(super) async fn of(&self, embedder: &Arc<dyn Embedder>, text: &str) -> Option<Vector> {
        let (told, hears) = oneshot::channel();
        let runtime = Handle::try_current().ok()?;
        {
            let mut models = lock(&self.models);
            let model = models.entry(embedder.id().into()).or_default();
            if let Some(vector) = model.kept.get(text) {
                return Some(vector.clone());
            }
            let patience = patience(self.deadline);
            if !model.takes_more(patience) {
                return None;
            }
            model.waiting.push((text.into(), told));
            if let Some(number) = model.begin(patience) {
                let (models, embedder, deadline) = (self.models.clone(), embedder.clone(), self.deadline);
                let task = Task { number, models, embedder, deadline, is_done: false };
                // Of its own, so that nobody who leaves ends what others wait for.
                runtime.spawn(task.run());
            }
        }
        timeout(self.deadline, hears).await.ok()?.ok().flatten()
    }
}

/// How long a task may stand still. One that is driven comes on at the deadline of what it embeds.
fn patience(deadline: Duration) -> Duration {
    deadline.saturating_add(deadline / 4)
}

/// Embeds what waits for one model, until nothing does.
struct Task {
    number: u64,
    models: Models,
    embedder: Arc<dyn Embedder>,
    deadline: Duration,
    /// Whether nothing waited any more, or another task took over.
    is_done: bool,
}

impl Task {
    async fn run(mut self) {
        // Whoever asks at the same moment is among them.
        yield_now().await;
        while let Some(batch) = self.next() {
            self.embed(batch).await;
        }
        self.is_done = true;
    }

    fn model<R>(&self, change: impl FnOnce(&mut Model) -> R) -> R {
        change(lock(&self.models).entry(self.embedder.id().into()).or_default())
    }

    /// What is embedded next. Of more than that the newest: the oldest would have no time left for their answer, and if those came first, nobody would ever be told in
    /// time.
    fn next(&self) -> Option<Vec<Waiting>> {
        self.model(|model| {
            if !model.turn.comes_on(self.number) {
                return None;
            }
            model.forget_who_left();
            if model.rests() {
                model.waiting.clear();
            }
            let first = model.waiting.len().saturating_sub(AT_ONCE);
            let batch = model.waiting.split_off(first);
            if batch.is_empty() {
                // Under the same lock under which others begin to wait.
                model.turn.end(self.number);
                return None;
            }
            Some(batch)
        })
    }

    async fn embed(&self, batch: Vec<Waiting>) {
        let mut texts: Vec<&str> = batch.iter().map(|(text, _)| &**text).collect();
        texts.sort_unstable();
        texts.dedup();
        let dimensions = self.embedder.dimensions();
        let made = timeout(self.deadline, self.embedder.embed(&texts)).await.ok().and_then(Result::ok);
        let made = made.filter(|made| made.len() == texts.len());
        let is_usable =
            |vector: &Vec<f32>| (1..=MOST_DIMENSIONS).contains(&dimensions) && vector.len() == dimensions;
        let vectors = texts.into_iter().zip(made.into_iter().flatten());
        // Neither zeros nor what is no number has a direction.
        let vectors = vectors
            .filter(|(_, vector)| is_usable(vector))
            .filter_map(|(text, vector)| Some((text, Vector::from(unit(vector).ok()?))));
        let vectors: HashMap<&str, Vector> = vectors.collect();
        self.model(|model| {
            // Who took over has counted it.
            if model.turn.is_of(self.number) {
                model.came_to(!vectors.is_empty());
            }
            for (text, vector) in &vectors {
                model.keep(text, vector);
            }
        });
        let answers: Vec<Option<Vector>> =
            batch.iter().map(|(text, _)| vectors.get(&**text).cloned()).collect();
        drop(vectors);
        for ((_, told), vector) in batch.into_iter().zip(answers) {
            // Who does not wait any more needs none.
            let _ = told.send(vector);
        }
    }
}

/// Where the model panicked, or its runtime ended, those who wait are told.
impl Drop for Task {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        self.model(|model| {
            if model.turn.end(self.number) {
                model.came_to(false);
                model.waiting.clear();
            }
        });
    }
}

impl Model {
    fn rests(&self) -> bool {
        self.rests_until.is_some_and(|until| Instant::now() < until)
    }

    /// Whether one more may wait. While the model is tried after a rest nobody waits beside the one who tries.
    fn takes_more(&mut self, patience: Duration) -> bool {
        if self.rests() || (self.failures >= FAILURES && self.turn.is_on(patience)) {
            return false;
        }
        if self.waiting.len() >= MOST_WAITING {
            self.forget_who_left();
        }
        self.waiting.len() < MOST_WAITING
    }

    fn forget_who_left(&mut self) {
        self.waiting.retain(|(_, told)| !told.is_closed());
    }

    /// The number of a task that is to embed, where none does. One that stands still is taken for a failure of the model.
    fn begin(&mut self, patience: Duration) -> Option<u64> {
        if self.turn.is_overdue(patience) {
            self.came_to(false);
        }
        self.turn.begin(patience)
    }

    fn came_to(&mut self, something: bool) {
        self.failures = if something { 0 } else { FAILURES.min(self.failures + 1) };
        if self.failures >= FAILURES {
            self.rests_until = Some(Instant::now() + REST);
        }
    }

    fn keep(&mut self, text: &str, vector: &Vector) {
        let text: Arc<str> = text.into();
        if self.kept.insert(text.clone(), vector.clone()).is_none() {
            self.numbers += vector.len();
            self.order.push_back(text);
        }
        while self.order.len() > MOST_KEPT || self.numbers > MOST_NUMBERS {
            let Some(gone) = self.order.pop_front().and_then(|oldest| self.kept.remove(&oldest)) else {
                return;
            };
            self.numbers -= gone.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use async_trait::async_trait;
    use cachemacro::{Error, ErrorKind, Result};
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use tokio::runtime::Builder;
    use tokio::sync::Semaphore;

    use super::*;

    const LONG: Duration = Duration::from_mins(2);

    /// Embeds as often as it is let.
    struct Model {
        fails: AtomicBool,
        lets: Semaphore,
        calls: AtomicU32,
        seen: Mutex<Vec<Vec<String>>>,
    }

    impl Model {
        fn new(lets: usize) -> Arc<Self> {
            let (fails, calls, seen) = (AtomicBool::new(false), AtomicU32::new(0), Mutex::default());
            Arc::new(Self { fails, lets: Semaphore::new(lets), calls, seen })
        }

        fn calls(&self) -> u32 {
            self.calls.load(Ordering::SeqCst)
        }

        async fn called(&self, times: u32) {
            while self.calls() < times {
                yield_now().await;
            }
        }
    }

    #[async_trait]
    impl Embedder for Model {
        fn id(&self) -> &'static str {
            "test"
        }

        fn dimensions(&self) -> usize {
            2
        }

        async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
            self.seen.lock().expect("no panic").push(texts.iter().map(|text| (*text).to_owned()).collect());
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.lets.acquire().await.expect("it is not closed").forget();
            if self.fails.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Io, "on purpose"));
            }
            Ok(vec![vec![1.0, 0.0]; texts.len()])
        }
    }

    fn rest_is_over(embedding: &Embedding) {
        let mut models = lock(&embedding.models);
        let model = models.get_mut("test").expect("it was asked");
        assert!(model.rests());
        model.rests_until = Some(Instant::now());
    }

    #[tokio::test]
    async fn who_has_left_is_not_embedded_and_the_newest_come_first() {
        let (embedding, model) = (Embedding::new(LONG), Model::new(0));
        let embedder: Arc<dyn Embedder> = model.clone();
        let mut first = Box::pin(embedding.of(&embedder, "first"));
        assert!(first.as_mut().now_or_never().is_none());
        model.called(1).await;
        for n in 0..100 {
            let mut leaves = Box::pin(embedding.of(&embedder, "who left"));
            assert!(leaves.as_mut().now_or_never().is_none(), "{n}");
        }
        let texts: Vec<String> = (0..=AT_ONCE).map(|n| format!("text {n:02}")).collect();
        let mut stay = Box::pin(join_all(texts.iter().map(|text| embedding.of(&embedder, text))));
        assert!(stay.as_mut().now_or_never().is_none());
        model.lets.add_permits(3);
        assert!(first.await.is_some() && stay.await.iter().all(Option::is_some));
        let seen = model.seen.lock().expect("no panic").clone();
        assert_eq!(seen, [vec!["first".to_owned()], texts[1..].to_vec(), texts[..1].to_vec()]);
    }

    #[tokio::test]
    async fn while_a_model_rests_nothing_of_what_waits_is_asked_of_it() {
        let (embedding, model) = (Embedding::new(LONG), Model::new(1_000));
        let embedder: Arc<dyn Embedder> = model.clone();
        model.fails.store(true, Ordering::SeqCst);
        let texts: Vec<String> = (0..20 * AT_ONCE).map(|n| n.to_string()).collect();
        let vectors = join_all(texts.iter().map(|text| embedding.of(&embedder, text))).await;
        assert!(vectors.iter().all(Option::is_none));
        assert_eq!(model.calls(), FAILURES);
    }

    #[tokio::test]
    async fn after_a_rest_a_model_is_tried_once_and_one_failure_is_enough() {
        let (embedding, model) = (Embedding::new(LONG), Model::new(1_000));
        let embedder: Arc<dyn Embedder> = model.clone();
        model.fails.store(true, Ordering::SeqCst);
        for n in 0..20 {
            assert_eq!(embedding.of(&embedder, &n.to_string()).await, None);
        }
        assert_eq!(model.calls(), FAILURES);
        for tried in 1..4 {
            rest_is_over(&embedding);
            assert_eq!(embedding.of(&embedder, "tried").await, None);
            assert_eq!(embedding.of(&embedder, "it rests").now_or_never(), Some(None));
            assert_eq!(model.calls(), FAILURES + tried);
        }
        // While it is tried nobody else waits for it; once it answers all do.
        rest_is_over(&embedding);
        model.fails.store(false, Ordering::SeqCst);
        let mut tries = Box::pin(embedding.of(&embedder, "tries"));
        assert!(tries.as_mut().now_or_never().is_none());
        assert_eq!(embedding.of(&embedder, "beside").now_or_never(), Some(None));
        assert!(tries.await.is_some());
        assert!(embedding.of(&embedder, "after").await.is_some());
    }

    #[test]
    fn a_task_whose_runtime_is_not_driven_any_more_holds_nobody_up_for_long() {
        let runtime = || Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (embedding, model) = (Embedding::new(Duration::from_millis(20)), Model::new(1_000));
        let embedder: Arc<dyn Embedder> = model.clone();
        let stands_still = runtime();
        let left = stands_still.block_on(async {
            let mut asks = Box::pin(embedding.of(&embedder, "who asked first"));
            asks.as_mut().now_or_never()
        });
        assert_eq!(left, None);
        let embedded = runtime().block_on(async {
            let mut times = 0;
            while embedding.of(&embedder, "who asked after").await.is_none() {
                times += 1;
                assert!(times < 10, "nobody takes over");
            }
            // The one that stood still does not disturb who took over.
            model.calls()
        });
        assert_eq!(embedded, 1);
        stands_still.block_on(async {
            for _ in 0..10 {
                yield_now().await;
            }
        });
        assert_eq!(model.calls(), 1);
    }
}
