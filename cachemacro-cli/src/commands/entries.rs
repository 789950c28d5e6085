//! `list`, `inspect` and `explain`: single entries.

use std::time::Duration;

use cachemacro::header::{self, Header};
use cachemacro::inspect::{Expects, Look};
use cachemacro::{MissReason, Timestamp};

use super::shown::{codec, content, fleet_if_any, nothing, shown_key, shown_tag};
use crate::args::Args;
use crate::compact::Compact;
use crate::failure::{Done, Failure};
use crate::pattern::Pattern;
use crate::place::Place;
use crate::sweep::{AS_LONG_AS_IT_IS_KEPT, TOUCHES, UNTOUCHED, counts_as_use, names, sweep};
use crate::table::{Cell, Table};
use crate::text;

pub(crate) async fn list(args: &Args, pattern: Option<&str>, limit: usize) -> Done {
    let pattern = pattern.map(Pattern::new);
    let place = Place::new(&args.place)?;
    let fleet = fleet_if_any(&place).await;
    let now = place.inspector.time().await?;
    let mut table = Table::new(&["key", "state", "age", "ttl", "bytes", "codec", "tags"]);
    let fits = |key: &str| pattern.as_ref().is_none_or(|pattern| pattern.fits(key));
    let mut is_cut = false;
    if !args.place.touch && counts_as_use(&place).await {
        text::tell(&format!("{TOUCHES}: only names are shown; --touch shows all; {UNTOUCHED}"));
        names(&place, &args.place, "", |key| {
            if fits(&key) {
                is_cut = table.rows.len() == limit;
                if !is_cut {
                    let unknown = std::iter::repeat_n(Cell::None, table.columns.len() - 1);
                    let name = Cell::from(shown_key(&key, &args.output));
                    table.row(std::iter::once(name).chain(unknown).collect::<Vec<_>>());
                }
            }
            !is_cut
        })
        .await?;
        return listed(args, table, is_cut, limit);
    }
    sweep(&place, &args.place, "", |found| {
        if !fits(&found.key) {
            return true;
        }
        if table.rows.len() == limit {
            is_cut = true;
            return false;
        }
        let names = fleet.tags_of(&found.key);
        let tags: Vec<String> =
            found.head.tags.iter().map(|tag| shown_tag(tag.tag, &names, &fleet, &args.output)).collect();
        let state = found.head.reason.map_or(found.head.age.unwrap_or("fresh"), MissReason::as_str);
        let (age, codec) = match &found.head.header {
            Some(header) if !header.has(header::PENDING) => {
                (since(header.stored_at, now), codec(header.codec).into())
            }
            _ => (Cell::None, Cell::None),
        };
        table.row([
            Cell::from(shown_key(&found.key, &args.output)),
            state.into(),
            age,
            found.head.left.map_or(Cell::None, seconds),
            Cell::Bytes(found.head.length as u64),
            codec,
            tags.join(" ").into(),
        ]);
        true
    })
    .await?;
    listed(args, table, is_cut, limit)
}

fn listed(args: &Args, mut table: Table, is_cut: bool, limit: usize) -> Done {
    table.rows.sort_by(|one, other| match (&one[0], &other[0]) {
        (Cell::Text(one), Cell::Text(other)) => one.cmp(other),
        _ => std::cmp::Ordering::Equal,
    });
    table.write(&args.output)?;
    if is_cut {
        text::tell(&format!("there are more than {limit} keys; --limit shows more"));
    }
    nothing(&table.rows)
}

