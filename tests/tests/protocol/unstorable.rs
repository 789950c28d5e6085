//! Values that would not come back from the store: found out before they are stored, told once, and not in anyone's way.
//! What each codec brings back is tried in `tests/tests/docs/codecs.rs`.
//!
//! Each mechanism was removed once, and the test beside it failed:
//!
//! | removed | test |
//! |---|---|
//! | the first value is read back | `a_place_whose_first_value_does_not_come_back_is_given_up` |
//! | what is read back is not stored where it does not come back | `a_function_whose_values_never_come_back_stores_none_and_says_so` |
//! | a field that is left out is seen while it is encoded | `a_field_that_only_later_values_leave_out_is_seen` |
//! | a type that asks for any value is read back each time | `a_part_that_only_later_values_have_is_read_back_too` |
//! | a read that cannot be decoded raises doubt | `what_only_a_read_finds_out_is_not_stored_again` |
//! | stored errors are read back | `an_error_that_does_not_come_back_is_not_stored` |

use cachemacro::codec::Json;
use cachemacro::{
    BuiltinCodec, Cache, CacheSchema, Entry, EntryRules, ErrorKind, Lookup, MissReason, Unstorable, Warning,
    cached,
};
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores, wait_until};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(u64),
    Text(String),
}

#[cached(prefix = "either")]
async fn either(id: u64) -> Either {
    Either::Number(id)
}

/// The warnings of values that would not come back.
fn told(cache: &Cache) -> Vec<(String, &'static str, &'static str, Unstorable, u64)> {
    let warnings = cache.warnings().into_iter().filter_map(|warning| match warning {
        Warning::Unstorable { place, value, codec, why, count } => Some((place, value, codec, why, count)),
        _ => None,
    });
    warnings.collect()
}

fn count(process: &Process, why: Unstorable) -> u64 {
    process.cache.stats().total.unstorable_for(why)
}

/// Upholds G6.
async fn a_function_whose_values_never_come_back_stores_none_and_says_so(rig: Rig) {
    let process = rig.process();
    process
        .cache
        .scope(async {
            for id in 0..100 {
                assert_eq!(either(id % 3).await, Either::Number(id % 3));
            }
        })
        .await;
    let stats = process.cache.stats();
    let site = stats.site("either").expect("it was called");
    assert_eq!((site.loads, site.fills, site.not_stored), (100, 0, 100));
    assert_eq!(
        (site.unstorable_for(Unstorable::Unreadable), site.misses_for(MissReason::Undecodable)),
        (100, 0)
    );
    wait_until("the leases are given back", DEADLINE, async || rig.raw("either:0").await.is_none()).await;

    let place = concat!(module_path!(), "::either").to_owned();
    let value = std::any::type_name::<Either>();
    assert_eq!(told(&process.cache), [(place.clone(), value, "bincode", Unstorable::Unreadable, 100)]);
    let health = process.cache.health().await.expect("the store answers");
    let sentence =
        health.warnings.iter().find(|warning| warning.as_str() == "unstorable").map(ToString::to_string);
    let sentence = sentence.expect("health tells too");
    for part in [&*place, value, "bincode", "MessagePack", "untagged"] {
        assert!(sentence.contains(part), "{part}: {sentence}");
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Spare {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    id: u64,
}

/// Upholds G6.
async fn a_field_that_only_later_values_leave_out_is_seen(rig: Rig) {
    let process = rig.process();
    let entry = |id: u64| process.cache.entry::<Spare>("spare", id);
    let row = |id: u64| Spare { name: id.is_multiple_of(2).then(|| "Ada".to_owned()), id };
    for _ in 0..2 {
        for id in 0..4 {
            assert_eq!(entry(id).get_or_load(async || row(id)).await, row(id));
        }
    }
    let stats = process.cache.stats().total;
    assert_eq!((stats.fills, stats.hits, stats.misses_for(MissReason::Undecodable)), (2, 2, 0));
    assert_eq!(count(&process, Unstorable::SkippedField), 4);
    // A codec with names brings them back.
    let named = process.cache.entry::<Spare>("spare", 1).with_codec::<Json>();
    for _ in 0..2 {
        assert_eq!(named.get_or_load(async || row(1)).await, row(1));
    }
    assert_eq!(process.cache.stats().total.hits, 3);
}

/// Its derived description does not walk it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CacheSchema)]
struct Described {
    list: Vec<Kind>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CacheSchema)]
#[serde(tag = "kind")]
enum Kind {
    Unit,
}

#[cached(prefix = "described", key = "{length}")]
async fn described(length: usize) -> Described {
    Described { list: vec![Kind::Unit; length] }
}

/// Upholds G6.
async fn a_part_that_only_later_values_have_is_read_back_too(rig: Rig) {
    let process = rig.process();
    let entry = |length: usize| process.cache.entry::<Vec<Either>>("list", length);
    for _ in 0..2 {
        for length in [0, 1, 2] {
            let list = vec![Either::Text("x".to_owned()); length];
            assert_eq!(entry(length).get_or_load(async || list.clone()).await, list);
            let calls = process.cache.scope(described(length));
            assert_eq!(calls.await.list.len(), length);
        }
    }
    let stats = process.cache.stats().total;
    assert_eq!((stats.fills, stats.hits, stats.misses_for(MissReason::Undecodable)), (2, 2, 0));
    assert_eq!(count(&process, Unstorable::Unreadable), 8);
}

/// `Deserialize` refuses some of what `Serialize` writes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u8")]
struct Percent(u8);

impl TryFrom<u8> for Percent {
    type Error = &'static str;

    fn try_from(number: u8) -> std::result::Result<Self, &'static str> {
        if number <= 100 { Ok(Percent(number)) } else { Err("over a hundred") }
    }
}

