//! What functions that write ask of the store, and what they make of its failures.

use cachemacro::__private::{KeyBuilder, Plain, When, Writes, write};
use cachemacro::store::faults::Op;
use cachemacro::{Cache, Entry, Error, ErrorKind, cache_evict, cache_put, cached};
use cachemacro_tests::{Rig, on_both_stores};

fn row(cache: &Cache, id: u32) -> Entry<u32> {
    cache.entry("row", id)
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
        process
            .cache
            .scope(async {
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
        process
            .cache
            .scope(async {
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
        let evict = || process.cache.evict().key("row", &NoKey).key("row", 1);
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

mod tags {
    use std::fmt;

    use super::*;

    /// Prints its number, or half of it and an error.
    #[derive(Debug, Clone, Copy)]
    struct Org(Option<u32>);

    impl fmt::Display for Org {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                Some(org) => write!(f, "{org}"),
                None => f.write_str("1").and(Err(fmt::Error)),
            }
        }
    }

    #[cached(prefix = "tagged", key = "{id}", tags = ["org:{org}"], entry = tagged_entry)]
    async fn tagged(id: u32, org: Org) -> u32 {
        let _ = org;
        id
    }

    #[cache_put(entry = tagged_entry(id, org))]
    async fn put(id: u32, org: Org) -> u32 {
        let _ = org;
        id + 100
    }

    #[cache_put(prefix = "tagged", key = "{id}", tags = ["org:{org}", "value:{result}"])]
    async fn put_late(id: u32, org: Org) -> u32 {
        let _ = org;
        id + 200
    }

    #[cache_evict(tags = ["org:{org}"], on_evict_error = "return")]
    async fn forget(org: Org) -> Result<(), Error> {
        let _ = org;
        Ok(())
    }

    #[cache_evict(tags = ["org:{org}:{result}"], on_evict_error = "return")]
    async fn forget_late(org: Org) -> Result<u32, Error> {
        let _ = org;
        Ok(1)
    }

    pub(super) async fn nothing_is_stored_under_a_tag_that_cannot_be_built(rig: Rig) {
        let process = rig.process();
        let bad = Org(None);
        process
            .cache
            .scope(async {
                for _ in 0..2 {
                    assert_eq!(tagged(1, bad).await, 1);
                }
                let stats = || process.cache.stats().total;
                assert_eq!((process.faults.count(Op::Lease), stats().errors_of(ErrorKind::Key)), (0, 2));
                let entry = tagged_entry(1, bad);
                assert_eq!(entry.get().await.expect_err("no tag").kind(), ErrorKind::Key);

                // What is there already is outdated all the same.
                let good = tagged_entry(1, Org(Some(1)));
                for write in 0..3 {
                    assert_eq!(tagged(1, Org(Some(1))).await, 1);
                    assert!(good.has().await.expect("the store answers"), "{write}");
                    match write {
                        0 => assert_eq!(put(1, bad).await, 101),
                        1 => assert_eq!(put_late(1, bad).await, 201),
                        _ => assert_eq!(entry.set(&1).await.expect_err("no tag").kind(), ErrorKind::Key),
                    }
                    assert!(!good.has().await.expect("the store answers"), "{write}");
                }
                tagged(1, Org(Some(1))).await;
                assert!(entry.evict().await.expect("its key is known"));
            })
            .await;
    }

    pub(super) async fn an_evict_of_a_tag_that_cannot_be_built_has_failed(rig: Rig) {
        let process = rig.process();
        process
            .cache
            .scope(async {
                forget(Org(Some(1))).await.expect("the store answers");
                forget_late(Org(Some(1))).await.expect("the store answers");
                assert_eq!(process.faults.count(Op::EvictTags), 2);
                assert_eq!(forget(Org(None)).await.expect_err("no tag").kind(), ErrorKind::Key);
                assert_eq!(forget_late(Org(None)).await.expect_err("no tag").kind(), ErrorKind::Key);
                let stats = process.cache.stats().total;
                assert_eq!((stats.tag_evicts, stats.failed_evicts), (2, 2));
            })
            .await;
    }
}

use errors::{
    a_failing_store_is_told_before_a_key_that_cannot_be_built, an_evict_that_is_made_up_for_is_no_failure,
};
use many::many_entries_of_one_cache_go_in_one_evict;
use tags::{
    an_evict_of_a_tag_that_cannot_be_built_has_failed, nothing_is_stored_under_a_tag_that_cannot_be_built,
};

on_both_stores!(
    many_entries_of_one_cache_go_in_one_evict,
    an_evict_that_is_made_up_for_is_no_failure,
    a_failing_store_is_told_before_a_key_that_cannot_be_built,
    nothing_is_stored_under_a_tag_that_cannot_be_built,
    an_evict_of_a_tag_that_cannot_be_built_has_failed,
);
