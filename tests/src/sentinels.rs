//! A primary, its replicas, and sentinels that watch them.

use redis::aio::MultiplexedConnection;

use crate::authority::{Authority, Identity, TlsServer};
use crate::server::{RedisServer, connect, free_port, login, run};
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
    /// By which port each server is known to the sentinels.
    ports: Vec<u16>,
    url: String,
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
        Self::launch(password, None).await
    }

    /// The same without a password. All speak TLS to each other and to clients, with certificates of this authority, and plainly to the
    /// test.
    ///
    /// # Panics
    /// Where they do not know each other in time.
    pub async fn over_tls(authority: &Authority) -> Self {
        Self::launch(None, Some(authority)).await
    }

    async fn launch(password: Option<&'static str>, authority: Option<&Authority>) -> Self {
        let identity = authority.map(|authority| (authority, authority.signs(&["localhost", "127.0.0.1"])));
        let server = |args: &[&str]| {
            let mut all = vec!["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
            if let Some(password) = password {
                all.extend(["--requirepass", password, "--masterauth", password]);
            }
            all.extend(args);
            if let Some((authority, identity)) = &identity {
                all.extend(["--tls-replication", "yes"]);
                let started = TlsServer::with_args(authority, identity, false, &all);
                let port = started.port();
                (started.server, port)
            } else {
                let started = RedisServer::with_args(&all);
                let port = started.port();
                (started, port)
            }
        };
        let primary = server(&[]);
        let port = primary.1.to_string();
        let replica = || server(&["--replicaof", &format!("127.0.0.1 {port}")]);
        let (servers, ports): (Vec<_>, Vec<_>) = [primary, replica(), replica()].into_iter().unzip();
        let secret = password.map_or(String::new(), |password| {
            format!("requirepass {password}\nsentinel sentinel-pass {password}\nsentinel auth-pass {NAME} {password}\n")
        });
        let config = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} 2\nsentinel down-after-milliseconds {NAME} 1500\n\
             sentinel failover-timeout {NAME} 3000\n{secret}"
        );
        let (mut sentinels, mut hosts) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            if let Some((authority, identity)) = &identity {
                let port = free_port();
                sentinels.push(RedisServer::sentinel(&format!("{}{config}", tls(port, authority, identity))));
                hosts.push(format!("127.0.0.1:{port}"));
            } else {
                let sentinel = RedisServer::sentinel(&config);
                hosts.push(sentinel.address());
                sentinels.push(sentinel);
            }
        }
        let hosts = hosts.join(",");
        let url = authority.map_or(format!("redis+sentinel://{hosts}/{NAME}"), |authority| {
            format!("rediss+sentinel://{hosts}/{NAME}?ca={}", authority.file().display())
        });
        let watched = Self { servers, sentinels, password, ports, url };
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

    /// `redis+sentinel://…/prime` of all sentinels, without passwords; over TLS `rediss+sentinel://…/prime?ca=…`. By the user `shop` where
    /// the tests are [to run with few rights](login).
    pub fn url(&self) -> String {
        self.url.replace("://", &format!("://{}", login()))
    }

    /// The same by nobody.
    pub fn bare_url(&self) -> String {
        self.url.clone()
    }

    /// A connection to look at one of the servers or sentinels from outside.
    pub async fn client(&self, server: &RedisServer) -> MultiplexedConnection {
        connect(&self.plain_url(server)).await
    }

    fn plain_url(&self, server: &RedisServer) -> String {
        let address = server.address();
        self.password.map_or(server.bare_url(), |password| format!("redis://:{password}@{address}"))
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
        self.ports.iter().position(|known| known.to_string() == port).expect("one of ours")
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
        let port = self.ports[before].to_string();
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

/// A primary and a sentinel that speak TLS.
#[derive(Debug)]
pub struct OverTls {
    /// The server.
    pub primary: TlsServer,
    /// Who watches it, and speaks plainly on its other port.
    pub sentinel: RedisServer,
    /// `rediss+sentinel://…/prime?ca=…`.
    pub url: String,
}

impl OverTls {
    /// Both with certificates of this authority.
    pub fn start(authority: &Authority) -> Self {
        let identity = authority.signs(&["localhost", "127.0.0.1"]);
        let primary = TlsServer::with_args(authority, &identity, false, &["--tls-replication", "yes"]);
        let (port, ca) = (free_port(), authority.file());
        let watches = format!("sentinel monitor {NAME} 127.0.0.1 {} 1\n", primary.port());
        let sentinel = RedisServer::sentinel(&format!("{}{watches}", tls(port, authority, &identity)));
        let url = format!("rediss+sentinel://localhost:{port}/{NAME}?ca={}", ca.display());
        Self { primary, sentinel, url }
    }
}

/// What has a sentinel speak TLS on this port, and to those that it watches.
fn tls(port: u16, authority: &Authority, identity: &Identity) -> String {
    format!(
        "tls-port {port}\ntls-replication yes\ntls-auth-clients no\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\n",
        identity.certificate.display(),
        identity.key.display(),
        authority.file().display(),
    )
}

/// What a server says of replication; nothing where it closes the connection, as one does that is told whom to follow.
async fn replication(url: &str) -> redis::RedisResult<String> {
    let mut server = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    redis::cmd("INFO").arg("replication").query_async(&mut server).await
}
