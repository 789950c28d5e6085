//! TLS: whom is trusted, who is refused and why; never a word in plain text.
//!
//! Which mechanism each test is there for:
//!
//! | mechanism | test |
//! |---|---|
//! | the certificate is checked against a CA | `a_server_that_cannot_prove_who_it_is_is_refused_and_why_is_told` |
//! | the certificate is checked against a name | the same, and `the_name_in_a_certificate_may_be_another_than_the_hosts` |
//! | an alert that comes after the handshake is told | `a_server_that_asks_for_a_certificate_gets_it_or_is_told` |
//! | all kinds of connections are encrypted | `pushes_scans_and_tracking_are_encrypted_too` |
//!
//! Certificates on a cluster and by way of sentinels have a file of their own.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cachemacro_runtime::store::redis::{RedisConfig, RedisStore, TlsConfig};
use cachemacro_runtime::store::{LeaseKind, LeaseRequest, Store, Token};
use cachemacro_runtime::{Cache, Error, ErrorKind};
use cachemacro_tests::authority::{Authority, TlsServer};
use cachemacro_tests::history::{Counts, Fleet, Plan};
use cachemacro_tests::proxy::Fault;
use cachemacro_tests::{DEADLINE, FaultProxy, Single as _, namespace, rounds, wait_until};

use crate::leaks::{Leaks, is_whole};

/// A server that everybody of this process may use, and whom it trusts.
pub(crate) fn shared() -> (&'static TlsServer, &'static Authority) {
    static SHARED: OnceLock<(TlsServer, Authority)> = OnceLock::new();
    let (server, authority) = SHARED.get_or_init(|| {
        let authority = Authority::new("shared");
        (TlsServer::start(&authority, &authority.signs(&["localhost"]), false), authority)
    });
    (server, authority)
}

fn store(config: RedisConfig) -> RedisStore {
    RedisStore::new(config.connect_timeout(DEADLINE).command_timeout(DEADLINE)).expect("acceptable")
}

async fn refused(url: &str) -> Error {
    let error = store(RedisConfig::new(url)).connect().await.expect_err("it is no server for us");
    assert_eq!(error.kind(), ErrorKind::Connect);
    error
}

#[tokio::test]
async fn a_server_that_cannot_prove_who_it_is_is_refused_and_why_is_told() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let good = TlsServer::start(&ours, &ours.signs(&["localhost"]), false);
    store(RedisConfig::new(good.url(&ours))).connect().await.expect("it proves who it is");
    let stale = TlsServer::start(&ours, &ours.signed_long_ago(&["localhost"]), false);
    let other = TlsServer::start(&ours, &ours.signs(&["elsewhere"]), false);
    for (url, says) in [
        (good.url(&theirs), "a CA that is not trusted"),
        (good.bare_url(), "a CA that is not trusted"),
        (stale.url(&ours), "has expired"),
        (other.url(&ours), "for another name"),
    ] {
        let error = refused(&url).await;
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    // Whoever says so in so many words, takes anybody.
    for server in [&good, &stale, &other] {
        let url = format!("{}?insecure=true", server.bare_url());
        store(RedisConfig::new(url)).connect().await.expect("anybody is taken");
    }
}

