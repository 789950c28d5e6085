//! The state behind the screen. Rates are differences between one report of a process and its next.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use cachemacro::report::{Figures, Report};
use cachemacro::store::ServerFigures;

use crate::fleet::{DIRECT, Fleet};

/// After so many milliseconds without a report a process is said to be late: it reports every 10 s.
const LATE: u64 = 15_000;
/// How many points a sparkline has.
const PAST: usize = 240;

/// One process: its last report, and what it did since the one before.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) report: Report,
    /// What the process did since the report before its last, by site, and in how many seconds. `None` before the second report, so that a
    /// start shows no peak.
    lately: Option<(BTreeMap<String, Figures>, f64)>,
}

/// One row of the sites.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SiteRow {
    pub(crate) site: String,
    /// Reads per second; `None` until a process has reported twice.
    pub(crate) reads: Option<f64>,
    pub(crate) hit_rate: Option<f64>,
    pub(crate) misses: Option<f64>,
    pub(crate) loads: Option<f64>,
    /// In seconds; lately, where something was loaded, else since the processes began.
    pub(crate) load_p99: Option<f64>,
    /// Since the processes began.
    pub(crate) errors: u64,
    /// In seconds, since the processes began.
    pub(crate) time_saved: f64,
}

/// By which column the sites are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Site,
    Reads,
    HitRate,
    Misses,
    Loads,
    LoadP99,
    Errors,
    TimeSaved,
}

impl Column {
    pub(crate) const ALL: [Self; 8] = [
        Self::Reads,
        Self::HitRate,
        Self::Misses,
        Self::Loads,
        Self::LoadP99,
        Self::Errors,
        Self::TimeSaved,
        Self::Site,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Reads => "reads/s",
            Self::HitRate => "hit_rate",
            Self::Misses => "misses/s",
            Self::Loads => "loads/s",
            Self::LoadP99 => "load_p99",
            Self::Errors => "errors",
            Self::TimeSaved => "time_saved",
        }
    }

    fn compare(self, one: &SiteRow, other: &SiteRow) -> Ordering {
        let number = |row: &SiteRow| match self {
            Self::Reads => row.reads,
            Self::HitRate => row.hit_rate,
            Self::Misses => row.misses,
            Self::Loads => row.loads,
            Self::LoadP99 => row.load_p99,
            #[expect(clippy::cast_precision_loss, reason = "sorted by it")]
            Self::Errors => Some(row.errors as f64),
            Self::TimeSaved => Some(row.time_saved),
            Self::Site => None,
        };
        match (number(one), number(other)) {
            (Some(one), Some(other)) => one.total_cmp(&other),
            (one, other) => one.is_some().cmp(&other.is_some()),
        }
    }
}

/// What stands below the sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pane {
    Reasons,
    Processes,
    Server,
}

impl Pane {
    pub(crate) const ALL: [Self; 3] = [Self::Reasons, Self::Processes, Self::Server];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reasons => "reasons",
            Self::Processes => "processes",
            Self::Server => "server",
        }
    }
}

/// Everything that the screen shows.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) namespace: String,
    /// By instance.
    pub(crate) processes: BTreeMap<String, Process>,
    pub(crate) server: Option<ServerFigures>,
    /// Why the last look failed, if it did.
    pub(crate) problem: Option<String>,
    /// The store's time at the last look, in milliseconds.
    pub(crate) now: u64,
    /// Reads and misses per second, the oldest first.
    pub(crate) past: VecDeque<(u64, u64)>,
    pub(crate) sorted_by: Column,
    /// Whether the smallest value, or `a`, is at the top.
    pub(crate) ascending: bool,
    pub(crate) filter: String,
    /// Whether keys go to the filter.
    pub(crate) filtering: bool,
    pub(crate) pane: Pane,
    /// Which row is marked.
    pub(crate) at: usize,
    pub(crate) colors: bool,
}

impl Watch {
    pub(crate) const fn new(namespace: String, colors: bool) -> Self {
        Self {
            namespace,
            processes: BTreeMap::new(),
            server: None,
            problem: None,
            now: 0,
            past: VecDeque::new(),
            sorted_by: Column::Reads,
            ascending: false,
            filter: String::new(),
            filtering: false,
            pane: Pane::Reasons,
            at: 0,
            colors,
        }
    }

