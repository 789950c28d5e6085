//! What functions that write ask of the store, and what they make of its failures.

use cachemacro::__private::{KeyBuilder, Plain, When, Writes, write};
use cachemacro::store::faults::Op;
use cachemacro::{Cache, Entry, Error, ErrorKind, cache_evict, cached, scope};
use cachemacro_tests::{Rig, on_both_stores};

fn row(cache: &Cache, id: u32) -> Entry<u32> {
    cache.entry("row", &id)
}

/// Something that has no key.
struct NoKey;

impl serde::Serialize for NoKey {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no key"))
    }
}

mod many {
    use super::*;

    #[cached(prefix = "many", key = "{id}", entry = many_entry)]
    async fn many(id: u32) -> u32 {
        id
    }

    #[cache_evict(entries = (0..n).map(many_entry), tags = ["many"])]
    async fn forget(n: u32) {
        let _ = n;
    }

    #[cache_evict(entries = result.iter().map(|id| many_entry(*id)))]
    async fn forget_late(n: u32) -> Vec<u32> {
        (0..n).collect()
    }

    pub(super) async fn many_entries_of_one_cache_go_in_one_evict(rig: Rig) {
        let process = rig.process();
        scope(process.cache.clone(), async {
            for late in [false, true] {
                for id in [0, 250, 499, 500] {
                    many(id).await;
                }
                let before = process.faults.count(Op::Evict);
                if late {
                    forget_late(500).await;
                } else {
                    forget(500).await;
                }
                assert_eq!(process.faults.count(Op::Evict) - before, 1, "late: {late}");
                for (id, left) in [(0, false), (250, false), (499, false), (500, true)] {
                    assert_eq!(many_entry(id).has().await.expect("the store answers"), left, "{id}");
                }
            }
        })
        .await;
    }

    #[tokio::test]
    async fn entries_of_several_caches_go_in_one_evict_each() {
        let rig = Rig::memory();
        let (one, two) = (rig.process(), rig.process());
        let entries: Vec<_> = [&one, &two, &one, &two].map(|process| row(&process.cache, 1)).into();
        let writes = Writes::new(Plain)
            .evict(Some(&one.cache), When::default())
            .evict_entries(&entries)
            .evict_key(KeyBuilder::new("row").literal("2"))
            .evict_prefix("other");
        let body = std::pin::pin!(async {});
        write(writes, body, |(), writes| writes).await;
        for process in [&one, &two] {
            assert_eq!(process.faults.count(Op::Evict), 1);
        }
        assert_eq!((one.faults.count(Op::EvictPrefix), two.faults.count(Op::EvictPrefix)), (1, 0));
    }
}

mod errors {
    use super::*;

    #[cache_evict(prefix = "row", key = "{id}", before, on_evict_error = "return")]
    async fn write_row(id: u32) -> Result<(), Error> {
        let _ = id;
        Ok(())
    }

    pub(super) async fn an_evict_that_is_made_up_for_is_no_failure(rig: Rig) {
        let process = rig.process();
        scope(process.cache.clone(), async {
            process.faults.fail_next(Op::Evict, 1, ErrorKind::Io);
            row(&process.cache, 1).set(&1).await.expect("the store answers");
            write_row(1).await.expect("the evict after the body succeeded");
            assert_eq!(row(&process.cache, 1).get().await.expect("the store answers"), None);

            process.faults.fail_next(Op::Evict, 2, ErrorKind::Io);
            let failed = write_row(1).await.expect_err("neither evict succeeded");
            assert_eq!(failed.kind(), ErrorKind::Io);
        })
        .await;
    }

    pub(super) async fn a_failing_store_is_told_before_a_key_that_cannot_be_built(rig: Rig) {
        let process = rig.process();
        let evict = || process.cache.evict().key("row", &NoKey).key("row", &1);
        row(&process.cache, 1).set(&1).await.expect("the store answers");
        process.faults.fail_next(Op::Evict, 1, ErrorKind::Io);
        assert_eq!(evict().run().await.expect_err("neither").kind(), ErrorKind::Io);
        assert_eq!(evict().run().await.expect_err("no key").kind(), ErrorKind::Key);
        assert_eq!(
            row(&process.cache, 1).get().await.expect("the store answers"),
            None,
            "the others are tried"
        );
        let stats = process.cache.stats().total;
        assert_eq!((stats.failed_evicts, stats.errors_of(ErrorKind::Key)), (2, 2));
    }
}

use errors::{
    a_failing_store_is_told_before_a_key_that_cannot_be_built, an_evict_that_is_made_up_for_is_no_failure,
};
use many::many_entries_of_one_cache_go_in_one_evict;

on_both_stores!(
    many_entries_of_one_cache_go_in_one_evict,
    an_evict_that_is_made_up_for_is_no_failure,
    a_failing_store_is_told_before_a_key_that_cannot_be_built,
);
