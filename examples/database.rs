//! A watched database: writes evict by themselves, and nobody names what they concern.
//!
//! Two statistics are cached, with `recorded` and without a tag. What their queries read are their tags, so a delete that cascades from
//! airports to runways evicts both, and one of an unrelated table neither; what is rolled back evicts nothing.

use cachemacro::{Cache, cache_config, cached};
use cachemacro_sql::Watched;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

const SCHEMA: &str = "
    CREATE TABLE airports (icao TEXT PRIMARY KEY, country TEXT NOT NULL);
    CREATE TABLE runways (icao TEXT NOT NULL REFERENCES airports ON DELETE CASCADE, length INTEGER NOT NULL);
    CREATE TABLE visits (icao TEXT NOT NULL);
    INSERT INTO airports VALUES ('EGLL', 'GB'), ('EGKK', 'GB'), ('EDDF', 'DE');
    INSERT INTO runways VALUES ('EGLL', 3902), ('EGKK', 3316), ('EDDF', 3800);
";

struct Airports {
    db: Watched<SqlitePool>,
    cache: Cache,
}

#[cache_config(cache = self.cache, ttl = "1h")]
impl Airports {
    #[cached(prefix = "airports", key = "{country}", recorded)]
    async fn airports(&self, country: &str) -> sqlx::Result<i64> {
        let sql = "SELECT COUNT(*) FROM airports WHERE country = ?";
        sqlx::query_scalar(sql).bind(country).fetch_one(&self.db).await
    }

    #[cached(prefix = "longest", recorded)]
    async fn longest_runway(&self) -> sqlx::Result<i64> {
        sqlx::query_scalar("SELECT MAX(length) FROM runways").fetch_one(&self.db).await
    }

    /// Reads both, and says what of it was loaded.
    async fn read(&self, step: &str) -> sqlx::Result<()> {
        let before = self.cache.stats().total.loads;
        let (airports, longest) = (self.airports("GB").await?, self.longest_runway().await?);
        let loads = self.cache.stats().total.loads - before;
        println!("{step}: {airports} airports, longest runway {longest} m, {loads} loads");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> sqlx::Result<()> {
    // A database in memory belongs to its connection.
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    let cache = Cache::memory();
    let airports = Airports { db: Watched::new(pool).cache(&cache), cache };

    airports.read("at first").await?;
    airports.read("again").await?;

    sqlx::query("INSERT INTO visits VALUES (?)").bind("EGLL").execute(&airports.db).await?;
    airports.read("after a visit").await?;

    sqlx::query("UPDATE runways SET length = 4200 WHERE icao = ?").bind("EDDF").execute(&airports.db).await?;
    airports.read("a longer runway").await?;

    let mut tx = airports.db.begin().await?;
    sqlx::query("DELETE FROM airports").execute(&mut tx).await?;
    tx.rollback().await?;
    airports.read("all closed, and rolled back").await?;

    sqlx::query("DELETE FROM airports WHERE icao = ?").bind("EDDF").execute(&airports.db).await?;
    airports.read("Frankfurt closed, with its runway").await
}
