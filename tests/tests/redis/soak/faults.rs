//! What is done to the server while a history goes on.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cachemacro_tests::history::{Incident, micros};
use cachemacro_tests::{DEADLINE, Dice, FaultProxy, RedisServer, wait_until};
use redis::FromRedisValue;
use redis::aio::MultiplexedConnection;
use tempfile::TempPath;
use tokio::task::block_in_place;
use tokio::time::sleep;

/// After the server is back, so much longer may go by before a call has noticed: what was waiting ends with its timeout, and a
/// breaker pauses for half a second before it tries again.
const NOTICED: Duration = Duration::from_millis(1_500);

/// Writes two megabytes under new keys. All that there is room for is written in half a second, faster than the server's
/// clock of what was used lately ticks, so entries in use are dropped as well.
const FILL: &str =
    "for i = 1, 20 do redis.call('SET', 'other:' .. ARGV[1] .. ':' .. i, string.rep('x', 100000)) end";

/// Replies are cut off within so many bytes: an entry with its versions is shorter.
const LONGEST_REPLY: usize = 400;

/// Makes every key a list.
const TO_LISTS: &str = "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('DEL', key) redis.call('RPUSH', key, 'x') end";

/// What dice fall by: `CACHEMACRO_TEST_SEED`, or always the same.
pub(crate) fn seed() -> u64 {
    std::env::var("CACHEMACRO_TEST_SEED").map_or(1, |seed| seed.parse().expect("a number"))
}

/// A fault, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Every connection is closed by the server.
    KilledClients,
    /// No script is known any more.
    ForgottenScripts,
    /// All keys are gone.
    LostData,
    /// Connections stay open and nothing is answered for a second.
    Silence,
    /// Whatever was not used lately is dropped.
    ShortMemory,
    /// The process is killed; an empty one comes on the same port.
    Crash,
    /// Each chunk that passes in either direction comes half a second later, now and then.
    Delay,
    /// Another server becomes the primary behind the same address, and the former one its replica; it keeps its
    /// connections.
    Demotion,
    /// The server puts all clients off for half a second.
    Paused,
    /// All connections are closed, and for a while no client is let in but one.
    Crowded,
    /// All connections are closed, and for a while a password is asked for that nobody knows.
    Locked,
    /// For a while the memory is full, and nothing is dropped.
    Full,
    /// Every key that is there becomes a list.
    WrongTypes,
    /// Each connection is reset.
    Reset,
    /// Each connection ends in the middle of a reply, one byte later each time.
    Truncated,
    /// Little passes at a time, now and then.
    Narrow,
    /// Connections stay open, and whatever is sent over them is lost, for good.
    HalfOpen,
    /// Replies change places, now and then.
    Swapped,
    /// For a while the user may not write.
    Revoked,
    /// All connections are closed, and another password is asked for, which callers are given.
    Rotated,
    /// One of the others after the other, as dice fall.
    Any,
}

/// What comes about where dice fall: all that one server can suffer whose settings are as usual.
const ANY: [Fault; 16] = [
    Fault::None,
    Fault::KilledClients,
    Fault::ForgottenScripts,
    Fault::LostData,
    Fault::Silence,
    Fault::Crash,
    Fault::Delay,
    Fault::Paused,
    Fault::Crowded,
    Fault::Full,
    Fault::WrongTypes,
    Fault::Reset,
    Fault::Truncated,
    Fault::Narrow,
    Fault::HalfOpen,
    Fault::Swapped,
];

/// A span of time, by [`micros`].
type Span = (u64, u64);

/// The servers, and what happened to them.
pub(crate) struct Scene {
    fault: Fault,
    /// The primary first.
    servers: Vec<RedisServer>,
    proxy: Option<FaultProxy>,
    /// The password, for those who ask for it.
    password: TempPath,
    /// After how many bytes replies end.
    after: usize,
    dice: Dice,
    pub(crate) seen: Arc<Seen>,
}

