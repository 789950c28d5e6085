//! Goes through the keys of a namespace, no faster than `--rate` says.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::Duration;

use cachemacro::inspect::{Expects, Head};
use cachemacro::store::Cursor;
use tokio::time::{Instant, sleep_until};

use crate::args::PlaceArgs;
use crate::failure::{Done, Failure};
use crate::place::Place;
use crate::text;

/// How many heads are read in one round trip.
const CHUNK: usize = 100;
/// How many heads are read where that counts as use.
const MOST_USED: usize = 10_000;
/// How many keys are remembered, so that none comes twice.
const MOST_SEEN: usize = 4_000_000;

/// How long past its TTL a value is taken to be served stale where its function is not known: as long as the store keeps it.
pub(crate) const AS_LONG_AS_IT_IS_KEPT: Duration = Duration::from_secs(1 << 32);

/// One key and what is under it.
#[derive(Debug)]
pub(crate) struct Found {
    /// The key without the namespace. Keys that are no UTF-8 are not the cache's and are passed over.
    pub(crate) key: String,
    pub(crate) head: Head,
}

/// Which keys came, by their hashes: a scan may tell one twice.
struct Seen {
    hashes: HashSet<u64>,
    by: RandomState,
    most: usize,
    is_full: bool,
}

impl Seen {
    fn new(most: usize) -> Self {
        Self { hashes: HashSet::new(), by: RandomState::new(), most, is_full: false }
    }

    /// Whether this key did not come before, as far as is remembered.
    fn is_new(&mut self, key: &str) -> bool {
        let hash = self.by.hash_one(key);
        if self.hashes.len() < self.most {
            return self.hashes.insert(hash);
        }
        self.is_full = true;
        !self.hashes.contains(&hash)
    }
}

/// Whether a look at an entry counts as use there, and has the server keep it in place of what is in use: where it makes room by use, and
/// does not take `CLIENT NO-TOUCH`, because it is older than Redis 7.2 or because the user has no right to it. Of a server that does not
/// tell it is taken to be so.
pub(crate) async fn counts_as_use(place: &Place) -> bool {
    let by_use = match place.inspector.info().await {
        Ok(Some(info)) => makes_room_by_use(&info),
        _ => true,
    };
    by_use && !place.inspector.leaves_use_alone().await.unwrap_or(false)
}

pub(crate) fn makes_room_by_use(info: &str) -> bool {
    // Of a cluster, each node tells.
    let policies = info.lines().filter_map(|line| line.trim().strip_prefix("maxmemory_policy:"));
    policies.into_iter().any(|policy| policy.ends_with("lru") || policy.ends_with("lfu"))
}

/// What is said where few entries are looked at, or none.
pub(crate) const TOUCHES: &str = "looking at an entry counts as use on this server, which makes room by use";

/// What is to be done about it.
pub(crate) const UNTOUCHED: &str = "from Redis 7.2 on, the right +client|no-touch spares that";

/// Goes through all keys that begin with `prefix` until `each` gives false. None comes twice, of four million.
pub(crate) async fn sweep(
    place: &Place,
    args: &PlaceArgs,
    prefix: &str,
    mut each: impl FnMut(Found) -> bool,
) -> Done {
    sweep_and(place, args, prefix, async |found| Ok(each(found))).await
}

/// Like `sweep`, for work on a key that takes time: the next keys are asked for once it is done.
pub(crate) async fn sweep_and(
    place: &Place,
    args: &PlaceArgs,
    prefix: &str,
    mut each: impl AsyncFnMut(Found) -> Result<bool, Failure>,
) -> Done {
    // A value may serve stale, which its function says.
    let expects = Expects::new().stale(AS_LONG_AS_IT_IS_KEPT);
    let mut left = if !args.touch && counts_as_use(place).await { MOST_USED } else { usize::MAX };
    pages(place, args, prefix, async |keys| {
        for keys in keys.chunks(CHUNK) {
            let keys = &keys[..keys.len().min(left)];
            left -= keys.len();
            let heads = place.inspector.heads(keys, &expects).await?;
            for (key, head) in keys.iter().zip(heads) {
                // The entry may have gone since its key was found.
                let Some(head) = head else { continue };
                if !each(Found { key: key.clone(), head }).await? {
                    return Ok(false);
                }
            }
            if left == 0 {
                text::tell(&format!(
                    "{TOUCHES}: only 10,000 were looked at; --touch looks at all; {UNTOUCHED}"
                ));
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await
}

/// Like `sweep`, without a look at what is under the keys.
pub(crate) async fn names(
    place: &Place,
    args: &PlaceArgs,
    prefix: &str,
    mut each: impl FnMut(String) -> bool,
) -> Done {
    pages(place, args, prefix, async |keys| Ok(keys.into_iter().all(&mut each))).await
}

/// Goes through all keys, some at a time, until `each` gives false.
async fn pages(
    place: &Place,
    args: &PlaceArgs,
    prefix: &str,
    mut each: impl AsyncFnMut(Vec<String>) -> Result<bool, Failure>,
) -> Done {
    let per_key = Duration::from_secs(1) / args.rate();
    let mut seen = Seen::new(MOST_SEEN);
    let mut next = Some(Cursor::default());
    let mut due = Instant::now();
    while let Some(cursor) = next {
        sleep_until(due).await;
        let page = place.inspector.keys(prefix, &cursor).await?;
        // A step looks at about this many keys of the server, whether or not they are in the namespace.
        let looked = u32::try_from(page.keys.len().max(CHUNK)).unwrap_or(u32::MAX);
        due = Instant::now() + per_key * looked;
        let keys = page.keys.iter().filter_map(|key| String::from_utf8(key.to_vec()).ok());
        if !each(keys.filter(|key| seen.is_new(key)).collect()).await? {
            return Ok(());
        }
        next = page.next;
    }
    if seen.is_full {
        text::tell("of more than four million keys, one that the server told twice counts twice");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_once_and_only_so_many_are_remembered() {
        let mut seen = Seen::new(1_000);
        for round in 0..3 {
            let new = (0..2_000).filter(|key| seen.is_new(&key.to_string())).count();
            assert_eq!(new, if round == 0 { 2_000 } else { 1_000 }, "{round}");
        }
        assert!(seen.is_full && seen.hashes.len() == 1_000);
    }

    #[test]
    fn a_server_makes_room_by_use_where_one_of_its_nodes_does() {
        for (policies, by_use) in [
            (&["allkeys-lru"][..], true),
            (&["volatile-lfu"], true),
            (&["noeviction"], false),
            (&["volatile-ttl"], false),
            (&["noeviction", "allkeys-lru"], true),
            (&[], false),
        ] {
            let info: String =
                policies.iter().flat_map(|policy| ["maxmemory_policy:", policy, "\r\n"]).collect();
            assert_eq!(makes_room_by_use(&info), by_use, "{policies:?}");
        }
    }
}
