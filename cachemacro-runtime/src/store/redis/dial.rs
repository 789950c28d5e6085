//! Opening one connection: who may try, the set-up, and whether it leads to a primary.
//!
//! Opening looks the server's name up anew each time. A server that says that it is a replica is refused: what is evicted there
//! is evicted nowhere. Knows no command but those that set a connection up.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::pin;
#[cfg(feature = "sentinel")]
use std::sync::atomic::AtomicU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::attempts::{Attempts, Place};
use super::config::RedisConfig;
#[cfg(feature = "sentinel")]
use super::endpoint::Where;
use super::endpoint::{Endpoint, Opened};
use super::epoch::{self, Epoch, Known};
use super::gate::{Closed, Gate};
use super::refusal::Refusal;
use super::time::ServerTime;
use super::wire::{self, Packed, Reply, Wire};
use super::{failure, reply, script, server};
use crate::format::ids::Version;
use crate::ground::background::Background;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::sync::lock;
use crate::store::messages::server::{Server, ServerFacts};

/// Asks whether the server is a replica.
pub(super) const ASK_FOR_ROLE: [&str; 2] = ["INFO", "replication"];

/// What all of a store's connections have in common.
pub(super) struct Dialer {
    pub(super) endpoint: Endpoint,
    pub(super) connect_timeout: Duration,
    pub(super) command_timeout: Duration,
    gate: Mutex<Gate>,
    /// Those of all stores of the process at the same address.
    pub(super) attempts: Arc<Attempts>,
    pub(super) time: ServerTime,
    pub(super) background: Background,
    began: Instant,
    /// What was opened before is of no more use: nanoseconds since `began`.
    outdated: AtomicU64,
    /// When a connection was lost last, in the same way.
    lost: AtomicU64,
    closed: AtomicBool,
    /// Commands that the user may not run.
    lacking: Mutex<BTreeSet<String>>,
    /// The process in which sentinels are followed; zero: none.
    #[cfg(feature = "sentinel")]
    followed_in: AtomicU32,
    pub(super) server: Server,
    /// Whether the server was looked at.
    looked: AtomicBool,
    plaintext: bool,
    /// How many were lost, and why a connection was lost or could not be opened last: for those who look.
    noted: Mutex<(u64, Option<String>)>,
    /// Where the server's id is kept, where it is.
    epoch: Option<Epoch>,
    known: Known,
    load_scripts: bool,
}

/// A look at the server. Where nothing comes of it, another one is taken.
pub(super) struct Look<'a> {
    dialer: &'a Dialer,
    found: bool,
}

impl Look<'_> {
    /// What [`server::ask`] brought.
    pub(super) fn found(mut self, replies: &[Reply]) {
        self.found = true;
        let database = self.dialer.endpoint.base.database;
        self.dialer.server.found(server::facts(replies, database, self.dialer.plaintext));
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        if !self.found {
            self.dialer.looked.store(false, Ordering::Relaxed);
        }
    }
}

/// A point in time, as nanoseconds since the store was made.
#[derive(Clone, Copy)]
pub(super) struct Mark(u64);

impl Dialer {
    pub(super) fn new(config: &RedisConfig, endpoint: Endpoint) -> Self {
        let (plaintext, server) = (endpoint.is_plaintext(), Server::new());
        if plaintext {
            let mut facts = ServerFacts::new();
            facts.plaintext = true;
            server.found(facts);
        }
        Self {
            server,
            looked: AtomicBool::new(false),
            plaintext,
            epoch: config.epoch.clone(),
            known: Known::default(),
            load_scripts: config.load_scripts,
            attempts: Attempts::at(endpoint.address()),
            endpoint,
            connect_timeout: config.connect_timeout,
            command_timeout: config.command_timeout,
            gate: Mutex::new(Gate::new(config.handles + 1, config.connect_timeout, config.command_timeout)),
            time: ServerTime::new(),
            background: Background::shared(),
            began: Instant::now(),
            outdated: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            noted: Mutex::default(),
            lacking: Mutex::default(),
            #[cfg(feature = "sentinel")]
            followed_in: AtomicU32::new(0),
        }
    }

