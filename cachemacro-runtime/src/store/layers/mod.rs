//! Stores around a store.

pub(super) mod breaker;
#[cfg(any(test, feature = "test-util"))]
pub mod faults;

/// Methods of [`Store`](crate::store::Store) that do what those of another store do, for a store around it.
///
/// Takes the field that holds the other store, and the methods. They are passed on as they are, without a future of their own.
/// A provided method that is neither written nor named is made of the others.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use async_trait::async_trait;
/// use cachemacro::store::{Read, ReadRequest, Store, memory::MemoryStore, pass_on};
/// use cachemacro::{Cache, Result};
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
///
/// #[derive(Debug)]
/// struct Counted {
///     inner: Arc<dyn Store>,
///     reads: AtomicU64,
/// }
///
/// #[async_trait]
/// impl Store for Counted {
///     async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
///         self.reads.fetch_add(1, Ordering::Relaxed);
///         self.inner.read(request).await
///     }
///
///     pass_on!(self.inner: about, now, capture, lease, keep, write, evict, evict_prefix, health);
///     pass_on!(self.inner: time, connect, close, increment, changes, immediate, tracking, inspect, documents, raw_commands, streams,
///         queues, pool, refused, breaker, server, unreached);
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let store = Arc::new(Counted { inner: Arc::new(MemoryStore::new()), reads: AtomicU64::new(0) });
/// let cache = Cache::builder().store(store.clone()).build()?;
/// cache.get::<u32>("n", 1).await?;
/// assert_eq!(store.reads.load(Ordering::Relaxed), 1);
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! pass_on {
    ($self:ident.$inner:tt: $($method:ident),+ $(,)?) => {
        $($crate::__pass_on!($method $self $inner);)+
    };
}

