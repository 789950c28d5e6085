//! What generated code calls. Not part of the public interface: it changes without notice.

use crate::cache::Cache;
use crate::entry::Entry;
use crate::outcome::Value;

pub use crate::key::{KeyBuilder, TagBuilder};
pub use crate::load::load;
pub use crate::options::{Policy, Ttl};
pub use crate::outcome::{Fallible, Outcome, Plain, Shared, Split};
pub use crate::rules::{CallRules, EntryRules, NoCallRules, NoRules, Rules};
pub use crate::schema;
pub use crate::site::Site;
pub use crate::write::{When, Writes, write};

/// The entry of one call of a site: in the given cache, else in the scoped or the global one.
pub fn entry<V: Value>(site: &'static Site, cache: Option<&Cache>, key: KeyBuilder) -> Entry<V> {
    let cache = cache.cloned().unwrap_or_else(crate::registry::current);
    Entry::new(cache, Some(site), key.finish())
}
