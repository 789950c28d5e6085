//! What the integration tests share: real servers, a proxy that injects faults, worker processes, waiting, and
//! the suite that every store passes.
//!
//! Nothing here sleeps for luck: a test states a condition and a deadline ([`wait_until`]).

pub mod conformance;
pub mod proxy;
pub mod server;
pub mod wait;
pub mod worker;

pub use proxy::FaultProxy;
pub use server::RedisServer;
pub use wait::{DEADLINE, namespace, wait_until};
pub use worker::Worker;
