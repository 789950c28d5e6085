//! Cache-aside by hand: what a hit and a vacancy tell, and what can come with a fill.

use std::time::Duration;

use cachemacro::store::faults::Op;
use cachemacro::{Entry, ErrorKind, Filled, Hit, Lookup, MissReason, Mode, Ttl, Vacancy};
use cachemacro_tests::{Process, Rig, on_both_stores};

const MINUTE: Duration = Duration::from_mins(1);

fn entry(process: &Process) -> Entry<u64> {
    process.cache.entry("row", 7).with_tags(["tag"])
}

async fn hit(entry: &Entry<u64>) -> Hit<u64> {
    let Ok(Lookup::Hit(hit)) = entry.lookup().await else { panic!("it was stored") };
    hit
}

async fn vacancy(entry: &Entry<u64>) -> Vacancy<u64> {
    let Ok(Lookup::Vacant(vacancy)) = entry.lookup().await else { panic!("nothing is there") };
    vacancy
}

async fn value_and_metadata_come_from_one_read(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process).with_ttl(MINUTE);
    entry.set(&8).await.expect("set");
    let hit = hit(&entry).await;
    assert_eq!((process.faults.count(Op::Read), process.faults.count(Op::ReadHead)), (1, 0));
    let meta = hit.meta().clone();
    assert!(meta.age <= MINUTE && meta.ttl <= MINUTE && meta.tags == 1 && meta.size > 0, "{meta:?}");
    assert_eq!((hit.count_ones(), hit.into_value()), (1, 8));
}

async fn a_vacancy_tells_why_there_was_no_value_and_whether_it_can_be_filled(rig: Rig) {
    let (here, there) = (rig.process(), rig.process_with(|builder| builder.wait(Duration::ZERO)));
    let first = vacancy(&entry(&here)).await;
    assert_eq!((first.reason(), first.is_held()), (Some(MissReason::Absent), true));
    let second = vacancy(&entry(&there)).await;
    assert_eq!((second.reason(), second.is_held()), (Some(MissReason::Pending), false));
    assert_eq!(second.fill(&2).await.expect("a small value"), Filled::Refused);
    assert_eq!(first.fill(&1).await.expect("a small value"), Filled::Stored);

    let again = Mode::Refresh.scope(vacancy(&entry(&here))).await;
    assert_eq!((again.reason(), again.is_held()), (Some(MissReason::TooOld), true));
    drop(again);
    let unasked = Mode::Bypass.scope(vacancy(&entry(&here))).await;
    assert_eq!((unasked.reason(), unasked.is_held()), (None, false));
    here.cache.evict_tags(["tag"]).await.expect("evicted");
    assert_eq!(vacancy(&entry(&here)).await.reason(), Some(MissReason::TagEvicted));
}

async fn a_fill_brings_its_ttl_and_its_tags(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process).with_ttl(MINUTE).with_late_tags();
    let filled = vacancy(&entry).await.fill_with(&1, Ttl::Never, ["tag", "late"]).await;
    assert_eq!(filled.expect("a small value"), Filled::Stored);
    let meta = hit(&entry).await.meta().clone();
    assert!(meta.ttl > MINUTE && meta.tags == 2, "{meta:?}");
    process.cache.evict_tags(["late"]).await.expect("evicted");
    assert_eq!(vacancy(&entry).await.reason(), Some(MissReason::TagEvicted));
}

/// Upholds G1.
async fn a_tag_that_comes_with_a_fill_and_was_evicted_since_the_lookup_refuses_it(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    let entry = entry(&here).with_late_tags();
    let vacancy = vacancy(&entry).await;
    there.cache.evict_tags(["late"]).await.expect("evicted");
    assert_eq!(vacancy.fill_with(&1, MINUTE, ["late"]).await.expect("a small value"), Filled::Refused);
    assert_eq!(entry.get().await.expect("the store answers"), None);
}

