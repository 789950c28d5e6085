//! The URL of a server, read into its parts. A part that is wrong is named, and none is quoted: any may hold a secret.

use std::path::PathBuf;

use redis::ProtocolVersion;

use super::credentials::{Credentials, Login};
use crate::ground::error::{Error, ErrorKind, Result};

/// Where a server listens unless its URL says so.
const PORT: u16 = 6379;
/// Where a sentinel does.
#[cfg(feature = "sentinel")]
const SENTINEL_PORT: u16 = 26379;

/// What a URL says.
pub(super) struct Target {
    pub(super) place: Place,
    pub(super) login: Login,
    pub(super) database: i64,
    pub(super) protocol: ProtocolVersion,
    /// How the connection is encrypted, where it is.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsParts>,
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    One(Host),
    Socket(PathBuf),
    #[cfg(feature = "sentinel")]
    Sentinels(SentinelParts),
    /// Nodes of a cluster, from which the others are learned.
    #[cfg(feature = "cluster")]
    Cluster(Vec<Host>),
}

/// A name or an address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

impl Host {
    /// Whether it is this machine.
    pub(super) fn is_own(&self) -> bool {
        let address: Option<std::net::IpAddr> = self.name.parse().ok();
        self.name.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback())
    }
}

/// Who knows where the server is.
#[cfg(feature = "sentinel")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SentinelParts {
    pub(super) hosts: Vec<Host>,
    /// What they call the primary that they watch.
    pub(super) name: String,
    pub(super) credentials: Option<Credentials>,
}

/// What a URL says of TLS: paths of files in PEM format, and a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TlsParts {
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) server_name: Option<String>,
    pub(super) insecure: bool,
}

/// How the server is found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Server,
    Socket,
    Sentinel,
    Cluster,
}

/// The text of each parameter that may stand behind `?`.
#[derive(Default)]
struct Query {
    db: Option<String>,
    user: Option<String>,
    password: Option<String>,
    protocol: Option<String>,
    sentinel_user: Option<String>,
    sentinel_password: Option<String>,
    tls: TlsParts,
}

const KNOWN: &str =
    "db, user, password, protocol, ca, cert, key, server_name, insecure, sentinel_user and sentinel_password";

/// Reads a URL.
pub(super) fn parse(url: &str) -> Result<Target> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(refused("the Redis URL has no scheme; write redis://host:port/database or unix:///path"));
    };
    let (kind, encrypted) = kind(scheme)?;
    let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, behind)| (rest, Some(behind)));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut query = Query::parse(query)?;
    match fragment {
        None | Some("") => {}
        Some("insecure") => query.tls.insecure = true,
        Some(_) => {
            return Err(refused("the Redis URL has a part behind `#`; in a password, write `#` as %23"));
        }
    }
    let (authority, path) = match (kind, rest.find('/')) {
        (Kind::Socket, _) => ("", rest),
        (_, Some(at)) => (&rest[..at], &rest[at + 1..]),
        (_, None) => (rest, ""),
    };
    if kind != Kind::Socket && path.contains('@') {
        return Err(refused(
            "the Redis URL has an `@` behind its hosts; in a user name or password, write `/` as %2F, `?` as %3F and `#` as %23",
        ));
    }
    let (userinfo, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let credentials = credentials(userinfo, query.user.take(), query.password.take())?;
    let protocol = match query.protocol.as_deref() {
        None | Some("2" | "resp2") => ProtocolVersion::RESP2,
        Some("3" | "resp3") => ProtocolVersion::RESP3,
        Some(_) => return Err(refused("the protocol in the Redis URL must be resp2 or resp3")),
    };
    let (place, path) = place(kind, hosts, path, &mut query)?;
    if query.sentinel_user.is_some() || query.sentinel_password.is_some() {
        return Err(refused("sentinel_user and sentinel_password in the Redis URL need redis+sentinel://"));
    }
    let database = database(&path, query.db.as_deref())?;
    if kind == Kind::Cluster && database != 0 {
        return Err(refused("a cluster has one database; the Redis URL names another than 0"));
    }
    if !encrypted && query.tls != TlsParts::default() {
        return Err(refused("ca, cert, key, server_name and insecure in the Redis URL need rediss://"));
    }
    Ok(Target {
        place,
        login: credentials.map_or(Login::Nobody, Login::Known),
        database,
        protocol,
        #[cfg(feature = "tls")]
        tls: encrypted.then_some(query.tls),
    })
}

