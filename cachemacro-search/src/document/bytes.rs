//! A document as bytes: written in one way only, read as if by an enemy.
//!
//! ```text
//! 0   2   magic "cd"
//! 2   1   version: 1, or 2 where it holds a text
//! 3   16  scope
//! 19  …   key: length, UTF-8
//!     …   terms: how many, then for each the distance from the one before, and its count
//!     …   trigrams: how many, then distances
//!     …   vector: dimensions (0: none), then 4 bytes each, little endian
//!     …   version 2: text: length, UTF-8
//!     8   XXH3 of all before, little endian
//! ```
//!
//! Numbers are LEB128, as short as they can be.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{Document, Scope};
use crate::error::Error;
use crate::terms::{GRAM_BITS, TERM_BITS};
use crate::text::MOST_TEXT;

const MAGIC: [u8; 2] = *b"cd";
const VERSION: u8 = 1;
const WITH_TEXT: u8 = 2;
const CHECKSUM: usize = 8;

impl Document {
    /// The document as it is stored.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document};
    ///
    /// let document = Document::of("airport:EGLL", &["London Heathrow", "EGLL"], &Analyzer::new())?;
    /// let bytes = document.to_bytes();
    /// assert!(bytes.len() < 120 && !bytes.windows(8).any(|window| window == b"Heathrow"));
    /// assert_eq!(Document::from_bytes(&bytes)?, document);
    /// # Ok::<(), cachemacro_search::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(64 + self.key.len() + 4 * self.terms.len() + 2 * self.grams.len());
        out.extend(MAGIC);
        out.push(if self.text.is_some() { WITH_TEXT } else { VERSION });
        out.extend(self.scope.bytes());
        put(&mut out, self.key.len());
        out.extend(self.key.as_bytes());
        put(&mut out, self.terms.len());
        let mut before = 0;
        for (term, count) in &self.terms {
            put(&mut out, (term - before) as usize);
            put(&mut out, usize::from(*count));
            before = *term;
        }
        put(&mut out, self.grams.len());
        before = 0;
        for gram in &self.grams {
            put(&mut out, (gram - before) as usize);
            before = *gram;
        }
        let vector = self.vector.as_deref().unwrap_or_default();
        put(&mut out, vector.len());
        out.extend(vector.iter().flat_map(|part| part.to_le_bytes()));
        if let Some(text) = &self.text {
            put(&mut out, text.len());
            out.extend(text.as_bytes());
        }
        out.extend(xxh3_64(&out).to_le_bytes());
        out.into()
    }

    /// The document that these bytes are.
    ///
    /// # Errors
    /// [`Error::Version`] for a version that this one does not read, [`Error::Bytes`] for all that is no document.
    ///
    /// ```
    /// use cachemacro_search::{Document, Error};
    ///
    /// assert_eq!(Document::from_bytes(b"{}"), Err(Error::Bytes));
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > Self::MOST_BYTES {
            return Err(Error::Bytes);
        }
        let (written, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(Error::Bytes)?;
        let mut rest = Rest(written);
        if rest.array()? != MAGIC || xxh3_64(written).to_le_bytes() != *checksum {
            return Err(Error::Bytes);
        }
        let [version] = rest.array()?;
        if version != VERSION && version != WITH_TEXT {
            return Err(Error::Version(version));
        }
        let scope = Scope::from_bytes(rest.array()?);
        let length = rest.count(Self::MOST_KEY)?;
        let key = rest.text(length)?;
        let (mut place, mut terms) = (Place::below(TERM_BITS), Vec::new());
        for _ in 0..rest.count(Self::MOST_TERMS)? {
            let term = place.after(rest.number()?)?;
            let count = u16::try_from(rest.number()?).map_err(|_| Error::Bytes)?;
            terms.push((term, count));
            if count == 0 {
                return Err(Error::Bytes);
            }
        }
        let (mut place, mut grams) = (Place::below(GRAM_BITS), Vec::new());
        for _ in 0..rest.count(Self::MOST_GRAMS)? {
            grams.push(place.after(rest.number()?)?);
        }
        let vector = match rest.count(Self::MOST_DIMENSIONS)? {
            0 => None,
            dimensions => Some(vector(rest.take(4 * dimensions)?)?),
        };
        let text = if version == WITH_TEXT {
            let length = rest.count(MOST_TEXT)?;
            Some(rest.text(length)?)
        } else {
            None
        };
        if !rest.0.is_empty() {
            return Err(Error::Bytes);
        }
        Ok(Self { key, scope, terms: terms.into(), grams: grams.into(), vector, text })
    }
}

/// A vector of length one, as those that are written.
fn vector(bytes: &[u8]) -> Result<Box<[f32]>, Error> {
    let (parts, _) = bytes.as_chunks::<4>();
    let parts: Box<[f32]> = parts.iter().map(|part| f32::from_le_bytes(*part)).collect();
    let length = parts.iter().map(|part| f64::from(*part).powi(2)).sum::<f64>();
    if (length - 1.0).abs() < 1e-3 { Ok(parts) } else { Err(Error::Bytes) }
}

/// Numbers that grow, each told by the distance from the one before.
struct Place {
    last: Option<u32>,
    bits: u32,
}

impl Place {
    const fn below(bits: u32) -> Self {
        Self { last: None, bits }
    }

    fn after(&mut self, distance: u32) -> Result<u32, Error> {
        let number = match self.last {
            Some(_) if distance == 0 => return Err(Error::Bytes),
            last => last
                .unwrap_or(0)
                .checked_add(distance)
                .filter(|number| *number < 1 << self.bits)
                .ok_or(Error::Bytes)?,
        };
        self.last = Some(number);
        Ok(number)
    }
}

