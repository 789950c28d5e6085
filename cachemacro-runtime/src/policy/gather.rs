//! The current task's scope in which it is gathered what its calls depend on, if there is one.

use std::future::Future;
use std::time::Duration;

use crate::policy::gathered::{Gathered, Gathering};
use crate::policy::mode;

/// Runs `future` and gathers what its calls of this cache depend on.
pub(crate) async fn scope<F: Future>(cache: u64, future: F) -> (F::Output, Gathered) {
    let gathering = Gathering::new(cache, mode::gathering());
    let output = mode::gather(gathering.clone(), future).await;
    (output, gathering.found())
}

/// Whether the current task gathers.
pub(crate) fn is_on() -> bool {
    !mode::is_plain() && mode::gathering().is_some()
}

/// A value of this cache carries these tags and stays fresh so long.
pub(crate) fn depends(cache: u64, tags: &(impl Iterator<Item = u64> + Clone), ttl: Duration) {
    if let Some(gathering) = mode::gathering() {
        gathering.depends(cache, tags, ttl);
    }
}

/// Something was read that these tags are about.
pub(crate) fn reads(tags: &[u64]) {
    if let Some(gathering) = mode::gathering() {
        gathering.reads(tags);
    }
}

/// A value was made of all that is in this record.
pub(crate) fn inherits(record: &Gathered) {
    if let Some(gathering) = mode::gathering() {
        gathering.inherits(record);
    }
}

/// Has what `future` depends on gathered where the current task gathers, in whatever task it runs.
pub(crate) fn carried<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let gathering = mode::gathering();
    async move {
        match gathering {
            Some(gathering) => mode::gather(gathering, future).await,
            None => future.await,
        }
    }
}

/// A value may carry tags that are not known.
pub(crate) fn unknown() {
    if let Some(gathering) = mode::gathering() {
        gathering.unknown();
    }
}
