//! Settings of reports.

use std::time::Duration;

use super::CacheBuilder;
use crate::engine::settings::Reports;
use crate::observe::report::LIFE_MILLIS;
use crate::store::MOST_NAMES;

impl CacheBuilder {
    /// What each process leaves about the cache at its server, for tools that look at all processes; without a namespace, and in
    /// memory, nothing. Default: [`Reports::Full`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, Reports};
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// let cache = redis.reports(Reports::Counters).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn reports(mut self, reports: Reports) -> Self {
        self.settings.reports = reports;
        self
    }

    /// How often it leaves a report, the first time after one interval: 1 ms to 15 s, because one is kept for 30 s. Default: 10 s.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let every = |seconds| Cache::builder().memory().report_interval(Duration::from_secs(seconds)).build();
    /// assert!(every(2).is_ok() && every(0).is_err() && every(60).is_err());
    /// ```
    pub fn report_interval(mut self, interval: Duration) -> Self {
        self.settings.report_interval = interval;
        self
    }

    /// How many names of tags are kept at the server, for tools, the last ones that versions were made of: entries carry hashes of them. They
    /// lie there as they are, told with the full [reports](Self::reports) alone, 1,000 with each, and none where entries are sealed. 100,000 at most.
    /// Default: 0, none.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// let cache = redis.tag_names(10_000).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn tag_names(mut self, most: usize) -> Self {
        self.settings.tag_names = most.min(MOST_NAMES);
        self
    }

    /// Whether reports follow each other before they are gone.
    pub(super) fn reports_in_time(&self) -> bool {
        let interval = self.settings.report_interval;
        interval >= Duration::from_millis(1) && interval <= Duration::from_millis(LIFE_MILLIS / 2)
    }
}
