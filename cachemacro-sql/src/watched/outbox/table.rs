//! A table whose changes triggers are to note.

use sqlx_core::error::Error;

use crate::sql::catalogue::Catalogue;

/// A table whose changes triggers note, for [`install`](crate::install).
///
/// ```
/// let airports = cachemacro_sql::table("airports").key("icao");
/// assert_eq!(airports, cachemacro_sql::table("airports").key("icao"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    name: String,
    key: Option<String>,
    notifies: bool,
}

/// A table of this name, or of `schema.name` outside of the schema that is searched first. Its rows are not told apart.
///
/// ```
/// assert_ne!(cachemacro_sql::table("log"), cachemacro_sql::table("archive.log"));
/// ```
pub fn table(name: impl Into<String>) -> Table {
    Table { name: name.into(), key: None, notifies: false }
}

impl Table {
    /// The column whose value is the key in [`row`](crate::row).
    ///
    /// ```
    /// assert_ne!(cachemacro_sql::table("airports"), cachemacro_sql::table("airports").key("icao"));
    /// ```
    #[must_use]
    pub fn key(mut self, column: impl Into<String>) -> Self {
        self.key = Some(column.into());
        self
    }

    /// Its triggers tell with `NOTIFY` that they have noted something, so that it is evicted at once and not with the next round. Each commit
    /// takes one lock of the whole server for that: with many writers that costs more than the triggers themselves, and such a transaction
    /// cannot be prepared for a two-phase commit. A process that drains keeps one connection of its pool for it. Off; on PostgreSQL alone.
    ///
    /// ```
    /// let prices = cachemacro_sql::table("prices").key("id").notify();
    /// assert_ne!(prices, cachemacro_sql::table("prices").key("id"));
    /// ```
    #[must_use]
    pub fn notify(mut self) -> Self {
        self.notifies = true;
        self
    }
}

/// A table on which triggers are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// `None`: the schema that is searched first.
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
    pub(crate) key: Option<String>,
    /// The names by which it goes in tags; whether its key tells their rows apart.
    pub(crate) tags: Vec<(String, bool)>,
    /// Its triggers wake whoever drains.
    pub(crate) notifies: bool,
}

/// The tables on which triggers are to be, for these: themselves and their partitions.
///
/// # Errors
/// Where the database has no such table.
pub(crate) fn plan(catalogue: &Catalogue, tables: &[Table]) -> Result<Vec<Planned>, Error> {
    let mut planned = Vec::new();
    for Table { name, key, notifies } in tables {
        let wanted = catalogue.named(name);
        if !catalogue.has(&wanted) || catalogue.shown(&wanted).is_some() {
            return Err(Error::Configuration(format!("the database has no table {name}").into()));
        }
        let roots = catalogue.roots_of(&wanted);
        for part in catalogue.parts_of(&wanted) {
            let tags = catalogue.roots_of(&part);
            let tags = tags.into_iter().map(|root| {
                let is_keyed = key.is_some() && (root == wanted || roots.len() == 1 && roots.contains(&root));
                (root, is_keyed)
            });
            let (schema, name) = match part.split_once('.') {
                Some((schema, name)) => (Some(unescaped(schema)), unescaped(name)),
                None => (None, unescaped(&part)),
            };
            let (tags, notifies) = (tags.collect(), *notifies);
            planned.push(Planned { schema, name, key: key.clone(), tags, notifies });
        }
    }
    Ok(planned)
}

/// A name as the database has it.
fn unescaped(name: &str) -> String {
    name.replace("%2E", ".")
}

/// A text as a literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name as an identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A short name for a text, the same in each process.
pub(crate) fn digest(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dialect::Dialect;

    #[test]
    fn partitions_have_triggers_of_their_own_and_the_name_of_the_whole() {
        let catalogue = Catalogue::new(Dialect::Postgres)
            .table("events")
            .partition("old.events_1", "events")
            .partition("wares", "goods")
            .partition("wares", "things")
            .table("goods")
            .view("shown", ["events"]);
        let planned =
            plan(&catalogue, &[table("events").key("id"), table("goods").key("id")]).expect("they are there");
        let named: Vec<_> =
            planned.iter().map(|planned| (planned.name.as_str(), planned.tags.clone())).collect();
        let tag = |name: &str, is_keyed| (name.to_owned(), is_keyed);
        assert_eq!(
            named,
            [
                ("events", vec![tag("events", true)]),
                ("events_1", vec![tag("events", true)]),
                ("goods", vec![tag("goods", true)]),
                ("wares", vec![tag("goods", true), tag("things", false)]),
            ]
        );
        assert_eq!(planned[1].schema.as_deref(), Some("old"));
        for none in ["shown", "unheard_of"] {
            plan(&catalogue, &[table(none)]).expect_err("it is no table");
        }
    }
}
