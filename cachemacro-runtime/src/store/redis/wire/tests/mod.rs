//! The connection against a server that the test plays, over a stream in memory.

mod ending;
mod silence;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

use super::frame::Scan;
use super::{Asked, Broken, Cause, Packed, Reply, Unread, Wire};

const PATIENCE: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(60);

/// The other end of a connection.
struct Server {
    stream: DuplexStream,
    buffer: BytesMut,
}

impl Server {
    /// The next command, in words.
    async fn command(&mut self) -> Option<String> {
        let mut scan = Scan::default();
        loop {
            if let Some(length) = scan.advance(&self.buffer).expect("commands are arrays of strings") {
                let frame = self.buffer.split_to(length).freeze();
                let Ok(Reply::Array(parts)) = Reply::parse(&frame) else { panic!("no array: {frame:?}") };
                let words = parts.into_iter().map(|part| match part {
                    Reply::Bytes(word) => String::from_utf8_lossy(&word).into_owned(),
                    other => panic!("no string: {other:?}"),
                });
                return Some(words.collect::<Vec<_>>().join(" "));
            }
            if timeout(LONG, self.stream.read_buf(&mut self.buffer)).await.expect("it comes").ok()? == 0 {
                return None;
            }
        }
    }

    async fn send(&mut self, reply: &str) {
        self.stream.write_all(reply.as_bytes()).await.expect("someone reads");
    }

    /// Answers reads with the keys themselves, and other commands with OK, until the connection ends; the commands.
    async fn serve(mut self) -> Vec<String> {
        let mut commands = Vec::new();
        while let Some(command) = self.command().await {
            let reply = match command.strip_prefix("MGET ") {
                Some(keys) => values(&keys.split(' ').map(Some).collect::<Vec<_>>()),
                None => "+OK\r\n".to_owned(),
            };
            self.send(&reply).await;
            commands.push(command);
        }
        commands
    }
}

/// [`Server::serve`] on a thread of its own, as a server has one.
fn serve_elsewhere(server: Server) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("built");
        runtime.block_on(server.serve())
    })
}

fn values(values: &[Option<&str>]) -> String {
    let each = values.iter().map(|value| match value {
        Some(value) => format!("${}\r\n{value}\r\n", value.len()),
        None => "$-1\r\n".to_owned(),
    });
    format!("*{}\r\n{}", values.len(), each.collect::<String>())
}

fn connected() -> (Wire, Server) {
    connected_within(PATIENCE)
}

fn connected_within(patience: Duration) -> (Wire, Server) {
    let (ours, stream) = duplex(1 << 20);
    (Wire::new(ours, patience, Box::new(|_| {})), Server { stream, buffer: BytesMut::new() })
}

fn keys<'a>(keys: &'a [&'a str]) -> impl Iterator<Item = &'a [u8]> + Clone {
    keys.iter().map(|key| key.as_bytes())
}

async fn read(wire: &Wire, asked: &[&str]) -> Result<Vec<Option<String>>, Unread> {
    let found = wire.read(keys(asked), None).await.answer().await?;
    let text = |bytes: Bytes| String::from_utf8_lossy(&bytes).into_owned();
    Ok((0..asked.len()).map(|key| found.bytes(key).map(text)).collect())
}

async fn call(wire: &Wire, commands: Packed) -> Result<Vec<Reply>, Broken> {
    wire.call(commands).await.answer().await
}

fn command(words: &str) -> Packed {
    let mut packed = Packed::default();
    let words: Vec<_> = words.split(' ').collect();
    packed.command(words.len());
    for word in words {
        packed.part(word);
    }
    packed
}

fn ok() -> Reply {
    Reply::Status(Bytes::from_static(b"OK"))
}

#[tokio::test]
async fn a_read_finds_what_is_there_and_what_is_not() {
    let (wire, mut server) = connected();
    let (read, ()) = tokio::join!(read(&wire, &["a", "b", "c"]), async {
        assert_eq!(server.command().await.as_deref(), Some("MGET a b c"));
        server.send(&values(&[Some("1"), None, Some("")])).await;
    });
    assert_eq!(read.expect("answered"), [Some("1".to_owned()), None, Some(String::new())]);
}

/// On one worker, whose queue runs what was woken last before what waits longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn reads_of_tasks_that_are_ready_together_are_one_command_with_each_key_once() {
    let on_the_worker = async {
        let (wire, server) = connected();
        let wire = Arc::new(wire);
        let served = serve_elsewhere(server);
        for _ in 0..6 {
            let readers = (0..30).map(|reader| {
                let wire = Arc::clone(&wire);
                tokio::spawn(async move {
                    let mine = format!("key{}", reader % 10);
                    let found = read(&wire, &[&mine, "tag", "other"]).await.expect("answered");
                    assert_eq!(found, [Some(mine), Some("tag".to_owned()), Some("other".to_owned())]);
                })
            });
            for reader in join_all(readers).await {
                reader.expect("it found its own");
            }
        }
        drop(wire);
        served
    };
    let served = tokio::spawn(on_the_worker).await.expect("no panic");
    let commands = served.join().expect("it served");
    // Until it is known that there are several and how large values are, they go alone or few at a time.
    let keys = commands[commands.len() - 3..].iter().map(|command| command.split(' ').count() - 1);
    assert!(keys.eq([10 + 2; 3]), "{commands:?}");
}

