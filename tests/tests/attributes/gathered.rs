//! What the cached calls of one scope depend on.

use std::collections::HashMap;
use std::time::Duration;

use cachemacro::{Entry, EntryRules, Gathered, Lookup, Mode, Ttl, cached};
use cachemacro_tests::{Process, Rig, on_both_stores};

const MINUTE: Duration = Duration::from_mins(1);

fn entry(process: &Process, id: u64) -> Entry<u64> {
    process.cache.entry("row", id).with_tags(["rows".to_owned(), format!("row:{id}")]).with_ttl(MINUTE)
}

#[cached(tags = ["squares"])]
fn square(n: u64) -> u64 {
    n * n
}

#[cached(tags = ["square:{result}"])]
fn late_square(n: u64) -> u64 {
    n * n
}

#[cached(tags = ["cube:{result}"], local = "10s")]
async fn cube(n: u64) -> u64 {
    n * n * n
}

async fn load(entry: &Entry<u64>) -> u64 {
    entry.get_or_load(async || 1).await
}

async fn hits_loads_and_shared_loads_are_gathered(rig: Rig) {
    let process = rig.process();
    let (one, two) = (entry(&process, 1), entry(&process, 2));
    load(&one).await;
    let (_, gathered) = process.cache.gather(async { (load(&one).await, load(&two).await) }).await;
    assert_eq!(gathered.len(), 3);
    assert!(gathered.ttl().is_some_and(|ttl| ttl <= MINUTE) && gathered.is_complete());

    let three = entry(&process, 3);
    let slow = three.get_or_load(async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        1
    });
    let (_, (_, shared)) = tokio::join!(slow, process.cache.gather(load(&three)));
    assert_eq!(shared.len(), 2);

    let (_, direct) = process.cache.gather(async { (one.get().await, two.find().await) }).await;
    assert_eq!(direct.len(), 3);
    let (_, moded) = process.cache.gather(Mode::Refresh.scope(load(&one))).await;
    assert_eq!(moded.len(), 2);
    let ((_, inner), outer) = process.cache.gather(process.cache.gather(load(&one))).await;
    assert_eq!((inner.len(), outer.len()), (2, 2));
    let (_, other) = rig.process().cache.gather(load(&one)).await;
    assert_eq!((other.len(), other.ttl().is_some()), (0, true), "they are another cache's");
}

async fn tags_that_come_from_values_are_gathered_of_copies_too(rig: Rig) {
    let process = rig.process();
    let calls = async || {
        for _ in 0..3 {
            cube(2).await;
        }
        process.cache.gather(cube(2)).await.1
    };
    let gathered = process.cache.scope(calls()).await;
    assert_eq!((gathered.len(), gathered.is_complete()), (1, true));
    let rules = EntryRules::none().tags(|n: &u64| vec![format!("n:{n}")]).ttl(|_| Ttl::millis(5_000));
    let ruled = process.cache.entry::<u64>("ruled", 1).with_rules(rules);
    for _ in 0..2 {
        let (_, gathered) = process.cache.gather(load(&ruled)).await;
        assert!(gathered.len() == 1 && gathered.ttl().is_some_and(|ttl| ttl <= Duration::from_secs(5)));
    }
}

async fn sync_functions_and_batches_are_gathered_as_far_as_they_are_known(rig: Rig) {
    let process = rig.process();
    let gather =
        async |call: fn(u64) -> u64| process.cache.scope(process.cache.gather(async { call(3) })).await.1;
    for _ in 0..2 {
        let (known, unknown) = (gather(square).await, gather(late_square).await);
        assert_eq!((known.len(), known.is_complete(), unknown.is_complete()), (1, true, false));
    }
    let keyspace = process.cache.keyspace::<u64, u64>("many").tags(|_| ["many"]);
    let many = async || -> HashMap<u64, u64> {
        keyspace
            .get_or_load_many([1, 2], async |ids: Vec<u64>| ids.into_iter().map(|id| (id, id)).collect())
            .await
    };
    for _ in 0..2 {
        assert_eq!(process.cache.gather(many()).await.1.len(), 1);
    }
}

/// Upholds G1.
async fn what_was_made_of_others_goes_with_their_tags(rig: Rig) {
    let process = rig.process();
    let page = process.cache.entry::<u64>("page", 1).with_late_tags();
    let one = entry(&process, 1);
    let fill = async |gathered: &Gathered, evicted: &[&str]| {
        let Ok(Lookup::Vacant(vacancy)) = page.lookup().await else { panic!("nothing is stored") };
        process.cache.evict_tags(evicted).await.expect("evicted");
        let none: [&str; 0] = [];
        vacancy.fill_gathered(&1, MINUTE, none, gathered).await.expect("a small value").is_stored()
    };
    let (_, gathered) = process.cache.gather(load(&one)).await;
    assert!(fill(&gathered, &[]).await);
    assert!(page.find().await.expect("an answer").is_some_and(|found| found.meta().tags == 2));
    process.cache.evict_tags(["row:1"]).await.expect("evicted");
    assert_eq!(page.get().await.expect("an answer"), None);
    assert!(!fill(&gathered, &["rows"]).await, "it was evicted since the lookup");
    let (_, unknown) = process.cache.scope(process.cache.gather(async { late_square(9) })).await;
    assert!(!fill(&unknown, &[]).await);
}

on_both_stores! {
    hits_loads_and_shared_loads_are_gathered,
    tags_that_come_from_values_are_gathered_of_copies_too,
    sync_functions_and_batches_are_gathered_as_far_as_they_are_known,
    what_was_made_of_others_goes_with_their_tags,
}
