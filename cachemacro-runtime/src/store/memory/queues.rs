//! Queues in this process's memory. They behave as those on a server do, and end with the process.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::ground::clock::{Clock, Timestamp};
use crate::ground::error::Result;
use crate::ground::sync::lock;
use crate::store::queues::{Accepted, Dead, Depth, Queued, Queues, Settle};

/// How many dead letters a partition keeps.
const MOST_DEAD: usize = 10_000;

/// All partitions of a store.
pub(super) struct Accepting {
    clock: Clock,
    partitions: Mutex<HashMap<String, Partition>>,
}

impl fmt::Debug for Accepting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepting").field("partitions", &lock(&self.partitions).len()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Partition {
    writes: BTreeMap<u64, Queued>,
    pending: HashMap<String, Queued>,
    owner: Option<Owner>,
    number: u64,
    fence: u64,
    dead: VecDeque<Dead>,
    deaths: u64,
}

struct Owner {
    name: String,
    until: Timestamp,
}

impl Partition {
    fn owner(&self, now: Timestamp) -> Option<&Owner> {
        self.owner.as_ref().filter(|owner| owner.until > now)
    }

    fn settle(&mut self, settle: Settle<'_>) {
        for number in settle.numbers {
            self.writes.remove(number);
        }
        for (key, number) in settle.keys {
            if self.pending.get(*key).is_some_and(|pending| pending.number <= *number) {
                self.pending.remove(*key);
            }
        }
        if let Some((write, why)) = settle.dead {
            self.deaths += 1;
            self.dead.push_back(Dead::new(format!("{}-0", self.deaths), write.clone(), why));
            if self.dead.len() > MOST_DEAD {
                self.dead.pop_front();
            }
        }
    }
}

impl Accepting {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, partitions: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Partition>> {
        lock(&self.partitions)
    }

    fn with<R>(&self, partition: &str, use_: impl FnOnce(&mut Partition) -> R) -> R {
        use_(self.all().entry(partition.to_owned()).or_default())
    }
}

fn micros(now: Timestamp) -> u64 {
    now.millis().saturating_mul(1_000)
}

#[async_trait]
impl Queues for Accepting {
    async fn accept(&self, partition: &str, key: &str, write: Bytes, most: usize) -> Result<Accepted> {
        let now = micros(self.clock.now());
        Ok(self.with(partition, |partition| {
            if partition.writes.len() >= most {
                return Accepted::Full;
            }
            partition.number = now.max(partition.number + 1);
            let queued = Queued::new(partition.number, key, write);
            partition.writes.insert(queued.number, queued.clone());
            partition.pending.insert(key.to_owned(), queued);
            Accepted::As(partition.number)
        }))
    }

    async fn pending(&self, partition: &str, key: &str) -> Result<Option<Bytes>> {
        let write = |partition: &mut Partition| partition.pending.get(key).map(|queued| queued.write.clone());
        Ok(self.with(partition, write))
    }

    async fn own(&self, partition: &str, owner: &str, lease: Duration) -> Result<Option<u64>> {
        let now = self.clock.now();
        Ok(self.with(partition, |partition| {
            let is_mine = match partition.owner(now) {
                Some(held) if held.name != owner => return None,
                Some(_) => true,
                None => false,
            };
            if !is_mine {
                partition.fence = micros(now).max(partition.fence + 1);
            }
            partition.owner = Some(Owner { name: owner.to_owned(), until: now.plus(lease) });
            Some(partition.fence)
        }))
    }

    async fn disown(&self, partition: &str, owner: &str) -> Result<()> {
        self.with(partition, |partition| partition.owner.take_if(|held| held.name == owner));
        Ok(())
    }

    async fn queued(&self, partition: &str, after: u64, most: usize) -> Result<Vec<Queued>> {
        let behind = |partition: &mut Partition| {
            partition.writes.range(after + 1..).take(most).map(|(_, queued)| queued.clone()).collect()
        };
        Ok(self.with(partition, behind))
    }

    async fn settle(&self, partition: &str, fence: u64, settle: Settle<'_>) -> Result<bool> {
        let now = self.clock.now();
        Ok(self.with(partition, |partition| {
            let is_owner = partition.owner(now).is_some() && partition.fence == fence;
            if is_owner {
                partition.settle(settle);
            }
            is_owner
        }))
    }

    async fn depth(&self, partition: &str) -> Result<Depth> {
        let now = micros(self.clock.now());
        Ok(self.with(partition, |partition| {
            let age = |first: (&u64, &Queued)| Duration::from_micros(now.saturating_sub(*first.0));
            let oldest = partition.writes.first_key_value().map(age);
            Depth::new(partition.writes.len() as u64, oldest, partition.dead.len() as u64)
        }))
    }

    async fn dead(&self, partition: &str, most: usize) -> Result<Vec<Dead>> {
        Ok(self.with(partition, |partition| partition.dead.iter().take(most).cloned().collect()))
    }

    async fn forget(&self, partition: &str, id: &str) -> Result<bool> {
        Ok(self.with(partition, |partition| {
            let before = partition.dead.len();
            partition.dead.retain(|dead| dead.id != id);
            partition.dead.len() < before
        }))
    }
}