#[tokio::test]
async fn many_keys_and_callers_are_spread_over_batches() {
    let (wire, server) = connected();
    let wire = Arc::new(wire);
    let served = tokio::spawn(server.serve());
    let readers = (0..500).map(|reader| {
        let wire = Arc::clone(&wire);
        tokio::spawn(async move {
            let mine: Vec<String> = (0..=reader % 60).map(|key| format!("{reader}-{key}")).collect();
            let asked: Vec<&str> = mine.iter().map(String::as_str).collect();
            let found = read(&wire, &asked).await.expect("answered");
            assert!(found.into_iter().flatten().eq(mine));
        })
    });
    for reader in join_all(readers).await {
        reader.expect("it found its own");
    }
    drop(wire);
    let most = served.await.expect("it served").iter().map(|command| command.split(' ').count()).max();
    assert!(most <= Some(1 + 64));
}

/// On one worker, whose queue runs what was woken last before what waits longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_caller_alone_is_sent_at_once_and_two_soon_go_together() {
    let on_the_worker = async {
        let (wire, server) = connected();
        let wire = Arc::new(wire);
        let served = serve_elsewhere(server);
        let callers = (0..2).map(|caller| {
            let wire = Arc::clone(&wire);
            tokio::spawn(async move {
                for round in 0..100 {
                    read(&wire, &[&format!("{caller}-{round}")]).await.expect("answered");
                }
            })
        });
        join_all(callers).await;
        drop(wire);
        served
    };
    let served = tokio::spawn(on_the_worker).await.expect("no panic");
    let commands = served.join().expect("it served");
    // One each would be 200.
    assert!(commands.len() < 150, "{} commands", commands.len());
}

#[tokio::test]
async fn reads_go_behind_the_commands_that_came_before_them() {
    let (wire, mut server) = connected();
    let (set, found, after, seen) = tokio::join!(
        call(&wire, command("SET k v")),
        read(&wire, &["k"]),
        call(&wire, command("SET k w")),
        async {
            let mut seen = Vec::new();
            for _ in 0..3 {
                let command = server.command().await.expect("three");
                server.send(if command == "MGET k" { "*1\r\n$1\r\nv\r\n" } else { "+OK\r\n" }).await;
                seen.push(command);
            }
            seen
        }
    );
    assert_eq!((found, set, after), (Ok(vec![Some("v".to_owned())]), Ok(vec![ok()]), Ok(vec![ok()])));
    assert_eq!(seen, ["SET k v", "MGET k", "SET k w"]);
}

#[tokio::test]
async fn reads_have_their_turn_while_more_and_more_is_written() {
    let (ours, stream) = duplex(4 * 1024);
    let wire = Wire::new(ours, LONG, Box::new(|_| {}));
    let served = tokio::spawn(Server { stream, buffer: BytesMut::new() }.serve());
    let large = "v".repeat(1 << 20);
    let is_read = std::cell::Cell::new(false);
    let writers = (0..4).map(|_| async {
        for _ in 0..30 {
            if is_read.get() {
                return 0;
            }
            call(&wire, command(&format!("SET k {large}"))).await.expect("answered");
        }
        1
    });
    let (left, ()) = tokio::join!(join_all(writers), async {
        // Behind some of them, and more come while it waits.
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(read(&wire, &["k"]).await.is_ok());
        is_read.set(true);
    });
    assert_eq!(left, [0; 4], "it was answered before the last of them");
    drop(wire);
    served.await.expect("it served");
}

