//! Documents on their way to the index. Who stores a value waits for none of them: tasks write them, as many at a time as one round trip should have. What needs vectors of a
//! model has a line and a task of its own, so that a model that hangs holds up nothing else.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cachemacro::Embedder;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::counts::Counts;
use super::embedding::Embedding;
use super::turn::Turn;
use crate::document::{Document, Scope};
use crate::index::Index;
use crate::text::{Analyzer, MOST_TEXT, beginning};

/// So many documents wait at most, and so many bytes of what they are made of.
const MOST_WAITING: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;
/// So many of a line are written at once.
const AT_ONCE: usize = 32;
/// So long may the index take for one of them.
const WRITES: Duration = Duration::from_secs(2);

/// A value to be found.
pub(super) struct Job {
    pub(super) space: Arc<str>,
    pub(super) key: Box<str>,
    pub(super) texts: Vec<String>,
    /// Where the one text is a question whose answer is shared.
    pub(super) question: Option<Question>,
    /// How long the entry lives, from when it was stored.
    pub(super) life: Duration,
    pub(super) stored: Instant,
}

/// How a question is found by others that mean the same.
pub(super) struct Question {
    pub(super) scope: Scope,
    pub(super) embedder: Option<Arc<dyn Embedder>>,
}

impl Job {
    fn bytes(&self) -> usize {
        let texts = self.texts.iter().map(|text| size_of::<String>() + text.len()).sum::<usize>();
        let embedder = self.embedder().map_or(0, |embedder| size_of_val(&**embedder));
        size_of::<Self>() + self.space.len() + self.key.len() + texts + embedder
    }

    fn embedder(&self) -> Option<&Arc<dyn Embedder>> {
        self.question.as_ref()?.embedder.as_ref()
    }

    /// How long the entry lives yet: a document waits its turn and for vectors, and is not to outlive its entry by that.
    fn life_left(&self) -> Duration {
        self.life.saturating_sub(self.stored.elapsed())
    }
}

/// As much of these texts as is looked at.
pub(super) fn beginnings(texts: &[String]) -> Vec<String> {
    let mut left = MOST_TEXT;
    let mut kept = Vec::with_capacity(texts.len().min(MOST_TEXT));
    for text in texts {
        if left == 0 {
            break;
        }
        let text = beginning(text, left);
        left -= text.len();
        kept.push(text.to_owned());
    }
    kept
}

pub(super) struct Queue {
    state: Mutex<State>,
    idle: Notify,
    words: Analyzer,
    counts: Arc<Counts>,
    embedding: Arc<Embedding>,
    /// How long the index may take for one document.
    writes: Duration,
}

#[derive(Default)]
struct State {
    lines: HashMap<Name, Line>,
    waiting: usize,
    bytes: usize,
}

/// The model whose vectors a line needs; `None`: it needs none.
type Name = Option<Box<str>>;

#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    /// Whose turn it is to write them.
    turn: Turn,
}

