//! The same under the lints that are off unless somebody asks for them.
//!
//! All of clippy's restrictions but those that contradict each other or concern how a project is laid out, and rustc's.
//! Each function here is without a finding where its attribute is taken away.

#![deny(clippy::restriction, clippy::nursery)]
#![allow(
    clippy::blanket_clippy_restriction_lints,
    clippy::arbitrary_source_item_ordering,
    clippy::missing_inline_in_public_items,
    clippy::needless_return,
    clippy::pub_with_shorthand,
    clippy::single_call_fn,
    clippy::impl_trait_in_params,
    clippy::multiple_inherent_impl,
    clippy::mod_module_files,
    clippy::exhaustive_structs,
    clippy::pattern_type_mismatch,
    clippy::arithmetic_side_effects,
    reason = "they contradict another lint, or find something in the plain functions too"
)]
#![deny(
    absolute_paths_not_starting_with_crate,
    explicit_outlives_requirements,
    let_underscore_drop,
    macro_use_extern_crate,
    meta_variable_misuse,
    missing_copy_implementations,
    missing_debug_implementations,
    redundant_imports,
    redundant_lifetimes,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unused_extern_crates,
    unused_import_braces,
    unused_lifetimes,
    unused_macro_rules,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]

use core::time::Duration;

use cachemacro::{cache_config, cache_evict, cache_put, cached};
use serde::{Deserialize, Serialize};

/// A row whose methods are cached: none of them has `unsafe` code.
#[derive(Debug, Clone, Hash, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// As written.
    name: String,
    /// How often.
    times: u32,
}

/// Changes a field of its argument before it reads it.
#[cached(key = "{row.times}")]
pub async fn field(mut row: Row) -> usize {
    row.name = String::from("changed");
    return row.name.len();
}

/// Changes the whole of it.
#[cached(key = "{times}")]
pub async fn whole(mut name: String, times: u32) -> String {
    name = format!("{name}{times}");
    return name;
}

/// Changes what a pattern binds.
#[cached(prefix = "part", key = "{kept}")]
pub async fn part((mut changed, kept): (Row, u32)) -> Row {
    changed.times = kept;
    return Row { name: String::new(), times: changed.times };
}

/// Changes it where a future is made.
#[cached(key = "{row.times}")]
pub fn future(mut row: Row) -> impl Future<Output = usize> + Send {
    row.name = String::from("changed");
    let length = row.name.len();
    return async move { return length };
}

/// Writes, and changes its argument.
#[cache_put(prefix = "part", key = "{kept}")]
pub async fn put_part(mut changed: Row, kept: u32) -> Row {
    changed.times = kept;
    return changed;
}

/// Under default keys.
#[cached(entry = default_entry)]
pub async fn default(first: u32, second: &str, third: Option<Vec<u8>>, (fourth, _): (u8, u8)) -> bool {
    return third.is_some() && second.len() == usize::from(fourth) && first == 0;
}

/// With closures whose parameters have the names of arguments, and rules that keep arguments.
#[cached(
    prefix = "closures",
    key = |name, (times, other), row| (name, times, &row.name, other),
    condition = !name.is_empty(),
    unless = result == &name,
    tags = |name, _, Row { name: label, .. }| [format!("{result}{name}"), label.clone()]
)]
pub async fn closures(name: String, pair: (u32, u8), row: Row) -> String {
    return format!("{name}{pair:?}{row:?}");
}

/// With templates that keep arguments.
///
/// # Errors
/// Never.
#[cached(key = "{name}", tags = ["all", "{name}:{result}"], ttl = "1s", none_ttl = "1s", cache_err)]
pub async fn remembered(name: String) -> Result<Option<usize>, String> {
    return Ok(Some(name.len()));
}

/// With an entry.
///
/// # Errors
/// Never.
#[cached(key = "{name}", tags = ["all", "of:{name}"], entry = kept_entry)]
pub async fn kept(name: &str) -> Result<Option<usize>, String> {
    return Ok(Some(name.len()));
}

