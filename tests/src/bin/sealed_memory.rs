//! Stores secrets in memory, plainly or sealed, and says how many of them the heap holds: `sealed_memory plain|sealed`.
//!
//! What was freed counts where it was not overwritten, so the test starts it with a `GLIBC_TUNABLES` that has that done. Nothing here
//! keeps a secret: each is made of a text that is written backwards.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use cachemacro::{Cache, Sealing, cache_put, cached};

/// The secret, backwards.
const YRANAC: &str = "yranac-evol-siht-fo-esrever-eht";
/// How many secrets there are of each kind.
const MANY: u64 = 50;
/// How much of the heap is looked at in one go.
const CHUNK: usize = 8 * 1024;

fn secret(id: u64) -> String {
    YRANAC.chars().rev().collect::<String>() + &format!("-{id:04}")
}

#[cached(prefix = "text", key = "{secret}", tags = ["texts"], entry = text_entry)]
async fn text(secret: &str) -> Option<String> {
    Some(secret.repeat(2))
}

#[cached(prefix = "shared", key = "{id}", ttl = "10m", stale = "1m")]
async fn shared(id: u64) -> Arc<Vec<String>> {
    Arc::new(vec![secret(id), secret(id)])
}

#[cached(prefix = "missing", cache_none = true)]
async fn missing(secret: String) -> Option<u32> {
    black_box(secret);
    None
}

#[cache_put(entry = text_entry(secret))]
async fn change(secret: &str) -> Option<String> {
    Some(secret.repeat(3))
}

/// All that a store in memory does for a secret.
async fn play(cache: &Cache) {
    for id in 0..MANY {
        let text_of = secret(id);
        for _ in 0..2 {
            assert_eq!(text(&text_of).await, Some(text_of.repeat(2)));
            assert_eq!(shared(id).await[0], text_of);
            assert_eq!(missing(text_of.clone()).await, None);
            cache.stored().await;
        }
        change(&text_of).await;
        let entry = cache.entry::<String>("by-hand", &text_of);
        entry.set(&text_of).await.expect("stored");
        let updated = entry.update(|old| old.unwrap_or_default() + &text_of).await;
        assert_eq!(updated.expect("updated"), text_of.repeat(2));
        assert_eq!(entry.get().await.expect("read"), Some(text_of.repeat(2)));
        assert_eq!(cache.increment("visits", &text_of, 1).await.expect("added"), 1);
    }
    let load = async |ids: Vec<String>| ids.into_iter().map(|id| (id.clone(), id)).collect();
    for _ in 0..2 {
        let many = cache.get_or_load_many("many", (0..MANY).map(secret), load).await;
        assert_eq!(many.len(), 50);
    }
    // Some of them are gone again.
    for id in 0..MANY / 5 {
        assert!(cache.evict_key("by-hand", secret(id)).await.expect("evicted"));
    }
}

/// How many secrets there are in what was allocated, as the system shows it.
fn found() -> usize {
    let maps = BufReader::new(File::open("/proc/self/maps").expect("a system that tells"));
    let heap: Vec<(u64, u64)> = maps
        .lines()
        .map(|line| line.expect("text"))
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let is_heap = words.get(5).is_none_or(|name| *name == "[heap]");
            let (from, to) = words[0].split_once('-')?;
            let address = |text| u64::from_str_radix(text, 16).ok();
            (words[1].starts_with("rw") && is_heap).then_some((address(from)?, address(to)?))
        })
        .collect();
    let mut memory = File::open("/proc/self/mem").expect("a system that tells");
    let pattern = YRANAC.as_bytes();
    let mut count = 0;
    for (mut from, to) in heap {
        // On the stack, which is not looked at; so far as a secret may begin in it and end in the next.
        let mut chunk = [0; CHUNK];
        while from < to {
            let length = CHUNK.min(usize::try_from(to - from).expect("it fits"));
            memory.seek(SeekFrom::Start(from)).expect("an address");
            if memory.read_exact(&mut chunk[..length]).is_err() {
                break;
            }
            let windows = chunk[..length].windows(pattern.len());
            count += windows.filter(|window| window.iter().rev().eq(pattern)).count();
            if length < CHUNK {
                break;
            }
            from += u64::try_from(CHUNK - pattern.len() + 1).expect("it fits");
        }
    }
    count
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let how = std::env::args().nth(1).expect("how they are stored is the first argument");
    let builder = Cache::builder().memory().namespace("n");
    let cache = match &*how {
        "plain" => builder,
        "sealed" => builder.sealed(Sealing::new(&[1; 32], 1, &[2; 32])),
        _ => panic!("plain or sealed, not {how}"),
    };
    let cache = cache.build().expect("acceptable");
    cache.scope(play(&cache)).await;
    let stats = cache.stats().total;
    assert!(stats.hits > 4 * MANY, "{} hits", stats.hits);
    println!("{}", found());
    // They are all there until then.
    assert!(cache.evict_prefix("text").await.expect("evicted") >= MANY);
}