/// Its texts are not shown.
impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn new(words: Analyzer, counts: Arc<Counts>, embedding: Arc<Embedding>) -> Self {
        Self { state: Mutex::default(), idle: Notify::new(), words, counts, embedding, writes: WRITES }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// How long a task may stand still. One that is driven has embedded and written by then.
    fn patience(&self) -> Duration {
        self.embedding.deadline().saturating_add(2 * self.writes)
    }

    /// Has this written, unless too many wait.
    pub(super) fn push(self: &Arc<Self>, job: Job, index: &Arc<dyn Index>) {
        let (bytes, name) = (job.bytes(), job.embedder().map(|embedder| embedder.id().into()));
        let mut state = self.state();
        if state.waiting >= MOST_WAITING || state.bytes + bytes > MOST_BYTES {
            drop(state);
            self.counts.dropped.one();
            return;
        }
        state.bytes += bytes;
        state.waiting += 1;
        state.lines.entry(name).or_default().jobs.push_back(job);
        drop(state);
        self.write(index);
    }

    /// Begins to write each line that nobody writes.
    fn write(self: &Arc<Self>, index: &Arc<dyn Index>) {
        // Without a runtime they wait for the next one that comes from within one.
        let Ok(runtime) = Handle::try_current() else { return };
        let patience = self.patience();
        let mut state = self.state();
        state.lines.retain(|_, line| !line.is_over(patience));
        let waiting = state.lines.iter_mut().filter(|(_, line)| !line.jobs.is_empty());
        let begun: Vec<(Name, u64)> =
            waiting.filter_map(|(name, line)| Some((name.clone(), line.turn.begin(patience)?))).collect();
        drop(state);
        for (name, task) in begun {
            let mut writing = Writing { queue: self.clone(), name, task, is_done: false };
            let index = index.clone();
            runtime.spawn(async move {
                while let Some(jobs) = writing.queue.next(&writing.name, writing.task) {
                    writing.queue.write_all(jobs, &*index).await;
                }
                writing.done();
            });
        }
    }

    /// The next ones of a line; where there are none, or it is another task's turn, this one writes no more.
    fn next(&self, name: &Name, task: u64) -> Option<Vec<Job>> {
        let mut state = self.state();
        let line = state.lines.get_mut(name)?;
        if !line.turn.comes_on(task) {
            return None;
        }
        let count = line.jobs.len().min(AT_ONCE);
        if count == 0 {
            state.lines.remove(name);
            return None;
        }
        let jobs: Vec<Job> = line.jobs.drain(..count).collect();
        state.waiting -= count;
        state.bytes -= jobs.iter().map(Job::bytes).sum::<usize>();
        Some(jobs)
    }

    async fn write_all(&self, mut jobs: Vec<Job>, index: &dyn Index) {
        // Of one entry the last one counts.
        let mut seen = HashSet::new();
        let mut last: Vec<bool> =
            jobs.iter().rev().map(|job| seen.insert((job.space.clone(), job.key.clone()))).collect();
        last.reverse();
        let mut last = last.into_iter();
        jobs.retain(|_| last.next().unwrap_or(true));
        join_all(jobs.iter().map(|job| self.write_one(job, index))).await;
    }

    async fn write_one(&self, job: &Job, index: &dyn Index) {
        let texts: Vec<&str> = job.texts.iter().map(String::as_str).collect();
        let Ok(document) = Document::of(&job.key, &texts, &self.words) else {
            return self.counts.refused.one();
        };
        let Some(document) = self.as_question(document, job).await else {
            return self.counts.refused.one();
        };
        match timeout(self.writes, index.write(&job.space, &document, job.life_left())).await {
            Ok(Ok(())) => self.counts.written.one(),
            _ => self.counts.failed.one(),
        }
    }

    /// The document of a question; `None` where it has no vector, and would be found by none.
    async fn as_question(&self, document: Document, job: &Job) -> Option<Document> {
        let (Some(question), Some(text)) = (&job.question, job.texts.first()) else { return Some(document) };
        let document = document.with_scope(question.scope).with_text(text);
        let Some(embedder) = &question.embedder else { return Some(document) };
        let vector = self.embedding.of(embedder, text).await?;
        document.with_vector(vector.to_vec()).ok()
    }

    /// Whether nothing waits, and nothing is on its way.
    fn is_idle(&self) -> bool {
        let patience = self.patience();
        self.state().lines.values().all(|line| line.is_over(patience))
    }

    /// Waits until nothing waits any more, and nothing is on its way.
    pub(super) async fn written(self: &Arc<Self>, index: &Arc<dyn Index>) {
        loop {
            let mut idle = pin!(self.idle.notified());
            // Before the look, so that nothing ends unheard in between.
            idle.as_mut().enable();
            self.write(index);
            if self.is_idle() {
                return;
            }
            if Handle::try_current().is_ok() {
                // Nothing is heard of a task whose runtime is not driven any more.
                let _ = timeout(self.patience(), idle).await;
            } else {
                idle.await;
            }
        }
    }
}

impl Line {
    /// Whether nothing of it waits, and nothing is on its way.
    fn is_over(&self, patience: Duration) -> bool {
        self.jobs.is_empty() && !self.turn.is_on(patience)
    }
}

/// A task that writes a line, until it ends or its runtime does.
struct Writing {
    queue: Arc<Queue>,
    name: Name,
    task: u64,
    /// Whether nothing waited any more, or it was another one's turn.
    is_done: bool,
}

impl Writing {
    const fn done(&mut self) {
        self.is_done = true;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.is_done
            && let Some(line) = self.queue.state().lines.get_mut(&self.name)
        {
            line.turn.end(self.task);
        }
        self.queue.idle.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use async_trait::async_trait;
    use cachemacro::Result;
    use tokio::runtime::Builder;

    use super::*;
    use crate::index::{Changes, MemoryIndex, Page, Place};

    /// Never gives a vector.
    struct Hangs;

    #[async_trait]
    impl Embedder for Hangs {
        fn id(&self) -> &'static str {
            "hangs"
        }

        fn dimensions(&self) -> usize {
            2
        }

        async fn embed(&self, _texts: &[&str]) -> Result<Vec<Vec<f32>>> {
            pending().await
        }
    }

    fn queue(deadline: Duration, writes: Duration) -> (Arc<Queue>, Arc<dyn Index>) {
        let embedding = Arc::new(Embedding::new(deadline));
        let mut queue = Queue::new(Analyzer::new(), Arc::default(), embedding);
        queue.writes = writes;
        (Arc::new(queue), Arc::new(MemoryIndex::new()))
    }