/// Writes by entry, key and tag, before and after.
///
/// # Errors
/// Never.
#[cache_put(entry = kept_entry(name), condition = name.len() > 3, unless = *result == name.len())]
#[cache_evict(tags = |name| ["all".to_owned(), format!("{result}:{name}")])]
#[cache_evict(entry = default_entry(1, name, None, (2, 3)), entries = [kept_entry(&name)], before)]
#[cache_evict(prefix = "part", all)]
pub async fn write(name: String) -> Result<usize, String> {
    return Ok(name.len());
}

#[cache_config(prefix = "row", ttl = "1m")]
impl Row {
    /// Changes `self`.
    #[cached(key = "renamed:{self.times}")]
    pub async fn renamed(mut self) -> String {
        self.name = String::from("changed");
        return self.name;
    }

    /// Borrows `self`.
    #[cached(key = "length:{self.times}:{more}", entry = length_entry)]
    pub async fn length(&self, more: usize) -> usize {
        return self.name.len().saturating_add(more);
    }

    /// Writes.
    #[cache_put(entry = self.length_entry(more), unless = *result == more)]
    pub async fn put(&mut self, more: usize) -> usize {
        self.name.clear();
        return more;
    }
}

/// Options and body take the same arguments and fields.
#[cached(key = (row.name, name), tags = vec![name], ttl = ttl_of(name), condition = is_named(name), entry = taken_entry)]
pub async fn taken(row: Row, name: String) -> Row {
    drop(name);
    return row;
}

/// After the body too.
#[cached(key = |row, _| row.name, unless = is_named(name), tags = [format!("{}:{}", name, result.times), row.name])]
pub async fn taken_after(row: Row, name: String) -> Row {
    drop(name);
    return row;
}

/// Takes a name to tell how long.
fn ttl_of(name: String) -> Duration {
    let length = u64::try_from(name.len()).unwrap_or_default();
    drop(name);
    return Duration::from_secs(length);
}

/// Takes a name to see whether it is one.
fn is_named(name: String) -> bool {
    let is_named = !name.is_empty();
    drop(name);
    return is_named;
}

/// Generic, with a prefix.
#[cached(prefix = "generic", entry = generic_entry)]
pub async fn generic<K, const N: usize>(mut key: K, list: Vec<u8>) -> K
where
    K: cachemacro::Value + Default,
{
    if list.len() > N {
        key = K::default();
    }
    return key;
}

/// What finds rows, behind a trait whose futures are boxed.
#[async_trait::async_trait]
pub trait Find {
    /// Finds by its parts.
    async fn find(&self, by: (u32, String)) -> Option<Row>;

    /// Finds another.
    async fn other(&self, times: u32) -> Option<Row>;
}

#[async_trait::async_trait]
impl Find for Row {
    #[cached(prefix = "found", key = "{times}:{name}", unless = result.times == 0)]
    async fn find(&self, (times, mut name): (u32, String)) -> Option<Self> {
        name.push('!');
        return (self.times == times).then_some(Self { name, times });
    }

    #[cached(prefix = "other", key = "{times}", tags = ["rows", "row:{result.name}"])]
    async fn other(&self, mut times: u32) -> Option<Self> {
        times = times.saturating_add(1);
        return self.find((times, String::new())).await;
    }
}

/// A module that warns of nothing by itself.
pub mod within {
    #![deny(warnings)]

    /// Deeper.
    pub mod deeper {
        /// Defines a cached function and one that evicts it.
        macro_rules! cached_and_evicted {
            ($name:ident, $evict:ident, $entry:ident, $ty:ty) => {
                /// Cached by a macro.
                #[cachemacro::cached(entry = $entry)]
                pub async fn $name(id: $ty) -> $ty {
                    return id;
                }

                /// Evicted by a macro.
                #[cachemacro::cache_evict(entry = $entry(id))]
                pub async fn $evict(id: $ty) -> $ty {
                    return id;
                }
            };
        }

        cached_and_evicted!(number, evict_number, number_entry, u64);
        cached_and_evicted!(text, evict_text, text_entry, String);
    }
}
