//! Documents on their way to the index. Who stores a value waits for none of them: a task writes them, as many at a time as one round trip should have.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cachemacro::Meaning;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::counts::Counts;
use super::embedding::Embedding;
use super::lies::scope;
use crate::document::Document;
use crate::index::Index;
use crate::text::{Analyzer, MOST_TEXT, beginning};

/// So many documents wait at most, and so many bytes of their texts.
const MOST_WAITING: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;
/// So many are written at once.
const AT_ONCE: usize = 32;

/// A value to be found.
pub(super) struct Job {
    pub(super) space: Arc<str>,
    pub(super) key: Box<str>,
    pub(super) texts: Vec<String>,
    /// By what it answers questions that mean the same; then the one text is its question.
    pub(super) meaning: Option<Meaning>,
    pub(super) life: Duration,
}

impl Job {
    fn bytes(&self) -> usize {
        self.key.len() + self.texts.iter().map(String::len).sum::<usize>()
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
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    bytes: usize,
    /// Whether a task writes them.
    is_writing: bool,
}

/// Its texts are not shown.
impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn new(words: Analyzer, counts: Arc<Counts>, embedding: Arc<Embedding>) -> Self {
        Self { state: Mutex::default(), idle: Notify::new(), words, counts, embedding }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Has this written, unless too many wait.
    pub(super) fn push(self: &Arc<Self>, job: Job, index: &Arc<dyn Index>) {
        let mut state = self.state();
        if state.waiting.len() >= MOST_WAITING || state.bytes + job.bytes() > MOST_BYTES {
            drop(state);
            self.counts.dropped.one();
            return;
        }
        state.bytes += job.bytes();
        state.waiting.push_back(job);
        drop(state);
        self.write(index);
    }

    /// Begins to write, unless a task does.
    fn write(self: &Arc<Self>, index: &Arc<dyn Index>) {
        // Without a runtime they wait for the next one that comes from within one.
        let Ok(runtime) = Handle::try_current() else { return };
        let mut state = self.state();
        if state.is_writing || state.waiting.is_empty() {
            return;
        }
        state.is_writing = true;
        drop(state);
        let mut writing = Writing { queue: self.clone(), is_done: false };
        let index = index.clone();
        runtime.spawn(async move {
            while let Some(jobs) = writing.queue.next() {
                writing.queue.write_all(jobs, &*index).await;
            }
            writing.done();
        });
    }

    /// The next ones; where there are none, nobody writes any more.
    fn next(&self) -> Option<Vec<Job>> {
        let mut state = self.state();
        let count = state.waiting.len().min(AT_ONCE);
        if count == 0 {
            state.is_writing = false;
            return None;
        }
        let jobs: Vec<Job> = state.waiting.drain(..count).collect();
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
        let Some(document) = self.as_question(document, job.meaning.as_ref()).await else {
            return self.counts.refused.one();
        };
        match index.write(&job.space, &document, job.life).await {
            Ok(()) => self.counts.written.one(),
            Err(_) => self.counts.failed.one(),
        }
    }

    /// The document of a question; `None` where it has no vector, and would be found by none.
    async fn as_question(&self, document: Document, meaning: Option<&Meaning>) -> Option<Document> {
        let Some(meaning) = meaning else { return Some(document) };
        let document = document.with_scope(scope(&meaning.scope, meaning.embedder.as_ref()));
        let document = document.with_text(&meaning.text);
        let Some(embedder) = &meaning.embedder else { return Some(document) };
        let vector = self.embedding.of(embedder, &meaning.text).await?;
        document.with_vector(vector.to_vec()).ok()
    }

    /// Whether nothing waits, and nothing is on its way.
    fn is_idle(&self) -> bool {
        let state = self.state();
        !state.is_writing && state.waiting.is_empty()
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
            idle.await;
        }
    }
}

/// A task that writes, until it ends or its runtime does.
struct Writing {
    queue: Arc<Queue>,
    /// Whether nothing waited any more.
    is_done: bool,
}

impl Writing {
    const fn done(&mut self) {
        self.is_done = true;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.is_done {
            self.queue.state().is_writing = false;
        }
        self.queue.idle.notify_waiters();
    }
}
