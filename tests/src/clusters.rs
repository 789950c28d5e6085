//! A cluster of three primaries with a replica each, for tests: slots can be moved, primaries ended and replicas promoted.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::time::{sleep, timeout};

use crate::authority::{Authority, Identity, TlsServer};
use crate::proxy::FaultProxy;
use crate::server::{RedisServer, connect, free_port, is_redis_6, login, run};
use crate::wait::{DEADLINE, wait_until};

/// How many primaries there are.
pub const PRIMARIES: usize = 3;
/// How many slots.
pub const SLOTS: u16 = 16_384;

/// Six servers: the first three are primaries at first, each of the others follows one of them.
#[derive(Debug)]
pub struct RedisCluster {
    /// The servers.
    pub servers: Vec<RedisServer>,
    ids: Vec<String>,
    /// The port of each for the others, and the one of their bus.
    ports: Vec<(u16, u16)>,
    args: Vec<String>,
    /// In front of each server, where they are [behind proxies](Self::behind_proxies).
    pub proxies: Vec<FaultProxy>,
}

impl RedisCluster {
    /// Starts the servers, and waits until each knows all.
    pub async fn start() -> Self {
        Self::with_args(&[]).await
    }

    /// The same with further arguments for each server's command line.
    pub async fn with_args(args: &[&str]) -> Self {
        Self::launch(args, None, false).await
    }

    /// The same, whose servers speak TLS to each other and to clients, with certificates of this authority, and plainly to the test.
    pub async fn over_tls(authority: &Authority) -> Self {
        Self::launch(&[], Some(authority), false).await
    }

    /// The same, plainly or over TLS, where clients are told of a proxy in front of each server, and so are replicas.
    pub async fn behind_proxies(authority: Option<&Authority>) -> Self {
        Self::launch(&[], authority, true).await
    }

    /// One server that serves all slots.
    ///
    /// # Panics
    /// Where it does not in time.
    pub async fn alone() -> Self {
        let (server, ports) = start(&[], None);
        let mut client = server.client().await;
        let ids = vec![ask(&mut client, "CLUSTER MYID").await];
        add_slots(&mut client, 0, SLOTS - 1).await;
        wait_until("it serves them", 2 * DEADLINE, async || {
            let info: String = ask(&mut client, "CLUSTER INFO").await;
            info.contains("cluster_state:ok")
        })
        .await;
        Self { servers: vec![server], ids, ports: vec![ports], args: Vec::new(), proxies: Vec::new() }
    }

    async fn launch(args: &[&str], authority: Option<&Authority>, proxied: bool) -> Self {
        let (mut servers, mut ports, mut proxies) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..2 * PRIMARIES {
            if proxied {
                let proxy = FaultProxy::start("127.0.0.1:1");
                let announces = if authority.is_some() {
                    "--cluster-announce-tls-port"
                } else {
                    "--cluster-announce-port"
                };
                let (server, known) =
                    start(&[args, &[announces, &proxy.port().to_string()]].concat(), authority);
                proxy.point_at(&format!("127.0.0.1:{}", known.0));
                servers.push(server);
                ports.push(known);
                proxies.push(proxy);
            } else {
                let (server, known) = start(args, authority);
                servers.push(server);
                ports.push(known);
            }
        }
        let mut clients = Vec::new();
        for server in &servers {
            clients.push(server.client().await);
        }
        let mut ids = Vec::new();
        for client in &mut clients {
            ids.push(ask::<String>(client, "CLUSTER MYID").await);
        }
        let share = SLOTS.div_ceil(3);
        for (place, client) in clients.iter_mut().enumerate() {
            run(client, &format!("CLUSTER SET-CONFIG-EPOCH {}", place + 1)).await;
            if place < PRIMARIES {
                let first = share * u16::try_from(place).expect("a few");
                let last = (first + share).min(SLOTS) - 1;
                add_slots(client, first, last).await;
            }
        }
        for (port, bus) in &ports[1..] {
            run(&mut clients[0], &format!("CLUSTER MEET 127.0.0.1 {port} {bus}")).await;
        }
        for client in &mut clients {
            wait_until("each knows all", 2 * DEADLINE, async || {
                let info: String = ask(client, "CLUSTER INFO").await;
                info.contains("cluster_known_nodes:6") && info.contains("cluster_state:ok")
            })
            .await;
        }
        for place in PRIMARIES..2 * PRIMARIES {
            run(&mut clients[place], &format!("CLUSTER REPLICATE {}", ids[place - PRIMARIES])).await;
        }
        for client in &mut clients {
            wait_until("each knows the replicas", 2 * DEADLINE, async || {
                let nodes: String = ask(client, "CLUSTER NODES").await;
                nodes.matches("slave").count() == PRIMARIES
            })
            .await;
        }
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        let cluster = Self { servers, ids, ports, args, proxies };
        for place in PRIMARIES..2 * PRIMARIES {
            cluster.follows(place).await;
        }
        cluster
    }

