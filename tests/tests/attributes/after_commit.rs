//! Evicts bound to a transaction of a database: sent when it has committed, dropped when it was rolled back.
//!
//! Which test fails where a mechanism is removed, each of which was removed once:
//!
//! | removed | test |
//! |---|---|
//! | evicts are held back | `what_a_transaction_evicts_is_evicted_when_it_has_committed` |
//! | an error drops them | `what_was_rolled_back_stays_cached` |
//! | what an inner scope commits goes with the outer one | `a_savepoint_goes_with_the_transaction_around_it` |
//! | reads after a write neither read nor store | `what_a_transaction_reads_after_it_has_written_is_not_stored` |
//! | … nor those within it | `what_a_write_in_a_transaction_reads_itself_is_not_stored` |
//! | a caller that hangs up after the commit | `a_call_that_is_dropped_between_commit_and_evict_does_not_lose_the_evict` |

use std::pin::pin;

use cachemacro::store::faults::Op;
use cachemacro::{Cache, after_commit, cache_evict, cache_put, cached};
use cachemacro_tests::halt::reached;
use cachemacro_tests::{DEADLINE, Rig, wait_until};
use futures_util::FutureExt as _;
use sqlx::{Connection as _, SqliteConnection, SqlitePool};
use tempfile::TempDir;

type Done<T = ()> = Result<T, sqlx::Error>;

/// What a transaction ends with that is not to be committed.
fn no() -> sqlx::Error {
    sqlx::Error::RowNotFound
}

#[cached(prefix = "name", key = "{id}", entry = name_entry)]
async fn name(db: &SqlitePool, id: i64) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("SELECT name FROM users WHERE id = ?").bind(id).fetch_one(db).await
}

/// The same, read within a transaction.
#[cached(prefix = "name", key = "{id}")]
async fn name_within(tx: &mut SqliteConnection, id: i64) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("SELECT name FROM users WHERE id = ?").bind(id).fetch_one(tx).await
}

#[cache_evict(entry = name_entry(id))]
async fn rename(tx: &mut SqliteConnection, id: i64, to: &str) -> Done {
    sqlx::query("UPDATE users SET name = ? WHERE id = ?").bind(to).bind(id).execute(tx).await.map(drop)
}

#[cache_put(entry = name_entry(id))]
async fn rename_to(tx: &mut SqliteConnection, id: i64, to: &str) -> Result<String, sqlx::Error> {
    sqlx::query("UPDATE users SET name = ? WHERE id = ?").bind(to).bind(id).execute(tx).await?;
    Ok(to.to_owned())
}

/// Writes, and reads what it has written, through the cache.
#[cache_evict(entry = name_entry(id))]
async fn rename_and_look(tx: &mut SqliteConnection, id: i64, to: &str) -> Done<String> {
    sqlx::query("UPDATE users SET name = ? WHERE id = ?").bind(to).bind(id).execute(&mut *tx).await?;
    name_within(tx, id).await
}

/// A database with two users, in a file of its own.
async fn database() -> (TempDir, SqlitePool) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("db").display());
    let db = SqlitePool::connect(&url).await.expect("a database");
    sqlx::query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
        .execute(&db)
        .await
        .expect("a table");
    sqlx::query("INSERT INTO users VALUES (1, 'Ada'), (2, 'Bob')").execute(&db).await.expect("two users");
    (folder, db)
}

/// What is stored of a user, as somebody outside of the transaction reads it.
async fn stored(cache: &Cache, id: i64) -> Option<String> {
    let (cache, read) = (cache.clone(), async move { name_entry(id).get().await });
    tokio::spawn(async move { cache.scope(read).await }).await.expect("read").expect("the store answers")
}

#[expect(clippy::unnecessary_wraps, reason = "beside what is stored, which may be nothing")]
fn some(name: &str) -> Option<String> {
    Some(name.to_owned())
}

/// Upholds G1.
#[tokio::test]
async fn what_a_transaction_evicts_is_evicted_when_it_has_committed() {
    let (_folder, db) = database().await;
    let cache = Rig::memory().process().cache;
    let transaction = async {
        let mut tx = db.begin().await?;
        rename(&mut tx, 1, "Eve").await?;
        rename_to(&mut tx, 2, "Bert").await?;
        assert_eq!((stored(&cache, 1).await, stored(&cache, 2).await), (some("Ada"), some("Bob")), "not yet");
        tx.commit().await
    };
    let calls = async {
        assert_eq!((name(&db, 1).await?, name(&db, 2).await?), ("Ada".to_owned(), "Bob".to_owned()));
        after_commit(transaction).await?;
        assert_eq!((stored(&cache, 1).await, stored(&cache, 2).await), (None, None));
        assert_eq!((name(&db, 1).await?, name(&db, 2).await?), ("Eve".to_owned(), "Bert".to_owned()));
        Done::Ok(())
    };
    cache.scope(calls).await.expect("the database answers");
}

