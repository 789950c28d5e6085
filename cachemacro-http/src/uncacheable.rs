//! What a process remembers of URLs for a while: that their responses may not be stored, or that all users may have them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a URL is remembered.
const REMEMBERED: Duration = Duration::from_secs(120);
/// How many URLs are remembered at most.
const MOST: usize = 10_000;

/// The URLs, by their keys.
#[derive(Debug, Default)]
pub(crate) struct Urls {
    until: Mutex<HashMap<Box<str>, Instant>>,
    added: Notify,
}

impl Urls {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the URL is remembered.
    pub(crate) fn has(&self, key: &str) -> bool {
        let until = self.lock();
        !until.is_empty() && until.get(key).is_some_and(|until| *until > Instant::now())
    }

    /// Remembers a URL, and wakes the requests that wait for it.
    pub(crate) fn add(&self, key: &str) {
        let now = Instant::now();
        {
            let mut until = self.lock();
            if until.len() >= MOST && !until.contains_key(key) {
                until.retain(|_, until| *until > now);
                if until.len() >= MOST {
                    // The URL that was remembered first is forgotten: its next request waits for another one's answer once more.
                    let oldest = until.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone());
                    oldest.map(|oldest| until.remove(&oldest));
                }
            }
            until.insert(key.into(), now + REMEMBERED);
        }
        self.added.notify_waiters();
    }

    /// Forgets a URL.
    pub(crate) fn remove(&self, key: &str) {
        let mut until = self.lock();
        if !until.is_empty() {
            until.remove(key);
        }
    }

    /// Waits until the URL is remembered.
    pub(crate) async fn told(&self, key: &str) {
        loop {
            let added = self.added.notified();
            if self.has(key) {
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
        tokio::time::advance(REMEMBERED).await;
        assert!(!memory.has("a"));
    }

    #[tokio::test]
    async fn the_memory_is_bounded() {
        let memory = Urls::default();
        for url in 0..=MOST {
            memory.add(&url.to_string());
        }
        assert_eq!(memory.lock().len(), MOST);
        assert!(memory.has(&MOST.to_string()));
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
