//! What needs no syntax: which names some tokens mention, and the list of mistakes.

pub(crate) mod errors;
pub(crate) mod mentions;
