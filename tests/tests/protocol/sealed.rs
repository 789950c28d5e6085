//! Sealed entries: the store learns neither values nor keys, and can neither forge nor move them.
//!
//! | mechanism | test |
//! |---|---|
//! | the tag that authenticates | `bytes_that_were_moved_or_changed_are_misses` |
//! | an entry in plain is a miss where entries are sealed | `an_entry_in_plain_is_a_miss_and_replaced` |
//! | keys are hidden | `the_store_learns_neither_keys_nor_values` |
//! | decoded values of sealed entries are kept nowhere | `a_store_in_memory_keeps_nothing_of_it_in_plain`, and the next |
//! | nor is anything else of them, keys neither | `no_memory_of_the_process_holds_in_plain_what_is_sealed` |
//! | a site that says `sealed` stores nothing in plain | `a_function_that_is_to_be_sealed_stores_nothing_in_plain` |
//! | nor sends its key in plain | `a_function_that_is_to_be_sealed_names_nothing_in_plain` |
//! | a header alone is not believed | `what_a_forged_header_says_is_not_believed` |
//! | what a process without keys could not evict is evicted by the names of one with them | `evicts_of_a_process_without_keys_are_delivered_by_the_names_of_one_with_them` |
//!
//! Some of them stand twice, and one alone would do: memory keeps decoded no value whose bytes are not those that it stores, which what was
//! opened has none of; and a header that is peeked at is opened whoever asks. What a value is bound to, name, header and stamps, is told apart by
//! the tests of `format::seal`.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::process::Command;
use std::time::Duration;

use cachemacro::header::{Header, SEALED};
use cachemacro::store::Cursor;
use cachemacro::store::faults::Op;
use cachemacro::{
    Cache, CacheBuilder, Entry, ErrorKind, MissReason, Policy, Sealing, Timestamp, Ttl, Warming, cache_evict,
    cached,
};
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use cachemacro_tests::without_settings;
use cachemacro_tests::{Process, Rig, on_both_stores};

const NAMES: [u8; 32] = [1; 32];
const MINUTE: Duration = Duration::from_mins(1);
/// What must be seen nowhere.
const CANARY: &str = "hunter2canary";

fn sealing() -> Sealing {
    Sealing::new(&NAMES, 1, &[2; 32])
}

fn sealed(rig: &Rig) -> Process {
    rig.process_with(|builder| builder.sealed(sealing()))
}

/// The keys of the namespace, without it, and what is under them.
async fn stored(rig: &Rig, process: &Process) -> Vec<(String, bytes::Bytes)> {
    let inspector = process.cache.inspector().expect("it shows what is stored");
    let (mut found, mut next) = (Vec::new(), Some(Cursor::default()));
    while let Some(cursor) = next {
        let page = inspector.keys("", &cursor).await.expect("the store answers");
        for key in page.keys {
            let key = String::from_utf8(key.to_vec()).expect("text");
            // What a load left pending and gave back may be gone.
            if let Some(bytes) = rig.raw(&key).await {
                found.push((key, bytes));
            }
        }
        next = page.next;
    }
    found
}

/// Upholds G8.
async fn the_store_learns_neither_keys_nor_values(rig: Rig) {
    let process = sealed(&rig);
    let secret = CANARY.repeat(3);
    process.cache.set("session", CANARY, &secret).await.expect("stored");
    let found = stored(&rig, &process).await;
    let [(key, bytes)] = &found[..] else { panic!("one entry: {found:?}") };
    assert!(key.starts_with("session:") && !key.contains(CANARY), "{key}");
    assert!(!String::from_utf8_lossy(bytes).contains(CANARY));
    let header = Header::parse(bytes).expect("an entry");
    assert!(header.has(SEALED) && header.sealing_key == 1);
    let other = sealed(&rig);
    assert_eq!(other.cache.get::<String>("session", CANARY).await.expect("answered"), Some(secret));
    let shown = format!("{:?} {:?} {:?}", process.cache, Cache::builder().sealed(sealing()), sealing());
    assert!(!shown.contains("[1, 1") && !shown.contains("[2, 2"), "{shown}");
    assert!(other.cache.evict_key("session", CANARY).await.expect("evicted"));
    assert_eq!(process.cache.get::<String>("session", CANARY).await.expect("answered"), None);
    process.cache.set("session", CANARY, &1).await.expect("stored");
    assert_eq!(other.cache.evict_prefix("session").await.expect("evicted"), 1);
}

