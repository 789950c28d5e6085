//! What needs no syntax: which names some tokens mention, tokens as text, and the list of mistakes.

pub(crate) mod code;
pub(crate) mod errors;
pub(crate) mod mentions;
