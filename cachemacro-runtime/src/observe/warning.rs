//! What is wrong with a cache though its calls go on.

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::ground::error::ErrorKind;
use crate::ground::unstorable::Unstorable;

/// Something that is wrong with a cache though its calls go on, from [`Cache::warnings`](crate::Cache::warnings).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Cache, Warning};
///
/// let cache = Cache::builder().memory().disabled(true).build()?;
/// for warning in cache.warnings() {
///     println!("{}: {warning}", warning.as_str());
/// }
/// assert_eq!(cache.warnings(), [Warning::Disabled]);
/// # Ok::<(), cachemacro::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A server that other applications may use, and no namespace that tells their entries from this one's.
    NoNamespace,
    /// What is stored travels to another host as it is, and so does a password.
    Plaintext,
    /// The server's version, which is older than what is supported.
    ServerTooOld(String),
    /// The address leads to a replica, which is refused: what is read there is late, and nothing can be evicted.
    Replica,
    /// The server may drop keys without a TTL where its memory is full, and there are some, none of which is this cache's.
    DropsOthers {
        /// Its eviction policy.
        policy: String,
        /// How many keys without a TTL its database has.
        keys: u64,
    },
    /// Values have no TTL, and the server drops nothing: where its memory is full, nothing is stored any more.
    DropsNothing,
    /// The server writes its data to disk: where it comes back with older ones, it serves what was evicted since.
    Persists,
    /// Caching is turned off.
    Disabled,
    /// The environment could not be read, for the reason that the text says. Caching is off, and every evict fails.
    Unresolved(String),
    /// A variable of the environment that begins as settings do, and that nobody reads: it is misspelt, or of another version.
    UnreadVariable {
        /// Its name.
        name: String,
        /// The variable that was probably meant.
        like: Option<&'static str>,
    },
    /// Evicts did not reach the store when they were sent: until they are sent again, other processes may serve what they were
    /// about. Those that could not be named are not sent at all.
    FailedEvicts {
        /// How many since the last time that all were sent again.
        count: u64,
        /// Why the last of them failed.
        last: ErrorKind,
    },
    /// Evicts are still to be sent again. What they may be about is not served by this process.
    KeptEvicts {
        /// How many keys, tags and prefixes.
        count: u64,
        /// There were too many, so that the whole namespace is to be cleared, and nothing is served until then.
        all: bool,
    },
    /// The breaker around the store is open: functions run without the cache until a trial is answered.
    BreakerOpen,
    /// Values were returned and not stored, because they cannot be encoded or are too large.
    NotStored {
        /// How many.
        count: u64,
        /// [`ErrorKind::Encode`] or [`ErrorKind::TooLarge`].
        why: ErrorKind,
    },
    /// A function, with the line of its attribute, that makes the same keys as another one and runs uncached for it.
    SharedPrefix(String),
    /// So many reads found a value that the codec could not bring back: they never hit. Formats that are not
    /// self-describing, such as bincode, do not bring back every type.
    Undecodable(u64),
    /// Sites ask for local copies, and the store does not tell of changes, for the reason that the text says: calls ask the store
    /// until it does.
    LocalOff(String),
    /// Values were returned and not stored, because they would not come back as they are.
    Unstorable {
        /// The function, with its module; of direct calls the prefix.
        place: String,
        /// Their type.
        value: &'static str,
        /// The codec's name.
        codec: &'static str,
        /// Why they would not.
        why: Unstorable,
        /// How many.
        count: u64,
    },
}

impl Warning {
    /// The warning as a short lower-case word, for metrics and logs.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Warning::NoNamespace.as_str(), "no_namespace");
    /// ```
    pub const fn as_str(&self) -> &'static str {
        match self {
            Warning::NoNamespace => "no_namespace",
            Warning::Plaintext => "plaintext",
            Warning::ServerTooOld(_) => "server_too_old",
            Warning::Replica => "replica",
            Warning::DropsOthers { .. } => "drops_others",
            Warning::DropsNothing => "drops_nothing",
            Warning::Persists => "persists",
            Warning::Disabled => "disabled",
            Warning::Unresolved(_) => "unresolved",
            Warning::UnreadVariable { .. } => "unread_variable",
            Warning::FailedEvicts { .. } => "failed_evicts",
            Warning::KeptEvicts { .. } => "kept_evicts",
            Warning::BreakerOpen => "breaker_open",
            Warning::NotStored { .. } => "not_stored",
            Warning::SharedPrefix(_) => "shared_prefix",
            Warning::Undecodable(_) => "undecodable",
            Warning::LocalOff(_) => "local_off",
            Warning::Unstorable { .. } => "unstorable",
        }
    }
}

