//! Bytes that are not what they should be are a miss, counted by its reason, and replaced by the next fill.

use bytes::{Bytes, BytesMut};
use cachemacro::MissReason::{
    self, Absent, Malformed, OtherCodec, OtherKey, OtherSchema, Pending, TagEvicted, Undecodable, Unsealed,
};
use cachemacro::codec::{Json, Postcard};
use cachemacro::header::{self, COMPRESSED, ERROR, Header, NONE, PENDING, Parts, SEALED, Stamp};
use cachemacro::store::faults::Op;
use cachemacro::{Entry, EntryRules, Mode, Policy, Stats, Ttl};
use cachemacro_tests::halt::reached;
use cachemacro_tests::monitor::Watched;
use cachemacro_tests::{DEADLINE, Process, RedisServer, Rig, Single, on_both_stores};
use std::time::Duration;
use tokio::time::timeout;

const VALUE: &str = "the value";

fn entry(process: &Process) -> Entry<String> {
    process.cache.entry("row", 7).with_tags(["tag"])
}

/// Has the value stored, lets `damage` happen to it, and looks what becomes of the next reads.
async fn heals(
    process: &Process,
    what: &str,
    reason: MissReason,
    reader: Entry<String>,
    damage: impl AsyncFnOnce(),
) {
    reader.evict().await.expect("evicted");
    assert_eq!(entry(process).get_or_load(async || VALUE.to_owned()).await, VALUE, "{what}");
    process.cache.stored().await;
    damage().await;
    if reason != Undecodable {
        assert!(!reader.has().await.expect("the store answers"), "{what}: there is nothing to get");
    }
    let before = process.cache.stats().total;
    let read = reader.get_or_load(async || "anew".to_owned()).await;
    process.cache.stored().await;
    let after = process.cache.stats().total;
    assert_eq!(read, "anew", "{what}");
    assert_eq!(after.misses_for(reason), before.misses_for(reason) + 1, "{what}: {}", misses(&after));
    assert_eq!(after.misses(), before.misses() + 1, "{what}");
    assert_eq!(after.fills, before.fills + 1, "{what}: healed");
    assert_eq!(reader.get().await.expect("the store answers").as_deref(), Some("anew"), "{what}");
}

fn misses(stats: &Stats) -> String {
    let by_reason = stats.misses_by_reason().map(|(reason, count)| format!("{} {count}", reason.as_str()));
    let all: Vec<String> = by_reason.collect();
    all.join(", ")
}

/// The stored entry with another header and payload, checksum and lengths being right.
fn rebuilt(bytes: &Bytes, change: impl FnOnce(&mut Header, &mut Vec<u8>)) -> Bytes {
    let parts = Parts::parse(bytes).expect("a whole entry");
    let (mut header, mut payload) = (parts.header, parts.payload.to_vec());
    change(&mut header, &mut payload);
    let stamps: Vec<Stamp> = parts.stamps().collect();
    header::assemble(header, &stamps, &payload).into()
}

/// The keys of the versions of `"tag"`: its own, and its bucket's.
async fn version_keys(rig: &Rig, process: &Process) -> [String; 2] {
    entry(process).set(&VALUE.to_owned()).await.expect("set");
    let bytes = rig.raw("row:7").await.expect("it is stored");
    let stamp = Parts::parse(&bytes).expect("an entry").stamps().next().expect("it has a tag");
    let any = format!("{{{}:tag:{:02}}}", rig.namespace(), stamp.tag % 64);
    [format!("{any}:{:016x}", stamp.tag), any]
}

type Damage = fn(&Bytes) -> Bytes;