    /// The cluster that all tests of this process share, which is neither resharded nor loses a node.
    pub async fn shared() -> &'static Self {
        static SHARED: tokio::sync::OnceCell<RedisCluster> = tokio::sync::OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// `redis+cluster://…` of all servers; by the user `shop` where the tests are [to run with few rights](login).
    pub fn url(&self) -> String {
        self.bare_url().replace("://", &format!("://{}", login()))
    }

    /// `redis+cluster://…` of all servers.
    pub fn bare_url(&self) -> String {
        format!("redis+cluster://{}", self.hosts(self.servers.iter().map(RedisServer::port)))
    }

    /// `rediss+cluster://…?ca=…` of all servers, by this authority's certificates.
    pub fn tls_url(&self, authority: &Authority) -> String {
        let hosts = self.hosts(self.ports.iter().map(|(port, _)| *port));
        format!("rediss+cluster://{hosts}?ca={}", authority.file().display())
    }

    /// These, or the proxies in front of them.
    fn hosts(&self, ports: impl Iterator<Item = u16>) -> String {
        let known = ports.enumerate().map(|(at, port)| self.proxies.get(at).map_or(port, FaultProxy::port));
        let hosts: Vec<_> = known.map(|port| format!("127.0.0.1:{port}")).collect();
        hosts.join(",")
    }

    /// Starts one more server, which serves nothing yet. Gives its place once all know it.
    ///
    /// # Panics
    /// Where that takes too long.
    pub async fn add(&mut self) -> usize {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let (server, ports) = start(&args, None);
        self.servers.push(server);
        self.ports.push(ports);
        self.ids.push(String::new());
        let place = self.servers.len() - 1;
        self.meet(place).await;
        place
    }

    /// Starts a server again that was stopped, as a replica of this one. What it had is lost.
    ///
    /// # Panics
    /// Where that takes too long.
    pub async fn restart_as_replica(&mut self, server: usize, primary: usize) {
        let former = self.ids[server].clone();
        self.servers[server].restart();
        self.meet(server).await;
        for (place, other) in self.servers.iter().enumerate() {
            if place != server
                && let Ok(mut client) = try_connect(other).await
            {
                let mut forget = redis::cmd("CLUSTER");
                // One that never knew it has nothing to forget.
                let _ = forget.arg("FORGET").arg(&former).exec_async(&mut client).await;
            }
        }
        let replicate = format!("CLUSTER REPLICATE {}", self.ids[primary]);
        run(&mut self.servers[server].client().await, &replicate).await;
        self.follows(server).await;
    }

    /// Has all know this server, which knows nobody.
    async fn meet(&mut self, place: usize) {
        let mut client = self.servers[place].client().await;
        self.ids[place] = ask(&mut client, "CLUSTER MYID").await;
        let known = (0..self.servers.len()).find(|other| *other != place).expect("there are others");
        let (port, bus) = self.ports[known];
        run(&mut client, &format!("CLUSTER MEET 127.0.0.1 {port} {bus}")).await;
        for server in &self.servers {
            let Ok(mut client) = try_connect(server).await else { continue };
            wait_until("each knows it", 4 * DEADLINE, async || {
                let nodes: String = ask(&mut client, "CLUSTER NODES").await;
                let info: String = ask(&mut client, "CLUSTER INFO").await;
                nodes.contains(&self.ids[place]) && info.contains("cluster_state:ok")
            })
            .await;
        }
    }