/// Upholds G7: a process whose environment gives it no keys names entries in plain.
#[tokio::test]
async fn evicts_of_a_process_without_keys_are_delivered_by_the_names_of_one_with_them() {
    let rig = Rig::memory();
    let (process, without) = (sealed(&rig), rig.process());
    process.cache.set("session", CANARY, &1_u32).await.expect("stored");
    without.faults.fail(Op::Evict, ErrorKind::Connect);
    assert!(without.cache.evict_key("session", CANARY).await.is_err());
    let undelivered = without.cache.shutdown().await.expect_err("nothing is acknowledged");
    assert_eq!(process.cache.get::<u32>("session", CANARY).await.expect("answered"), Some(1));
    process.cache.deliver(&undelivered).await.expect("delivered");
    assert_eq!(process.cache.get::<u32>("session", CANARY).await.expect("answered"), None);
}

/// Upholds G8.
async fn bytes_that_were_moved_or_changed_are_misses(rig: Rig) {
    let process = sealed(&rig);
    process.cache.set("session", 1, &10_u32).await.expect("stored");
    process.cache.set("session", 2, &20_u32).await.expect("stored");
    process.cache.set("cart", 1, &30_u32).await.expect("stored");
    let found = stored(&rig, &process).await;
    assert_eq!(found.len(), 3);
    let unsealed = || process.cache.stats().total.misses_for(MissReason::Unsealed);
    // Another entry's bytes, with the key's hash in the header made to fit, as who may write would.
    let sessions: Vec<_> = found.iter().filter(|(key, _)| key.starts_with("session:")).collect();
    let header = |bytes: &[u8]| Header::parse(bytes).expect("an entry");
    let [(one, first), (_, second)] = sessions[..] else { panic!("two of them") };
    let moved = {
        let own = header(first);
        let theirs = header(second).with_key_hash(own.key_hash);
        cachemacro::header::assemble(theirs, &[], &second[96..])
    };
    rig.put_raw(one, moved.into()).await;
    let flipped = {
        let mut bytes = found.iter().find(|(key, _)| key.starts_with("cart:")).expect("it").1.to_vec();
        *bytes.last_mut().expect("bytes") ^= 1;
        cachemacro::header::assemble(header(&bytes), &[], &bytes[96..])
    };
    let cart = &found.iter().find(|(key, _)| key.starts_with("cart:")).expect("it").0;
    rig.put_raw(cart, flipped.into()).await;
    let mut values = Vec::new();
    for id in [1, 2] {
        values.push(process.cache.get::<u32>("session", id).await.expect("answered"));
    }
    assert_eq!(values.iter().flatten().count(), 1, "the one that was not moved: {values:?}");
    assert_eq!(process.cache.get::<u32>("cart", 1).await.expect("answered"), None);
    assert_eq!(unsealed(), 2);
    assert_eq!(process.cache.get_or_load("cart", 1, async || 31_u32).await, 31, "loaded anew");
}

