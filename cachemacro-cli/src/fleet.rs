//! What the processes of a fleet reported.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::time::Duration;

use cachemacro::inspect::{Expects, tag_hash};
use cachemacro::report::{Figures, MOST_BYTES, Report, SiteReport, StoredAs};

use crate::args::PlaceArgs;
use crate::failure::Failure;
use crate::place::{Place, has_password};
use crate::template::{self, Parts};
use crate::{http, text};

/// The site to which calls by hand are counted, which belong to no annotated function.
pub(crate) const DIRECT: &str = "direct";

/// All reports.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub(crate) reports: Vec<Report>,
    /// Names of tags by their hashes, where processes told them.
    pub(crate) tag_names: HashMap<u64, String>,
}

impl Fleet {
    /// Reads the reports in the files and at the routes that `--from` names, else those on the server.
    pub(crate) async fn of(args: &PlaceArgs) -> Result<Self, Failure> {
        if args.from.is_empty() {
            return Self::of_place(&Place::new(args)?).await;
        }
        let mut reports = Vec::new();
        for from in &args.from {
            reports.push(given(from).await?);
        }
        Ok(Self { reports, ..Self::default() })
    }

    /// Reads the reports on the server. One that cannot be read is passed over with a word on standard error.
    pub(crate) async fn of_place(place: &Place) -> Result<Self, Failure> {
        let documents = place.inspector.reports().await?;
        let mut reports: Vec<Report> =
            documents.iter().filter_map(|document| parsed(document).ok()).collect();
        let unread = documents.len() - reports.len();
        if unread > 0 {
            text::tell(&format!("{unread} reports cannot be read and are left out"));
        }
        reports.sort_by(|one, other| one.instance.cmp(&other.instance));
        // What is shown without them is less.
        let names = place.inspector.tag_names().await.unwrap_or_default();
        let tag_names = names.into_iter().map(|name| (tag_hash(&name), name)).collect();
        Ok(Self { reports, tag_names })
    }

    /// What was counted at each site, in all processes together.
    pub(crate) fn sites(&self) -> BTreeMap<&str, Figures> {
        let mut sites: BTreeMap<&str, Figures> = BTreeMap::new();
        for report in &self.reports {
            for site in &report.sites {
                sites.entry(&site.site).or_default().add(&site.figures);
            }
            sites.entry(DIRECT).or_default().add(&report.direct);
        }
        sites
    }

    /// How many reads there were in a second at each site since its processes started, in all processes together.
    pub(crate) fn reads_per_second(&self) -> BTreeMap<&str, f64> {
        let mut rates: BTreeMap<&str, f64> = BTreeMap::new();
        for report in &self.reports {
            let up = Self::up(report);
            if up <= 0.0 {
                continue;
            }
            let sites = report.sites.iter().map(|site| (site.site.as_str(), &site.figures));
            for (site, figures) in sites.chain([(DIRECT, &report.direct)]) {
                #[expect(clippy::cast_precision_loss, reason = "a rate that is shown")]
                let reads = figures.reads() as f64;
                *rates.entry(site).or_default() += reads / up;
            }
        }
        rates
    }

    /// What becomes of values that age and belong to no function that reported: what serves them longest.
    pub(crate) fn ages(&self) -> Ages {
        self.reports.iter().map(|report| Ages::of(report, None)).max().unwrap_or_default()
    }

    /// How long the process of a report has run, in seconds.
    pub(crate) fn up(report: &Report) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a time that is shown")]
        let millis = report.written_at.saturating_sub(report.started_at) as f64;
        millis / 1_000.0
    }

    /// The functions that this key may be of, by its prefix: one [`Owner`] for each way in which processes store its values, as there are
    /// two while two releases run.
    pub(crate) fn owners(&self, key: &str) -> Vec<Owner<'_>> {
        let (prefix, rest) = key.split_once(':').unwrap_or((key, ""));
        let mut owners: Vec<Owner<'_>> = Vec::new();
        for report in &self.reports {
            for site in &report.sites {
                for stored in site.stored_as.iter().filter(|stored| stored.prefix == prefix) {
                    let ages = Ages::of(report, Some(site));
                    let is_known = |owner: &Owner<'_>| {
                        owner.stored == stored && owner.site.site == site.site && owner.ages == ages
                    };
                    if let Some(owner) = owners.iter_mut().find(|owner| is_known(owner)) {
                        owner.processes += 1;
                    } else {
                        let parts = parts(site, rest);
                        owners.push(Owner { site, stored, ages, parts, processes: 1 });
                    }
                }
            }
        }
        // Routes of HTTP share a prefix, and the template of a path tells which one a key is of. A key that was cut, or that an expression
        // gives, may be of any of them.
        if owners.iter().any(|owner| owner.parts.is_some()) {
            owners.retain(|owner| owner.parts.is_some() || owner.site.key.is_none());
        }
        owners
    }

    /// The tags that the templates of the key's function make of its parts.
    pub(crate) fn tags_of(&self, key: &str) -> Vec<String> {
        let mut tags: Vec<String> = self.owners(key).iter().flat_map(Owner::tags).collect();
        tags.sort();
        tags.dedup();
        tags
    }
}