    /// Has each server carry this out.
    pub async fn each(&self, command: &str) {
        for server in &self.servers {
            run(&mut server.client().await, command).await;
        }
    }

    /// Has a server show another certificate on connections that are opened from now on, and close those of its clients.
    pub async fn shows(&self, server: usize, identity: &Identity) {
        let mut client = self.servers[server].client().await;
        let (certificate, key) = (identity.certificate.display(), identity.key.display());
        run(&mut client, &format!("CONFIG SET tls-cert-file {certificate} tls-key-file {key}")).await;
        run(&mut client, "CLIENT KILL TYPE normal").await;
    }

    /// The place of the server that serves a slot now, as the first that runs tells.
    ///
    /// # Panics
    /// Where none of them does.
    pub async fn owner(&self, slot: u16) -> usize {
        for server in &self.servers {
            let Ok(mut client) = try_connect(server).await else { continue };
            let nodes: String = ask(&mut client, "CLUSTER NODES").await;
            let serves =
                |line: &&str| line.split(' ').skip(8).any(|run| is_in(run, slot)) && line.contains("master");
            let line = nodes.lines().find(serves).expect("somebody serves it");
            return self.ids.iter().position(|id| line.starts_with(id.as_str())).expect("one of ours");
        }
        panic!("no server runs");
    }

    /// Waits until this server says that all slots are served.
    ///
    /// # Panics
    /// Where it does not within a deadline.
    pub async fn is_up(&self, server: usize) {
        let mut client = self.servers[server].client().await;
        let is_up = async || ask::<String>(&mut client, "CLUSTER INFO").await.contains("cluster_state:ok");
        wait_until("all slots are served", DEADLINE, is_up).await;
    }

    /// Has a slot served by another server, with all its keys; each key is moved on its own.
    ///
    /// # Panics
    /// Where a server refuses.
    pub async fn move_slot(&self, slot: u16, from: usize, to: usize) {
        let (mut source, mut target) = (self.servers[from].client().await, self.servers[to].client().await);
        run(&mut target, &format!("CLUSTER SETSLOT {slot} IMPORTING {}", self.ids[from])).await;
        run(&mut source, &format!("CLUSTER SETSLOT {slot} MIGRATING {}", self.ids[to])).await;
        self.move_keys(slot, &mut source, to, usize::MAX).await;
        self.finish(slot, &mut source, &mut target, to).await;
    }

    /// Has every so manieth slot served by the next of the primaries, with all its keys.
    ///
    /// # Panics
    /// Where a server refuses.
    pub async fn reshard(&self, step: usize) {
        let (mut clients, mut owners) = (Vec::new(), vec![usize::MAX; usize::from(SLOTS)]);
        for server in &self.servers {
            clients.push(try_connect(server).await.ok());
        }
        let nodes: String =
            ask(clients.iter_mut().flatten().next().expect("one runs"), "CLUSTER NODES").await;
        for (place, id) in self.ids.iter().enumerate() {
            let line = nodes.lines().find(|line| line.starts_with(id.as_str())).unwrap_or_default();
            for run in line.split(' ').skip(8) {
                (0..SLOTS)
                    .filter(|slot| is_in(run, *slot))
                    .for_each(|slot| owners[usize::from(slot)] = place);
            }
        }
        let mut primaries = owners.clone();
        primaries.sort_unstable();
        primaries.dedup();
        for slot in (0..SLOTS).step_by(step) {
            let from = owners[usize::from(slot)];
            let next = primaries.iter().position(|primary| *primary == from).expect("one of them") + 1;
            let to = primaries[next % primaries.len()];
            let client = |place: usize| clients[place].clone().expect("a primary runs");
            let (mut source, mut target) = (client(from), client(to));
            run(&mut target, &format!("CLUSTER SETSLOT {slot} IMPORTING {}", self.ids[from])).await;
            run(&mut source, &format!("CLUSTER SETSLOT {slot} MIGRATING {}", self.ids[to])).await;
            self.move_keys(slot, &mut source, to, usize::MAX).await;
            for node in [to, from].into_iter().chain(primaries.iter().copied()) {
                run(&mut client(node), &format!("CLUSTER SETSLOT {slot} NODE {}", self.ids[to])).await;
            }
        }
    }

