//! What values become, and how much room they take.

use std::time::Duration;

use super::CacheBuilder;
#[cfg(feature = "sealed")]
use crate::engine::sealing::Sealing;
use crate::format::codec::BuiltinCodec;
use crate::policy::verify::Verify;

impl CacheBuilder {
    /// How values become bytes where their site does not say. Default: bincode.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{BuiltinCodec, Cache};
    ///
    /// let cache = Cache::builder().memory().codec(BuiltinCodec::Json).build()?;
    /// let user = cache.entry::<String>("user", 7);
    /// user.set(&"Ada".to_owned()).await?;
    /// assert_eq!(user.meta().await?.map(|meta| meta.size), Some(r#""Ada""#.len()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn codec(mut self, codec: BuiltinCodec) -> Self {
        self.settings.codec = codec;
        self
    }

    /// The largest encoded value that is stored, in bytes; larger ones are returned and counted. Default: 1 MiB.
    /// At most 256 MiB.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, ErrorKind};
    ///
    /// let cache = Cache::builder().memory().max_value(1000).build()?;
    /// let error = cache.set("text", 1, &"x".repeat(2000)).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TooLarge);
    /// let text = cache.get_or_load("text", 2, async || "x".repeat(2000)).await;
    /// assert_eq!((text.len(), cache.stats().total.too_large), (2000, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.settings.max_value = bytes;
        self
    }

    /// Compresses encoded values of more than `bytes` bytes with LZ4. Default: never.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    ///
    /// let cache = Cache::builder().memory().compress_over(512).build()?;
    /// let text = cache.entry::<String>("text", 1);
    /// text.set(&"x".repeat(2000)).await?;
    /// assert!(text.meta().await?.is_some_and(|meta| meta.size < 100), "bytes as stored");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "lz4")]
    pub fn compress_over(mut self, bytes: usize) -> Self {
        self.settings.compress_over = Some(bytes);
        self
    }

    /// Seals entries: the server learns neither their values nor, behind the prefix, their keys. Default: none is sealed.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, Sealing};
    ///
    /// let sealing = Sealing::new(&[1; 32], 1, &[2; 32]).only(["session"]);
    /// let cache = Cache::builder().memory().sealed(sealing).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[cfg(feature = "sealed")]
    pub fn sealed(mut self, sealing: Sealing) -> Self {
        self.settings.seals.sealing = Some(sealing.into());
        self
    }

    /// How many bytes the in-memory store may hold; without effect on others. Default: 64 MiB.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    ///
    /// let cache = Cache::builder().memory().capacity(16 << 10).build()?;
    /// for page in 0..100 {
    ///     cache.set("page", page, &"x".repeat(1000)).await?;
    /// }
    /// assert!(!cache.has::<String>("page", 0).await?, "dropped to make room");
    /// assert!(cache.has::<String>("page", 99).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// How long decoded values are kept in this process and taken without asking the store, at sites that say nothing else (`local`
    /// of the attribute, [`Policy::local`](crate::Policy#structfield.local)); zero: not at all, which is the default. What an evict elsewhere
    /// removed may be read here until this process is told of it: see
    /// [the guide](https://github.com/cachemacro/cachemacro/blob/main/docs/local.md). A store in memory does so in any case,
    /// and exactly.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use std::time::Duration;
    ///
    /// let cache = cachemacro::Cache::builder().memory().local(Duration::from_secs(10)).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn local(mut self, ttl: Duration) -> Self {
        self.settings.local = Some(ttl);
        self
    }

    /// How many bytes [local copies](Self::local) may weigh in this process, and as many the values of sync functions: keys and about 230
    /// bytes of overhead for each included; 64 MiB by default. A value counts with its own size; what it holds elsewhere, as a `Vec`
    /// does, is not seen. Where they weigh more, those that were not used for long go. Caches on one namespace of one server share
    /// their copies, with capacity, greatest value and clock of the one that was built first.
    ///
    /// ```
    /// # mod cachemacro {
    /// #     pub use cachemacro_derive::cached;
    /// #     pub use cachemacro_runtime::*;
    /// # }
    /// use cachemacro::{Cache, cached};
    ///
    /// #[cached(crate = cachemacro)]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// let cache = Cache::builder().memory().local_capacity(64 << 10).build()?;
    /// cache.scope_sync(|| (0..10_000).for_each(|n| assert_eq!(square(n), n * n)));
    /// assert!(cache.stats().local.bytes <= 64 << 10);
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn local_capacity(mut self, bytes: usize) -> Self {
        self.settings.local_capacity = bytes;
        self
    }

    /// How many bytes an entry may have in the store, its header included, for a [local copy](Self::local) of it to be kept in this
    /// process; a sixty-fourth of [`local_capacity`](Self::local_capacity) by default. Larger values are read from the store by each call.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use std::time::Duration;
    ///
    /// let cache = cachemacro::Cache::builder().memory().local(Duration::from_secs(10)).local_max_value(16 << 10).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn local_max_value(mut self, bytes: usize) -> Self {
        self.settings.local_max_value = Some(bytes);
        self
    }

    /// Of how many hits it is seen whether they are what their functions return now, at sites that say nothing else. Default: of none.
    /// The function is run beside such a hit, whose caller waits for it; see [`Verify`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, Verify};
    ///
    /// let cache = Cache::builder().memory().verify(Verify::millionths(1_000)).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn verify(mut self, verify: Verify) -> Self {
        self.settings.verify = Some(verify);
        self
    }

    /// Whether it is sampled which keys of each function are asked for most: the key of one hit in 1,024 is counted, as a hash, for
    /// [reports](crate::report::SiteReport#structfield.hot) and `cachemacro top --by hot`. Default: not.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let cache = cachemacro::Cache::builder().memory().hot_keys(true).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn hot_keys(mut self, hot_keys: bool) -> Self {
        self.settings.hot_keys = hot_keys;
        self
    }
}