    /// Leave to look at the server, unless somebody did or does.
    pub(super) fn look(&self) -> Option<Look<'_>> {
        (!self.looked.swap(true, Ordering::Relaxed)).then_some(Look { dialer: self, found: false })
    }

    /// Looks at the server over this connection, unless somebody did or does. Nobody waits for it.
    pub(super) async fn look_over(&self, wire: &Wire) {
        let Some(look) = self.look() else { return };
        let mut asked = Packed::default();
        server::ask(&mut asked);
        // As long as anything may take: what is sent behind it is not found silent before.
        if let Ok(replies) = wire.call(asked).await.answer().await {
            look.found(&replies);
        }
    }

    /// Leave for one attempt, or why there is none.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Permit, Closed> {
        if self.is_closed() {
            return Err(Closed { error: failure::closed(), until: None });
        }
        #[cfg(feature = "sentinel")]
        self.follow();
        let now = Instant::now();
        let mut gate = lock(&self.gate);
        let attempt = gate.admit(now)?;
        let place = self.attempts.admit(now, self.connect_timeout * 2).map_err(|crowded| {
            gate.ended(attempt);
            Closed::crowded(crowded.until)
        })?;
        Ok(Permit { dialer: Arc::clone(self), attempt, _place: place })
    }

    /// Leave for one attempt, waited for until then at most.
    pub(super) async fn admitted(self: &Arc<Self>, until: Instant) -> Result<Permit> {
        loop {
            // Enlisted before it is asked whether anything may be tried.
            let mut moved = pin!(self.attempts.moved.notified());
            moved.as_mut().enable();
            let closed = match self.admit() {
                Ok(permit) => return Ok(permit),
                Err(closed) => closed,
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_closed() {
                return Err(closed.error);
            }
            let pause = closed.until.map_or(left, |at| at.saturating_duration_since(Instant::now()));
            let _ = timeout(pause.min(left), moved).await;
        }
    }

    /// Has sentinels tell of failovers from now on: each outdates what leads to the former primary.
    #[cfg(feature = "sentinel")]
    fn follow(self: &Arc<Self>) {
        let Where::Watched(sentinels) = &self.endpoint.place else { return };
        // A fork has the memory, and none of the tasks.
        let process = std::process::id();
        if self.followed_in.swap(process, Ordering::Relaxed) == process {
            return;
        }
        for index in 0..sentinels.hosts().len() {
            let (sentinels, transport) = (Arc::clone(sentinels), Arc::clone(&self.endpoint.base.transport));
            let dialer = Arc::downgrade(self);
            self.background.spawn(async move {
                let told = |is_another| {
                    let Some(dialer) = dialer.upgrade().filter(|dialer| !dialer.is_closed()) else {
                        return false;
                    };
                    if is_another {
                        dialer.outdate(dialer.mark(Instant::now()));
                        dialer.attempts.moved.notify_waiters();
                    }
                    true
                };
                sentinels.follow(&transport, index, told).await;
            });
        }
    }

    /// Whether attempts pause after a failure, and until when.
    pub(super) fn pause(&self) -> Result<(), Closed> {
        lock(&self.gate).pause(Instant::now())
    }

    /// Whether nothing failed lately.
    pub(super) fn is_calm(&self) -> bool {
        lock(&self.gate).is_calm()
    }

    /// The error for those whose attempt led to nothing.
    pub(super) fn why(&self) -> Error {
        lock(&self.gate).why()
    }

    /// A connection could not be opened. Tells whether it is the first.
    pub(super) fn failed(&self, error: &Error) -> bool {
        lock(&self.noted).1 = Some(error.to_string());
        let now = Instant::now();
        self.attempts.failed(now);
        lock(&self.gate).failed(now, error)
    }

    /// A connection could not be opened that no call waits for: it is charged, and the others do not pause for it.
    pub(super) fn failed_aside(&self) {
        self.attempts.failed(Instant::now());
    }

    /// A connection was lost, and another one is to take its place.
    pub(super) fn note_lost(&self, error: &Error) {
        let mut noted = lock(&self.noted);
        *noted = (noted.0 + 1, Some(error.to_string()));
    }

    /// What was open is not any more.
    pub(super) fn lose(&self) {
        self.lost.fetch_max(self.mark(Instant::now()).0, Ordering::SeqCst);
    }

    /// Why none could be opened since this moment, where none is open now; `None` where one was open then.
    pub(super) fn unreached(&self, since: Instant) -> Option<Error> {
        if self.mark(since).0 <= self.lost.load(Ordering::SeqCst) {
            return None;
        }
        let gate = lock(&self.gate);
        Some(if gate.is_calm() { failure::connecting() } else { gate.why() })
    }

    /// How many were lost, and the last failure.
    pub(super) fn noted(&self) -> (u64, Option<String>) {
        lock(&self.noted).clone()
    }

    /// A connection gave an answer that was of use.
    pub(super) fn succeeded(&self) {
        if lock(&self.gate).succeeded() {
            tracing::info!("redis answers again");
        }
        self.attempts.moved.notify_waiters();
    }

    /// A connection was lost before it was of use.
    pub(super) fn lost_unused(&self, error: &Error) {
        let now = Instant::now();
        if lock(&self.gate).lost_unused(now, error) {
            self.attempts.failed(now);
        }
    }

    /// When something began to be opened, to be compared with what is outdated.
    pub(super) fn mark(&self, opened: Instant) -> Mark {
        // Never zero, which is before everything.
        let nanos = opened.saturating_duration_since(self.began).as_nanos();
        Mark(u64::try_from(nanos).unwrap_or(u64::MAX).saturating_add(1))
    }

    /// Whether what began to be opened then may still be used.
    pub(super) fn is_current(&self, opened: Mark) -> bool {
        opened.0 >= self.outdated.load(Ordering::Relaxed)
    }

    /// Has everything that was opened so far replaced, where whoever found out uses something current.
    pub(super) fn outdate(&self, opened: Mark) {
        let outdated = self.outdated.load(Ordering::Relaxed);
        if opened.0 >= outdated {
            self.lose();
            let now = self.mark(Instant::now()).0.max(opened.0 + 1);
            // Where another one was first, it saw the same.
            let _ = self.outdated.compare_exchange(outdated, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Takes note of a command that the user may not run, or that the server does not have. Whether that is news.
    pub(super) fn lacks(&self, command: Option<&str>) -> bool {
        let Some(command) = command else { return false };
        let mut lacking = lock(&self.lacking);
        !lacking.contains(command) && lacking.insert(command.to_owned())
    }

    /// The commands that were refused so far because the user may not run them, or the server does not have them.
    pub(super) fn lacking(&self) -> Vec<String> {
        lock(&self.lacking).iter().cloned().collect()
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.attempts.moved.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Opens a connection within its deadline, whose driver runs on the caller's runtime.
    pub(super) async fn dial(&self) -> Result<Wire> {
        let silent = |_| Err(Error::new(ErrorKind::Connect, failure::SILENT));
        timeout(self.connect_timeout, self.establish()).await.unwrap_or_else(silent)
    }

    /// Opens a connection, loads the scripts, learns the server's time and looks what the server is.
    async fn establish(&self) -> Result<Wire> {
        let Opened { stream, greeting } = self.endpoint.open().await?;
        let (connecting, patience) = (self.connect_timeout, self.command_timeout);
        // The server pushes nothing to a connection that asked for nothing.
        let wire = wire::open(stream, &greeting, connecting, patience, Box::new(drop)).await;
        let wire = wire.map_err(|error| failure::unopened(&error))?;
        let (mut time, mut setup) = (Packed::default(), Packed::default());
        time.command(1).part("TIME");
        setup.command(ASK_FOR_ROLE.len());
        for part in ASK_FOR_ROLE {
            setup.part(part);
        }
        if self.load_scripts {
            // Some servers know no scripts: that is told before anything is to be stored.
            setup.command(3).part("EVAL").part("return 1").part("0");
        }
        for script in script::all().iter().filter(|_| self.load_scripts) {
            script.load(&mut setup);
        }
        // By itself, because a server that refuses a connection answers what is sent first, and closes.
        let sent = Instant::now();
        let asked = async { (wire.call_within(time, connecting).await, Instant::now()) };
        let ((time, received), replies) = tokio::join!(asked, wire.call_within(setup, connecting));
        // A server may forbid SCRIPT LOAD; calls then carry their source. Without TIME nothing works.
        match time.map_err(unopened)?.pop().ok_or_else(failure::unexpected)? {
            Reply::Error(line) => return Err(failure::unopened(&wire::Unopened::Refused(line))),
            time => self.time.observe(sent, received, reply::time(time)?),
        }
        let replies = replies.map_err(unopened)?;
        for reply in &replies {
            if let Reply::Error(line) = reply
                && self.lacks(Refusal::lacking(line))
                && let Some(command) = Refusal::unknown(line)
            {
                tracing::warn!(command, "the redis server does not have a command that is needed");
            }
        }
        match replies.first() {
            Some(info) if is_replica(info) => {
                let mut facts = ServerFacts::new();
                (facts.replica, facts.plaintext) = (true, self.plaintext);
                self.server.found(facts);
                // What comes in its place is another server.
                self.looked.store(false, Ordering::Relaxed);
                Err(failure::replica())
            }
            _ => {
                self.check_epoch(&wire).await?;
                Ok(wire)
            }
        }
    }

    /// The server's id, where this process keeps it.
    pub(super) fn id(&self) -> Option<Version> {
        self.known.id()
    }

    /// Has what another server filled be a miss, where ids are kept.
    pub(super) async fn check_epoch(&self, wire: &Wire) -> Result<()> {
        match &self.epoch {
            None => Ok(()),
            #[cfg(feature = "cluster")]
            Some(Epoch::Known) => loop {
                let asked = Instant::now();
                if self.known.note(self.ask_for_id(wire).await?, asked) {
                    return Ok(());
                }
            },
            Some(Epoch::Written(key)) => {
                let mut written = Packed::default();
                epoch::write(&mut written, key, self.ask_for_id(wire).await?);
                let replies = wire.call_within(written, self.connect_timeout).await.map_err(unopened)?;
                if epoch::written(replies.first().ok_or_else(failure::unexpected)?)? {
                    tracing::info!(
                        "redis is another server than before: what was cached on that one is not used"
                    );
                }
                Ok(())
            }
        }
    }

    /// The id of the server at the other end, which is no replica.
    async fn ask_for_id(&self, wire: &Wire) -> Result<Version> {
        let mut asked = Packed::default();
        epoch::ask(&mut asked);
        let replies = wire.call_within(asked, self.connect_timeout).await.map_err(unopened)?;
        let [server, replication] = &replies[..] else { return Err(failure::unexpected()) };
        if is_replica(replication) {
            return Err(failure::replica());
        }
        epoch::id(server, replication)
    }
}

fn unopened(broken: wire::Broken) -> Error {
    failure::unopened(&broken.into())
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("gate", &lock(&self.gate)).finish_non_exhaustive()
    }
}

/// Leave for one attempt, until dropped.
pub(super) struct Permit {
    dialer: Arc<Dialer>,
    attempt: u64,
    _place: Place,
}

impl Drop for Permit {
    fn drop(&mut self) {
        // Then the place is given back, and those who wait for one are woken.
        lock(&self.dialer.gate).ended(self.attempt);
    }
}

/// Whether this reply to `INFO replication` says that the server is a replica. It may be forbidden to ask.
pub(super) fn is_replica(info: &Reply) -> bool {
    let Reply::Bytes(text) = info else { return false };
    let text = std::str::from_utf8(text).unwrap_or_default();
    text.lines().any(|line| matches!(line, "role:slave" | "role:replica"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialer() -> Dialer {
        let config = RedisConfig::new("redis://localhost");
        let endpoint = config.endpoint().expect("a well-formed URL");
        Dialer::new(&config, endpoint)
    }

    #[test]
    fn what_was_opened_before_a_demotion_is_outdated_and_what_is_opened_after_it_is_not() {
        let dialer = dialer();
        let now = || dialer.mark(Instant::now());
        let (before, also_before) = (now(), now());
        assert!(dialer.is_current(before));
        dialer.outdate(before);
        assert!(!dialer.is_current(before) && !dialer.is_current(also_before));
        std::thread::sleep(Duration::from_millis(1));
        let after = now();
        // A late answer on what is outdated says nothing of what came after it.
        dialer.outdate(also_before);
        assert!(dialer.is_current(after));
        dialer.outdate(after);
        assert!(!dialer.is_current(after));
    }

    #[test]
    fn a_replica_is_told_by_its_role() {
        let info = |text: &str| Reply::Bytes(text.as_bytes().to_vec().into());
        assert!(is_replica(&info("# Replication\r\nrole:slave\r\nmaster_host:10.0.0.7\r\n")));
        assert!(!is_replica(&info("# Replication\r\nrole:master\r\nconnected_slaves:1\r\n")));
        assert!(!is_replica(&info("")) && !is_replica(&Reply::Nil));
    }
}
