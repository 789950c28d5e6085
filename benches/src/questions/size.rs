//! How much memory an entry takes.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use stats_alloc::{Region, StatsAlloc};

use super::miss::empty;
use super::{Part, Question};
use crate::answer::{Table, Unit};
use crate::ground::pin::Setting;
use crate::ground::rounds::{Effort, Threads};
use crate::ground::server::Server;
use crate::ground::value::{encode, user};
use crate::peers::{self, memory};

pub const QUESTION: Question = Question {
    name: "size",
    title: "Memory of an entry",
    method: "On Redis, 10,000 entries: what is stored beyond the 260 bytes of the value, and what the server's memory grew by for each, \
        key, value and expiry included. In memory, 8,192 more entries in a cache of 1,024 that has room for 16,384: bytes on \
        the heap that it grew by for each, beyond the value in its `Arc`. Caches that reserve all room in advance grow by less.",
    parts: &[
        Part { setting: Setting::Two, counts: false, ask: on_redis },
        Part { setting: Setting::Two, counts: true, ask: in_memory },
    ],
};

const ENTRIES: u64 = 10_000;

fn on_redis(setting: Setting, _: Effort) -> Vec<Table> {
    let server = Server::start();
    setting.runtime().block_on(async {
        let subjects = peers::on_redis(&server.url(), false).await;
        let mut admin = server.connect().await;
        let mut table = Table::new("Bytes of an entry on Redis");
        let value = encode(&user(1)).len() as f64;
        for subject in &subjects {
            // They store the same as redis-rs.
            if ["redis-rs, yielding driver", "deadpool-redis per call", "fred", "rustis"]
                .contains(&subject.name)
            {
                continue;
            }
            // Opens connections, and what is kept once and not for each entry.
            subject.each_once(64).await;
            empty(&mut admin).await;
            let before = used(&mut admin).await;
            for first in (0..ENTRIES).step_by(500) {
                subject.range(first..first + 500).await;
            }
            // What was sent and not awaited is there.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            let grown = used(&mut admin).await - before;
            let stored = stored(&mut admin, value).await;
            table.add(subject.name, "stored beyond the value", Unit::Bytes, stored - value);
            table.add(subject.name, "the server's memory", Unit::Bytes, grown / ENTRIES as f64);
            empty(&mut admin).await;
        }
        vec![table]
    })
}

async fn used(admin: &mut MultiplexedConnection) -> f64 {
    let info: String = redis::cmd("INFO").arg("memory").query_async(admin).await.expect("the server answers");
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory_dataset:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).expect("the server counts them")
}

/// The length of some entry, which is not shorter than its value.
async fn stored(admin: &mut MultiplexedConnection, value: f64) -> f64 {
    loop {
        let key: Vec<u8> = redis::cmd("RANDOMKEY").query_async(admin).await.expect("the server answers");
        // What is no string is no entry.
        let Ok(length) = redis::cmd("STRLEN").arg(key).query_async::<f64>(admin).await else { continue };
        if length >= value {
            return length;
        }
    }
}

fn in_memory(setting: Setting, _: Effort) -> Vec<Table> {
    let allocator = super::counts::allocator();
    let runtime = setting.runtime();
    let _inside = runtime.enter();
    memory::open();
    let mut table = Table::new("Bytes of an entry in memory, beyond its value");
    let before = Region::new(allocator);
    let values: Vec<_> = (0..MORE).map(|id| Arc::new(user(id))).collect();
    let own = live(&before) / MORE as f64 - size_of::<usize>() as f64;
    drop(values);
    for make in &memory::makers() {
        let subject = make();
        // Its text is made in advance and would have to be taken off.
        if subject.name.contains("text") {
            continue;
        }
        let fill = |keys| {
            for _ in 0..3 {
                subject.threads(Threads { count: 1, keys, time: std::time::Duration::from_nanos(1) });
            }
        };
        fill(FIRST);
        let before = Region::new(allocator);
        fill(FIRST + MORE);
        table.add(subject.name, "heap", Unit::Bytes, live(&before) / MORE as f64 - own);
    }
    vec![table]
}

/// What is there before it is measured: what is made once does not count.
const FIRST: u64 = 1_024;
/// What comes to it.
const MORE: u64 = 8_192;

fn live(region: &Region<'_, std::alloc::System>) -> f64 {
    let change = region.change();
    change.bytes_allocated as f64 - change.bytes_deallocated as f64
}

/// The counting allocator.
pub type Counting = StatsAlloc<std::alloc::System>;
