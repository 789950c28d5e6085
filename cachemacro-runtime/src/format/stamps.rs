//! Tag versions: which keys hold them, and what they say about an entry.
//!
//! A tag is known by the 64-bit hash of its text. Its version lives under a key made of that hash alone, so the
//! stamps of an entry suffice to check it. Two tags with one hash would be evicted together, which is safe.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use crate::format::header::Stamp;
use crate::format::ids::Version;

/// The key of a version: of one tag, or of all tags of one bucket (the any-tag version).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::VersionKey;
///
/// let key = VersionKey::new("{shop:tag:7}:users", 7);
/// assert_eq!((key.text.len(), key.hash), (18, 7));
/// assert!(!format!("{key:?}").contains("users"), "keys may be secrets");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct VersionKey {
    /// The key in the store. Tags of one bucket and their any-tag version share a cluster slot.
    pub text: String,
    /// The first 64 bits that identify the tag in an entry's stamps.
    pub hash: u64,
}

impl VersionKey {
    /// The key `text` of the version that `hash` stands for in stamps.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::VersionKey;
    ///
    /// assert_eq!(VersionKey::new("{shop:tag:7}:users", 7).text, "{shop:tag:7}:users");
    /// ```
    pub fn new(text: impl Into<String>, hash: u64) -> Self {
        Self { text: text.into(), hash }
    }
}

impl fmt::Debug for VersionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VersionKey")
            .field("hash", &format_args!("{:016x}", self.hash))
            .finish_non_exhaustive()
    }
}

/// A tag to evict: its own version and its bucket's any-tag version, unlinked in one command.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{TagKeys, VersionKey};
///
/// let key = |name: &str, hash| VersionKey::new(format!("{{shop:tag:7}}:{name}"), hash);
/// let users = TagKeys::new(key("users", 7), key("*", 8));
/// assert_ne!(users.tag, users.any);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TagKeys {
    /// The tag's own version.
    pub tag: VersionKey,
    /// The any-tag version of the tag's bucket.
    pub any: VersionKey,
}

impl TagKeys {
    /// The tag whose version is under `tag`, in the bucket whose any-tag version is under `any`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{TagKeys, VersionKey};
    ///
    /// let keys = TagKeys::new(VersionKey::new("{tag:07}:users", 7), VersionKey::new("{tag:07}", 7));
    /// assert_eq!(keys.any.text, "{tag:07}");
    /// ```
    pub const fn new(tag: VersionKey, any: VersionKey) -> Self {
        Self { tag, any }
    }
}

/// How many any-tag versions there are.
pub(crate) const BUCKETS: u64 = 64;

/// What stands for the tag in the stamp of all any-tag versions together, which pending headers carry. Those of the buckets are
/// below it, those of tags are random.
pub(crate) const ANY_TAG: u64 = BUCKETS;

/// What stands for the id of the node that serves the first slot of a cluster, in stamps; those of the others follow it. Those of tags are
/// random.
#[cfg(feature = "cluster")]
const FIRST_SLOT: u64 = 1 << 20;

/// The keys of a tag's versions.
pub(crate) fn tag_keys(namespace: &str, tag: &str) -> TagKeys {
    let hash = tag_hash(tag);
    TagKeys { tag: version_key(namespace, hash), any: any_key(namespace, hash % BUCKETS) }
}

/// The key of a tag's own version.
pub(crate) fn tag_key(namespace: &str, tag: &str) -> VersionKey {
    version_key(namespace, tag_hash(tag))
}

/// What stands for a tag in stamps.
pub(crate) fn tag_hash(tag: &str) -> u64 {
    xxh3_64(tag.as_bytes())
}

/// The keys of the versions of the tag with this hash.
#[cfg(feature = "inspect")]
pub(crate) fn keys_of_hash(namespace: &str, hash: u64) -> TagKeys {
    TagKeys { tag: version_key(namespace, hash), any: any_key(namespace, hash % BUCKETS) }
}

/// The key of the version that is the server's id: that of a tag which no application has.
pub(crate) fn epoch_key(namespace: &str) -> VersionKey {
    tag_key(namespace, "\0epoch")
}

/// The key of the version that is the id of the node that serves this slot of a cluster. Nothing is stored under it.
#[cfg(feature = "cluster")]
pub(crate) fn node_key(namespace: &str, slot: u16) -> VersionKey {
    version_key(namespace, FIRST_SLOT + u64::from(slot))
}

/// The slot, where the version is the id of the node that serves it.
#[cfg(feature = "cluster")]
pub(crate) fn slot_of_node(key: &VersionKey) -> Option<u16> {
    let slot = u16::try_from(key.hash.checked_sub(FIRST_SLOT)?).ok()?;
    (slot < 16_384).then_some(slot)
}

/// The key of the version of the tag with this hash.
pub(crate) fn version_key(namespace: &str, hash: u64) -> VersionKey {
    // One allocation, and nothing of `fmt`: a read makes one for each of its tags.
    let mut text = String::with_capacity(namespace.len() + "{:tag:63}:".len() + 2 * size_of_val(&hash));
    write_slot(&mut text, namespace, hash % BUCKETS);
    text.push(':');
    let digit = |at: usize| b"0123456789abcdef"[usize::from((hash >> (60 - 4 * at)).to_le_bytes()[0] & 0xF)];
    let digits: [u8; 16] = std::array::from_fn(digit);
    text.push_str(std::str::from_utf8(&digits).unwrap_or_default());
    VersionKey { text, hash }
}

