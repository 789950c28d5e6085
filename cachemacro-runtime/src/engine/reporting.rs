//! What this process tells of a cache: counters by site, and what attributes and settings say.

use std::collections::BTreeMap;

use crate::engine::core::Core;
use crate::engine::settings::Settings;
use crate::observe::report::{Figures, LocalFigures, Report, SiteReport, StoredAs};
use crate::observe::site::SiteId;
use crate::policy::site::Site;
use crate::policy::ttl::Ttl;
use crate::policy::verify::Verify;

impl Core {
    /// What there is to tell; with `texts`, what attributes and settings say too.
    pub(crate) fn report(&self, texts: bool) -> Report {
        let stats = self.snapshot();
        let mut report = Report {
            instance: format!("{:016x}", self.instance),
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            written_at: self.settings.clock.now().millis(),
            store: self.store.about().name.to_owned(),
            namespace: self.namespace().to_owned(),
            breaker: stats.breaker.map(|breaker| breaker.as_str().to_owned()),
            breaker_trips: stats.breaker_trips,
            kept_evicts: stats.kept_evicts,
            pool: stats.pool,
            refused: self.store.refused(),
            local: LocalFigures::of(&stats.local),
            direct: Figures::of(&stats.direct),
            ..Report::default()
        };
        if texts {
            report.settings = settings(&self.settings);
        }
        let named = self.named_sites();
        if texts {
            let name = |id: &SiteId| {
                let of = |(_, site, _): &&(String, &Site, _)| site.id() == *id;
                named.iter().find(of).map(|(name, ..)| name.clone()).unwrap_or_default()
            };
            report.findings = self.findings(name);
        }
        let sites = named.into_iter().map(|(name, site, counters)| {
            let figures = Figures::of(&counters.snapshot());
            let mut told = SiteReport { site: name, figures, ..SiteReport::default() };
            if texts {
                says(&mut told, site);
                told.hot = counters.hot();
                told.stored_as = counters.shapes().iter().map(StoredAs::of).collect();
            }
            told
        });
        report.sites = sites.collect();
        let busy = |site: &SiteReport| site.figures.reads().saturating_add(site.figures.count("evicts"));
        report.sites.sort_by_key(|site| std::cmp::Reverse(busy(site)));
        report
    }
}

fn says(told: &mut SiteReport, site: &Site) {
    let (says, policy) = (site.says, site.policy);
    says.value.clone_into(&mut told.value);
    told.key = says.key.map(str::to_owned);
    told.tags = says.tags.iter().map(|tag| (*tag).to_owned()).collect();
    told.entry = says.entry.map(str::to_owned);
    told.writes = says.writes.iter().map(|write| (*write).to_owned()).collect();
    told.codec = says.codec.map(str::to_owned);
    told.ttl = policy.ttl.map(spelled);
    told.recorded = policy.recorded;
    told.queue = says.queue.map(str::to_owned);
    told.refresh_percent = policy.refresh;
    told.stale_millis = policy.stale.map(|stale| u64::try_from(stale.as_millis()).unwrap_or(u64::MAX));
}

fn spelled(ttl: Ttl) -> String {
    match ttl {
        Ttl::For(time) => humantime::format_duration(time).to_string(),
        Ttl::Never => "never".to_owned(),
    }
}

fn settings(settings: &Settings) -> BTreeMap<String, String> {
    let time = |time| humantime::format_duration(time).to_string();
    let all = [
        ("ttl", spelled(settings.ttl)),
        ("stale", time(settings.freshness.stale)),
        ("refresh", settings.freshness.refresh.map_or_else(|| "off".to_owned(), |part| part.to_string())),
        ("jitter", settings.jitter.to_string()),
        ("wait", time(settings.wait)),
        ("lease_limit", time(settings.lease_limit)),
        ("codec", settings.codec.name().to_owned()),
        ("max_value", settings.max_value.to_string()),
        ("local", settings.local.map_or_else(|| "off".to_owned(), time)),
        ("local_capacity", settings.local_capacity.to_string()),
        ("hot_keys", settings.hot_keys.to_string()),
        ("verify", settings.verify.map_or_else(|| "off".to_owned(), Verify::share)),
        ("disabled", settings.disabled.to_string()),
    ];
    let all = all.into_iter();
    #[cfg(feature = "reports")]
    let all = all.chain([("tag_names", settings.tag_names.to_string())]);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}
