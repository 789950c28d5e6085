//! Who serves which slot, as far as is known: looked up at the nodes themselves, again whenever a node says that it is not so any
//! more or does not answer, and once in a while besides.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::{Pipeline, ProtocolVersion, Value};
use tokio::time::{sleep, timeout};

use super::super::commands::Commands;
use super::super::config::RedisConfig;
use super::super::credentials::greeting;
use super::super::endpoint::{Base, Endpoint, Where};
use super::super::multiplexed::{Multiplexed, settings};
use super::super::single::Single;
use super::super::slot::SLOTS;
use super::super::url::Host;
use super::super::wire::Reply;
use super::super::{failure, reply};
use super::facts::Facts;
use super::slots::{Served, served};
use super::watches::{Watched, Watches};
use crate::ground::background::Background;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::pauses::spread;
use crate::ground::sync::{lock, read, write};

/// The pause between two looks at the cluster where nothing seems wrong.
const BEAT: Duration = Duration::from_secs(30);
/// A look whose result is younger than this is not repeated.
const PAUSE: Duration = Duration::from_millis(100);
/// How many nodes are asked at a time.
const ASKED: usize = 3;
/// The owner of slots that no node serves.
const NOBODY: u16 = u16::MAX;

/// One primary.
pub(super) struct Node {
    pub(super) host: Host,
    pub(super) single: Single,
    /// Commands about a slot that is being moved to this node.
    pub(super) asking: Commands,
    pub(super) watched: Arc<Watched>,
}

/// Who serves which slot.
#[derive(Clone)]
pub(super) struct Layout {
    /// Higher in each later layout.
    version: u64,
    /// In the order of their names.
    pub(super) nodes: Vec<Arc<Node>>,
    /// For each slot the place of its node in `nodes`.
    owners: Box<[u16]>,
}

impl Layout {
    fn none() -> Self {
        Self { version: 0, nodes: Vec::new(), owners: vec![NOBODY; usize::from(SLOTS)].into() }
    }

    /// The node that serves this slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Arc<Node>> {
        self.nodes.get(usize::from(*self.owners.get(usize::from(slot))?))
    }

    /// Whether this node serves any slot.
    pub(super) fn serves(&self, node: &Arc<Node>) -> bool {
        let at = place_of(&self.nodes, node);
        at != NOBODY && self.owners.contains(&at)
    }
}

/// What is known of a cluster.
pub(super) struct Topology {
    config: RedisConfig,
    base: Base,
    seeds: Vec<Host>,
    layout: RwLock<Arc<Layout>>,
    /// Nodes that serve no slot yet, but to which some are on their way, and when a node pointed there last.
    arriving: Mutex<Vec<(Arc<Node>, Instant)>>,
    /// Held by the task that looks. When the last look was, and why it failed, if it did.
    turn: tokio::sync::Mutex<Option<(Instant, Option<Error>)>>,
    pub(super) background: Background,
    pub(super) watches: Watches,
    /// What its nodes say of themselves.
    pub(super) facts: Arc<Facts>,
    closed: AtomicBool,
    /// The process whose background task looks every [`BEAT`]; zero: none does.
    kept_in: AtomicU32,
    last_failure: Mutex<Option<String>>,
}

impl Topology {
    pub(super) fn new(config: RedisConfig, base: Base, seeds: Vec<Host>) -> Self {
        // Going by the URL.
        let is_plaintext = base.transport.is_plain() && !seeds.iter().all(Host::is_own);
        Self {
            config: config.of_a_node(),
            base,
            seeds,
            layout: RwLock::new(Arc::new(Layout::none())),
            arriving: Mutex::default(),
            turn: tokio::sync::Mutex::new(None),
            background: Background::shared(),
            watches: Watches::default(),
            facts: Arc::new(Facts::new(is_plaintext)),
            closed: AtomicBool::new(false),
            kept_in: AtomicU32::new(0),
            last_failure: Mutex::default(),
        }
    }

    /// A text that is the same for the same seeds.
    pub(super) fn identity(&self) -> String {
        let mut hosts: Vec<_> =
            self.seeds.iter().map(|Host { name, port }| format!("{name}:{port}")).collect();
        hosts.sort();
        format!("cluster:{}", hosts.join(","))
    }

    /// The layout as it is known now, which may be empty.
    pub(super) fn now(&self) -> Arc<Layout> {
        Arc::clone(&read(&self.layout))
    }

    /// The layout as it is known; looked up where nothing is.
    pub(super) async fn known(self: &Arc<Self>) -> Result<Arc<Layout>> {
        let layout = self.now();
        if layout.version > 0 {
            return Ok(layout);
        }
        self.renew(&layout).await
    }

