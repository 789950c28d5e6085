//! Decoded values of a shared store, held in this process: when a value may be kept, and when it may be taken.
//!
//! A copy is right as long as nothing changed under its key and its tags. The store tells of that
//! ([`Tracking`](crate::store::Tracking)), and what this process changes itself takes effect here before it returns. Knows no
//! types of values, no codecs and no loads.

#[cfg(test)]
mod bounds;
pub(crate) mod follow;
#[cfg(test)]
mod orders;
pub(crate) mod tier;
