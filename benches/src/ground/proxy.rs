//! A way to a server that takes longer.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Passes bytes on to a port and back. What goes there comes through so much later; more of it may be under way at the
/// same time. Lasts as long as the process. Gives the port to connect to.
pub fn delaying(port: u16, by: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let own = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let back = (copy(&server), copy(&client));
            pass(client, server, by);
            pass(back.0, back.1, Duration::ZERO);
        }
    });
    own
}

fn copy(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a socket")
}

/// Two threads: one reads and notes when it did, the other one writes when it is time. Threads, because a runtime's
/// timers are a millisecond late.
fn pass(mut from: TcpStream, mut to: TcpStream, by: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count) = from.read(&mut buffer) {
            if count == 0 || sender.send((Instant::now() + by, buffer[..count].to_vec())).is_err() {
                break;
            }
        }
    });
    std::thread::spawn(move || {
        for (due, bytes) in receiver {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
