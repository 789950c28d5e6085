//! Settings, from code and from the environment, checked before anything is opened.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::codec::BuiltinCodec;
use crate::error::{Error, ErrorKind, Result};
use crate::key::escape;
use crate::options::{DEFAULT_WAIT, Ttl};
use crate::store::Store;
use crate::store::memory::{DEFAULT_CAPACITY, MemoryStore};
#[cfg(feature = "redis")]
use crate::store::redis::{RedisConfig, RedisStore};

/// What a [`Cache`] is told when it is built.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Escaped; empty: none.
    pub(crate) namespace: String,
    pub(crate) ttl: Ttl,
    pub(crate) jitter: u8,
    pub(crate) wait: Duration,
    pub(crate) deadline: Duration,
    pub(crate) lease: Duration,
    pub(crate) codec: BuiltinCodec,
    pub(crate) max_value: usize,
    #[cfg_attr(not(feature = "compression"), expect(dead_code, reason = "used where values are compressed"))]
    pub(crate) compress_over: Option<usize>,
    pub(crate) disabled: bool,
    /// There is no telling which store others use, so no evict can reach it.
    pub(crate) astray: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: String::new(),
            ttl: Ttl::For(Duration::from_mins(5)),
            jitter: 0,
            wait: DEFAULT_WAIT,
            deadline: Duration::from_mins(1),
            lease: Duration::from_secs(3),
            codec: BuiltinCodec::default(),
            max_value: 1 << 20,
            compress_over: None,
            disabled: false,
            astray: false,
        }
    }
}

/// Which store a cache uses.
#[derive(Clone)]
enum Choice {
    /// Redis where a URL is known, else memory.
    Auto,
    Memory,
    #[cfg(feature = "redis")]
    Redis,
    Given(Arc<dyn Store>),
}

/// Builds a [`Cache`]. Setters take any value; [`build`](Self::build) checks them.
///
/// ```
/// use cachemacro_runtime::Cache;
/// use std::time::Duration;
///
/// let cache = Cache::builder()
///     .memory()
///     .namespace("shop")
///     .ttl(Duration::from_secs(60))
///     .jitter(10)
///     .build()?;
/// # Ok::<(), cachemacro_runtime::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct CacheBuilder {
    settings: Settings,
    choice: Choice,
    capacity: usize,
    clock: Clock,
    #[cfg(feature = "redis")]
    redis: RedisSettings,
}

#[cfg(feature = "redis")]
#[derive(Clone, Default)]
struct RedisSettings {
    url: Option<String>,
    /// The variable that gave it.
    url_from: Option<&'static str>,
    connect_timeout: Option<Duration>,
    command_timeout: Option<Duration>,
    pool_wait: Option<Duration>,
    pool_size: Option<usize>,
}

impl fmt::Debug for CacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Default for CacheBuilder {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            choice: Choice::Auto,
            capacity: DEFAULT_CAPACITY,
            clock: Clock::system(),
            #[cfg(feature = "redis")]
            redis: RedisSettings::default(),
        }
    }
}

impl CacheBuilder {
    /// Keeps entries in this process.
    pub fn memory(mut self) -> Self {
        self.choice = Choice::Memory;
        self
    }

    /// Keeps entries in the Redis or Valkey at `url`: `redis://[user[:password]@]host[:port][/db]`.
    #[cfg(feature = "redis")]
    pub fn redis(mut self, url: impl Into<String>) -> Self {
        self.choice = Choice::Redis;
        self.redis.url = Some(url.into());
        self.redis.url_from = None;
        self
    }

