//! `search`: finds keys by a pattern, and values where it is asked to look into them.

use std::collections::HashMap;
use std::time::Duration;

use cachemacro::MissReason;
use cachemacro::header::{self, Header};
use cachemacro::inspect::{Expects, Inspector, Look};
use cachemacro::schema::Layout;
use tokio::time::sleep;

use super::shown::{MOST_SHOWN, codec, content, nothing, shown_key};
use crate::args::{Args, SearchArgs};
use crate::compact::Compact;
use crate::failure::Done;
use crate::pattern::Pattern;
use crate::place::Place;
use crate::sweep::{AS_LONG_AS_IT_IS_KEPT, Found, sweep_and};
use crate::table::{Cell, Table};
use crate::text;

/// How many layouts are kept at once.
const MOST_LAYOUTS: usize = 256;

pub(crate) async fn search(args: &Args, what: &SearchArgs) -> Done {
    let pattern = what.pattern.as_deref().unwrap_or_default();
    let pattern = if what.regex { Pattern::regex(pattern)? } else { Pattern::new(pattern) };
    let place = Place::new(&args.place)?;
    let mut table = Table::new(&["key", "found_in", "state", "bytes", "codec"]);
    let per_key = Duration::from_secs(1) / args.place.rate();
    let mut layouts = Layouts::default();
    let expects = Expects::new().stale(AS_LONG_AS_IT_IS_KEPT);
    sweep_and(&place, &args.place, "", async |Found { key, head }| {
        if pattern.fits(&key) {
            let state = head.reason.map_or(head.age.unwrap_or("fresh"), MissReason::as_str);
            let codec = head.header.map(|header| header.codec);
            table.row(row(args, &key, "key", state, head.length, codec));
        } else if what.values && head.header.is_some() {
            sleep(per_key).await;
            let look = place.inspector.look(&key, &expects).await?;
            let layout = layouts.of(&place.inspector, look.header.as_ref()).await;
            if readable(&look, layout).is_some_and(|value| pattern.fits(&value)) {
                let state = look.age.unwrap_or("fresh");
                let codec = look.header.map(|header| header.codec);
                table.row(row(args, &key, "value", state, look.length, codec));
            }
        }
        Ok(table.rows.len() <= what.limit)
    })
    .await?;
    let is_cut = table.rows.len() > what.limit;
    table.rows.truncate(what.limit);
    table.rows.sort_by(|one, other| match (&one[0], &other[0]) {
        (Cell::Text(one), Cell::Text(other)) => one.cmp(other),
        _ => std::cmp::Ordering::Equal,
    });
    table.write(&args.output)?;
    if is_cut {
        text::tell(&format!("there are more than {}; --limit shows more", what.limit));
    }
    nothing(&table.rows)
}

fn row(args: &Args, key: &str, found_in: &str, state: &str, bytes: usize, of: Option<u8>) -> Vec<Cell> {
    vec![
        shown_key(key, &args.output).into(),
        found_in.into(),
        state.into(),
        Cell::Bytes(bytes as u64),
        of.map_or(Cell::None, |id| codec(id).into()),
    ]
}

/// How values of the schemas that occurred are laid out, each asked for once: one round trip for a type, not for a value.
/// Whoever may write there may write headers of any number of schemas: only so many are kept.
#[derive(Default)]
struct Layouts(HashMap<u64, Option<Layout>>);

impl Layouts {
    /// The layout of a value whose codec does not say what is what, where a process told it.
    async fn of(&mut self, inspector: &Inspector, header: Option<&Header>) -> Option<&Layout> {
        let header = header.filter(|header| Compact::of(header.codec).is_some())?;
        if !self.0.contains_key(&header.schema) {
            let told = inspector.layout(header.schema).await.unwrap_or_default();
            if self.0.len() == MOST_LAYOUTS {
                self.0.clear();
            }
            self.0.insert(header.schema, told);
        }
        self.0.get(&header.schema)?.as_ref()
    }
}

/// A value as text, where it is one that a read would find. What is sealed is not looked into. Of a codec that does not say what is what the
/// bytes, in which text stands as it is, where no layout is known.
fn readable(look: &Look, layout: Option<&Layout>) -> Option<String> {
    let (header, payload) = (look.header?, look.payload.as_ref()?);
    if header.has(header::SEALED) || header.has(header::NONE) {
        return None;
    }
    if payload.len() > MOST_SHOWN {
        return Some(text::of_bytes(payload));
    }
    match Compact::of(header.codec) {
        Some(compact) => {
            let value = layout.and_then(|layout| compact.read(layout, payload));
            Some(value.map_or_else(|| text::of_bytes(payload), |value| value.to_string()))
        }
        None => Some(content(&header, look, None)),
    }
}