/// Upholds G8.
async fn damaged_and_foreign_bytes_are_replaced(rig: Rig) {
    let process = rig.process();
    let damages: [(&str, MissReason, Damage); 17] = [
        ("empty", Malformed, |_| Bytes::new()),
        ("one byte", Malformed, |_| Bytes::from_static(b"c")),
        ("foreign", Malformed, |_| Bytes::from_static(b"{\"a\": 1}")),
        ("foreign and long", Malformed, |_| vec![0; 4_000].into()),
        ("without its end", Malformed, |bytes| bytes.slice(..bytes.len() - 1)),
        ("header only", Malformed, |bytes| bytes.slice(..header::FIXED)),
        ("half a header", Malformed, |bytes| bytes.slice(..header::FIXED / 2)),
        ("too long", Malformed, |bytes| [&bytes[..], b"x"].concat().into()),
        ("another format", Malformed, |bytes| {
            let mut bytes = BytesMut::from(&bytes[..]);
            bytes[4] += 1;
            bytes.freeze()
        }),
        ("another codec", OtherCodec, |bytes| rebuilt(bytes, |header, _| header.codec ^= 2)),
        ("another schema", OtherSchema, |bytes| rebuilt(bytes, |header, _| header.schema ^= 1)),
        ("another key's hash", OtherKey, |bytes| rebuilt(bytes, |header, _| header.key_hash ^= 1)),
        ("a payload of another type", Undecodable, |bytes| {
            rebuilt(bytes, |_, payload| *payload = vec![0xff; 3])
        }),
        ("compressed, it says", Undecodable, |bytes| rebuilt(bytes, |header, _| header.flags |= COMPRESSED)),
        ("sealed", Unsealed, |bytes| rebuilt(bytes, |header, _| header.flags |= SEALED)),
        ("a `None` where there can be none", Undecodable, |bytes| {
            rebuilt(bytes, |header, _| header.flags |= NONE)
        }),
        ("pending for nobody", Pending, |bytes| rebuilt(bytes, |header, _| header.flags |= PENDING)),
    ];
    for (what, reason, damage) in damages {
        heals(&process, what, reason, entry(&process), async || {
            let bytes = rig.raw("row:7").await.expect("it is stored");
            rig.put_raw("row:7", damage(&bytes)).await;
        })
        .await;
    }
    heals(&process, "an error where there can be none", Undecodable, entry(&process), async || {
        let bytes = rig.raw("row:7").await.expect("it is stored");
        rig.put_raw("row:7", rebuilt(&bytes, |header, _| header.flags |= ERROR)).await;
    })
    .await;
}

/// Upholds G8.
async fn every_flipped_bit_is_harmless(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process);
    entry.set(&VALUE.to_owned()).await.expect("set");
    let good = rig.raw("row:7").await.expect("it is stored");
    // Every bit in memory; on a server, where each takes several round trips, every 7th.
    let step = if rig.is_redis() { 7 } else { 1 };
    let (mut replaced, mut kept) = (0, 0);
    for bit in (0..good.len() * 8).step_by(step) {
        let mut bytes = BytesMut::from(&good[..]);
        bytes[bit / 8] ^= 1 << (bit % 8);
        rig.put_raw("row:7", bytes.freeze()).await;
        match entry.get_or_load(async || "anew".to_owned()).await.as_str() {
            // The lease's fields and the reserved byte.
            VALUE => kept += 1,
            "anew" => replaced += 1,
            other => panic!("bit {bit} made it {other:?}"),
        }
        assert!(entry.get().await.expect("the store answers").is_some(), "bit {bit}: healed, or not hurt");
    }
    assert!(kept <= (17 * 8 + 1) / step + 1, "{kept} of {}", kept + replaced);
}

/// Upholds G8.
async fn an_entry_under_another_key_is_not_used(rig: Rig) {
    let process = rig.process();
    heals(&process, "a copy", OtherKey, entry(&process), async || {
        let other = process.cache.entry("row", 8).with_tags(["tag"]);
        other.set(&"another's".to_owned()).await.expect("set");
        let bytes = rig.raw("row:8").await.expect("it is stored");
        rig.put_raw("row:7", bytes).await;
    })
    .await;
}

/// Upholds G8.
async fn what_another_deploy_stored_is_replaced(rig: Rig) {
    let process = rig.process();
    let versioned = Policy::new().version(1);
    let nothing = async || {};
    heals(&process, "version raised", OtherSchema, entry(&process).with_policy(versioned), nothing).await;
    heals(&process, "other codec", OtherCodec, entry(&process).with_codec::<Json>(), nothing).await;
    heals(&process, "other codec", OtherCodec, entry(&process).with_codec::<Postcard>(), nothing).await;

    // Another type under the same key: the reader of each sees the other's as another schema.
    let number = process.cache.entry::<u64>("row", 7).with_tags(["tag"]);
    assert_eq!(number.get_or_load(async || 5).await, 5);
    heals(&process, "other type", OtherSchema, entry(&process), async || number.set(&6).await.expect("set"))
        .await;
}

