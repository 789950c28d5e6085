//! `search`: finds keys by a pattern, and values where it is asked to look into them.

use std::time::Duration;

use cachemacro::MissReason;
use cachemacro::header;
use cachemacro::inspect::{Expects, Look};
use tokio::time::sleep;

use super::shown::{MOST_SHOWN, codec, content, nothing, shown_key};
use crate::args::{Args, SearchArgs};
use crate::failure::Done;
use crate::pattern::Pattern;
use crate::place::Place;
use crate::sweep::{AS_LONG_AS_IT_IS_KEPT, Found, sweep_and};
use crate::table::{Cell, Table};
use crate::text;

/// Codecs whose bytes cannot be read without the type: bincode and postcard. Text stands in them as it is.
const COMPACT: [u8; 2] = [1, 2];

pub(crate) async fn search(args: &Args, what: &SearchArgs) -> Done {
    let pattern = what.pattern.as_deref().unwrap_or_default();
    let pattern = if what.regex { Pattern::regex(pattern)? } else { Pattern::new(pattern) };
    let place = Place::new(&args.place)?;
    let mut table = Table::new(&["key", "found_in", "state", "bytes", "codec"]);
    let per_key = Duration::from_secs(1) / args.place.rate;
    let expects = Expects::new().stale(AS_LONG_AS_IT_IS_KEPT);
    sweep_and(&place, &args.place, "", async |Found { key, head }| {
        if pattern.fits(&key) {
            let state = head.reason.map_or(head.age.unwrap_or("fresh"), MissReason::as_str);
            let codec = head.header.map(|header| header.codec);
            table.row(row(args, &key, "key", state, head.length, codec));
        } else if what.values && head.header.is_some() {
            sleep(per_key).await;
            let look = place.inspector.look(&key, &expects).await?;
            if readable(&look).is_some_and(|value| pattern.fits(&value)) {
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

/// A value as text, where it is one that a read would find. What is sealed is not looked into.
fn readable(look: &Look) -> Option<String> {
    let (header, payload) = (look.header?, look.payload.as_ref()?);
    if header.has(header::SEALED) || header.has(header::NONE) {
        return None;
    }
    let as_it_is = COMPACT.contains(&header.codec) || payload.len() > MOST_SHOWN;
    Some(if as_it_is { text::of_bytes(payload) } else { content(&header, look, None) })
}
