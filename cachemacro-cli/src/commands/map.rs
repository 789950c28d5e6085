//! `map`: which functions carry, and which evict or put, which tags and entries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cachemacro::report::SiteReport;

use super::shown::{nothing, print};
use crate::args::Args;
use crate::failure::{Done, Failure};
use crate::fleet::Fleet;
use crate::table::{Cell, Table};
use crate::{template, text};

/// Who carries something, and who writes it.
#[derive(Default)]
struct Sides<'a> {
    readers: BTreeSet<&'a str>,
    evicts: BTreeSet<&'a str>,
    /// By whom a value is put there, at once or by a queue.
    puts: BTreeSet<&'a str>,
}

impl<'a> Sides<'a> {
    fn is_written(&self) -> bool {
        !self.evicts.is_empty() || !self.puts.is_empty()
    }

    fn written_by(&self) -> BTreeSet<&'a str> {
        self.evicts.union(&self.puts).copied().collect()
    }

    fn written(&mut self, is_put: bool) -> &mut BTreeSet<&'a str> {
        if is_put { &mut self.puts } else { &mut self.evicts }
    }
}

/// How a cached function's values are renewed before their TTL ends, the surest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Renewed {
    Not,
    /// An expression decides that, whose value is not known here.
    Perhaps,
    /// What its loads read is told while they run, and evicts them.
    ByRecord,
    Surely,
}

/// Tags by their templates' shape, entries by the function that gives them, and prefixes that are written without one.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent findings, not the states of one machine")]
struct Map<'a> {
    tags: BTreeMap<String, Sides<'a>>,
    entries: BTreeMap<&'a str, Sides<'a>>,
    prefixes: BTreeMap<&'a str, Sides<'a>>,
    /// Expressions that give entries to evict, where no entry's function is named in them.
    expressions: BTreeMap<&'a str, Sides<'a>>,
    cached: BTreeMap<&'a str, Renewed>,
    /// Whether some function's tags come from an expression, and may be any.
    unknown_read: bool,
    unknown_evicted: bool,
    /// Whether some function's tags are recorded by its loads, and may be any.
    recorded: bool,
    /// Whether some function's tags are variants of an enum. These are known by name, not by their text, so one may make the same text as a
    /// template does.
    reads_variants: bool,
    evicts_variants: bool,
}

pub(crate) async fn map(args: &Args, dot: bool, svg: bool) -> Done {
    let fleet = Fleet::of(&args.place).await?;
    let map = Map::of(&fleet);
    text::tell("of functions that were called since their processes started");
    if dot || svg {
        let graph = if dot { map.dot() } else { map.svg() };
        return print(graph.as_bytes(), &args.output);
    }
    let table = map.table();
    table.write(&args.output)?;
    if map.has_orphans() {
        return Err(Failure::Wrong("a tag is evicted that no entry carries: is it misspelt?".to_owned()));
    }
    nothing(&table.rows)
}

impl<'a> Map<'a> {
    fn of(fleet: &'a Fleet) -> Self {
        let mut map = Self::default();
        let sites = || fleet.reports.iter().flat_map(|report| &report.sites);
        for site in sites() {
            map.reads(site);
        }
        for site in sites() {
            for write in &site.writes {
                map.writes(&site.site, write);
            }
        }
        for site in sites() {
            for stored in &site.stored_as {
                if let Some(sides) = map.prefixes.get_mut(stored.prefix.as_str()) {
                    sides.readers.insert(&site.site);
                }
            }
        }
        for site in sites().filter(|site| map.cached.contains_key(site.site.as_str())).collect::<Vec<_>>() {
            let renewed = map.renewed(site);
            if let Some(known) = map.cached.get_mut(site.site.as_str()) {
                // Processes differ in what they have counted.
                *known = renewed.max(*known);
            }
        }
        map
    }