/// Upholds G8.
async fn an_entry_in_plain_is_a_miss_and_replaced(rig: Rig) {
    let (process, plain) = (sealed(&rig), rig.process());
    process.cache.set("session", 1, &10_u32).await.expect("stored");
    let key = stored(&rig, &process).await.remove(0).0;
    let forged = {
        let bytes = rig.raw(&key).await.expect("it is there");
        let header = Header::parse(&bytes).expect("an entry");
        let flags = header.flags & !SEALED;
        cachemacro::header::assemble(header.with_flags(flags).with_sealing_key(0), &[], &[11, 0, 0, 0])
    };
    rig.put_raw(&key, forged.into()).await;
    assert_eq!(process.cache.get::<u32>("session", 1).await.expect("answered"), None);
    assert_eq!(process.cache.stats().total.misses_for(MissReason::Unsealed), 1);
    assert_eq!(process.cache.get_or_load("session", 1, async || 12_u32).await, 12);
    process.cache.stored().await;
    assert_eq!(process.cache.get::<u32>("session", 1).await.expect("answered"), Some(12));
    assert_eq!(plain.cache.get::<u32>("session", 1).await.expect("answered"), None, "another key");
}

/// Upholds G8: by the header a copy is confirmed, and told what is there and for how long.
async fn what_a_forged_header_says_is_not_believed(rig: Rig) {
    // In a shared store's process copies are kept, and confirmed.
    let process = rig.process_with(|builder| builder.sealed(sealing()).local(MINUTE));
    let entry = || process.cache.entry::<String>("page", 1);
    // Copies are confirmed at each call; of a small value all is read.
    let page = || entry().with_policy(Policy::new().ttl(Ttl::For(MINUTE)).validate(true));
    let text = "x".repeat(5_000);
    for _ in 0..3 {
        assert_eq!(page().get_or_load(async || text.clone()).await, text);
        process.cache.stored().await;
    }
    assert!(page().has().await.expect("answered") && page().ttl().await.expect("answered").is_some());
    let warmed = || process.cache.warm([Warming::of(page(), async || "anew".to_owned())]);
    let leases = || process.faults.count(Op::Lease);
    let before = leases();
    assert_eq!(warmed().run().await.fresh, 1, "what is there is left alone");
    assert_eq!(leases(), before, "nor is it asked for the right to load it");
    // The same value for longer, as who may write would have it.
    let forge = async || {
        let (key, bytes) = stored(&rig, &process).await.remove(0);
        let mut header = Header::parse(&bytes).expect("an entry");
        let later = |time: Timestamp| time.plus(Duration::from_hours(1));
        (header.fresh_until, header.gone_at) = (later(header.fresh_until), later(header.gone_at));
        let payload = vec![0; bytes.len() - 96];
        rig.put_raw(&key, cachemacro::header::assemble(header, &[], &payload).into()).await;
    };
    forge().await;
    assert!(!page().has().await.expect("answered"));
    assert_eq!(page().ttl().await.expect("answered"), None);
    assert_eq!(page().meta().await.expect("answered"), None);
    assert_eq!(warmed().run().await.warmed, 1, "it is loaded");
    process.cache.stored().await;
    assert_eq!(entry().get().await.expect("answered").as_deref(), Some("anew"));
    page().set(&text).await.expect("stored");
    for _ in 0..3 {
        assert_eq!(page().get_or_load(async || "other".to_owned()).await, text);
    }
    forge().await;
    assert_eq!(page().get_or_load(async || "loaded".to_owned()).await, "loaded", "no copy is confirmed");
}

/// Keys change without a miss: the next one is opened everywhere before anybody seals with it.
async fn keys_are_rotated_without_a_miss(rig: Rig) {
    let (former, next) = ([2; 32], [3; 32]);
    let old = rig.process_with(|builder| builder.sealed(Sealing::new(&NAMES, 1, &former)));
    old.cache.set("session", 1, &10_u32).await.expect("stored");
    let ready = rig.process_with(|builder| builder.sealed(Sealing::new(&NAMES, 1, &former).reads(2, &next)));
    let new = rig.process_with(|builder| builder.sealed(Sealing::new(&NAMES, 2, &next).reads(1, &former)));
    assert_eq!(new.cache.get::<u32>("session", 1).await.expect("answered"), Some(10));
    new.cache.set("session", 1, &11_u32).await.expect("stored");
    assert_eq!(ready.cache.get::<u32>("session", 1).await.expect("answered"), Some(11));
    let last = rig.process_with(|builder| builder.sealed(Sealing::new(&NAMES, 2, &next)));
    assert_eq!(last.cache.get::<u32>("session", 1).await.expect("answered"), Some(11));
    assert_eq!(old.cache.get::<u32>("session", 1).await.expect("answered"), None, "it has not that key");
    assert_eq!(old.cache.stats().total.misses_for(MissReason::Unsealed), 1);
    let wrong = rig.process_with(|builder| builder.sealed(Sealing::new(&NAMES, 2, &[9; 32])));
    assert_eq!(wrong.cache.get::<u32>("session", 1).await.expect("answered"), None);
    assert_eq!(wrong.cache.stats().total.misses_for(MissReason::Unsealed), 1);
}

