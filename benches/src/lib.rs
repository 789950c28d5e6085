//! What the programs of this package share. `compare` asks the [`questions`], keeps their [`answer`]s as JSON, and makes
//! the [`page`] from them; the [`peers`] are what cachemacro is compared with.

pub mod answer;
pub mod ground;
pub mod page;
pub mod peers;
pub mod questions;
pub mod run;
