//! Why a read found nothing usable.

/// Why a read found nothing usable.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, MissReason};
///
/// let cache = Cache::memory();
/// assert_eq!(cache.get::<u32>("n", 1).await?, None);
/// assert_eq!(cache.stats().total.misses_for(MissReason::Absent), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissReason {
    /// Nothing under the key.
    Absent,
    /// Only a lease: someone is loading.
    Pending,
    /// Past its TTL.
    Expired,
    /// One of its tags was evicted, or the tag's version lost.
    TagEvicted,
    /// It was stored without a tag that the site names by now.
    TagLacking,
    /// Foreign, truncated or damaged bytes.
    Malformed,
    /// Stored under another key.
    OtherKey,
    /// Stored by another codec.
    OtherCodec,
    /// The value's type has changed shape, or `version` was raised.
    OtherSchema,
    /// The codec could not decode it, or a capability it needs is not built in.
    Undecodable,
    /// Not sealed though the cache seals it, sealed by a key that the cache does not have, forged, or moved from elsewhere.
    Unsealed,
    /// Of use still, and this call was elected to load it anew.
    Due,
    /// Older than `Mode::MaxAge` allows, or skipped by `Mode::Refresh`.
    TooOld,
    /// The caller of `lookup_if` turned it down.
    Refused,
    /// The store did not answer.
    StoreFailed,
}

impl MissReason {
    /// All reasons there are so far.
    pub const ALL: &'static [MissReason] = &[
        MissReason::Absent,
        MissReason::Pending,
        MissReason::Expired,
        MissReason::TagEvicted,
        MissReason::TagLacking,
        MissReason::Malformed,
        MissReason::OtherKey,
        MissReason::OtherCodec,
        MissReason::OtherSchema,
        MissReason::Undecodable,
        MissReason::Unsealed,
        MissReason::Due,
        MissReason::TooOld,
        MissReason::Refused,
        MissReason::StoreFailed,
    ];

    /// The reason as a short lower-case word, for metrics and logs.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::MissReason::TagEvicted.as_str(), "tag_evicted");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            MissReason::Absent => "absent",
            MissReason::Pending => "pending",
            MissReason::Expired => "expired",
            MissReason::TagEvicted => "tag_evicted",
            MissReason::TagLacking => "tag_lacking",
            MissReason::Malformed => "malformed",
            MissReason::OtherKey => "other_key",
            MissReason::OtherCodec => "other_codec",
            MissReason::OtherSchema => "other_schema",
            MissReason::Undecodable => "undecodable",
            MissReason::Unsealed => "unsealed",
            MissReason::Due => "due",
            MissReason::TooOld => "too_old",
            MissReason::Refused => "refused",
            MissReason::StoreFailed => "store_failed",
        }
    }
}
