//! TLS, by rustls: whom we trust, who we are, and what was wrong.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error as Rustls, RootCertStore,
    SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::url::{TlsParts, refused};
use super::wire::{LastWords, Told};
use crate::ground::error::Result;

/// What is said where a server said nothing.
const UNHEARD: &str = "the server ended the connection after the TLS handshake; it may ask for a client certificate, or refuse ours";

/// How `rediss://` proves who is who. Without any of this, the server's certificate is checked against the CAs that the platform
/// trusts, and against the host of the URL.
///
/// ```no_run
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::redis::{RedisConfig, RedisStore, TlsConfig};
///
/// let ca = std::fs::read("/etc/redis/ca.pem")?;
/// let tls = TlsConfig::new().ca(ca).server_name("cache.internal");
/// let store = RedisStore::new(RedisConfig::new("rediss://10.0.0.7:6380").tls(tls))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct TlsConfig {
    ca: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
    server_name: Option<String>,
    insecure: bool,
}

impl TlsConfig {
    /// The platform's CAs, no certificate of our own, the name in the URL.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore, TlsConfig};
    ///
    /// let tls = TlsConfig::new().insecure();
    /// assert!(RedisStore::new(RedisConfig::new("rediss://localhost").tls(tls)).is_ok());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these CAs instead of the platform's: certificates in PEM format, one behind the other.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore, TlsConfig};
    ///
    /// let tls = TlsConfig::new().ca("no certificate");
    /// assert!(RedisStore::new(RedisConfig::new("rediss://localhost").tls(tls)).is_err(), "checked at once");
    /// ```
    #[must_use]
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// Shows a certificate to a server that asks for one: the certificate and those between it and its CA, and its private key,
    /// both in PEM format.
    ///
    /// ```no_run
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::TlsConfig;
    ///
    /// let read = |name: &str| std::fs::read(format!("/etc/redis/{name}.pem"));
    /// let tls = TlsConfig::new().client_certificate(read("shop")?, read("shop.key")?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.client = Some((certificate.into(), key.into()));
        self
    }

    /// Expects the server's certificate to be for this name or address, where that is not the host it is reached by.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore, TlsConfig};
    ///
    /// let tls = TlsConfig::new().insecure().server_name("cache.internal");
    /// assert!(RedisStore::new(RedisConfig::new("rediss://10.0.0.7").tls(tls)).is_ok());
    /// ```
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Takes any certificate of anybody: whoever is in between can read and change everything. For a server with a
    /// certificate of its own making, name that with [`ca`](Self::ca) instead.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore, TlsConfig};
    ///
    /// let tls = TlsConfig::new().insecure();
    /// assert!(RedisStore::new(RedisConfig::new("rediss://localhost").tls(tls)).is_ok());
    /// ```
    #[must_use]
    pub fn insecure(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// What a URL says, with the files that it names read.
    pub(super) fn read(parts: TlsParts) -> Result<Self> {
        let read = |path: &Path, what: &str| {
            std::fs::read(path).map_err(|error| {
                refused(format!("{what} in the Redis URL names a file that cannot be read"))
                    .with_source(error)
            })
        };
        let client = match (&parts.cert, &parts.key) {
            (Some(cert), Some(key)) => Some((read(cert, "cert")?, read(key, "key")?)),
            (None, None) => None,
            _ => return Err(refused("cert and key in the Redis URL go together")),
        };
        let ca = parts.ca.as_deref().map(|ca| read(ca, "ca")).transpose()?;
        Ok(Self { ca, client, server_name: parts.server_name, insecure: parts.insecure })
    }

    /// Everything that can be checked without a server.
    pub(super) fn prepare(&self) -> Result<Tls> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| refused("TLS could not be set up").with_source(error))?;
        let config = if self.insecure {
            config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        } else {
            config.with_root_certificates(self.roots()?)
        };
        let config = match &self.client {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate, "the client certificate")?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|_| refused("the client certificate's key is no private key in PEM format"))?;
                config.with_client_auth_cert(chain, key).map_err(|error| {
                    refused("the client certificate and its key do not go together").with_source(error)
                })?
            }
        };
        let server_name = self.server_name.as_deref().map(|name| {
            ServerName::try_from(name.to_owned()).map_err(|_| refused("the TLS server name is no name"))
        });
        Ok(Tls { connector: TlsConnector::from(Arc::new(config)), server_name: server_name.transpose()? })
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        if let Some(ca) = &self.ca {
            for certificate in certificates(ca, "the CA")? {
                roots.add(certificate).map_err(|_| refused("the CA's certificate is not acceptable"))?;
            }
        } else {
            // One that cannot be read is one that is not trusted.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(refused("this platform trusts no CA; name one: rediss://host?ca=/path/ca.pem"));
            }
        }
        Ok(roots)
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("own_ca", &self.ca.is_some())
            .field("client_certificate", &self.client.is_some())
            .field("server_name", &self.server_name.is_some())
            .field("insecure", &self.insecure)
            .finish()
    }
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(refused(format!("{what} is no certificate in PEM format"))),
    }
}

