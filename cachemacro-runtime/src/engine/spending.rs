//! What one call may still spend on waiting for the store. Its function, and what it waits for other callers, are not counted.

use std::cell::Cell;
use std::future::{Future, ready};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{Either, lazy};
use tokio::time::timeout;

use crate::ground::error::{Error, ErrorKind, Result};

tokio::task_local! {
    static LEFT: Cell<Left>;
}

/// What is left of a call's time.
#[derive(Clone, Copy)]
enum Left {
    /// It is not bounded in all.
    Unbounded,
    /// Nothing was asked yet: what is asked first has the store's own timeouts, and no timer more.
    Whole(Duration),
    Part(Duration),
}

impl Left {
    const fn time(self) -> Option<Duration> {
        match self {
            Self::Unbounded => None,
            Self::Whole(time) | Self::Part(time) => Some(time),
        }
    }
}

/// Runs a call that may wait for the store for so long in all.
pub(crate) fn within<F: Future>(time: Option<Duration>, call: F) -> impl Future<Output = F::Output> {
    LEFT.scope(Cell::new(time.map_or(Left::Unbounded, Left::Part)), call)
}

/// The same of a call whose first request has the store's own timeouts: the first connection of a process may take longer.
pub(crate) fn after_first<F: Future>(time: Option<Duration>, call: F) -> impl Future<Output = F::Output> {
    LEFT.scope(Cell::new(time.map_or(Left::Unbounded, Left::Whole)), call)
}

/// Runs what a call does not pay for: the user's function, and what it does by itself.
pub(crate) fn free<F: Future>(body: F) -> impl Future<Output = F::Output> {
    within(None, body)
}

/// What the current call may still spend.
pub(crate) fn left() -> Option<Duration> {
    LEFT.try_with(Cell::get).ok().and_then(Left::time)
}

/// The current call has waited for the store for so long.
pub(crate) fn spend(time: Duration) {
    // Outside of a call nothing is counted.
    let _ = LEFT.try_with(|left| {
        if let Some(had) = left.get().time() {
            left.set(Left::Part(had.saturating_sub(time)));
        }
    });
}

/// Awaits a request for as long as the current call may. `unreached` says why nothing of it was sent, asked for when it began.
///
/// # Errors
/// [`ErrorKind::Timeout`] where its time is over: the request may have been carried out. [`ErrorKind::Connect`] where it was
/// over before, or the store not reached: nothing was sent.
///
/// Not an `async fn`, whose future would hold `request` three times.
pub(crate) fn bounded<T>(
    request: impl Future<Output = Result<T>>,
    unreached: impl FnOnce(Instant) -> Option<Error>,
) -> impl Future<Output = Result<T>> {
    lazy(|_| begun(request, unreached)).flatten()
}

/// The same for who polls it at once.
fn begun<T>(
    request: impl Future<Output = Result<T>>,
    unreached: impl FnOnce(Instant) -> Option<Error>,
) -> impl Future<Output = Result<T>> {
    let left = match LEFT.try_with(Cell::get).unwrap_or(Left::Unbounded) {
        Left::Unbounded => return Either::Left(request),
        Left::Whole(time) => {
            let _ = LEFT.try_with(|left| left.set(Left::Part(time)));
            return Either::Left(request);
        }
        Left::Part(left) => left,
    };
    if left.is_zero() {
        let spent = Error::new(ErrorKind::Connect, "the call has spent its time at the store: not asked");
        return Either::Right(Either::Left(ready(Err(spent))));
    }
    let began = Instant::now();
    let late = || Error::new(ErrorKind::Timeout, "the call's time at the store is over");
    let answer = timeout(left, request)
        .map(move |done| done.unwrap_or_else(|_| Err(unreached(began).unwrap_or_else(late))));
    Either::Right(Either::Right(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn never() -> Result<()> {
        std::future::pending().await
    }

    async fn taking(time: Duration) {
        bounded(
            async {
                tokio::time::sleep(time).await;
                Ok(())
            },
            |_| None,
        )
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
            let error = bounded(never(), |_| None).await.expect_err("over");
            assert_eq!(error.kind(), ErrorKind::Timeout);
            spend(SECOND / 2);
            assert_eq!(
                bounded(async { Ok(()) }, |_| None).await.expect_err("not asked").kind(),
                ErrorKind::Connect
            );
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
    async fn what_is_asked_first_has_its_own_time_where_the_call_says_so() {
        after_first(Some(SECOND), async {
            taking(SECOND * 2).await;
            assert_eq!(
                bounded(async { Ok(()) }, |_| None).await.expect_err("not asked").kind(),
                ErrorKind::Connect
            );
        })
        .await;
        let began = tokio::time::Instant::now();
        after_first(Some(SECOND), async {
            taking(SECOND / 4).await;
            assert_eq!(bounded(never(), |_| None).await.expect_err("over").kind(), ErrorKind::Timeout);
        })
        .await;
        assert_eq!(began.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_never_sent_is_told_by_why_not() {
        let why = |_| Some(Error::new(ErrorKind::Connect, "nobody listens there"));
        let error = within(Some(SECOND), bounded(never(), why)).await.expect_err("over");
        assert_eq!(error.to_string(), "connect: nobody listens there");
    }

    #[tokio::test(start_paused = true)]
    async fn outside_of_a_call_nothing_is_bounded() {
        taking(SECOND * 10).await;
        within(None, taking(SECOND * 10)).await;
    }
}
