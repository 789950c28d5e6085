//! A certificate authority for one test, and what it signs.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use tempfile::TempDir;

use crate::server::{RedisServer, free_port, has_tls};

/// An authority that nobody else trusts, with its files in a folder of its own.
pub struct Authority {
    folder: TempDir,
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in files.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate in PEM format.
    pub certificate: PathBuf,
    /// Its private key in PEM format.
    pub key: PathBuf,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// Where its files cannot be written.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("it signs itself");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Self { folder, certificate, issuer: Issuer::new(params, key) };
        std::fs::write(authority.file(), authority.pem()).expect("the file can be written");
        authority
    }

    /// Its own certificate, in PEM format.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The file of that.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for these names and addresses.
    pub fn signs(&self, names: &[&str]) -> Identity {
        self.sign(names, |_| {})
    }

    /// One whose time is over.
    pub fn signed_long_ago(&self, names: &[&str]) -> Identity {
        self.sign(names, |params| {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        })
    }

    fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names that a certificate can be for");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("it signs");
        let file = |what: &str, text: String| {
            let folder = tempfile::Builder::new().prefix(what).tempdir_in(self.folder.path());
            let path = folder.expect("a folder in the folder").keep().join("it.pem");
            std::fs::write(&path, text).expect("the file can be written");
            path
        };
        Identity {
            certificate: file("certificate", certificate.pem()),
            key: file("key", key.serialize_pem()),
        }
    }
}

/// A server that speaks TLS on one port, and plainly to the test on another.
#[derive(Debug)]
pub struct TlsServer {
    /// The server.
    pub server: RedisServer,
    port: u16,
}

impl TlsServer {
    /// Starts one with this certificate, that trusts clients of this authority; `asks`: only those.
    pub fn start(authority: &Authority, identity: &Identity, asks: bool) -> Self {
        Self::with_args(authority, identity, asks, &[])
    }

    /// The same with further arguments for the server's command line.
    ///
    /// # Panics
    /// Where the server does not start, as one does that was built without TLS.
    pub fn with_args(authority: &Authority, identity: &Identity, asks: bool, args: &[&str]) -> Self {
        assert!(
            has_tls(),
            "the server program in CACHEMACRO_TEST_SERVER was built without TLS: leave the tests of TLS out, as ./scripts/servers does"
        );
        let (port, ca) = (free_port(), authority.file());
        let text = |path: &PathBuf| path.to_str().expect("a path of text").to_owned();
        let own = [
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &text(&identity.certificate),
            "--tls-key-file",
            &text(&identity.key),
            "--tls-ca-cert-file",
            &text(&ca),
            "--tls-auth-clients",
            if asks { "yes" } else { "no" },
        ]
        .map(str::to_owned);
        let args: Vec<&str> = own.iter().map(String::as_str).chain(args.iter().copied()).collect();
        Self { server: RedisServer::with_args(&args), port }
    }

    /// `rediss://localhost:port?ca=…` of this authority.
    pub fn url(&self, authority: &Authority) -> String {
        format!("{}?ca={}", self.bare_url(), authority.file().display())
    }

    /// `rediss://localhost:port`.
    pub fn bare_url(&self) -> String {
        format!("rediss://localhost:{}", self.port)
    }

    /// The port on which it speaks TLS.
    pub const fn port(&self) -> u16 {
        self.port
    }
}
