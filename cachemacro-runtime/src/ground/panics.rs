//! Panics in code that is not ours, and what becomes of them.

use std::future::poll_fn;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use tokio::task::JoinSet;

/// What foreign code returns; `None` where it panics. For code that leaves nothing of ours half changed.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(returned) => Some(returned),
        Err(payload) => {
            // What it panicked with may panic when it is dropped.
            if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                forget(another);
            }
            None
        }
    }
}

/// What a foreign future gives; `None` where it panics. It runs within its caller.
pub(crate) async fn caught_future<T>(run: impl Future<Output = T>) -> Option<T> {
    let mut run = pin!(run);
    poll_fn(|context| match caught(|| run.as_mut().poll(context)) {
        Some(polled) => polled.map(Some),
        None => Poll::Ready(None),
    })
    .await
}

/// What a foreign future gives; `None` where it panics. It runs as a task of its own, which ends with the caller.
pub(crate) async fn caught_task<T: Send + 'static>(
    run: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let mut task = JoinSet::new();
    task.spawn(run);
    task.join_next().await?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_future_that_panics_gives_nothing() {
        assert_eq!(caught_future(async { 7 }).await, Some(7));
        let panics = async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        };
        assert_eq!(caught_future(panics).await, None::<u8>);
    }

    #[test]
    fn a_panic_ends_here_whatever_it_panics_with() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::panic_any(Bomb);
            }
        }
        assert_eq!(caught(|| 7), Some(7));
        assert_eq!(caught(|| -> u8 { panic!("on purpose") }), None);
        assert_eq!(caught(|| -> u8 { std::panic::panic_any(Bomb) }), None);
    }
}
