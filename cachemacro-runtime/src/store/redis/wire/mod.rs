//! A connection that speaks Redis' protocol by itself, for what has to be fast: shared by all tasks, none of which waits for
//! another's reply.
//!
//! Knows no store, no script, and no entry.

mod alarm;
mod answer;
mod asked;
mod by_slot;
mod driver;
mod failure;
mod frame;
mod handle;
mod open;
mod outbox;
mod queue;
mod reads;
#[cfg(test)]
mod tests;

pub(super) use self::asked::{Asked, Doubtful};
pub(super) use self::failure::{Broken, Cause, LastWords, Told, Unread};
pub(super) use self::frame::{Packed, Reply};
pub(super) use self::handle::{MOST_READ, Wire};
pub(super) use self::open::{Unopened, open};
pub(super) use self::reads::Found;
