//! Queues: each partition with its stream, counts, pending writes, owner and dead letters in one slot of a cluster. Keys of entries never begin with
//! a brace, so nothing here is taken for one.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::script::{ACCEPT, DISOWN, OWN, SETTLE};
use super::send::{Resend, Sender};
use super::single::Single;
use super::streams::{field, number, number_in, text_number};
use super::wire::{Packed, Reply};
use super::{failure, reply};
use crate::ground::error::Result;
use crate::store::queues::{Accepted, Dead, Depth, Queued, Queues, Settle};

/// How many dead letters a partition keeps.
const MOST_DEAD: usize = 10_000;

#[async_trait]
impl Queues for Single {
    async fn accept(&self, partition: &str, key: &str, write: Bytes, most: usize) -> Result<Accepted> {
        accept(&self.commands.sender, partition, key, &write, most).await
    }

    async fn pending(&self, partition: &str, key: &str) -> Result<Option<Bytes>> {
        pending(&self.commands.sender, partition, key).await
    }

    async fn own(&self, partition: &str, owner: &str, lease: Duration) -> Result<Option<u64>> {
        own(&self.commands.sender, partition, owner, lease).await
    }

    async fn disown(&self, partition: &str, owner: &str) -> Result<()> {
        disown(&self.commands.sender, partition, owner).await
    }

    async fn queued(&self, partition: &str, after: u64, most: usize) -> Result<Vec<Queued>> {
        queued(&self.commands.sender, partition, after, most).await
    }

    async fn settle(&self, partition: &str, fence: u64, settle: Settle<'_>) -> Result<bool> {
        self::settle(&self.commands.sender, partition, fence, settle).await
    }

    async fn depth(&self, partition: &str) -> Result<Depth> {
        depth(&self.commands.sender, partition).await
    }

    async fn dead(&self, partition: &str, most: usize) -> Result<Vec<Dead>> {
        dead(&self.commands.sender, partition, most).await
    }

    async fn forget(&self, partition: &str, id: &str) -> Result<bool> {
        forget(&self.commands.sender, partition, id).await
    }
}

pub(super) async fn accept(
    sender: &Sender,
    partition: &str,
    key: &str,
    write: &[u8],
    most: usize,
) -> Result<Accepted> {
    let [counts, pending] = ["at", "pending"].map(|part| beside(partition, part));
    let call = ACCEPT.call_many([partition, &counts, &pending]).bytes(key.as_bytes()).bytes(write);
    // Sent again, an old write could come after a newer one.
    let told = reply::array(sender.call(call.number(most), Resend::Never).await?, 2)?;
    let number = number(&told[1])?;
    Ok(if reply::integer(&told[0])? == 1 { Accepted::As(number) } else { Accepted::Full })
}

pub(super) async fn pending(sender: &Sender, partition: &str, key: &str) -> Result<Option<Bytes>> {
    let pending = beside(partition, "pending");
    let read = |out: &mut Packed| {
        out.command(3).part("HGET").part(&pending).part(key);
    };
    let Some(told) = reply::string(sender.one(read, Resend::WhereBroken).await?)? else { return Ok(None) };
    let blank = told.iter().position(|byte| *byte == b' ').ok_or_else(failure::unexpected)?;
    Ok(Some(told.slice(blank + 1..)))
}

pub(super) async fn own(
    sender: &Sender,
    partition: &str,
    owner: &str,
    lease: Duration,
) -> Result<Option<u64>> {
    let [owned, counts] = ["owner", "at"].map(|part| beside(partition, part));
    let call = OWN.call_many([&*owned, &*counts]).bytes(owner.as_bytes()).number(lease.as_millis());
    let told = reply::array(sender.call(call, Resend::WhereBroken).await?, 2)?;
    if reply::integer(&told[0])? == 1 { number(&told[1]).map(Some) } else { Ok(None) }
}

pub(super) async fn disown(sender: &Sender, partition: &str, owner: &str) -> Result<()> {
    let owned = beside(partition, "owner");
    reply::done(&sender.call(DISOWN.call(&owned).bytes(owner.as_bytes()), Resend::WhereBroken).await?)
}

pub(super) async fn queued(sender: &Sender, partition: &str, after: u64, most: usize) -> Result<Vec<Queued>> {
    let read = |out: &mut Packed| {
        let from = format!("({after}-0");
        out.command(6).part("XRANGE").part(partition).part(from).part("+").part("COUNT").count(most);
    };
    match sender.one(read, Resend::WhereBroken).await? {
        Reply::Array(all) => Ok(all.iter().filter_map(queued_in).collect()),
        Reply::Error(line) => Err(failure::refused(&line)),
        _ => Err(failure::unexpected()),
    }
}