    /// What a function's entries carry.
    fn reads(&mut self, site: &'a SiteReport) {
        let name = site.site.as_str();
        // Only a function that reads names a type of value.
        if !site.value.is_empty() {
            self.cached.insert(name, Renewed::Not);
        }
        self.recorded |= site.recorded;
        for tag in &site.tags {
            if let Some(shape) = template::shape(tag) {
                self.reads_variants |= template::is_variant(&shape);
                self.tags.entry(shape).or_default().readers.insert(name);
            } else {
                self.unknown_read = true;
            }
        }
        if let Some(entry) = &site.entry {
            self.entries.entry(entry).or_default().readers.insert(name);
        }
    }

    /// One thing that a function puts or evicts.
    fn writes(&mut self, name: &'a str, write: &'a str) {
        let (word, what) = write.split_once(' ').unwrap_or((write, ""));
        match word {
            "tag" => match template::shape(what) {
                Some(shape) => {
                    self.evicts_variants |= template::is_variant(&shape);
                    self.tags.entry(shape).or_default().evicts.insert(name);
                }
                None => self.unknown_evicted = true,
            },
            "put" | "queued" | "entry" => {
                self.entries.entry(what).or_default().written(word != "entry").insert(name);
            }
            "entries" => {
                let words = what.split(|c: char| !c.is_alphanumeric() && c != '_');
                let named: BTreeSet<&str> = words
                    .filter(|word| self.entries.get(word).is_some_and(|of| !of.readers.is_empty()))
                    .collect();
                for entry in &named {
                    self.entries.entry(*entry).or_default().evicts.insert(name);
                }
                if named.is_empty() {
                    self.expressions.entry(what).or_default().evicts.insert(name);
                }
            }
            "prefix" | "key" | "put_key" => {
                let prefix = what.split(':').next().unwrap_or_default();
                self.prefixes.entry(prefix).or_default().written(word == "put_key").insert(name);
            }
            _ => {}
        }
    }

    /// How the values of a cached function are renewed.
    fn renewed(&self, site: &SiteReport) -> Renewed {
        let name = site.site.as_str();
        let all = self.tags.values().chain(self.entries.values()).chain(self.prefixes.values());
        let mut written = all.filter(|sides| sides.is_written());
        // A tag that was evicted by hand is in no attribute, and was counted.
        let was_evicted = site.figures.misses.get("tag_evicted").is_some_and(|count| *count > 0);
        if written.any(|sides| sides.readers.contains(name)) || site.queue.is_some() || was_evicted {
            return Renewed::Surely;
        }
        if site.recorded {
            return Renewed::ByRecord;
        }
        let may_go = |tag: &String| template::shape(tag).is_none_or(|shape| self.may_be_evicted(&shape));
        // What is counted under a name, such as a route of HTTP, is no function, and its entries carry what each fill gives them.
        let is_named = !name.contains("::");
        let by_entry = site.entry.is_some() && !self.expressions.is_empty();
        let is_perhaps = is_named || by_entry || site.tags.iter().any(may_go);
        if is_perhaps { Renewed::Perhaps } else { Renewed::Not }
    }

    fn has_orphans(&self) -> bool {
        self.tags.iter().any(|(tag, sides)| sides.readers.is_empty() && !self.may_be_read(tag))
    }

    /// Whether an expression may make this tag that no template makes, or a load record it.
    fn may_be_read(&self, tag: &str) -> bool {
        self.unknown_read || self.recorded || self.reads_variants || template::is_variant(tag)
    }

    /// Whether an expression may evict this tag that no template evicts.
    fn may_be_evicted(&self, tag: &str) -> bool {
        self.unknown_evicted || self.evicts_variants != template::is_variant(tag)
    }

