//! The layers that a cache of responses makes.

use crate::http_cache::HttpCache;
use crate::puts::PutLayer;
use crate::route::CacheLayer;
use crate::writes::EvictLayer;

impl HttpCache {
    /// The layer that answers a route from the cache.
    ///
    /// ```
    /// use axum::routing::{MethodRouter, get};
    ///
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let route: MethodRouter = get(async || "tea").layer(http.cache().ttl("5m").tags(["product:{id}"]));
    /// # drop(route);
    /// ```
    pub fn cache(&self) -> CacheLayer {
        CacheLayer::new(self.clone())
    }

    /// The layer of a shared cache in front of any upstream, by the words of its responses.
    ///
    /// ```
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.gateway();
    /// # drop(layer);
    /// ```
    pub fn gateway(&self) -> CacheLayer {
        CacheLayer::of_origin(self.clone())
    }

    /// The layer that evicts after a route has written.
    ///
    /// ```
    /// use axum::routing::{MethodRouter, delete};
    ///
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let route: MethodRouter = delete(async || "gone").layer(http.evict().tags(["product:{id}", "products"]));
    /// # drop(route);
    /// ```
    pub fn evict(&self) -> EvictLayer {
        EvictLayer::new(self.clone())
    }

    /// The layer that stores the response of a route that writes as that of the `GET` of its URL.
    ///
    /// ```
    /// use axum::routing::{MethodRouter, put};
    ///
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let route: MethodRouter = put(async || "tea").layer(http.put().ttl("5m").tags(["product:{id}"]));
    /// # drop(route);
    /// ```
    pub fn put(&self) -> PutLayer {
        PutLayer::new(self.clone())
    }
}
