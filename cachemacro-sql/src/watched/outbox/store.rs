//! The rows of the outbox, and what they say.

use std::collections::{BTreeMap, BTreeSet};

use futures_core::future::BoxFuture;
use sqlx_core::error::Result;

use crate::sql::footprint::MOST_ROWS;

/// A backlog of more rows than this is one evict of all that is of the database.
pub(crate) const BACKLOG: usize = 10_000;

/// Of one table, so many keys are evicted one by one.
const MOST_KEYS: usize = 16 * MOST_ROWS;

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Noted {
    /// Drawn at random, so that none is given twice, and made of letters and digits.
    pub(crate) id: String,
    pub(crate) table: String,
    /// `None`: any.
    pub(crate) keys: Option<Vec<String>>,
    /// For so many seconds it has been there.
    pub(crate) age: f64,
}

/// What was found at one moment.
#[derive(Debug, Default)]
pub struct Looked {
    pub(crate) rows: Vec<Noted>,
    /// The tables, as they go in tags, on which triggers are missing or switched off, or others are than were installed.
    pub(crate) unseen: BTreeSet<String>,
}

impl Looked {
    /// Adds a row, or without an id a table that triggers do not see.
    pub(crate) fn add(
        &mut self,
        id: Option<String>,
        table: String,
        keys: Option<Vec<String>>,
        age: Option<f64>,
    ) {
        if let Some(id) = id {
            self.rows.push(Noted { id, table, keys, age: age.unwrap_or_default() });
        } else {
            self.unseen.insert(table);
        }
    }
}

/// The outbox of one database.
pub trait Store: Send + Sync {
    /// Rows, so many at most, and what triggers do not see: both as of one moment, so that rows which other triggers noted are not taken for
    /// those of ours.
    fn look(&self, most: usize) -> BoxFuture<'_, Result<Looked>>;

    /// Deletes these rows.
    fn delete(&self, ids: Vec<String>) -> BoxFuture<'_, Result<()>>;

    /// How many rows there are, and for how many seconds the oldest has been.
    fn waiting(&self) -> BoxFuture<'_, Result<(i64, f64)>>;

    /// Waits until triggers tell that they have noted something; for ever where they do not tell. It may be dropped at any time.
    fn woken(&self) -> BoxFuture<'_, ()>;

    /// Whether nobody can ask any more.
    fn is_closed(&self) -> bool;
}

/// The rows of tables that changed; `None`: any.
pub(crate) type Changed = BTreeMap<String, Option<BTreeSet<String>>>;

/// What these rows say.
pub(crate) fn changed<'n>(rows: impl Iterator<Item = &'n Noted>) -> Changed {
    let mut changed = Changed::new();
    for row in rows {
        let keys = changed.entry(row.table.clone()).or_insert_with(|| Some(BTreeSet::new()));
        match (&mut *keys, &row.keys) {
            (Some(keys), Some(more)) => keys.extend(more.iter().cloned()),
            _ => *keys = None,
        }
        if keys.as_ref().is_some_and(|keys| keys.len() > MOST_KEYS) {
            *keys = None;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_table_go_together_and_are_any_where_one_row_says_so() {
        let row = |table: &str, keys: Option<&[&str]>| {
            let keys = keys.map(|keys| keys.iter().map(|&key| key.to_owned()).collect());
            Noted { id: String::new(), table: table.to_owned(), keys, age: 0.0 }
        };
        let rows = [
            row("a", Some(&["1", "2"])),
            row("b", Some(&["1"])),
            row("a", Some(&["2", "3"])),
            row("b", None),
            row("b", Some(&["2"])),
        ];
        let changed = changed(rows.iter());
        assert_eq!(changed["a"], Some(["1", "2", "3"].map(str::to_owned).into()));
        assert_eq!(changed["b"], None);
        let many: Vec<Noted> = (0..=MOST_KEYS).map(|key| row("a", Some(&[&key.to_string()]))).collect();
        assert_eq!(super::changed(many.iter())["a"], None);
    }
}
