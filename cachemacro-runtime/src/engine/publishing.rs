//! The task that leaves a report at the store, every so often.
//!
//! Nothing waits for a report and nothing depends on one. One that the store refuses is a line in the log at debug level, no error
//! that is counted, and nothing to the breaker.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::engine::core::Core;
use crate::engine::reported::Reporting;
use crate::engine::settings::Reports;
use crate::ground::error::Result;
use crate::observe::breaker::BreakerState;
use crate::observe::report::{LIFE_MILLIS, MOST_BYTES};
use crate::store::Documents;

/// How long it is kept what the values of a type look like.
const LIFE_OF_SHAPES: Duration = Duration::from_secs(24 * 60 * 60);

/// How many names of tags are told at once: the others with the next reports.
const MOST_NAMES: usize = 1_000;

impl Core {
    /// Has a task leave a report every so often, from one interval on, for as long as the cache is used.
    pub(crate) fn start_reporting(self: &Arc<Self>) {
        let is_told = self.settings.reports != Reports::Off && !self.namespace().is_empty();
        if is_told && !self.settings.disabled && self.store.documents().is_some() {
            let interval = self.settings.report_interval;
            self.background.spawn(report(Arc::downgrade(self), self.reporting.clone(), interval));
        }
    }

    /// Takes the report away that was left last, and leaves no more.
    pub(crate) async fn stop_reporting(&self) {
        let reporting = &self.reporting;
        if reporting.over.swap(true, Ordering::SeqCst) {
            return;
        }
        reporting.ended.notify_one();
        let _turn = reporting.turn.lock().await;
        if reporting.published_by.load(Ordering::SeqCst) != std::process::id() || !self.may_report() {
            return;
        }
        let Some(documents) = self.store.documents() else { return };
        let taken = documents.withdraw(self.namespace(), &format!("{:016x}", self.instance)).await;
        if let Err(error) = taken {
            tracing::debug!(%error, "the report of this process could not be taken away");
        }
    }

    /// Whether the store may be bothered with it.
    fn may_report(&self) -> bool {
        self.store.breaker().is_none_or(|breaker| breaker.state() == BreakerState::Closed)
    }

    /// Leaves a report now.
    async fn publish(&self) -> Result<()> {
        let mut described = self.reporting.turn.lock().await;
        let documents = self.store.documents();
        let Some(documents) = documents.filter(|_| !self.reporting.over.load(Ordering::SeqCst)) else {
            return Ok(());
        };
        let document = self.document().into();
        let instance = format!("{:016x}", self.instance);
        let life = Duration::from_millis(LIFE_MILLIS);
        documents.publish(self.namespace(), &instance, document, life).await?;
        self.reporting.published_by.store(std::process::id(), Ordering::SeqCst);
        if self.settings.reports != Reports::Full {
            return Ok(());
        }
        // One does not go without the other.
        let described = self.describe(documents, &mut described).await;
        self.name_tags(documents).await.and(described)
    }

    /// Leaves beside it the names of tags of which versions were made since.
    async fn name_tags(&self, documents: &dyn Documents) -> Result<()> {
        let names = self.tag_names.take(MOST_NAMES);
        if names.is_empty() {
            return Ok(());
        }
        let told = documents.name_tags(self.namespace(), &names, self.settings.tag_names).await;
        told.inspect_err(|_| self.tag_names.give_back(&names))
    }

    /// Leaves beside it what tools read values by that this process stored, each again in time.
    async fn describe(&self, documents: &dyn Documents, described: &mut HashMap<u64, Instant>) -> Result<()> {
        for (_, _, counters) in self.named_sites() {
            for shape in counters.shapes() {
                let Some(layout) = shape.layout else { continue };
                if described.get(&shape.schema).is_some_and(|then| then.elapsed() < LIFE_OF_SHAPES / 2) {
                    continue;
                }
                let id = format!("{:016x}", shape.schema);
                let layout = layout.as_bytes().to_vec().into();
                documents.describe(self.namespace(), &id, layout, LIFE_OF_SHAPES).await?;
                described.insert(shape.schema, Instant::now());
            }
        }
        Ok(())
    }

    /// The report as JSON, with as many sites as fit.
    fn document(&self) -> Vec<u8> {
        let mut report = self.report(self.settings.reports == Reports::Full);
        loop {
            let json = serde_json::to_vec(&report).unwrap_or_default();
            if json.len() <= MOST_BYTES || report.sites.is_empty() {
                return json;
            }
            // The busiest come first. Sites differ in length: the part that would fit, and a little less.
            let sites = report.sites.len();
            let fitting = sites * MOST_BYTES / json.len() * 9 / 10;
            report.left_out += (sites - fitting) as u64;
            report.sites.truncate(fitting);
        }
    }
}

/// Leaves reports until the cache is gone or shut down.
async fn report(core: Weak<Core>, reporting: Arc<Reporting>, interval: Duration) {
    loop {
        if timeout(interval, reporting.ended.notified()).await.is_ok() {
            return;
        }
        let Some(core) = core.upgrade() else { return };
        if !core.may_report() {
            continue;
        }
        if let Err(error) = core.publish().await {
            tracing::debug!(%error, "the report of this process could not be left at the store");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::api::cache::Cache;
    use crate::observe::event::Event;
    use crate::observe::report::{MOST_BYTES, Report};
    use crate::policy::says::Says;
    use crate::policy::site::Site;
    use crate::policy::ttl::Policy;

    #[test]
    fn a_report_is_cut_to_the_busiest_functions_and_says_so() {
        let cache = Cache::memory();
        let core = cache.core();
        for line in 0..3_000 {
            let says =
                Says::new("Result<Option<User>, Error>").key("{org}:{id}").tags(&["users", "org:{org}"]);
            let place = (line, 1, 0);
            let site: &'static Site =
                Box::leak(Box::new(Site::new("shop::users", "get", place, None, Policy::new(), says)));
            let counters = core.site_counters(site);
            (0..=line % 7).for_each(|_| core.record_at(Some(&counters), Event::Hit));
        }
        let json = core.document();
        assert!(json.len() <= MOST_BYTES && json.len() > MOST_BYTES / 2, "{}", json.len());
        let report: Report = serde_json::from_slice(&json).expect("a report");
        assert_eq!(report.sites.len() as u64 + report.left_out, 3_000);
        assert!(report.sites.iter().all(|site| site.figures.count("hits") >= 5), "the busiest");
    }

    #[tokio::test]
    async fn a_report_holds_no_key_tag_value_or_secret() {
        let builder = Cache::builder().memory().namespace("shop");
        #[cfg(feature = "redis")]
        let builder = builder.redis("redis://canary:canary@canary").memory();
        let cache = builder.build().expect("acceptable");
        let entry = cache.entry("canary", "canary").with_tags(["canary"]);
        entry.set(&"canary".to_owned()).await.expect("stored");
        cache.evict_tags(["canary"]).await.expect("evicted");
        assert_eq!(entry.get().await.expect("there"), None);
        let json = String::from_utf8(cache.core().document()).expect("text");
        assert!(json.contains("tag_evicted") && !json.contains("canary"), "{json}");
    }
}
