#![doc = include_str!("../README.md")]

mod admission;
mod answer;
mod body;
mod duration;
mod fill;
mod given;
mod handle;
mod http_cache;
mod key;
mod layers;
mod paths;
mod plan;
mod puts;
mod route;
mod rules;
mod seek;
mod service;
mod stats;
mod stored;
mod template;
mod uncacheable;
mod writes;
mod written;

pub use body::{BoxError, CacheBody};
pub use duration::IntoDuration;
pub use given::IntoStatus;
pub use handle::CacheHandle;
pub use http_cache::{Directives, HttpCache};
pub use key::{Host, Query, url_tag};
pub use puts::{PutLayer, PutService};
pub use route::CacheLayer;
pub use service::{CacheFuture, CacheService};
pub use stats::RouteStats;
pub use template::PathParams;
pub use writes::{EvictLayer, EvictService};