/// One of them. The signatures are those that `async_trait` makes of the trait's.
#[doc(hidden)]
#[macro_export]
macro_rules! __pass_on {
    (about $self:ident $inner:tt) => {
        fn about(&$self) -> $crate::store::About {
            $self.$inner.about()
        }
    };
    (now $self:ident $inner:tt) => {
        fn now(&$self) -> $crate::Timestamp {
            $self.$inner.now()
        }
    };
    (read $self:ident $inner:tt) => {
        fn read<'a, 'b, 'z>(&'a $self, request: $crate::store::ReadRequest<'b>) -> $crate::store::Passed<'z, $crate::Result<$crate::store::Read>>
        where
            'a: 'z, 'b: 'z, Self: 'z,
        {
            $self.$inner.read(request)
        }
    };
    (capture $self:ident $inner:tt) => {
        fn capture<'a, 'b, 'z>(&'a $self, versions: &'b [$crate::store::VersionKey], life: ::core::time::Duration) -> $crate::store::Passed<'z, $crate::Result<::std::vec::Vec<$crate::store::Version>>>
        where
            'a: 'z, 'b: 'z, Self: 'z,
        {
            $self.$inner.capture(versions, life)
        }
    };
    (lease $self:ident $inner:tt) => {
        fn lease<'a, 'b, 'c, 'z>(&'a $self, requests: &'b [$crate::store::LeaseRequest<'c>]) -> $crate::store::Passed<'z, $crate::Result<::std::vec::Vec<$crate::store::Lease>>>
        where
            'a: 'z, 'b: 'z, 'c: 'z, Self: 'z,
        {
            $self.$inner.lease(requests)
        }
    };
    (keep $self:ident $inner:tt) => {
        fn keep<'a, 'b, 'c, 'z>(&'a $self, leases: &'b [$crate::store::HeldLease<'c>], how: $crate::store::Keep) -> $crate::store::Passed<'z, $crate::Result<::std::vec::Vec<bool>>>
        where
            'a: 'z, 'b: 'z, 'c: 'z, Self: 'z,
        {
            $self.$inner.keep(leases, how)
        }
    };
    (write $self:ident $inner:tt) => {
        fn write<'a, 'b, 'c, 'z>(&'a $self, writes: &'b [$crate::store::Write<'c>]) -> $crate::store::Passed<'z, $crate::Result<::std::vec::Vec<$crate::store::Written>>>
        where
            'a: 'z, 'b: 'z, 'c: 'z, Self: 'z,
        {
            $self.$inner.write(writes)
        }
    };
    (evict $self:ident $inner:tt) => {
        fn evict<'a, 'b, 'z>(&'a $self, request: $crate::store::EvictRequest<'b>) -> $crate::store::Passed<'z, $crate::Result<::std::vec::Vec<bool>>>
        where
            'a: 'z, 'b: 'z, Self: 'z,
        {
            $self.$inner.evict(request)
        }
    };
    (evict_prefix $self:ident $inner:tt) => {
        fn evict_prefix<'a, 'b, 'z>(&'a $self, prefix: &'b str) -> $crate::store::Passed<'z, $crate::Result<u64>>
        where
            'a: 'z, 'b: 'z, Self: 'z,
        {
            $self.$inner.evict_prefix(prefix)
        }
    };
    (health $self:ident $inner:tt) => {
        fn health<'a, 'z>(&'a $self) -> $crate::store::Passed<'z, $crate::Result<$crate::store::StoreHealth>>
        where
            'a: 'z, Self: 'z,
        {
            $self.$inner.health()
        }
    };
    (time $self:ident $inner:tt) => {
        fn time<'a, 'z>(&'a $self) -> $crate::store::Passed<'z, $crate::Result<$crate::Timestamp>>
        where
            'a: 'z, Self: 'z,
        {
            $self.$inner.time()
        }
    };
    (connect $self:ident $inner:tt) => {
        fn connect<'a, 'z>(&'a $self) -> $crate::store::Passed<'z, $crate::Result<()>>
        where
            'a: 'z, Self: 'z,
        {
            $self.$inner.connect()
        }
    };
    (increment $self:ident $inner:tt) => {
        fn increment<'a, 'b, 'z>(&'a $self, increment: $crate::store::Increment<'b>) -> $crate::store::Passed<'z, $crate::Result<$crate::store::IncrementOutcome>>
        where
            'a: 'z, 'b: 'z, Self: 'z,
        {
            $self.$inner.increment(increment)
        }
    };
    (close $self:ident $inner:tt) => {
        fn close<'a, 'z>(&'a $self) -> $crate::store::Passed<'z, ()>
        where
            'a: 'z, Self: 'z,
        {
            $self.$inner.close()
        }
    };
    (changes $self:ident $inner:tt) => {
        fn changes(&$self) -> ::core::option::Option<&dyn $crate::store::Changes> {
            $self.$inner.changes()
        }
    };
    (immediate $self:ident $inner:tt) => {
        fn immediate(&$self) -> ::core::option::Option<&dyn $crate::store::Immediate> {
            $self.$inner.immediate()
        }
    };
    (tracking $self:ident $inner:tt) => {
        fn tracking(&$self) -> ::core::option::Option<&dyn $crate::store::Tracking> {
            $self.$inner.tracking()
        }
    };
    (inspect $self:ident $inner:tt) => {
        fn inspect(&$self) -> ::core::option::Option<&dyn $crate::store::Inspect> {
            $self.$inner.inspect()
        }
    };
    (server $self:ident $inner:tt) => {
        fn server(&$self) -> ::core::option::Option<&$crate::store::Server> {
            $self.$inner.server()
        }
    };
    (documents $self:ident $inner:tt) => {
        fn documents(&$self) -> ::core::option::Option<&dyn $crate::store::Documents> {
            $self.$inner.documents()
        }
    };
    (raw_commands $self:ident $inner:tt) => {
        fn raw_commands(&$self) -> ::core::option::Option<&dyn $crate::store::RawCommands> {
            $self.$inner.raw_commands()
        }
    };
    (streams $self:ident $inner:tt) => {
        fn streams(&$self) -> ::core::option::Option<&dyn $crate::store::Streams> {
            $self.$inner.streams()
        }
    };
    (queues $self:ident $inner:tt) => {
        fn queues(&$self) -> ::core::option::Option<&dyn $crate::store::Queues> {
            $self.$inner.queues()
        }
    };
    (pool $self:ident $inner:tt) => {
        fn pool(&$self) -> ::core::option::Option<$crate::Pool> {
            $self.$inner.pool()
        }
    };
    (refused $self:ident $inner:tt) => {
        fn refused(&$self) -> ::std::vec::Vec<::std::string::String> {
            $self.$inner.refused()
        }
    };
    (unreached $self:ident $inner:tt) => {
        fn unreached(&$self, since: ::std::time::Instant) -> ::core::option::Option<$crate::Error> {
            $self.$inner.unreached(since)
        }
    };
    (breaker $self:ident $inner:tt) => {
        fn breaker(&$self) -> ::core::option::Option<&$crate::store::Breaker> {
            $self.$inner.breaker()
        }
    };
}

/// What a method gives that is passed on.
#[doc(hidden)]
pub type Passed<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
