//! What becomes of a request: an answer, or first the news that there may be none.

use std::pin::Pin;

use tokio::time::Instant;

/// What a caller is told first.
pub(crate) enum Asked<T> {
    Answered(T),
    /// The connection went silent with what was asked before. Nothing more is asked of it; the answer may still come.
    Doubtful(Doubtful<T>),
}

/// An answer that may still come.
pub(crate) struct Doubtful<T> {
    /// When it is given up.
    pub(crate) due: Instant,
    /// The answer, or that there is none.
    pub(crate) answer: Pin<Box<dyn Future<Output = T> + Send>>,
}

/// The same, as a request's future tells it. It is polled again for the answer where that was doubtful.
pub(super) enum Told<T> {
    Answered(T),
    /// Told once.
    Doubtful(Instant),
}

impl<T> Asked<T> {
    pub(super) fn doubtful(due: Instant, answer: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Doubtful(Doubtful { due, answer: Box::pin(answer) })
    }

    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U + Send + 'static) -> Asked<U>
    where
        T: 'static,
    {
        match self {
            Self::Answered(answer) => Asked::Answered(map(answer)),
            Self::Doubtful(Doubtful { due, answer }) => Asked::doubtful(due, async { map(answer.await) }),
        }
    }

    /// The answer, however late it is.
    pub(crate) async fn answer(self) -> T {
        match self {
            Self::Answered(answer) => answer,
            Self::Doubtful(doubtful) => doubtful.answer.await,
        }
    }
}