#[tokio::test]
async fn a_reply_in_pieces_is_put_together_and_errors_are_replies() {
    let (wire, mut server) = connected();
    let mut two = command("EVALSHA x");
    two.command(1).part("PING");
    let (replies, ()) = tokio::join!(call(&wire, two), async {
        server.command().await;
        for byte in "*3\r\n:1\r\n*-1\r\n$5\r\nhello\r\n-ERR no\r\n".bytes() {
            server.stream.write_all(&[byte]).await.expect("someone reads");
            yield_now().await;
        }
    });
    let whole = Reply::Array(vec![Reply::Int(1), Reply::Nil, Reply::Bytes("hello".into())]);
    assert_eq!(replies, Ok(vec![whole, Reply::Error("ERR no".into())]));
}

#[tokio::test]
async fn a_refused_read_is_told_to_all_of_its_batch() {
    let (wire, mut server) = connected();
    let (first, second, ()) = tokio::join!(read(&wire, &["a"]), read(&wire, &["b"]), async {
        server.command().await;
        server.send("-LOADING data\r\n").await;
    });
    assert_eq!(first, Err(Unread::Refused("LOADING data".into())));
    assert_eq!(second, Err(Unread::Refused("LOADING data".into())));
}

#[tokio::test]
async fn who_may_not_read_a_key_keeps_nobody_else_from_reading() {
    let (wire, mut server) = connected();
    let (allowed, forbidden, ()) = tokio::join!(read(&wire, &["a"]), read(&wire, &["secret"]), async {
        for _ in 0..3 {
            match server.command().await.as_deref() {
                Some("MGET a") => server.send(&values(&[Some("1")])).await,
                _ => server.send("-NOPERM this user has no permissions to access one of the keys\r\n").await,
            }
        }
    });
    assert_eq!(allowed, Ok(vec![Some("1".to_owned())]));
    assert!(matches!(forbidden, Err(Unread::Refused(_))), "{forbidden:?}");
}

#[tokio::test]
async fn who_goes_away_before_the_flush_is_not_sent_and_disturbs_nobody() {
    let (wire, mut server) = connected();
    // One is under way, so that what follows waits behind the ready tasks.
    let mut first = Box::pin(read(&wire, &["first"]));
    assert!(poll_fn(|cx| Poll::Ready(first.poll_unpin(cx).is_pending())).await);
    assert_eq!(server.command().await.as_deref(), Some("MGET first"));
    {
        let mut gone = Box::pin(read(&wire, &["gone"]));
        let mut called = Box::pin(call(&wire, command("DEL gone")));
        poll_fn(|cx| Poll::Ready((gone.poll_unpin(cx).is_pending(), called.poll_unpin(cx).is_pending())))
            .await;
    }
    let mut second = Box::pin(read(&wire, &["second"]));
    assert!(poll_fn(|cx| Poll::Ready(second.poll_unpin(cx).is_pending())).await);
    server.send(&values(&[Some("1")])).await;
    assert_eq!(first.await.expect("answered"), [Some("1".to_owned())]);
    assert_eq!(
        server.command().await.as_deref(),
        Some("MGET gone second"),
        "its batch is one with the other's"
    );
    server.send(&values(&[None, Some("2")])).await;
    assert_eq!(second.await.expect("answered"), [Some("2".to_owned())]);
    drop(Box::pin(read(&wire, &["never polled"])));
    {
        let mut gone = Box::pin(read(&wire, &["gone"]));
        poll_fn(|cx| Poll::Ready(gone.poll_unpin(cx).is_pending())).await;
    }
    let (last, ()) = tokio::join!(read(&wire, &["last"]), async {
        assert_eq!(server.command().await.as_deref(), Some("MGET gone last"));
        server.send(&values(&[None, None])).await;
    });
    assert_eq!(last.expect("answered"), [None]);
}

