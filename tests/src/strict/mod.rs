//! No lint fires at what the attributes generate: this module denies, and [`forbidden`] forbids, what the strictest
//! users do. Clippy, run with the workspace, is the test.

#![deny(
    warnings,
    clippy::all,
    clippy::pedantic,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused,
    rust_2018_idioms,
    unused_qualifications,
    trivial_casts,
    trivial_numeric_casts,
    let_underscore_drop,
    unused_lifetimes
)]

pub mod forbidden;
pub mod restricted;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cachemacro::{Cache, cache_config, cache_evict, cache_put, cached};
use serde::{Deserialize, Serialize};

/// A user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Who.
    pub id: u64,
    /// Where.
    pub org: u32,
    /// As written.
    pub name: String,
}

/// What can go wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure;

impl From<cachemacro::Error> for Failure {
    fn from(_: cachemacro::Error) -> Self {
        Self
    }
}

/// Plain.
///
/// # Errors
/// Never.
#[cached]
pub async fn plain(id: u64) -> Result<Option<User>, Failure> {
    Ok(Some(User { id, org: 1, name: String::new() }))
}

/// Everything at once.
///
/// # Errors
/// Never.
#[cached(
    prefix = "user",
    key = "{org}:{id}:{names:?}",
    ttl = "5m",
    tags = ["users", "org:{org}"],
    condition = id > 0,
    unless = result.name.is_empty(),
    none_ttl = "1s",
    cache_err,
    jitter = "5%",
    wait = "1s",
    lease_limit = "10s",
    version = 2,
    codec = cachemacro::codec::Json,
    entry = user_entry
)]
pub async fn user(org: u32, id: u64, names: &[String]) -> Result<Option<User>, Failure> {
    Ok(names.first().map(|name| User { id, org, name: name.clone() }))
}

/// Closures.
#[cached(
    prefix = "closures",
    key = |first, _, third| (first, third.len()),
    unless = *result > limit,
    ttl = Duration::from_secs(*result as u64),
    tags = ["length:{result}", "first:{first}"]
)]
pub async fn closures(first: String, limit: usize, third: Vec<u8>) -> usize {
    first.len() + limit + third.len()
}

/// Rules that an entry carries.
#[cached(unless = result.is_empty(), ttl = Duration::from_secs(1), tags = [result.clone()], entry = ruled_entry)]
pub async fn ruled(id: &str, suffix: Cow<'_, str>) -> String {
    format!("{id}{suffix}")
}

/// Generic.
#[cached(entry = generic_entry)]
pub async fn generic<T, const N: usize>(
    value: &T,
    list: &[u8],
    shown: impl Into<String> + Serialize,
) -> Option<T>
where
    T: cachemacro::Value,
{
    let text: String = shown.into();
    (list.len() == text.len() + N).then(|| value.clone())
}

/// Patterns.
#[cached(entry = patterns_entry)]
pub async fn patterns((a, b): (u32, u32), mut c: u32, _: &str, User { id, .. }: User) -> u64 {
    c += a + b;
    u64::from(c) + id
}

/// Lazy.
#[cached(key = "{id}", entry = lazy_entry)]
pub fn lazy(id: u64) -> impl Future<Output = u64> + Send {
    async move { id }
}

/// Lazy, with something before.
#[cached]
pub fn prepared(name: String) -> impl Future<Output = usize> + Send {
    let length = name.len();
    async move { length }
}

/// Not for everyone.
#[cached(key = (first, second), entry = pub(crate) tuple_entry)]
#[must_use]
pub async fn tuple(first: String, second: Option<u8>) -> usize {
    first.len() + second.map_or(0, usize::from)
}

/// A body that begins with items.
#[cached(key = "{id}")]
pub async fn items(id: u64) -> u64 {
    use std::collections::BTreeSet;

    const MOST: u64 = 7;
    #[derive(Debug)]
    struct Held(u64);
    fn inner(id: u64) -> Held {
        Held(id.min(MOST))
    }

    BTreeSet::from([inner(id).0]).len() as u64
}

/// The same, later.
#[cached]
pub fn later_items(id: u64) -> impl Future<Output = u64> + Send {
    async move {
        const MOST: u64 = 7;
        id.min(MOST)
    }
}

/// Arguments that the key uses and the body does not, under a default key.
#[cached(entry = unused_entry)]
pub async fn unused(_id: u64, (_a, b): (u8, u8), _type: &str, _0: bool) -> u8 {
    b
}

