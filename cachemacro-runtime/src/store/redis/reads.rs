//! Reading entries and versions, of which nobody knows how large they are before.
//!
//! One entry is read whole. Of many, each gets its share of what one reply may carry: what fits is there at once, and the others,
//! whose headers say how long they are, follow in replies of bounded size. Where the entries alike were small, they are read by one
//! plain command.

use std::time::Duration;

use bytes::Bytes;

use super::commands::{Commands, add_keys};
use super::families::family;
use super::send::Resend;
use super::wire::{MOST_READ, Packed, Reply};
use super::{failure, reply};
use crate::format::header::Header;
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::chunks::{MOST_BYTES, MOST_ENTRIES, MOST_TAGS, chunks};
use crate::ground::error::{ErrorKind, Result};
use crate::store::messages::lease::LeaseOutcome;
use crate::store::messages::read::{Excerpt, Read, ReadRequest};

impl Commands {
    pub(super) async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
        let ReadRequest { keys, versions, first } = request;
        if keys.len() <= MOST_ENTRIES && versions.len() <= MOST_TAGS {
            return self.read_some(first, keys, versions).await;
        }
        let (mut entries, mut found) = (Vec::with_capacity(keys.len()), Vec::with_capacity(versions.len()));
        for keys in keys.chunks(MOST_ENTRIES) {
            entries.extend(self.read_some(first, keys, &[]).await?.entries);
        }
        // After the entries: a tag that was evicted since shows.
        for versions in versions.chunks(MOST_TAGS) {
            found.extend(self.read_some(None, &[], versions).await?.versions);
        }
        Ok(Read::new(entries.into(), found.into()))
    }

    /// As many as one request names.
    async fn read_some(&self, first: Option<usize>, keys: &[&str], versions: &[VersionKey]) -> Result<Read> {
        match (first, keys, versions) {
            (_, [], []) => Ok(Read::default()),
            (Some(first), ..) => self.read_heads(keys, versions, first).await,
            (None, [] | [_], _) => self.read_whole(keys, versions).await,
            (None, ..) => {
                let family = family(keys);
                let whole = if self.families.are_small(family, keys.len()) {
                    Some(self.read_whole(keys, versions).await)
                } else {
                    None
                };
                let read = match whole {
                    Some(Ok(read)) => read,
                    // They may have grown, so that the reply was too large for its deadline.
                    Some(Err(error)) if error.kind() != ErrorKind::Timeout => return Err(error),
                    Some(Err(_)) | None => {
                        self.families.forget(family);
                        self.read_shares(keys, versions).await?
                    }
                };
                let lengths = read.entries.iter().flatten().map(|entry| entry.length);
                // A few say little of the others.
                if lengths.clone().count() * 2 >= keys.len() {
                    self.families.learn(family, lengths.max().unwrap_or_default());
                }
                Ok(read)
            }
        }
    }

    /// Entries and versions, by one command.
    async fn read_whole(&self, keys: &[&str], versions: &[VersionKey]) -> Result<Read> {
        let count = keys.len() + versions.len();
        // MGET tells nil for a key of another type.
        if count <= MOST_READ && self.sender.keys.are_combined() {
            let names = Names { keys: keys.iter(), versions: versions.iter() };
            let found = self.sender.read(names).await?;
            let entries = (0..keys.len()).map(|key| found.bytes(key).map(Excerpt::whole)).collect();
            let versions = (keys.len()..count).map(|key| reply::version_in(found.slice(key)?));
            return Ok(Read::new(entries, versions.collect()));
        }
        let mget = |out: &mut Packed| {
            out.command(1 + count).part("MGET");
            for key in keys {
                out.part(key);
            }
            add_keys(out, versions);
        };
        let found = self.sender.one(mget, Resend::WhereBroken).await?;
        let mut found = reply::array(found, count)?.into_iter();
        let entries = found.by_ref().take(keys.len());
        let entries = entries.map(|value| Ok(reply::string(value)?.map(Excerpt::whole)));
        let entries = entries.collect::<Result<_>>()?;
        Ok(Read::new(entries, found.map(|value| reply::version(&value)).collect()))
    }

    /// Entries and versions: of each entry as much as one reply can carry of all, then the longer ones whole.
    async fn read_shares(&self, keys: &[&str], versions: &[VersionKey]) -> Result<Read> {
        let share = MOST_BYTES / keys.len().max(1);
        let starts = |out: &mut Packed| {
            for key in keys {
                out.command(4).part("GETRANGE").part(key).number(0).count(share.saturating_sub(1));
            }
        };
        let (mut replies, versions) = self.with_versions(starts, versions).await?;
        let (mut entries, mut rest) = (Vec::with_capacity(keys.len()), Vec::new());
        for (at, &key) in keys.iter().enumerate() {
            let bytes = reply::string(replies.next().ok_or_else(failure::unexpected)?)?;
            if let Some(length) = bytes.as_ref().and_then(|bytes| length_beyond(bytes, share)) {
                rest.push((at, key, length));
            }
            // GETRANGE tells a missing key as an empty string.
            entries.push(bytes.filter(|bytes| !bytes.is_empty()).map(Excerpt::whole));
        }
        for group in chunks(rest, MOST_ENTRIES, MOST_BYTES, |(_, _, length)| *length) {
            let keys: Vec<&str> = group.iter().map(|(_, key, _)| *key).collect();
            for ((at, ..), whole) in group.iter().zip(self.read_whole(&keys, &[]).await?.entries) {
                entries[*at] = whole;
            }
        }
        Ok(Read::new(entries.into(), versions.into()))
    }

    /// Entries that are there instead of leases, and too large to be told with them. Where one is gone by now, its lease is to
    /// be asked for again.
    pub(super) async fn found(&self, keys: &[&str]) -> Result<impl Iterator<Item = LeaseOutcome> + use<>> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MOST_ENTRIES) {
            found.extend(self.read_shares(keys, &[]).await?.entries);
        }
        let outcome = |entry: Excerpt| LeaseOutcome::Found(entry.bytes);
        Ok(found.into_iter().map(move |entry| entry.map_or(LeaseOutcome::busy(Duration::ZERO), outcome)))
    }

    /// The first bytes of entries, and versions.
    async fn read_heads(&self, keys: &[&str], versions: &[VersionKey], first: usize) -> Result<Read> {
        let heads = |out: &mut Packed| {
            for key in keys {
                out.command(4).part("GETRANGE").part(key).number(0).count(first.saturating_sub(1));
                out.command(2).part("STRLEN").part(key);
            }
        };
        let (mut replies, versions) = self.with_versions(heads, versions).await?;
        let mut next = || replies.next().ok_or_else(failure::unexpected);
        let mut head = |_| {
            let (bytes, length) = (reply::string(next()?)?, reply::length(&next()?)?);
            // GETRANGE tells a missing key as an empty string.
            Ok(bytes.filter(|bytes| !bytes.is_empty()).map(|bytes| Excerpt::new(bytes, length)))
        };
        let entries = keys.iter().map(&mut head).collect::<Result<_>>()?;
        Ok(Read::new(entries, versions.into()))
    }

    /// Sends commands, and behind them a read of versions.
    async fn with_versions(
        &self,
        write: impl Fn(&mut Packed) + Send + Sync,
        versions: &[VersionKey],
    ) -> Result<(std::vec::IntoIter<Reply>, Vec<Option<Version>>)> {
        let both = |out: &mut Packed| {
            write(out);
            if !versions.is_empty() {
                out.command(1 + versions.len()).part("MGET");
                add_keys(out, versions);
            }
        };
        let mut replies = self.sender.many(both, Resend::WhereBroken).await?;
        let versions = match versions {
            [] => Vec::new(),
            versions => reply::versions(replies.pop().ok_or_else(failure::unexpected)?, versions.len())?,
        };
        Ok((replies.into_iter(), versions))
    }
}

