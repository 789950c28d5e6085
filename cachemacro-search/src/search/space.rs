//! One space as this process sees it: a mirror that is brought up to date when somebody searches.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cachemacro::{Error, ErrorKind, Result};
use tokio::time::timeout_at;

use crate::index::{Follower, Index, Searcher};
use crate::mirror::Mirror;

/// Mirrors of more documents are searched where nobody waits for the thread.
const MANY: usize = 2_000;

#[derive(Debug)]
pub(super) struct Space {
    follower: tokio::sync::Mutex<Follower>,
    pub(super) searcher: Searcher,
    /// When it was begun to read what the mirror has.
    read_at: Mutex<Option<Instant>>,
}

impl Space {
    pub(super) fn new(name: &str, mirror: Mirror) -> Self {
        let follower = Follower::new(name, mirror);
        let searcher = follower.searcher();
        Self { follower: tokio::sync::Mutex::new(follower), searcher, read_at: Mutex::default() }
    }

    fn was_read(&self, since: Instant) -> bool {
        self.read_at.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at >= since)
    }

    /// What is found in the mirror. Where that is large, on a thread where nothing else waits.
    pub(super) async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        search: impl FnOnce(&Mirror) -> Vec<T> + Send + 'static,
    ) -> Vec<T> {
        if self.searcher.search(Mirror::len) <= MANY {
            return self.searcher.search(search);
        }
        let searcher = self.searcher.clone();
        tokio::task::spawn_blocking(move || searcher.search(search)).await.unwrap_or_default()
    }

    /// Brings the mirror up to date, unless it was so long ago at most. A task reads, which goes on where its caller has no more time.
    pub(super) async fn catch_up(
        self: &Arc<Self>,
        index: Arc<dyn Index>,
        within: Duration,
        deadline: Instant,
    ) -> Result<()> {
        let now = Instant::now();
        let since = now.checked_sub(within).unwrap_or(now);
        if self.was_read(since) {
            return Ok(());
        }
        let space = self.clone();
        let reading = tokio::spawn(async move {
            let mut follower = space.follower.lock().await;
            // Somebody else did while this waited.
            if space.was_read(since) {
                return Ok(());
            }
            let began = Instant::now();
            follower.catch_up(&*index).await?;
            *space.read_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
            Ok(())
        });
        match timeout_at(deadline.into(), reading).await {
            Ok(Ok(read)) => read,
            Ok(Err(_)) => Err(Error::new(ErrorKind::Io, "the task that read the index ended")),
            Err(_) => Err(Error::new(ErrorKind::Timeout, "the index was not read in time")),
        }
    }
}
