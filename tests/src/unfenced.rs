//! A store without the fence: what a late loader brings is stored, whoever holds the lease by then.
//!
//! The control for tests that look for stale reads: on this store they must find some.

use std::sync::Arc;

use async_trait::async_trait;
use cachemacro_runtime::Result;
use cachemacro_runtime::store::{Guard, Store, Write, Written, pass_on};

/// A store whose fills ignore their tokens.
#[derive(Debug)]
pub struct Unfenced(pub Arc<dyn Store>);

#[async_trait]
impl Store for Unfenced {
    pass_on!(self.0: about, now, read, capture, lease, keep, evict, evict_prefix, health);
    pass_on!(self.0: time, connect, close, increment, changes);

    async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        let unfenced = |write: &Write<'_>| matches!(write.guard, Guard::Lease(_));
        let writes: Vec<_> = writes
            .iter()
            .map(
                |write| if unfenced(write) { write.clone().with_guard(Guard::Always) } else { write.clone() },
            )
            .collect();
        self.0.write(&writes).await
    }
}
