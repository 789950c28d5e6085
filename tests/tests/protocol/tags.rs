//! Tags of many entries, and of values that each say their own tags and TTL.

use std::convert::Infallible;
use std::time::Duration;

use cachemacro::header::MAX_STAMPS;
use cachemacro::store::faults::Op;
use cachemacro::{Cache, Entry, EntryRules, Ttl, cache_put, cached};
use cachemacro_tests::monitor::Watched;
use cachemacro_tests::{DEADLINE, Process, RedisServer, Rig, on_both_stores, wait_until};
use serde::{Deserialize, Serialize};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// An entry with the tag of all and one of every tenth.
fn member(cache: &Cache, id: u32) -> Entry<u32> {
    cache.entry("member", id).with_tags(["all".to_owned(), format!("tenth {}", id / 10)])
}

/// Reads so many entries, loading what is missing. How many were.
async fn load_missing(cache: &Cache, members: u32) -> usize {
    let mut missing = 0;
    for first in (0..members).step_by(500) {
        let ids = first..members.min(first + 500);
        let found = cache
            .try_get_or_load_many(
                ids.clone(),
                |id| member(cache, *id),
                |ids| {
                    missing += ids.len();
                    async move { Ok::<_, Infallible>(ids.into_iter().map(|id| (id, id)).collect()) }
                },
            )
            .await;
        let Ok(found) = found;
        assert!(ids.into_iter().all(|id| found.get(&id) == Some(&id)));
    }
    missing
}

async fn a_tag_takes_all_of_many_members_and_nothing_else(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    assert_eq!(load_missing(cache, 250).await, 250);
    assert_eq!(load_missing(cache, 250).await, 0);
    cache.evict_tags(["tenth 3"]).await.expect("evicted");
    for id in [29, 30, 39, 40] {
        let there = member(cache, id).has().await.expect("the store answers");
        assert_eq!(there, id / 10 != 3, "{id}");
    }
    assert_eq!(load_missing(cache, 250).await, 10);
    cache.evict_tags(["all"]).await.expect("evicted");
    assert_eq!(load_missing(cache, 250).await, 250);
    assert_eq!(process.faults.count(Op::EvictTags), 2, "one request for each evict");
    assert_eq!((process.faults.count(Op::Evict), process.faults.count(Op::EvictPrefix)), (0, 0));
}

#[tokio::test]
async fn ten_thousand_members_are_evicted_by_one_command_with_two_keys() {
    const MEMBERS: u32 = 10_000;
    let server = RedisServer::start();
    let rig = Rig::at(&server.url());
    let process = rig.process();
    assert_eq!(load_missing(&process.cache, MEMBERS).await, MEMBERS as usize);
    assert_eq!(load_missing(&process.cache, MEMBERS).await, 0, "all of them are there");
    let watched = Watched::start(&server.url()).await;
    process.cache.evict_tags(["all"]).await.expect("evicted");
    let mut commands = watched.commands().await;
    // The cache's own upkeep names no key.
    commands.retain(|command| command.iter().any(|word| word.contains(rig.namespace())));
    let [command] = &commands[..] else { panic!("one command: {commands:?}") };
    let [name, version, any] = &command[..] else { panic!("with two keys: {command:?}") };
    assert_eq!(name, "UNLINK");
    assert!(version.starts_with(any.as_str()), "the tag's version and that of its bucket: {command:?}");
    // None is used any more, whoever asks.
    let reader = rig.process();
    assert_eq!(load_missing(&reader.cache, MEMBERS).await, MEMBERS as usize);
    assert_eq!((reader.cache.stats().total.hits, reader.cache.stats().total.tag_evicts), (0, 0));
}

/// Each value says how long it is good for, and what it is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct News {
    seconds: u64,
    topics: Vec<String>,
}

fn news_of(id: u32) -> News {
    let (seconds, topics) =
        if id.is_multiple_of(2) { (3_600, &["long"][..]) } else { (60, &["short", "x"][..]) };
    News { seconds, topics: topics.iter().map(|&topic| topic.to_owned()).collect() }
}

#[cached(
    prefix = "news",
    key = "{id}",
    jitter = "0%",
    ttl = Duration::from_secs(result.seconds),
    tags = result.topics,
    entry = news_entry
)]
async fn news(id: u32) -> News {
    news_of(id)
}

#[cache_put(entry = news_entry(id))]
async fn publish(id: u32) -> News {
    news_of(id)
}

#[cached(prefix = "page", key = "{id}", jitter = "0%", ttl = Duration::from_secs(u64::from(seconds)), tags = ["page:{id}"])]
async fn page(id: u32, seconds: u32) -> u32 {
    id + seconds
}