    /// Begins to move a slot: at most so many keys go.
    ///
    /// # Panics
    /// Where a server refuses.
    pub async fn begin_move(&self, slot: u16, from: usize, to: usize, most: usize) {
        let (mut source, mut target) = (self.servers[from].client().await, self.servers[to].client().await);
        run(&mut target, &format!("CLUSTER SETSLOT {slot} IMPORTING {}", self.ids[from])).await;
        run(&mut source, &format!("CLUSTER SETSLOT {slot} MIGRATING {}", self.ids[to])).await;
        self.move_keys(slot, &mut source, to, most).await;
    }

    /// Finishes what [`begin_move`](Self::begin_move) began.
    ///
    /// # Panics
    /// Where a server refuses.
    pub async fn finish_move(&self, slot: u16, from: usize, to: usize) {
        let (mut source, mut target) = (self.servers[from].client().await, self.servers[to].client().await);
        self.move_keys(slot, &mut source, to, usize::MAX).await;
        self.finish(slot, &mut source, &mut target, to).await;
    }

    async fn move_keys(&self, slot: u16, source: &mut MultiplexedConnection, to: usize, most: usize) {
        let mut moved = 0;
        while moved < most {
            let count = (most - moved).min(100);
            let mut list = redis::cmd("CLUSTER");
            list.arg("GETKEYSINSLOT").arg(slot).arg(count);
            let keys: Vec<Vec<u8>> = list.query_async(source).await.expect("keys");
            if keys.is_empty() {
                return;
            }
            moved += keys.len();
            let mut migrate = redis::cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(self.ports[to].0).arg("").arg(0).arg(5000).arg("KEYS").arg(&keys);
            migrate.exec_async(source).await.expect("moved");
        }
    }

    async fn finish(
        &self,
        slot: u16,
        source: &mut MultiplexedConnection,
        target: &mut MultiplexedConnection,
        to: usize,
    ) {
        let whose = format!("CLUSTER SETSLOT {slot} NODE {}", self.ids[to]);
        for node in [target, source] {
            run(node, &whose).await;
        }
        // So that no later claim of the former one is believed. A replica refuses, and learns it from its primary.
        for server in &self.servers {
            let Ok(mut client) = try_connect(server).await else { continue };
            let mut told = redis::cmd("CLUSTER");
            told.arg("SETSLOT").arg(slot).arg("NODE").arg(&self.ids[to]);
            let _ = told.exec_async(&mut client).await;
        }
    }

    /// Has a replica take over from its primary, in order. Gives its place once all know.
    ///
    /// # Panics
    /// Where that takes too long.
    pub async fn hand_over(&self, primary: usize) -> usize {
        let replica = self.replica_of(primary).await;
        // A server gives up after five seconds, without a word.
        for _ in 0..10 {
            let mut failover = redis::cmd("CLUSTER");
            let asked = failover.arg("FAILOVER").exec_async(&mut self.servers[replica].client().await).await;
            let done = timeout(Duration::from_secs(6), self.is_primary(replica)).await;
            if asked.is_ok() && done.is_ok() {
                return replica;
            }
        }
        self.is_primary(replica).await;
        replica
    }

    /// The place of a server that follows this one.
    ///
    /// # Panics
    /// Where none does.
    pub async fn replica_of(&self, primary: usize) -> usize {
        let mut client = self.servers[primary].client().await;
        let (id, mut found) = (&self.ids[primary], None);
        wait_until("it has a replica", 4 * DEADLINE, async || {
            let nodes: String = ask(&mut client, "CLUSTER NODES").await;
            let follows = |line: &&str| line.split(' ').nth(3) == Some(id.as_str()) && line.contains("slave");
            let line = nodes.lines().find(follows);
            found = line.and_then(|line| self.ids.iter().position(|id| line.starts_with(id.as_str())));
            found.is_some()
        })
        .await;
        found.expect("it was waited for")
    }

