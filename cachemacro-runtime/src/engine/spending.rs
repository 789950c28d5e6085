//! What one call may still spend on waiting for the store. Its function, and what it waits for other callers, are not counted.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use crate::ground::error::{Error, ErrorKind, Result};

tokio::task_local! {
    /// What is left of the current call's time; `None`: it is not bounded in all.
    static LEFT: Cell<Option<Duration>>;
}

/// Runs a call that may wait for the store for so long in all.
pub(crate) fn within<F: Future>(time: Option<Duration>, call: F) -> impl Future<Output = F::Output> {
    LEFT.scope(Cell::new(time), call)
}

/// Runs what a call does not pay for: the user's function, and what it does by itself.
pub(crate) fn free<F: Future>(body: F) -> impl Future<Output = F::Output> {
    within(None, body)
}

/// What the current call may still spend.
pub(crate) fn left() -> Option<Duration> {
    LEFT.try_with(Cell::get).ok().flatten()
}

/// The current call has waited for the store for so long.
pub(crate) fn spend(time: Duration) {
    // Outside of a call nothing is counted.
    let _ = LEFT.try_with(|left| left.set(left.get().map(|left| left.saturating_sub(time))));
}

/// Awaits a request for as long as the current call may.
///
/// # Errors
/// [`ErrorKind::Timeout`] where its time is over: the request may have been carried out. [`ErrorKind::Connect`] where it was
/// over before: nothing was sent.
pub(crate) async fn bounded<T>(request: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(left) = left() else { return request.await };
    if left.is_zero() {
        return Err(Error::new(ErrorKind::Connect, "the call has spent its time at the store: not asked"));
    }
    let over = |_| Err(Error::new(ErrorKind::Timeout, "the call's time at the store is over"));
    timeout(left, request).await.unwrap_or_else(over)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn never() -> Result<()> {
        std::future::pending().await
    }

    async fn taking(time: Duration) {
        bounded(async {
            tokio::time::sleep(time).await;
            Ok(())
        })
        .await
        .expect("in time");
        spend(time);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_of_one_call_share_its_time() {
        let began = tokio::time::Instant::now();
        let call = async {
            taking(SECOND / 4).await;
            taking(SECOND / 4).await;
            let error = bounded(never()).await.expect_err("over");
            assert_eq!(error.kind(), ErrorKind::Timeout);
            spend(SECOND / 2);
            assert_eq!(bounded(async { Ok(()) }).await.expect_err("not asked").kind(), ErrorKind::Connect);
        };
        within(Some(SECOND), call).await;
        assert_eq!(began.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_function_does_is_not_counted() {
        let body = async {
            taking(SECOND * 10).await;
            assert_eq!(left(), None);
        };
        within(Some(SECOND), async {
            free(body).await;
            assert_eq!(left(), Some(SECOND));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn outside_of_a_call_nothing_is_bounded() {
        taking(SECOND * 10).await;
        within(None, taking(SECOND * 10)).await;
    }
}
