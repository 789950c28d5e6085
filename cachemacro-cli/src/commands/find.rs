//! `search --method`: finds values by the texts that functions with `search` store them with. Documents point to keys, and only what a read would give is shown.

use std::collections::BTreeSet;

use cachemacro::inspect::{Expects, Look};
use cachemacro_search::{Analyzer, Document, Found, Fuzzy, Index, Mirror, Query, StoreIndex};

use super::shown::{codec, content, nothing, shown_key};
use crate::args::{Args, Method, SearchArgs};
use crate::compact::Compact;
use crate::failure::{Done, Failure};
use crate::fleet::Fleet;
use crate::place::Place;
use crate::table::{Cell, Table};
use crate::text;

/// The most pages of an index that are read: one without an end would be read for ever.
const MOST_PAGES: usize = 100_000;

/// What was found and read.
struct Row {
    key: String,
    score: f32,
    look: Look,
    content: String,
}

pub(crate) async fn find(args: &Args, what: &SearchArgs, method: Method) -> Done {
    let place = Place::new(&args.place)?;
    let commands = place.cache.raw_commands();
    let index = StoreIndex::new(commands.ok_or_else(|| Failure::Usage("the store has no index".to_owned()))?);
    let text = what.pattern.as_deref().unwrap_or_default();
    let words = Analyzer::new();
    let query = Query::of(text, &words).threshold(what.threshold).map_err(refused)?.limit(what.limit);
    let mut rows = Vec::new();
    for prefix in prefixes(&place, what).await? {
        let under = place.cache.under(&prefix);
        let mirror = mirrored(&index, &under.begins).await?;
        let begins = under.begins.rsplit(':').next().unwrap_or_default();
        let found = match method {
            Method::Exact => mirror.exact(&query.clone().limit(Mirror::MOST)),
            Method::Vector => mirror.vector(&query.clone().limit(Mirror::MOST)),
            Method::Fuzzy => {
                let most = Fuzzy::candidates(what.limit);
                mirror.candidates(&query.clone().threshold(0.0).map_err(refused)?.limit(most))
            }
        };
        let most = if method == Method::Fuzzy { usize::MAX } else { what.limit };
        rows.extend(read(&place, begins, found, most).await?);
    }
    if method == Method::Fuzzy {
        let typed = Fuzzy::of(text);
        rows.retain_mut(|row| {
            let score = typed.rescored(row.score, texts_in(&row.content).as_deref());
            row.score = score.unwrap_or_default();
            score.is_some()
        });
    }
    let kept = query.keep(rows.iter().map(|row| Found::new(row.key.as_str(), row.score)).collect());
    let columns = ["score", "key", "state", "bytes", "codec", "value"];
    let mut table = Table::new(&columns[..columns.len() - usize::from(!what.values)]);
    for found in kept {
        let Some(row) = rows.iter().find(|row| *row.key == *found.key) else { continue };
        let header = row.look.header;
        let mut cells = vec![
            format!("{:.3}", found.score).into(),
            shown_key(&row.key, &args.output).into(),
            row.look.age.unwrap_or("fresh").into(),
            Cell::Bytes(row.look.length as u64),
            header.map_or(Cell::None, |header| codec(header.codec).into()),
        ];
        if what.values {
            cells.push(row.content.as_str().into());
        }
        table.row(cells);
    }
    table.write(&args.output)?;
    nothing(&table.rows)
}

fn refused(error: cachemacro_search::Error) -> Failure {
    Failure::Usage(error.to_string())
}

/// The prefixes to search: those that were named, else those of all functions that processes report.
async fn prefixes(place: &Place, what: &SearchArgs) -> Result<BTreeSet<String>, Failure> {
    if !what.prefix.is_empty() {
        return Ok(what.prefix.iter().cloned().collect());
    }
    let fleet = Fleet::of_place(place).await?;
    let sites = fleet.reports.iter().flat_map(|report| &report.sites);
    let stored = sites.flat_map(|site| &site.stored_as).map(|stored| &stored.prefix);
    let prefixes: BTreeSet<String> = stored.map(|prefix| prefix.trim_end_matches(':').to_owned()).collect();
    if prefixes.is_empty() {
        return Err(Failure::Usage(
            "which prefix? no process reported functions within 30 s; --prefix names one".to_owned(),
        ));
    }
    Ok(prefixes)
}

/// All documents of a space, without following what changes: whoever only looks writes nothing.
async fn mirrored(index: &StoreIndex, space: &str) -> Result<Mirror, Failure> {
    let mut mirror = Mirror::with_limit(Mirror::MOST).map_err(refused)?;
    let mut from = None;
    for _ in 0..MOST_PAGES {
        let page = index.scan(space, from.as_ref()).await?;
        for laid in page.laid {
            let document = laid.bytes.as_deref().and_then(|bytes| Document::from_bytes(bytes).ok());
            if let Some(document) = document.filter(|document| document.key() == laid.key) {
                mirror.insert(document);
            }
        }
        from = page.next;
        if from.is_none() {
            return Ok(mirror);
        }
    }
    text::tell("the index has no end of documents; those that were read are searched");
    Ok(mirror)
}

/// What is found there now, up to so many.
async fn read(place: &Place, begins: &str, found: Vec<Found>, most: usize) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for found in found {
        if rows.len() >= most {
            break;
        }
        let key = format!("{begins}:{}", found.key);
        let look = place.inspector.look(&key, &Expects::new()).await?;
        let Some(header) = look.header.filter(|_| look.reason.is_none()) else { continue };
        let layout = match Compact::of(header.codec) {
            Some(_) => place.inspector.layout(header.schema).await.unwrap_or_default(),
            None => None,
        };
        let content = content(&header, &look, layout.as_ref());
        rows.push(Row { key, score: found.score, look, content });
    }
    Ok(rows)
}

/// The texts in a value, where it can be read without its type.
fn texts_in(content: &str) -> Option<Vec<String>> {
    fn add(value: serde_json::Value, texts: &mut Vec<String>) {
        match value {
            serde_json::Value::String(text) => texts.push(text),
            serde_json::Value::Array(values) => values.into_iter().for_each(|value| add(value, texts)),
            serde_json::Value::Object(fields) => fields.into_iter().for_each(|(_, value)| add(value, texts)),
            _ => {}
        }
    }
    let mut texts = Vec::new();
    add(serde_json::from_str(content).ok()?, &mut texts);
    Some(texts)
}