/// What else is stored than values: `None`, tags, numbers, updates, compressed ones.
async fn all_that_is_stored_can_be_sealed(rig: Rig) {
    let process = rig.process_with(|builder| builder.sealed(sealing()).compress_over(100));
    let cache = &process.cache;
    let text = cache.entry::<String>("text", CANARY).with_tags(["texts"]);
    text.set(&CANARY.repeat(500)).await.expect("stored");
    assert!(text.meta().await.expect("answered").is_some_and(|meta| meta.size < 1_000), "compressed first");
    assert_eq!(text.get().await.expect("answered"), Some(CANARY.repeat(500)));
    assert!(text.has().await.expect("answered"));
    cache.evict_tags(["texts"]).await.expect("evicted");
    assert_eq!(text.get().await.expect("answered"), None);
    let visits = cache.entry::<i64>("visits", CANARY);
    assert_eq!(visits.increment(2).await.expect("added"), 2);
    assert_eq!(visits.increment(3).await.expect("added"), 5);
    assert_eq!(visits.update(|number| number.unwrap_or(0) * 2).await.expect("updated"), 10);
    for _ in 0..2 {
        assert_eq!(cache.scope(nobody(CANARY.to_owned())).await, None);
        cache.stored().await;
    }
    assert_eq!(cache.stats().site("nobody").expect("it was called").hits, 1);
    for (key, bytes) in stored(&rig, &process).await {
        assert!(!key.contains(CANARY) && !String::from_utf8_lossy(&bytes).contains(CANARY), "{key}");
    }
}

async fn only_the_prefixes_that_are_named_are_sealed(rig: Rig) {
    let process = rig.process_with(|builder| builder.sealed(sealing().only(["session"])));
    process.cache.set("session", 1, &10_u32).await.expect("stored");
    process.cache.set("page", 1, &20_u32).await.expect("stored");
    assert!(rig.raw("session:1").await.is_none());
    let page = rig.raw("page:1").await.expect("readable");
    assert!(!Header::parse(&page).expect("an entry").has(SEALED));
    assert_eq!(process.cache.get::<u32>("session", 1).await.expect("answered"), Some(10));
    assert_eq!(process.cache.get::<u32>("page", 1).await.expect("answered"), Some(20));
}

#[cached(prefix = "nobody", cache_none = true)]
async fn nobody(name: String) -> Option<u32> {
    drop(name);
    None
}

#[cached(prefix = "patient", key = "{id}", sealed, entry = patient_entry)]
async fn patient(id: u32) -> u32 {
    id
}

#[cache_evict(prefix = "patient", key = "{id}")]
async fn forget(id: u32) -> Result<(), ()> {
    assert!(id > 0);
    Ok(())
}

#[cache_evict(entry = patient_entry(id))]
async fn discharge(id: u32) -> Result<(), ()> {
    assert!(id > 0);
    Ok(())
}

