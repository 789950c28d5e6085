//! What the integration tests share: real servers, a proxy that injects faults, worker processes, and waiting.
//!
//! Nothing here sleeps for luck: a test states a condition and a deadline ([`wait_until`]).

pub mod aging;
pub mod attributes;
pub mod authority;
pub mod broken;
pub mod clusters;
pub mod dice;
pub mod halt;
pub mod history;
pub mod log;
pub mod long;
pub mod monitor;
pub mod programs;
pub mod proxy;
pub mod rig;
pub mod schedule;
pub mod sentinels;
pub mod server;
pub mod single;
pub mod strict;
pub mod wait;
pub mod worker;

pub use dice::Dice;
pub use log::Log;
pub use long::{is_long, rounds};
pub use programs::{Program, without_settings};
pub use proxy::FaultProxy;
pub use rig::{LONG, Process, Rig};
pub use server::RedisServer;
pub use single::Single;
pub use wait::{DEADLINE, namespace, wait_for, wait_until};
pub use worker::Worker;

/// The code blocks of the guide, compiled and run as doc tests. Those of the README are the facade's.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../docs/README.md")]
    mod index {}
    #[doc = include_str!("../../docs/attributes.md")]
    mod attributes {}
    #[doc = include_str!("../../docs/keys.md")]
    mod keys {}
    #[doc = include_str!("../../docs/tags.md")]
    mod tags {}
    #[doc = include_str!("../../docs/sync.md")]
    mod sync {}
    #[doc = include_str!("../../docs/freshness.md")]
    mod freshness {}
    #[doc = include_str!("../../docs/direct.md")]
    mod direct {}
    #[doc = include_str!("../../docs/http.md")]
    mod http {}
    #[doc = include_str!("../../docs/database.md")]
    mod database {}
    #[doc = include_str!("../../docs/search.md")]
    mod search {}
    #[doc = include_str!("../../docs/similar.md")]
    mod similar {}
    #[doc = include_str!("../../docs/testing.md")]
    mod testing {}
    #[doc = include_str!("../../docs/migrating.md")]
    mod migrating {}
    #[doc = include_str!("../../docs/comparison.md")]
    mod comparison {}
    #[doc = include_str!("../../docs/events.md")]
    mod events {}
    #[doc = include_str!("../../docs/write-behind.md")]
    mod write_behind {}
    #[doc = include_str!("../../docs/local.md")]
    mod local {}
    #[doc = include_str!("../../docs/benchmarks.md")]
    mod benchmarks {}
    #[doc = include_str!("../../docs/configuration.md")]
    mod configuration {}
    #[doc = include_str!("../../docs/providers.md")]
    mod providers {}
    #[doc = include_str!("../../docs/cluster.md")]
    mod cluster {}
    #[doc = include_str!("../../docs/sealed.md")]
    mod sealed {}
    #[doc = include_str!("../../docs/operations.md")]
    mod operations {}
    #[doc = include_str!("../../docs/cli.md")]
    mod cli {}
    #[doc = include_str!("../../docs/stores.md")]
    mod stores {}
    #[doc = include_str!("../../docs/codecs.md")]
    mod codecs {}
    #[doc = include_str!("../../docs/consistency.md")]
    mod consistency {}
}

/// `async unsafe fn`. Unsafe code is forbidden in this workspace; a doc test is a crate of its own.
///
/// ```
/// use cachemacro::{Cache, cache_evict, cache_put, cached};
///
/// #[cached(prefix = "byte", key = "{address}", entry = byte_entry)]
/// async unsafe fn byte(address: usize) -> Option<u8> {
///     Some(u8::try_from(address).unwrap_or(u8::MAX))
/// }
///
/// #[cache_put(entry = byte_entry(address))]
/// async unsafe fn write(address: usize, byte: u8) -> Result<Option<u8>, String> {
///     if address == 0 { Err("null".to_owned()) } else { Ok(Some(byte)) }
/// }
///
/// #[cache_evict(entry = byte_entry(address), tags = ["bytes:{result}"])]
/// async unsafe fn free(address: usize) -> usize {
///     address
/// }
///
/// struct Memory(Cache);
///
/// impl Memory {
///     #[cache_put(prefix = "byte", key = "{address}", cache = self.0)]
///     #[cache_evict(tags = ["bytes:{address}"], cache = self.0, before)]
///     async unsafe fn clear(&self, address: usize) -> u8 {
///         let _ = address;
///         0
///     }
/// }
///
/// fn assert_send<T: Send>(value: T) -> T {
///     value
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::memory();
/// cache.clone().scope(async {
///     assert_eq!(assert_send(unsafe { byte(7) }).await, Some(7));
///     assert_eq!(assert_send(unsafe { write(7, 9) }).await, Ok(Some(9)));
///     assert_eq!(unsafe { byte(7) }.await, Some(9), "written through");
///     assert!(unsafe { write(0, 9) }.await.is_err());
///     let memory = Memory(cache);
///     assert_eq!(unsafe { memory.clear(7) }.await, 0);
///     assert_eq!(byte_entry(7).get().await?, Some(0));
///     assert_eq!(assert_send(unsafe { free(7) }).await, 7);
///     assert_eq!(byte_entry(7).get().await?, None, "evicted");
///     Ok(())
/// })
/// .await
/// # }
/// ```
///
/// They stay unsafe to call:
///
/// ```compile_fail,E0133
/// #[cachemacro::cache_put(prefix = "byte", key = "{address}")]
/// async unsafe fn write(address: usize) -> u8 {
///     u8::try_from(address).unwrap_or(u8::MAX)
/// }
///
/// fn forgot() {
///     drop(write(7));
/// }
/// ```
#[cfg(doctest)]
mod unsafe_functions {}
