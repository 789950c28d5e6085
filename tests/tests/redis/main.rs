//! Real servers: the Redis store on one, processes that share one, and servers that fail, lose data or hold garbage.

mod breaker;
mod conformance;
mod faults;
mod harness;
mod healing;
mod local;
mod misses;
mod outages;
mod processes;
mod refusals;
mod runtimes;
mod sizes;
mod soak;
mod store;