pub(super) async fn settle(sender: &Sender, partition: &str, fence: u64, settle: Settle<'_>) -> Result<bool> {
    let [owner, pending, dead] = ["owner", "pending", "dead"].map(|part| beside(partition, part));
    let call = SETTLE.call_many([partition, &owner, &pending, &dead]);
    let mut call = call.bytes(fence.to_string().into_bytes()).number(settle.numbers.len());
    for number in settle.numbers {
        call = call.bytes(number.to_string().into_bytes());
    }
    call = call.number(settle.keys.len());
    for (key, number) in settle.keys {
        call = call.bytes(key.as_bytes()).bytes(number.to_string().into_bytes());
    }
    if let Some((write, why)) = settle.dead {
        call = call.bytes(write.number.to_string().into_bytes()).bytes(write.key.as_bytes());
        call = call.bytes(&write.write[..]).bytes(why.as_bytes()).number(MOST_DEAD);
    }
    // Sent again, it finds nothing more; but what was put aside would be there twice.
    let resend = if settle.dead.is_some() { Resend::Never } else { Resend::WhereBroken };
    Ok(reply::integer(&sender.call(call, resend).await?)? == 1)
}

pub(super) async fn depth(sender: &Sender, partition: &str) -> Result<Depth> {
    let dead = beside(partition, "dead");
    let ask = |out: &mut Packed| {
        out.command(2).part("XLEN").part(partition);
        out.command(6).part("XRANGE").part(partition).part("-").part("+").part("COUNT").part("1");
        out.command(2).part("XLEN").part(&dead);
        out.command(1).part("TIME");
    };
    let mut told = sender.many(ask, Resend::WhereBroken).await?;
    if told.len() != 4 {
        return Err(failure::unexpected());
    }
    let now = reply::time(told.pop().unwrap_or(Reply::Nil))?;
    let [count, dead] =
        [0, 2].map(|at| reply::integer(&told[at]).map(|count| u64::try_from(count).unwrap_or(0)));
    let oldest = match &told[1] {
        Reply::Array(all) => all.first().and_then(queued_in).map(|first| first.number / 1_000),
        _ => None,
    };
    let age = |millis: u64| Duration::from_millis(u64::try_from(now).unwrap_or(0).saturating_sub(millis));
    Ok(Depth::new(count?, oldest.map(age), dead?))
}

pub(super) async fn dead(sender: &Sender, partition: &str, most: usize) -> Result<Vec<Dead>> {
    let key = beside(partition, "dead");
    let read = |out: &mut Packed| {
        out.command(6).part("XRANGE").part(&key).part("-").part("+").part("COUNT").count(most);
    };
    match sender.one(read, Resend::WhereBroken).await? {
        Reply::Array(all) => Ok(all.iter().filter_map(dead_in).collect()),
        Reply::Error(line) => Err(failure::refused(&line)),
        _ => Err(failure::unexpected()),
    }
}

pub(super) async fn forget(sender: &Sender, partition: &str, id: &str) -> Result<bool> {
    let key = beside(partition, "dead");
    let remove = |out: &mut Packed| {
        out.command(3).part("XDEL").part(&key).part(id);
    };
    Ok(reply::integer(&sender.one(remove, Resend::Never).await?)? > 0)
}

/// What belongs to a partition.
fn beside(partition: &str, part: &str) -> String {
    format!("{partition}:{part}")
}

/// `[id, [k, key, w, write]]`.
fn queued_in(told: &Reply) -> Option<Queued> {
    let Reply::Array(parts) = told else { return None };
    let [id, Reply::Array(fields)] = &parts[..] else { return None };
    let key = String::from_utf8_lossy(field(fields, "k")?);
    Some(Queued::new(number_in(id)?, key, field(fields, "w")?.clone()))
}

/// `[id, [n, number, k, key, w, write, y, why]]`.
fn dead_in(told: &Reply) -> Option<Dead> {
    let Reply::Array(parts) = told else { return None };
    let [Reply::Bytes(id), Reply::Array(fields)] = &parts[..] else { return None };
    let text = |name| field(fields, name).map(|text| String::from_utf8_lossy(text).into_owned());
    let write = Queued::new(text_number(field(fields, "n")?)?, text("k")?, field(fields, "w")?.clone());
    Some(Dead::new(String::from_utf8_lossy(id), write, text("y")?))
}
