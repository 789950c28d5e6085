//! Bytes within a value that are a part of what the store gave, instead of a copy of it.

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

thread_local! {
    /// What is being decoded on this thread, where it is lent.
    static LENT: RefCell<Option<Lent>> = const { RefCell::new(None) };
}

struct Lent {
    all: Bytes,
    /// How many of the bytes were taken.
    taken: usize,
}

/// Decodes something out of `bytes`, of which [`LentBytes`] take their part; tells how many they took.
pub(crate) fn lending<R>(bytes: &Bytes, decode: impl FnOnce() -> R) -> (R, usize) {
    /// Takes it back, also where decoding panics.
    struct Back(Option<Lent>);

    impl Drop for Back {
        fn drop(&mut self) {
            LENT.set(self.0.take());
        }
    }

    let _back = Back(LENT.replace(Some(Lent { all: bytes.clone(), taken: 0 })));
    let decoded = decode();
    (decoded, LENT.with_borrow(|lent| lent.as_ref().map_or(0, |lent| lent.taken)))
}

/// Bytes in a value. A hit of an [entry that lends](crate::Entry::with_lent_bytes) shares them with what the store gave, however many
/// there are; elsewhere they are copied. Stored as any bytes are.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Lookup, LentBytes, codec::Postcard};
///
/// let cache = Cache::memory();
/// let page = cache.entry::<LentBytes>("page", 1).with_codec::<Postcard>().with_lent_bytes();
/// page.set(&LentBytes(vec![7; 200_000].into())).await?;
/// let Lookup::Hit(one) = page.lookup().await? else { panic!("it was stored") };
/// let Lookup::Hit(other) = page.lookup().await? else { panic!("it was stored") };
/// assert_eq!(one.as_ptr(), other.as_ptr(), "the very same bytes");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct LentBytes(pub Bytes);

impl fmt::Debug for LentBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LentBytes({})", self.0.len())
    }
}

impl Deref for LentBytes {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.0
    }
}

impl Serialize for LentBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for LentBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Part)
    }
}

/// Takes its part of what is lent.
struct Part;

impl<'de> Visitor<'de> for Part {
    type Value = LentBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<LentBytes, E> {
        let part = LENT.with_borrow_mut(|lent| {
            let Lent { all, taken } = lent.as_mut()?;
            let (whole, part) = (all.as_ptr_range(), bytes.as_ptr_range());
            (whole.start <= part.start && part.end <= whole.end).then(|| {
                *taken += bytes.len();
                all.slice_ref(bytes)
            })
        });
        Ok(LentBytes(part.unwrap_or_else(|| Bytes::copy_from_slice(bytes))))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<LentBytes, E> {
        Ok(LentBytes(bytes.into()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut bytes: A) -> Result<LentBytes, A::Error> {
        let mut all = Vec::new();
        while let Some(byte) = bytes.next_element()? {
            all.push(byte);
        }
        Ok(LentBytes(all.into()))
    }
}

#[cfg(all(test, feature = "postcard"))]
mod tests {
    use super::*;
    use crate::format::codec::{Codec as _, Postcard};

    #[test]
    fn a_part_is_shared_only_with_what_is_lent() {
        let mut bytes = Vec::new();
        Postcard::encode(&(7_u8, LentBytes(Bytes::from_static(b"some text"))), &mut bytes).unwrap();
        let (bytes, others) = (Bytes::from(bytes.clone()), Bytes::from(bytes));
        let decode = |bytes: &Bytes| Postcard::decode::<(u8, LentBytes)>(bytes).unwrap().1;
        let is_within = |part: &LentBytes, all: &Bytes| all.as_ptr_range().contains(&part.as_ptr());
        let (lent, taken) = lending(&bytes, || decode(&bytes));
        assert!(&*lent.0 == b"some text" && is_within(&lent, &bytes) && taken == 9);
        let (copied, taken) = lending(&others, || decode(&bytes));
        assert!(copied == lent && !is_within(&copied, &bytes) && !is_within(&copied, &others) && taken == 0);
        assert!(!is_within(&decode(&bytes), &bytes), "it was taken back");
        let panicked = std::panic::catch_unwind(|| lending(&bytes, || panic!("it decodes badly")));
        assert!(panicked.is_err() && !is_within(&decode(&bytes), &bytes));
    }
}
