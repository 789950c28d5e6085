//! Two places in the source that make the same keys for values of their own.

use cachemacro::{Cache, Warning, cache_put, cached};
use cachemacro_tests::{Rig, on_both_stores};

/// Calls of two functions of one name, in blocks of their own.
async fn in_blocks() -> [(u32, u32); 2] {
    let first = {
        #[cached]
        async fn in_block(id: u32) -> u32 {
            id
        }
        async |id| (in_block(id).await, in_block(id).await)
    };
    let second = {
        #[cached(entry = in_block_entry)]
        async fn in_block(id: u32) -> u32 {
            id + 100
        }
        async |id| {
            assert!(in_block_entry(id).get().await.is_err(), "it is the other function's");
            assert!(in_block_entry(id + 50).evict().await.is_ok(), "evicts reach other processes");
            (in_block(id).await, in_block(id).await)
        }
    };
    [first(1).await, second(1).await]
}

async fn functions_of_one_name_in_two_blocks_are_not_handed_each_others_values(rig: Rig) {
    let cache = rig.process().cache;
    assert_eq!(cache.scope(in_blocks()).await, [(1, 1), (101, 101)]);
    assert_eq!(cache.stats().total.loads, 1, "the second one runs uncached");
    let warnings = cache.warnings();
    assert!(
        matches!(&warnings[..], [Warning::SharedPrefix(function)] if function.contains("in_block:")),
        "{warnings:?}"
    );
    // Another cache.
    let other = rig.process().cache;
    assert_eq!(other.scope(in_blocks()).await, [(1, 1), (101, 101)]);
}

#[cached(prefix = "claimed", key = "{id}")]
async fn number(id: u32) -> u32 {
    id
}

#[cached(prefix = "claimed", key = "{name}")]
async fn text(name: &str) -> String {
    name.to_owned()
}

#[cache_put(prefix = "claimed", key = "{id}")]
async fn put_text(id: u32) -> String {
    id.to_string()
}

async fn one_prefix_and_form_for_values_of_two_types_is_found(rig: Rig) {
    let cache = rig.process().cache;
    cache
        .scope(async {
            assert_eq!((number(1).await, text("1").await, number(1).await), (1, "1".to_owned(), 1));
            assert_eq!(put_text(1).await, "1");
        })
        .await;
    assert_eq!(cache.stats().site("number").expect("called").hits, 1, "nobody replaced its value");
    let warnings = cache.warnings();
    assert!(warnings.iter().any(|warning| matches!(warning, Warning::SharedPrefix(_))), "{warnings:?}");
}

/// Calls of two functions that one use of a macro brings, so that both stand at one line and column.
macro_rules! both {
    () => {
        [
            {
                #[cached]
                async fn from_one_macro(id: u32) -> u32 {
                    id
                }
                (from_one_macro(1).await, from_one_macro(1).await)
            },
            {
                #[cached]
                async fn from_one_macro(id: u32) -> u32 {
                    id + 100
                }
                (from_one_macro(1).await, from_one_macro(1).await)
            },
        ]
    };
}

/// Calls of a function that a macro brings at each of its uses.
macro_rules! one {
    ($add:expr) => {{
        #[cached]
        async fn from_a_macro(id: u32) -> u32 {
            id + $add
        }
        (from_a_macro(1).await, from_a_macro(1).await)
    }};
}

macro_rules! twice {
    () => {
        [one!(0), one!(100)]
    };
}

async fn functions_that_a_macro_brings_twice_are_not_handed_each_others_values(rig: Rig) {
    let in_two_uses = async || [one!(0), one!(100)];
    for calls in [
        rig.process().cache.scope(async { both!() }).await,
        rig.process().cache.scope(async { twice!() }).await,
        rig.process().cache.scope(in_two_uses()).await,
    ] {
        assert_eq!(calls, [(1, 1), (101, 101)]);
    }
}

#[cached(prefix = "claimed-by-types")]
async fn of_type<T: Into<u64> + cachemacro::Value>(id: T) -> u64 {
    id.into()
}

#[cached(prefix = "claimed-by-types")]
async fn text_of_type<T: Into<u64> + cachemacro::Value>(id: T) -> String {
    id.into().to_string()
}