pub(crate) async fn inspect(args: &Args, key: &str, value: bool) -> Done {
    let place = Place::new(&args.place)?;
    // The same state that `list` shows.
    let look = place.inspector.look(key, &Expects::new().stale(AS_LONG_AS_IT_IS_KEPT)).await?;
    let fleet = fleet_if_any(&place).await;
    let owners = fleet.owners(key);
    let mut table = Table::new(&["field", "value"]);
    let mut row = |field: &str, cell: Cell| table.row([Cell::from(field), cell]);
    row("key", shown_key(key, &args.output).into());
    if look.length == 0 {
        row("state", "absent".into());
        table.write(&args.output)?;
        place.hint_at(key);
        return Err(Failure::Shown);
    }
    let mut sites: Vec<&str> = owners.iter().map(|owner| owner.site.site.as_str()).collect();
    sites.dedup();
    row("site", if sites.is_empty() { Cell::None } else { sites.join(", ").into() });
    row("bytes", Cell::Bytes(look.length as u64));
    row("ttl", look.left.map_or(Cell::None, seconds));
    let Some(header) = look.header else {
        row("state", "malformed".into());
        table.write(&args.output)?;
        return Err(Failure::Shown);
    };
    row("state", look.reason.map_or(look.age.unwrap_or("fresh"), MissReason::as_str).into());
    row("value", value_kind(&header).into());
    row("codec", codec(header.codec).into());
    row("schema", format!("{:016x}", header.schema).into());
    row("fill_id", format!("{:016x}", header.fill_id.get()).into());
    row("stored", since(header.stored_at, look.now));
    row("fresh_for", seconds(header.fresh_until.since(look.now)));
    row("gone_in", seconds(header.gone_at.since(look.now)));
    row("load_time", seconds(Duration::from_millis(u64::from(header.load_millis))));
    row("compressed", header.has(header::COMPRESSED).to_string().into());
    row("lease", lease(&header, look.now));
    let names = fleet.tags_of(key);
    for tag in &look.tags {
        let holds = if tag.holds { "" } else { " (evicted since, or its version lost)" };
        row("tag", format!("{}{holds}", shown_tag(tag.tag, &names, &fleet, &args.output)).into());
    }
    if value {
        let layout = match Compact::of(header.codec) {
            Some(_) => place.inspector.layout(header.schema).await.unwrap_or_default(),
            None => None,
        };
        row("content", content(&header, &look, layout.as_ref()).into());
    }
    table.write(&args.output)?;
    if look.reason == Some(MissReason::Malformed) { Err(Failure::Shown) } else { Ok(()) }
}

pub(crate) async fn explain(args: &Args, key: &str) -> Done {
    let place = Place::new(&args.place)?;
    let fleet = fleet_if_any(&place).await;
    let owners = fleet.owners(key);
    let mut table = Table::new(&["site", "processes", "next_read", "why", "what_to_do"]);
    let (mut hits, mut is_absent) = (true, false);
    let names = fleet.tags_of(key);
    let evicted = |look: &Look| -> Vec<String> {
        let gone = look.tags.iter().filter(|tag| !tag.holds);
        gone.map(|tag| shown_tag(tag.tag, &names, &fleet, &args.output)).collect()
    };
    if owners.is_empty() {
        let look = place.inspector.look(key, &fleet.ages().expected(Expects::new())).await?;
        text::tell(
            "no process reported a function with such keys: codec, schema and tags are taken as stored",
        );
        hits &= look.reason.is_none();
        is_absent |= look.length == 0;
        table.row(verdict(Cell::None, Cell::None, &look, &evicted(&look)));
    }
    for owner in &owners {
        let mut expects = owner.ages.expected(Expects::new().codec(owner.stored.codec).tags(owner.tags()));
        if let Some(schema) = owner.schema() {
            expects = expects.schema(schema);
        }
        let look = place.inspector.look(key, &expects).await?;
        if !owner.knows_all_tags() && look.reason.is_none() {
            text::tell(&format!(
                "some tags of {} do not follow from the key and were not compared",
                owner.site.site
            ));
        }
        hits &= look.reason.is_none();
        is_absent |= look.length == 0;
        table.row(verdict(owner.site.site.as_str().into(), owner.processes.into(), &look, &evicted(&look)));
    }
    table.write(&args.output)?;
    if is_absent {
        place.hint_at(key);
    }
    if hits { Ok(()) } else { Err(Failure::Shown) }
}

