//! `map`: which functions carry, and which evict, which tags and entries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::shown::{nothing, print};
use crate::args::Args;
use crate::failure::{Done, Failure};
use crate::fleet::Fleet;
use crate::table::{Cell, Table};
use crate::{template, text};

/// Who carries something, and who evicts it.
#[derive(Default)]
struct Sides<'a> {
    read_by: BTreeSet<&'a str>,
    evicted_by: BTreeSet<&'a str>,
}

/// Tags by their templates' shape, and entries by the function that gives them.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent findings, not the states of one machine")]
struct Map<'a> {
    tags: BTreeMap<String, Sides<'a>>,
    entries: BTreeMap<&'a str, Sides<'a>>,
    /// Cached functions that something evicts, by tag, entry, key or prefix.
    renewed: BTreeSet<&'a str>,
    cached: BTreeSet<&'a str>,
    /// Whether some function's tags come from an expression, and may be any.
    unknown_read: bool,
    unknown_evicted: bool,
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
        return print(graph.as_bytes());
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
        let mut evicted_prefixes = BTreeSet::new();
        for site in sites() {
            let name = site.site.as_str();
            // Only a function that reads names a type of value.
            if !site.value.is_empty() {
                map.cached.insert(name);
            }
            for tag in &site.tags {
                match template::shape(tag) {
                    Some(shape) => {
                        map.reads_variants |= template::is_variant(&shape);
                        map.tags.entry(shape).or_default().read_by.insert(name)
                    }
                    None => std::mem::replace(&mut map.unknown_read, true),
                };
            }
            if let Some(entry) = &site.entry {
                map.entries.entry(entry).or_default().read_by.insert(name);
            }
            for write in &site.writes {
                let (word, what) = write.split_once(' ').unwrap_or((write, ""));
                match word {
                    "tag" => match template::shape(what) {
                        Some(shape) => {
                            map.evicts_variants |= template::is_variant(&shape);
                            map.tags.entry(shape).or_default().evicted_by.insert(name);
                        }
                        None => map.unknown_evicted = true,
                    },
                    "put" | "entry" => {
                        map.entries.entry(what).or_default().evicted_by.insert(name);
                    }
                    "prefix" | "key" | "put_key" => {
                        evicted_prefixes.insert(what.split(':').next().unwrap_or_default());
                    }
                    _ => {}
                }
            }
        }
        for sides in
            map.tags.values().chain(map.entries.values()).filter(|sides| !sides.evicted_by.is_empty())
        {
            map.renewed.extend(&sides.read_by);
        }
        for site in sites() {
            if site.stored_as.iter().any(|stored| evicted_prefixes.contains(stored.prefix.as_str())) {
                map.renewed.insert(&site.site);
            }
        }
        map
    }

    fn has_orphans(&self) -> bool {
        self.tags.iter().any(|(tag, sides)| sides.read_by.is_empty() && !self.may_be_read(tag))
    }

    /// Whether an expression may make this tag that no template makes.
    fn may_be_read(&self, tag: &str) -> bool {
        self.unknown_read || self.reads_variants || template::is_variant(tag)
    }

    /// Whether an expression may evict this tag that no template evicts.
    fn may_be_evicted(&self, tag: &str) -> bool {
        self.unknown_evicted || self.evicts_variants != template::is_variant(tag)
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&["what", "name", "read_by", "evicted_by", "note"]);
        for (tag, sides) in &self.tags {
            let note = match (sides.read_by.is_empty(), sides.evicted_by.is_empty()) {
                (true, _) if self.may_be_read(tag) => "no template makes it; an expression may",
                (true, _) => "evicted, and no entry carries it",
                (_, true) if self.may_be_evicted(tag) => "no template evicts it; an expression may",
                (_, true) => "nothing evicts it",
                _ => "",
            };
            table.row(row("tag", tag, sides, note));
        }
        for (entry, sides) in &self.entries {
            // An entry that nobody reads is of a function that was not called yet, so it is not reported as misspelt.
            table.row(row("entry", entry, sides, ""));
        }
        for site in self.cached.difference(&self.renewed) {
            let only = Sides { read_by: BTreeSet::from([*site]), evicted_by: BTreeSet::new() };
            table.row(row("function", site, &only, "nothing but its TTL renews it"));
        }
        table
    }

    /// A graph in DOT: from the functions that evict, over tags and entries, to the functions that read.
    fn dot(&self) -> String {
        let quoted =
            |name: &str| format!("\"{}\"", text::shown(name).replace('\\', "\\\\").replace('"', "\\\""));
        let mut out = "digraph cachemacro {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
        for (name, sides) in self.between() {
            let _ = writeln!(out, "  {} [shape=ellipse];", quoted(&name));
            for by in &sides.evicted_by {
                let _ = writeln!(out, "  {} -> {};", quoted(by), quoted(&name));
            }
            for by in &sides.read_by {
                let _ = writeln!(out, "  {} -> {};", quoted(&name), quoted(by));
            }
        }
        out + "}\n"
    }

    /// Tags and entries, by what they are called in a graph.
    fn between(&self) -> impl Iterator<Item = (String, &Sides<'a>)> {
        let tags = self.tags.iter().map(|(name, sides)| (format!("tag {name}"), sides));
        tags.chain(self.entries.iter().map(|(name, sides)| (format!("entry {name}"), sides)))
    }

    /// The same graph, drawn: who evicts at the left, who reads at the right. What has one side alone is red.
    fn svg(&self) -> String {
        let between: Vec<(String, &Sides<'a>)> = self.between().collect();
        let sorted = |names: BTreeSet<&'a str>| names.into_iter().collect::<Vec<_>>();
        let left = sorted(between.iter().flat_map(|(_, sides)| &sides.evicted_by).copied().collect());
        let right = sorted(between.iter().flat_map(|(_, sides)| &sides.read_by).copied().collect());
        let middle: Vec<&str> = between.iter().map(|(name, _)| name.as_str()).collect();
        let width = |names: &[&str]| {
            let longest = names.iter().map(|name| text::shown(name).chars().count()).max().unwrap_or(8);
            longest.clamp(8, 80) * LETTER + 2 * PAD
        };
        let widths = [width(&left), width(&middle), width(&right)];
        let x = [PAD, PAD + widths[0] + BETWEEN, PAD + widths[0] + widths[1] + 2 * BETWEEN];
        let y = |at: usize| PAD + at * LINE;
        let rows = left.len().max(middle.len()).max(right.len());
        let (w, h) = (x[2] + widths[2] + PAD, y(rows) + PAD);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" font-family=\"monospace\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        let place = |of: &[&str], name: &str| of.iter().position(|one| *one == name).unwrap_or_default();
        for (at, (_, sides)) in between.iter().enumerate() {
            let lines = sides
                .evicted_by
                .iter()
                .map(|by| (x[0] + widths[0], place(&left, by), x[1], at))
                .chain(sides.read_by.iter().map(|by| (x[1] + widths[1], at, x[2], place(&right, by))));
            for (from, above, to, below) in lines {
                let (above, below, half) = (y(above) + BOX / 2, y(below) + BOX / 2, from.midpoint(to));
                let _ = writeln!(
                    out,
                    "<path d=\"M{from},{above} C{half},{above} {half},{below} {to},{below}\" fill=\"none\" stroke=\"#888\"/>"
                );
            }
        }
        let red = |at: usize| between[at].1.read_by.is_empty() || between[at].1.evicted_by.is_empty();
        for (column, names) in [&left, &middle, &right].into_iter().enumerate() {
            for (at, name) in names.iter().enumerate() {
                let is_between = column == 1;
                let stroke = if is_between && red(at) { "#c00" } else { "#333" };
                let (x, y, w, round) =
                    (x[column], y(at), widths[column], if is_between { BOX / 2 } else { 2 });
                let _ = writeln!(
                    out,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{BOX}\" rx=\"{round}\" fill=\"#fff\" stroke=\"{stroke}\"/>\
                     <text x=\"{}\" y=\"{}\">{}</text>",
                    x + PAD,
                    y + BOX - 6,
                    marked_up(name)
                );
            }
        }
        out + "</svg>\n"
    }
}

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
        joined(&sides.read_by).into(),
        joined(&sides.evicted_by).into(),
        note.into(),
    ]
}