    /// What is said of a tag, whether or not it is wrong.
    fn note(&self, tag: &str, sides: &Sides<'_>) -> String {
        let note = match (sides.readers.is_empty(), sides.evicts.is_empty()) {
            (true, _) if !self.may_be_read(tag) => "evicted, and no entry carries it",
            (true, _) if self.recorded => "no template makes it; a recorded load may carry it",
            (true, _) => "no template makes it; an expression may",
            (_, true) if self.may_be_evicted(tag) => "no template evicts it; an expression may",
            (_, true) => "nothing evicts it",
            _ => "",
        };
        match self.meant_by(tag).filter(|_| sides.readers.is_empty()) {
            Some(meant) => format!("{note}; or is it {meant}?"),
            None => note.to_owned(),
        }
    }

    /// A tag that entries carry and whose name is nearly the same.
    fn meant_by(&self, tag: &str) -> Option<&str> {
        let read = self.tags.iter().filter(|(other, sides)| *other != tag && !sides.readers.is_empty());
        let near = read.map(|(other, _)| (strsim::osa_distance(tag, other), other.as_str()));
        let most = if tag.chars().count() < SHORT { 1 } else { 2 };
        near.filter(|(distance, _)| *distance <= most).min().map(|(_, other)| other)
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["what", "name", "read_by", "evicted_by", "put_by", "note"]);
        for (tag, sides) in &self.tags {
            table.row(row("tag", tag, sides, &self.note(tag, sides)));
        }
        for (entry, sides) in &self.entries {
            // An entry that nobody reads is of a function that was not called yet, so it is not reported as misspelt.
            table.row(row("entry", entry, sides, ""));
        }
        for (expression, sides) in &self.expressions {
            table.row(row("entries", expression, sides, "an expression gives them"));
        }
        for (prefix, sides) in &self.prefixes {
            table.row(row("prefix", prefix, sides, ""));
        }
        for (site, renewed) in &self.cached {
            let note = match renewed {
                Renewed::Surely => continue,
                Renewed::ByRecord => "what its loads record evicts it",
                Renewed::Perhaps => "nothing but its TTL renews it, unless an expression does",
                Renewed::Not => "nothing but its TTL renews it",
            };
            let only = Sides { readers: BTreeSet::from([*site]), ..Sides::default() };
            table.row(row("function", site, &only, note));
        }
        table
    }

    /// A graph in DOT: from the functions that evict or put, over tags and entries, to the functions that read.
    fn dot(&self) -> String {
        let quoted =
            |name: &str| format!("\"{}\"", text::shown(name).replace('\\', "\\\\").replace('"', "\\\""));
        let mut out = "digraph cachemacro {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
        for (name, sides) in self.between() {
            let _ = writeln!(out, "  {} [shape=ellipse];", quoted(&name));
            for by in sides.written_by() {
                let _ = writeln!(out, "  {} -> {};", quoted(by), quoted(&name));
            }
            for by in &sides.readers {
                let _ = writeln!(out, "  {} -> {};", quoted(&name), quoted(by));
            }
        }
        out + "}\n"
    }

    /// Tags, entries and prefixes, by what they are called in a graph.
    fn between(&self) -> impl Iterator<Item = (String, &Sides<'a>)> {
        let tags = self.tags.iter().map(|(name, sides)| (format!("tag {name}"), sides));
        let named = [("entry", &self.entries), ("entries", &self.expressions), ("prefix", &self.prefixes)];
        let named = named
            .into_iter()
            .flat_map(|(what, all)| all.iter().map(move |(name, sides)| (format!("{what} {name}"), sides)));
        tags.chain(named)
    }

    /// Whether one side is lacking: it is a tag that nobody can carry or that is nearly another, or nothing writes it while something that it is read by depends on
    /// that. Of entries and prefixes that nobody reads, the functions were not called yet.
    fn is_one_sided(&self, name: &str, sides: &Sides<'a>) -> bool {
        if sides.readers.is_empty() {
            let tag = name.strip_prefix("tag ");
            return tag.is_some_and(|tag| !self.may_be_read(tag) || self.meant_by(tag).is_some());
        }
        let is_renewed = |site: &&str| self.cached.get(site).is_some_and(|renewed| *renewed != Renewed::Not);
        !sides.is_written() && !sides.readers.iter().all(is_renewed)
    }

    /// The same graph, drawn: who evicts or puts at the left, who reads at the right. What lacks one side is red.
    fn svg(&self) -> String {
        let between: Vec<(String, &Sides<'a>)> = self.between().collect();
        let sorted = |names: BTreeSet<&'a str>| names.into_iter().collect::<Vec<_>>();
        let left = sorted(between.iter().flat_map(|(_, sides)| sides.written_by()).collect());
        let right = sorted(between.iter().flat_map(|(_, sides)| &sides.readers).copied().collect());
        let middle: Vec<&str> = between.iter().map(|(name, _)| name.as_str()).collect();
        let width = |names: &[&str]| {
            let longest = names.iter().map(|name| text::shown(name).chars().count()).max().unwrap_or(8);
            longest.clamp(8, 80) * LETTER + 2 * PAD
        };
        let widths = [width(&left), width(&middle), width(&right)];
        let x = [PAD, PAD + widths[0] + BETWEEN, PAD + widths[0] + widths[1] + 2 * BETWEEN];
        let y = |at: usize| PAD + at * LINE;
        let rows = left.len().max(middle.len()).max(right.len());
        let (width, height) = (x[2] + widths[2] + PAD, y(rows) + PAD);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        let place = |of: &[&str], name: &str| of.iter().position(|one| *one == name).unwrap_or_default();
        for (at, (_, sides)) in between.iter().enumerate() {
            let lines = sides
                .written_by()
                .into_iter()
                .map(|by| (x[0] + widths[0], place(&left, by), x[1], at))
                .chain(sides.readers.iter().map(|by| (x[1] + widths[1], at, x[2], place(&right, by))));
            for (from, above, to, below) in lines {
                let (above, below, half) = (y(above) + BOX / 2, y(below) + BOX / 2, from.midpoint(to));
                let _ = writeln!(
                    out,
                    "<path d=\"M{from},{above} C{half},{above} {half},{below} {to},{below}\" fill=\"none\" stroke=\"#888\"/>"
                );
            }
        }
        let red = |at: usize| self.is_one_sided(&between[at].0, between[at].1);
        for (column, names) in [&left, &middle, &right].into_iter().enumerate() {
            for (at, name) in names.iter().enumerate() {
                let is_between = column == 1;
                let stroke = if is_between && red(at) { "#c00" } else { "#333" };
                let (from, top, wide, round) =
                    (x[column], y(at), widths[column], if is_between { BOX / 2 } else { 2 });
                let _ = writeln!(
                    out,
                    "<rect x=\"{from}\" y=\"{top}\" width=\"{wide}\" height=\"{BOX}\" rx=\"{round}\" fill=\"#fff\" stroke=\"{stroke}\"/>\
                     <text x=\"{}\" y=\"{}\">{}</text>",
                    from + PAD,
                    top + BOX - 6,
                    marked_up(name)
                );
            }
        }
        out + "</svg>\n"
    }
}

/// Names shorter than this are nearly the same only where they differ by one letter.
const SHORT: usize = 8;

/// The sizes of a drawn graph.
const LETTER: usize = 8;
const PAD: usize = 10;
const BOX: usize = 20;
const LINE: usize = 28;
const BETWEEN: usize = 120;

/// A name in markup, cut where it is long.
fn marked_up(name: &str) -> String {
    let name: String = text::shown(name).chars().take(80).collect();
    name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn row(what: &str, name: &str, sides: &Sides<'_>, note: &str) -> Vec<Cell> {
    let joined = |of: &BTreeSet<&str>| of.iter().copied().collect::<Vec<_>>().join(" ");
    vec![
        what.into(),
        name.into(),
        joined(&sides.readers).into(),
        joined(&sides.evicts).into(),
        joined(&sides.puts).into(),
        note.into(),
    ]
}
