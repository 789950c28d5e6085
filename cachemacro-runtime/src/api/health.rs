//! How a cache and its store are.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::api::cache::Cache;
use crate::ground::error::{Error, Result};
use crate::observe::breaker::BreakerState;
use crate::observe::part::{Part, PartHealth};
use crate::observe::pool::Pool;
use crate::observe::status::Status;
use crate::observe::warning::Warning;
use crate::store::{Breaker, ServerFigures, StoreHealth};

/// How a cache and its store are, from [`Cache::health`] and [`Cache::check`]. It can be serialized.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// let cache = cachemacro::Cache::builder().memory().namespace("my shop").build()?;
/// let health = cache.health().await?;
/// assert_eq!((health.namespace.as_str(), health.disabled), ("my%20shop", false));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// The worst of what is wrong. A cold cache is well.
    pub status: Status,
    /// What the status is worse than `ok` for: a sentence each, without secrets.
    pub reasons: Vec<String>,
    /// What the store says of itself.
    pub store: StoreHealth,
    /// The namespace, percent-encoded.
    pub namespace: String,
    /// Whether caching is turned off.
    pub disabled: bool,
    /// The state of the breaker around the store, where there is one.
    pub breaker: Option<BreakerState>,
    /// The connections to the server, where there are some.
    pub pool: Option<Pool>,
    /// Evicted keys, tags and prefixes that have not reached the store yet.
    pub kept_evicts: u64,
    /// What is wrong though calls go on; empty where nothing is.
    pub warnings: Vec<Warning>,
    /// What works for the cache beside it, such as a task that evicts what a database tells; see [`Cache::health_part`].
    pub parts: Vec<PartHealth>,
}

impl Cache {
    /// Asks the store whether it is there. Functions run without it, so this is for dashboards, not for a probe that
    /// would take the service out of rotation. [`check`](Self::check) is the same where it is not there.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let health = cachemacro::Cache::memory().health().await?;
    /// assert_eq!((health.store.name, health.store.server), ("memory", None));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where it does not answer within its timeouts.
    pub async fn health(&self) -> Result<Health> {
        let store = self.core().store.health().await?;
        Ok(self.judged(store, None))
    }

    /// How the cache is, whether or not its store answers: where it does not, the status is [`Down`](Status::Down), for a page or
    /// a route that shows it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Status};
    ///
    /// assert_eq!(Cache::memory().check().await.status, Status::Ok);
    /// # #[cfg(feature = "redis")] {
    /// let gone = Cache::builder().redis("redis://127.0.0.1:1").namespace("shop").build()?;
    /// let health = gone.check().await;
    /// assert_eq!(health.status, Status::Down);
    /// println!("{}", health.reasons.join("; "));
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn check(&self) -> Health {
        let began = Instant::now();
        match self.core().store.health().await {
            Ok(store) => self.judged(store, None),
            Err(error) => {
                let name = self.core().store.about().name;
                self.judged(StoreHealth::new(name, None, began.elapsed()), Some(&error))
            }
        }
    }

    /// Has [`health`](Self::health) and [`check`](Self::check) tell how something is that works for this cache, as long as what is returned is
    /// kept. `how` is asked each time and answers at once.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, PartHealth, Status};
    ///
    /// let cache = Cache::memory();
    /// let part = cache.health_part("feed", || PartHealth::degraded("the feed lags behind").figure("waiting", 7));
    /// let health = cache.health().await?;
    /// assert_eq!((health.status, health.parts[0].figures["waiting"]), (Status::Degraded, 7));
    /// drop(part);
    /// assert_eq!(cache.health().await?.status, Status::Ok);
    /// # Ok(())
    /// # }
    /// ```
    pub fn health_part(
        &self,
        name: impl Into<String>,
        how: impl Fn() -> PartHealth + Send + Sync + 'static,
    ) -> Part {
        self.core().parts.add(name.into(), Box::new(how))
    }

    fn judged(&self, store: StoreHealth, failed: Option<&Error>) -> Health {
        let core = self.core();
        let warnings = self.warnings();
        let mut wrong: Vec<(Status, String)> = Vec::new();
        if let Some(error) = failed {
            wrong.push((Status::Down, format!("the store does not answer: {error}")));
        }
        wrong.extend(warnings.iter().filter_map(|warning| Some((severity(warning)?, warning.to_string()))));
        if store.figures.as_ref().is_some_and(ServerFigures::is_full) {
            let full = "the server's memory is in use, and it evicts nothing: new values are refused";
            wrong.push((Status::Degraded, full.to_owned()));
        }
        if failed.is_none() && store.latency > SLOW {
            let slow = format!("the store took {:?} to answer", store.latency);
            wrong.push((Status::Degraded, slow));
        }
        let parts = core.parts.health();
        wrong.extend(parts.iter().filter(|part| part.status > Status::Ok).map(|part| {
            let reason = part.reason.as_deref().unwrap_or(part.status.as_str());
            (part.status, format!("{}: {reason}", part.name))
        }));
        Health {
            status: wrong.iter().map(|(status, _)| *status).max().unwrap_or(Status::Ok),
            reasons: wrong.into_iter().map(|(_, reason)| reason).collect(),
            store,
            namespace: core.namespace().to_owned(),
            disabled: self.is_disabled(),
            breaker: core.store.breaker().map(Breaker::state),
            pool: core.store.pool(),
            kept_evicts: core.unacknowledged().count() as u64,
            warnings,
            parts,
        }
    }
}

/// An answer to a question about health that takes longer says that something is wrong.
const SLOW: Duration = Duration::from_millis(200);

