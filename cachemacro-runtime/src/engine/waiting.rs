//! Which loads of this process wait for which, so that none waits for itself through others.
//!
//! A load whose body calls another cached function may have to wait for that function's load. Two that wait for each other would
//! wait as long as they may. Who would close such a circle is told so, and loads without waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::engine::loading::Loading;
use crate::ground::sync::lock;

/// A cache's number, and a key in it.
type Load = (u64, Arc<str>);

/// For each load that waits, those that it waits for; one of them twice, where two loads of one key do.
static WAITING: Mutex<Option<HashMap<Load, Vec<Load>>>> = Mutex::new(None);

/// The loads of the current task wait for another, as long as this lives.
pub(crate) struct Waiting {
    loads: Vec<Load>,
    other: Load,
}

impl Waiting {
    /// The loads of the current task begin to wait for that of `key`. `None` where that waits for one of them.
    pub(crate) fn begin(cache: u64, key: &Arc<str>) -> Option<Self> {
        let waiting = Self { loads: Loading::current().keys(), other: (cache, key.clone()) };
        // A call outside of any load is waited for by nobody.
        if waiting.loads.is_empty() {
            return Some(waiting);
        }
        // Both who would close a circle come here: the second one sees the first.
        let mut all = lock(&WAITING);
        let all = all.get_or_insert_default();
        if waits_for(all, &waiting.other, &waiting.loads) {
            return None;
        }
        for load in &waiting.loads {
            all.entry(load.clone()).or_default().push(waiting.other.clone());
        }
        Some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.loads.is_empty() {
            return;
        }
        let mut all = lock(&WAITING);
        let all = all.get_or_insert_default();
        for load in &self.loads {
            let Some(others) = all.get_mut(load) else { continue };
            if let Some(at) = others.iter().position(|other| *other == self.other) {
                others.swap_remove(at);
            }
            if others.is_empty() {
                all.remove(load);
            }
        }
    }
}

/// Whether `load` waits for one of `for_one`, itself or through others.
fn waits_for(all: &HashMap<Load, Vec<Load>>, load: &Load, for_one: &[Load]) -> bool {
    let (mut seen, mut next) = (Vec::new(), vec![load]);
    while let Some(load) = next.pop() {
        if for_one.contains(load) {
            return true;
        }
        if !seen.contains(&load) {
            seen.push(load);
            next.extend(all.get(load).into_iter().flatten());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    /// In a cache of its own, because the loads of all tests are seen together.
    async fn begin(cache: u64, of: &str, other: &str) -> Option<Waiting> {
        Loading::default().with(cache, key(of)).scope(async { Waiting::begin(cache, &key(other)) }).await
    }

    #[tokio::test]
    async fn who_would_close_a_circle_does_not_wait() {
        let first = begin(u64::MAX, "a", "b").await.expect("nobody waits");
        let second = begin(u64::MAX, "b", "c").await.expect("c does not wait");
        assert!(
            begin(u64::MAX, "c", "a").await.is_none(),
            "c waits for a, which waits for b, which waits for c"
        );
        assert!(begin(u64::MAX, "d", "a").await.is_some(), "nobody waits for d");
        assert!(begin(u64::MAX - 1, "c", "a").await.is_some(), "another cache");
        drop(second);
        drop(begin(u64::MAX, "c", "a").await.expect("b does not wait any more"));
        drop(first);
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_wait_that_ended() {
        let cache = u64::MAX - 2;
        let both = (begin(cache, "a", "b").await, begin(cache, "a", "b").await);
        drop(both.0);
        assert!(begin(cache, "b", "a").await.is_none(), "the other load of a waits still");
        drop(both.1);
        assert!(!lock(&WAITING).as_ref().is_some_and(|all| all.keys().any(|(of, _)| *of == cache)));
    }

    #[tokio::test]
    async fn a_call_outside_of_any_load_waits_for_whom_it_likes() {
        assert!(Waiting::begin(u64::MAX - 3, &key("a")).is_some());
    }
}
