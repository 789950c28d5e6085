//! What the integration tests share: real servers, a proxy that injects faults, worker processes, waiting, and
//! the suite that every store passes.
//!
//! Nothing here sleeps for luck: a test states a condition and a deadline ([`wait_until`]).

pub mod attributes;
pub mod conformance;
pub mod dice;
pub mod halt;
pub mod log;
pub mod monitor;
pub mod programs;
pub mod proxy;
pub mod rig;
pub mod server;
pub mod strict;
pub mod unfenced;
pub mod wait;
pub mod worker;

pub use dice::Dice;
pub use log::Log;
pub use programs::{Program, without_settings};
pub use proxy::FaultProxy;
pub use rig::{LONG, Process, Rig};
pub use server::RedisServer;
pub use wait::{DEADLINE, namespace, wait_for, wait_until};
pub use worker::Worker;

/// The code blocks of the guide, compiled and run as doc tests. Those of the README are the facade's.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../docs/README.md")]
    mod index {}
    #[doc = include_str!("../../docs/keys.md")]
    mod keys {}
    #[doc = include_str!("../../docs/tags.md")]
    mod tags {}
    #[doc = include_str!("../../docs/consistency.md")]
    mod consistency {}
    #[doc = include_str!("../../docs/testing.md")]
    mod testing {}
    #[doc = include_str!("../../docs/operations.md")]
    mod operations {}
    #[doc = include_str!("../../docs/migrating.md")]
    mod migrating {}
}