    /// Takes what a look found, at this time of the store.
    pub(crate) fn take(&mut self, now: u64, fleet: Fleet, server: Option<ServerFigures>) {
        let mut before = std::mem::take(&mut self.processes);
        for report in fleet.reports {
            let old = before.remove(&report.instance);
            let process = match old {
                Some(old) if report.written_at > old.report.written_at => {
                    let lately = since(&report, &old.report);
                    Process { report, lately: Some(lately) }
                }
                Some(old) => Process { report, lately: old.lately },
                None => Process { report, lately: None },
            };
            self.processes.insert(process.report.instance.clone(), process);
        }
        (self.now, self.server, self.problem) = (now, server, None);
        let all = self.total();
        let whole = |rate: Option<f64>| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a height on the screen"
            )]
            let whole = rate.unwrap_or_default().round().clamp(0.0, 1e15) as u64;
            whole
        };
        self.past.push_back((whole(all.reads), whole(all.misses)));
        if self.past.len() > PAST {
            self.past.pop_front();
        }
    }

    /// How long ago a process reported, in milliseconds.
    pub(crate) fn age(&self, process: &Process) -> u64 {
        self.now.saturating_sub(process.report.written_at)
    }

    /// Whether a process should have reported since.
    pub(crate) fn is_late(&self, process: &Process) -> bool {
        self.age(process) > LATE
    }

    /// All sites together.
    pub(crate) fn total(&self) -> SiteRow {
        let mut sum = Sum::default();
        for process in self.processes.values() {
            sum.add_all(process);
        }
        sum.row("total")
    }

    /// What one process does.
    pub(crate) fn of_process(process: &Process) -> SiteRow {
        let mut sum = Sum::default();
        sum.add_all(process);
        sum.row(&process.report.instance)
    }

    /// The sites that the filter lets through, in order.
    pub(crate) fn sites(&self) -> Vec<SiteRow> {
        let needle = self.filter.to_lowercase();
        let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
        for process in self.processes.values() {
            for (site, figures) in figures(&process.report) {
                sums.entry(site).or_default().add(figures, process.lately_at(site));
            }
        }
        let mut rows: Vec<SiteRow> = sums
            .into_iter()
            .filter(|(name, _)| name.to_lowercase().contains(&needle))
            .map(|(name, sum)| sum.row(name))
            .filter(|row| row.site != DIRECT || row.reads.is_some_and(|reads| reads > 0.0) || row.errors > 0)
            .collect();
        // Names are in order; what is equal stays so.
        rows.sort_by(|one, other| {
            let order = if self.sorted_by == Column::Site {
                other.site.cmp(&one.site)
            } else {
                self.sorted_by.compare(one, other)
            };
            if self.ascending { order } else { order.reverse() }
        });
        rows
    }

    /// Misses per second by reason, the most frequent first.
    pub(crate) fn reasons(&self) -> Vec<(String, f64)> {
        let mut reasons: BTreeMap<&str, f64> = BTreeMap::new();
        for (sites, seconds) in self.processes.values().filter_map(|process| process.lately.as_ref()) {
            for (reason, count) in sites.values().flat_map(|figures| &figures.misses) {
                *reasons.entry(reason).or_default() += per_second(*count, *seconds);
            }
        }
        let mut reasons: Vec<_> =
            reasons.into_iter().map(|(reason, rate)| (reason.to_owned(), rate)).collect();
        reasons.retain(|(_, rate)| *rate > 0.0);
        reasons.sort_by(|one, other| other.1.total_cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        reasons
    }
}

/// The figures of a report by site.
fn figures(report: &Report) -> impl Iterator<Item = (&str, &Figures)> {
    report.sites.iter().map(|site| (site.site.as_str(), &site.figures)).chain([(DIRECT, &report.direct)])
}

impl Process {
    /// What it did lately at this site, and in how many seconds.
    fn lately_at(&self, site: &str) -> Option<(&Figures, f64)> {
        let (sites, seconds) = self.lately.as_ref()?;
        Some((sites.get(site)?, *seconds))
    }
}

