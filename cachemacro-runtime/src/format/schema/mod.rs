//! A type's fingerprint: 64 bits that change when the shape of a type's values changes, so that a value written
//! by another version of a struct is a miss and not garbage.
//!
//! It is computed once per type, from what `Deserialize` asks for: [`fingerprint_of`] walks it with made-up values
//! and notes the names of types, fields and variants and the kinds of primitives, in order. Nothing in it depends on
//! addresses, hashers, `TypeId`s or the compiler, so that all builds of one source agree.
//!
//! Some types cannot be walked through: `#[serde(flatten)]`, internally tagged and untagged enums, and types that ask
//! for "any" value; also what follows, in a tuple, a type that refuses every sample. [`Fingerprint::unseen`] names the
//! first such place. `#[derive(CacheSchema)]` describes a type from its definition instead and closes the gap; a
//! `version` on the site does so by hand.

use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::sync::{LazyLock, RwLock};

use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::ground::sync;

mod describe;
mod position;
mod probe;
mod samples;
mod shape;
mod tracer;
mod walk;

pub use describe::{CacheSchema, Schema};
#[doc(hidden)]
pub use probe::{FieldDerived, FieldOpaque, FieldTraced, Probe};

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
}

impl Fingerprint {
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

/// The fingerprint of `T` as its `Deserialize` shows it; computed at the first call and remembered.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::schema::fingerprint_of;
///
/// #[derive(serde::Deserialize)]
/// struct Note {
///     text: String,
///     #[serde(flatten)]
///     rest: std::collections::HashMap<String, String>,
/// }
///
/// assert_eq!(fingerprint_of::<Vec<u8>>().unseen(), None);
/// assert!(fingerprint_of::<Note>().unseen().unwrap().contains("Note"));
/// ```
pub fn fingerprint_of<T: DeserializeOwned + 'static>() -> Fingerprint {
    remember(TypeId::of::<T>(), Source::Traced, || {
        let (hash, unseen) = walk::trace::<T>();
        Fingerprint { hash, unseen: unseen.map(|path| leak(&format!("{}: {path}", type_name::<T>()))) }
    })
}

/// The fingerprint of `T` as its [`CacheSchema`] describes it; computed at the first call and remembered.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::schema::described;
///
/// assert_ne!(described::<Option<u8>>(), described::<Vec<u8>>());
/// assert_eq!(described::<Box<u8>>().hash(), described::<u8>().hash(), "serde writes them alike");
/// ```
pub fn described<T: CacheSchema + 'static>() -> Fingerprint {
    remember(TypeId::of::<T>(), Source::Described, || {
        let mut schema = Schema::new();
        T::describe(&mut schema);
        let (hash, unseen) = schema.finish();
        Fingerprint { hash, unseen: unseen.map(|path| leak(&format!("{}: {path}", type_name::<T>()))) }
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    Traced,
    Described,
}

fn remember(of: TypeId, source: Source, compute: impl FnOnce() -> Fingerprint) -> Fingerprint {
    static KNOWN: LazyLock<RwLock<HashMap<(TypeId, Source), Fingerprint>>> = LazyLock::new(RwLock::default);
    if let Some(known) = sync::read(&KNOWN).get(&(of, source)) {
        return *known;
    }
    // Not under the lock: it runs foreign `Deserialize` code, and types inside may come here too.
    let computed = compute();
    *sync::write(&KNOWN).entry((of, source)).or_insert(computed)
}

/// One text per type for the rest of the process: as bounded as the types are.
fn leak(text: &str) -> &'static str {
    Box::leak(text.into())
}

/// A text with its length in front, so that no two lists of words look alike.
fn write_word(hasher: &mut Xxh3, word: &str) {
    write_number(hasher, word.len());
    hasher.update(word.as_bytes());
}

fn write_number(hasher: &mut Xxh3, number: usize) {
    hasher.update(&(number as u64).to_le_bytes());
}