/// Two deploys that take each other's values for unusable must not keep a caller of either busy for ever.
/// Upholds G6.
async fn a_key_that_others_keep_storing_unusably_is_given_up_on(rig: Rig) {
    let (here, other) = (rig.process(), rig.process());
    let foreign = other.cache.entry::<Vec<u32>>("row", 7);
    let gates: Vec<_> = (0..9).map(|_| here.faults.gate(Op::Lease)).collect();
    let reader = entry(&here);
    let read = async {
        timeout(DEADLINE, reader.get_or_load(async || VALUE.to_owned())).await.expect("it gives up")
    };
    let store = async {
        for gate in gates {
            reached(&gate).await;
            foreign.set(&vec![1, 2, 3]).await.expect("set");
            gate.open();
        }
    };
    tokio::select! {
        value = read => assert_eq!(value, VALUE),
        () = store => panic!("it never gives up"),
    }
    assert_eq!((here.faults.count(Op::Lease), here.cache.stats().total.fills), (3, 0));
}

/// Upholds G8.
async fn a_damaged_tag_version_is_a_miss_and_replaced(rig: Rig) {
    let process = rig.process();
    let [tag, any] = version_keys(&rig, &process).await;
    let put = async |key: &str, bytes: &[u8]| {
        let bytes = Bytes::copy_from_slice(bytes);
        rig.store().set(key, bytes, Duration::from_hours(1)).await.expect("the store answers");
    };
    let damages: [&[u8]; 5] = [b"", b"short", b"far too long", &[0; 8], &[7; 8]];
    for damage in damages {
        let what = format!("{damage:?}");
        heals(&process, &what, TagEvicted, entry(&process), async || put(&tag, damage).await).await;
    }
    // The same for a tag that only the value names.
    let rules = EntryRules::none().tags(|_: &u64| vec!["tag".to_owned()]);
    let late = process.cache.entry("late", 7).with_rules(rules);
    for damage in damages {
        put(&any, damage).await;
        put(&tag, damage).await;
        late.evict().await.expect("evicted");
        assert_eq!(late.get_or_load(async || 1).await, 1);
        assert_eq!(late.get().await.expect("the store answers"), Some(1), "{damage:?}: healed");
        process.cache.evict_tags(["tag"]).await.expect("evicted");
        assert_eq!(late.get().await.expect("the store answers"), None, "{damage:?}");
    }
}

on_both_stores!(
    a_key_that_others_keep_storing_unusably_is_given_up_on,
    damaged_and_foreign_bytes_are_replaced,
    every_flipped_bit_is_harmless,
    an_entry_under_another_key_is_not_used,
    what_another_deploy_stored_is_replaced,
    a_damaged_tag_version_is_a_miss_and_replaced,
);

#[tokio::test]
async fn a_key_of_another_redis_type_is_replaced() {
    let rig = Rig::redis();
    let process = rig.process();
    let key = format!("{}:row:7", rig.namespace());
    let [tag, _] = version_keys(&rig, &process).await;
    let mut client = RedisServer::shared().client().await;
    for make in
        ["LPUSH k v", "SADD k v", "HSET k f v", "ZADD k 1 v", "XADD k * f v", "PFADD k v", "SETBIT k 7 1"]
    {
        let words: Vec<&str> = make.split(' ').collect();
        let command = |key: &str| {
            let mut command = redis::pipe();
            command.cmd("UNLINK").arg(key).cmd(words[0]).arg(key);
            for word in &words[2..] {
                command.arg(word);
            }
            command
        };
        let string = ["PFADD", "SETBIT"].contains(&words[0]);
        let reason = if string { Malformed } else { Absent };
        heals(&process, make, reason, entry(&process), async || {
            command(&key).exec_async(&mut client).await.expect("the server obeys");
        })
        .await;
        heals(&process, make, TagEvicted, entry(&process), async || {
            command(&tag).exec_async(&mut client).await.expect("the server obeys");
        })
        .await;
    }
}