/// Upholds G6.
async fn a_place_whose_first_value_does_not_come_back_is_given_up(rig: Rig) {
    let process = rig.process();
    for (id, number) in [(1, 101), (1, 101), (2, 7), (2, 7)] {
        let entry = process.cache.entry::<Percent>("percent", id);
        assert_eq!(entry.get_or_load(async || Percent(number)).await, Percent(number));
    }
    let stats = process.cache.stats().total;
    assert_eq!((stats.fills, stats.loads, stats.misses_for(MissReason::Undecodable)), (0, 4, 0));
    assert_eq!(count(&process, Unstorable::Unreadable), 4);
}

/// Upholds G6.
async fn what_only_a_read_finds_out_is_not_stored_again(rig: Rig) {
    let process = rig.process();
    let entry = process.cache.entry::<Percent>("percent", 1);
    let load = async |entry: &Entry<Percent>, number| entry.get_or_load(async || Percent(number)).await;
    assert_eq!(load(&process.cache.entry("percent", 0), 1).await, Percent(1));
    for _ in 0..5 {
        assert_eq!(load(&entry, 101).await, Percent(101));
    }
    let stats = process.cache.stats().total;
    assert_eq!(
        (stats.fills, count(&process, Unstorable::Unreadable)),
        (2, 4),
        "one was stored, and read once"
    );
    // Those that come back are stored as before.
    assert_eq!(load(&entry, 7).await, Percent(7));
    assert_eq!(load(&entry, 8).await, Percent(7));
}

