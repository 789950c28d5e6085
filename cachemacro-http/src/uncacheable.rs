//! What a process remembers of URLs for a while: that their responses may not be stored, or that all users may have them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::rules::digest::{Digest, digest};

/// How long a URL is remembered.
const REMEMBERED: Duration = Duration::from_secs(120);
/// How many URLs are remembered at most.
const MOST: usize = 10_000;

/// A URL by the digest of its key, which may be long.
type Mark = Digest;

fn mark(key: &str) -> Mark {
    digest(key.as_bytes())
}

/// The URLs, by their keys.
#[derive(Debug, Default)]
pub(crate) struct Urls {
    state: Mutex<State>,
    added: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Until when each is remembered. One that was taken back stays until its turn comes in the queue, and is remembered no longer.
    until: HashMap<Mark, Instant>,
    /// The same URLs in the order in which they came, each with its end as it was then.
    queue: VecDeque<(Mark, Instant)>,
}

impl State {
    fn has(&self, mark: Mark, now: Instant) -> bool {
        self.until.get(&mark).is_some_and(|until| *until > now)
    }

    fn add(&mut self, mark: Mark, now: Instant) {
        let end = now + REMEMBERED;
        if let Some(until) = self.until.get_mut(&mark) {
            *until = end;
            return;
        }
        if self.until.len() >= MOST {
            self.forget_one(now);
        }
        self.until.insert(mark, end);
        self.queue.push_back((mark, end));
    }

    /// Forgets the URL that came first: its next request waits for another one's answer once more. One that was added again meanwhile goes
    /// to the end instead, once for all these times.
    fn forget_one(&mut self, now: Instant) {
        while let Some((mark, was)) = self.queue.pop_front() {
            match self.until.get(&mark) {
                Some(until) if *until > was && *until > now => self.queue.push_back((mark, *until)),
                _ => {
                    self.until.remove(&mark);
                    return;
                }
            }
        }
    }
}

impl Urls {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the URL is remembered.
    pub(crate) fn has(&self, key: &str) -> bool {
        // Where none is, nothing is hashed.
        let is_empty = self.lock().until.is_empty();
        !is_empty && self.has_mark(mark(key))
    }

    fn has_mark(&self, mark: Mark) -> bool {
        self.lock().has(mark, Instant::now())
    }

    /// Remembers a URL, and wakes the requests that wait for it.
    pub(crate) fn add(&self, key: &str) {
        let mark = mark(key);
        self.lock().add(mark, Instant::now());
        self.added.notify_waiters();
    }

    /// Forgets a URL.
    pub(crate) fn remove(&self, key: &str) {
        if self.lock().until.is_empty() {
            return;
        }
        let mark = mark(key);
        if let Some(until) = self.lock().until.get_mut(&mark) {
            *until = Instant::now();
        }
    }

    /// Waits until the URL is remembered.
    pub(crate) async fn told(&self, key: &str) {
        let mark = mark(key);
        loop {
            let added = self.added.notified();
            if self.has_mark(mark) {
                return;
            }
            added.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_url_is_remembered_for_two_minutes_or_until_it_is_taken_back() {
        let memory = Urls::default();
        assert!(!memory.has("a"));
        memory.add("a");
        memory.add("b");
        memory.told("a").await;
        memory.remove("b");
        assert_eq!((memory.has("a"), memory.has("b")), (true, false));
        memory.add("b");
        assert!(memory.has("b"));
        tokio::time::advance(REMEMBERED).await;
        assert!(!memory.has("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_is_bounded() {
        let memory = Urls::default();
        for url in 0..MOST {
            memory.add(&url.to_string());
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        // Often, and it has one place all the same.
        for _ in 0..3 {
            memory.remove("0");
            memory.add("0");
        }
        for url in MOST..MOST * 2 - 1 {
            memory.add(&url.to_string());
            assert!(memory.has(&url.to_string()) && memory.has("0"));
        }
        assert!(!memory.has("1") && !memory.has(&(MOST - 1).to_string()));
        let state = memory.lock();
        assert_eq!((state.until.len(), state.queue.len()), (MOST, MOST));
        // Whatever the keys are, a URL takes this much, and what maps keep free.
        assert!(size_of_val(&state.queue[0]) <= 32);
    }

    #[tokio::test]
    async fn who_waits_is_told() {
        let memory = std::sync::Arc::new(Urls::default());
        let waiting = tokio::spawn({
            let memory = memory.clone();
            async move { memory.told("a").await }
        });
        tokio::task::yield_now().await;
        memory.add("b");
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        memory.add("a");
        waiting.await.unwrap();
    }
}
