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

use crate::document::unit;
use crate::limits::MOST_DIMENSIONS;

/// So many vectors are remembered of a model, and so many numbers in them.
const MOST_KEPT: usize = 4_096;
const MOST_NUMBERS: usize = 4 << 20;
/// So many texts are embedded at once, and so many wait.
const AT_ONCE: usize = 64;
const MOST_WAITING: usize = 4_096;
/// After so many failures in a row a model is left alone for so long.
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
    waiting: Vec<Waiting>,
    /// Whether a task embeds what waits.
    is_embedding: bool,
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
            let rests = model.rests_until.is_some_and(|until| Instant::now() < until);
            if rests || model.waiting.len() >= MOST_WAITING {
                return None;
            }
            model.waiting.push((text.into(), told));
            if !model.is_embedding {
                model.is_embedding = true;
                let (models, embedder, deadline) = (self.models.clone(), embedder.clone(), self.deadline);
                let task = Task { models, embedder, deadline, is_done: false };
                // Of its own, so that nobody who leaves ends what others wait for.
                runtime.spawn(task.run());
            }
        }
        timeout(self.deadline, hears).await.ok()?.ok().flatten()
    }
}

/// Embeds what waits for one model, until nothing does.
struct Task {
    models: Models,
    embedder: Arc<dyn Embedder>,
    deadline: Duration,
    /// Whether nothing waited any more: another task may embed since.
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

    fn next(&self) -> Option<Vec<Waiting>> {
        self.model(|model| {
            let count = model.waiting.len().min(AT_ONCE);
            // Under the same lock under which others begin to wait.
            model.is_embedding = count > 0;
            (count > 0).then(|| model.waiting.drain(..count).collect())
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
            model.came_to(!vectors.is_empty());
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
            model.is_embedding = false;
            model.came_to(false);
            model.waiting.clear();
        });
    }
}

impl Model {
    fn came_to(&mut self, something: bool) {
        self.failures = if something { 0 } else { self.failures + 1 };
        if self.failures >= FAILURES {
            self.rests_until = Some(Instant::now() + REST);
            self.failures = 0;
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
