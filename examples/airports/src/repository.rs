//! Airports in `SQLite`. It caches nothing; its connections are watched, so that whoever caches what it reads need not say when that changes.
//! It counts its statements, so that others can tell what caching saves.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cachemacro::Cache;
use cachemacro_sql::{Watched, install, table};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::error::Result;
use crate::geo::Point;
use crate::model::{Airport, Distance, Filter, Page, Runway, Statistics};
use crate::questions::folded;

/// Names change often, and are in a table of their own: what is made of the rest stays cached.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS airports (
        icao        TEXT PRIMARY KEY,
        iata        TEXT,
        city        TEXT NOT NULL,
        folded_city TEXT NOT NULL,
        subdivision TEXT NOT NULL,
        country     TEXT NOT NULL,
        elevation   REAL NOT NULL,
        latitude    REAL NOT NULL,
        longitude   REAL NOT NULL,
        time_zone   TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS airports_by_iata ON airports (iata) WHERE iata IS NOT NULL;
    CREATE INDEX IF NOT EXISTS airports_by_country ON airports (country);
    CREATE INDEX IF NOT EXISTS airports_by_city ON airports (folded_city);
    CREATE TABLE IF NOT EXISTS names (
        icao        TEXT PRIMARY KEY REFERENCES airports ON DELETE CASCADE,
        name        TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS runways (
        id          INTEGER PRIMARY KEY,
        icao        TEXT NOT NULL REFERENCES airports ON DELETE CASCADE,
        name        TEXT NOT NULL,
        length      INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS runways_by_airport ON runways (icao, name);
";

/// Rows of one `INSERT`; `SQLite` takes 32,766 parameters, and a row has ten.
const ROWS: usize = 500;

/// Connections of one process share locks on memory: more of them than cores get in one another's way.
const CONNECTIONS: u32 = 2;

/// Entries on one page of a list.
const PAGE: u32 = 20;

/// Statements that differ in their condition, because an index serves `country = ?` but not `? IS NULL OR country = ?`.
macro_rules! search {
    ($columns:literal, $condition:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM airports JOIN names USING (icao) WHERE ",
            $condition,
            " AND (?2 IS NULL OR name LIKE ?2 ESCAPE '\\') ",
            $rest
        )
    };
}

/// The table of airports. Cheap to clone; clones share connections and counter.
#[derive(Debug, Clone)]
pub struct Repository {
    db: Watched<SqlitePool>,
    queries: Arc<AtomicU64>,
    distance: Duration,
}

impl Repository {
    /// Opens the file, and makes it where it is missing. What its statements change is evicted from this cache; what others change in the
    /// file, too, unless caching is off.
    ///
    /// # Errors
    /// Where it cannot be opened or is no such database.
    pub async fn open(file: &Path, cache: &Cache) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        let db = Watched::new(pool).cache(cache);
        if !cache.is_disabled() {
            // Its task goes on as long as the database is in use.
            install(&db, [table("airports").key("icao"), table("names").key("icao"), table("runways")])
                .await?;
        }
        Ok(Self { db, queries: Arc::default(), distance: Duration::ZERO })
    }

    /// From now on each statement takes so much longer, as if the database were that far away, or that slow.
    #[must_use]
    pub fn distant(self, distance: Duration) -> Self {
        Self { distance, ..self }
    }

    /// How many statements were run for callers so far.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// Closes the file.
    pub async fn close(&self) {
        self.db.unwatched().close().await;
    }

    /// The connections, for one statement.
    async fn counted(&self) -> &Watched<SqlitePool> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        if !self.distance.is_zero() {
            let distance = self.distance;
            // Threads sleep exactly; a runtime's timers are up to a millisecond late. It cannot fail.
            let _ = tokio::task::spawn_blocking(move || std::thread::sleep(distance)).await;
        }
        &self.db
    }

    /// Whether there are no airports yet.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(sqlx::query("SELECT 1 FROM airports LIMIT 1")
            .fetch_optional(self.counted().await)
            .await?
            .is_none())
    }

    /// The airport with this ICAO code.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn by_icao(&self, icao: &str) -> Result<Option<Airport>> {
        let row = sqlx::query("SELECT * FROM airports JOIN names USING (icao) WHERE icao = ?1")
            .bind(icao)
            .fetch_optional(self.counted().await)
            .await?;
        Ok(row.as_ref().map(airport).transpose()?)
    }

    /// The airports with these ICAO codes, by their codes: one statement.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn by_icaos(&self, icaos: &[String]) -> Result<HashMap<String, Airport>> {
        // One parameter, however many codes, so the statement stays the same and prepared.
        let codes = serde_json::Value::from(icaos).to_string();
        let sql =
            "SELECT * FROM airports JOIN names USING (icao) WHERE icao IN (SELECT value FROM json_each(?1))";
        let rows = sqlx::query(sql).bind(codes).fetch_all(self.counted().await).await?;
        let by_code = |row| airport(row).map(|airport| (airport.icao.clone(), airport));
        Ok(rows.iter().map(by_code).collect::<sqlx::Result<_>>()?)
    }

    /// The airports of these cities, their words in small letters with a blank between two, by name, fifty at most.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn of_cities(&self, cities: &[String]) -> Result<Vec<Airport>> {
        let cities = serde_json::Value::from(cities).to_string();
        let rows = sqlx::query(
            "SELECT * FROM airports JOIN names USING (icao) WHERE folded_city IN (SELECT value FROM json_each(?1)) ORDER BY name, icao LIMIT 50",
        )
        .bind(cities)
        .fetch_all(self.counted().await)
        .await?;
        Ok(rows.iter().map(airport).collect::<sqlx::Result<_>>()?)
    }

    /// The ICAO code of the airport with this IATA code.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn icao_of(&self, iata: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT icao FROM airports WHERE iata = ?1 ORDER BY icao LIMIT 1")
            .bind(iata)
            .fetch_optional(self.counted().await)
            .await?;
        Ok(row.map(|row| row.try_get("icao")).transpose()?)
    }

    /// A page of the airports that match, by name: two statements.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn search(&self, filter: &Filter) -> Result<Page<Airport>> {
        let (count, page) = if filter.country.is_some() {
            (
                search!("COUNT(*)", "country = ?1", ""),
                search!("*", "country = ?1", "ORDER BY name, icao LIMIT ?3 OFFSET ?4"),
            )
        } else {
            (
                search!("COUNT(*)", "?1 IS NULL", ""),
                search!("*", "?1 IS NULL", "ORDER BY name, icao LIMIT ?3 OFFSET ?4"),
            )
        };
        let name = filter.name.as_deref().map(containing);
        let total = sqlx::query(count)
            .bind(&filter.country)
            .bind(&name)
            .fetch_one(self.counted().await)
            .await?
            .try_get(0)?;
        let rows = sqlx::query(page)
            .bind(&filter.country)
            .bind(&name)
            .bind(PAGE)
            .bind(i64::from(filter.page) * i64::from(PAGE))
            .fetch_all(self.counted().await)
            .await?;
        let items = rows.iter().map(airport).collect::<sqlx::Result<_>>()?;
        Ok(Page { total, page: filter.page, items })
    }

    /// Where an airport is.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn place(&self, icao: &str) -> Result<Option<Point>> {
        let row = sqlx::query("SELECT latitude, longitude FROM airports WHERE icao = ?1")
            .bind(icao)
            .fetch_optional(self.counted().await)
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Point { latitude: row.try_get(0)?, longitude: row.try_get(1)? }))
    }

    /// How far it is to the airports within `radius` kilometres of a point, the nearest first. There is no index for
    /// it: it reads the whole table.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn within(&self, center: Point, radius: f64) -> Result<Vec<Distance>> {
        let (latitudes, longitudes) = center.surroundings(radius);
        let rows = sqlx::query(
            "SELECT icao, country, latitude, longitude FROM airports
             WHERE latitude BETWEEN ?1 AND ?2 AND longitude BETWEEN ?3 AND ?4",
        )
        .bind(latitudes.start())
        .bind(latitudes.end())
        .bind(longitudes.start())
        .bind(longitudes.end())
        .fetch_all(self.counted().await)
        .await?;
        let mut near = Vec::new();
        for row in &rows {
            let point = Point { latitude: row.try_get(2)?, longitude: row.try_get(3)? };
            let kilometres = center.distance(point);
            if kilometres <= radius {
                near.push(Distance { icao: row.try_get(0)?, country: row.try_get(1)?, kilometres });
            }
        }
        near.sort_by(|one, other| one.kilometres.total_cmp(&other.kilometres));
        Ok(near)
    }

    /// Figures of one country.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn statistics(&self, country: &str) -> Result<Statistics> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS airports, COUNT(iata) AS with_iata, COUNT(DISTINCT time_zone) AS time_zones,
                    MAX(elevation) AS highest, AVG(elevation) AS mean_elevation
             FROM airports WHERE country = ?1",
        )
        .bind(country)
        .fetch_one(self.counted().await)
        .await?;
        Ok(Statistics {
            country: country.to_owned(),
            airports: row.try_get("airports")?,
            with_iata: row.try_get("with_iata")?,
            time_zones: row.try_get("time_zones")?,
            highest: row.try_get("highest")?,
            mean_elevation: row.try_get("mean_elevation")?,
        })
    }

    /// The runways of an airport, by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn runways(&self, icao: &str) -> Result<Vec<Runway>> {
        let rows = sqlx::query("SELECT name, length FROM runways WHERE icao = ?1 ORDER BY name")
            .bind(icao)
            .fetch_all(self.counted().await)
            .await?;
        rows.iter().map(|row| Ok(Runway { name: row.try_get(0)?, length: row.try_get(1)? })).collect()
    }

    /// Gives an airport these runways in place of those that it has.
    ///
    /// # Errors
    /// Where the database fails, or has no such airport.
    pub async fn rebuild(&self, icao: &str, runways: &[Runway]) -> Result<()> {
        let mut transaction = self.db.begin().await?;
        sqlx::query("DELETE FROM runways WHERE icao = ?1").bind(icao).execute(&mut transaction).await?;
        for Runway { name, length } in runways {
            sqlx::query("INSERT INTO runways (icao, name, length) VALUES (?1, ?2, ?3)")
                .bind(icao)
                .bind(name)
                .bind(length)
                .execute(&mut transaction)
                .await?;
        }
        self.queries.fetch_add(1, Ordering::Relaxed);
        Ok(transaction.commit().await?)
    }

    /// Renames an airport. Tells whether it was there.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn rename(&self, icao: &str, name: &str) -> Result<bool> {
        let renamed = sqlx::query("UPDATE names SET name = ?2 WHERE icao = ?1")
            .bind(icao)
            .bind(name)
            .execute(self.counted().await)
            .await?;
        Ok(renamed.rows_affected() > 0)
    }

    /// Removes an airport. Tells whether it was there.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn delete(&self, icao: &str) -> Result<bool> {
        let deleted = sqlx::query("DELETE FROM airports WHERE icao = ?1")
            .bind(icao)
            .execute(self.counted().await)
            .await?;
        Ok(deleted.rows_affected() > 0)
    }

    /// Adds airports, all or none. Those with a code that is there already replace it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn import(&self, airports: &[Airport]) -> Result<()> {
        let mut transaction = self.db.begin().await?;
        for rows in airports.chunks(ROWS) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO airports (icao, iata, city, folded_city, subdivision, country, elevation, latitude, longitude, time_zone) ",
            );
            insert.push_values(rows, |mut row, airport| {
                row.push_bind(&airport.icao)
                    .push_bind(&airport.iata)
                    .push_bind(&airport.city)
                    .push_bind(folded(&airport.city))
                    .push_bind(&airport.subdivision)
                    .push_bind(&airport.country)
                    .push_bind(airport.elevation)
                    .push_bind(airport.latitude)
                    .push_bind(airport.longitude)
                    .push_bind(&airport.time_zone);
            });
            // Not `REPLACE`, which would take the runways along.
            insert.push(
                " ON CONFLICT (icao) DO UPDATE SET iata = excluded.iata, city = excluded.city, folded_city = excluded.folded_city,
                  subdivision = excluded.subdivision, country = excluded.country, elevation = excluded.elevation,
                  latitude = excluded.latitude, longitude = excluded.longitude, time_zone = excluded.time_zone",
            );
            let mut names = QueryBuilder::<Sqlite>::new("INSERT INTO names (icao, name) ");
            names.push_values(rows, |mut row, airport| {
                row.push_bind(&airport.icao).push_bind(&airport.name);
            });
            names.push(" ON CONFLICT (icao) DO UPDATE SET name = excluded.name");
            self.queries.fetch_add(2, Ordering::Relaxed);
            insert.build().execute(&mut transaction).await?;
            names.build().execute(&mut transaction).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// The `LIKE` pattern of what contains a text, in any case of ASCII letters.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}

