//! The server's clock, told by a server that stands still or jumps.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// One command: an array of strings.
async fn command(stream: &mut BufReader<TcpStream>) -> Option<Vec<Vec<u8>>> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut parts = vec![Vec::new(); line.trim()[1..].parse().ok()?];
    for part in &mut parts {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let length: usize = line.trim()[1..].parse().ok()?;
        part.resize(length + 2, 0);
        stream.read_exact(part).await.ok()?;
        part.truncate(length);
    }
    Some(parts)
}

/// The header of the latest entry that was sent.
type Sent = Arc<Mutex<Option<Header>>>;

/// A server that knows the time, and answers each script as if it had found it done.
async fn serve(listener: TcpListener, millis: Arc<AtomicI64>, sent: Sent) {
    while let Ok((stream, _)) = listener.accept().await {
        let (millis, sent) = (Arc::clone(&millis), Arc::clone(&sent));
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            while let Some(parts) = command(&mut stream).await {
                if let Some(header) = parts.iter().find_map(|part| Header::parse(part).ok()) {
                    *sent.lock().expect("nobody panics") = Some(header);
                }
                let now = millis.load(Ordering::SeqCst);
                let reply = match &parts[0][..] {
                    b"TIME" => {
                        format!("*2\r\n$7\r\n{:07}\r\n$6\r\n{:06}\r\n", now / 1_000, now % 1_000 * 1_000)
                    }
                    b"EVALSHA" => format!("*2\r\n:1\r\n:{now}\r\n"),
                    _ => "+OK\r\n".to_owned(),
                };
                if stream.write_all(reply.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[tokio::test]
async fn a_server_whose_clock_jumps_is_followed_by_the_next_script() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let millis = Arc::new(AtomicI64::new(5_000_000));
    let serving = tokio::spawn(serve(listener, Arc::clone(&millis), Sent::default()));
    let config = RedisConfig::new(format!("redis://{address}")).command_timeout(DEADLINE).handles(1);
    let store = RedisStore::new(config).expect("config");
    store.connect().await.expect("connected");
    let near = |told: u64, expected: u64| told.abs_diff(expected) < 2_000;
    assert!(near(store.now().millis(), 5_000_000), "{:?}", store.now());
    millis.store(9_000_000, Ordering::SeqCst);
    assert!(store.renew("k", 7, LIFE).await.expect("renewed"));
    assert!(near(store.now().millis(), 9_000_000), "{:?}", store.now());
    serving.abort();
}

#[tokio::test]
async fn what_is_stored_first_of_all_is_dated_by_the_servers_clock() {
    const NOW: u64 = 5_000_000;
    for operation in ["set", "increment"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let sent = Sent::default();
        let millis = Arc::new(AtomicI64::new(NOW.cast_signed()));
        let serving = tokio::spawn(serve(listener, millis, Arc::clone(&sent)));
        let cache = Cache::builder().store(Arc::new(patient(&format!("redis://{address}"))));
        let cache = cache.build().expect("acceptable settings");
        let entry = cache.entry::<i64>("n", 1).with_ttl(LIFE);
        match operation {
            "set" => entry.set(&1).await.expect("set"),
            // This server's answer to it is no sum.
            _ => drop(entry.increment(1).await),
        }
        let header = sent.lock().expect("nobody panics").expect("an entry was sent");
        let ends = NOW + 60_000;
        assert!(header.gone_at.millis().abs_diff(ends) < 20_000, "{operation}: {header:?}");
        serving.abort();
    }
}
