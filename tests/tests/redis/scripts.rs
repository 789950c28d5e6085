//! What the script of a fill decides at once: the same as what follows it, whatever is under the key.

use std::fs;
use std::path::Path;

use cachemacro_tests::{RedisServer, namespace};
use redis::Value;
use redis::aio::MultiplexedConnection;

const TOKEN: [u8; 8] = *b"TOKEN\0\x01\xFF";
/// Flags of what is pending.
const PENDING: u8 = 1;

/// The source of these scripts, one after the other.
fn source(names: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cachemacro-runtime/src/store/redis/scripts");
    names.iter().map(|name| fs::read_to_string(folder.join(name)).expect("a script")).collect()
}

/// A header under this lease, with so many stamps.
fn header(token: [u8; 8], stamps: u16) -> Vec<u8> {
    let mut header = b"cmac\x01".to_vec();
    header.extend([PENDING, 0, 0]);
    header.extend([0; 8]);
    header.extend(token);
    header.extend((1_u64 << 41).to_le_bytes());
    header.extend([0; 22]);
    header.extend(stamps.to_le_bytes());
    header.extend([0; 40]);
    header.extend(vec![7; 16 * usize::from(stamps)]);
    header
}

/// What may be there: such a header, and what differs from it in one byte, in its length, or altogether.
fn heads() -> Vec<Vec<u8>> {
    let mut heads = vec![Vec::new(), b"cmac".to_vec(), vec![0; 96], vec![0xFF; 200], vec![b'x'; 600]];
    for stamps in [0, 1, 25, 26, 27] {
        let whole = header(TOKEN, stamps);
        for at in 0..whole.len().min(112) {
            for flip in [1, 0xFE] {
                let mut other = whole.clone();
                other[at] ^= flip;
                heads.push(other);
            }
        }
        for length in [whole.len() - 1, whole.len() - 16, 95, 24] {
            heads.push(whole[..length.min(whole.len())].to_vec());
        }
        heads.push([&whole[..], b"x"].concat());
        heads.push([&whole[..], &[0; 16]].concat());
        heads.push([&whole[..], &[0; 500]].concat());
        heads.push(header([0; 8], stamps));
        heads.push(whole);
    }
    heads
}

/// Runs a fill of a key under which this head is. Whether it was accepted, whether the time was told, what is there now and whether that
/// lives as long as it should.
async fn filled(
    redis: &mut MultiplexedConnection,
    (script, key): (&str, &str),
    head: Option<&[u8]>,
    (token, unlinks, tells): ([u8; 8], bool, bool),
) -> (bool, bool, Option<Vec<u8>>, bool) {
    let before = match head {
        Some(head) => redis::cmd("SET").arg(key).arg(head).query_async::<Value>(redis).await,
        None => redis::cmd("DEL").arg(key).query_async(redis).await,
    };
    before.expect("it answers");
    let told: Vec<i64> = redis::cmd("EVAL")
        .arg(script)
        .arg(1)
        .arg(key)
        .arg(&token)
        .arg(&[b'v'; 300])
        .arg(60_000)
        .arg(u8::from(unlinks))
        .arg(u8::from(tells))
        .query_async(redis)
        .await
        .expect("a verdict");
    let there = redis::cmd("GET").arg(key).query_async(redis).await.expect("a string or nothing");
    let left: i64 = redis::cmd("PTTL").arg(key).query_async(redis).await.expect("it answers");
    (told[0] == 1, told.len() == 2, there, left > 50_000)
}

/// Upholds G1: a fill whose lease is lost is refused, and what is no entry is not taken for one.
#[tokio::test]
async fn what_is_decided_at_once_is_what_would_be_decided_after_it() {
    let mut redis = RedisServer::shared().client().await;
    let key = format!("{}:key", namespace());
    let whole = source(&["quick.lua", "prelude.lua", "fill.lua"]);
    let after = source(&["prelude.lua", "fill.lua"]);
    let (mut accepted, mut refused) = (0, 0);
    for head in heads().iter().map(|head| Some(&head[..])).chain([None]) {
        for how in [(TOKEN, false, false), (TOKEN, true, true), ([0; 8], false, false)] {
            let expected = filled(&mut redis, (&after, &key), head, how).await;
            assert_eq!(filled(&mut redis, (&whole, &key), head, how).await, expected, "{head:?} {how:?}");
            if expected.0 { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(accepted > 500 && refused > 500, "{accepted} accepted, {refused} refused");
    // What is no string.
    let list = format!("{key}:list");
    let push = redis::cmd("RPUSH").arg(&list).arg("x").query_async::<Value>(&mut redis).await;
    push.expect("it answers");
    for script in [&after, &whole] {
        let mut call = redis::cmd("EVAL");
        call.arg(script).arg(1).arg(&list).arg(&TOKEN).arg("v").arg(1).arg(0).arg(0);
        let told: Vec<i64> = call.query_async(&mut redis).await.expect("a verdict");
        assert_eq!((told[0], told.len()), (0, 2));
    }
}