    /// A later layout than `outdated`, by which a request went to a node that does not serve the slot; the same one where nothing else was
    /// found.
    pub(super) async fn renew(self: &Arc<Self>, outdated: &Layout) -> Result<Arc<Layout>> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(failure::closed());
        }
        self.keep();
        let mut last = self.turn.lock().await;
        let now = self.now();
        if now.version > outdated.version {
            return Ok(now);
        }
        if let Some((when, failed)) = &*last
            && when.elapsed() < PAUSE
        {
            return failed.clone().map_or(Ok(now), Err);
        }
        let found = self.background.enter(self.look()).await.unwrap_or_else(Err);
        *last = Some((Instant::now(), found.as_ref().err().cloned()));
        let found = found.inspect_err(|error| *lock(&self.last_failure) = Some(error.to_string()))?;
        self.install(&found)
    }

    /// Has the layout renewed in the background.
    pub(super) fn renew_later(self: &Arc<Self>) {
        let (topology, layout) = (Arc::clone(self), self.now());
        self.background.spawn(async move {
            if let Err(error) = topology.renew(&layout).await {
                tracing::debug!(%error, "the nodes of the redis cluster are not known");
            }
        });
    }

    /// Takes note that this node serves this slot, as another one said.
    pub(super) fn moved(self: &Arc<Self>, slot: u16, host: &Host) -> Result<Arc<Node>> {
        let mut layout = write(&self.layout);
        let mut changed = Layout::clone(&layout);
        let node = self.place(&mut changed.nodes, host)?;
        // Where the node is new, the places of others change.
        let owners = layout.owners.iter().map(|owner| {
            let before = layout.nodes.get(usize::from(*owner));
            before.map_or(NOBODY, |before| place_of(&changed.nodes, before))
        });
        let mut owners: Box<[u16]> = owners.collect();
        owners[usize::from(slot)] = place_of(&changed.nodes, &node);
        *layout = Arc::new(Layout { version: layout.version + 1, nodes: changed.nodes, owners });
        drop(layout);
        self.watches.ask(&node.watched);
        self.renew_later();
        Ok(node)
    }

    /// The node at this host, to which a slot is on its way.
    pub(super) fn destination(&self, host: &Host) -> Result<Arc<Node>> {
        if let Some(node) = self.now().nodes.iter().find(|node| node.host == *host) {
            return Ok(Arc::clone(node));
        }
        let mut arriving = lock(&self.arriving);
        if let Some((node, pointed)) = arriving.iter_mut().find(|(node, _)| node.host == *host) {
            *pointed = Instant::now();
            return Ok(Arc::clone(node));
        }
        let node = self.make(host)?;
        arriving.push((Arc::clone(&node), Instant::now()));
        Ok(node)
    }

    /// The nodes that serve nothing yet, but to which slots are on their way.
    pub(super) fn arriving(&self) -> Vec<Arc<Node>> {
        lock(&self.arriving).iter().map(|(node, _)| Arc::clone(node)).collect()
    }

    /// Takes no slot to be on its way, until a node points there again.
    pub(super) fn forget_arriving(&self) {
        lock(&self.arriving).clear();
    }

    /// Why the cluster could not be looked up, the last time that happened.
    pub(super) fn last_failure(&self) -> Option<String> {
        lock(&self.last_failure).clone()
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Starts the background task that looks every [`BEAT`], once in each process.
    fn keep(self: &Arc<Self>) {
        // A fork copies the memory but not the tasks.
        let process = std::process::id();
        let before = self.kept_in.swap(process, Ordering::Relaxed);
        if before == process {
            return;
        }
        if before != 0 {
            self.watches.forget();
        }
        let topology = Arc::downgrade(self);
        self.background.spawn(async move {
            loop {
                sleep(spread(BEAT)).await;
                let Some(topology) = topology.upgrade() else { return };
                if topology.closed.load(Ordering::SeqCst) {
                    return;
                }
                let layout = topology.now();
                let _ = topology.renew(&layout).await;
            }
        });
    }

    /// Makes what was found the layout.
    fn install(&self, found: &[Served]) -> Result<Arc<Layout>> {
        let mut layout = write(&self.layout);
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        for run in found {
            if nodes.iter().any(|node| node.host == run.host) {
                continue;
            }
            let kept = layout.nodes.iter().find(|node| node.host == run.host);
            nodes.push(match kept {
                Some(node) => Arc::clone(node),
                None => self.make(&run.host)?,
            });
        }
        nodes.sort_by(|one, other| one.host.cmp(&other.host));
        let mut owners = vec![NOBODY; usize::from(SLOTS)].into_boxed_slice();
        for run in found {
            let at = nodes.iter().position(|node| node.host == run.host);
            let at = at.and_then(|at| u16::try_from(at).ok()).unwrap_or(NOBODY);
            owners[usize::from(run.first)..=usize::from(run.last)].fill(at);
        }
        lock(&self.arriving).retain(|(node, pointed)| {
            pointed.elapsed() < BEAT && !nodes.iter().any(|known| known.host == node.host)
        });
        let found = Arc::new(Layout { version: layout.version + 1, nodes, owners });
        *layout = Arc::clone(&found);
        drop(layout);
        let arriving = self.arriving();
        self.facts.keep(|host| found.nodes.iter().chain(&arriving).any(|node| node.host == *host));
        // G3: others may ask a node for what it took over before anybody here does.
        for node in found.nodes.iter().filter(|node| found.serves(node)) {
            self.watches.ask(&node.watched);
        }
        Ok(found)
    }

    /// The node at this host among these, where it is put if it is not there.
    fn place(&self, nodes: &mut Vec<Arc<Node>>, host: &Host) -> Result<Arc<Node>> {
        if let Some(node) = nodes.iter().find(|node| node.host == *host) {
            return Ok(Arc::clone(node));
        }
        let node = self.make(host)?;
        nodes.push(Arc::clone(&node));
        nodes.sort_by(|one, other| one.host.cmp(&other.host));
        Ok(node)
    }

    fn make(&self, host: &Host) -> Result<Arc<Node>> {
        let endpoint = Endpoint { place: Where::One(host.clone()), base: self.base.clone() };
        let single = Single::of_cluster(self.config.clone(), endpoint)?;
        let asking = single.commands.asking();
        self.facts.hear(host, &single.link().dialer.server);
        Ok(Arc::new(Node { host: host.clone(), single, asking, watched: Arc::default() }))
    }

    /// Asks the nodes, within a limit of time.
    async fn look(&self) -> Result<Vec<Served>> {
        let silent = |_| Err(Error::new(ErrorKind::Connect, failure::SILENT));
        timeout(self.config.connect_timeout * 2, self.look_around()).await.unwrap_or_else(silent)
    }

    /// The first answer of a node that sees the whole cluster.
    async fn look_around(&self) -> Result<Vec<Served>> {
        let known = self.now();
        let mut hosts: Vec<Host> = known.nodes.iter().map(|node| node.host.clone()).collect();
        for left in (1..hosts.len()).rev() {
            hosts.swap(left, rand::random_range(0..=left));
        }
        let others: Vec<Host> = self.seeds.iter().filter(|seed| !hosts.contains(seed)).cloned().collect();
        hosts.extend(others);
        let mut failed = None;
        for some in hosts.chunks(ASKED) {
            let mut asked: FuturesUnordered<_> = some.iter().map(|host| self.ask(host)).collect();
            while let Some(told) = asked.next().await {
                match told {
                    Ok(told) => return Ok(told),
                    Err(error) => failed = Some(error),
                }
            }
        }
        let why = failed.as_ref().map_or("", Error::context);
        Err(Error::new(ErrorKind::Connect, format!("no node tells who serves the cluster: {why}")))
    }

    /// Asks one node, which may be a replica.
    async fn ask(&self, host: &Host) -> Result<Vec<Served>> {
        let patience = self.config.connect_timeout;
        let asking = async {
            let stream =
                self.base.transport.connect(host).await.map_err(|error| failure::unreached(&error))?;
            let credentials = self.base.login.ask().await?;
            let greeting = greeting(credentials.as_ref(), ProtocolVersion::RESP2);
            let opened = Multiplexed::open(stream, &greeting, settings(patience)).await;
            let mut node = opened.map_err(|error| failure::unreachable(&error))?;
            let mut look = Pipeline::with_capacity(2);
            look.cmd("CLUSTER").arg("INFO");
            look.cmd("CLUSTER").arg("SLOTS");
            node.ask_all(&look, 2).await.map_err(|error| failure::unreachable(&error))
        };
        let silent = |_| Err(Error::new(ErrorKind::Connect, failure::SILENT));
        let answers: Vec<Value> = timeout(patience, asking).await.unwrap_or_else(silent)?;
        let mut answers = answers.into_iter().map(Reply::from);
        let (info, slots) = (answers.next().unwrap_or(Reply::Nil), answers.next().unwrap_or(Reply::Nil));
        for told in [&info, &slots] {
            reply::done(told).map_err(|error| Error::new(ErrorKind::Connect, error.context().to_owned()))?;
        }
        if !matches!(&info, Reply::Bytes(text) if text.windows(16).any(|part| part == b"cluster_state:ok")) {
            return Err(Error::new(ErrorKind::Connect, "the cluster is down"));
        }
        let mut told = served(&slots).ok_or_else(failure::unexpected)?;
        for run in &mut told {
            if run.host.name.is_empty() {
                run.host.name.clone_from(&host.name);
            }
        }
        Ok(told)
    }
}

fn place_of(nodes: &[Arc<Node>], node: &Arc<Node>) -> u16 {
    let at = nodes.iter().position(|other| Arc::ptr_eq(other, node));
    at.and_then(|at| u16::try_from(at).ok()).unwrap_or(NOBODY)
}

impl fmt::Debug for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topology").field("nodes", &self.now().nodes.len()).finish_non_exhaustive()
    }
}
