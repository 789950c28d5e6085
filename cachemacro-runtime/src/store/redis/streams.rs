//! Streams: each under its key, with what its groups have seen and what they put aside in the same slot of a cluster. Keys of entries never
//! begin with a brace, so nothing here is taken for one.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::script::{BURY, EMIT, JOIN, LEAVE, TAKE};
use super::send::{Resend, Sender};
use super::single::Single;
use super::wire::{Packed, Reply};
use super::{failure, reply};
use crate::ground::error::Result;
use crate::store::streams::{Buried, Given, Item, Member, Place, Streams, Taken};

/// How many of those that were put aside a group keeps.
const MOST_BURIED: usize = 10_000;

#[async_trait]
impl Streams for Single {
    async fn append(&self, stream: &str, payload: Bytes, keep: usize) -> Result<Place> {
        append(&self.commands.sender, stream, &payload, keep).await
    }

    async fn end(&self, stream: &str) -> Result<Place> {
        end(&self.commands.sender, stream).await
    }

    async fn after(&self, stream: &str, place: Place, most: usize) -> Result<Vec<Item>> {
        after(&self.commands.sender, stream, place, most).await
    }

    async fn grown(&self, stream: &str, place: Place, at_most: Duration) {
        let grown = self.waits.grown(self.link(), stream, place, at_most);
        // Without a thread there is nothing to wait with, and the caller looks at once.
        let _ = self.link().dialer.background.enter(grown).await;
    }

    async fn join(&self, member: Member<'_>) -> Result<()> {
        join(&self.commands.sender, member).await
    }

    async fn leave(&self, member: Member<'_>) -> Result<()> {
        leave(&self.commands.sender, member).await
    }

    async fn take(&self, member: Member<'_>, idle: Duration, most: usize) -> Result<Taken> {
        take(&self.commands.sender, member, idle, most).await
    }

    async fn hold(&self, member: Member<'_>, numbers: &[u64]) -> Result<()> {
        hold(&self.commands.sender, member, numbers).await
    }

    async fn finish(&self, member: Member<'_>, number: u64) -> Result<()> {
        finish(&self.commands.sender, member, number).await
    }

    async fn bury(&self, member: Member<'_>, item: &Item, why: &str) -> Result<()> {
        bury(&self.commands.sender, member, item, why).await
    }

    async fn buried(&self, member: Member<'_>, most: usize) -> Result<Vec<Buried>> {
        buried(&self.commands.sender, member, most).await
    }

    async fn unbury(&self, member: Member<'_>, id: &str) -> Result<bool> {
        unbury(&self.commands.sender, member, id).await
    }
}

pub(super) async fn append(sender: &Sender, stream: &str, payload: &[u8], keep: usize) -> Result<Place> {
    let call = EMIT.call(stream).number(keep.max(1)).bytes(payload);
    // Sent again, it would be there twice.
    let told = reply::array(sender.call(call, Resend::Never).await?, 2)?;
    Ok(Place::new(number(&told[0])?, number(&told[1])?))
}

pub(super) async fn end(sender: &Sender, stream: &str) -> Result<Place> {
    let look = |out: &mut Packed| {
        out.command(6).part("XREVRANGE").part(stream).part("+").part("-").part("COUNT").part("1");
    };
    let last = items(sender.one(look, Resend::WhereBroken).await?)?;
    Ok(last.first().map(|item| item.place).unwrap_or_default())
}

pub(super) async fn after(sender: &Sender, stream: &str, place: Place, most: usize) -> Result<Vec<Item>> {
    let read = |out: &mut Packed| {
        let from = format!("({}-0", place.number);
        out.command(6).part("XRANGE").part(stream).part(from).part("+").part("COUNT").count(most);
    };
    items(sender.one(read, Resend::WhereBroken).await?)
}

pub(super) async fn join(sender: &Sender, member: Member<'_>) -> Result<()> {
    let seen = seen_key(member);
    let call = JOIN.call_many([member.stream, &seen]).bytes(member.group.as_bytes());
    reply::done(&sender.call(call, Resend::WhereBroken).await?)
}

