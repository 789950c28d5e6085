//! The fingerprint itself, and those that this process knows.

use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::sync::{LazyLock, RwLock};

use xxhash_rust::xxh3::xxh3_64;

use super::layout::Layout;
use crate::ground::sync;

/// The fingerprint of a type.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::schema::fingerprint_of;
/// use serde::Deserialize;
///
/// mod before {
///     #[derive(serde::Deserialize)]
///     pub struct User { pub id: u64, pub karma: u64 }
/// }
/// mod after {
///     #[derive(serde::Deserialize)]
///     pub struct User { pub karma: u64, pub id: u64 }
/// }
///
/// assert_ne!(fingerprint_of::<before::User>().hash(), fingerprint_of::<after::User>().hash());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    hash: u64,
    unseen: Option<&'static str>,
    any: bool,
    layout: Option<&'static Layout>,
}

impl Fingerprint {
    /// The same with another's layout.
    pub(super) const fn laid_out_as(self, other: &Self) -> Self {
        Self { layout: other.layout, ..self }
    }

    /// The 64 bits.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::schema::fingerprint_of;
    ///
    /// assert_eq!(fingerprint_of::<Vec<u8>>().hash(), fingerprint_of::<Vec<u8>>().hash());
    /// assert_ne!(fingerprint_of::<Vec<u8>>().hash(), fingerprint_of::<Vec<u16>>().hash());
    /// ```
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// The first place in the type that could not be seen, if any: the type, and the way from it to the field.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::schema::fingerprint_of;
    ///
    /// #[derive(serde::Deserialize)]
    /// #[serde(untagged)]
    /// enum Id {
    ///     Number(u64),
    ///     Name(String),
    /// }
    ///
    /// assert_eq!(fingerprint_of::<(u8, String)>().unseen(), None);
    /// assert!(fingerprint_of::<Id>().unseen().is_some());
    /// ```
    pub const fn unseen(&self) -> Option<&'static str> {
        self.unseen
    }

    /// What compact codecs write of the type, where all of it was seen by its `Deserialize`. See [`Layout`] for an example.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::schema::fingerprint_of;
    ///
    /// assert!(fingerprint_of::<Vec<u64>>().layout().is_some());
    /// ```
    pub const fn layout(&self) -> Option<&'static Layout> {
        self.layout
    }

    /// Whether some part of the type asks a decoder for any value, so that only self-describing codecs bring it back.
    pub(crate) const fn asks_for_any(&self) -> bool {
        self.any
    }

    /// The 64 bits for the entry's header: the fingerprint and the `version` of the site.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::schema::fingerprint_of;
    ///
    /// let user = fingerprint_of::<(u64, String)>();
    /// assert_ne!(user.mix(0), user.mix(1), "what version 0 stored is a miss for version 1");
    /// ```
    pub fn mix(&self, version: u32) -> u64 {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.hash.to_le_bytes());
        bytes[8..].copy_from_slice(&version.to_le_bytes());
        xxh3_64(&bytes)
    }
}

/// What shows the shape of a type.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Its `Deserialize`.
    Traced,
    /// Its `CacheSchema`.
    Described,
}

/// What a description of a type comes to.
pub(super) struct Described {
    pub(super) hash: u64,
    /// The way to the first place that could not be seen.
    pub(super) unseen: Option<String>,
    /// Whether some part asks for any value.
    pub(super) any: bool,
    pub(super) layout: Option<Layout>,
}

/// The fingerprint of `T` from this source, computed at the first call.
pub(super) fn remembered<T: 'static>(source: Source, compute: impl FnOnce() -> Described) -> Fingerprint {
    static KNOWN: LazyLock<RwLock<HashMap<(TypeId, Source), Fingerprint>>> = LazyLock::new(RwLock::default);
    let of = (TypeId::of::<T>(), source);
    if let Some(known) = sync::read(&KNOWN).get(&of) {
        return *known;
    }
    // Not under the lock: it runs foreign `Deserialize` code, and types inside may come here too.
    let Described { hash, unseen, any, layout } = compute();
    let mut known = sync::write(&KNOWN);
    if let Some(known) = known.get(&of) {
        return *known;
    }
    let layout = layout.map(|layout| &*Box::leak(Box::new(layout)));
    let unseen = unseen.map(|path| leak(&format!("{}: {path}", type_name::<T>())));
    *known.entry(of).or_insert(Fingerprint { hash, unseen, any, layout })
}

/// One text per type for the rest of the process: as bounded as the types are.
fn leak(text: &str) -> &'static str {
    Box::leak(text.into())
}
