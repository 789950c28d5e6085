//! Goes through the keys of a namespace, no faster than `--rate` says.

use std::time::Duration;

use cachemacro::inspect::{Expects, Head};
use cachemacro::store::Cursor;
use tokio::time::{Instant, sleep_until};

use crate::args::PlaceArgs;
use crate::failure::Failure;
use crate::place::Place;

/// How many heads are read in one round trip.
const CHUNK: usize = 100;

/// How long past its TTL a value is taken to be served stale where its function is not known: as long as the store keeps it.
pub(crate) const AS_LONG_AS_IT_IS_KEPT: Duration = Duration::from_secs(1 << 32);

/// One key and what is under it.
#[derive(Debug)]
pub(crate) struct Found {
    /// The key without the namespace. Keys that are no UTF-8 are not the cache's and are passed over.
    pub(crate) key: String,
    pub(crate) head: Head,
}

/// Goes through all keys that begin with `prefix` until `each` gives false. A key may come twice.
pub(crate) async fn sweep(
    place: &Place,
    args: &PlaceArgs,
    prefix: &str,
    mut each: impl FnMut(Found) -> bool,
) -> Result<(), Failure> {
    sweep_and(place, args, prefix, async |found| Ok(each(found))).await
}

/// Like `sweep`, for work on a key that takes time: the next keys are asked for once it is done.
pub(crate) async fn sweep_and(
    place: &Place,
    args: &PlaceArgs,
    prefix: &str,
    mut each: impl AsyncFnMut(Found) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    // A value may serve stale, which its function says.
    let expects = Expects::new().stale(AS_LONG_AS_IT_IS_KEPT);
    let per_key = Duration::from_secs(1) / args.rate;
    let mut next = Some(Cursor::default());
    let mut due = Instant::now();
    while let Some(cursor) = next {
        sleep_until(due).await;
        let page = place.inspector.keys(prefix, &cursor).await?;
        // A step looks at about this many keys of the server, whether or not they are in the namespace.
        let looked = u32::try_from(page.keys.len().max(CHUNK)).unwrap_or(u32::MAX);
        due = Instant::now() + per_key * looked;
        let keys: Vec<String> =
            page.keys.iter().filter_map(|key| String::from_utf8(key.to_vec()).ok()).collect();
        for keys in keys.chunks(CHUNK) {
            let heads = place.inspector.heads(keys, &expects).await?;
            for (key, head) in keys.iter().zip(heads) {
                // The entry may have gone since its key was found.
                let Some(head) = head else { continue };
                if !each(Found { key: key.clone(), head }).await? {
                    return Ok(());
                }
            }
        }
        next = page.next;
    }
    Ok(())
}