/// What a fault did so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    times: AtomicU64,
    /// When no server answered.
    away: Mutex<Vec<Span>>,
    /// When some connection led to a demoted server.
    demoted: Mutex<Vec<Span>>,
    /// How many times as long as usual it pauses, less one.
    longer: AtomicU32,
    over: AtomicBool,
}

impl Fault {
    /// Whether the server still has all it was given.
    pub(crate) const fn keeps_data(self) -> bool {
        !matches!(
            self,
            Self::LostData | Self::ShortMemory | Self::Crash | Self::WrongTypes | Self::Swapped | Self::Any
        )
    }

    /// Whether callers are told what is not so: that a lease is another's, say, which they leave to lapse then.
    pub(crate) const fn lies(self) -> bool {
        matches!(self, Self::Swapped | Self::Any)
    }

    /// Whether requests may fail at any time though the server answers, evicts too: they are kept, and sent again.
    pub(crate) const fn hinders(self) -> bool {
        matches!(
            self,
            Self::KilledClients
                | Self::Delay
                | Self::Reset
                | Self::Truncated
                | Self::Narrow
                | Self::Swapped
                | Self::Rotated
                | Self::Any
        )
    }

    /// Whether no server answers while it lasts.
    pub(crate) const fn leaves(self) -> bool {
        matches!(
            self,
            Self::Silence
                | Self::Crash
                | Self::Demotion
                | Self::Paused
                | Self::Crowded
                | Self::Locked
                | Self::HalfOpen
                | Self::Revoked
                | Self::Any
        )
    }

    /// Whether it comes about between client and server.
    const fn is_of_the_network(self) -> bool {
        matches!(
            self,
            Self::Delay
                | Self::Reset
                | Self::Truncated
                | Self::Narrow
                | Self::HalfOpen
                | Self::Swapped
                | Self::Any
        )
    }

    /// What is told of it in the table of the guide.
    pub(crate) const fn told(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::KilledClients => "`CLIENT KILL` of all connections every 100 ms",
            Self::ForgottenScripts => "`SCRIPT FLUSH` every 50 ms",
            Self::LostData => "`FLUSHALL` every 300 ms",
            Self::Silence => "`SIGSTOP` for a second, again and again",
            Self::ShortMemory => "20 MB and `allkeys-lru`, filled by others",
            Self::Crash => "`SIGKILL`, and a new, empty process",
            Self::Delay => "each chunk of bytes 100 ms late, now and then",
            Self::Demotion => "the primary demoted behind its address",
            Self::Paused => "`CLIENT PAUSE` for half a second, again and again",
            Self::Crowded => "all connections killed and `maxclients 1`, for 300 ms",
            Self::Locked => "all connections killed and the password changed, for 300 ms",
            Self::Full => "`noeviction` and full, for 300 ms",
            Self::WrongTypes => "every key made a list, again and again",
            Self::Reset => "all connections reset by the network, every 100 ms",
            Self::Truncated => "replies cut off, one byte later each time",
            Self::Narrow => "100 KB a second, now and then",
            Self::HalfOpen => "half-open connections: what is sent is lost, for half a second",
            Self::Swapped => "replies in each other's place, now and then",
            Self::Revoked => "the right to write revoked (ACL), for 300 ms",
            Self::Rotated => "all connections killed and the password rotated",
            Self::Any => "one after the other, at random",
        }
    }

    /// The servers before it.
    pub(crate) async fn scene(self) -> Scene {
        let primary = match self {
            Self::ShortMemory => {
                RedisServer::with_args(&["--maxmemory", "20mb", "--maxmemory-policy", "allkeys-lru"])
            }
            Self::Demotion => RedisServer::with_args(&["--repl-diskless-sync-delay", "0"]),
            _ => RedisServer::start(),
        };
        let password = tempfile::NamedTempFile::new().expect("a file for the password").into_temp_path();
        let mut scene = Scene {
            fault: self,
            servers: vec![primary],
            proxy: None,
            password,
            after: 0,
            dice: Dice::new(seed()),
            seen: Arc::default(),
        };
        if self == Self::Rotated {
            scene.rotate().await;
        }
        if self.is_of_the_network() {
            let proxy = FaultProxy::start(&scene.servers[0].address());
            if matches!(self, Self::Swapped | Self::Any) {
                proxy.keep_replies_whole();
            }
            scene.proxy = Some(proxy);
        }
        if self == Self::Demotion {
            let replica = RedisServer::with_args(&["--repl-diskless-sync-delay", "0"]);
            let port = scene.servers[0].port().to_string();
            let _: String = ask(&mut replica.client().await, &["REPLICAOF", "127.0.0.1", &port]).await;
            scene.proxy = Some(FaultProxy::start(&scene.servers[0].address()));
            scene.servers.push(replica);
        }
        scene
    }
}