/// How bad it is as long as it lasts; `None` where it says what happened once, or what could be set otherwise.
const fn severity(warning: &Warning) -> Option<Status> {
    match warning {
        Warning::Unresolved(_) | Warning::Disabled | Warning::KeptEvicts { all: true, .. } => {
            Some(Status::Down)
        }
        Warning::KeptEvicts { .. }
        | Warning::BreakerOpen
        | Warning::SharedPrefix(_)
        | Warning::LocalOff(_) => Some(Status::Degraded),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ground::error::ErrorKind;
    use crate::store::faults::FaultStore;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn a_store_that_does_not_answer_is_down_and_says_why() {
        let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
        let cache = Cache::builder().store(store.clone()).build().expect("acceptable");
        assert_eq!(cache.check().await.status, Status::Ok, "a cold cache is well");
        store.fail_all(ErrorKind::Timeout);
        let health = cache.check().await;
        assert_eq!(health.status, Status::Down);
        assert!(health.reasons[0].contains("timeout"), "{:?}", health.reasons);
        assert!(cache.health().await.is_err());
    }

    #[tokio::test]
    async fn what_lasts_makes_a_status_and_what_happened_once_does_not() {
        let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
        let cache = Cache::builder().store(store.clone()).max_value(9).build().expect("acceptable");
        cache.get_or_load("text", 1, async || "x".repeat(20)).await;
        let health = cache.check().await;
        assert_eq!((health.status, health.warnings.len()), (Status::Ok, 1));
        let off = Cache::builder().memory().disabled(true).build().expect("acceptable");
        assert_eq!(off.check().await.status, Status::Down);
    }

    #[tokio::test]
    async fn each_reason_alone_makes_the_status_that_it_is_worth() {
        let cache = Cache::memory();
        let told = |store: StoreHealth, failed: Option<&Error>| {
            let health = cache.judged(store, failed);
            (health.status, health.reasons)
        };
        let after = |millis| StoreHealth::new("redis", None, Duration::from_millis(millis));
        let with = |info: &str| StoreHealth { figures: Some(ServerFigures::from_info(info)), ..after(1) };
        assert_eq!(told(after(1), None), (Status::Ok, vec![]));
        let full = "used_memory:99\nmaxmemory:100\nmaxmemory_policy:";
        assert_eq!(told(with(&format!("{full}allkeys-lru")), None), (Status::Ok, vec![]));
        let (status, reasons) = told(with(&format!("{full}noeviction")), None);
        assert!(status == Status::Degraded && reasons[0].contains("memory"), "{reasons:?}");
        assert_eq!(told(after(200), None).0, Status::Ok);
        let slow = "the store took 201ms to answer".to_owned();
        assert_eq!(told(after(201), None), (Status::Degraded, vec![slow]));
        // Of one that does not answer at all it is no news that it is slow.
        let error = Error::new(ErrorKind::Timeout, "late");
        let (status, reasons) = told(after(201), Some(&error));
        assert!(status == Status::Down && reasons.len() == 1, "{reasons:?}");
        let part = cache.health_part("feed", || PartHealth::degraded("it lags"));
        assert_eq!(told(after(1), None), (Status::Degraded, vec!["feed: it lags".to_owned()]));
        drop(part);
        assert_eq!(told(after(1), None).0, Status::Ok);
    }

    #[test]
    fn what_lasts_is_worth_a_status_and_all_else_none() {
        let text = String::new;
        let lasting = [
            (Warning::Unresolved(text()), Status::Down),
            (Warning::Disabled, Status::Down),
            (Warning::KeptEvicts { count: 1, all: true }, Status::Down),
            (Warning::KeptEvicts { count: 1, all: false }, Status::Degraded),
            (Warning::BreakerOpen, Status::Degraded),
            (Warning::SharedPrefix(text()), Status::Degraded),
            (Warning::LocalOff(text()), Status::Degraded),
        ];
        for (warning, status) in lasting {
            assert_eq!(severity(&warning), Some(status), "{warning:?}");
        }
        for warning in [
            Warning::NoNamespace,
            Warning::Plaintext,
            Warning::ServerTooOld(text()),
            Warning::Replica,
            Warning::DropsNothing,
            Warning::Persists,
            Warning::FailedEvicts { count: 1, last: ErrorKind::Timeout },
            Warning::NotStored { count: 1, why: ErrorKind::TooLarge },
            Warning::Undecodable(1),
        ] {
            assert_eq!(severity(&warning), None, "{warning:?}");
        }
    }

    #[test]
    fn all_of_it_can_be_serialized() {
        let health = Health {
            status: Status::Degraded,
            reasons: vec!["why".to_owned()],
            store: StoreHealth::new("redis", None, Duration::from_millis(1)),
            namespace: "shop".to_owned(),
            disabled: false,
            breaker: Some(BreakerState::HalfOpen),
            pool: Some(Pool::default()),
            kept_evicts: 3,
            warnings: vec![Warning::NoNamespace],
            parts: vec![PartHealth::degraded("it lags").figure("waiting", 7)],
        };
        let json = serde_json::to_value(&health).expect("it can be JSON");
        assert_eq!((&json["status"], &json["breaker"]), (&"degraded".into(), &"half_open".into()));
        assert_eq!(
            (&json["parts"][0]["status"], &json["parts"][0]["figures"]["waiting"]),
            (&"degraded".into(), &7.into())
        );
        assert_eq!(
            (&json["store"]["latency"], &json["warnings"][0]["warning"]),
            (&0.001.into(), &"no_namespace".into())
        );
    }
}