/// Upholds G8.
#[tokio::test]
async fn entries_that_were_renamed_and_copied_are_replaced() {
    let rig = Rig::redis();
    let process = rig.process();
    let key = |id: u32| format!("{}:row:{id}", rig.namespace());
    let mut client = RedisServer::shared().client().await;
    let other = process.cache.entry("row", 8).with_tags(["tag"]);
    for (command, replaces) in [("RENAME", false), ("COPY", true)] {
        heals(&process, command, OtherKey, entry(&process), async || {
            other.set(&"another's".to_owned()).await.expect("set");
            let mut command = redis::cmd(command);
            command.arg(key(8)).arg(key(7));
            if replaces {
                command.arg("REPLACE");
            }
            command.exec_async(&mut client).await.expect("the server obeys");
        })
        .await;
    }
}

#[tokio::test]
async fn a_value_past_its_time_is_replaced() {
    let rig = Rig::memory();
    let process = rig.process();
    let entry = process.cache.entry::<u32>("row", 7).with_ttl(Duration::from_mins(1));
    assert_eq!(entry.get_or_load(async || 1).await, 1);
    rig.in_memory().1.advance(Duration::from_secs(59));
    assert_eq!(entry.get_or_load(async || 2).await, 1);
    assert_eq!(Mode::MaxAge(Duration::from_secs(10)).scope(entry.get_or_load(async || 3)).await, 3);
    assert_eq!(process.cache.stats().total.misses_for(MissReason::TooOld), 1);
    rig.in_memory().1.advance(Duration::from_mins(1));
    assert_eq!(entry.get_or_load(async || 4).await, 4);
    assert_eq!(entry.with_ttl(Ttl::Never).get_or_load(async || 5).await, 4);
}

/// The commands and options that came with Redis 7.0 are not used: `SET … NX GET`, `EXPIRE … GT` and the like.
#[tokio::test]
async fn no_option_is_newer_than_the_oldest_supported_server() {
    // What it is sent is looked at, so nobody else sends it anything.
    let server = RedisServer::start();
    let rig = Rig::at(&server.url());
    let process = rig.process();
    let watched = Watched::start(rig.url()).await;
    let cache = &process.cache;
    let late = cache.entry("late", 7).with_rules(EntryRules::none().tags(|_: &u64| vec!["tag".into()]));
    for round in 0..2_u64 {
        entry(&process).get_or_load(async || VALUE.to_owned()).await;
        late.get_or_load(async || round).await;
        entry(&process).update(|_| VALUE.to_owned()).await.expect("updated");
        cache.entry::<i64>("count", 1).with_tags(["tag"]).increment(1).await.expect("added");
        entry(&process).meta().await.expect("the store answers");
        entry(&process).lookup().await.expect("the store answers");
        let double = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, id * 2)).collect();
        cache.get_or_load_many::<u64, u64, _>("many", [1, 2, 3], double).await;
        cache.set("plain", 1, &2).await.expect("set");
        cache.evict_tags(["tag"]).await.expect("evicted");
        cache.evict_key("plain", 1).await.expect("evicted");
        cache.evict_prefix("many").await.expect("evicted");
    }
    let commands = watched.commands().await;
    let of = |name: &str| commands.iter().filter(|command| command[0].eq_ignore_ascii_case(name)).count();
    assert!(of("SET") > 0 && of("PEXPIRE") + of("PTTL") > 0 && of("EVALSHA") > 5, "scripts are seen inside");
    for command in commands {
        let has = |option: &str| command[2..].iter().any(|word| word.eq_ignore_ascii_case(option));
        match command[0].to_ascii_uppercase().as_str() {
            "SET" => assert!(!(has("NX") && has("GET")), "{command:?}"),
            "EXPIRE" | "PEXPIRE" | "EXPIREAT" | "PEXPIREAT" => assert_eq!(command.len(), 3, "{command:?}"),
            "EVAL_RO" | "EVALSHA_RO" | "FCALL" | "FUNCTION" | "LMPOP" | "ZMPOP" | "EXPIRETIME"
            | "PEXPIRETIME" | "SINTERCARD" | "LCS" => panic!("{command:?}"),
            _ => {}
        }
    }
}