impl Scene {
    /// Where the cache is.
    pub(crate) fn url(&self) -> String {
        match &self.proxy {
            Some(proxy) => proxy.url(),
            // Callers give the password that is in the file.
            None if self.fault == Fault::Rotated => self.servers[0].bare_url(),
            None => self.servers[0].url(),
        }
    }

    /// The file with the password that callers are to give.
    pub(crate) fn password(&self) -> Option<&Path> {
        (self.fault == Fault::Rotated).then_some(&*self.password)
    }

    /// Brings the fault about, again and again, until it is over; then the server is well.
    #[expect(clippy::too_many_lines, reason = "one row for each fault")]
    pub(crate) async fn go_on(mut self) -> Self {
        let mut primary = self.servers[0].client().await;
        while !self.seen.is_over() {
            let fault = match self.fault {
                Fault::Any => self.dice.pick(&ANY),
                fault => fault,
            };
            if self.fault == Fault::Any {
                primary = self.servers[0].client().await;
            }
            match fault {
                Fault::None | Fault::Any => self.pause(100).await,
                Fault::KilledClients => {
                    let killed: u64 = ask(&mut primary, &["CLIENT", "KILL", "TYPE", "normal"]).await;
                    self.seen.happened(u64::from(killed > 0));
                    self.pause(100).await;
                }
                Fault::ForgottenScripts => {
                    let _: String = ask(&mut primary, &["SCRIPT", "FLUSH"]).await;
                    self.seen.happened(1);
                    self.pause(50).await;
                }
                Fault::LostData => {
                    let _: String = ask(&mut primary, &["FLUSHALL"]).await;
                    self.seen.happened(1);
                    self.pause(300).await;
                }
                Fault::ShortMemory => {
                    let dropped = info(&mut primary, "evicted_keys").await;
                    self.seen.times.store(dropped.parse().expect("a count"), Ordering::SeqCst);
                    let _: Option<u64> = ask(&mut primary, &["EVAL", FILL, "0", &micros().to_string()]).await;
                    self.pause(50).await;
                }
                Fault::Silence => {
                    let began = micros();
                    self.servers[0].pause();
                    sleep(Duration::from_secs(1)).await;
                    self.servers[0].resume();
                    self.seen.was_away(began);
                    self.pause(2_000).await;
                }
                Fault::Crash => {
                    let began = micros();
                    block_in_place(|| self.servers[0].restart());
                    self.seen.was_away(began);
                    self.pause(3_000).await;
                }
                Fault::Delay => {
                    self.by_the_network(500, |proxy| proxy.delay(Duration::from_millis(100))).await;
                    self.pause(500).await;
                }
                Fault::Reset => {
                    self.by_the_network(0, FaultProxy::cut).await;
                    self.pause(100).await;
                }
                Fault::Truncated => {
                    self.after = (self.after + 1) % LONGEST_REPLY;
                    let after = self.after;
                    self.by_the_network(20, |proxy| proxy.truncate(after)).await;
                    self.pause(200).await;
                }
                Fault::Narrow => {
                    self.by_the_network(500, |proxy| proxy.narrow(100_000)).await;
                    self.pause(500).await;
                }
                Fault::HalfOpen => {
                    let began = micros();
                    self.by_the_network(500, FaultProxy::black_hole).await;
                    lock(&self.seen.away).push((began, micros()));
                    self.pause(1_500).await;
                }
                Fault::Swapped => {
                    let before = self.proxy().swapped();
                    self.by_the_network(50, FaultProxy::swap).await;
                    let swapped = self.proxy().swapped() - before;
                    // Counted by the replies, and not by the times.
                    self.seen.happened(swapped.saturating_sub(1));
                    self.pause(300).await;
                }
                Fault::Revoked => {
                    let began = micros();
                    let _: String = ask(&mut primary, &["ACL", "SETUSER", "default", "-@write"]).await;
                    sleep(Duration::from_millis(300)).await;
                    let _: String = ask(&mut primary, &["ACL", "SETUSER", "default", "+@all"]).await;
                    self.seen.was_away(began);
                    self.pause(1_500).await;
                }
                Fault::Rotated => {
                    self.rotate().await;
                    let _: u64 =
                        ask(&mut primary, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
                    self.seen.happened(1);
                    self.pause(300).await;
                }
                Fault::Demotion => {
                    self.demote().await;
                    self.pause(2_000).await;
                }
                Fault::Paused => {
                    let began = micros();
                    let _: String = ask(&mut primary, &["CLIENT", "PAUSE", "500", "ALL"]).await;
                    sleep(Duration::from_millis(500)).await;
                    self.seen.was_away(began);
                    self.pause(1_500).await;
                }
                Fault::Crowded => {
                    self.shut(&mut primary, ["maxclients", "1"], ["maxclients", "10000"]).await;
                    self.pause(1_500).await;
                }
                Fault::Locked => {
                    self.shut(&mut primary, ["requirepass", "unknown"], ["requirepass", ""]).await;
                    self.pause(1_500).await;
                }
                Fault::Full => {
                    let _: String = ask(&mut primary, &["CONFIG", "SET", "maxmemory", "1"]).await;
                    sleep(Duration::from_millis(300)).await;
                    let _: String = ask(&mut primary, &["CONFIG", "SET", "maxmemory", "0"]).await;
                    self.seen.happened(1);
                    self.pause(500).await;
                }
                Fault::WrongTypes => {
                    let _: Option<u64> = ask(&mut primary, &["EVAL", TO_LISTS, "0"]).await;
                    self.seen.happened(1);
                    self.pause(300).await;
                }
            }
        }
        self
    }

    fn proxy(&self) -> &FaultProxy {
        self.proxy.as_ref().expect("it is behind a proxy")
    }

    /// Has the network do this for so many milliseconds.
    async fn by_the_network(&self, millis: u64, fault: impl Fn(&FaultProxy)) {
        fault(self.proxy());
        sleep(Duration::from_millis(millis)).await;
        self.proxy().pass();
        self.seen.happened(1);
    }

    /// Gives another password to the user `shop`, the only one that it has, and to those who ask for it.
    async fn rotate(&mut self) {
        let password = format!("{:x}", self.dice.roll());
        let mut primary = self.servers[0].client().await;
        let user =
            ["ACL", "SETUSER", "shop", "on", "resetpass", &format!(">{password}"), "~*", "&*", "+@all"];
        let _: String = ask(&mut primary, &user).await;
        std::fs::write(&self.password, password).expect("the file can be written");
    }

    /// Throws everybody else out, and lets nobody in for a while.
    async fn shut(&self, primary: &mut MultiplexedConnection, shut: [&str; 2], open: [&str; 2]) {
        let began = micros();
        let _: String = ask(primary, &["CONFIG", "SET", shut[0], shut[1]]).await;
        let _: u64 = ask(primary, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        sleep(Duration::from_millis(300)).await;
        let _: String = ask(primary, &["CONFIG", "SET", open[0], open[1]]).await;
        self.seen.was_away(began);
    }

    /// Waits, at most until it is over.
    async fn pause(&self, millis: u64) {
        let began = Instant::now();
        let lasts = || Duration::from_millis(millis) * (1 + self.seen.longer.load(Ordering::SeqCst));
        while !self.seen.is_over() && began.elapsed() < lasts() {
            sleep(Duration::from_millis(millis.min(20))).await;
        }
    }

    /// Hands over to the replica once it has everything, so that no evict is lost.
    async fn demote(&mut self) {
        let [former, next] = &self.servers[..] else { return };
        let proxy = self.proxy.as_ref().expect("it is behind a proxy");
        let (mut former_client, mut next_client) = (former.client().await, next.client().await);
        wait_until("the replica is in step", DEADLINE, async || {
            info(&mut next_client, "master_link_status").await == "up"
        })
        .await;
        wait_until("its primary knows so", DEADLINE, async || {
            info(&mut former_client, "slave0").await.contains("state=online")
        })
        .await;
        let began = micros();
        let port = next.port().to_string();
        let _: String = ask(&mut former_client, &["FAILOVER", "TO", "127.0.0.1", &port]).await;
        wait_until("the replica takes over", DEADLINE, async || {
            info(&mut next_client, "role").await == "master"
        })
        .await;
        proxy.point_at(&next.address());
        self.seen.was_away(began);
        while proxy.links_to(&former.address()) > 0 && !self.seen.is_over() {
            sleep(Duration::from_millis(5)).await;
        }
        lock(&self.seen.demoted).push((began, micros()));
        self.servers.swap(0, 1);
    }
}

impl Seen {
    /// From now on it comes about half as often: on a busy machine nothing is done between two that come too soon.
    pub(crate) fn be_rarer(&self) {
        let longer = self.longer.load(Ordering::SeqCst);
        self.longer.store(2 * longer + 1, Ordering::SeqCst);
    }

    /// How often the fault came about.
    pub(crate) fn times(&self) -> u64 {
        self.times.load(Ordering::SeqCst)
    }

    /// Ends the fault.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn happened(&self, times: u64) {
        self.times.fetch_add(times, Ordering::SeqCst);
    }

    /// It is back, and was away since.
    fn was_away(&self, since: u64) {
        self.happened(1);
        lock(&self.away).push((since, micros()));
    }

    /// Whether no server answered during a part of this.
    pub(crate) fn is_away_in(&self, incident: &Incident) -> bool {
        overlaps(&lock(&self.away), incident)
    }

    /// How long the server had been back when this began.
    pub(crate) fn since_back(&self, incident: &Incident) -> Option<Duration> {
        let away = lock(&self.away);
        let back = away.iter().map(|(_, ended)| *ended).filter(|ended| *ended <= incident.began).max()?;
        Some(Duration::from_micros(incident.began - back))
    }

    /// The longest time without a hit after the server was back, by how many there were at these moments.
    pub(crate) fn longest_without_hits(&self, samples: &[(u64, u64)]) -> Duration {
        let without = |ended: u64| {
            let mut since = samples.iter().skip_while(|(at, _)| *at < ended);
            let before = since.next()?.1;
            let (at, _) = since.find(|(_, hits)| *hits > before)?;
            Some(Duration::from_micros(at - ended))
        };
        lock(&self.away).iter().filter_map(|(_, ended)| without(*ended)).max().unwrap_or_default()
    }

    /// Whether a demoted server could be read from during a part of this.
    pub(crate) fn is_demoted_in(&self, incident: &Incident) -> bool {
        overlaps(&lock(&self.demoted), incident)
    }
}

fn overlaps(spans: &[Span], incident: &Incident) -> bool {
    let after = u64::try_from(NOTICED.as_micros()).expect("it is short");
    spans.iter().any(|(began, ended)| incident.began <= ended + after && *began <= incident.ended)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ask<T: FromRedisValue>(server: &mut MultiplexedConnection, words: &[&str]) -> T {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(server).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

/// A field of what the server says of itself.
async fn info(server: &mut MultiplexedConnection, field: &str) -> String {
    let info: String = ask(server, &["INFO"]).await;
    let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}