#[tokio::test]
async fn the_name_in_a_certificate_may_be_another_than_the_hosts() {
    let authority = Authority::new("ours");
    let server = TlsServer::start(&authority, &authority.signs(&["cache.internal"]), false);
    let url = format!("{}&server_name=cache.internal", server.url(&authority));
    store(RedisConfig::new(url)).connect().await.expect("it is for that name");
    let tls = TlsConfig::new().ca(authority.pem()).server_name("cache.internal");
    store(RedisConfig::new(server.bare_url()).tls(tls)).connect().await.expect("it is for that name");
    let by_address = TlsServer::start(&authority, &authority.signs(&["127.0.0.1"]), false);
    let url = by_address.url(&authority).replace("localhost", "127.0.0.1");
    store(RedisConfig::new(url)).connect().await.expect("it is for that address");
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_it_or_is_told() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    for version in ["TLSv1.2", "TLSv1.3"] {
        let args = ["--tls-protocols", version];
        let server = TlsServer::with_args(&ours, &ours.signs(&["localhost"]), true, &args);
        let with = |identity: &cachemacro_tests::authority::Identity| {
            let (certificate, key) = (identity.certificate.display(), identity.key.display());
            format!("{}&cert={certificate}&key={key}", server.url(&ours))
        };
        let shop = ours.signs(&["shop"]);
        store(RedisConfig::new(with(&shop))).connect().await.expect("it has one");
        let read = |path: &Path| std::fs::read(path).expect("its file is there");
        let tls =
            TlsConfig::new().ca(ours.pem()).client_certificate(read(&shop.certificate), read(&shop.key));
        store(RedisConfig::new(server.bare_url()).tls(tls)).connect().await.expect("it has one");
        let error = refused(&server.url(&ours)).await;
        assert!(error.to_string().contains("client certificate"), "{version}: {error}");
        for bad in [theirs.signs(&["shop"]), ours.signed_long_ago(&["shop"])] {
            let error = refused(&with(&bad)).await;
            assert!(error.to_string().contains("client certificate"), "{version}: {error}");
        }
    }
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let authority = Authority::new("ours");
    let (one, other) = (authority.signs(&["a"]), authority.signs(&["b"]));
    let (ca, cert, key) = (authority.file(), one.certificate, one.key);
    for (url, says) in [
        (format!("rediss://h?ca={}/hunter2", ca.display()), "ca in the Redis URL"),
        (format!("rediss://h?ca={}", key.display()), "the CA"),
        (format!("rediss://h?ca={}&cert={}", ca.display(), cert.display()), "go together"),
        (format!("rediss://h?ca={0}&cert={1}&key={1}", ca.display(), cert.display()), "private key"),
        (
            format!("rediss://h?ca={}&cert={}&key={}", ca.display(), cert.display(), other.key.display()),
            "go together",
        ),
        ("rediss://h?insecure=true&server_name=a+b".to_owned(), "server name"),
    ] {
        let error = RedisStore::new(RedisConfig::new(url)).expect_err("refused");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(says) && error.kind() == ErrorKind::Config, "{says}: {shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

/// Answers in plain text whatever is said, and gives what was said.
fn listen() -> (u16, std::thread::JoinHandle<Vec<u8>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        let mut heard = vec![0; 64 * 1024];
        let length = stream.read(&mut heard).expect("something is said");
        heard.truncate(length);
        let _ = stream.write_all(b"-ERR unknown command\r\n");
        let _ = stream.read_to_end(&mut heard);
        heard
    });
    (port, heard)
}

#[tokio::test]
async fn nothing_is_said_in_plain_text_to_what_does_not_speak_tls() {
    let (port, heard) = listen();
    let error = refused(&format!("rediss://:hunter2@localhost:{port}?insecure=true")).await;
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
    let heard = heard.join().expect("it heard");
    assert_eq!(heard.first(), Some(&0x16), "a handshake of TLS begins so");
    assert!(!heard.windows(7).any(|bytes| bytes == b"hunter2"));
}

#[tokio::test]
async fn a_plain_url_to_a_server_that_speaks_tls_alone_fails_with_an_error() {
    let (server, _) = shared();
    let error = refused(&format!("redis://localhost:{}", server.port())).await;
    assert!(!error.to_string().is_empty());
}

