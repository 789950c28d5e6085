//! Which keys the current task is loading or putting.

use std::future::Future;
use std::sync::Arc;

/// The keys that a task is loading or putting, innermost first.
#[derive(Clone, Default)]
pub(crate) struct Loading(Option<Arc<LoadingKeys>>);

struct LoadingKeys {
    /// Each with its cache's number; sorted.
    keys: Box<[(u64, Arc<str>)]>,
    outer: Loading,
}

impl Loading {
    /// What the current task is loading.
    pub(crate) fn current() -> Self {
        LOADING.try_with(Clone::clone).unwrap_or_default()
    }

    pub(crate) fn with(self, cache: u64, key: Arc<str>) -> Self {
        self.with_all(vec![(cache, key)])
    }

    pub(crate) fn with_all(self, mut keys: Vec<(u64, Arc<str>)>) -> Self {
        keys.sort_unstable();
        Self(Some(Arc::new(LoadingKeys { keys: keys.into(), outer: self })))
    }

    /// Whether the current task is loading this key: waiting for it would be waiting for itself.
    pub(crate) fn contains(cache: u64, key: &str) -> bool {
        LOADING
            .try_with(|loading| {
                let mut at = &loading.0;
                while let Some(node) = at {
                    if node.keys.binary_search_by(|(of, own)| (*of, &**own).cmp(&(cache, key))).is_ok() {
                        return true;
                    }
                    at = &node.outer.0;
                }
                false
            })
            .unwrap_or(false)
    }

    /// Whether the current task is loading nothing.
    pub(crate) fn is_empty() -> bool {
        LOADING.try_with(|loading| loading.0.is_none()).unwrap_or(true)
    }

    /// All keys, each with its cache's number.
    pub(crate) fn keys(&self) -> Vec<(u64, Arc<str>)> {
        let mut keys = Vec::new();
        let mut at = &self.0;
        while let Some(node) = at {
            keys.extend(node.keys.iter().cloned());
            at = &node.outer.0;
        }
        keys
    }

    /// Runs `body` as part of this load.
    pub(crate) async fn scope<F: Future>(self, body: F) -> F::Output {
        LOADING.scope(self, body).await
    }
}

tokio::task_local! {
    static LOADING: Loading;
}
