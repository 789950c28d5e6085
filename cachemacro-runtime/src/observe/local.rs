//! What values in this process did, counted.

/// Why a value left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// By key, tag, prefix or all at once.
    Evicted,
    /// Its time was over.
    Expired,
    /// A newer value of its key came.
    Replaced,
    /// Others needed the room.
    Room,
    /// The store no longer told of changes.
    Untold,
}

impl Cause {
    pub(crate) const ALL: &'static [Cause] =
        &[Cause::Evicted, Cause::Expired, Cause::Replaced, Cause::Room, Cause::Untold];
}

/// The values that this process holds decoded, as local copies and for sync functions, from [`CacheStats::local`](crate::CacheStats).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// let stats = cachemacro::Cache::memory().stats();
/// assert_eq!((stats.local.entries, stats.local.bytes), (0, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LocalStats {
    /// How many there are, those included that nobody looked for since they expired or a tag of theirs was evicted.
    pub entries: u64,
    /// What they weigh, in bytes: see [`CacheBuilder::local_capacity`](crate::CacheBuilder::local_capacity).
    pub bytes: u64,
    /// How many left because they, a tag of theirs or their prefix were evicted, here or elsewhere.
    pub evicted: u64,
    /// How many left because their TTL was over.
    pub expired: u64,
    /// How many left because a newer value took their place.
    pub replaced: u64,
    /// How many left because others needed the room.
    pub for_room: u64,
    /// How many left because the store no longer told of changes.
    pub untold: u64,
}

impl LocalStats {
    pub(crate) const fn new(entries: u64, bytes: u64, left: [u64; Cause::ALL.len()]) -> Self {
        let [evicted, expired, replaced, for_room, untold] = left;
        Self { entries, bytes, evicted, expired, replaced, for_room, untold }
    }

    /// With those of another table.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            bytes: self.bytes + other.bytes,
            evicted: self.evicted + other.evicted,
            expired: self.expired + other.expired,
            replaced: self.replaced + other.replaced,
            for_room: self.for_room + other.for_room,
            untold: self.untold + other.untold,
        }
    }
}