/// What a scheme asks for, and whether that is encrypted; or the feature that is not built in.
fn kind(scheme: &str) -> Result<(Kind, bool)> {
    let unknown = || {
        refused(
            "the Redis URL has an unknown scheme; it must be redis:// or valkey://, with TLS rediss:// or valkeys://, \
             either with +sentinel or +cluster, or unix://",
        )
    };
    let (base, how) = scheme.split_once('+').unwrap_or((scheme, ""));
    let encrypted = match base {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        "unix" if how.is_empty() => return Ok((Kind::Socket, false)),
        _ => return Err(unknown()),
    };
    let kind = match how {
        "" => Kind::Server,
        "unix" if !encrypted => Kind::Socket,
        "sentinel" if cfg!(feature = "sentinel") => Kind::Sentinel,
        "sentinel" => return Err(lacks("Sentinel", "sentinel")),
        "cluster" if cfg!(feature = "cluster") => Kind::Cluster,
        "cluster" => return Err(lacks("Redis Cluster", "cluster")),
        _ => return Err(unknown()),
    };
    if encrypted && !cfg!(feature = "tls") {
        return Err(lacks("TLS", "tls"));
    }
    Ok((kind, encrypted))
}

/// Where the server is, and what is left of the path.
#[cfg_attr(not(feature = "sentinel"), expect(unused_variables, reason = "what sentinels are asked with"))]
fn place(kind: Kind, hosts: &str, path: &str, query: &mut Query) -> Result<(Place, String)> {
    match kind {
        Kind::Socket => {
            let path = decoded(path, "path")?;
            if !path.starts_with('/') || path.len() == 1 {
                return Err(refused("the Redis URL names no socket; write unix:///path/to/socket"));
            }
            Ok((Place::Socket(path.into()), String::new()))
        }
        Kind::Server if hosts.contains(',') => Err(refused(
            "the Redis URL names several hosts; several are named where Sentinel is asked, by redis+sentinel://h1,h2/name, and of a \
             cluster, by redis+cluster://h1,h2",
        )),
        Kind::Server => Ok((Place::One(host(hosts, PORT)?), path.to_owned())),
        #[cfg(feature = "sentinel")]
        Kind::Sentinel => {
            let (name, database) = path.split_once('/').unwrap_or((path, ""));
            let name = decoded(name, "name of the primary")?;
            if name.is_empty() {
                return Err(refused(
                    "the Redis URL does not name the primary; write redis+sentinel://host:port/name",
                ));
            }
            let hosts = hosts.split(',').map(|one| host(one, SENTINEL_PORT)).collect::<Result<_>>()?;
            let credentials = match (query.sentinel_user.take(), query.sentinel_password.take()) {
                (None, None) => None,
                (None, Some(password)) => Some(Credentials::password(password)),
                (Some(user), password) => Some(Credentials::new(user, password.unwrap_or_default())),
            };
            Ok((Place::Sentinels(SentinelParts { hosts, name, credentials }), database.to_owned()))
        }
        #[cfg(feature = "cluster")]
        Kind::Cluster => {
            let hosts = hosts.split(',').map(|one| host(one, PORT)).collect::<Result<_>>()?;
            Ok((Place::Cluster(hosts), path.to_owned()))
        }
        #[cfg(not(feature = "cluster"))]
        Kind::Cluster => Err(lacks("Redis Cluster", "cluster")),
        #[cfg(not(feature = "sentinel"))]
        Kind::Sentinel => Err(lacks("Sentinel", "sentinel")),
    }
}

