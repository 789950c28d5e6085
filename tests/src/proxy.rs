//! A TCP proxy between client and server that does on demand what networks do to people.
//!
//! It runs on a runtime of its own, so it goes on while a test's runtime is busy, paused or gone.

mod faults;
mod replies;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

pub use self::faults::Fault;
use crate::server::login;

/// What happens to bytes on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    Delay(Duration),
    /// So many bytes a second, in each direction of each connection.
    Narrow(u32),
    /// Each connection ends after so many bytes of its next reply.
    Truncate(usize),
    /// Replies change places with others.
    Swap,
    BlackHole,
    Refuse,
}

/// What happens when a reply is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The connection stays open and says no more.
    Silence,
    /// The connection is closed.
    Close,
    /// Every connection and the port are closed.
    Refuse,
}

/// A proxy in front of one server.
///
/// ```no_run
/// # use cachemacro_tests::{FaultProxy, RedisServer};
/// let server = RedisServer::start();
/// let proxy = FaultProxy::start(&server.address());
/// proxy.black_hole(); // from now on: accepted, never answered
/// proxy.pass();
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Shared {
    upstream: Mutex<String>,
    mode: watch::Sender<Mode>,
    /// Counts the cuts; every connection from before the latest ends.
    cuts: watch::Sender<u64>,
    lose: Mutex<Option<(Vec<u8>, Loss)>>,
    lost: AtomicU64,
    answers: Mutex<Vec<Answer>>,
    answered: AtomicU64,
    accepted: AtomicU64,
    /// Whether replies are passed on whole, so that they can change places.
    whole: AtomicBool,
    swapped: AtomicU64,
    /// The server of each open connection.
    links: Mutex<Vec<String>>,
}

/// What is answered instead of being passed on.
#[derive(Debug)]
struct Answer {
    pattern: Vec<u8>,
    /// What is sent in the place of the command.
    instead: Vec<u8>,
    left: u64,
}

impl FaultProxy {
    /// Starts a proxy on a free port of 127.0.0.1 that passes everything on to `upstream` (`host:port`).
    ///
    /// # Panics
    /// Where no port or thread can be had.
    pub fn start(upstream: &str) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fault-proxy")
            .enable_all()
            .build()
            .expect("a runtime for the proxy");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port on 127.0.0.1");
        listener.set_nonblocking(true).expect("a listener for the runtime");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream.to_owned()),
            mode: watch::channel(Mode::Pass).0,
            cuts: watch::channel(0).0,
            lose: Mutex::new(None),
            lost: AtomicU64::new(0),
            answers: Mutex::default(),
            answered: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            whole: AtomicBool::new(false),
            swapped: AtomicU64::new(0),
            links: Mutex::default(),
        });
        runtime.spawn(accept(Arc::clone(&shared), address, listener));
        Self { shared, address, runtime: Some(runtime) }
    }

    /// `redis://127.0.0.1:port` of the proxy; by the user `shop` where the tests are [to run with few rights](login).
    pub fn url(&self) -> String {
        format!("redis://{}{}", login(), self.address)
    }

    /// `redis://127.0.0.1:port` of the proxy.
    pub fn bare_url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// The port of the proxy.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Passes everything on, at once. Connections that lost bytes stay silent.
    pub fn pass(&self) {
        self.shared.mode.send_replace(Mode::Pass);
    }

    /// Passes everything on, each chunk of each direction so much later.
    pub fn delay(&self, by: Duration) {
        self.shared.mode.send_replace(Mode::Delay(by));
    }

    /// Passes on so many bytes a second in each direction of each connection.
    pub fn narrow(&self, bytes_per_second: u32) {
        self.shared.mode.send_replace(Mode::Narrow(bytes_per_second));
    }

    /// Ends each connection after so many bytes of what the server answers next, those that are opened meanwhile too.
    pub fn truncate(&self, after: usize) {
        self.shared.mode.send_replace(Mode::Truncate(after));
    }

    /// Looks where each reply ends on the connections that are opened from now on: they must be of the protocol.
    pub fn keep_replies_whole(&self) {
        self.shared.whole.store(true, Ordering::SeqCst);
    }

    /// Has replies that come together change places, and the elements of a reply; where they are [kept
    /// whole](Self::keep_replies_whole).
    pub fn swap(&self) {
        self.shared.mode.send_replace(Mode::Swap);
    }

    /// How often replies or their elements changed places so far.
    pub fn swapped(&self) -> u64 {
        self.shared.swapped.load(Ordering::SeqCst)
    }

    /// Accepts connections and swallows all bytes.
    pub fn black_hole(&self) {
        self.shared.mode.send_replace(Mode::BlackHole);
    }

    /// Closes every connection and the port.
    pub fn refuse(&self) {
        self.shared.refuse();
    }

    /// Closes every connection; new ones are welcome.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Forwards the next request that contains `pattern`, then loses the replies on that connection.
    pub fn lose_reply_to(&self, pattern: &[u8], loss: Loss) {
        *lock(&self.shared.lose) = Some((pattern.to_vec(), loss));
    }

    /// How many replies were lost that way so far.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::SeqCst)
    }

    /// Has the next commands that contain `pattern`, as many as `times`, answered with this error (`CODE and text`), in their
    /// place among the others. They do not reach the server.
    pub fn answer(&self, pattern: &[u8], error: &str, times: u64) {
        let script = "return redis.error_reply(ARGV[1])";
        self.replace(pattern, redis::cmd("EVAL").arg(script).arg(0).arg(error), times);
    }

    /// Has the server carry out this instead of the next commands that contain `pattern`, as many as `times`.
    pub fn replace(&self, pattern: &[u8], instead: &redis::Cmd, times: u64) {
        let instead = instead.get_packed_command();
        lock(&self.shared.answers).push(Answer { pattern: pattern.to_vec(), instead, left: times });
    }

    /// Passes commands on again that were to be answered.
    pub fn answer_no_more(&self) {
        lock(&self.shared.answers).clear();
    }

    /// How many commands were answered that way so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Opens connections to another server from now on; those that are open stay as they are.
    pub fn point_at(&self, upstream: &str) {
        upstream.clone_into(&mut lock(&self.shared.upstream));
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections to `upstream` (`host:port`) are open.
    pub fn links_to(&self, upstream: &str) -> usize {
        lock(&self.shared.links).iter().filter(|link| *link == upstream).count()
    }
}

