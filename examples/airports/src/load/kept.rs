//! What a rename leaves in the cache: by the rows that an entry is made of, and by its tables alone.

use std::path::Path;

use cachemacro::Cache;

use super::Failure;
use crate::model::Airport;
use crate::repository::Repository;
use crate::service::Airports;

/// Of so many airports, how many stayed cached when one of them was renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// How many were cached.
    pub airports: usize,
    /// How many stayed whose entries carry the tags of their rows.
    pub by_row: usize,
    /// How many stayed whose entries carry the tags of their tables.
    pub by_table: usize,
}

/// So many are cached.
const AIRPORTS: usize = 1_000;

/// Caches airports both ways, renames one and counts what is left.
///
/// # Errors
/// Where the database or the cache fails.
pub async fn kept(file: &Path, cache: Cache, all: &[Airport]) -> Result<Kept, Failure> {
    cache.clear().await?;
    let airports = Airports::new(Repository::open(file, &cache).await?, cache.clone());
    let some = &all[..AIRPORTS.min(all.len())];
    let of_tables = |airport: &Airport| {
        cache.entry::<Airport>("of-tables", &airport.icao).with_tags(["db", "db:airports", "db:names"])
    };
    for airport in some {
        airports.lookup(&airport.icao).await?;
        of_tables(airport).set(airport).await?;
    }
    cache.stored().await;
    if let Some(airport) = some.first() {
        airports.rename(&airport.icao, "another name").await?;
        cache.stored().await;
    }
    let mut kept = Kept { airports: some.len(), by_row: 0, by_table: 0 };
    for airport in some {
        // The one that was renamed was asked for again.
        kept.by_row += usize::from(airport.icao != some[0].icao && airports.is_cached(&airport.icao).await?);
        kept.by_table += usize::from(of_tables(airport).has().await?);
    }
    airports.repository().close().await;
    cache.shutdown().await?;
    Ok(kept)
}