/// What several processes, or several sites of one, did together.
#[derive(Debug, Default)]
struct Sum {
    all: Figures,
    lately: Figures,
    saved: f64,
    /// `None` until one of them has reported twice.
    reads: Option<f64>,
    hits: f64,
    misses: f64,
    loads: f64,
}

impl Sum {
    fn add(&mut self, all: &Figures, lately: Option<(&Figures, f64)>) {
        self.all.add(all);
        self.saved += all.time_saved().as_secs_f64();
        let Some((figures, seconds)) = lately else { return };
        let reads = per_second(figures.reads(), seconds);
        self.reads = Some(self.reads.unwrap_or_default() + reads);
        let misses = figures.misses.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
        self.hits += per_second(figures.count("hits"), seconds);
        self.misses += per_second(misses, seconds);
        self.loads += per_second(figures.count("loads"), seconds);
        self.lately.add(figures);
    }

    fn add_all(&mut self, process: &Process) {
        for (site, figures) in figures(&process.report) {
            self.add(figures, process.lately_at(site));
        }
    }

    fn row(self, name: &str) -> SiteRow {
        let times =
            if self.lately.load_time.count() > 0 { &self.lately.load_time } else { &self.all.load_time };
        SiteRow {
            site: name.to_owned(),
            reads: self.reads,
            hit_rate: self.reads.filter(|reads| *reads > 0.0).map(|reads| self.hits / reads),
            misses: self.reads.map(|_| self.misses),
            loads: self.reads.map(|_| self.loads),
            load_p99: (times.count() > 0).then(|| times.quantile(0.99).as_secs_f64()),
            errors: self.all.errors.values().fold(0, |sum: u64, count| sum.saturating_add(*count)),
            time_saved: self.saved,
        }
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate that is shown")]
    let count = count as f64;
    count / seconds
}

/// What a process did from one report to another, by site, and in how many seconds.
fn since(report: &Report, before: &Report) -> (BTreeMap<String, Figures>, f64) {
    let old: BTreeMap<&str, &Figures> = figures(before).collect();
    let none = Figures::default();
    let sites = figures(report)
        .map(|(site, now)| (site.to_owned(), less(now, old.get(site).copied().unwrap_or(&none))))
        .collect();
    let millis = report.written_at.saturating_sub(before.written_at).max(1);
    #[expect(clippy::cast_precision_loss, reason = "a time between two reports")]
    let seconds = millis as f64 / 1_000.0;
    (sites, seconds)
}

/// The difference of two reports' figures; zero where a count went down, which no true report says.
fn less(now: &Figures, before: &Figures) -> Figures {
    let mut left = now.clone();
    for (left, before) in [
        (&mut left.counts, &before.counts),
        (&mut left.misses, &before.misses),
        (&mut left.errors, &before.errors),
    ] {
        for (name, count) in left {
            *count = count.saturating_sub(before.get(name).copied().unwrap_or_default());
        }
    }
    for (at, bucket) in left.load_time.buckets.iter_mut().enumerate() {
        *bucket = bucket.saturating_sub(before.load_time.buckets.get(at).copied().unwrap_or_default());
    }
    left.load_time.nanos = left.load_time.nanos.saturating_sub(before.load_time.nanos);
    left
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report of a process, at this second, which did so much at two sites.
    pub(crate) fn report(instance: &str, second: u64, done: u64) -> Report {
        let mut report = Report::default();
        (report.instance, report.process) = (instance.to_owned(), 4_711);
        (report.written_at, report.breaker) = (second * 1_000, Some("closed".to_owned()));
        for (name, part) in [("shop::users::by_id", 3), ("shop::pages::page", 1)] {
            let mut site = cachemacro::report::SiteReport::default();
            site.site = name.to_owned();
            let figures = &mut site.figures;
            figures.counts.insert("hits".to_owned(), done.saturating_mul(part));
            figures.counts.insert("loads".to_owned(), done);
            figures.misses.insert("absent".to_owned(), done);
            figures.load_time.buckets = vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, done];
            figures.load_time.nanos = done.saturating_mul(2_000_000);
            report.sites.push(site);
        }
        report
    }