impl Shared {
    fn refuse(&self) {
        self.mode.send_replace(Mode::Refuse);
        self.cut();
    }

    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(shared: Arc<Shared>, address: SocketAddr, listener: std::net::TcpListener) {
    let mut listener = TcpListener::from_std(listener).ok();
    let mut mode = shared.mode.subscribe();
    loop {
        let refusing = *mode.borrow_and_update() == Mode::Refuse;
        if refusing {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await.ok(),
                None if refusing => std::future::pending().await,
                // The port is still being freed.
                None => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    None
                }
            }
        };
        tokio::select! {
            changed = mode.changed() => if changed.is_err() { return },
            accepted = accepted => if let Some((client, _)) = accepted {
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(Arc::clone(&shared), client));
            },
        }
    }
}

/// One client's connection until either side closes it or it is cut.
async fn serve(shared: Arc<Shared>, client: TcpStream) {
    let mut cuts = shared.cuts.subscribe();
    // A cut is a reset, not an orderly end.
    let _ = client.set_zero_linger();
    let piped = async {
        let Some((server, _listed)) = connect(&shared).await else { return };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let link = Link { shared: &shared, silent: AtomicBool::new(false), losing: Mutex::new(None) };
        tokio::select! {
            () = link.requests(from_client, to_server) => {}
            () = link.replies(from_server, to_client) => {}
        }
    };
    tokio::select! {
        () = piped => {}
        _ = cuts.changed() => {}
    }
}

/// Opens the upstream connection, in a black hole only once it is over.
async fn connect(shared: &Shared) -> Option<(TcpStream, Listed<'_>)> {
    let mut mode = shared.mode.subscribe();
    mode.wait_for(|mode| *mode != Mode::BlackHole).await.ok()?;
    let listed = Listed::new(shared);
    let server = TcpStream::connect(&listed.upstream).await.ok()?;
    server.set_nodelay(true).ok()?;
    Some((server, listed))
}

/// A connection in the list of those that are open.
struct Listed<'a> {
    shared: &'a Shared,
    upstream: String,
}

impl<'a> Listed<'a> {
    /// One to where the proxy points now.
    fn new(shared: &'a Shared) -> Self {
        // Locked as long as it takes, so that whoever points elsewhere finds all earlier connections in the list.
        let upstream = lock(&shared.upstream);
        lock(&shared.links).push(upstream.clone());
        Self { shared, upstream: upstream.clone() }
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let mut links = lock(&self.shared.links);
        if let Some(at) = links.iter().position(|link| *link == self.upstream) {
            links.swap_remove(at);
        }
    }
}

struct Link<'a> {
    shared: &'a Shared,
    /// Bytes were swallowed, so whatever comes after them would be out of step.
    silent: AtomicBool,
    losing: Mutex<Option<Loss>>,
}