/// The keys under which entries and versions are, one after the other.
#[derive(Clone)]
struct Names<'a> {
    keys: std::slice::Iter<'a, &'a str>,
    versions: std::slice::Iter<'a, VersionKey>,
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self.keys.next() {
            Some(key) => Some(key.as_bytes()),
            None => self.versions.next().map(|version| version.text.as_bytes()),
        }
    }
}

/// How long the whole is that begins with these bytes, where `share` cut it off.
fn length_beyond(bytes: &Bytes, share: usize) -> Option<usize> {
    if bytes.len() < share {
        return None;
    }
    // What is no entry may have any length.
    let length = Header::parse(bytes).map_or(MOST_BYTES, |header| header.total_len());
    (length != share).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_off_is_told_by_its_header() {
        let entry = Bytes::from(crate::format::header::assemble(Header::default(), &[], &[1; 1_000]));
        assert_eq!(length_beyond(&entry.slice(..200), 200), Some(entry.len()));
        assert_eq!(length_beyond(&entry, entry.len()), None);
        assert_eq!(length_beyond(&entry, entry.len() + 1), None);
        assert_eq!(length_beyond(&Bytes::from(vec![1; 200]), 200), Some(MOST_BYTES), "no entry");
        assert_eq!(length_beyond(&entry.slice(..50), 50), Some(MOST_BYTES), "not even its header");
    }
}
