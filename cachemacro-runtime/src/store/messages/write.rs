//! Storing values, each where its guard holds.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::format::ids::{FillId, Token, Version};
use crate::format::stamps::VersionKey;
use crate::ground::setters::setters;

/// What must hold for a value to be stored. A store that does not know a guard refuses.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::header::{Header, assemble};
/// use cachemacro::store::{FillId, Guard, Store, Token, Write, memory::MemoryStore};
/// use cachemacro::Timestamp;
/// use std::time::Duration;
///
/// let value = |id| assemble(Header::new().with_fill_id(FillId::new(id)).with_gone_at(Timestamp(u64::MAX)), &[], b"Ada");
/// let write = |id, guard| [Write::new("user:7", value(id).into(), Duration::from_secs(60)).with_guard(guard)];
/// let writes = [
///     (write(1, Guard::Lease(Token::new(7))), false),   // nobody holds a lease
///     (write(2, Guard::Seen(FillId::NONE)), true),      // nothing is there
///     (write(3, Guard::Seen(FillId::new(2))), true),    // the value above is there
///     (write(4, Guard::Seen(FillId::new(2))), false),   // not any more
///     (write(5, Guard::Always), true),
///     (write(6, Guard::unchanged(FillId::new(5), Token::NONE)), true),    // under the same lease too: none
///     (write(7, Guard::unchanged(FillId::new(6), Token::new(7))), false), // nobody holds that one
/// ];
/// let store = MemoryStore::new();
/// for (write, accepted) in writes {
///     assert_eq!(store.write(&write).await?[0].accepted, accepted);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guard {
    /// Nothing: the value replaces whatever is there.
    Always,
    /// The entry still carries this token: no evict, put or other loader came between.
    Lease(Token),
    /// The value that is readable there is still this one; [`FillId::NONE`]: nothing readable is there.
    Seen(FillId),
    /// For refreshes. The value there is still this one, readable or not, and so is its lease, held or not: no evict, put or other
    /// loader came between. With [`FillId::NONE`] it never holds.
    #[non_exhaustive]
    Unchanged {
        /// The value that was seen.
        seen: FillId,
        /// The token in its header; [`Token::NONE`]: nobody's.
        token: Token,
    },
}

impl Guard {
    /// [`Unchanged`](Self::Unchanged): the value and the token in its header are still these.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{FillId, Guard, Token};
    ///
    /// let guard = Guard::unchanged(FillId::new(5), Token::NONE);
    /// assert!(matches!(guard, Guard::Unchanged { seen, .. } if seen == FillId::new(5)));
    /// ```
    pub const fn unchanged(seen: FillId, token: Token) -> Self {
        Self::Unchanged { seen, token }
    }
}

/// What becomes of the entry where the guard does not hold.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{Guard, OnRefusal, Store, Token, Write, memory::MemoryStore};
/// use std::time::Duration;
///
/// let store = MemoryStore::new();
/// let write = |value: &'static str| Write::new("user:7", value.into(), Duration::from_secs(60));
/// let put = write("late").with_guard(Guard::Lease(Token::new(1))).with_on_refusal(OnRefusal::Unlink);
/// store.write(&[write("Ada"), put]).await?;
/// assert!(store.is_empty(), "nobody knows which of the two is the current value");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnRefusal {
    /// The entry stays as it is.
    Leave,
    /// The entry is removed, with any lease on it: for puts (G4).
    Unlink,
}

/// A value to store.
///
/// Storing ends any lease of the entry.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{Guard, OnRefusal, Token, Write};
/// use std::time::Duration;
///
/// let write = Write::new("user:7", "Ada".into(), Duration::from_secs(60));
/// assert_eq!((write.guard, write.on_refusal, write.check.len()), (Guard::Always, OnRefusal::Leave, 0));
/// assert!(!format!("{write:?}").contains("Ada"), "values may be secrets");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Write<'a> {
    /// The entry's key.
    pub key: &'a str,
    /// Header, stamps and payload.
    pub bytes: Bytes,
    /// How long the key lives.
    pub life: Duration,
    /// What must hold for it.
    pub guard: Guard,
    /// What becomes of the entry where it does not.
    pub on_refusal: OnRefusal,
    /// Versions to read in the same round trip, not before the value is stored.
    pub check: &'a [VersionKey],
}

impl<'a> Write<'a> {
    /// Stores these bytes whatever is there.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Write;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Write::new("user:7", "Ada".into(), Duration::from_secs(60)).bytes.len(), 3);
    /// ```
    pub const fn new(key: &'a str, bytes: Bytes, life: Duration) -> Self {
        Self { key, bytes, life, guard: Guard::Always, on_refusal: OnRefusal::Leave, check: &[] }
    }

    setters! {
        /// Stores only where this holds.
        with_guard(guard: Guard);
        /// Says what becomes of the entry where the guard does not hold.
        with_on_refusal(on_refusal: OnRefusal);
        /// Reads these versions after the write, in the same round trip.
        with_check(check: &'a [VersionKey]);
    }
}

/// What became of a [`Write`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Written;
///
/// assert!(Written::new(true, Vec::new()).accepted);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Whether the value was stored.
    pub accepted: bool,
    /// The versions named by [`Write::check`], in the same order.
    pub versions: Vec<Option<Version>>,
}

impl Written {
    /// An answer.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Written;
    ///
    /// assert_eq!(Written::new(false, vec![None]).versions.len(), 1);
    /// ```
    pub const fn new(accepted: bool, versions: Vec<Option<Version>>) -> Self {
        Self { accepted, versions }
    }
}

// Keys and values may be secrets: only how many and how long they are is shown.
impl fmt::Debug for Write<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("bytes", &self.bytes.len())
            .field("life", &self.life)
            .field("guard", &self.guard)
            .field("on_refusal", &self.on_refusal)
            .field("check", &self.check.len())
            .finish_non_exhaustive()
    }
}
