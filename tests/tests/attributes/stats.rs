//! What is counted, and under which site.

use async_trait::async_trait;
use cachemacro::store::faults::Op;
use cachemacro::{Cache, Error, ErrorKind, Lookup, Stats, cache_config, cache_evict, cache_put, cached};
use cachemacro_tests::attributes::run;
use cachemacro_tests::{Process, Rig, on_both_stores};
use futures_util::FutureExt as _;

/// How often the cache ran each function whose name ends in this, by what it is called in the stats.
fn loads(name: &str) -> Vec<(String, u64)> {
    let sites = Cache::current().stats().sites.into_iter();
    let module = concat!(module_path!(), "::");
    let named = sites.filter_map(|(site, stats)| Some((site.strip_prefix(module)?.to_owned(), stats.loads)));
    named.filter(|(site, _)| site.split(':').any(|part| part == name)).collect()
}

/// The lines behind the names.
fn lines(sites: &[(String, u64)]) -> Vec<u32> {
    let line = |site: &str| site.rsplit_once(':').and_then(|(_, line)| line.parse().ok());
    sites.iter().map(|(site, _)| line(site).unwrap_or_else(|| panic!("{site} has no line"))).collect()
}

mod names {
    use super::*;

    struct One;
    struct Two;

    impl One {
        #[cached(prefix = "one", key = "{id}", entry = one_entry)]
        async fn plain(id: u32) -> u32 {
            id
        }
    }

    impl Two {
        #[cached(prefix = "two", key = "{id}")]
        async fn plain(id: u32) -> u32 {
            id
        }
    }

    #[test]
    fn methods_of_one_name_are_sites_of_their_own() {
        run(async {
            let before = line!();
            One::plain(1).await;
            assert_eq!(loads("plain"), [("names::plain".to_owned(), 1)], "a name alone has no line");
            Two::plain(1).await;
            Two::plain(2).await;
            // The entry is of the same site as its function.
            One::one_entry(1).get().await.expect("memory does not fail");
            let sites = loads("plain");
            assert_eq!(sites.iter().map(|(_, loads)| *loads).collect::<Vec<_>>(), [1, 2], "{sites:?}");
            assert!(lines(&sites).iter().all(|line| *line < before), "{sites:?}");
            let stats = Cache::current().stats();
            assert_eq!(stats.site("names::plain").map(|site| (site.loads, site.hits)), Some((1, 1)));
            assert_eq!(stats.site(&sites[1].0).map(|site| site.loads), Some(2));
        });
    }

    trait Get {
        async fn of_trait(&self) -> u32;
    }

    impl Get for One {
        #[cached(prefix = "trait-one")]
        async fn of_trait(&self) -> u32 {
            1
        }
    }

    impl Get for Two {
        #[cached(prefix = "trait-two")]
        async fn of_trait(&self) -> u32 {
            2
        }
    }

    #[async_trait]
    trait Boxed {
        async fn boxed(&self) -> u32;
    }

    #[async_trait]
    impl Boxed for One {
        #[cached(prefix = "boxed-one")]
        async fn boxed(&self) -> u32 {
            1
        }
    }

    #[async_trait]
    impl Boxed for Two {
        #[cached(prefix = "boxed-two")]
        async fn boxed(&self) -> u32 {
            2
        }
    }

    #[cache_config(prefix = "config-one")]
    impl One {
        #[cached]
        async fn configured() -> u32 {
            1
        }
    }

    #[cache_config(prefix = "config-two")]
    impl Two {
        #[cached]
        async fn configured() -> u32 {
            2
        }
    }

    macro_rules! made {
        ($($of:ty => $prefix:literal),*) => {$(
            impl $of {
                #[cached(prefix = $prefix)]
                async fn made() -> u32 {
                    1
                }
            }
        )*};
    }

    made!(One => "made-one");
    made!(Two => "made-two");

    #[test]
    fn the_same_in_traits_and_under_other_attributes() {
        run(async {
            One.of_trait().await;
            Two.of_trait().await;
            One.boxed().await;
            Two.boxed().await;
            One::configured().await;
            Two::configured().await;
            One::made().await;
            Two::made().await;
            for name in ["of_trait", "boxed", "configured", "made"] {
                let sites = loads(name);
                assert_eq!(sites.iter().map(|(_, loads)| *loads).collect::<Vec<_>>(), [1, 1], "{sites:?}");
                let lines = lines(&sites);
                assert!(lines[0] < lines[1], "{lines:?}");
            }
        });
    }

    trait Moved {
        async fn moved(&self, id: u32) -> u32;
    }

    #[cache_config(prefix = "moved")]
    impl Moved for One {
        #[cached(key = "{id}", entry = moved_entry)]
        async fn moved(&self, id: u32) -> u32 {
            id
        }
    }

    #[test]
    fn an_entry_of_a_traits_function_is_of_the_same_site() {
        run(async {
            One.moved(1).await;
            One::moved_entry(1).get().await.expect("memory does not fail");
            assert_eq!(loads("moved"), [("names::moved".to_owned(), 1)], "there is no other of the name");
            let site = Cache::current().stats().site("names::moved").map(|site| (site.loads, site.hits));
            assert_eq!(site, Some((1, 1)));
        });
    }

    struct Of<T>(T);

    impl<T: Send + Sync> Of<T> {
        #[cached(prefix = "generic")]
        async fn generic<U: Send + serde::Serialize>(&self, other: U) -> u32 {
            let _ = (&self.0, other);
            1
        }
    }

