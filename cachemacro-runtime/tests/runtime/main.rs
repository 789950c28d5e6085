//! The runtime by itself: the bytes of entries, codecs, fingerprints of types, and the far ends of the direct API.

mod codecs;
mod described;
mod edges;
mod golden;
mod header;
mod schema;