    /// Keeps entries in a store of your own, or in one that injects faults.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.choice = Choice::Given(store);
        self
    }

    /// What separates this application's entries from those of others in the same server. Default: nothing.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.settings.namespace = escape(namespace);
        self
    }

    /// How long values stay fresh where their site does not say. Default: 5 minutes.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.settings.ttl = ttl.into();
        self
    }

    /// By how many percent of themselves TTLs are spread, up and down, 0 to 100. Default: 0.
    pub fn jitter(mut self, percent: u8) -> Self {
        self.settings.jitter = percent;
        self
    }

    /// How long calls wait for another caller's load before one of them loads for all, without storing. A load in this
    /// process that takes longer gets one more beside it then, the next after twice as long, and so on. Zero: other
    /// processes' loads are not waited for; those of this process are, for 10 seconds. Default: 10 seconds.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.settings.wait = wait;
        self
    }

    /// How long a load may keep its lease. It is not ended then, but others may load, and its value may not be stored.
    /// Default: 60 seconds.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// How long a lease lives unless it is renewed, which happens three times in that span while the load is
    /// polled. Default: 3 seconds. Shorter: a loader that died is replaced sooner, and more renewals are sent.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// How values become bytes where their site does not say. Default: bincode.
    pub fn codec(mut self, codec: BuiltinCodec) -> Self {
        self.settings.codec = codec;
        self
    }

    /// The largest encoded value that is stored, in bytes; larger ones are returned and counted. Default: 1 MiB.
    /// At most 256 MiB.
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.settings.max_value = bytes;
        self
    }

    /// Compresses encoded values over so many bytes with LZ4. Default: never.
    #[cfg(feature = "compression")]
    pub fn compress_over(mut self, bytes: usize) -> Self {
        self.settings.compress_over = Some(bytes);
        self
    }

    /// How many bytes the in-memory store may hold. Default: 64 MiB.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// The clock of the in-memory store, for tests that move it.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How long connecting may take. Default: 1 second.
    #[cfg(feature = "redis")]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.redis.connect_timeout = Some(timeout);
        self
    }

    /// How long the server may take to answer one command. Default: 250 ms.
    #[cfg(feature = "redis")]
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.redis.command_timeout = Some(timeout);
        self
    }

    /// How long a scan may wait for a pooled connection. Default: 250 ms.
    #[cfg(feature = "redis")]
    pub fn pool_wait(mut self, timeout: Duration) -> Self {
        self.redis.pool_wait = Some(timeout);
        self
    }

    /// How many pooled connections serve what needs one to itself, such as scans. Default: 4.
    #[cfg(feature = "redis")]
    pub fn pool_size(mut self, size: usize) -> Self {
        self.redis.pool_size = Some(size);
        self
    }

    /// Turns caching off: functions run, nothing is read or stored. Evicts are sent all the same, because other processes
    /// may use what is stored.
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.settings.disabled = disabled;
        self
    }

    /// What stands in for a cache where the environment gives none: functions run, and no evict is reported as done.
    pub(crate) fn astray() -> Self {
        let mut builder = Self::default().memory().disabled(true);
        builder.settings.astray = true;
        builder
    }

    /// Takes over what the environment says (the table in the README); what is not set there stays as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming the variable and what it accepts.
    pub fn env(self) -> Result<Self> {
        // What is no text is understood by no variable, rather than taken for not set.
        self.env_from(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// [`env`](Self::env) from another source than the process's environment.
    ///
    /// ```
    /// use cachemacro_runtime::Cache;
    ///
    /// let set = |value: &'static str| {
    ///     move |name: &str| (name == "CACHEMACRO_TTL").then(|| value.to_owned())
    /// };
    /// assert!(Cache::builder().env_from(set("90s")).is_ok());
    /// let error = Cache::builder().env_from(set("soon")).unwrap_err();
    /// assert!(error.to_string().contains("CACHEMACRO_TTL"));
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming the variable and what it accepts.
    pub fn env_from(mut self, get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let env = Env(&get);
        if let Some(store) = env.get("CACHEMACRO_STORE") {
            self.choice = match store.as_str() {
                "auto" => Choice::Auto,
                "memory" => Choice::Memory,
                #[cfg(feature = "redis")]
                "redis" => Choice::Redis,
                #[cfg(not(feature = "redis"))]
                "redis" => {
                    return Err(Env::wrong(
                        "CACHEMACRO_STORE",
                        "`memory` (the `redis` feature is not built in)",
                    ));
                }
                _ => return Err(Env::wrong("CACHEMACRO_STORE", "`auto`, `memory` or `redis`")),
            };
        }
        if let Some(namespace) = env.get("CACHEMACRO_NAMESPACE") {
            self.settings.namespace = escape(&namespace);
        }
        env.parse(
            "CACHEMACRO_TTL",
            "a duration from 1 ms on such as `5m`, or `never`",
            parse_ttl,
            &mut self.settings.ttl,
        )?;
        env.parse(
            "CACHEMACRO_JITTER",
            "a percentage from `0%` to `100%`",
            parse_percent,
            &mut self.settings.jitter,
        )?;
        env.duration("CACHEMACRO_WAIT", &mut self.settings.wait)?;
        env.duration("CACHEMACRO_DEADLINE", &mut self.settings.deadline)?;
        if let Some(codec) = env.get("CACHEMACRO_CODEC") {
            let names: Vec<_> = BuiltinCodec::ALL.iter().map(|codec| format!("`{}`", codec.name())).collect();
            self.settings.codec =
                codec.parse().map_err(|_| Env::wrong("CACHEMACRO_CODEC", &names.join(" or ")))?;
        }
        env.parse(
            "CACHEMACRO_MAX_VALUE",
            "a number of bytes from 1 to 268_435_456",
            |text| number(text).filter(|bytes| (1..=MAX_VALUE).contains(bytes)),
            &mut self.settings.max_value,
        )?;
        #[cfg(feature = "compression")]
        env.parse(
            "CACHEMACRO_COMPRESS_OVER",
            "a number of bytes",
            some_number,
            &mut self.settings.compress_over,
        )?;
        env.parse("CACHEMACRO_CAPACITY", "a number of bytes from 1", from_one, &mut self.capacity)?;
        env.parse("CACHEMACRO_DISABLED", "`0` or `1`", parse_switch, &mut self.settings.disabled)?;
        #[cfg(feature = "redis")]
        {
            for name in ["REDIS_URL", "CACHEMACRO_REDIS_URL"] {
                if let Some(url) = env.get(name) {
                    self.redis.url = Some(url);
                    self.redis.url_from = Some(name);
                }
            }
            env.some_duration("CACHEMACRO_CONNECT_TIMEOUT", &mut self.redis.connect_timeout)?;
            env.some_duration("CACHEMACRO_COMMAND_TIMEOUT", &mut self.redis.command_timeout)?;
            env.some_duration("CACHEMACRO_POOL_WAIT", &mut self.redis.pool_wait)?;
            let parse = |text: &str| from_one(text).map(Some);
            env.parse("CACHEMACRO_POOL_SIZE", "a number from 1", parse, &mut self.redis.pool_size)?;
        }
        Ok(self)
    }

    /// Checks the settings and makes the cache. Returns at once; connecting is lazy
    /// ([`Cache::connect`] awaits it).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where a setting is not acceptable.
    pub fn build(self) -> Result<Cache> {
        let settings = &self.settings;
        if settings.jitter > 100 {
            return Err(wrong("jitter is a percentage from 0 to 100"));
        }
        if settings.lease < Duration::from_millis(30) {
            return Err(wrong("a lease lives 30 ms at least"));
        }
        if settings.max_value == 0 || settings.max_value > MAX_VALUE {
            return Err(wrong("the largest value is between 1 byte and 256 MiB"));
        }
        if !settings.ttl.stores() {
            return Err(wrong("the default TTL is 1 ms at least; `disabled` turns caching off"));
        }
        if self.capacity == 0 {
            return Err(wrong("the capacity is 1 byte at least"));
        }
        let store = self.open()?;
        Ok(Cache::with_store(store, self.settings))
    }

    #[cfg_attr(not(feature = "redis"), expect(clippy::unnecessary_wraps, reason = "opening Redis can fail"))]
    fn open(&self) -> Result<Arc<dyn Store>> {
        let memory = || -> Arc<dyn Store> {
            Arc::new(MemoryStore::builder().capacity(self.capacity).clock(self.clock.clone()).build())
        };
        match &self.choice {
            Choice::Given(store) => Ok(store.clone()),
            Choice::Memory => Ok(memory()),
            #[cfg(feature = "redis")]
            Choice::Auto if self.redis.url.is_some() => self.open_redis(),
            Choice::Auto => Ok(memory()),
            #[cfg(feature = "redis")]
            Choice::Redis => self.open_redis(),
        }
    }

    #[cfg(feature = "redis")]
    fn open_redis(&self) -> Result<Arc<dyn Store>> {
        let RedisSettings { url, url_from, connect_timeout, command_timeout, pool_wait, pool_size } =
            &self.redis;
        let Some(url) = url else {
            return Err(wrong(
                "the store is Redis, but neither CACHEMACRO_REDIS_URL nor REDIS_URL gives its URL",
            ));
        };
        let mut config = RedisConfig::new(url.clone());
        if let (Some(name), Err(error)) = (url_from, config.check_url()) {
            return Err(Error::new(ErrorKind::Config, format!("{name}: {}", error.context())));
        }
        if let Some(timeout) = connect_timeout {
            config = config.connect_timeout(*timeout);
        }
        if let Some(timeout) = command_timeout {
            config = config.command_timeout(*timeout);
        }
        if let Some(timeout) = pool_wait {
            config = config.pool_wait(*timeout);
        }
        if let Some(size) = pool_size {
            config = config.pool_size(*size);
        }
        Ok(Arc::new(RedisStore::new(config)?))
    }
}

/// The largest limit that may be set for one value.
pub(crate) const MAX_VALUE: usize = 256 << 20;

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::Config, what)
}

