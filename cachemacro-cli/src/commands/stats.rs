//! `stats`: what the whole fleet counted.

use std::collections::BTreeMap;
use std::time::Duration;

use cachemacro::report::Figures;

use super::shown::nothing;
use crate::args::{Args, By};
use crate::failure::Done;
use crate::fleet::Fleet;
use crate::table::{Cell, Table};
use crate::text;

pub(crate) async fn stats(args: &Args, by: By) -> Done {
    let fleet = Fleet::of(&args.place).await?;
    if fleet.reports.is_empty() {
        text::tell(
            "no process reported within 30 s; the first report comes 10 s after a start. CACHEMACRO_REPORT may be off, or the namespace another",
        );
    }
    let left_out: u64 = fleet.reports.iter().fold(0, |sum, report| sum.saturating_add(report.left_out));
    if left_out > 0 {
        text::tell(&format!("{left_out} functions did not fit into reports and are not shown"));
    }
    let table = match by {
        By::Site => sites(&fleet),
        By::Process => processes(&fleet),
        By::Reason => reasons(&fleet),
    };
    table.write(&args.output)?;
    nothing(&fleet.reports)
}

fn ratio(part: u64, of: u64) -> Cell {
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let share = if of == 0 { Cell::None } else { Cell::Share(part as f64 / of as f64) };
    share
}

fn per_second(count: u64, seconds: f64) -> Cell {
    #[expect(clippy::cast_precision_loss, reason = "a rate that is shown")]
    let rate = if seconds > 0.0 { Cell::PerSecond(count as f64 / seconds) } else { Cell::None };
    rate
}

fn quantile(figures: &Figures, q: f64) -> Cell {
    if figures.load_time.count() == 0 {
        return Cell::None;
    }
    Cell::Seconds(figures.load_time.quantile(q).as_secs_f64())
}

fn sum(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().fold(0, |sum, count| sum.saturating_add(*count))
}

/// Whether anything was read, loaded or written: a function that only evicts has nothing in these columns.
fn is_of_use(figures: &Figures) -> bool {
    figures.reads() > 0 || figures.count("loads") > 0 || sum(&figures.errors) > 0
}

/// A row for each function, and one for all together.
fn sites(fleet: &Fleet) -> Table {
    let mut table = Table::new(&[
        "site",
        "reads",
        "reads_per_s",
        "hit_rate",
        "stale",
        "misses",
        "loads",
        "failed_loads",
        "load_p50",
        "load_p99",
        "errors",
        "time_saved",
    ]);
    let mut sites: Vec<(&str, Figures)> =
        fleet.sites().into_iter().filter(|(_, figures)| is_of_use(figures)).collect();
    sites.sort_by_key(|(_, figures)| std::cmp::Reverse(figures.reads()));
    let mut total = Figures::default();
    for (_, figures) in &sites {
        total.add(figures);
    }
    // Loads take differently long by function, so the time saved is summed over functions.
    let saved: Duration = sites.iter().map(|(_, figures)| figures.time_saved()).sum();
    let rates = fleet.reads_per_second();
    let all: f64 = sites.iter().filter_map(|(site, _)| rates.get(site)).sum();
    let rows = sites.iter().map(|(site, figures)| {
        (*site, figures, rates.get(site).copied().unwrap_or_default(), figures.time_saved())
    });
    for (site, figures, rate, saved) in rows.chain([("total", &total, all, saved)]) {
        table.row([
            Cell::from(site),
            figures.reads().into(),
            if rates.is_empty() { Cell::None } else { Cell::PerSecond(rate) },
            ratio(figures.count("hits"), figures.reads()),
            figures.count("stale").into(),
            sum(&figures.misses).into(),
            figures.count("loads").into(),
            figures.count("failed_loads").into(),
            quantile(figures, 0.5),
            quantile(figures, 0.99),
            sum(&figures.errors).into(),
            Cell::Seconds(saved.as_secs_f64()),
        ]);
    }
    table
}

fn processes(fleet: &Fleet) -> Table {
    let mut table = Table::new(&[
        "instance",
        "process",
        "version",
        "up",
        "reads",
        "reads_per_s",
        "hit_rate",
        "errors",
        "breaker",
        "breaker_trips",
        "kept_evicts",
        "shared",
        "in_use",
        "waiting",
        "reconnects",
    ]);
    for report in &fleet.reports {
        let mut all = report.direct.clone();
        for site in &report.sites {
            all.add(&site.figures);
        }
        let up = Fleet::up(report);
        let pool = report.pool.as_ref();
        let of_pool =
            |count: fn(&cachemacro::Pool) -> u64| pool.map_or(Cell::None, |pool| count(pool).into());
        table.row([
            Cell::from(report.instance.as_str()),
            u64::from(report.process).into(),
            report.version.as_str().into(),
            Cell::Seconds(up),
            all.reads().into(),
            per_second(all.reads(), up),
            ratio(all.count("hits"), all.reads()),
            sum(&all.errors).into(),
            report.breaker.as_deref().map_or(Cell::None, Cell::from),
            report.breaker_trips.into(),
            report.kept_evicts.into(),
            of_pool(|pool| pool.shared),
            of_pool(|pool| pool.in_use),
            of_pool(|pool| pool.waiting),
            of_pool(|pool| pool.reconnects),
        ]);
    }
    table
}

/// A row for each reason at each function, and one for each reason at all together.
fn reasons(fleet: &Fleet) -> Table {
    let mut table = Table::new(&["site", "reason", "misses", "share"]);
    let mut total = Figures::default();
    let mut sites: Vec<(&str, Figures)> = fleet.sites().into_iter().collect();
    sites.sort_by_key(|(_, figures)| std::cmp::Reverse(sum(&figures.misses)));
    for (_, figures) in &sites {
        total.add(figures);
    }
    for (site, figures) in sites.iter().map(|(site, figures)| (*site, figures)).chain([("total", &total)]) {
        let misses = sum(&figures.misses);
        let mut reasons: Vec<(&String, &u64)> = figures.misses.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons {
            table.row([Cell::from(site), reason.as_str().into(), (*count).into(), ratio(*count, misses)]);
        }
    }
    table
}
