//! Entries that are older than they are.

use std::time::Duration;

use cachemacro_runtime::Timestamp;
use cachemacro_runtime::header::{Header, Parts, Stamp, assemble};
use cachemacro_runtime::store::Store;

use crate::rig::LONG;
use crate::single::Single as _;

/// Lets the entry under this key be as it will be after `time`, though no time passes: its fill id stays.
///
/// # Panics
/// Where the store does not answer, or there is no value.
pub async fn age(store: &dyn Store, key: &str, time: Duration) {
    let bytes = store.entry(key).await.expect("the store answers").expect("there is an entry");
    let parts = Parts::parse(&bytes).expect("a whole entry");
    let stamps: Vec<Stamp> = parts.stamps().collect();
    let millis = u64::try_from(time.as_millis()).expect("not that long");
    let before = |at: Timestamp| Timestamp(at.millis() - millis);
    let Header { stored_at, fresh_until, gone_at, .. } = parts.header;
    let header = parts.header.with_stored_at(before(stored_at));
    let header = header.with_fresh_until(before(fresh_until)).with_gone_at(before(gone_at));
    let aged = assemble(header, &stamps, parts.payload);
    store.set(key, aged.into(), LONG).await.expect("the store answers");
}