/// Everything that has a connection of its own.
#[tokio::test]
async fn pushes_scans_and_tracking_are_encrypted_too() {
    let authority = Authority::new("ours");
    let server = TlsServer::start(&authority, &authority.signs(&["localhost"]), false);
    let admin = &mut server.server.client().await;
    let ns = namespace();
    let settings = Cache::builder().redis(server.url(&authority)).namespace(&ns).command_timeout(DEADLINE);
    let cache = settings.local(Duration::from_mins(1)).build().expect("acceptable settings");
    let entry = cache.entry::<u32>("n", 1);
    wait_until("changes are told", DEADLINE, async || {
        entry.get_or_load(async || 7).await;
        let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(admin).await.expect("it tells");
        clients.lines().any(|client| client.contains("flags=tB") || client.contains("flags=Bt"))
    })
    .await;
    cache.evict_prefix("n").await.expect("scanned");
    let store = store(RedisConfig::new(server.url(&authority)));
    let lease = LeaseRequest::new("k", Token::random(), LeaseKind::Load, Duration::from_mins(1));
    store.lease_one(lease).await.expect("lease");
    wait_until("the waiter is tracked", DEADLINE, async || {
        let changes = store.changes().expect("it tells");
        changes.changed("k", Duration::from_millis(20)).await;
        changes.are_told()
    })
    .await;
    // Of all who came to the plain port, none is of a store.
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(admin).await.expect("it tells");
    let plain = format!("laddr=127.0.0.1:{} ", server.server.port());
    assert_eq!(clients.lines().filter(|client| client.contains(&plain)).count(), 1, "{clients}");
}

/// Upholds G1.
#[tokio::test]
async fn a_history_over_tls_has_no_stale_read() {
    let authority = Arc::new(Authority::new("ours"));
    let server = TlsServer::start(&authority, &authority.signs(&["localhost"]), false);
    let plan = Plan { tasks: 8, rows: 4, rest_millis: 0, patient: true, ..Plan::default() };
    let url = server.url(&authority);
    let mut fleet = Fleet::start(env!("CARGO_BIN_EXE_history_worker"), &url, &plan, 1).await;
    fleet.until("they are warm", 2 * DEADLINE, |done| done.hits > 100 && done.evicts > 50).await;
    let servers = std::slice::from_ref(&server.server);
    let leaks = Leaks::from_now_on(&mut fleet, &plan).await.and_leases(&fleet, servers);
    let enough = |done: &Counts| done.reads > 2_000 && done.hits > 300 && done.evicts > 300;
    fleet.until("the processes do a lot", 2 * DEADLINE, enough).await;
    fleet.stop().await;
    leaks.none(&mut fleet).await;
    let report = fleet.report(true).await;
    is_whole(&report);
    assert_eq!((report.stale, report.failed_evicts), (vec![], vec![]));
}

/// Upholds G1, G2 and G6: records of TLS that are late, cut off or lost end a connection, and nothing else.
#[tokio::test]
async fn while_the_network_is_broken_no_read_over_tls_is_stale() {
    let authority = Authority::new("ours");
    let server = TlsServer::start(&authority, &authority.signs(&["localhost"]), false);
    let proxy = FaultProxy::start(&format!("127.0.0.1:{}", server.port()));
    let url = format!("rediss://localhost:{}?ca={}", proxy.port(), authority.file().display());
    let plan = Plan { tasks: 8, rows: 64, rest_millis: 5, local: true, guarded: false, ..Plan::default() };
    let mut fleet = Fleet::start(env!("CARGO_BIN_EXE_history_worker"), &url, &plan, 1).await;
    let mut leaks = None;
    for round in 0..=rounds(10) {
        let before = fleet.counts().await;
        let enough = |done: &Counts| done.hits > before.hits + 200 && done.local >= before.local + 50;
        fleet.until("they go on", 4 * DEADLINE, enough).await;
        if leaks.is_none() {
            let servers = std::slice::from_ref(&server.server);
            leaks = Some(Leaks::from_now_on(&mut fleet, &plan).await.and_leases(&fleet, servers));
        }
        if round < rounds(10) {
            Fault::of_round(round).strike(&proxy, round).await;
        }
    }
    fleet.stop().await;
    leaks.expect("there was a round").none(&mut fleet).await;
    let report = fleet.report(true).await;
    println!("{} faults of the network, over TLS: {}", rounds(10), report.summary());
    is_whole(&report);
    assert_eq!(report.stale, []);
    let latest = Duration::from_micros(report.counts.latest);
    assert!(latest < Duration::from_secs(2), "a copy was late by {latest:.1?}");
}