impl Link<'_> {
    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (mut recent, mut partial) = (Vec::new(), Vec::new());
        let mut chunk = vec![0; 64 * 1024];
        let mut is_tls = None;
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            // A handshake begins so, and no command.
            let is_tls = *is_tls.get_or_insert(chunk[0] == 0x16);
            if !self.may_pass(read).await {
                continue;
            }
            partial.extend_from_slice(&chunk[..read]);
            let passed = if is_tls { std::mem::take(&mut partial) } else { self.answer(&mut partial) };
            recent.extend_from_slice(&passed);
            self.arm_if_matched(&mut recent);
            if to.write_all(&passed).await.is_err() {
                return;
            }
        }
    }

    async fn replies(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut chunk = vec![0; 64 * 1024];
        let (whole, mut partial) = (self.shared.whole.load(Ordering::SeqCst), Vec::new());
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            let losing = lock(&self.losing).take();
            if let Some(loss) = losing {
                self.silent.store(true, Ordering::SeqCst);
                self.shared.lost.fetch_add(1, Ordering::SeqCst);
                match loss {
                    Loss::Silence => {}
                    Loss::Close => return,
                    Loss::Refuse => return self.shared.refuse(),
                }
            }
            if !self.may_pass(read).await {
                continue;
            }
            let mode = *self.shared.mode.borrow();
            if let Mode::Truncate(after) = mode {
                let _ = to.write_all(&chunk[..read.min(after)]).await;
                // They arrive before the end does, which is a reset.
                tokio::time::sleep(Duration::from_millis(1)).await;
                return;
            }
            let passed = if whole {
                partial.extend_from_slice(&chunk[..read]);
                let (passed, swapped) = replies::take(&mut partial, mode == Mode::Swap);
                self.shared.swapped.fetch_add(swapped, Ordering::SeqCst);
                passed
            } else {
                chunk[..read].to_vec()
            };
            if to.write_all(&passed).await.is_err() {
                return;
            }
        }
    }

    /// Whether this chunk of so many bytes goes on, after the delay where there is one.
    async fn may_pass(&self, bytes: usize) -> bool {
        let mode = *self.shared.mode.borrow();
        match mode {
            Mode::BlackHole => self.silent.store(true, Ordering::SeqCst),
            Mode::Delay(by) => tokio::time::sleep(by).await,
            Mode::Narrow(bytes_per_second) => {
                let second = Duration::from_secs(1);
                let share = u32::try_from(bytes).unwrap_or(u32::MAX);
                tokio::time::sleep(second * share / bytes_per_second).await;
            }
            Mode::Pass | Mode::Truncate(_) | Mode::Swap | Mode::Refuse => {}
        }
        !self.silent.load(Ordering::SeqCst)
    }

    /// Takes whole commands, for as many as are there, and puts in the place of those that are to be answered one that has
    /// the server say it.
    fn answer(&self, partial: &mut Vec<u8>) -> Vec<u8> {
        let mut answers = lock(&self.shared.answers);
        let (mut passed, mut at) = (Vec::with_capacity(partial.len()), 0);
        while let Some(length) = command(&partial[at..]) {
            let command = &partial[at..at + length];
            at += length;
            match answers.iter_mut().find(|answer| answer.left > 0 && contains(command, &answer.pattern)) {
                Some(answer) => {
                    answer.left -= 1;
                    self.shared.answered.fetch_add(1, Ordering::SeqCst);
                    passed.extend_from_slice(&answer.instead);
                }
                None => passed.extend_from_slice(command),
            }
        }
        partial.drain(..at);
        passed
    }

    fn arm_if_matched(&self, recent: &mut Vec<u8>) {
        let mut armed = lock(&self.shared.lose);
        let Some((pattern, loss)) = armed.as_ref() else {
            recent.clear();
            return;
        };
        if contains(recent, pattern) {
            *lock(&self.losing) = Some(*loss);
            *armed = None;
            recent.clear();
        } else {
            let keep = pattern.len().saturating_sub(1).min(recent.len());
            recent.drain(..recent.len() - keep);
        }
    }
}

fn contains(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes.windows(pattern.len()).any(|part| part == pattern)
}

/// How long the first command is; `None` where not all of it is there. What is no array of strings is passed as it is.
fn command(bytes: &[u8]) -> Option<usize> {
    if bytes.first().is_some_and(|first| *first != b'*') {
        return Some(bytes.len());
    }
    let (parts, mut at) = number(bytes)?;
    for _ in 0..parts {
        let (length, from) = number(&bytes[at..])?;
        at += from + length + 2;
        if at > bytes.len() {
            return None;
        }
    }
    Some(at)
}

/// The number in the line behind its sign, and where the next line begins; `None` where it is cut off.
fn number(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let number = std::str::from_utf8(bytes.get(1..end)?).ok()?.parse().ok()?;
    Some((number, end + 2))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
