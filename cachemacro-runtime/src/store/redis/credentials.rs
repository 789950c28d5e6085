//! Who logs in: a name and a password, or somebody who is asked for them at each connection.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use redis::{ProtocolVersion, RedisConnectionInfo};

use crate::ground::error::{Error, ErrorKind, Result};

/// A user's name and password, from [`RedisConfig::credentials`](super::RedisConfig::credentials). Neither is ever printed.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::redis::Credentials;
///
/// let credentials = Credentials::new("shop", "hunter2");
/// assert!(!format!("{credentials:?}").contains("hunter2"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Option<String>,
    password: String,
}

impl Credentials {
    /// A user of the server's access list. A token of a cloud provider is a password.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::Credentials;
    ///
    /// assert_eq!(Credentials::new("shop", "pw"), Credentials::new("shop".to_owned(), "pw".to_owned()));
    /// ```
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: Some(user.into()), password: password.into() }
    }

    /// The server's one password (`requirepass`), which is that of the user `default`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::Credentials;
    ///
    /// assert_ne!(Credentials::password("pw"), Credentials::new("shop", "pw"));
    /// ```
    pub fn password(password: impl Into<String>) -> Self {
        Self { user: None, password: password.into() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// What a provider gives, sooner or later.
type Given = Pin<Box<dyn Future<Output = Result<Credentials>> + Send>>;

/// Where credentials come from.
#[derive(Clone, Default)]
pub(super) enum Login {
    /// Nobody logs in.
    #[default]
    Nobody,
    Known(Credentials),
    Asked(Arc<dyn Fn() -> Given + Send + Sync>),
}

impl Login {
    /// Has each connection ask for them.
    pub(super) fn asking<F, G>(provider: F) -> Self
    where
        F: Fn() -> G + Send + Sync + 'static,
        G: Future<Output = Result<Credentials>> + Send + 'static,
    {
        Self::Asked(Arc::new(move || Box::pin(provider())))
    }

    /// Those for a connection that is opened now.
    pub(super) async fn ask(&self) -> Result<Option<Credentials>> {
        match self {
            Self::Nobody => Ok(None),
            Self::Known(credentials) => Ok(Some(credentials.clone())),
            Self::Asked(provider) => provider().await.map(Some).map_err(|error| {
                let what = "no credentials for redis: their provider failed";
                Error::new(ErrorKind::Connect, what).with_source(error)
            }),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Known(_) => "Known",
            Self::Asked(_) => "Asked",
        })
    }
}

/// What is said first on a connection: who we are.
pub(super) fn greeting(credentials: Option<&Credentials>, protocol: ProtocolVersion) -> RedisConnectionInfo {
    // `CLIENT SETINFO` is newer than the oldest supported server and asks for a right of its own.
    let greeting = RedisConnectionInfo::default().set_protocol(protocol).set_skip_set_lib_name();
    let Some(Credentials { user, password }) = credentials else { return greeting };
    let greeting = greeting.set_password(password);
    match user {
        Some(user) => greeting.set_username(user),
        None => greeting,
    }
}