    #[test]
    fn all_instances_of_a_generic_function_are_one_site() {
        run(async {
            Of(1_u8).generic('a').await;
            Of(1_u8).generic("a").await;
            Of("b").generic('a').await;
            assert_eq!(loads("generic"), [("names::generic".to_owned(), 3)]);
        });
    }
}

mod counts {
    use super::*;

    #[cached(prefix = "c", key = "{id}", tags = ["c"], entry = c_entry)]
    async fn c(id: u32) -> u32 {
        id
    }

    #[cache_evict(entries = [c_entry(1), c_entry(2)], tags = ["c", "d"])]
    async fn forget() {}

    #[cache_evict(entry = c_entry(1))]
    async fn forget_and_hang() {
        std::future::pending::<()>().await;
    }

    #[cache_evict(prefix = "c", all, on_evict_error = "return")]
    async fn forget_all() -> Result<(), Error> {
        Ok(())
    }

    #[cache_put(entry = c_entry(1))]
    async fn put(value: Option<u32>) -> Option<u32> {
        value
    }

    fn at(name: &str) -> Stats {
        Cache::current().stats().site(&format!("counts::{name}")).expect("it was called").clone()
    }

    async fn with(process: Process, test: impl Future<Output = ()>) {
        process.cache.scope(test).await;
    }

    async fn evicts_count_for_the_function_that_evicts(rig: Rig) {
        let process = rig.process();
        let faults = process.faults.clone();
        with(process, async {
            c(1).await;
            forget().await;
            assert_eq!((at("forget").evicts, at("forget").tag_evicts), (1, 2));
            assert_eq!(at("forget").store_time.count(), 1, "one round trip for the entry and its tags");
            c(1).await;
            forget_all().await.expect("the store answers");
            assert_eq!(at("forget_all").evicts, 1);
            faults.fail_next(Op::EvictPrefix, 1, ErrorKind::Io);
            forget_all().await.expect_err("as told");
            let stats = at("forget_all");
            assert_eq!((stats.failed_evicts, stats.errors_of(ErrorKind::Io)), (1, 1));
            let total = Cache::current().stats().total;
            assert_eq!((total.evicts, total.tag_evicts, total.failed_evicts), (2, 2, 1));
        })
        .await;
    }

    async fn evicts_of_dropped_calls_count_too(rig: Rig) {
        for (round, at_once) in [(1, true), (2, false)] {
            let process = rig.process();
            process.faults.set_immediate(at_once);
            with(process, async {
                c(1).await;
                Cache::current().stored().await;
                assert!(forget_and_hang().now_or_never().is_none());
                assert!(!c_entry(1).has().await.expect("the store answers"));
                assert_eq!(
                    (at("forget_and_hang").evicts, Cache::current().stats().total.evicts),
                    (1, 1),
                    "{round}"
                );
            })
            .await;
        }
    }

    async fn what_an_entry_does_counts_for_its_own_function(rig: Rig) {
        let process = rig.process();
        with(process, async {
            c(1).await;
            Cache::current().stored().await;
            assert!(c_entry(1).evict().await.expect("the store answers"));
            assert_eq!(at("c").evicts, 1);
            put(Some(2)).await;
            assert_eq!(at("c").puts, 1);
            // Evicts, because there is nothing to store.
            put(None).await;
            assert_eq!((at("c").evicts, Cache::current().stats().total.evicts), (2, 2));
        })
        .await;
    }

    /// A value that cannot be encoded, a value that is too large, and neither.
    #[derive(Debug, Clone, PartialEq, serde::Deserialize)]
    struct Odd(Vec<u8>);

    impl serde::Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0.is_empty() {
                Err(serde::ser::Error::custom("as told"))
            } else {
                self.0.serialize(serializer)
            }
        }
    }

    struct NoKey;

    impl std::fmt::Display for NoKey {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }

    #[cached(prefix = "odd", key = "{length}", entry = odd_entry)]
    async fn odd(length: usize) -> Odd {
        Odd(vec![7; length])
    }

    #[cached(prefix = "odd", key = "{key}x")]
    async fn keyless(key: NoKey) -> u8 {
        let _ = key;
        1
    }

    async fn errors_of_values_and_keys_count_for_the_function(rig: Rig) {
        let process = rig.process_with(|builder| builder.max_value(100));
        Box::pin(with(process, async {
            assert_eq!(odd(0).await, Odd(vec![]));
            assert_eq!((at("odd").errors_of(ErrorKind::Encode), at("odd").not_stored), (1, 1));
            odd(1_000).await;
            assert_eq!((at("odd").errors_of(ErrorKind::TooLarge), at("odd").too_large), (1, 1));
            odd_entry(1).set(&Odd(vec![])).await.expect_err("it cannot be encoded");
            odd_entry(2).update(|_| Odd(vec![])).await.expect_err("it cannot be encoded");
            let Ok(Lookup::Vacant(vacancy)) = odd_entry(3).lookup().await else { panic!("nothing is there") };
            vacancy.fill(&Odd(vec![])).await.expect_err("it cannot be encoded");
            assert_eq!(at("odd").errors_of(ErrorKind::Encode), 4);
            assert_eq!(keyless(NoKey).await, 1);
            assert_eq!(at("keyless").errors_of(ErrorKind::Key), 1);
            assert_eq!(Cache::current().stats().total.errors(), 6);
        }))
        .await;
    }

    on_both_stores!(
        evicts_count_for_the_function_that_evicts,
        evicts_of_dropped_calls_count_too,
        what_an_entry_does_counts_for_its_own_function,
        errors_of_values_and_keys_count_for_the_function,
    );
}
