//! An entry's bytes: header, stamps, codecs, schema fingerprints. Nothing here moves them.

pub(crate) mod canonical;
pub mod codec;
pub(crate) mod companion;
pub mod header;
pub(crate) mod ids;
pub(crate) mod lent;
pub(crate) mod payload;
pub mod schema;
#[cfg(feature = "sealed")]
pub(crate) mod seal;
pub(crate) mod stamps;
