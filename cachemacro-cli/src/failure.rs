//! How a command ends.

/// Why a command ends otherwise than well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Something is wrong, or nothing was found, and the rows that were shown say so.
    #[error("")]
    Shown,
    /// Something is wrong, or nothing was found, for this reason.
    #[error("{0}")]
    Wrong(String),
    /// The command cannot be understood.
    #[error("{0}")]
    Usage(String),
    /// The server cannot be reached or denies.
    #[error("{0}")]
    Unreachable(String),
    /// Nobody confirmed.
    #[error("{0}")]
    NotConfirmed(String),
}

impl Failure {
    /// The exit code.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Failure::Shown | Failure::Wrong(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Unreachable(_) => 3,
            Failure::NotConfirmed(_) => 4,
        }
    }
}

impl From<cachemacro::Error> for Failure {
    fn from(error: cachemacro::Error) -> Self {
        let text = error.to_string();
        if error.kind() == cachemacro::ErrorKind::Config {
            Failure::Usage(text)
        } else {
            Failure::Unreachable(text)
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // The program that reads the output has closed it, as `head` does: no reason to complain.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Failure::Shown
        } else {
            Failure::Wrong(error.to_string())
        }
    }
}

/// How a command ended.
pub(crate) type Done = Result<(), Failure>;
