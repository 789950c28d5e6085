//! How many requests are under way whose answers nobody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    count: AtomicUsize,
    none_left: Notify,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct One(Arc<UnderWay>);

impl UnderWay {
    pub(crate) fn begin(self: &Arc<Self>) -> One {
        self.count.fetch_add(1, Ordering::SeqCst);
        One(Arc::clone(self))
    }

    /// The same, unless there are so many already.
    pub(crate) fn begin_below(self: &Arc<Self>, most: usize) -> Option<One> {
        (self.count.load(Ordering::SeqCst) < most).then(|| self.begin())
    }

    /// Waits until there is none.
    pub(crate) async fn over(&self) {
        loop {
            let mut none_left = std::pin::pin!(self.none_left.notified());
            // Enlisted before it is asked how many there are.
            none_left.as_mut().enable();
            if self.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            none_left.await;
        }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none_left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_left_out_is_where_there_is_much_already() {
        let under_way = Arc::<UnderWay>::default();
        let one = under_way.begin_below(1);
        assert!(one.is_some() && under_way.begin_below(1).is_none());
        drop(one);
        assert!(under_way.begin_below(1).is_some());
    }

    #[tokio::test]
    async fn who_waits_is_told_once_none_is_left() {
        let under_way = Arc::<UnderWay>::default();
        under_way.over().await;
        let (one, other) = (under_way.begin(), under_way.begin());
        let waits = tokio::spawn({
            let under_way = Arc::clone(&under_way);
            async move { under_way.over().await }
        });
        drop(one);
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(other);
        waits.await.expect("told");
    }
}
