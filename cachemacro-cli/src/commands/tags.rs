//! `tags`: which tags entries carry.

use std::collections::HashMap;

use super::shown::{fleet_if_any, nothing, shown_tag};
use crate::args::Args;
use crate::failure::Done;
use crate::place::Place;
use crate::sweep::sweep;
use crate::table::{Cell, Table};

/// One tag's entries.
#[derive(Default)]
struct Carried {
    entries: u64,
    bytes: u64,
    /// The tag's possible names: what the templates of its entries' functions make of their keys.
    names: Vec<String>,
}

pub(crate) async fn tags(args: &Args) -> Done {
    let place = Place::new(&args.place)?;
    let fleet = fleet_if_any(&place).await;
    let mut tags: HashMap<u64, Carried> = HashMap::new();
    sweep(&place, &args.place, "", |found| {
        // An entry that was evicted, or is gone, carries no tag any more.
        let is_there = found.head.reason.is_none() && !found.head.tags.is_empty();
        if is_there {
            let names = fleet.tags_of(&found.key);
            for tag in found.head.tags.iter().map(|stamped| stamped.tag) {
                let carried = tags.entry(tag).or_default();
                carried.entries += 1;
                carried.bytes += found.head.length as u64;
                let name = names.iter().find(|name| cachemacro::inspect::tag_hash(name) == tag);
                if let Some(name) = name.filter(|name| !carried.names.contains(name)) {
                    carried.names.push(name.clone());
                }
            }
        }
        true
    })
    .await?;
    let mut tags: Vec<(u64, Carried)> = tags.into_iter().collect();
    tags.sort_by_key(|(hash, carried)| (std::cmp::Reverse(carried.entries), *hash));
    let mut table = Table::new(&["tag", "entries", "bytes"]);
    for (hash, carried) in &tags {
        table.row([
            Cell::from(shown_tag(*hash, &carried.names, &fleet, &args.output)),
            carried.entries.into(),
            Cell::Bytes(carried.bytes),
        ]);
    }
    table.write(&args.output)?;
    nothing(&tags)
}
