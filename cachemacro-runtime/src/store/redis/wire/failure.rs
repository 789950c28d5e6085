//! Why a connection ended, and what that means for what was asked of it.

use std::sync::{Arc, OnceLock};
use std::{fmt, io};

use bytes::Bytes;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nobody wanted it any more.
    Closed,
    /// The server closed it.
    Eof,
    Io(io::ErrorKind),
    /// The same with a reason that may be told.
    Told(&'static str),
    /// The server sent what is not its protocol.
    Malformed,
    /// A command was not answered in time.
    TimedOut,
    /// The connection goes on. There was no room in time for what was asked, or no time left once there was.
    Crowded,
    /// The runtime that drove it stopped.
    Stopped,
}

/// A reason, in an I/O error, that may be told to anybody.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) &'static str);

impl Told {
    /// The reason in this error, where it has one.
    pub(crate) fn of(error: &io::Error) -> Option<&'static str> {
        error.get_ref()?.downcast_ref::<Self>().map(|told| told.0)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Told {}

/// Why a stream ended, where that may be told. A driver that ends with its stream tells those who come later no more than that it ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastWords(Arc<OnceLock<&'static str>>);

impl LastWords {
    /// Takes note of the reason in this error, where it has one. The first one counts.
    #[cfg(feature = "tls")]
    pub(crate) fn note(&self, error: &io::Error) {
        if let Some(why) = Told::of(error) {
            let _ = self.0.set(why);
        }
    }

    pub(crate) fn told(&self) -> Option<&'static str> {
        self.0.get().copied()
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Told::of(&error).map_or(Self::Io(error.kind()), Self::Told)
    }
}

/// What was asked for was not answered, as the connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) cause: Cause,
    /// Whether any of it may have reached the server. Where not, it was not done and will not be.
    pub(crate) sent: bool,
}

/// Why a read has no values.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Unread {
    Broken(Broken),
    /// The server's error, as a line. It may quote keys.
    Refused(Bytes),
}

impl From<Broken> for Unread {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(broken) => broken.fmt(f),
            Self::Refused(line) => write!(f, "Refused({} bytes)", line.len()),
        }
    }
}
