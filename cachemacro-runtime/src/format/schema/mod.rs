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

mod describe;
mod fingerprint;
mod layout;
mod position;
mod probe;
mod samples;
mod shape;
mod silence;
mod tracer;
mod walk;
mod words;

pub(crate) use describe::described_and_laid_out;
pub use describe::{CacheSchema, Schema, described};
pub use fingerprint::Fingerprint;
pub use layout::{Layout, LayoutPart};
#[doc(hidden)]
pub use probe::{FieldDerived, FieldOpaque, FieldTraced, Probe};
pub use walk::fingerprint_of;
