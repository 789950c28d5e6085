//! What is asked. Each question is a file; each of its parts runs in a process of its own.

mod check;
mod cold;
mod counts;
mod fleet;
mod growth;
mod http_hit;
mod local_hit;
mod memory_hit;
mod miss;
mod redis_hit;
mod seen;
mod service;
mod size;
mod trips;

pub use counts::counted_by;
pub use fleet::call;
pub use seen::watch;

use crate::answer::Table;
use crate::ground::pin::Setting;
use crate::ground::rounds::Effort;

/// One question.
#[derive(Debug)]
pub struct Question {
    /// On the command line, and of its file.
    pub name: &'static str,
    /// On the page.
    pub title: &'static str,
    /// How it is asked, for the page.
    pub method: &'static str,
    /// Its parts.
    pub parts: &'static [Part],
}

/// A part of a question.
#[derive(Debug)]
pub struct Part {
    /// Where client and server run.
    pub setting: Setting,
    /// Whether it counts what is allocated, which the program `count` does.
    pub counts: bool,
    /// Asks it. Tables of the same title become one.
    pub ask: fn(Setting, Effort) -> Vec<Table>,
}

/// All of them, as they come on the page.
pub static ALL: [Question; 14] = [
    redis_hit::QUESTION,
    memory_hit::QUESTION,
    local_hit::QUESTION,
    seen::QUESTION,
    http_hit::QUESTION,
    miss::QUESTION,
    trips::QUESTION,
    cold::QUESTION,
    fleet::QUESTION,
    growth::QUESTION,
    size::QUESTION,
    counts::QUESTION,
    service::QUESTION,
    check::QUESTION,
];

/// The question of this name.
pub fn named(name: &str) -> Option<&'static Question> {
    ALL.iter().find(|question| question.name == name)
}
