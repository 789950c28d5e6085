//! What can go wrong, as one opaque error with a kind to match on and a source to print.
//!
//! No message carries a key, a value, a password or a URL: what is safe to log is decided here, once.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The result of a cache operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a cache operation failed.
///
/// Attributed functions never see one: whatever breaks in the cache, they run. The direct API returns it. Cheap to
/// clone.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Timeout, "no reply within 250 ms");
/// assert_eq!(error.kind(), ErrorKind::Timeout);
/// assert!(error.is_transient());
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    context: Cow<'static, str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What kind of failure an [`Error`] is.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Error, ErrorKind};
///
/// fn status(error: &Error) -> u16 {
///     match error.kind() {
///         ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Io => 503,
///         ErrorKind::TooLarge => 413,
///         _ => 500,
///     }
/// }
/// assert_eq!(status(&Error::new(ErrorKind::Timeout, "no reply")), 503);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting from the builder, the environment or a URL is not acceptable.
    Config,
    /// No connection to the store could be had.
    Connect,
    /// The store did not answer in time. A write may or may not have happened.
    Timeout,
    /// The connection broke while an answer was due. A write may or may not have happened.
    Io,
    /// The store answered with an error of its own (out of memory, read only, no permission, …).
    Refused,
    /// The value could not be turned into bytes.
    Encode,
    /// The bytes are not a value of this type. Reads take it as a miss.
    Decode,
    /// The arguments could not be turned into a key.
    Key,
    /// The encoded value is larger than the cache's limit.
    TooLarge,
    /// Others changed the entry again and again; the update gave up.
    Contention,
    /// The entry holds something that this operation does not work on.
    WrongType,
    /// Caching is turned off, so there is nothing to work on.
    Disabled,
    /// A queue of writes stayed full.
    Full,
}

impl ErrorKind {
    /// All kinds there are so far.
    pub const ALL: &'static [ErrorKind] = &[
        ErrorKind::Config,
        ErrorKind::Connect,
        ErrorKind::Timeout,
        ErrorKind::Io,
        ErrorKind::Refused,
        ErrorKind::Encode,
        ErrorKind::Decode,
        ErrorKind::Key,
        ErrorKind::TooLarge,
        ErrorKind::Contention,
        ErrorKind::WrongType,
        ErrorKind::Disabled,
        ErrorKind::Full,
    ];

    /// The kind as a short lower-case word, for metrics and logs.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::ErrorKind;
    ///
    /// assert_eq!(ErrorKind::TooLarge.as_str(), "too_large");
    /// assert_eq!(ErrorKind::Timeout.to_string(), "timeout");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Config => "config",
            ErrorKind::Connect => "connect",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Io => "io",
            ErrorKind::Refused => "refused",
            ErrorKind::Encode => "encode",
            ErrorKind::Decode => "decode",
            ErrorKind::Key => "key",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::Contention => "contention",
            ErrorKind::WrongType => "wrong_type",
            ErrorKind::Disabled => "disabled",
            ErrorKind::Full => "full",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error {
    /// An error of `kind`; `context` says what was being done, in a few words and without secrets.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Refused, "the disk is full");
    /// assert_eq!(error.to_string(), "refused: the disk is full");
    /// ```
    pub fn new(kind: ErrorKind, context: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// The same error with the one that caused it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Error, ErrorKind};
    /// use std::error::Error as _;
    ///
    /// let cause = std::io::Error::other("broken pipe");
    /// let error = Error::new(ErrorKind::Io, "reading a reply").with_source(cause);
    /// assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("broken pipe"));
    /// ```
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into().into());
        self
    }

    /// What kind of failure this is.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, ErrorKind};
    ///
    /// let error = Cache::builder().memory().jitter(101).build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// ```
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was being done; carries no secrets.
    #[cfg(feature = "redis")]
    pub(crate) fn context(&self) -> &str {
        &self.context
    }

    /// Whether the same operation may work when tried again later.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Connect, "refused").is_transient());
    /// assert!(!Error::new(ErrorKind::Config, "no such codec").is_transient());
    /// ```
    pub const fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Connect
                | ErrorKind::Timeout
                | ErrorKind::Io
                | ErrorKind::Refused
                | ErrorKind::Contention
        )
    }

    /// Whether the operation may have taken effect although it failed.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Timeout, "no reply").is_ambiguous());
    /// assert!(!Error::new(ErrorKind::Connect, "refused").is_ambiguous(), "nothing was sent");
    /// ```
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self.kind, ErrorKind::Timeout | ErrorKind::Io)
    }

    /// Whether the store did not answer, so that what is sent next would have no answer either.
    pub(crate) const fn is_unanswered(&self) -> bool {
        matches!(self.kind, ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Io)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.kind).field("context", &self.context);
        if let Some(source) = &self.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.context)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
