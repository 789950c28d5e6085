//! The first bytes of an entry whose others are left out, without what other entries have too: two thirds of the header's length.

use crate::format::header::{FIXED, FORMAT, MAGIC, STAMP};

/// How many bytes are kept of a header.
const KEPT: usize = 58;
/// Which bytes of a header are kept: where they begin, and how many. Of times and lengths those that are zero for long are not.
const PARTS: [(usize, usize); 8] = [
    // Flags and codec.
    (5, 2),
    // Fill id.
    (8, 8),
    // Hash of the key, and fingerprint.
    (32, 16),
    // Stored at.
    (56, 6),
    // Fresh until.
    (64, 6),
    // Load time.
    (80, 3),
    // Length of the payload.
    (84, 4),
    // Checksum.
    (88, 8),
];
/// Where in a header it says how many stamps follow.
const STAMPS: usize = 54;
const FRESH_UNTIL: usize = 64;
/// What is kept of it is how much later than the time before it that is.
const GONE_AT: usize = 72;
const GONE_AFTER: usize = 5;

/// What a header has of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head([u8; KEPT]);

impl Head {
    /// That of no entry.
    pub(super) const NONE: Self = Self([0; KEPT]);

    /// The header and the stamps that these bytes are; `None` where something is there that would be lost, such as a lease.
    pub(super) fn of(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, stamps) = bytes.split_first_chunk::<FIXED>()?;
        let (mut kept, mut at) = ([0; KEPT], 0);
        for (begin, length) in PARTS {
            kept[at..at + length].copy_from_slice(&header[begin..begin + length]);
            at += length;
        }
        let after = time(header, GONE_AT).wrapping_sub(time(header, FRESH_UNTIL)).to_le_bytes();
        kept[at..].copy_from_slice(&after[..GONE_AFTER]);
        let head = Self(kept);
        (head.whole(stamps) == bytes).then_some((head, stamps))
    }

    /// All bytes of it, with these stamps.
    pub(super) fn whole(&self, stamps: &[u8]) -> Vec<u8> {
        let mut header = [0; FIXED];
        header[..4].copy_from_slice(&MAGIC);
        header[4] = FORMAT;
        let mut at = 0;
        for (begin, length) in PARTS {
            header[begin..begin + length].copy_from_slice(&self.0[at..at + length]);
            at += length;
        }
        let mut after = [0; 8];
        after[..GONE_AFTER].copy_from_slice(&self.0[at..]);
        let gone = time(&header, FRESH_UNTIL).wrapping_add(u64::from_le_bytes(after));
        header[GONE_AT..GONE_AT + 8].copy_from_slice(&gone.to_le_bytes());
        let count = u16::try_from(stamps.len() / STAMP).unwrap_or(u16::MAX);
        header[STAMPS..STAMPS + 2].copy_from_slice(&count.to_le_bytes());
        [&header, stamps].concat()
    }
}

fn time(header: &[u8; FIXED], at: usize) -> u64 {
    header[at..].first_chunk().map_or(0, |time| u64::from_le_bytes(*time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::header::{self, Header, Stamp, assemble};
    use crate::format::ids::{FillId, Token, Version};
    use crate::ground::clock::Timestamp;

    fn header() -> Header {
        Header::new()
            .with_flags(header::ERROR)
            .with_codec(3)
            .with_fill_id(FillId::new(u64::MAX))
            .with_key_hash(u64::MAX - 1)
            .with_schema(u64::MAX - 2)
            .with_stored_at(Timestamp(1_790_000_000_123))
            .with_fresh_until(Timestamp(1_790_000_300_123))
            .with_gone_at(Timestamp(1_790_003_600_123))
            .with_load_millis(65_537)
    }

    fn first_of(header: Header, stamps: &[Stamp]) -> Vec<u8> {
        let mut bytes = assemble(header, stamps, &[7; 300]);
        bytes.truncate(bytes.len() - 300);
        bytes
    }

    #[test]
    fn what_is_kept_gives_all_of_it_again() {
        let stamps = [1, 2].map(|tag| Stamp::new(tag, Version::new(tag << 60)));
        let never = Timestamp(1_790_000_000_123 + 3_155_760_000_000);
        let headers = [header(), Header::new(), header().with_fresh_until(never).with_gone_at(never)];
        for header in headers {
            for stamps in [&stamps[..], &[]] {
                let bytes = first_of(header, stamps);
                let (head, kept) = Head::of(&bytes).expect("nothing is lost");
                assert_eq!(kept.len(), stamps.len() * STAMP);
                assert_eq!(head.whole(kept), bytes);
            }
        }
    }

    #[test]
    fn what_would_be_lost_is_not_left_out() {
        let leased = header().with_lease(Token::new(1), Timestamp(1_790_000_000_200));
        let far = header().with_fresh_until(Timestamp(0));
        let long = header().with_load_millis(1 << 24);
        for header in [leased, far, long, header().with_stored_at(Timestamp(1 << 48))] {
            assert!(Head::of(&first_of(header, &[])).is_none(), "{header:?}");
        }
        for broken in [&b"cmac"[..], &[0; FIXED], &[0; FIXED + 7]] {
            assert!(Head::of(broken).is_none());
        }
    }
}