    fn job(key: &str, question: Option<Question>) -> Job {
        let (texts, life) = (vec![key.to_owned()], Duration::from_mins(1));
        Job { space: "space".into(), key: key.into(), texts, question, life, stored: Instant::now() }
    }

    #[tokio::test]
    async fn a_model_that_hangs_holds_up_no_document_that_needs_none_of_its_vectors() {
        let (queue, index) = queue(Duration::from_hours(1), WRITES);
        for n in 0..2 * AT_ONCE {
            let question = Question { scope: Scope::default(), embedder: Some(Arc::new(Hangs)) };
            queue.push(job(&n.to_string(), Some(question)), &index);
        }
        queue.push(
            job("a question of words", Some(Question { scope: Scope::default(), embedder: None })),
            &index,
        );
        queue.push(job("a value with texts", None), &index);
        while queue.counts.written.get() < 2 {
            tokio::task::yield_now().await;
        }
        let laid = index.scan("space", None).await.expect("it is in memory").laid;
        let mut keys: Vec<&str> = laid.iter().map(|laid| &*laid.key).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["a question of words", "a value with texts"]);
    }

    /// Says how long each document is to live.
    #[derive(Debug, Default)]
    struct Lives(Mutex<Vec<Duration>>);

    #[async_trait]
    impl Index for Lives {
        async fn write(&self, _space: &str, _document: &Document, life: Duration) -> Result<()> {
            self.0.lock().expect("no panic").push(life);
            Ok(())
        }

        async fn remove(&self, _space: &str, _key: &str) -> Result<()> {
            Ok(())
        }

        async fn place(&self, _space: &str) -> Result<Place> {
            Ok(Place::new("0"))
        }

        async fn changes(&self, _space: &str, _since: &Place, _most: usize) -> Result<Changes> {
            Ok(Changes::Lost)
        }

        async fn scan(&self, _space: &str, _from: Option<&Place>) -> Result<Page> {
            pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_document_does_not_outlive_its_entry_by_what_it_waited() {
        /// Takes 20 s.
        struct Slow;

        #[async_trait]
        impl Embedder for Slow {
            fn id(&self) -> &'static str {
                "slow"
            }

            fn dimensions(&self) -> usize {
                2
            }

            async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
                tokio::time::sleep(Duration::from_secs(20)).await;
                Ok(vec![vec![0.6, 0.8]; texts.len()])
            }
        }

        let (queue, _) = queue(Duration::from_hours(1), WRITES);
        let lives = Arc::new(Lives::default());
        let index: Arc<dyn Index> = lives.clone();
        let question = Question { scope: Scope::default(), embedder: Some(Arc::new(Slow)) };
        queue.push(job("a question", Some(question)), &index);
        queue.written(&index).await;
        assert_eq!(*lives.0.lock().expect("no panic"), [Duration::from_secs(40)]);
    }

    #[tokio::test]
    async fn all_that_a_document_waits_with_is_counted() {
        /// As large as many.
        struct Large([u8; 1 << 16]);

        #[async_trait]
        impl Embedder for Large {
            fn id(&self) -> &'static str {
                "large"
            }

            fn dimensions(&self) -> usize {
                self.0.len()
            }

            async fn embed(&self, _texts: &[&str]) -> Result<Vec<Vec<f32>>> {
                pending().await
            }
        }

        let (queue, index) = queue(Duration::from_hours(1), WRITES);
        for n in 0..300 {
            #[expect(clippy::large_stack_arrays, reason = "what is counted is the size of the type")]
            let embedder: Arc<dyn Embedder> = Arc::new(Large([0; 1 << 16]));
            let question = Question { scope: Scope::default(), embedder: Some(embedder) };
            queue.push(job(&n.to_string(), Some(question)), &index);
        }
        assert_eq!(queue.counts.dropped.get(), 45, "what is beside the models is counted too");
        let bytes = job("key", None).bytes();
        assert!(bytes >= size_of::<Job>() + "space".len() + 2 * "key".len(), "{bytes}");
    }

    #[test]
    fn a_task_whose_runtime_is_not_driven_any_more_holds_up_nothing_for_long() {
        let runtime = || Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (queue, index) = queue(Duration::from_millis(1), Duration::from_millis(10));
        let stands_still = runtime();
        stands_still.block_on(async { queue.push(job("one", None), &index) });
        // Nobody has written it: the task was not polled.
        assert_eq!(queue.waiting(), 1);
        runtime().block_on(queue.written(&index));
        assert_eq!((queue.counts.written.get(), queue.waiting()), (1, 0));
        stands_still.block_on(async {
            queue.push(job("two", None), &index);
            queue.written(&index).await;
        });
        assert_eq!(queue.counts.written.get(), 2);
    }
}