/// Upholds G6.
async fn direct_calls_are_told_why(rig: Rig) {
    let process = rig.process();
    let entry = process.cache.entry::<Either>("either", 1);
    let why = |error: cachemacro::Error| {
        assert_eq!(error.kind(), ErrorKind::Encode);
        std::error::Error::source(&error).and_then(|why| why.downcast_ref::<Unstorable>().copied())
    };
    assert_eq!(
        why(entry.set(&Either::Number(1)).await.expect_err("unreadable")),
        Some(Unstorable::Unreadable)
    );
    let updated = entry.update(|_| Either::Number(1)).await;
    assert_eq!(why(updated.expect_err("unreadable")), Some(Unstorable::Unreadable));
    let Ok(Lookup::Vacant(vacancy)) = entry.lookup().await else { panic!("nothing is there") };
    let filled = vacancy.fill(&Either::Number(1)).await;
    assert_eq!(why(filled.expect_err("unreadable")), Some(Unstorable::Unreadable));
    let load = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, Either::Number(id))).collect();
    assert_eq!(process.cache.get_or_load_many("many", [1, 2], load).await.len(), 2);
    assert_eq!(
        process.cache.keyspace::<u64, Either>("space").get_or_load(&1, async || Either::Number(1)).await,
        Either::Number(1)
    );
    let value = std::any::type_name::<Either>();
    assert_eq!(told(&process.cache), [("either".to_owned(), value, "bincode", Unstorable::Unreadable, 6)]);
    // A `None` by rule or a value under another codec is no concern of it.
    let json = process.cache.entry::<Either>("either", 1).with_codec::<Json>();
    json.set(&Either::Number(1)).await.expect("JSON brings it back");
    assert_eq!(json.get().await.expect("the store answers"), Some(Either::Number(1)));
    let ruled = entry.with_rules(EntryRules::none().unless(|_| true));
    ruled.set(&Either::Number(1)).await.expect("not to be stored");
}

#[cached(prefix = "failing", cache_err)]
async fn failing(id: u64) -> std::result::Result<u64, Either> {
    Err(Either::Number(id))
}

/// Upholds G6.
async fn an_error_that_does_not_come_back_is_not_stored(rig: Rig) {
    let process = rig.process();
    let calls = async {
        for _ in 0..3 {
            assert_eq!(failing(1).await, Err(Either::Number(1)));
        }
    };
    process.cache.scope(calls).await;
    let stats = process.cache.stats().total;
    assert_eq!((stats.fills, stats.loads, stats.misses_for(MissReason::Undecodable)), (0, 3, 0));
    assert_eq!(count(&process, Unstorable::Unreadable), 3);
    assert!(told(&process.cache)[0].1.contains("Either"), "{:?}", told(&process.cache));
}

/// Upholds G6.
async fn an_option_inside_an_option_is_never_read_as_another(rig: Rig) {
    let process = rig.process_with(|builder| builder.codec(BuiltinCodec::Json));
    let found = process.cache.entry::<Option<Option<u8>>>("found", 1);
    let load = async |value| found.get_or_load(async || value).await;
    assert_eq!(load(Some(Some(1))).await, Some(Some(1)));
    assert_eq!(load(None).await, Some(Some(1)));
    found.evict().await.expect("evicted");
    for _ in 0..3 {
        assert_eq!(load(Some(None)).await, Some(None));
    }
    assert_eq!(count(&process, Unstorable::EmptySome), 3);
    assert_eq!(load(None).await, None);
    assert_eq!(load(Some(None)).await, None, "stored, and it says what was stored");
}

/// Upholds G6.
async fn a_set_that_is_refused_leaves_nothing_old(rig: Rig) {
    let process = rig.process();
    let part = process.cache.entry::<f64>("part", 1).with_codec::<Json>();
    part.set(&0.5).await.expect("set");
    part.set(&f64::NAN).await.expect_err("JSON has no NaN");
    assert_eq!(part.get().await.expect("the store answers"), None);
}

on_both_stores!(
    a_function_whose_values_never_come_back_stores_none_and_says_so,
    a_field_that_only_later_values_leave_out_is_seen,
    a_part_that_only_later_values_have_is_read_back_too,
    a_place_whose_first_value_does_not_come_back_is_given_up,
    what_only_a_read_finds_out_is_not_stored_again,
    direct_calls_are_told_why,
    an_error_that_does_not_come_back_is_not_stored,
    an_option_inside_an_option_is_never_read_as_another,
    a_set_that_is_refused_leaves_nothing_old,
);