pub(super) async fn leave(sender: &Sender, member: Member<'_>) -> Result<()> {
    let call = LEAVE.call(member.stream).bytes(member.group.as_bytes()).bytes(member.name.as_bytes());
    reply::done(&sender.call(call, Resend::WhereBroken).await?)
}

pub(super) async fn take(sender: &Sender, member: Member<'_>, idle: Duration, most: usize) -> Result<Taken> {
    let seen = seen_key(member);
    let call = TAKE.call_many([member.stream, &seen]).bytes(member.group.as_bytes());
    let call = call.bytes(member.name.as_bytes()).number(idle.as_millis()).number(most);
    // What was given and not heard of is given again once it has lain for `idle`.
    let told = reply::array(sender.call(call, Resend::WhereBroken).await?, 3)?;
    let missed = u64::try_from(reply::integer(&told[0])?).unwrap_or(0);
    let exact = reply::integer(&told[1])? == 1;
    let Reply::Array(given) = &told[2] else { return Err(failure::unexpected()) };
    let given: Option<Vec<Given>> = given.iter().map(given_in).collect();
    Ok(Taken::new(given.ok_or_else(failure::unexpected)?).with_missed(missed, exact))
}

pub(super) async fn hold(sender: &Sender, member: Member<'_>, numbers: &[u64]) -> Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    let claim = |out: &mut Packed| {
        out.command(6 + numbers.len()).part("XCLAIM").part(member.stream).part(member.group);
        out.part(member.name).part("0");
        for number in numbers {
            out.part(id(*number));
        }
        out.part("JUSTID");
    };
    reply::done(&sender.one(claim, Resend::WhereBroken).await?)
}

pub(super) async fn finish(sender: &Sender, member: Member<'_>, number: u64) -> Result<()> {
    let finish = |out: &mut Packed| {
        out.command(4).part("XACK").part(member.stream).part(member.group).part(id(number));
    };
    reply::done(&sender.one(finish, Resend::WhereBroken).await?)
}

pub(super) async fn bury(sender: &Sender, member: Member<'_>, item: &Item, why: &str) -> Result<()> {
    let buried = buried_key(member);
    let call = BURY.call_many([member.stream, &buried]).bytes(member.group.as_bytes());
    let call = call.bytes(id(item.place.number).into_bytes());
    let call = call.bytes(item.place.origin.to_string().into_bytes()).bytes(&item.payload[..]);
    let call = call.bytes(why.as_bytes()).number(MOST_BURIED);
    reply::done(&sender.call(call, Resend::WhereBroken).await?)
}

pub(super) async fn buried(sender: &Sender, member: Member<'_>, most: usize) -> Result<Vec<Buried>> {
    let key = buried_key(member);
    let read = |out: &mut Packed| {
        out.command(6).part("XRANGE").part(&key).part("-").part("+").part("COUNT").count(most);
    };
    match sender.one(read, Resend::WhereBroken).await? {
        Reply::Array(all) => Ok(all.iter().filter_map(buried_in).collect()),
        Reply::Error(line) => Err(failure::refused(&line)),
        _ => Err(failure::unexpected()),
    }
}

pub(super) async fn unbury(sender: &Sender, member: Member<'_>, id: &str) -> Result<bool> {
    let key = buried_key(member);
    let remove = |out: &mut Packed| {
        out.command(3).part("XDEL").part(&key).part(id);
    };
    Ok(reply::integer(&sender.one(remove, Resend::Never).await?)? > 0)
}

fn seen_key(member: Member<'_>) -> String {
    format!("{}:seen:{}", member.stream, member.group)
}

fn buried_key(member: Member<'_>) -> String {
    format!("{}:dead:{}", member.stream, member.group)
}

fn id(number: u64) -> String {
    format!("{number}-0")
}