fn airport(row: &SqliteRow) -> sqlx::Result<Airport> {
    Ok(Airport {
        icao: row.try_get("icao")?,
        iata: row.try_get("iata")?,
        name: row.try_get("name")?,
        city: row.try_get("city")?,
        subdivision: row.try_get("subdivision")?,
        country: row.try_get("country")?,
        elevation: row.try_get("elevation")?,
        latitude: row.try_get("latitude")?,
        longitude: row.try_get("longitude")?,
        time_zone: row.try_get("time_zone")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;

    async fn loaded(folder: &tempfile::TempDir) -> Repository {
        let repository = Repository::open(&folder.path().join("test.sqlite"), &Cache::memory())
            .await
            .expect("a new database");
        repository.import(&data::bundled().expect("the bundled file is whole")).await.expect("room for it");
        repository
    }

    #[tokio::test]
    async fn what_a_name_contains_is_taken_literally() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let repository = loaded(&folder).await;
        let named = async |name: &str| {
            let filter = Filter { name: Some(name.to_owned()), ..Filter::default() };
            repository.search(&filter).await.expect("the database answers").total
        };
        assert!(named("heathrow").await > 0);
        assert!(repository.rename("EGLL", "50%_off\\now").await.expect("the database answers"));
        let renamed = repository.by_icao("EGLL").await.expect("the database answers");
        assert_eq!(renamed.map(|airport| airport.name).as_deref(), Some("50%_off\\now"));
        for literal in ["50%", "%_", "off\\now"] {
            assert_eq!(named(literal).await, 1, "{literal}");
        }
        assert_eq!(named("5_%").await, 0);
    }

    #[tokio::test]
    async fn an_airport_that_is_imported_again_keeps_its_runways_and_one_that_is_removed_takes_them_along() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let repository = loaded(&folder).await;
        let runways = [Runway { name: "09L/27R".to_owned(), length: 3_902 }];
        repository.rebuild("EGLL", &runways).await.expect("it is there");
        assert!(repository.rebuild("NOPE", &runways).await.is_err(), "no such airport");
        repository.import(&data::bundled().expect("the bundled file is whole")).await.expect("room for it");
        assert_eq!(repository.runways("EGLL").await.expect("the database answers"), runways);
        assert!(repository.delete("EGLL").await.expect("the database answers"));
        assert_eq!(repository.runways("EGLL").await.expect("the database answers"), []);
    }

    #[tokio::test]
    async fn a_distant_database_takes_longer_for_each_statement() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let repository = loaded(&folder).await;
        let distance = Duration::from_millis(50);
        let distant = repository.clone().distant(distance);
        let began = std::time::Instant::now();
        // Two statements.
        distant.search(&Filter::default()).await.expect("the database answers");
        assert!(began.elapsed() >= 2 * distance, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn distances_agree_with_a_look_at_every_airport() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let repository = loaded(&folder).await;
        let airports = data::bundled().expect("the bundled file is whole");
        // Fiji lies at the date line, and the South Pole has an airport, too.
        for icao in ["EDDF", "NFFN", "NZSP"] {
            let center = airports.iter().find(|airport| airport.icao == icao).expect("it is there").point();
            let mut expected: Vec<&str> = airports
                .iter()
                .filter(|airport| center.distance(airport.point()) <= 500.0)
                .map(|airport| airport.icao.as_str())
                .collect();
            let found = repository.within(center, 500.0).await.expect("the database answers");
            assert!(found.is_sorted_by_key(|near| near.kilometres), "{icao}");
            let mut found: Vec<&str> = found.iter().map(|near| near.icao.as_str()).collect();
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected, "{icao}");
        }
    }
}
