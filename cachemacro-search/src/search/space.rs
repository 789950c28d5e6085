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
    /// Since when somebody reads, if anybody does.
    reads_since: Mutex<Option<Instant>>,
}

/// Somebody who reads, until it is dropped.
struct Reads<'a>(&'a Space);

impl<'a> Reads<'a> {
    fn of(space: &'a Space) -> Self {
        *space.reads_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Self(space)
    }
}

impl Drop for Reads<'_> {
    fn drop(&mut self) {
        *self.0.reads_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Space {
    pub(super) fn new(name: &str, mirror: Mirror) -> Self {
        let follower = Follower::new(name, mirror);
        let searcher = follower.searcher();
        Self {
            follower: tokio::sync::Mutex::new(follower),
            searcher,
            read_at: Mutex::default(),
            reads_since: Mutex::default(),
        }
    }

    fn was_read(&self, since: Instant) -> bool {
        self.read_at.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at >= since)
    }

    /// What is found in the mirror. Where that is large, on a thread where nothing else waits.
    ///
    /// # Errors
    /// Where that is not done by the deadline, or the search panicked there.
    pub(super) async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        deadline: Instant,
        search: impl FnOnce(&Mirror) -> Vec<T> + Send + 'static,
    ) -> Result<Vec<T>> {
        if self.searcher.search(Mirror::len) <= MANY {
            return Ok(self.searcher.search(search));
        }
        let searcher = self.searcher.clone();
        let looking = tokio::task::spawn_blocking(move || {
            // Where its turn comes too late, nobody waits for it any more.
            (Instant::now() < deadline).then(|| searcher.search(search))
        });
        match timeout_at(deadline.into(), looking).await {
            Ok(Ok(Some(found))) => Ok(found),
            Ok(Err(_)) => Err(Error::new(ErrorKind::Io, "the search of the mirror ended")),
            Ok(Ok(None)) | Err(_) => {
                Err(Error::new(ErrorKind::Timeout, "the mirror was not searched in time"))
            }
        }
    }

    /// [`catch_up`](Self::catch_up) of who has so long for it, and searches what is there rather than wait for a mirror to be built: that holds up callers for no longer than
    /// one of them has, reckoned from when it began.
    ///
    /// # Errors
    /// As of that.
    pub(super) async fn catch_up_soon(
        self: &Arc<Self>,
        index: Arc<dyn Index>,
        within: Duration,
        patience: Duration,
    ) -> Result<()> {
        let since = *self.reads_since.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, is_built) = (Instant::now(), self.searcher.is_complete());
        let until = since.filter(|_| !is_built).unwrap_or(now) + patience;
        if until < now {
            return Err(Error::new(ErrorKind::Timeout, "the mirror is being built"));
        }
        self.catch_up(index, within, until).await
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
            let _reads = Reads::of(&space);
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

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::document::Document;
    use crate::index::{Changes, Page, Place};
    use crate::text::Analyzer;

    const LONG: Duration = Duration::from_mins(2);

    fn large() -> Arc<Space> {
        let mut mirror = Mirror::new();
        for n in 0..=MANY {
            mirror.insert(Document::of(&n.to_string(), &["text"], &Analyzer::new()).expect("a short key"));
        }
        Arc::new(Space::new("space", mirror))
    }

    #[tokio::test]
    async fn a_search_that_panics_or_is_late_is_told_from_one_that_finds_nothing() {
        let space = large();
        let later = || Instant::now() + LONG;
        assert!(space.look(later(), |_| Vec::<u8>::new()).await.expect("it is searched").is_empty());
        let panics = space.look(later(), |_| -> Vec<u8> { panic!("on purpose") }).await;
        assert_eq!(panics.expect_err("it panicked").kind(), ErrorKind::Io);
        let (waits, hears) = std::sync::mpsc::channel::<()>();
        let soon = Instant::now() + Duration::from_millis(20);
        let hangs = space.look(soon, move |_| hears.recv().map_or_else(|_| Vec::new(), |()| vec![7]));
        assert_eq!(hangs.await.expect_err("it is late").kind(), ErrorKind::Timeout);
        drop(waits);
        assert_eq!(space.look(later(), |_| vec![7]).await.expect("it is searched"), [7]);
    }

    /// Its documents have no end in time.
    #[derive(Debug, Default)]
    struct Hangs(AtomicU32);

    #[async_trait]
    impl Index for Hangs {
        async fn write(&self, _space: &str, _document: &Document, _life: Duration) -> Result<()> {
            Ok(())
        }

        async fn remove(&self, _space: &str, _key: &str) -> Result<()> {
            Ok(())
        }

        async fn place(&self, _space: &str) -> Result<Place> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(Place::new("0"))
        }

        async fn changes(&self, _space: &str, _since: &Place, _most: usize) -> Result<Changes> {
            Ok(Changes::Lost)
        }

        async fn scan(&self, _space: &str, _from: Option<&Place>) -> Result<Page> {
            pending().await
        }
    }

    #[tokio::test]
    async fn a_mirror_that_takes_long_to_build_is_waited_for_once() {
        let (space, index) = (Arc::new(Space::new("space", Mirror::new())), Arc::new(Hangs::default()));
        let patience = Duration::from_millis(20);
        let first = space.catch_up_soon(index.clone(), Duration::ZERO, patience).await;
        assert_eq!(first.expect_err("it is late").kind(), ErrorKind::Timeout);
        assert_eq!(index.0.load(Ordering::SeqCst), 1);
        // Whoever comes once its time is over is told at once, and nothing waits behind it.
        let since = space.reads_since.lock().expect("no panic").expect("it is being read");
        while since.elapsed() <= patience {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..100 {
            let next = space.catch_up_soon(index.clone(), Duration::ZERO, patience);
            let next = futures_util::FutureExt::now_or_never(next).expect("it does not wait");
            assert_eq!(next.expect_err("it is being built").kind(), ErrorKind::Timeout);
        }
        assert_eq!(Arc::strong_count(&space), 2, "one task reads");
    }
}
