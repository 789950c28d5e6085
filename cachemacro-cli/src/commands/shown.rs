//! What several commands show alike: keys, tags, codecs, values, and that there was nothing.

use std::io::{self, Write as _};

use cachemacro::header::{self, Header};
use cachemacro::inspect::{Look, tag_hash};
use cachemacro::schema::Layout;

use crate::args::OutputArgs;
use crate::compact::Compact;
use crate::failure::{Done, Failure};
use crate::fleet::Fleet;
use crate::place::Place;
use crate::table::opened;
use crate::text;

/// The largest value that is taken apart to be shown: its parts take more memory than its bytes.
pub(super) const MOST_SHOWN: usize = 4 << 20;

/// Writes what is no table to the place that `--output` names.
pub(super) fn print(text: &[u8], output: &OutputArgs) -> Done {
    if let Some(file) = &output.output {
        let (mut file, _) = opened(file, output.append)?;
        return Ok(file.write_all(text)?);
    }
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()?;
    Ok(())
}

/// The key as it is shown.
pub(super) fn shown_key(key: &str, output: &OutputArgs) -> String {
    if output.redact { format!("#{:016x}", tag_hash(key)) } else { key.to_owned() }
}

/// A tag by its name, where one of these is it or a process told it, else by its hash.
pub(super) fn shown_tag(hash: u64, names: &[String], fleet: &Fleet, output: &OutputArgs) -> String {
    let named = names.iter().find(|name| tag_hash(name) == hash);
    match named.or_else(|| fleet.tag_names.get(&hash)) {
        Some(name) if !output.redact => name.clone(),
        _ => format!("#{hash:016x}"),
    }
}

/// The fleet, for what it knows of functions. What is shown without it is less, and no failure.
pub(super) async fn fleet_if_any(place: &Place) -> Fleet {
    match Fleet::of_place(place).await {
        Ok(fleet) => {
            if fleet.reports.is_empty() {
                text::tell(
                    "no process reported within 30 s, so functions and names of tags are not known; the first report comes 10 s after a start",
                );
            }
            fleet
        }
        Err(failure) => {
            text::tell(&format!("no reports, so functions and names of tags are not known: {failure}"));
            Fleet::default()
        }
    }
}

/// The codec of this id.
pub(super) fn codec(id: u8) -> String {
    let known = match id {
        0 => "none",
        1 => "bincode",
        2 => "postcard",
        3 => "msgpack",
        4 => "json",
        header::DECIMAL => "decimal",
        _ => return format!("codec {id}"),
    };
    known.to_owned()
}

/// How a command ends that showed these rows.
pub(super) const fn nothing<T>(found: &[T]) -> Done {
    if found.is_empty() { Err(Failure::Shown) } else { Ok(()) }
}

/// The value, where its codec is one that says what is what, or a process told how its type is laid out.
pub(super) fn content(header: &Header, look: &Look, layout: Option<&Layout>) -> String {
    if header.has(header::SEALED) {
        return "(sealed)".to_owned();
    }
    let Some(payload) = &look.payload else { return "(it is not readable now)".to_owned() };
    if header.has(header::NONE) {
        return "(none)".to_owned();
    }
    if payload.len() > MOST_SHOWN {
        return format!("({} bytes: too many to show)", payload.len());
    }
    match header.codec {
        header::DECIMAL => text::of_bytes(payload),
        4 => serde_json::from_slice::<serde_json::Value>(payload)
            .map_or_else(|_| "(no JSON)".to_owned(), |value| value.to_string()),
        3 => rmp_serde::from_slice::<serde_json::Value>(payload)
            .map_or_else(|_| "(nothing that JSON can show)".to_owned(), |value| value.to_string()),
        id => match (Compact::of(id), layout) {
            (Some(compact), Some(layout)) => compact.read(layout, payload).map_or_else(
                || "(no value of the type that its schema is of)".to_owned(),
                |value| value.to_string(),
            ),
            _ => format!(
                "({} bytes of {}, which does not say what is what; no process told in the last day how values of its schema are \
                 laid out)",
                payload.len(),
                codec(id)
            ),
        },
    }
}
