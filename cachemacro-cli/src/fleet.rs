//! What the processes of a fleet reported.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;

use cachemacro::inspect::tag_hash;
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
                    let is_known = |owner: &Owner<'_>| owner.stored == stored && owner.site.site == site.site;
                    match owners.iter_mut().find(|owner| is_known(owner)) {
                        Some(owner) => owner.processes += 1,
                        None => owners.push(Owner { site, stored, parts: parts(site, rest), processes: 1 }),
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

/// A function, and one way in which its values are stored.
#[derive(Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) site: &'a SiteReport,
    pub(crate) stored: &'a StoredAs,
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
