//! Tokens to things with spans: the options of an attribute, the function that it is on, templates, lengths of time.
//!
//! Each file knows one piece of syntax. What the pieces mean together is for [`crate::check`].

pub(crate) mod attrs;
pub(crate) mod binding;
pub(crate) mod duration;
pub(crate) mod item;
pub(crate) mod options;
pub(crate) mod own;
pub(crate) mod template;