/// A host with its port, or without.
fn host(text: &str, port: u16) -> Result<Host> {
    let (name, behind) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or_else(|| {
            refused("the address in the Redis URL begins with `[` and has no `]`; write [::1]:6379")
        })?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match behind.strip_prefix(':') {
        None if behind.is_empty() => port,
        Some("") => port,
        Some(digits) => digits.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
            refused("the port in the Redis URL is not a number from 1 to 65535; write [::1]:6379 for IPv6")
        })?,
        None => return Err(refused("behind the address in the Redis URL is no port; write [::1]:6379")),
    };
    let name = decoded(name, "host")?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '%');
    if name.is_empty() {
        return Err(refused("the Redis URL names no host; write redis://host:port/database"));
    }
    if !name.chars().all(is_name) {
        return Err(refused("the host in the Redis URL has a character that no host has"));
    }
    Ok(Host { name, port })
}

/// What stands before the `@`, or in parameters.
fn credentials(
    userinfo: &str,
    user: Option<String>,
    password: Option<String>,
) -> Result<Option<Credentials>> {
    let (name, secret) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let before = (decoded(name, "user name")?, decoded(secret, "password")?);
    let given = |user: String, password: String| match (user.is_empty(), password.is_empty()) {
        (true, true) => None,
        (true, false) => Some(Credentials::password(password)),
        (false, _) => Some(Credentials::new(user, password)),
    };
    match (given(before.0, before.1), given(user.unwrap_or_default(), password.unwrap_or_default())) {
        (Some(_), Some(_)) => {
            Err(refused("the Redis URL has user or password twice: before its host and as a parameter"))
        }
        (one, other) => Ok(one.or(other)),
    }
}

/// The number behind the host, or the parameter.
fn database(path: &str, parameter: Option<&str>) -> Result<i64> {
    let number = |text: &str| {
        text.parse::<u32>()
            .map(i64::from)
            .map_err(|_| refused("the database in the Redis URL is not a number from 0"))
    };
    let path = path.strip_suffix('/').unwrap_or(path);
    match (path, parameter) {
        ("", None) => Ok(0),
        (path, None) => number(path),
        ("", Some(parameter)) => number(parameter),
        (path, Some(parameter)) if number(path)? == number(parameter)? => number(path),
        _ => Err(refused("the Redis URL names two databases: behind its host and as a parameter")),
    }
}

impl Query {
    fn parse(text: &str) -> Result<Self> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // `pass` is what redis-rs calls it.
            let place = match name {
                "db" => &mut query.db,
                "user" => &mut query.user,
                "password" | "pass" => &mut query.password,
                "protocol" => &mut query.protocol,
                "server_name" => &mut query.tls.server_name,
                "sentinel_user" => &mut query.sentinel_user,
                "sentinel_password" => &mut query.sentinel_password,
                "ca" => {
                    query.tls.ca = Some(decoded(value, "ca")?.into());
                    continue;
                }
                "cert" => {
                    query.tls.cert = Some(decoded(value, "cert")?.into());
                    continue;
                }
                "key" => {
                    query.tls.key = Some(decoded(value, "key")?.into());
                    continue;
                }
                "insecure" => {
                    query.tls.insecure = match value {
                        "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err(refused("insecure in the Redis URL must be true or false")),
                    };
                    continue;
                }
                _ => {
                    return Err(refused(format!(
                        "the Redis URL has an unknown parameter; known are {KNOWN}. In a password, write `&` as %26 \
                         and `?` as %3F"
                    )));
                }
            };
            *place = Some(decoded(value, "parameter")?);
        }
        Ok(query)
    }
}

/// Text with `%40` for `@`.
fn decoded(text: &str, part: &'static str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.first()), digit(rest.get(1))) else {
            return Err(refused(format!(
                "the {part} in the Redis URL has a `%` without two digits; write %25"
            )));
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| refused(format!("the {part} in the Redis URL is not UTF-8")))
}

fn lacks(what: &str, feature: &str) -> Error {
    refused(format!(
        "the Redis URL asks for {what}, which needs the `{feature}` feature, which is not built in"
    ))
}

