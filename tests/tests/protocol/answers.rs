//! A store of somebody else's whose answers are fewer than it was asked for: nothing is stored on the strength of them.

use async_trait::async_trait;
use cachemacro::store::memory::MemoryStore;
use cachemacro::store::{Lease, LeaseRequest, Store, Version, VersionKey, Write, Written, pass_on};
use cachemacro::{Cache, ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;

/// Which answers lose their last part.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Short {
    /// The versions of each lease.
    Captured,
    /// The versions that are read after a write.
    Checked,
    /// The versions of a capture.
    Versions,
    /// The leases.
    Leases,
    /// The writes.
    Writes,
}

#[derive(Debug)]
struct Forgetful(MemoryStore, Short);

impl Forgetful {
    fn shorten<T>(&self, of: Short, answers: &mut Vec<T>) {
        if self.1 == of {
            answers.pop();
        }
    }
}

#[async_trait]
impl Store for Forgetful {
    async fn capture(&self, versions: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        let mut captured = self.0.capture(versions, life).await?;
        self.shorten(Short::Versions, &mut captured);
        Ok(captured)
    }

    async fn lease(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        let mut leases = self.0.lease(requests).await?;
        for lease in &mut leases {
            self.shorten(Short::Captured, &mut lease.versions);
        }
        self.shorten(Short::Leases, &mut leases);
        Ok(leases)
    }

    async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        let mut written = self.0.write(writes).await?;
        for written in &mut written {
            self.shorten(Short::Checked, &mut written.versions);
        }
        self.shorten(Short::Writes, &mut written);
        Ok(written)
    }

    pass_on!(self.0: about, now, read, keep, evict, evict_prefix, health);
    pass_on!(self.0: time, connect, close, increment, changes, immediate, inspect);
}

/// Upholds G1 and G6.
#[tokio::test]
async fn what_is_stored_under_fewer_versions_than_were_asked_for_is_not_read_after_their_tag_was_evicted() {
    for short in [Short::Captured, Short::Checked, Short::Versions, Short::Leases, Short::Writes] {
        let store = Arc::new(Forgetful(MemoryStore::new(), short));
        let cache = Cache::builder().store(store).build().expect("a cache");
        let page = |id: u64| cache.entry::<u32>("page", id).with_tags(["pages"]);
        assert_eq!(page(1).get_or_load(async || 7).await, 7, "{short:?}");
        let loaded = cache.try_get_or_load_many(
            [2, 3],
            |id| page(*id),
            async |ids: Vec<u64>| Ok::<_, ()>(ids.into_iter().map(|id| (id, 7)).collect()),
        );
        assert_eq!(loaded.await.map(|values| values.len()), Ok(2), "{short:?}");
        let set = page(4).set(&7).await;
        if short == Short::Versions {
            assert_eq!(set.map_err(|error| error.kind()), Err(ErrorKind::Refused));
        }
        cache.evict_tags(["pages"]).await.expect("evicted");
        for id in 1..=4 {
            // By hand: this reader names no tag, so that it is the entry's stamps which tell.
            assert_eq!(cache.get::<u32>("page", id).await.ok().flatten(), None, "{short:?} {id}");
        }
    }
}