/// Upholds G1.
#[tokio::test]
async fn what_was_rolled_back_stays_cached() {
    let (_folder, db) = database().await;
    let cache = Rig::memory().process().cache;
    let transaction = async {
        let mut tx = db.begin().await?;
        rename(&mut tx, 1, "Eve").await?;
        rename_to(&mut tx, 2, "Bert").await?;
        tx.rollback().await?;
        Err::<(), _>(no())
    };
    let calls = async {
        name(&db, 1).await?;
        name(&db, 2).await?;
        after_commit(transaction).await.expect_err("as it returned");
        assert_eq!((stored(&cache, 1).await, stored(&cache, 2).await), (some("Ada"), some("Bob")));
        assert_eq!(cache.stats().total.failed_evicts, 0);
        Done::Ok(())
    };
    cache.scope(calls).await.expect("the database answers");
}

/// Upholds G1.
#[tokio::test]
async fn what_a_write_in_a_transaction_reads_itself_is_not_stored() {
    let (_folder, db) = database().await;
    let cache = Rig::memory().process().cache;
    let transaction = async {
        let mut tx = db.begin().await?;
        assert_eq!(rename_and_look(&mut tx, 1, "Eve").await?, "Eve");
        tx.rollback().await?;
        Err::<(), _>(no())
    };
    let calls = async {
        after_commit(transaction).await.expect_err("as it returned");
        assert_eq!(stored(&cache, 1).await, None, "it was rolled back");
        assert_eq!(name(&db, 1).await?, "Ada");
        Done::Ok(())
    };
    Box::pin(cache.scope(calls)).await.expect("the database answers");
}

/// Upholds G1.
#[tokio::test]
async fn a_savepoint_goes_with_the_transaction_around_it() {
    for (inner, outer) in [(true, true), (false, true), (true, false)] {
        let (_folder, db) = database().await;
        let cache = Rig::memory().process().cache;
        let transaction = async {
            let mut tx = db.begin().await?;
            rename(&mut tx, 1, "Eve").await?;
            let within = async {
                let mut savepoint = tx.begin().await?;
                rename(&mut savepoint, 2, "Bert").await?;
                if inner { savepoint.commit().await } else { savepoint.rollback().await.and(Err(no())) }
            };
            assert_eq!(after_commit(within).await.is_ok(), inner);
            assert_eq!(
                (stored(&cache, 1).await, stored(&cache, 2).await),
                (some("Ada"), some("Bob")),
                "not yet"
            );
            if outer { tx.commit().await } else { tx.rollback().await.and(Err(no())) }
        };
        let calls = async {
            name(&db, 1).await?;
            name(&db, 2).await?;
            assert_eq!(after_commit(transaction).await.is_ok(), outer);
            let left = (stored(&cache, 1).await, stored(&cache, 2).await);
            let expected = (some("Ada").filter(|_| !outer), some("Bob").filter(|_| !(inner && outer)));
            assert_eq!(left, expected, "inner: {inner}, outer: {outer}");
            let names = (name(&db, 1).await?, name(&db, 2).await?);
            assert_eq!(names.0, if outer { "Eve" } else { "Ada" });
            assert_eq!(names.1, if inner && outer { "Bert" } else { "Bob" });
            Done::Ok(())
        };
        Box::pin(cache.scope(calls)).await.expect("the database answers");
    }
}

/// Upholds G1.
#[tokio::test]
async fn what_a_transaction_reads_after_it_has_written_is_not_stored() {
    let (_folder, db) = database().await;
    let cache = Rig::memory().process().cache;
    let transaction = async {
        let mut tx = db.begin().await?;
        assert_eq!(name_within(&mut tx, 1).await?, "Ada", "read from the cache: nothing was written yet");
        rename(&mut tx, 1, "Eve").await?;
        assert_eq!(name_within(&mut tx, 1).await?, "Eve", "its own change");
        assert_eq!(name_within(&mut tx, 2).await?, "Bob");
        assert_eq!((stored(&cache, 1).await, stored(&cache, 2).await), (some("Ada"), None));
        tx.rollback().await?;
        Err::<(), _>(no())
    };
    let calls = async {
        name(&db, 1).await?;
        after_commit(transaction).await.expect_err("as it returned");
        assert_eq!(name(&db, 1).await?, "Ada");
        Done::Ok(())
    };
    cache.scope(calls).await.expect("the database answers");
}

/// Upholds G7.
#[tokio::test]
async fn a_call_that_is_dropped_between_commit_and_evict_does_not_lose_the_evict() {
    let (_folder, db) = database().await;
    let process = Rig::memory().process();
    let cache = &process.cache;
    cache.scope(name(&db, 1)).await.expect("the database answers");
    let gate = process.faults.gate(Op::Evict);
    {
        let transaction = async {
            let mut tx = db.begin().await?;
            rename(&mut tx, 1, "Eve").await?;
            tx.commit().await
        };
        let mut call = pin!(cache.scope(after_commit(transaction)));
        tokio::select! {
            _ = &mut call => panic!("it waits for its evict"),
            () = reached(&gate) => {}
        }
        assert!(call.as_mut().now_or_never().is_none());
    }
    drop(gate);
    wait_until("it is evicted", DEADLINE, async || stored(cache, 1).await.is_none()).await;
}