/// One row of `explain`. `evicted` are the names of the tags whose versions moved.
fn verdict(site: Cell, processes: Cell, look: &Look, evicted: &[String]) -> Vec<Cell> {
    let (read, why, remedy) = match (look.reason, look.age) {
        (None, Some(age @ ("due" | "stale"))) => {
            ("hit", format!("{age}: it serves while one caller loads it anew"), "")
        }
        (None, age) => ("hit", age.unwrap_or("fresh").to_owned(), ""),
        (Some(reason), _) => {
            ("miss", format!("{}: {}", reason.as_str(), because(reason, look, evicted)), remedy(reason))
        }
    };
    vec![site, processes, read.into(), why.into(), remedy.into()]
}

/// A sentence on why the next read is a miss, by what is stored.
fn because(reason: MissReason, look: &Look, evicted: &[String]) -> String {
    match reason {
        MissReason::Absent => "nothing is there: never stored, evicted, or dropped by the server".to_owned(),
        MissReason::Pending => "a load is under way and holds the lease".to_owned(),
        MissReason::Expired => match look.header {
            Some(header) => {
                format!("its TTL ended {} ago", text::time(look.now.since(header.fresh_until).as_secs_f64()))
            }
            None => "its TTL ended".to_owned(),
        },
        MissReason::TagEvicted => {
            let (gone, all) = (evicted.len(), look.tags.len());
            format!(
                "{gone} of its {all} tags were evicted since, or their versions lost: {}",
                evicted.join(" ")
            )
        }
        MissReason::TagLacking => "it was stored without a tag that the function names".to_owned(),
        MissReason::Malformed => "foreign, truncated or damaged bytes".to_owned(),
        MissReason::OtherKey => "it was stored under another key".to_owned(),
        MissReason::OtherCodec => "another codec stored it".to_owned(),
        MissReason::OtherSchema => "it was stored by a release whose type has another shape".to_owned(),
        MissReason::Undecodable => "the payload cannot be unpacked".to_owned(),
        MissReason::Unsealed => {
            "it lies in plain where sealed ones are meant, or is sealed by a key that is not known here"
                .to_owned()
        }
        _ => reason.as_str().replace('_', " "),
    }
}

const fn remedy(reason: MissReason) -> &'static str {
    match reason {
        MissReason::Absent => {
            "if it should be there: is the server full (`doctor`), and is it stored (`stats`: loads, not_stored)?"
        }
        MissReason::Pending => "wait for it; a loader that died lets go after 3 s",
        MissReason::Expired => "nothing; a longer `ttl`, or `stale` to serve it meanwhile",
        MissReason::TagEvicted => "nothing, if that was meant; `tags` shows who shares the tag",
        MissReason::TagLacking | MissReason::OtherSchema => {
            "nothing; while two releases run, each overwrites the other's"
        }
        MissReason::Malformed | MissReason::OtherKey => "who else writes here? the next load overwrites it",
        MissReason::OtherCodec => "give all releases one codec; the next load overwrites it",
        MissReason::Undecodable => "which release wrote it, with which features?",
        MissReason::Unsealed => {
            "give all releases, and this tool, the same keys to seal with; the next load overwrites it"
        }
        _ => "",
    }
}

const fn value_kind(header: &Header) -> &'static str {
    if header.has(header::PENDING) {
        "pending"
    } else if header.has(header::NONE) {
        "none"
    } else if header.has(header::ERROR) {
        "error"
    } else {
        "value"
    }
}

fn lease(header: &Header, now: Timestamp) -> Cell {
    if !header.is_leased(now) {
        return Cell::None;
    }
    let whose = if header.has(header::PUT) { "a put" } else { "a load" };
    format!("{whose}, for {} more", text::time(header.lease_deadline.since(now).as_secs_f64())).into()
}

fn since(then: Timestamp, now: Timestamp) -> Cell {
    if then.millis() == 0 { Cell::None } else { seconds(now.since(then)) }
}

const fn seconds(time: Duration) -> Cell {
    Cell::Seconds(time.as_secs_f64())
}
