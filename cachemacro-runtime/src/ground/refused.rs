//! A value that refuses to be serialized. Why it does may be secret, so nothing of it is kept.

use std::fmt::{self, Display};

use serde::ser;

/// The value could not be written.
#[derive(Debug)]
pub(crate) struct Refused;

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value refused to be serialized")
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: Display>(_message: T) -> Self {
        Self
    }
}