async fn what_one_value_says_of_itself_does_not_reach_another(rig: Rig) {
    let process = rig.process();
    let ttl = async |id| news_entry(id).ttl().await.expect("the store answers").expect("it is there");
    let is_about = |told: Duration, full: Duration| told <= full && told + MINUTE / 2 > full;
    process
        .cache
        .scope(async {
            for round in 0..2 {
                for id in 0..6 {
                    if round == 0 {
                        news(id).await;
                    } else {
                        publish(id).await;
                    }
                }
                for id in 0..6 {
                    let full = if id % 2 == 0 { HOUR } else { MINUTE };
                    assert!(is_about(ttl(id).await, full), "{id}: {:?}", ttl(id).await);
                    let tags = news_entry(id).meta().await.expect("the store answers").expect("…").tags;
                    assert_eq!(tags, if id % 2 == 0 { 1 } else { 2 }, "{id}");
                }
                process.cache.evict_tags(["short"]).await.expect("evicted");
                for id in 0..6 {
                    assert_eq!(news_entry(id).has().await.expect("the store answers"), id % 2 == 0, "{id}");
                }
                process.cache.evict_tags(["long"]).await.expect("evicted");
            }
            // The same where the arguments say it.
            for (id, seconds) in [(1, 60), (2, 3_600), (3, 60)] {
                page(id, seconds).await;
            }
            process.cache.evict_tags(["page:1"]).await.expect("evicted");
            let left = async |id: u32| process.cache.entry::<u32>("page", &id).ttl().await.expect("…");
            assert_eq!(left(1).await, None);
            assert!(left(2).await.is_some_and(|ttl| is_about(ttl, HOUR)));
            assert!(left(3).await.is_some_and(|ttl| is_about(ttl, MINUTE)));
        })
        .await;
    // Nor do those of a handle reach what it was made from.
    let plain = process.cache.entry::<u32>("plain", 1);
    let special = plain.clone().with_ttl(MINUTE).with_tags(["special"]);
    special.set(&1).await.expect("set");
    plain.set(&2).await.expect("set");
    assert!(plain.ttl().await.expect("the store answers").is_some_and(|ttl| ttl > 2 * MINUTE));
    assert_eq!(special.get().await.expect("the store answers"), None, "it was stored without the tag");
}

/// A moment, as entries live.
const MOMENT: Duration = Duration::from_millis(50);

async fn what_has_more_tags_than_an_entry_can_carry_is_not_stored(rig: Rig) {
    let process = rig.process();
    for (tags, fills) in [(MAX_STAMPS, 1), (MAX_STAMPS + 1, 1)] {
        let names = (0..tags).map(|tag| format!("tag {tag}"));
        let entry = process.cache.entry::<u64>("row", &tags).with_tags(names);
        assert_eq!(entry.get_or_load(async || 7).await, 7);
        assert_eq!(entry.get().await.expect("the store answers").is_some(), tags == MAX_STAMPS, "{tags}");
        process.cache.stored().await;
        assert_eq!(process.cache.stats().total.fills, fills, "{tags}");
    }
    assert_eq!(process.cache.stats().total.too_large, 1);
}

async fn a_short_lived_entry_never_shortens_what_a_tag_knows_of_a_long_lived_one(rig: Rig) {
    let process = rig.process();
    let late = EntryRules::none().tags(|_: &u32| vec!["shared".to_owned()]);
    let entry = |process: &Process, id: u32, ttl: Ttl, named: bool| {
        let entry = process.cache.entry::<u32>("row", &id).with_ttl(ttl);
        if named { entry.with_tags(["shared"]) } else { entry.with_rules(late) }
    };
    for (round, named) in [(0, true), (1, false), (2, true), (3, false)] {
        let long = entry(&process, 1, Ttl::For(HOUR), named);
        let short = entry(&process, 2, Ttl::For(MOMENT), named);
        // In either order, the first making the tag's version.
        let order = if round < 2 { [&long, &short] } else { [&short, &long] };
        for entry in order {
            entry.get_or_load(async || round).await;
        }
        if rig.is_redis() {
            wait_until("the short-lived one is over", DEADLINE, async || !short.has().await.expect("…"))
                .await;
        } else {
            rig.in_memory().1.advance(HOUR / 2);
            assert!(!short.has().await.expect("the store answers"));
        }
        assert_eq!(long.get().await.expect("the store answers"), Some(round), "{named}");
        // The tag still reaches it.
        process.cache.evict_tags(["shared"]).await.expect("evicted");
        assert_eq!(long.get().await.expect("the store answers"), None, "{named}");
    }
}

on_both_stores!(
    what_has_more_tags_than_an_entry_can_carry_is_not_stored,
    a_tag_takes_all_of_many_members_and_nothing_else,
    what_one_value_says_of_itself_does_not_reach_another,
    a_short_lived_entry_never_shortens_what_a_tag_knows_of_a_long_lived_one,
);
