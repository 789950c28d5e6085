//! Callers that hang up.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use cachemacro_tests::Dice;
use tokio::time::timeout;

/// How long a caller waits for what it called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// Until it returns.
    Endless,
    /// So long.
    For(Duration),
    /// Until it has been polled so often: it is dropped where it waits for the next thing after that.
    Polls(u64),
}

impl Patience {
    /// One call in eight is dropped in the middle, half of these at a random time and half at a random await.
    pub(crate) fn any(dice: &mut Dice) -> Self {
        match dice.below(16) {
            0 => Self::For(Duration::from_micros(dice.below(6_000))),
            1 => Self::Polls(dice.below(12)),
            _ => Self::Endless,
        }
    }

    /// What `call` returned, or nothing where it was dropped before.
    pub(crate) async fn wait<T>(self, call: impl Future<Output = T>) -> Option<T> {
        match self {
            Self::Endless => Some(call.await),
            Self::For(time) => timeout(time, call).await.ok(),
            Self::Polls(mut left) => {
                let mut call = pin!(call);
                std::future::poll_fn(move |cx| {
                    if left == 0 {
                        return Poll::Ready(None);
                    }
                    left -= 1;
                    call.as_mut().poll(cx).map(Some)
                })
                .await
            }
        }
    }
}