async fn each_instance_of_a_generic_function_is_compared(rig: Rig) {
    let cache = rig.process().cache;
    let calls = cache.scope(async {
        for _ in 0..2 {
            assert_eq!((of_type(1_u8).await, text_of_type(1_u16).await), (1, "1".to_owned()));
        }
        assert_eq!(cache.stats().total.hits, 2, "their keys differ");
        assert!(cache.warnings().iter().all(|warning| !matches!(warning, Warning::SharedPrefix(_))));
        for _ in 0..2 {
            assert_eq!((text_of_type(1_u8).await, of_type(1_u8).await), ("1".to_owned(), 1));
        }
    });
    calls.await;
    assert_eq!(cache.stats().site("of_type").expect("called").hits, 3, "nobody replaced its value");
    assert!(cache.warnings().iter().any(|warning| matches!(warning, Warning::SharedPrefix(_))));
}

#[derive(Debug, Clone, serde::Serialize)]
struct Filter {
    page: u32,
}

#[cached(prefix = "claimed-by-whole-arguments", key = filter)]
async fn numbers_of(filter: Filter) -> u32 {
    filter.page
}

#[cached(prefix = "claimed-by-whole-arguments", key = filter)]
async fn texts_of(filter: Filter) -> String {
    filter.page.to_string()
}

#[cached(prefix = "claimed-without-arguments")]
async fn the_number() -> u32 {
    1
}

#[cached(prefix = "claimed-without-arguments")]
async fn the_text() -> String {
    "1".to_owned()
}

struct Numbers;
struct Texts;

impl Numbers {
    #[cached(prefix = "claimed-by-methods", key = "{id}")]
    async fn get(&self, id: u32) -> u32 {
        id
    }
}

impl Texts {
    #[cached(prefix = "claimed-by-methods", key = "{id}")]
    async fn get(&self, id: u32) -> String {
        id.to_string()
    }
}

async fn keys_of_any_form_and_methods_of_any_type_are_compared(rig: Rig) {
    let cache = rig.process().cache;
    let calls = cache.scope(async {
        for _ in 0..2 {
            let filter = Filter { page: 1 };
            assert_eq!((numbers_of(filter.clone()).await, texts_of(filter).await), (1, "1".to_owned()));
            assert_eq!((the_number().await, the_text().await), (1, "1".to_owned()));
            assert_eq!((Numbers.get(1).await, Texts.get(1).await), (1, "1".to_owned()));
        }
    });
    calls.await;
    let stats = cache.stats();
    assert_eq!((stats.total.loads, stats.total.hits), (3, 3), "the second one of each runs uncached");
}

mod other {
    /// Reads what `number` stores.
    #[cachemacro::cached(prefix = "shared-on-purpose", key = "{id}")]
    pub(super) async fn number(id: u32) -> u32 {
        id + 100
    }
}

#[cached(prefix = "shared-on-purpose", key = "{number}")]
async fn shared(number: u32) -> u32 {
    number
}

#[cached(prefix = "shared-on-purpose", key = "by-name:{name}")]
async fn of_another_form(name: &str) -> String {
    name.to_owned()
}

#[cached(prefix = "shared-generic")]
async fn generic<T: cachemacro::Value>(id: T) -> T {
    id
}

#[cached(prefix = "shared-generic")]
async fn also_generic<T: cachemacro::Value>(id: T) -> T {
    id
}

#[cached]
async fn by_path<T: cachemacro::Value>(id: T) -> T {
    id
}

struct Of<T>(T);

impl Of<u8> {
    #[cached(key = "{self.0}")]
    async fn get(&self) -> u8 {
        self.0
    }
}

impl Of<u16> {
    #[cached(key = "{self.0}")]
    async fn get(&self) -> u16 {
        self.0
    }
}

async fn what_is_shared_on_purpose_or_told_apart_by_types_alarms_nobody(rig: Rig) {
    let cache = rig.process().cache;
    cache
        .scope(async {
            assert_eq!((shared(1).await, other::number(1).await), (1, 1));
            assert_eq!(of_another_form("1").await, "1");
            assert_eq!((generic(1_u8).await, generic(1_u16).await, also_generic(1_u32).await), (1, 1, 1));
            assert_eq!((by_path(1_u8).await, by_path("a".to_owned()).await), (1, "a".to_owned()));
            assert_eq!((Of(1_u8).get().await, Of(1_u16).get().await), (1, 1));
        })
        .await;
    let stats = cache.stats();
    assert_eq!((stats.total.hits, stats.total.loads), (1, 9));
    assert_eq!(cache.warnings(), Cache::memory().warnings());
}

on_both_stores!(
    functions_of_one_name_in_two_blocks_are_not_handed_each_others_values,
    one_prefix_and_form_for_values_of_two_types_is_found,
    functions_that_a_macro_brings_twice_are_not_handed_each_others_values,
    each_instance_of_a_generic_function_is_compared,
    keys_of_any_form_and_methods_of_any_type_are_compared,
    what_is_shared_on_purpose_or_told_apart_by_types_alarms_nobody,
);