/// What encrypts a connection.
pub(super) struct Tls {
    connector: TlsConnector,
    /// Whom the certificate is expected to be for, where that is not the host.
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// Encrypts a connection to this host, once it proved who it is.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<Encrypted> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| because("the host's name is none that a certificate can be for"))?,
        };
        let connected = self.connector.connect(name, stream).await;
        let encrypted = |stream| Encrypted { stream, has_heard: false, last_words: LastWords::default() };
        connected.map(encrypted).map_err(told)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn because(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Told(reason))
}

/// An encrypted connection.
///
/// What the server thinks of our certificate, it says after the handshake, in TLS 1.3; and where something was sent to it before it
/// closed the connection, what it said may be lost.
pub(super) struct Encrypted {
    stream: TlsStream<TcpStream>,
    /// Whether anything came.
    has_heard: bool,
    last_words: LastWords,
}

impl Encrypted {
    pub(super) fn last_words(&self) -> LastWords {
        self.last_words.clone()
    }

    fn told(&self, error: io::Error) -> io::Error {
        let error = told(error);
        let error = if self.has_heard || Told::of(&error).is_some() { error } else { because(UNHEARD) };
        self.last_words.note(&error);
        error
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        match ready!(Pin::new(&mut self.stream).poll_read(cx, into)) {
            Ok(()) if into.filled().len() > before => self.has_heard = true,
            Ok(()) if self.has_heard => {}
            Ok(()) => return Poll::Ready(Err(self.told(io::ErrorKind::UnexpectedEof.into()))),
            Err(error) => return Poll::Ready(Err(self.told(error))),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(written.map_err(|error| self.told(error)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        Poll::Ready(flushed.map_err(|error| self.told(error)))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The same error with a reason that may be told, where it is one of TLS.
fn told(error: io::Error) -> io::Error {
    let inner: Option<&(dyn StdError + Send + Sync + 'static)> = error.get_ref();
    let Some(rustls) = inner.and_then(|inner| inner.downcast_ref::<Rustls>()) else { return error };
    because(reason(rustls))
}

fn reason(error: &Rustls) -> &'static str {
    use AlertDescription as Alert;
    use CertificateError as Bad;
    match error {
        Rustls::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer => "the server's certificate is from a CA that is not trusted",
            Bad::Expired | Bad::ExpiredContext { .. } => "the server's certificate has expired",
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => "the server's certificate is not valid yet",
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "the server's certificate is for another name"
            }
            _ => "the server's certificate is not acceptable",
        },
        Rustls::AlertReceived(Alert::CertificateRequired) => "the server asks for a client certificate",
        Rustls::AlertReceived(
            Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::AccessDenied,
        ) => "the server refused the client certificate",
        Rustls::AlertReceived(Alert::HandshakeFailure) => {
            "the server refused the TLS handshake; it may ask for a client certificate"
        }
        Rustls::AlertReceived(_) => "the server ended the TLS connection",
        Rustls::InvalidMessage(_) => "what answers there does not speak TLS",
        Rustls::PeerIncompatible(_) => "the server speaks no version of TLS that is safe",
        _ => "TLS failed",
    }
}

/// Takes anybody's certificate: [`TlsConfig::insecure`].
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Rustls> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Rustls> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Rustls> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