/// What a process makes of values that age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ages {
    /// How long past its TTL a value serves.
    pub(crate) stale: Duration,
    /// The part of its TTL after which one caller loads it anew.
    pub(crate) refresh: Option<u8>,
}

impl Ages {
    /// As the function says it, else as the settings of the process do.
    fn of(report: &Report, site: Option<&SiteReport>) -> Self {
        let setting = |name: &str| report.settings.get(name).map(String::as_str);
        let own = site.and_then(|site| site.stale_millis).map(Duration::from_millis);
        let stale = own.or_else(|| humantime::parse_duration(setting("stale")?).ok()).unwrap_or_default();
        let own = site.and_then(|site| site.refresh_percent);
        Self { stale, refresh: own.or_else(|| setting("refresh")?.parse().ok()) }
    }

    /// The same, as a look takes it.
    pub(crate) fn expected(self, expects: Expects) -> Expects {
        let expects = expects.stale(self.stale);
        match self.refresh {
            Some(percent) => expects.refresh(percent),
            None => expects,
        }
    }
}

/// A function, and one way in which its values are stored.
#[derive(Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) site: &'a SiteReport,
    pub(crate) stored: &'a StoredAs,
    pub(crate) ages: Ages,
    parts: Option<Parts>,
    /// How many processes store values in this way.
    pub(crate) processes: u64,
}

impl Owner<'_> {
    /// Tags that follow from the key.
    pub(crate) fn tags(&self) -> Vec<String> {
        let none = Parts::new();
        let parts = self.parts.as_ref().unwrap_or(&none);
        self.site.tags.iter().filter_map(|tag| template::tag(tag, parts)).collect()
    }

    /// Whether all its tags follow from the key.
    pub(crate) fn knows_all_tags(&self) -> bool {
        self.tags().len() == self.site.tags.len()
    }

    pub(crate) fn schema(&self) -> Option<u64> {
        u64::from_str_radix(&self.stored.schema, 16).ok()
    }
}

/// The parts of a key, read by its site's template from the text behind the prefix and the types of a generic function.
fn parts(site: &SiteReport, rest: &str) -> Option<Parts> {
    let mut rest = rest;
    while let Some(types) = rest.strip_prefix("%T") {
        rest = types.split_once(':')?.1;
    }
    template::parts(site.key.as_deref()?, rest)
}

/// # Errors
/// A sentence on why it is no report.
fn parsed(document: &[u8]) -> Result<Report, String> {
    if document.len() > 2 * MOST_BYTES {
        return Err("it is larger than a report can be".to_owned());
    }
    serde_json::from_slice(document).map_err(|error| error.to_string())
}

/// A report from a file or a route.
async fn given(from: &str) -> Result<Report, Failure> {
    let document = if from.starts_with("http://") || from.starts_with("https://") {
        if has_password(from) {
            let why =
                "--from has a password, which other users of the machine can see, and which is not sent";
            return Err(Failure::Usage(why.to_owned()));
        }
        match http::get(from, 2 * MOST_BYTES).await {
            Ok((200, body)) => body.to_vec(),
            Ok((status, _)) => return Err(Failure::Unreachable(format!("the service answered {status}"))),
            Err(why) => return Err(Failure::Unreachable(why)),
        }
    } else {
        let mut document = Vec::new();
        let file = std::fs::File::open(from)
            .map_err(|error| Failure::Usage(format!("{}: {error}", text::shown(from))))?;
        file.take(2 * MOST_BYTES as u64 + 1).read_to_end(&mut document)?;
        document
    };
    parsed(&document).map_err(|why| Failure::Wrong(format!("{}: no report: {why}", text::shown(from))))
}
