//! The attributes of [cachemacro](https://docs.rs/cachemacro).

mod check;
mod config;
mod duration;
mod errors;
mod expand;
mod item;
mod mentions;
mod model;
mod options;
mod recover;
mod schema;
mod template;
mod values;

use proc_macro::TokenStream;

use crate::options::Macro;

/// Puts a cache in front of a function.
#[proc_macro_attribute]
pub fn cached(options: TokenStream, item: TokenStream) -> TokenStream {
    recover::expand(Macro::Cached, options.into(), item.into()).into()
}

/// Writes what a function returns to the cache.
#[proc_macro_attribute]
pub fn cache_put(options: TokenStream, item: TokenStream) -> TokenStream {
    recover::expand(Macro::Put, options.into(), item.into()).into()
}

/// Evicts from the cache when a function succeeded.
#[proc_macro_attribute]
pub fn cache_evict(options: TokenStream, item: TokenStream) -> TokenStream {
    recover::expand(Macro::Evict, options.into(), item.into()).into()
}

/// Sets defaults for the attributes inside an `impl` or trait.
#[proc_macro_attribute]
pub fn cache_config(options: TokenStream, item: TokenStream) -> TokenStream {
    config::rewrite(options.into(), item.into()).into()
}

/// Describes the shape of a type whose `Deserialize` cannot be walked through, so that entries written by an older or newer
/// version of it are misses: types with `#[serde(flatten)]`, `#[serde(tag = …)]` or `#[serde(untagged)]`.
///
/// Names, order and types of fields and variants count, and the `#[serde(…)]` attributes as they stand. Fields that serde
/// skips do not. What functions named in `#[serde(with = …)]` read is not seen: raise the site's `version` where they
/// change. Type parameters must be `CacheSchema` themselves. Fields whose types have no `CacheSchema` are walked.
///
/// `#[cachemacro(crate = path)]` names the facade where it is not `::cachemacro`.
///
/// The example is at `cachemacro::CacheSchema`, where it runs.
#[proc_macro_derive(CacheSchema, attributes(cachemacro))]
pub fn cache_schema(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    schema::derive(input.into()).into()
}