/// A sentence for who operates the service; no secrets.
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::NoNamespace => {
                f.write_str("no namespace is set, so other applications on the same server could share entries with this one: set CACHEMACRO_NAMESPACE, or the builder's `namespace`")
            }
            Warning::Plaintext => f.write_str(
                "the server is on another host, and what is stored travels there as it is, and so does a password: use TLS (`rediss://`), a \
                 network that you trust, or a tunnel",
            ),
            Warning::ServerTooOld(version) => {
                write!(f, "the server's version {version} is older than 6.2, which is the oldest one that is supported")
            }
            Warning::Replica => f.write_str(
                "the address leads to a replica, which is refused, because what is read there is late and nothing can be evicted: \
                 give the primary's",
            ),
            Warning::DropsOthers { policy, keys } => write!(
                f,
                "the server's `maxmemory-policy` is `{policy}`, so it may drop the {keys} keys of its database that have no TTL, \
                 none of which is this cache's: give the cache a server of its own, or choose a `volatile-` policy"
            ),
            Warning::DropsNothing => f.write_str(
                "values have no TTL and the server's `maxmemory-policy` is `noeviction`: once its memory is full, nothing is stored \
                 any more; set a TTL, or another policy such as `allkeys-lru`",
            ),
            Warning::Persists => f.write_str(
                "the server writes its data to disk: where it is started from them, it serves what was evicted since they were \
                 written; turn `save` and `appendonly` off for a server that is only a cache",
            ),
            Warning::Disabled => f.write_str("caching is turned off: functions run, nothing is read or stored"),
            Warning::Unresolved(why) => {
                write!(f, "the environment does not give a cache, so caching is off and every evict fails: {why}")
            }
            Warning::UnreadVariable { name, like: Some(like) } => {
                write!(f, "nothing reads the variable {name}: did you mean {like}?")
            }
            Warning::UnreadVariable { name, like: None } => write!(f, "nothing reads the variable {name}"),
            Warning::FailedEvicts { count, last } => write!(
                f,
                "{count} evicts did not reach the store when they were sent, the last for the reason `{last}`: other processes may \
                 serve stale values until they are sent again"
            ),
            Warning::KeptEvicts { all: true, .. } => f.write_str(
                "too many evicts did not reach the store: nothing is served until the namespace was cleared, which needs one",
            ),
            Warning::KeptEvicts { count, .. } => write!(
                f,
                "{count} evicted keys, tags and prefixes have not reached the store yet: this process does not serve what they \
                 may be about, and others may until they are sent again"
            ),
            Warning::BreakerOpen => f.write_str(
                "the store failed too often, so its breaker is open: functions run without the cache until a trial is answered",
            ),
            Warning::NotStored { count, why } => {
                write!(f, "{count} values were returned and not stored, for the reason `{why}`: their functions run each time")
            }
            Warning::SharedPrefix(function) => write!(
                f,
                "{function} makes the same keys as another function for values of its own, and runs uncached: give one of them \
                 another `prefix`"
            ),
            Warning::Undecodable(count) => write!(
                f,
                "{count} reads found a value that the codec could not bring back: choose a self-describing codec for its type"
            ),
            Warning::LocalOff(why) => write!(
                f,
                "the local tier is off, because the store does not tell of changes ({why}): calls ask the store"
            ),
            Warning::Unstorable { place, value, codec, why, count } => write!(
                f,
                "{count} values of the type `{value}` at `{place}` were returned and not stored, under {codec}: {why}; {}",
                why.remedy()
            ),
        }
    }
}

/// The word and the sentence: `{"warning": "disabled", "text": "caching is turned off: …"}`.
impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut both = serializer.serialize_struct("Warning", 2)?;
        both.serialize_field("warning", self.as_str())?;
        both.serialize_field("text", &self.to_string())?;
        both.end()
    }
}
