//! What options take in more than one form: names of fields, statuses.

use http::{HeaderName, StatusCode};

/// The name of a header field.
///
/// # Panics
/// Where `name` cannot be the name of a header field. Routes are built when a program starts, so it panics then.
#[track_caller]
pub(crate) fn field<N: TryInto<HeaderName>>(name: N) -> HeaderName {
    // Not in a closure: the panic is to tell the line where the route is made.
    let Ok(name) = name.try_into() else {
        panic!("what is to name a header field does not; write \"accept-language\", say")
    };
    name
}

/// A status: an [`http::StatusCode`], or its number.
///
/// ```
/// use cachemacro_http::IntoStatus;
///
/// assert_eq!(302.into_status(), http::StatusCode::FOUND.into_status());
/// ```
pub trait IntoStatus {
    /// The status.
    ///
    /// ```
    /// use cachemacro_http::IntoStatus;
    ///
    /// assert!(302.into_status().is_redirection());
    /// ```
    ///
    /// # Panics
    /// Where the number is no status. Routes are built when a program starts, so it panics then.
    #[track_caller]
    fn into_status(self) -> StatusCode;
}

impl IntoStatus for StatusCode {
    fn into_status(self) -> StatusCode {
        self
    }
}

impl IntoStatus for u16 {
    #[track_caller]
    fn into_status(self) -> StatusCode {
        let Ok(status) = StatusCode::from_u16(self) else {
            panic!("{self} is no status: they have three digits")
        };
        status
    }
}