fn put(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// What was not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Error::Bytes)?;
        self.0 = rest;
        Ok(taken)
    }

    fn text(&mut self, length: usize) -> Result<Box<str>, Error> {
        str::from_utf8(self.take(length)?).map(Box::from).map_err(|_| Error::Bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| Error::Bytes)
    }

    /// A number of at most 28 bits.
    fn number(&mut self) -> Result<u32, Error> {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let [byte] = self.array()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // As short as it can be: the last byte is not empty.
                return if byte == 0 && shift > 0 { Err(Error::Bytes) } else { Ok(number) };
            }
        }
        Err(Error::Bytes)
    }

    fn count(&mut self, most: usize) -> Result<usize, Error> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= most).ok_or(Error::Bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CHECKSUM, Document, Error, Scope, put, xxh3_64};
    use crate::text::{Analyzer, MOST_TEXT};

    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    fn document() -> Document {
        let document = Document::of("airport:EGLL", &["London Heathrow, London", "EGLL"], &Analyzer::new());
        let document = document.expect("a short key").with_scope(Scope::of(["7"]));
        document.with_vector(vec![0.3, -0.4, 0.0]).expect("it has a direction")
    }

    /// The bytes without their checksum.
    fn written() -> Vec<u8> {
        let bytes = document().to_bytes();
        bytes[..bytes.len() - CHECKSUM].to_vec()
    }

    #[test]
    fn bytes_of_this_version_are_those_of_every_release() {
        let document = Document::of("k", &["ab ab"], &Analyzer::new()).expect("a short key");
        let bytes = document.to_bytes();
        let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert_eq!(hex, include_str!("golden.hex").trim());
    }

    #[test]
    fn a_changed_bit_a_lost_end_and_another_version_are_refused() {
        let bytes = document().to_bytes();
        assert_eq!(Document::from_bytes(&bytes), Ok(document()));
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.to_vec();
            changed[at / 8] ^= 1 << (at % 8);
            assert_eq!(Document::from_bytes(&changed), Err(Error::Bytes), "bit {at}");
        }
        for end in 0..bytes.len() {
            assert_eq!(Document::from_bytes(&bytes[..end]), Err(Error::Bytes), "{end} bytes");
        }
        let mut newer = written();
        newer[2] = 3;
        assert_eq!(Document::from_bytes(&sealed(newer)), Err(Error::Version(3)));
        assert_eq!(Document::from_bytes(&sealed([written(), vec![0]].concat())), Err(Error::Bytes));
    }

    #[test]
    fn a_text_is_read_as_it_was_written_and_no_other_bytes_are_one() {
        let document = document().with_text("When are you open?");
        assert_eq!(Document::from_bytes(&document.to_bytes()), Ok(document));
        let mut head = written();
        head[2] = 2;
        let too_long = [vec![0x81, 0x40], vec![b'x'; MOST_TEXT + 1]].concat();
        for tail in [&[][..], &[1, 0xff], &[2, b'a'], &[0x81, 0], &[1, b'a', b'b'], &too_long] {
            let bytes = sealed([&head, tail].concat());
            assert_eq!(Document::from_bytes(&bytes), Err(Error::Bytes), "{tail:?}");
        }
        assert_eq!(
            Document::from_bytes(&sealed([&head[..], &[0]].concat())).map(|it| it.text().is_some()),
            Ok(true)
        );
    }

    #[test]
    fn lengths_that_lie_are_refused_before_room_is_made_for_them() {
        let head = &written()[..19];
        for lie in [1_025, 16 << 10, (1 << 28) - 1] {
            for before in [&[][..], &[0], &[0, 0], &[0, 0, 0]] {
                let mut bytes = [head, before].concat();
                put(&mut bytes, lie);
                assert_eq!(Document::from_bytes(&sealed(bytes)), Err(Error::Bytes), "{lie} after {before:?}");
            }
        }
    }

    #[test]
    fn numbers_that_are_not_in_order_or_longer_than_need_be_are_refused() {
        let head = &written()[..19];
        let refused: [&[u8]; 8] = [
            &[0, 2, 5, 1, 0, 1, 0, 0],                   // the same term twice
            &[0, 1, 5, 0, 0, 0],                         // a term that is not there
            &[0, 0, 1, 0x80, 0x80, 0x10, 0],             // a trigram of 2¹⁸
            &[0, 1, 0x80, 0x80, 0x80, 0x80, 1, 1, 0, 0], // a term of 2²⁸
            &[0, 1, 0x85, 0, 1, 0, 0],                   // 5 in two bytes
            &[0, 0, 2, 5, 0, 0],                         // the same trigram twice
            &[0, 0, 0, 1, 0, 0, 0, 0],                   // a vector of length zero
            &[1, 0xff, 0, 0, 0],                         // a key that is no UTF-8
        ];
        for bytes in refused {
            assert_eq!(Document::from_bytes(&sealed([head, bytes].concat())), Err(Error::Bytes), "{bytes:?}");
        }
        assert!(Document::from_bytes(&sealed([head, &[0, 1, 5, 1, 0, 0]].concat())).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_alike(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            for bytes in [bytes.clone(), sealed(bytes.clone()), sealed([&written()[..19], &bytes].concat())] {
                if let Ok(document) = Document::from_bytes(&bytes) {
                    prop_assert_eq!(&document.to_bytes()[..], &bytes[..]);
                }
            }
        }
    }
}
