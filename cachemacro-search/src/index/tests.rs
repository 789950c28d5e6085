use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro::Clock;

use super::{Index, MemoryIndex};
use crate::conformance::{Subject, all};

#[derive(Debug)]
struct Memory {
    index: MemoryIndex,
    clock: Clock,
}

#[async_trait]
impl Subject for Memory {
    fn index(&self) -> &dyn Index {
        &self.index
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn most_changes(&self) -> usize {
        100
    }

    async fn lay(&self, space: &str, key: &str, bytes: Bytes) -> bool {
        self.index.lay(space, key, bytes, Duration::from_secs(600));
        true
    }
}

#[tokio::test]
async fn an_index_in_memory_conforms() {
    let clock = Clock::manual();
    let index = MemoryIndex::new().with_clock(clock.clone()).with_changes(100);
    all(&Memory { index, clock }, "shop").await;
}
