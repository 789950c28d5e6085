//! What happened beside the cache.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[doc = $doc:expr])* $name:ident),* $(,)?) => {
        /// Counted so far.
        #[derive(Debug, Default)]
        pub(crate) struct Counts {
            $(pub(crate) $name: Count,)*
        }

        /// What a [`Search`](crate::Search) did so far. Counts only grow, but for what waits and what is searched.
        ///
        /// ```
        /// let stats = cachemacro_search::Search::new().stats();
        /// assert_eq!((stats.written, stats.failed), (0, 0));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct SearchStats {
            $($(#[doc = $doc])* pub $name: u64,)*
            /// Documents that wait to be written.
            pub waiting: u64,
            /// Documents that this process searches: those of what it was asked for.
            pub documents: u64,
            /// Documents that are not searched any more, because there were too many newer ones.
            pub left: u64,
            /// What lay in the index and was no document.
            pub unread: u64,
        }

        impl Counts {
            pub(crate) fn snapshot(&self) -> SearchStats {
                SearchStats { $($name: self.$name.get(),)* ..SearchStats::default() }
            }
        }
    };
}

counts! {
    /// Documents that were written.
    written,
    /// Documents that the index did not take.
    failed,
    /// Documents that were let go because too many waited.
    dropped,
    /// Values without a document: their keys are too long, or their questions have no vector.
    refused,
    /// Values without a document: they are sealed.
    sealed,
    /// Searches.
    searches,
    /// Searches whose answer was partial.
    partial,
    /// Entries that were read because a document pointed to them.
    read,
    /// Of those, the ones that were not there.
    gone,
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }
}
