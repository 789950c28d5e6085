//! Who logs in at a server, and how connections to it are encrypted.

use super::CacheBuilder;
use crate::ground::error::Result;
use crate::store::redis::Credentials;
#[cfg(feature = "tls")]
use crate::store::redis::TlsConfig;

impl CacheBuilder {
    /// Has `provider` asked who logs in at [`redis`](Self::redis), at each connection that is opened: for passwords that change and tokens
    /// that expire. Its time is part of the [`connect_timeout`](Self::connect_timeout), so a token that is slow to get is kept by its
    /// provider. Without effect on other stores. Default: what the URL says.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, store::redis::Credentials};
    ///
    /// async fn token() -> cachemacro::Result<Credentials> {
    ///     Ok(Credentials::new("shop", "a token of now"))
    /// }
    ///
    /// let cache = Cache::builder().redis("redis://cache.internal").credentials(token).namespace("shop").build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn credentials<F, G>(mut self, provider: F) -> Self
    where
        F: Fn() -> G + Send + Sync + 'static,
        G: Future<Output = Result<Credentials>> + Send + 'static,
    {
        self.redis.config = self.redis.config.credentials(provider);
        self
    }

    /// How a `rediss://` URL of [`redis`](Self::redis) proves who is who; needs the feature `tls`. Without effect on other stores. Default: what
    /// the URL says, else the platform's CAs.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, store::redis::TlsConfig};
    ///
    /// let redis = Cache::builder().redis("rediss://10.0.0.7").namespace("shop");
    /// assert!(redis.tls(TlsConfig::new().insecure()).build().is_ok());
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.redis.config = self.redis.config.tls(tls);
        self
    }
}