/// The tag whose version is under this key, if it is one of this namespace.
pub(crate) fn tag_of(namespace: &str, key: &[u8]) -> Option<u64> {
    let key = std::str::from_utf8(key.strip_prefix(b"{")?).ok()?;
    let key = if namespace.is_empty() { key } else { key.strip_prefix(namespace)?.strip_prefix(':')? };
    let (bucket, hash) = key.strip_prefix("tag:")?.split_once("}:")?;
    let hash = u64::from_str_radix(hash, 16).ok()?;
    (bucket.parse() == Ok(hash % BUCKETS)).then_some(hash)
}

/// The any-tag version of the bucket that a tag belongs to.
pub(crate) fn any_key(namespace: &str, bucket: u64) -> VersionKey {
    let mut text = String::with_capacity(namespace.len() + "{:tag:63}".len());
    write_slot(&mut text, namespace, bucket);
    VersionKey { text, hash: bucket }
}

/// The any-tag versions of all buckets, in order.
pub(crate) fn all_any_keys(namespace: &str) -> Vec<VersionKey> {
    (0..BUCKETS).map(|bucket| any_key(namespace, bucket)).collect()
}

/// Writes the bucket's cluster hash tag; entries' keys never begin with a brace.
fn write_slot(out: &mut String, namespace: &str, bucket: u64) {
    out.push('{');
    if !namespace.is_empty() {
        out.push_str(namespace);
        out.push(':');
    }
    out.push_str("tag:");
    for digit in [bucket / 10, bucket % 10] {
        out.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
    }
    out.push('}');
}

/// What the versions say about an entry's stamps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stamped {
    /// Every stamp equals its tag's version now.
    Valid,
    /// A tag was evicted, or its version lost.
    Outdated,
    /// The entry lacks a tag that the reader names.
    Lacking,
    /// It also carries tags that the reader did not name; their versions must be read.
    Unread(Vec<u64>),
}

/// Compares an entry's stamps with the versions of the tags that the reader named; it must carry the first so many of these.
pub(crate) fn compare(
    stamps: impl Iterator<Item = Stamp> + Clone,
    named: &[VersionKey],
    carried: usize,
    versions: &[Option<Version>],
) -> Stamped {
    for key in &named[..carried] {
        if !stamps.clone().any(|stamp| stamp.tag == key.hash) {
            return Stamped::Lacking;
        }
    }
    let mut unread = Vec::new();
    for stamp in stamps {
        match named.iter().position(|key| key.hash == stamp.tag) {
            Some(at) if versions.get(at).copied().flatten() == Some(stamp.version) => {}
            Some(_) => return Stamped::Outdated,
            None => unread.push(stamp.tag),
        }
    }
    if unread.is_empty() { Stamped::Valid } else { Stamped::Unread(unread) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(of: &[(u64, u64)]) -> Vec<Stamp> {
        of.iter().map(|&(tag, version)| Stamp::new(tag, Version::new(version))).collect()
    }

    fn versions(of: &[u64]) -> Vec<Option<Version>> {
        of.iter().map(|&version| (version != 0).then_some(Version::new(version))).collect()
    }

    fn named(of: &[u64]) -> Vec<VersionKey> {
        of.iter().map(|&hash| version_key("ns", hash)).collect()
    }

    #[test]
    fn a_tag_and_its_any_tag_version_share_a_slot() {
        let keys = tag_keys("shop", "org:7");
        let slot = |key: &str| key[..=key.find('}').expect("a hash tag")].to_owned();
        assert_eq!(slot(&keys.tag.text), slot(&keys.any.text));
        assert_eq!(keys.tag, version_key("shop", keys.tag.hash));
    }

    #[test]
    fn stamps_are_valid_only_while_every_version_is_equal() {
        let entry = stamps(&[(1, 10), (2, 20)]);
        let both = named(&[1, 2]);
        assert_eq!(compare(entry.iter().copied(), &both, 2, &versions(&[10, 20])), Stamped::Valid);
        assert_eq!(compare(entry.iter().copied(), &both, 2, &versions(&[10, 21])), Stamped::Outdated);
        assert_eq!(compare(entry.iter().copied(), &both, 2, &versions(&[0, 20])), Stamped::Outdated);
    }

    #[test]
    fn a_tag_that_the_entry_lacks_makes_it_unusable() {
        let entry = stamps(&[(1, 10)]);
        assert_eq!(
            compare(entry.iter().copied(), &named(&[1, 2]), 2, &versions(&[10, 20])),
            Stamped::Lacking
        );
    }

    #[test]
    fn tags_that_the_reader_did_not_name_are_left_to_a_second_look() {
        let entry = stamps(&[(1, 10), (2, 20)]);
        assert_eq!(
            compare(entry.iter().copied(), &named(&[1]), 1, &versions(&[10])),
            Stamped::Unread(vec![2])
        );
    }

    #[test]
    fn a_tag_that_the_entry_need_not_carry_is_held_against_it_where_it_does() {
        let (entry, both) = (stamps(&[(1, 10)]), named(&[1, 2]));
        assert_eq!(compare(entry.iter().copied(), &both, 1, &versions(&[10, 20])), Stamped::Valid);
        let entry = stamps(&[(1, 10), (2, 20)]);
        assert_eq!(compare(entry.iter().copied(), &both, 1, &versions(&[10, 20])), Stamped::Valid);
        assert_eq!(compare(entry.iter().copied(), &both, 1, &versions(&[10, 21])), Stamped::Outdated);
    }
}