/// A number that is told as text.
pub(super) fn number(told: &Reply) -> Result<u64> {
    match told {
        Reply::Bytes(text) => text_number(text).ok_or_else(failure::unexpected),
        _ => Err(failure::unexpected()),
    }
}

pub(super) fn text_number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The number in an id, `1700000000000000-0`.
pub(super) fn number_in(id: &Reply) -> Option<u64> {
    let Reply::Bytes(id) = id else { return None };
    text_number(id.split(|byte| *byte == b'-').next()?)
}

/// The value of a field.
pub(super) fn field<'a>(fields: &'a [Reply], name: &str) -> Option<&'a Bytes> {
    let mut pairs = fields.as_chunks::<2>().0.iter();
    pairs.find_map(|[field, value]| match (field, value) {
        (Reply::Bytes(field), Reply::Bytes(value)) if &field[..] == name.as_bytes() => Some(value),
        _ => None,
    })
}

/// `[id, [field, value, …]]`. What was appended by other means has nothing in it.
fn item_in(id: &Reply, fields: &Reply) -> Option<Item> {
    let number = number_in(id)?;
    let Reply::Array(fields) = fields else { return None };
    let origin = field(fields, "o").and_then(|origin| text_number(origin)).unwrap_or(number);
    Some(Item::new(Place::new(origin, number), field(fields, "p").cloned().unwrap_or_default()))
}

/// What `XRANGE` and its like return.
fn items(told: Reply) -> Result<Vec<Item>> {
    let item = |told: &Reply| match told {
        Reply::Array(parts) => match &parts[..] {
            [id, fields] => item_in(id, fields),
            _ => None,
        },
        _ => None,
    };
    match told {
        Reply::Array(all) => Ok(all.iter().filter_map(item).collect()),
        Reply::Error(line) => Err(failure::refused(&line)),
        _ => Err(failure::unexpected()),
    }
}

/// `[id, tries, [field, value, …]]`.
fn given_in(told: &Reply) -> Option<Given> {
    let Reply::Array(parts) = told else { return None };
    let [id, Reply::Int(tries), fields] = &parts[..] else { return None };
    Some(Given::new(item_in(id, fields)?, u64::try_from(*tries).ok()?))
}

/// `[id, [i, id, o, origin, p, payload, w, why]]`; `None` where it is none of ours.
fn buried_in(told: &Reply) -> Option<Buried> {
    let Reply::Array(parts) = told else { return None };
    let [Reply::Bytes(id), Reply::Array(fields)] = &parts[..] else { return None };
    let number = number_in(&Reply::Bytes(field(fields, "i")?.clone()))?;
    let place = Place::new(text_number(field(fields, "o")?)?, number);
    let why = String::from_utf8_lossy(field(fields, "w")?);
    let item = Item::new(place, field(fields, "p")?.clone());
    Some(Buried::new(String::from_utf8_lossy(id), item, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Reply {
        Reply::Bytes(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn replies_of_another_shape_are_errors_and_never_panics() {
        let fields = Reply::Array(vec![text("o"), text("7"), text("p"), text("Ada")]);
        let item = Reply::Array(vec![text("8-0"), fields.clone()]);
        let found = items(Reply::Array(vec![item])).expect("an item");
        assert_eq!(found, [Item::new(Place::new(7, 8), "Ada".into())]);
        for told in [Reply::Nil, Reply::Int(1), Reply::Error("ERR".into())] {
            assert!(items(told).is_err());
        }
        // What was appended by other means has a place, and nothing in it.
        let foreign = Reply::Array(vec![text("9-3"), Reply::Array(vec![text("a"), text("b"), text("c")])]);
        let found = items(Reply::Array(vec![foreign, Reply::Nil, text("x")])).expect("one item");
        assert_eq!(found, [Item::new(Place::new(9, 9), Bytes::new())]);
        for told in [Reply::Nil, Reply::Array(vec![text("8-0"), text("1"), fields])] {
            assert!(given_in(&told).is_none() && buried_in(&told).is_none());
        }
    }
}