/// Variables by name; empty ones count as not set.
struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn parse<T>(
        &self,
        name: &str,
        accepts: &str,
        parse: impl Fn(&str) -> Option<T>,
        into: &mut T,
    ) -> Result<()> {
        if let Some(value) = self.get(name) {
            *into = parse(&value).ok_or_else(|| Self::wrong(name, accepts))?;
        }
        Ok(())
    }

    fn duration(&self, name: &str, into: &mut Duration) -> Result<()> {
        self.parse(name, "a duration such as `250ms` or `10s`", parse_duration, into)
    }

    #[cfg(feature = "redis")]
    fn some_duration(&self, name: &str, into: &mut Option<Duration>) -> Result<()> {
        let parse = |text: &str| parse_duration(text).filter(|duration| !duration.is_zero()).map(Some);
        self.parse(name, "a duration above zero such as `250ms` or `10s`", parse, into)
    }

    // The value itself may be a secret and is not shown.
    fn wrong(name: &str, accepts: &str) -> Error {
        Error::new(
            ErrorKind::Config,
            format!("{name} has a value that is not understood; it takes {accepts}"),
        )
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" { Some(Duration::ZERO) } else { humantime::parse_duration(text).ok() }
}

fn parse_ttl(text: &str) -> Option<Ttl> {
    let ttl = if text == "never" { Some(Ttl::Never) } else { parse_duration(text).map(Ttl::For) };
    ttl.filter(|ttl| ttl.stores())
}

fn parse_percent(text: &str) -> Option<u8> {
    text.trim_end_matches('%').trim_end().parse().ok().filter(|percent| *percent <= 100)
}

fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn number<N: FromStr>(text: &str) -> Option<N> {
    text.replace('_', "").parse().ok()
}

fn from_one(text: &str) -> Option<usize> {
    number(text).filter(|number| *number > 0)
}

#[cfg(feature = "compression")]
#[expect(clippy::option_option, reason = "the outer says whether it parsed, the inner is the setting")]
fn some_number<N: FromStr>(text: &str) -> Option<Option<N>> {
    number(text).map(Some)
}
