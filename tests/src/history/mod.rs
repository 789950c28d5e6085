//! Histories: what several processes do at random with one cache and one database, and what is checked of it.
//!
//! The database is a server that no fault touches. It has one counter, the *clock*: every load and every evict takes its
//! next number, a *stamp*, when it begins. A value carries the stamp of its load. Once an evict is acknowledged, its stamp
//! becomes the *floor* of what it was about; a read notes the floor before it begins, and what it returns is stale (G1)
//! where its stamp is lower: its load began before that evict was called.
//!
//! `src/bin/history_worker` is one of the processes, [`Fleet`] is what a test holds, [`Report`] what it is told.

mod database;
mod fleet;
mod report;

use std::time::Duration;

pub use database::{Database, Kind, Row};
pub use fleet::{Fleet, Plan};
pub use report::{Counts, Incident, Report, Used, micros};

/// How long the local copies of readers are kept. What bounds their age as a rule is what is told.
pub const LOCAL: Duration = Duration::from_secs(30);
