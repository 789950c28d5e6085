//! Which entries are sealed, by which keys, and under which names.

#[cfg(feature = "sealed")]
use std::collections::BTreeSet;
#[cfg(feature = "sealed")]
use std::sync::Arc;

use std::borrow::Cow;

use bytes::Bytes;

use crate::format::header::{self, Header, Stamp};
#[cfg(feature = "sealed")]
use crate::format::seal::SealingKey;
#[cfg(feature = "sealed")]
use crate::ground::error::{Error, ErrorKind, Result};
use crate::key::Key;
#[cfg(feature = "sealed")]
use crate::key::secret::NameSecret;
#[cfg(feature = "sealed")]
use crate::key::{prefix_of, prefix_of_text, scan_text};

/// The keys that entries are sealed with, so that the server, and whoever gets hold of its memory or a backup, can neither read
/// nor forge them; needs the feature `sealed`.
///
/// A value is encrypted and bound to its key, its type and its namespace; keys of entries are hashed with a secret behind their prefix.
/// What reads or evicts an entry needs the same secret of names. See
/// [the guide](https://github.com/cachemacro/cachemacro/blob/main/docs/sealed.md).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Sealing};
///
/// // 32 random bytes each, from where the program has its secrets.
/// let (names, former, current) = ([1; 32], [2; 32], [3; 32]);
/// let sealing = Sealing::new(&names, 2, &current).reads(1, &former);
/// let cache = Cache::builder().memory().namespace("shop").sealed(sealing).build()?;
/// cache.set("session", "hunter2", &42).await?;
/// assert_eq!(cache.get::<i32>("session", "hunter2").await?, Some(42));
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "sealed")]
#[derive(Debug, Clone)]
pub struct Sealing {
    names: NameSecret,
    /// The first one seals, all open.
    keys: Vec<SealingKey>,
    /// What the keys that are sealed begin with; `None`: all are.
    only: Option<BTreeSet<String>>,
}

#[cfg(feature = "sealed")]
impl Sealing {
    /// Hides keys with the secret `names`, and seals with `key`, which entries know by the number `id`, from 1. Each is 32 random
    /// bytes.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, Sealing};
    ///
    /// let sealed = |id| Cache::builder().memory().sealed(Sealing::new(&[1; 32], id, &[2; 32])).build();
    /// assert!(sealed(1).is_ok());
    /// assert!(sealed(0).is_err(), "zero is the number of no key");
    /// ```
    pub fn new(names: &[u8; 32], id: u16, key: &[u8; 32]) -> Self {
        Self { names: NameSecret::new(names), keys: vec![SealingKey::new(id, key)], only: None }
    }

    /// Opens also what was sealed with this key: the former one while keys change, and the next one before they do.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, Sealing};
    ///
    /// let sealing = Sealing::new(&[1; 32], 2, &[3; 32]).reads(1, &[2; 32]);
    /// let cache = Cache::builder().memory().sealed(sealing).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn reads(mut self, id: u16, key: &[u8; 32]) -> Self {
        self.keys.push(SealingKey::new(id, key));
        self
    }

    /// Seals entries under these prefixes alone. All processes of a namespace name the same ones. Default: all entries.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, Sealing};
    ///
    /// let sealing = Sealing::new(&[1; 32], 1, &[2; 32]).only(["session", "patient"]);
    /// let cache = Cache::builder().memory().sealed(sealing).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn only<S: AsRef<str>>(mut self, prefixes: impl IntoIterator<Item = S>) -> Self {
        self.only = Some(prefixes.into_iter().map(|prefix| scan_text(prefix.as_ref())).collect());
        self
    }

    /// Whether each key can be told from the others.
    pub(crate) fn check(&self) -> Result<()> {
        let ids: BTreeSet<u16> = self.keys.iter().map(|key| key.id).collect();
        if ids.contains(&0) || ids.len() != self.keys.len() {
            let text = "the keys that entries are sealed with have numbers from 1, and no two the same";
            return Err(Error::new(ErrorKind::Config, text));
        }
        if self.only.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(Error::new(ErrorKind::Config, "a list of prefixes that are sealed names none"));
        }
        Ok(())
    }

    fn covers(&self, prefix: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(prefix))
    }
}

/// What a cache seals: nothing, unless it was given keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seals {
    #[cfg(feature = "sealed")]
    pub(crate) sealing: Option<Arc<Sealing>>,
}

#[cfg(feature = "sealed")]
impl Seals {
    /// Whether any entries are sealed.
    #[cfg(any(feature = "inspect", feature = "reports"))]
    pub(crate) const fn are_any(&self) -> bool {
        self.sealing.is_some()
    }

    /// Whether entries under this key are sealed.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        self.sealing.as_ref().is_some_and(|sealing| sealing.covers(prefix_of(key)))
    }

    /// The key of this text as the server learns it.
    pub(crate) fn name<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.sealing {
            Some(sealing) if sealing.covers(prefix_of_text(text)) => Cow::Owned(sealing.names.hide(text)),
            _ => Cow::Borrowed(text),
        }
    }

    /// A whole entry under the name `full`, sealed where entries under `key` are.
    pub(crate) fn assemble(
        &self,
        key: &Key,
        full: &str,
        header: Header,
        stamps: &[Stamp],
        payload: &[u8],
    ) -> Vec<u8> {
        match &self.sealing {
            Some(sealing) if sealing.covers(prefix_of(key)) => {
                sealing.keys[0].seal(full, header, stamps, payload)
            }
            _ => header::assemble(header, stamps, payload),
        }
    }

    /// The same entry with its payload in plain; `None` where none of the keys sealed it under this name.
    pub(crate) fn open(&self, full: &str, header: &Header, bytes: Bytes) -> Option<Bytes> {
        if !header.has(header::SEALED) {
            return Some(bytes);
        }
        let keys = self.sealing.as_deref().map_or(&[][..], |sealing| &sealing.keys);
        let key = keys.iter().find(|key| key.id == header.sealing_key)?;
        key.open(full, header, &bytes).map(Bytes::from)
    }
}

#[cfg(not(feature = "sealed"))]
#[expect(clippy::unused_self, reason = "there is nothing to seal with")]
impl Seals {
    #[cfg(any(feature = "inspect", feature = "reports"))]
    pub(crate) const fn are_any(&self) -> bool {
        false
    }

    pub(crate) const fn covers(&self, _key: &Key) -> bool {
        false
    }

    pub(crate) const fn name<'a>(&self, text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }

    pub(crate) fn assemble(
        &self,
        _key: &Key,
        _full: &str,
        header: Header,
        stamps: &[Stamp],
        payload: &[u8],
    ) -> Vec<u8> {
        header::assemble(header, stamps, payload)
    }

    pub(crate) fn open(&self, _full: &str, header: &Header, bytes: Bytes) -> Option<Bytes> {
        (!header.has(header::SEALED)).then_some(bytes)
    }
}