pub(super) fn refused(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(url: &str) -> Option<Credentials> {
        match parse(url).expect(url).login {
            Login::Known(credentials) => Some(credentials),
            _ => None,
        }
    }

    fn one(name: &str, port: u16) -> Place {
        Place::One(Host { name: name.to_owned(), port })
    }

    #[test]
    fn a_server_is_named_by_host_port_and_database() {
        for (url, place, database) in [
            ("redis://localhost", one("localhost", 6379), 0),
            ("redis://localhost/", one("localhost", 6379), 0),
            ("valkey://10.0.0.7:6380/3", one("10.0.0.7", 6380), 3),
            ("redis://[::1]:6381?db=4", one("::1", 6381), 4),
            ("redis://[fe80::1%25eth0]", one("fe80::1%eth0", 6379), 0),
            ("redis://my_cache.internal:6379/2/", one("my_cache.internal", 6379), 2),
            ("unix:///run/redis.sock?db=5", Place::Socket("/run/redis.sock".into()), 5),
            ("redis+unix:///a%20b", Place::Socket("/a b".into()), 0),
            ("valkey+unix:///a", Place::Socket("/a".into()), 0),
        ] {
            let target = parse(url).expect(url);
            assert_eq!((target.place, target.database), (place, database), "{url}");
            #[cfg(feature = "tls")]
            assert!(target.tls.is_none(), "{url}");
        }
    }

    #[test]
    fn user_and_password_stand_before_the_host_or_as_parameters() {
        for (url, expected) in [
            ("redis://h", None),
            ("redis://@h", None),
            ("redis://:@h", None),
            ("redis://:pw@h", Some(Credentials::password("pw"))),
            ("redis://app:p%40w%2F%3f%23@h", Some(Credentials::new("app", "p@w/?#"))),
            ("redis://app:a@b@h", Some(Credentials::new("app", "a@b"))),
            ("redis://app:a:b@h", Some(Credentials::new("app", "a:b"))),
            ("redis://app@h", Some(Credentials::new("app", ""))),
            ("redis://user:a%2Cb@h", Some(Credentials::new("user", "a,b"))),
            ("unix:///s?user=app&pass=a+b%3D", Some(Credentials::new("app", "a+b="))),
            ("redis://h?password=pw", Some(Credentials::password("pw"))),
        ] {
            assert!(login(url) == expected, "{url}");
        }
    }

    #[test]
    fn the_protocol_is_a_parameter() {
        for (url, protocol) in [
            ("redis://h", ProtocolVersion::RESP2),
            ("redis://h?protocol=resp3", ProtocolVersion::RESP3),
            ("redis://h?protocol=3&db=1", ProtocolVersion::RESP3),
            ("redis://h?protocol=resp2", ProtocolVersion::RESP2),
        ] {
            assert_eq!(parse(url).expect(url).protocol, protocol, "{url}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_has_a_scheme_and_parameters() {
        for scheme in ["rediss", "valkeys"] {
            let target = parse(&format!("{scheme}://h:7000/1")).expect("acceptable");
            assert_eq!((target.place, target.database), (one("h", 7000), 1));
            assert_eq!(target.tls, Some(TlsParts::default()));
        }
        let url = "rediss://h?ca=/etc/ca%20x.pem&cert=/c.pem&key=/k.pem&server_name=cache.internal";
        let expected = TlsParts {
            ca: Some("/etc/ca x.pem".into()),
            cert: Some("/c.pem".into()),
            key: Some("/k.pem".into()),
            server_name: Some("cache.internal".to_owned()),
            insecure: false,
        };
        assert_eq!(parse(url).expect(url).tls, Some(expected));
        for url in ["rediss://h#insecure", "rediss://h?insecure=true"] {
            assert!(parse(url).expect(url).tls.is_some_and(|tls| tls.insecure), "{url}");
        }
    }

    #[cfg(feature = "sentinel")]
    #[test]
    fn sentinels_are_named_with_what_they_watch() {
        let url =
            "redis+sentinel://app:pw@s1,s2:7000,[::1]/prime%2Fary/2?sentinel_user=w&sentinel_password=x";
        let target = parse(url).expect(url);
        let host = |name: &str, port| Host { name: name.to_owned(), port };
        let expected = SentinelParts {
            hosts: vec![host("s1", 26379), host("s2", 7000), host("::1", 26379)],
            name: "prime/ary".to_owned(),
            credentials: Some(Credentials::new("w", "x")),
        };
        assert_eq!((target.place, target.database), (Place::Sentinels(expected.clone()), 2));
        assert!(login(url) == Some(Credentials::new("app", "pw")));
        let valkey = parse(&url.replace("redis", "valkey")).expect(url);
        assert_eq!((valkey.place, valkey.database), (Place::Sentinels(expected), 2));
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn nodes_of_a_cluster_are_named_one_by_one() {
        let host = |name: &str, port| Host { name: name.to_owned(), port };
        let expected = vec![host("n1", 6379), host("n2", 7000), host("::1", 7001)];
        for scheme in ["redis", "valkey"] {
            let target = parse(&format!("{scheme}+cluster://app:pw@n1,n2:7000,[::1]:7001/0"));
            let target = target.expect("acceptable");
            assert_eq!((target.place, target.database), (Place::Cluster(expected.clone()), 0), "{scheme}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_quoted() {
        for (url, says) in [
            ("hunter2", "no scheme"),
            ("http://u:hunter2@host", "unknown scheme"),
            ("redis+hunter2://host", "unknown scheme"),
            ("rediss+unix:///hunter2", "unknown scheme"),
            #[cfg(not(feature = "cluster"))]
            ("redis+cluster://:hunter2@a,b", "`cluster` feature"),
            #[cfg(feature = "cluster")]
            ("redis+cluster://:hunter2@a,b/1", "one database"),
            #[cfg(feature = "cluster")]
            ("redis+cluster://:hunter2@a,,b", "no host"),
            ("redis://:hunter2@a,b", "several hosts"),
            ("redis://:hunter2@", "no host"),
            ("redis://", "no host"),
            ("redis://:hunter2@ho st", "the host"),
            ("redis://:hunter2@host:0", "the port"),
            ("redis://:hunter2@host:hunter2", "the port"),
            ("redis://:hunter2@::1:6379", "[::1]:6379"),
            ("redis://:hunter2@[::1", "no `]`"),
            ("redis://:hunter2@[::1]6379", "no port"),
            ("redis://:hunter2@host/hunter2", "the database"),
            ("redis://:hunter2@host/-1", "the database"),
            ("redis://:hunter2@host/1?db=2", "two databases"),
            ("redis://:hunter2@host?protocol=hunter2", "the protocol"),
            ("redis://:hunter2@host?hunter2=1", "unknown parameter"),
            ("redis://:hunter2@host?password=hunter2", "twice"),
            ("redis://:hun/ter2@host", "behind its hosts"),
            ("redis://:hunter2#x@host", "behind `#`"),
            ("redis://:hunter2%@host", "the password"),
            ("redis://%zz:hunter2@host", "the user name"),
            ("redis://:%ffhunter2@host", "UTF-8"),
            ("redis://:hunter2@host?ca=/hunter2", "rediss://"),
            ("redis://:hunter2@host#insecure", "rediss://"),
            ("redis://:hunter2@host?insecure=hunter2", "true or false"),
            ("redis://:hunter2@host?sentinel_password=hunter2", "redis+sentinel://"),
            ("unix://hunter2", "no socket"),
            ("unix:///", "no socket"),
            #[cfg(not(feature = "tls"))]
            ("rediss://:hunter2@host", "`tls` feature"),
            #[cfg(not(feature = "sentinel"))]
            ("redis+sentinel://:hunter2@a,b/name", "`sentinel` feature"),
            #[cfg(feature = "sentinel")]
            ("redis+sentinel://:hunter2@a,b", "name the primary"),
            #[cfg(feature = "sentinel")]
            ("redis+sentinel://:hunter2@a,,b/name", "no host"),
        ] {
            let Err(error) = parse(url) else { panic!("{url} is acceptable") };
            assert_eq!(error.kind(), ErrorKind::Config);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(says), "{url}: {shown}");
            assert!(!shown.contains("hunter2") && !shown.contains("ter2"), "{shown}");
        }
    }
}
