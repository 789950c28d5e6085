//! Settings of reports.

use std::time::Duration;

use super::CacheBuilder;
use crate::engine::settings::Reports;
use crate::observe::report::LIFE_MILLIS;

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

    /// Whether reports follow each other before they are gone.
    pub(super) fn reports_in_time(&self) -> bool {
        let interval = self.settings.report_interval;
        interval >= Duration::from_millis(1) && interval <= Duration::from_millis(LIFE_MILLIS / 2)
    }
}
