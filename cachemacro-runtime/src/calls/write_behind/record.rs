//! A write as bytes: this form's number, whether something is there or removed, the tags to evict, and the value.

use bytes::Bytes;

use crate::ground::error::{Error, ErrorKind, Result};

/// The form.
const FORM: u8 = 1;
const PUT: u8 = 1;
const DELETE: u8 = 0;

/// A write.
pub(crate) struct Record<'a> {
    /// What is there from then on; `None`: nothing.
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) tags: &'a [String],
}

impl Record<'_> {
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let too_long = |_| Error::new(ErrorKind::TooLarge, "a write has too many tags, or too long ones");
        let mut bytes = vec![FORM, if self.value.is_some() { PUT } else { DELETE }];
        bytes.extend(u16::try_from(self.tags.len()).map_err(too_long)?.to_le_bytes());
        for tag in self.tags {
            bytes.extend(u16::try_from(tag.len()).map_err(too_long)?.to_le_bytes());
            bytes.extend(tag.as_bytes());
        }
        bytes.extend(self.value.unwrap_or_default());
        Ok(bytes)
    }
}

/// The tags, and where the value begins; `None` where it is no write of this form.
fn read(write: &[u8]) -> Option<(bool, Vec<String>, usize)> {
    let (head, mut rest) = write.split_at_checked(4)?;
    let puts = match head[..2] {
        [FORM, PUT] => true,
        [FORM, DELETE] => false,
        _ => return None,
    };
    let mut tags = Vec::new();
    for _ in 0..u16::from_le_bytes([head[2], head[3]]) {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        let (tag, behind) = behind.split_at_checked(u16::from_le_bytes(*length).into())?;
        tags.push(String::from_utf8(tag.to_vec()).ok()?);
        rest = behind;
    }
    Some((puts, tags, write.len() - rest.len()))
}

/// The value's bytes; `Some(None)` where the entry is removed, `None` where it is no write of this form.
#[expect(clippy::option_option, reason = "whether it is a write, and of what")]
pub(crate) fn value_of(write: &Bytes) -> Option<Option<Bytes>> {
    let (puts, _, at) = read(write)?;
    Some(puts.then(|| write.slice(at..)))
}

/// The tags to evict.
pub(crate) fn tags_of(write: &[u8]) -> Vec<String> {
    read(write).map(|(_, tags, _)| tags).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_read_back_and_garbage_is_none() {
        let tags = ["users".to_owned(), "org:3".to_owned()];
        for value in [Some(&b"Ada"[..]), Some(b""), None] {
            let bytes: Bytes = Record { value, tags: &tags }.encode().expect("it is short").into();
            assert_eq!(value_of(&bytes), Some(value.map(Bytes::copy_from_slice)));
            assert_eq!(tags_of(&bytes), tags);
            let head = bytes.len() - value.unwrap_or_default().len();
            for length in 0..head {
                assert_eq!(value_of(&bytes.slice(..length)), None, "{length} bytes");
            }
        }
        assert_eq!(value_of(&Bytes::from_static(&[2, 1, 0, 0])), None);
        assert_eq!(value_of(&Bytes::from_static(&[1, 2, 0, 0])), None);
        let long = ["x".repeat(70_000)];
        let kind = Record { value: None, tags: &long }.encode().map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::TooLarge));
    }
}