    /// Waits until a server is a primary and sees the whole cluster.
    ///
    /// # Panics
    /// Where that takes too long.
    pub async fn is_primary(&self, server: usize) {
        let mut client = self.servers[server].client().await;
        wait_until("it is a primary", 4 * DEADLINE, async || {
            let role: String = ask(&mut client, "INFO replication").await;
            let info: String = ask(&mut client, "CLUSTER INFO").await;
            role.contains("role:master") && info.contains("cluster_state:ok")
        })
        .await;
    }

    /// Waits until a server follows its primary.
    ///
    /// # Panics
    /// Where that takes too long.
    pub async fn follows(&self, server: usize) {
        let mut client = self.servers[server].client().await;
        let mut told = String::new();
        let follows = async {
            while !told.contains("master_link_status:up") {
                sleep(Duration::from_millis(10)).await;
                told = ask(&mut client, "INFO replication").await;
            }
        };
        if timeout(4 * DEADLINE, follows).await.is_err() {
            let nodes: String = ask(&mut client, "CLUSTER NODES").await;
            panic!("it does not follow: {told}\n{nodes}");
        }
    }

    /// All keys of all primaries that begin so.
    ///
    /// # Panics
    /// Where a server does not answer.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let mut all = Vec::new();
        for server in &self.servers {
            let Ok(mut client) = try_connect(server).await else { continue };
            let role: String = ask(&mut client, "INFO replication").await;
            if role.contains("role:master") {
                let mut keys = redis::cmd("KEYS");
                let keys: Vec<String> =
                    keys.arg(format!("{prefix}*")).query_async(&mut client).await.expect("keys");
                all.extend(keys);
            }
        }
        all
    }
}

/// A server of a cluster, and by which ports others know it: its own, and the one of their bus.
fn start(args: &[&str], authority: Option<&Authority>) -> (RedisServer, (u16, u16)) {
    let bus = free_port();
    let text = bus.to_string();
    let mut all = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", "3000"];
    if !is_redis_6() {
        all.extend(["--cluster-port", &text]);
    }
    all.extend(["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"]);
    all.extend(args);
    let (server, port) = if let Some(authority) = authority {
        all.extend(["--tls-cluster", "yes", "--tls-replication", "yes"]);
        let started = TlsServer::with_args(authority, &authority.signs(&["127.0.0.1"]), false, &all);
        let port = started.port();
        (started.server, port)
    } else {
        let server = RedisServer::with_args(&all);
        let port = server.port();
        (server, port)
    };
    (server, (port, if is_redis_6() { port + 10_000 } else { bus }))
}

/// The slot of a key, as a server tells.
///
/// # Panics
/// Where it does not.
pub async fn slot_of(server: &RedisServer, key: &str) -> u16 {
    let mut ask = redis::cmd("CLUSTER");
    ask.arg("KEYSLOT").arg(key).query_async(&mut server.client().await).await.expect("a slot")
}

async fn add_slots(client: &mut MultiplexedConnection, first: u16, last: u16) {
    let mut add = redis::cmd("CLUSTER");
    add.arg("ADDSLOTS").arg((first..=last).collect::<Vec<_>>());
    add.exec_async(client).await.expect("they are nobody's");
}

fn is_in(run: &str, slot: u16) -> bool {
    let (first, last) = run.split_once('-').unwrap_or((run, run));
    let number = |text: &str| text.trim().parse::<u16>().ok();
    number(first).is_some_and(|first| first <= slot) && number(last).is_some_and(|last| slot <= last)
}

async fn try_connect(server: &RedisServer) -> redis::RedisResult<MultiplexedConnection> {
    redis::Client::open(server.bare_url())?.get_multiplexed_async_connection().await?;
    Ok(connect(&server.bare_url()).await)
}

async fn ask<T: redis::FromRedisValue>(client: &mut MultiplexedConnection, command: &str) -> T {
    let mut words = command.split(' ');
    let mut cmd = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        cmd.arg(word);
    });
    cmd.query_async(client).await.expect("the server answers")
}