async fn a_tag_that_nobody_expected_is_an_error_and_the_next_caller_may_load(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process);
    let error = vacancy(&entry).await.fill_with(&1, MINUTE, ["late"]).await.expect_err("not captured");
    assert_eq!(error.kind(), ErrorKind::Config);
    let next = vacancy(&entry).await;
    assert_eq!(next.fill_with(&2, MINUTE, ["tag"]).await.expect("its own tag"), Filled::Stored);
    // A TTL of nothing stores nothing.
    entry.evict().await.expect("evicted");
    let filled = vacancy(&entry).await.fill_with(&3, Duration::ZERO, [""; 0]).await;
    assert_eq!(filled.expect("a small value"), Filled::Refused);
}

async fn a_value_that_is_turned_down_stays_for_others_and_comes_along_with_the_vacancy(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process).with_ttl(MINUTE);
    entry.set(&1).await.expect("set");
    let Ok(Lookup::Vacant(vacancy)) = entry.lookup_if(|value, _| *value > 1).await else { panic!("it is 1") };
    assert_eq!((vacancy.reason(), vacancy.is_held()), (Some(MissReason::Refused), true));
    assert_eq!(vacancy.old(), Some(&1));
    assert_eq!(*entry.find().await.expect("an answer").expect("it stays"), 1);
    assert_eq!(*hit(&entry).await, 1, "others take it");
    assert_eq!(vacancy.fill(&2).await.expect("a small value"), Filled::Stored);
    let Ok(Lookup::Hit(hit)) = entry.lookup_if(|value, meta| *value > 1 && meta.ttl <= MINUTE).await else {
        panic!("it is 2")
    };
    assert_eq!(hit.into_value(), 2);
    assert!(Mode::Bypass.scope(entry.find()).await.expect("an answer").is_none());
}

async fn who_waits_is_offered_what_another_stores_and_goes_on_where_that_is_turned_down(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    let first = vacancy(&entry(&here)).await;
    let (taken, refused) = (entry(&there), entry(&here));
    let take = taken.lookup_if(|value, _| *value == 1);
    let refuse = refused.lookup_if(|value, _| *value == 2);
    let fill = async { first.fill(&1).await };
    let (take, refuse, filled) = tokio::join!(take, refuse, fill);
    assert_eq!(filled.expect("a small value"), Filled::Stored);
    assert!(matches!(take, Ok(Lookup::Hit(hit)) if *hit == 1));
    let Ok(Lookup::Vacant(vacancy)) = refuse else { panic!("it is 1") };
    assert_eq!((vacancy.old(), vacancy.is_held()), (Some(&1), true));
}

/// Upholds G1.
async fn what_is_loaded_over_a_refused_value_is_not_read_after_an_evict(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process);
    entry.set(&1).await.expect("set");
    let Ok(Lookup::Vacant(vacancy)) = entry.lookup_if(|_, _| false).await else { panic!("it was refused") };
    process.cache.evict_tags(["tag"]).await.expect("evicted");
    let _ = vacancy.fill(&2).await.expect("a small value");
    assert_eq!(entry.get().await.expect("an answer"), None);
}

/// Upholds G4.
async fn a_vacancy_by_force_removes_what_it_cannot_replace(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process);
    entry.set(&1).await.expect("set");
    let never = entry.clone().with_ttl(Duration::ZERO);
    let Ok(Lookup::Vacant(vacancy)) = Mode::Refresh.scope(never.lookup()).await else { panic!("by force") };
    assert_eq!(vacancy.fill(&2).await.expect("a small value"), Filled::Refused);
    assert_eq!(entry.get().await.expect("an answer"), None);
}

on_both_stores! {
    a_vacancy_by_force_removes_what_it_cannot_replace,
    a_value_that_is_turned_down_stays_for_others_and_comes_along_with_the_vacancy,
    who_waits_is_offered_what_another_stores_and_goes_on_where_that_is_turned_down,
    what_is_loaded_over_a_refused_value_is_not_read_after_an_evict,
    value_and_metadata_come_from_one_read,
    a_vacancy_tells_why_there_was_no_value_and_whether_it_can_be_filled,
    a_fill_brings_its_ttl_and_its_tags,
    a_tag_that_comes_with_a_fill_and_was_evicted_since_the_lookup_refuses_it,
    a_tag_that_nobody_expected_is_an_error_and_the_next_caller_may_load,
}
