//! A cluster of three primaries with a replica each, for tests: slots can be moved, primaries ended and replicas promoted.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use crate::server::{RedisServer, connect, free_port, run};
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
}

impl RedisCluster {
    /// Starts the servers, and waits until each knows all.
    pub async fn start() -> Self {
        Self::with_args(&[]).await
    }

    /// The same with further arguments for each server's command line.
    ///
    /// # Panics
    /// Where they do not form a cluster in time.
    pub async fn with_args(args: &[&str]) -> Self {
        let server = |_| {
            let bus = free_port().to_string();
            let mut all =
                vec!["--cluster-enabled", "yes", "--cluster-node-timeout", "3000", "--cluster-port", &bus];
            all.extend(["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"]);
            all.extend(args);
            (RedisServer::with_args(&all), bus)
        };
        let started: Vec<_> = (0..2 * PRIMARIES).map(server).collect();
        let mut clients = Vec::new();
        for (server, _) in &started {
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
                run(client, &format!("CLUSTER ADDSLOTSRANGE {first} {last}")).await;
            }
        }
        for (server, bus) in &started[1..] {
            run(&mut clients[0], &format!("CLUSTER MEET 127.0.0.1 {} {bus}", server.port())).await;
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
        let cluster = Self { servers: started.into_iter().map(|(server, _)| server).collect(), ids };
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

    /// `redis+cluster://…` of all servers.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.servers.iter().map(RedisServer::address).collect();
        format!("redis+cluster://{}", hosts.join(","))
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
            migrate
                .arg("127.0.0.1")
                .arg(self.servers[to].port())
                .arg("")
                .arg(0)
                .arg(5000)
                .arg("KEYS")
                .arg(&keys);
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
        wait_until("it follows", 4 * DEADLINE, async || {
            let told: String = ask(&mut client, "INFO replication").await;
            told.contains("master_link_status:up")
        })
        .await;
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

/// The slot of a key, as a server tells.
///
/// # Panics
/// Where it does not.
pub async fn slot_of(server: &RedisServer, key: &str) -> u16 {
    let mut ask = redis::cmd("CLUSTER");
    ask.arg("KEYSLOT").arg(key).query_async(&mut server.client().await).await.expect("a slot")
}

fn is_in(run: &str, slot: u16) -> bool {
    let (first, last) = run.split_once('-').unwrap_or((run, run));
    let number = |text: &str| text.trim().parse::<u16>().ok();
    number(first).is_some_and(|first| first <= slot) && number(last).is_some_and(|last| slot <= last)
}

async fn try_connect(server: &RedisServer) -> redis::RedisResult<MultiplexedConnection> {
    redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
    Ok(connect(&server.url()).await)
}

async fn ask<T: redis::FromRedisValue>(client: &mut MultiplexedConnection, command: &str) -> T {
    let mut words = command.split(' ');
    let mut cmd = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        cmd.arg(word);
    });
    cmd.query_async(client).await.expect("the server answers")
}
