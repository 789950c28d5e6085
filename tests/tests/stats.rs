//! What is counted, and under which site.

use async_trait::async_trait;
use cachemacro::{cache_config, cached, current};
use cachemacro_tests::attributes::run;

/// How often the cache ran each function whose name ends in this, by what it is called in the stats.
fn loads(name: &str) -> Vec<(String, u64)> {
    let sites = current().stats().sites.into_iter();
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
            let stats = current().stats();
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

    struct Of<T>(T);

    impl<T: Send + Sync> Of<T> {
        #[cached(prefix = "generic", skip(other))]
        async fn generic<U: Send>(&self, other: U) -> u32 {
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
