//! The proxy as a program, between clients and an origin, in memory and on Redis.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cachemacro_tests::server::free_port;
use cachemacro_tests::{DEADLINE, RedisServer, namespace, without_settings};

/// An origin whose every answer has a number of its own, and closes its connection.
struct Origin {
    asked: Arc<AtomicUsize>,
    port: u16,
}

impl Origin {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if reader.read_line(&mut head).unwrap_or_default() == 0 {
                        break;
                    }
                }
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let says = if head.contains(" /private ") { "no-store" } else { "max-age=60" };
                let body = format!("answer {number}");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncache-control: {says}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = reader.into_inner().write_all(answer.as_bytes());
            }
        });
        Self { asked, port }
    }
}

/// A process that is ended where its test ends.
struct Proxy {
    process: Child,
    port: u16,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Proxy {
    fn start(origin: u16, settings: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cachemacro-proxy"));
        let command = without_settings(&mut command).envs(settings.iter().copied());
        let command = command.args([format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{origin}")]);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it is built");
        let mut said = String::new();
        let out = process.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut said).expect("it says where it listens");
        assert_eq!(said, format!("listening on 127.0.0.1:{port}\n"));
        Self { process, port }
    }

    /// What is answered: the status, the word of X-Cache, the body.
    fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: shop\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it is read");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer within its deadline");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let word = head.lines().find_map(|line| line.strip_prefix("x-cache: ")).unwrap_or_default();
        (status, word.to_owned(), body.to_owned())
    }
}

fn is_a_cache_between(proxies: [&Proxy; 2], origin: &Origin) {
    let [one, other] = proxies;
    let answer = |word: &str, number: u32| (200, word.to_owned(), format!("answer {number}"));
    assert_eq!(one.ask("GET", "/page"), answer("MISS", 1));
    assert_eq!(other.ask("GET", "/page"), answer("HIT", 1));
    assert_eq!(one.ask("GET", "/page?view=short"), answer("MISS", 2));
    assert_eq!(one.ask("GET", "/private"), answer("MISS", 3));
    assert_eq!(one.ask("GET", "/private"), answer("MISS", 4), "it is not stored");
    // What changes the page evicts all of it, for whoever asks.
    assert_eq!(one.ask("POST", "/page").2, "answer 5");
    assert_eq!(other.ask("GET", "/page"), answer("MISS", 6));
    assert_eq!(one.ask("GET", "/page?view=short"), answer("MISS", 7));
    assert_eq!(one.ask("GET", "/page"), answer("HIT", 6));
    assert_eq!(origin.asked.load(Ordering::SeqCst), 7);
}

#[test]
fn it_stands_between_in_memory() {
    let origin = Origin::start();
    let proxy = Proxy::start(origin.port, &[("CACHEMACRO_STORE", "memory")]);
    is_a_cache_between([&proxy, &proxy], &origin);
}

#[test]
fn two_of_them_share_a_redis() {
    let (server, namespace, origin) = (RedisServer::shared(), namespace(), Origin::start());
    let url = server.url();
    let settings = [("REDIS_URL", &*url), ("CACHEMACRO_NAMESPACE", &*namespace)];
    let (one, other) = (Proxy::start(origin.port, &settings), Proxy::start(origin.port, &settings));
    is_a_cache_between([&one, &other], &origin);
}

#[test]
fn an_origin_that_is_not_there_is_a_502() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let gone = listener.local_addr().expect("it is bound").port();
    drop(listener);
    let proxy = Proxy::start(gone, &[("CACHEMACRO_STORE", "memory")]);
    assert_eq!(proxy.ask("GET", "/page").0, 502);
}
