//! A primary, its replicas, and sentinels that watch them.

use redis::aio::MultiplexedConnection;

use crate::server::{RedisServer, connect, run};
use crate::wait::{DEADLINE, wait_until};

/// What the sentinels call the primary.
pub const NAME: &str = "prime";

/// Servers of which one is the primary, and who watches.
#[derive(Debug)]
pub struct Watched {
    /// The servers; the first is the primary at first.
    pub servers: Vec<RedisServer>,
    /// Who watches them.
    pub sentinels: Vec<RedisServer>,
    password: Option<&'static str>,
}

impl Watched {
    /// A primary, two replicas and three sentinels, none of which asks for a password.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// The same; all servers and all sentinels ask for this password.
    ///
    /// # Panics
    /// Where they do not know each other in time.
    pub async fn start_with(password: Option<&'static str>) -> Self {
        let server = |args: &[&str]| {
            let mut all = vec!["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
            if let Some(password) = password {
                all.extend(["--requirepass", password, "--masterauth", password]);
            }
            all.extend(args);
            RedisServer::with_args(&all)
        };
        let primary = server(&[]);
        let port = primary.port().to_string();
        let replica = || server(&["--replicaof", &format!("127.0.0.1 {port}")]);
        let servers = vec![primary, replica(), replica()];
        let secret = password.map_or(String::new(), |password| {
            format!("requirepass {password}\nsentinel sentinel-pass {password}\nsentinel auth-pass {NAME} {password}\n")
        });
        let config = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} 2\nsentinel down-after-milliseconds {NAME} 1500\n\
             sentinel failover-timeout {NAME} 3000\n{secret}"
        );
        let sentinels: Vec<_> = (0..3).map(|_| RedisServer::sentinel(&config)).collect();
        let watched = Self { servers, sentinels, password };
        for sentinel in 0..3 {
            wait_until("the sentinels know all", 2 * DEADLINE, async || {
                let known = watched.knows(sentinel).await;
                known("num-slaves") == "2" && known("num-other-sentinels") == "2"
            })
            .await;
        }
        wait_until("the replicas follow", DEADLINE, async || {
            let mut up = 0;
            for server in &watched.servers[1..] {
                up += usize::from(watched.is_up(server).await);
            }
            up == 2
        })
        .await;
        watched
    }

    /// `redis+sentinel://…/prime` of all sentinels, without passwords.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(RedisServer::address).collect();
        format!("redis+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// A connection to look at one of the servers or sentinels from outside.
    pub async fn client(&self, server: &RedisServer) -> MultiplexedConnection {
        connect(&self.plain_url(server)).await
    }

    fn plain_url(&self, server: &RedisServer) -> String {
        let address = server.address();
        self.password.map_or(server.url(), |password| format!("redis://:{password}@{address}"))
    }

    /// Whether a server is a replica that follows.
    async fn is_up(&self, server: &RedisServer) -> bool {
        replication(&self.plain_url(server)).await.is_ok_and(|told| told.contains("link_status:up"))
    }

    /// The place among the servers of the one that the first sentinel takes for the primary.
    ///
    /// # Panics
    /// Where that is none of them.
    pub async fn primary(&self) -> usize {
        let port = self.port(0).await;
        let is_it = |server: &RedisServer| server.port().to_string() == port;
        self.servers.iter().position(is_it).expect("one of ours")
    }

    /// Has the sentinels make another server the primary, and waits until all know that. Gives its place.
    ///
    /// # Panics
    /// Where that takes too long.
    pub async fn hand_over(&self) -> usize {
        let before = self.primary().await;
        run(&mut self.client(&self.sentinels[0]).await, &format!("SENTINEL FAILOVER {NAME}")).await;
        self.another_than(before).await
    }

    /// Waits until all sentinels know another primary, whom the others follow. Gives its place.
    ///
    /// # Panics
    /// Where that takes too long.
    pub async fn another_than(&self, before: usize) -> usize {
        let port = self.servers[before].port().to_string();
        for sentinel in 0..self.sentinels.len() {
            wait_until("a sentinel knows another primary", 4 * DEADLINE, async || {
                self.port(sentinel).await != port
            })
            .await;
        }
        self.primary().await
    }

    /// Waits until a server that was the primary is a replica of the one that is.
    ///
    /// # Panics
    /// Where that takes too long.
    pub async fn follows(&self, server: usize) {
        wait_until("it follows", 4 * DEADLINE, async || self.is_up(&self.servers[server]).await).await;
    }

    /// Where a sentinel says that the primary is.
    ///
    /// # Panics
    /// Where it does not answer.
    pub async fn port(&self, sentinel: usize) -> String {
        let mut client = self.client(&self.sentinels[sentinel]).await;
        let mut ask = redis::cmd("SENTINEL");
        let address: Vec<String> =
            ask.arg("GET-MASTER-ADDR-BY-NAME").arg(NAME).query_async(&mut client).await.expect("it answers");
        address[1].clone()
    }

    /// What a sentinel knows of the primary, by field.
    async fn knows(&self, sentinel: usize) -> impl Fn(&str) -> String {
        let mut client = self.client(&self.sentinels[sentinel]).await;
        let fields: Vec<String> = redis::cmd("SENTINEL")
            .arg("MASTER")
            .arg(NAME)
            .query_async(&mut client)
            .await
            .expect("the sentinel answers");
        move |name| {
            let at = fields.iter().position(|field| field == name).expect("it knows that");
            fields[at + 1].clone()
        }
    }
}

/// What a server says of replication; nothing where it closes the connection, as one does that is told whom to follow.
async fn replication(url: &str) -> redis::RedisResult<String> {
    let mut server = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    redis::cmd("INFO").arg("replication").query_async(&mut server).await
}