#[tokio::test]
async fn a_batch_that_everyone_left_is_not_sent() {
    let (wire, mut server) = connected();
    {
        let mut gone = Box::pin(read(&wire, &["gone"]));
        poll_fn(|cx| Poll::Ready(gone.poll_unpin(cx).is_pending())).await;
    }
    yield_now().await;
    yield_now().await;
    let (found, ()) = tokio::join!(read(&wire, &["kept"]), async {
        assert_eq!(server.command().await.as_deref(), Some("MGET kept"));
        server.send(&values(&[Some("1")])).await;
    });
    assert_eq!(found.expect("answered"), [Some("1".to_owned())]);
}

#[tokio::test]
async fn a_connection_that_ends_fails_everyone_and_says_what_was_sent() {
    let (wire, mut server) = connected();
    let (first, second, ()) = tokio::join!(read(&wire, &["a"]), call(&wire, command("SET k v")), async {
        server.command().await;
        drop(server);
    });
    let broken = |broken: Broken| (broken.cause, broken.sent);
    assert_eq!(second.map_err(broken), Err((Cause::Eof, true)));
    assert!(matches!(first, Err(Unread::Broken(Broken { cause: Cause::Eof, sent: true }))), "{first:?}");
    assert!(wire.is_over());
    let late = call(&wire, command("PING")).await;
    assert_eq!(late, Err(Broken { cause: Cause::Eof, sent: false }));
}

#[tokio::test]
async fn few_keys_go_together_until_it_is_known_how_large_values_are() {
    let (wire, mut server) = connected();
    let texts: Vec<String> = (0..10).map(|key| format!("key{key}")).collect();
    let ask = |texts: &[String]| {
        let all = texts.iter().map(|key| {
            let (wire, key) = (&wire, key.clone());
            async move { read(wire, &[&key]).await }
        });
        join_all(all.collect::<Vec<_>>())
    };
    let keys_of = |command: Option<String>| command.expect("sent").split(' ').count() - 1;
    for (large, then) in [(false, 10), (true, 4)] {
        let value = "v".repeat(if large { 1 << 20 } else { 10 });
        let (found, together) = tokio::join!(ask(&texts), async {
            let mut together = Vec::new();
            while together.iter().sum::<usize>() < texts.len() {
                let keys = keys_of(server.command().await);
                server.send(&values(&vec![Some(value.as_str()); keys])).await;
                together.push(keys);
            }
            together
        });
        assert!(found.into_iter().all(|found| found.is_ok()));
        // What a reply showed is taken note of with the next flush.
        let (noted, ()) = tokio::join!(read(&wire, &["k"]), async {
            server.command().await;
            server.send(&values(&[Some(value.as_str())])).await;
        });
        assert!(noted.is_ok());
        assert!(large || together.iter().all(|keys| *keys <= 4), "{together:?}");
        let mut first = 0;
        let (_, ()) = tokio::join!(ask(&texts), async {
            let mut left = texts.len();
            while left > 0 {
                let keys = keys_of(server.command().await);
                server.send(&values(&vec![Some(value.as_str()); keys])).await;
                first = first.max(keys);
                left -= keys;
            }
        });
        assert_eq!(first, then);
    }
}

#[tokio::test]
async fn a_runtime_that_stops_fails_those_who_wait() {
    let (send, mut wires) = mpsc::channel(1);
    let (go_on, stop) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("built");
        runtime.block_on(async {
            let (wire, server) = connected();
            send.send((Arc::new(wire), server)).await.expect("wanted");
        });
        stop.recv().expect("told");
    });
    let (wire, _server) = wires.recv().await.expect("sent");
    let waiting = tokio::spawn(async move { call(&wire, command("PING")).await });
    yield_now().await;
    go_on.send(()).expect("it waits");
    other.join().expect("it stopped");
    let stopped = timeout(LONG, waiting).await.expect("told").expect("no panic");
    assert_eq!(stopped.map_err(|broken| broken.cause), Err(Cause::Stopped));
}

#[tokio::test]
async fn what_is_not_the_protocol_or_was_not_asked_for_ends_the_connection() {
    for nonsense in
        ["hello\r\n", "*1\r\n:5\r\n", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "$1\r\nab\r\n", "*99999999999\r\n"]
    {
        let (wire, mut server) = connected();
        let (found, ()) = tokio::join!(read(&wire, &["k"]), async {
            server.command().await;
            server.send(nonsense).await;
        });
        let malformed = Unread::Broken(Broken { cause: Cause::Malformed, sent: true });
        assert_eq!(found, Err(malformed), "{nonsense:?}");
    }
    let (wire, mut server) = connected();
    let (asked, ()) = tokio::join!(call(&wire, command("PING")), async {
        server.command().await;
        server.send("+OK\r\n+OK\r\n").await;
    });
    assert_eq!(asked, Ok(vec![ok()]));
    while !wire.is_over() {
        yield_now().await;
    }
}