/// In a template, and where another argument has the name.
#[cached(key = "{_id}:{_names:?}:{id}", tags = ["id:{_id}"], condition = _id > 0, entry = unused_template_entry)]
pub async fn unused_template(_id: u64, _names: &[String], id: u8) -> u8 {
    id
}

/// In closures and expressions.
#[cached(prefix = "unused", key = (_first, _second), ttl = Duration::from_secs(_first), entry = pub unused_tuple_entry)]
pub async fn unused_tuple(_first: u64, _second: String, User { id: _id, .. }: User) -> u8 {
    7
}

/// In writes.
#[cache_put(prefix = "unused", key = "{_id}", tags = ["{_name}:{result}"])]
#[cache_evict(tags = ["{_name}", "{_id}:{result}"], entry = unused_entry(_id, (0, 0), _name, false))]
pub async fn unused_write(_id: u64, _name: String) -> u8 {
    7
}

/// Puts.
///
/// # Errors
/// Never.
#[cache_put(entry = user_entry(org, id, names), condition = id > 0, unless = result.name == forbidden, on_err = "evict")]
#[cache_put(prefix = "by-name", key = "{result.name}")]
#[cache_put(prefix = "by-id", key = "{id}", ttl = "1m", tags = ["users", "name:{result.name}"])]
#[cache_evict(tags = ["lists", "{org}:{result.id}"], entry = tuple_entry(forbidden, None), on_evict_error = "return")]
pub async fn rename(org: u32, id: u64, names: &[String], forbidden: String) -> Result<User, Failure> {
    Ok(User { id, org, name: names.concat() + &forbidden })
}

/// Evicts.
#[cache_evict(prefix = "user", all, before, tags = [format!("org:{org}")], entries = ids.iter().map(lazy_entry))]
pub async fn delete(org: u32, ids: Vec<u64>) {
    drop((org, ids));
}

/// Has more arguments than usual.
#[expect(clippy::too_many_arguments, clippy::many_single_char_names, reason = "its entry has as many")]
#[cached(prefix = "many", entry = many_entry)]
pub async fn many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> u8 {
    a + b + c + d + e + f + g + h
}

/// Is deprecated, which its entry is not.
#[deprecated]
#[cached(prefix = "old", entry = old_entry)]
pub async fn old(id: u8) -> u8 {
    id
}

/// Evicts what is cached still.
#[cache_evict(entry = many_entry(id, 2, 3, 4, 5, 6, 7, 8))]
#[cache_evict(entry = old_entry(id))]
pub async fn evict_many(id: u8) {
    let _ = id;
}

/// Holds a cache.
#[derive(Debug)]
pub struct Service {
    cache: Cache,
    tenant: Arc<str>,
}

#[cache_config(cache = self.cache, prefix = "service", ttl = "1m")]
impl Service {
    /// Shared.
    #[cached(key = "shared:{self.tenant}:{id}", entry = shared_entry)]
    pub async fn shared(&self, id: u64) -> u64 {
        id
    }

    /// Exclusive.
    #[cached(key = "exclusive:{self.tenant}")]
    pub async fn exclusive(&mut self) -> usize {
        self.tenant.len()
    }

    /// Counted.
    #[cached(key = "counted:{name}")]
    pub async fn counted(self: Arc<Self>, name: String) -> usize {
        self.tenant.len() + name.len()
    }

    /// Without `self`.
    #[cached(prefix = "none", cache = cache, key = "{id}", entry = none_entry)]
    pub async fn none(cache: &Cache, id: u64) -> u64 {
        let _ = cache;
        id
    }

    /// Puts.
    #[cache_put(entry = self.shared_entry(id))]
    #[cache_evict(tags = ["{self.tenant}:{result}"])]
    pub async fn put(&self, id: u64) -> u64 {
        id
    }
}

/// A trait of boxed futures.
#[async_trait]
pub trait Source: Send + Sync {
    /// Required.
    async fn find(&self, pair: (u64, u64), name: &str) -> Option<u64>;

    /// Provided.
    #[cached(key = "{id}")]
    async fn provided(&self, id: u64) -> u64 {
        id
    }
}

#[cache_config(cache = self.cache)]
#[async_trait]
impl Source for Service {
    #[cached(key = "{a}:{b}:{name}", entry = pub find_entry)]
    async fn find(&self, (a, b): (u64, u64), name: &str) -> Option<u64> {
        Some(a + b + name.len() as u64)
    }
}
