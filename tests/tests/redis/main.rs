//! Real servers: the Redis store on one, processes that share one, and servers that fail, lose data or hold garbage.

mod breaker;
mod cancellation;
mod cluster;
mod conformance;
mod connections;
mod deadlines;
mod failovers;
mod faults;
mod harness;
mod healing;
mod http;
mod local;
mod messages;
mod misses;
mod outages;
mod processes;
mod refusals;
mod reports;
mod runtimes;
mod sentinel;
mod sizes;
mod soak;
mod startup;
mod store;
mod tls;
mod users;