#[tokio::test]
async fn what_a_server_says_before_it_closes_answers_what_it_is_asked_first() {
    let (wire, mut server) = connected();
    server.send("-ERR max number of clients reached\r\n").await;
    drop(server);
    // The driver may run before anything is asked.
    for _ in 0..10 {
        yield_now().await;
    }
    let (first, second) = tokio::join!(call(&wire, command("TIME")), call(&wire, command("INFO")));
    assert_eq!(first, Ok(vec![Reply::Error("ERR max number of clients reached".into())]));
    assert!(second.is_err(), "{second:?}");
}

#[tokio::test]
async fn pushes_come_between_replies_and_go_to_their_listener() {
    let (ours, stream) = duplex(1 << 16);
    let (send, mut pushes) = mpsc::unbounded_channel();
    let wire = Wire::new(ours, PATIENCE, Box::new(move |push| drop(send.send(push))));
    let mut server = Server { stream, buffer: BytesMut::new() };
    let (found, ()) = tokio::join!(read(&wire, &["k"]), async {
        server.command().await;
        server.send(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n*1\r\n_\r\n>1\r\n+more\r\n").await;
    });
    assert_eq!(found.expect("answered"), [None]);
    let first = pushes.recv().await.expect("pushed");
    let key = Reply::Array(vec![Reply::Bytes("k".into())]);
    assert_eq!(first, Reply::Array(vec![Reply::Bytes("invalidate".into()), key]));
    assert_eq!(pushes.recv().await, Some(Reply::Array(vec![Reply::Status("more".into())])));
}

#[tokio::test]
async fn a_stream_with_a_buffer_of_its_own_is_flushed() {
    let (ours, stream) = duplex(1 << 16);
    let wire = Wire::new(tokio::io::BufStream::new(ours), PATIENCE, Box::new(|_| {}));
    let served = tokio::spawn(Server { stream, buffer: BytesMut::new() }.serve());
    assert_eq!(read(&wire, &["k"]).await, Ok(vec![Some("k".to_owned())]));
    drop(wire);
    assert_eq!(served.await.expect("it served"), ["MGET k"]);
}

#[tokio::test]
async fn large_commands_and_replies_go_both_ways_at_once() {
    let (ours, stream) = duplex(4 * 1024);
    let wire = Wire::new(ours, PATIENCE, Box::new(|_| {}));
    let served = tokio::spawn(Server { stream, buffer: BytesMut::new() }.serve());
    let large = "v".repeat(300_000);
    let calls = (0..20).map(|_| {
        let set = command(&format!("SET k {large}"));
        call(&wire, set)
    });
    let asked = [large.as_str()];
    let reads = (0..20).map(|_| read(&wire, &asked));
    let (calls, reads) = tokio::join!(join_all(calls), join_all(reads));
    assert!(calls.iter().all(|reply| *reply == Ok(vec![ok()])));
    assert!(reads.into_iter().all(|found| found.expect("answered") == [Some(large.clone())]));
    drop(wire);
    let sets = served.await.expect("it served").iter().filter(|command| command.starts_with("SET")).count();
    assert_eq!(sets, 20);
}

#[tokio::test]
async fn more_callers_than_there_is_room_for_wait_outside() {
    let (ours, stream) = duplex(4 * 1024);
    let wire = Arc::new(Wire::new(ours, PATIENCE, Box::new(|_| {})));
    let served = tokio::spawn(Server { stream, buffer: BytesMut::new() }.serve());
    let readers = (0..10_000).map(|reader| {
        let wire = Arc::clone(&wire);
        tokio::spawn(async move {
            let mine = format!("key{reader}");
            assert_eq!(read(&wire, &[&mine]).await.expect("answered"), [Some(mine)]);
        })
    });
    for reader in join_all(readers).await {
        reader.expect("it found its own");
    }
    drop(wire);
    assert!(served.await.expect("it served").len() >= 10_000 / 64);
}
