//! What confirms that an answer answers another question.

use std::future::Future;

use futures_util::future::BoxFuture;

/// A future on the heap.
pub fn boxed<'a>(future: impl Future<Output = bool> + Send + 'a) -> BoxFuture<'a, bool> {
    Box::pin(future)
}
