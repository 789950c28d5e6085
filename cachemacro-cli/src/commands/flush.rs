//! `flush`: evicts, as services do, after it has shown what goes.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use cachemacro::inspect::{Expects, tag_hash};

use super::log;
use super::shown::fleet_if_any;
use crate::args::{Args, FlushArgs};
use crate::failure::{Done, Failure};
use crate::fleet::{DIRECT, Fleet};
use crate::place::Place;
use crate::sweep::sweep;
use crate::table::{Cell, Table};
use crate::text;

/// How many keys the plan looks at: beyond, it is a sample.
const SAMPLE: usize = 10_000;
/// How many functions it names.
const MOST_SITES: usize = 8;

/// What was found that would go.
#[derive(Default)]
struct Plan {
    entries: u64,
    bytes: u64,
    /// The functions whose entries they are.
    sites: BTreeSet<String>,
    looked: usize,
    is_sample: bool,
}

pub(crate) async fn flush(args: &Args, what: &FlushArgs) -> Done {
    let nothing_said = what.tag.is_empty() && what.prefix.is_empty() && what.key.is_empty() && !what.all;
    if nothing_said {
        return Err(Failure::Usage("what is to go? --tag, --prefix, --key or --all".to_owned()));
    }
    if args.place.no_namespace {
        return Err(Failure::Usage(
            "without a namespace nothing is flushed: other applications' keys would go".to_owned(),
        ));
    }
    let tags: Vec<u64> = what.tag.iter().map(|tag| hash_of(tag)).collect::<Result<_, _>>()?;
    let place = Place::new(&args.place)?;
    let plan = plan(args, what, &tags, &place).await?;
    show(args, &plan)?;
    if plan.is_empty() {
        text::tell("nothing was found that would go");
        what.key.iter().for_each(|key| hint_at(key, &place));
    }
    if what.dry_run {
        return if plan.is_empty() { Err(Failure::Shown) } else { Ok(()) };
    }
    // Even where the plan is empty: a load under way may be about to store something.
    confirm(what, &plan, &place)?;
    let (evicted, ended) = evict(what, tags, &place).await;
    // What failed may have evicted a part of it.
    log::record(&place, what, plan.entries, plan.is_sample, ended.is_err()).await;
    ended?;
    text::tell(&format!("evicted; keys removed one by one: {evicted}, tags: {}", what.tag.len()));
    if plan.is_empty() && evicted == 0 { Err(Failure::Shown) } else { Ok(()) }
}

/// Evicts all of it. How many keys went one by one, and how it ended.
async fn evict(what: &FlushArgs, tags: Vec<u64>, place: &Place) -> (u64, Done) {
    let mut evicted = 0;
    let all = async {
        if what.all {
            evicted += place.cache.clear().await?;
            return Ok(());
        }
        evicted += place.inspector.evict(what.key.iter().map(String::as_str), tags).await?;
        for prefix in &what.prefix {
            evicted += place.cache.evict_prefix(prefix).await?;
        }
        Ok(())
    };
    let ended = all.await;
    (evicted, ended)
}

impl Plan {
    /// Takes note of an entry that would go.
    fn goes(&mut self, key: &str, bytes: usize, fleet: &Fleet) {
        self.entries += 1;
        self.bytes += bytes as u64;
        let owners = fleet.owners(key);
        // Where nobody reported, nothing is known of functions.
        if owners.is_empty() && !fleet.reports.is_empty() {
            self.sites.insert(DIRECT.to_owned());
        }
        self.sites.extend(owners.iter().map(|owner| owner.site.site.clone()));
    }

    /// Whether every key was looked at and none would go.
    const fn is_empty(&self) -> bool {
        self.entries == 0 && !self.is_sample
    }
}

/// Says what else may have been meant by a key under which nothing is.
fn hint_at(key: &str, place: &Place) {
    place.hint_at(key);
    if key.contains(['*', '?']) {
        let shown = text::shown(key);
        text::tell(&format!(
            "`--key {shown}` is one key, and no pattern: --prefix takes all that is under a prefix"
        ));
    }
}

/// The hash of a tag, which may be given as its hash: `#9f3c…`.
fn hash_of(tag: &str) -> Result<u64, Failure> {
    match tag.strip_prefix('#') {
        Some(hash) if hash.len() == 16 => u64::from_str_radix(hash, 16)
            .map_err(|_| Failure::Usage(format!("`{}` is no hash of a tag", text::shown(tag)))),
        Some(_) => Err(Failure::Usage(format!("`{}` is no whole hash of a tag", text::shown(tag)))),
        None => Ok(tag_hash(tag)),
    }
}

async fn plan(args: &Args, what: &FlushArgs, tags: &[u64], place: &Place) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    let fleet = fleet_if_any(place).await;
    let only_keys = tags.is_empty() && what.prefix.is_empty() && !what.all;
    if only_keys {
        let heads = place.inspector.heads(&what.key, &Expects::new()).await?;
        for (key, head) in what.key.iter().zip(heads) {
            if let Some(head) = head {
                plan.goes(key, head.length, &fleet);
            }
        }
        plan.looked = what.key.len();
        return Ok(plan);
    }
    let prefixes: Vec<String> =
        what.prefix.iter().map(|prefix| format!("{}:", cachemacro::Key::escape(prefix))).collect();
    // As they are found.
    let keys: HashSet<String> = what.key.iter().map(|key| place.inspector.name_of(key)).collect();
    sweep(place, &args.place, "", |found| {
        if plan.looked >= SAMPLE {
            plan.is_sample = true;
            return false;
        }
        plan.looked += 1;
        let goes = what.all
            || keys.contains(&found.key)
            || prefixes.iter().any(|prefix| found.key.starts_with(prefix))
            // An entry one of whose tags was evicted since is a miss already, and does not count.
            || found.head.reason.is_none() && found.head.tags.iter().any(|tag| tags.contains(&tag.tag));
        if goes {
            plan.goes(&found.key, found.head.length, &fleet);
        }
        true
    })
    .await?;
    Ok(plan)
}

fn show(args: &Args, plan: &Plan) -> Done {
    let mut table = Table::new(&["entries", "bytes", "sites", "looked_at", "sample"]);
    let sample = if plan.is_sample { "yes: there are more keys than were looked at" } else { "no" };
    let mut sites: Vec<String> = plan.sites.iter().take(MOST_SITES).cloned().collect();
    if plan.sites.len() > MOST_SITES {
        sites.push(format!("and {} more", plan.sites.len() - MOST_SITES));
    }
    table.row([
        plan.entries.into(),
        Cell::Bytes(plan.bytes),
        sites.join(", ").into(),
        (plan.looked as u64).into(),
        sample.into(),
    ]);
    table.write(&args.output)
}

/// Asks for confirmation where there is a terminal; elsewhere `--yes` is needed.
fn confirm(what: &FlushArgs, plan: &Plan, place: &Place) -> Done {
    if what.yes {
        return Ok(());
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::NotConfirmed("nothing was evicted: --yes evicts without asking".to_owned()));
    }
    let is_large = what.all || plan.is_sample || plan.entries > SAMPLE as u64;
    let (asked, wanted) = if is_large {
        let namespace = place.shown_namespace();
        (format!("type the namespace's name, {namespace}, to evict"), namespace)
    } else {
        ("evict? type yes".to_owned(), "yes".to_owned())
    };
    eprint!("{asked}: ");
    io::stderr().flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    if answer.trim() == wanted {
        Ok(())
    } else {
        Err(Failure::NotConfirmed("nothing was evicted".to_owned()))
    }
}
