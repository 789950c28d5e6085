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
        key, value and expiry included. In memory, 12,288 entries in caches that have room for 16,384: bytes on the \
        heap for each, beyond the value in its `Arc`; room that is reserved in advance counts.",
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
        let value = encode(&user(ENTRIES / 2)).len() as f64;
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
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).expect("the server counts them")
}

/// The length of some entry, which is not shorter than its value. hitbox stores hashes.
async fn stored(admin: &mut MultiplexedConnection, value: f64) -> f64 {
    loop {
        let key: Vec<u8> = redis::cmd("RANDOMKEY").query_async(admin).await.expect("the server answers");
        let text: redis::RedisResult<f64> = redis::cmd("STRLEN").arg(&key).query_async(admin).await;
        let fields: redis::RedisResult<Vec<Vec<u8>>> =
            redis::cmd("HGETALL").arg(&key).query_async(admin).await;
        let fields = fields.map(|fields| fields.iter().map(Vec::len).sum::<usize>() as f64);
        // What is neither is no entry.
        match text.or(fields) {
            Ok(length) if length >= value => return length,
            _ => {}
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
    let values: Vec<_> = (0..KEPT).map(|id| Arc::new(user(id))).collect();
    let own = live(&before) / KEPT as f64 - size_of::<usize>() as f64;
    drop(values);
    for make in &memory::makers() {
        let before = Region::new(allocator);
        let subject = make();
        // Its text is made in advance and would have to be taken off.
        if subject.name.contains("text") {
            continue;
        }
        // What was read once and what was read again may be kept differently.
        for _ in 0..3 {
            subject.threads(Threads { count: 1, keys: KEPT, time: std::time::Duration::from_nanos(1) });
        }
        table.add(subject.name, "heap", Unit::Bytes, live(&before) / KEPT as f64 - own);
    }
    vec![table]
}

/// Three quarters of the room.
const KEPT: u64 = memory::ROOM as u64 / 4 * 3;

fn live(region: &Region<'_, std::alloc::System>) -> f64 {
    let change = region.change();
    change.bytes_allocated as f64 - change.bytes_deallocated as f64
}

/// The counting allocator.
pub type Counting = StatsAlloc<std::alloc::System>;