    fn fleet(reports: Vec<Report>) -> Fleet {
        Fleet { reports, ..Fleet::default() }
    }

    #[test]
    fn rates_are_differences_of_each_process_so_that_a_restart_is_no_peak() {
        let mut watch = Watch::new("shop".to_owned(), false);
        watch.take(0, fleet(vec![report("a", 0, 1_000_000), report("b", 0, 50)]), None);
        assert_eq!(watch.total().reads, None, "one report is no rate");
        watch.take(10_000, fleet(vec![report("a", 10, 1_000_100), report("b", 5, 100)]), None);
        // 100 and 50 of each: 6 reads for each, in 10 and in 5 seconds.
        assert_eq!(watch.total().reads, Some(60.0 + 60.0));
        assert_eq!(watch.total().hit_rate, Some(2.0 / 3.0));
        // One was started anew, the other has nothing new to tell.
        watch.take(15_000, fleet(vec![report("c", 15, 77), report("b", 5, 100)]), None);
        assert_eq!(watch.total().reads, Some(60.0));
        assert_eq!(watch.past.iter().map(|(reads, _)| *reads).collect::<Vec<_>>(), [0, 120, 60]);
        // Whatever a report says.
        watch.take(20_000, fleet(vec![report("c", 16, 7), report("b", 4, u64::MAX / 8)]), None);
        assert!(watch.total().reads.is_some_and(|reads| reads >= 0.0));
    }

    #[test]
    fn sites_are_sorted_and_filtered() {
        let mut watch = Watch::new("shop".to_owned(), false);
        watch.take(0, fleet(vec![report("a", 0, 0)]), None);
        watch.take(10_000, fleet(vec![report("a", 10, 100)]), None);
        let names = |watch: &Watch| watch.sites().into_iter().map(|row| row.site).collect::<Vec<_>>();
        assert_eq!(names(&watch), ["shop::users::by_id", "shop::pages::page"], "by reads");
        watch.ascending = true;
        assert_eq!(names(&watch), ["shop::pages::page", "shop::users::by_id"]);
        (watch.sorted_by, watch.ascending) = (Column::Site, false);
        assert_eq!(names(&watch), ["shop::pages::page", "shop::users::by_id"]);
        watch.filter = "USERS".to_owned();
        assert_eq!(names(&watch), ["shop::users::by_id"]);
        assert_eq!(watch.reasons(), [("absent".to_owned(), 20.0)]);
        for column in Column::ALL {
            watch.sorted_by = column;
            assert_eq!(names(&watch).len(), 1);
        }
    }

    #[test]
    fn reports_of_many_processes_and_functions_are_summed_in_one_go() {
        let mut watch = Watch::new("shop".to_owned(), false);
        let many = |instance: u64, second: u64| {
            let mut report = report(&instance.to_string(), second, second);
            let one = report.sites.pop().expect("it has two");
            report.sites = (0..1_000)
                .map(|at| {
                    let mut site = one.clone();
                    site.site = format!("shop::{}", instance % 10 * 1_000 + at);
                    site
                })
                .collect();
            report
        };
        let began = std::time::Instant::now();
        for second in [0, 10] {
            watch.take(
                second * 1_000,
                fleet((0..200).map(|instance| many(instance, second)).collect()),
                None,
            );
        }
        // Of 200,000 in 10,000 rows; row by row it took minutes.
        assert_eq!(watch.sites().len(), 10_000);
        assert!(began.elapsed() < std::time::Duration::from_secs(30), "{:?}", began.elapsed());
        assert_eq!(watch.sites()[0].reads, Some(2.0 * 20.0));
    }

    #[test]
    fn a_process_that_does_not_report_any_more_is_late() {
        let mut watch = Watch::new("shop".to_owned(), false);
        watch.take(20_000, fleet(vec![report("a", 0, 0), report("b", 15, 0)]), None);
        let late: Vec<bool> = watch.processes.values().map(|process| watch.is_late(process)).collect();
        assert_eq!(late, [true, false]);
    }
}
