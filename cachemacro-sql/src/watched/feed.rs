//! What others say that has changed in a database.

use std::collections::BTreeSet;
use std::fmt::Display;

use cachemacro::{Removals, Result};
use futures_core::Stream;
use futures_util::{StreamExt as _, pin_mut};

use crate::sql::catalogue::Catalogue;
use crate::tags::changed_tags;
use crate::watched::handle::Watched;
use crate::watched::outbox::store::Changed;

/// So many changes are evicted together where they come faster than that.
const TOGETHER: usize = 256;

/// Rows of a table that somebody has changed, as a feed of changes tells it.
///
/// ```
/// use cachemacro_sql::Change;
///
/// let moved = Change::of("airports").key("EGLL").key("EGKK");
/// assert_ne!(moved, Change::of("airports"), "which is any row");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    table: String,
    keys: Option<BTreeSet<String>>,
}

impl Change {
    /// Any rows of this table, named as in tags: `schema.table` outside of the schema that is searched first.
    ///
    /// ```
    /// use cachemacro_sql::Change;
    ///
    /// assert_ne!(Change::of("airports"), Change::of("old.airports"));
    /// ```
    pub fn of(table: impl Into<String>) -> Self {
        Self { table: table.into(), keys: None }
    }

    /// The row of this key, and those of the other keys that are named. Of a row that has moved, both of its keys.
    ///
    /// ```
    /// use cachemacro_sql::Change;
    ///
    /// assert_eq!(Change::of("users").key(7), Change::of("users").key("7"));
    /// ```
    #[must_use]
    pub fn key(mut self, key: impl Display) -> Self {
        self.keys.get_or_insert_default().insert(key.to_string());
        self
    }
}

impl<P> Watched<P> {
    /// Evicts what was made of rows that others have changed; a feed acknowledges them then.
    ///
    /// ```
    /// # use cachemacro_sql::{Change, Watched, row};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = cachemacro::Cache::memory();
    /// let db = Watched::new(sqlx::SqlitePool::connect_lazy("sqlite::memory:")?).cache(&cache);
    /// let heathrow = cache.entry::<u32>("airport", "EGLL").with_tags(row("airports", "EGLL"));
    /// heathrow.set(&7).await?;
    /// db.changed([Change::of("airports").key("EGKK")]).await?;
    /// assert!(heathrow.has().await?);
    /// db.changed([Change::of("airports").key("EGLL")]).await?;
    /// assert!(!heathrow.has().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: they may still be served. Evicting them again is harmless.
    pub async fn changed(&self, changes: impl IntoIterator<Item = Change>) -> Result<()> {
        let names = Catalogue::new(self.shared.dialect());
        let mut changed = Changed::new();
        for Change { table, keys } in changes {
            let known = changed.entry(names.named(&table)).or_insert_with(|| Some(BTreeSet::new()));
            match (&mut *known, keys) {
                (Some(known), Some(keys)) => known.extend(keys),
                _ => *known = None,
            }
        }
        let removals = Removals::new().tags(changed_tags(&self.shared.about.name, &changed));
        if !removals.is_empty() {
            self.shared.cache().apply(&removals).await?;
        }
        Ok(())
    }

    /// Evicts what a feed tells, until it ends: of logical replication, Debezium, or a queue that another service writes to.
    ///
    /// ```
    /// use cachemacro_sql::{Change, Watched};
    /// use futures_util::{StreamExt as _, stream};
    /// use serde_json::{Value, json};
    ///
    /// /// Debezium's envelope: the row before and after, and where it is from.
    /// fn change(envelope: &Value) -> Change {
    ///     let table = envelope["source"]["table"].as_str().unwrap_or_default();
    ///     let keys = ["before", "after"].iter().filter_map(|side| envelope[side]["icao"].as_str());
    ///     keys.fold(Change::of(table), Change::key)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = cachemacro::Cache::memory();
    /// # let heathrow = cache.entry::<u32>("airport", "EGLL").with_tags(cachemacro_sql::row("airports", "EGLL"));
    /// # heathrow.set(&7).await?;
    /// let db = Watched::new(sqlx::SqlitePool::connect_lazy("sqlite::memory:")?).cache(&cache);
    /// let topic = stream::iter([json!({
    ///     "op": "u", "source": { "table": "airports" }, "before": { "icao": "EGLL" }, "after": { "icao": "EGKK" },
    /// })]);
    /// db.changes(topic.map(|envelope| change(&envelope))).await?;
    /// # assert!(!heathrow.has().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// At the first evict that failed, so that a feed does not acknowledge what was not evicted; see [`changed`](Self::changed).
    pub async fn changes(&self, changes: impl Stream<Item = Change>) -> Result<()> {
        let chunks = changes.ready_chunks(TOGETHER);
        pin_mut!(chunks);
        while let Some(changes) = chunks.next().await {
            self.changed(changes).await?;
        }
        Ok(())
    }
}