/// Upholds G7 and G8: what its cache cannot name is neither sent by its key nor told as evicted.
async fn a_function_that_is_to_be_sealed_names_nothing_in_plain(rig: Rig) {
    let elsewhere = rig.process_with(|builder| builder.sealed(sealing().only(["session"])));
    for process in [rig.process(), elsewhere] {
        let cache = &process.cache;
        let sent = || [Op::Evict, Op::Set, Op::Lease].map(|op| process.faults.count(op));
        let before = sent();
        let patient: Entry<u32> = cache.scope(async { patient_entry(7) }).await;
        let kind = |result: cachemacro::Result<()>| result.map_err(|error| error.kind());
        assert_eq!(kind(patient.evict().await.map(drop)), Err(ErrorKind::Key));
        assert_eq!(kind(patient.set(&8).await), Err(ErrorKind::Key));
        assert_eq!(kind(cache.evict().entry(&patient).await.map(drop)), Err(ErrorKind::Key));
        let failed = cache.stats().total.failed_evicts;
        cache.scope(discharge(7)).await.expect("what it does is done");
        assert_eq!(cache.stats().total.failed_evicts, failed + 1, "it is told");
        assert_eq!(sent(), before, "nothing was sent");
    }
    let process = sealed(&rig);
    process.cache.scope(patient(7)).await;
    process.cache.stored().await;
    sealed(&rig).cache.scope(discharge(7)).await.expect("evicted");
    assert!(stored(&rig, &process).await.is_empty());
}

async fn a_function_that_is_to_be_sealed_stores_nothing_in_plain(rig: Rig) {
    let elsewhere = rig.process_with(|builder| builder.sealed(sealing().only(["session"])));
    for process in [rig.process(), elsewhere] {
        for _ in 0..2 {
            assert_eq!(process.cache.scope(patient(7)).await, 7);
        }
        process.cache.stored().await;
        assert!(stored(&rig, &process).await.is_empty());
        let stats = process.cache.stats();
        assert_eq!(stats.total.hits, 0);
        assert!(stats.total.errors_of(cachemacro::ErrorKind::Key) > 0, "it is told");
    }
    let process = sealed(&rig);
    for _ in 0..2 {
        process.cache.scope(patient(7)).await;
        process.cache.stored().await;
    }
    assert_eq!(process.cache.stats().total.hits, 1);
    // Who evicts need not say so.
    sealed(&rig).cache.scope(forget(7)).await.expect("evicted");
    assert!(stored(&rig, &process).await.is_empty());
}

on_both_stores!(
    the_store_learns_neither_keys_nor_values,
    bytes_that_were_moved_or_changed_are_misses,
    an_entry_in_plain_is_a_miss_and_replaced,
    keys_are_rotated_without_a_miss,
    all_that_is_stored_can_be_sealed,
    only_the_prefixes_that_are_named_are_sealed,
    a_function_that_is_to_be_sealed_stores_nothing_in_plain,
    a_function_that_is_to_be_sealed_names_nothing_in_plain,
    what_a_forged_header_says_is_not_believed,
);

#[tokio::test]
async fn a_store_in_memory_keeps_nothing_of_it_in_plain() {
    // How many bytes of an entry a call reads that was read before.
    let read = async |builder: CacheBuilder| {
        let cache = builder.build().expect("acceptable");
        let calls = async |times: usize| {
            for _ in 0..times {
                assert_eq!(small(CANARY.to_owned()).await, CANARY);
            }
            cache.stats().total.bytes_read
        };
        cache.scope(async { calls(3).await.abs_diff(calls(1).await) }).await
    };
    assert_eq!(read(Cache::builder().memory()).await, 0, "it is kept decoded");
    assert!(read(Cache::builder().memory().sealed(sealing())).await > 0, "each hit is opened anew");
}

/// What was freed is overwritten, so what is found is what is held.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn no_memory_of_the_process_holds_in_plain_what_is_sealed() {
    let found = |how: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_sealed_memory"));
        without_settings(&mut program).arg(how);
        program.env("GLIBC_TUNABLES", "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0");
        let ended = program.output().expect("it can be run");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let told = String::from_utf8(ended.stdout).expect("text");
        told.trim().parse::<usize>().expect("a number")
    };
    let plain = found("plain");
    assert!(plain > 500, "it sees what is there: {plain}");
    assert_eq!(found("sealed"), 0, "of {plain} in plain");
}

#[cached(prefix = "small")]
async fn small(text: String) -> String {
    text
}
