#![doc = include_str!("../README.md")]

mod calibrate;
#[cfg(feature = "conformance")]
pub mod conformance;
mod document;
mod error;
mod fuzzy;
mod guard;
mod index;
mod limits;
mod mirror;
mod query;
mod search;
mod terms;
mod text;

pub use calibrate::{Calibration, CalibrationRow, Trial};
pub use document::{Document, Scope};
pub use error::Error;
pub use fuzzy::Fuzzy;
pub use guard::{Difference, Guard, WordLists};
#[cfg(feature = "redis")]
pub use index::RedisIndex;
pub use index::{Caught, Changes, Follower, Index, Laid, MemoryIndex, Page, Place, Searcher, StoreIndex};
pub use mirror::Mirror;
pub use query::{Found, Query};
pub use search::{AlikeStats, Match, Matches, Scores, Search, SearchCache, SearchStats, Searching};
pub use text::fold::fold;
pub use text::{Analyzer, Language};
