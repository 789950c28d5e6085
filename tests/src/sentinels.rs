//! A primary, its replicas, and sentinels that watch them.

use redis::aio::MultiplexedConnection;

use crate::authority::{Authority, Identity, TlsServer};
use crate::proxy::FaultProxy;
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
    /// In front of each server, where they are [behind proxies](Self::behind_proxies).
    pub proxies: Vec<FaultProxy>,
    /// In front of each sentinel, for clients, where those are.
    pub sentinel_proxies: Vec<FaultProxy>,
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
        Self::launch(password, None, false).await
    }

    /// The same without a password. All speak TLS to each other and to clients, with certificates of this authority, and plainly to the
    /// test.
    ///
    /// # Panics
    /// Where they do not know each other in time.
    pub async fn over_tls(authority: &Authority) -> Self {
        Self::launch(None, Some(authority), false).await
    }

    /// The same, plainly or over TLS, where clients, replicas and sentinels find a proxy in front of each server, and clients one in front of
    /// each sentinel. A server that is silent for a moment is not replaced.
    ///
    /// # Panics
    /// Where they do not know each other in time.
    pub async fn behind_proxies(authority: Option<&Authority>) -> Self {
        Self::launch(None, authority, true).await
    }

    async fn launch(password: Option<&'static str>, authority: Option<&Authority>, proxied: bool) -> Self {
        let identity = authority.map(|authority| (authority, authority.signs(&["localhost", "127.0.0.1"])));
        let mut proxies = Vec::new();
        let mut server = |args: &[&str]| {
            let mut all = vec!["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
            let proxy = proxied.then(|| FaultProxy::start("127.0.0.1:1"));
            let announced = proxy.as_ref().map(|proxy| proxy.port().to_string());
            if let Some(port) = &announced {
                all.extend(["--replica-announce-ip", "127.0.0.1", "--replica-announce-port", port]);
            }
            if let Some(password) = password {
                all.extend(["--requirepass", password, "--masterauth", password]);
            }
            all.extend(args);
            let (started, port) = if let Some((authority, identity)) = &identity {
                all.extend(["--tls-replication", "yes"]);
                let started = TlsServer::with_args(authority, identity, false, &all);
                let port = started.port();
                (started.server, port)
            } else {
                let started = RedisServer::with_args(&all);
                let port = started.port();
                (started, port)
            };
            let Some(proxy) = proxy else { return (started, port) };
            proxy.point_at(&format!("127.0.0.1:{port}"));
            let port = proxy.port();
            proxies.push(proxy);
            (started, port)
        };
        let primary = server(&[]);
        let port = primary.1.to_string();
        let mut replica = || server(&["--replicaof", &format!("127.0.0.1 {port}")]);
        let (servers, ports): (Vec<_>, Vec<_>) = [primary, replica(), replica()].into_iter().unzip();
        let patience = if proxied { 60_000 } else { 1_500 };
        let secret = password.map_or(String::new(), |password| {
            format!("requirepass {password}\nsentinel sentinel-pass {password}\nsentinel auth-pass {NAME} {password}\n")
        });
        let config = format!(
            "sentinel monitor {NAME} 127.0.0.1 {port} 2\nsentinel down-after-milliseconds {NAME} {patience}\n\
             sentinel failover-timeout {NAME} 3000\n{secret}"
        );
        let (mut sentinels, mut hosts) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            if let Some((authority, identity)) = &identity {
                let port = free_port();
                let text = format!("{}{config}", tls(port, authority, identity, false));
                sentinels.push(RedisServer::sentinel(&text));
                hosts.push(format!("127.0.0.1:{port}"));
            } else {
                let sentinel = RedisServer::sentinel(&config);
                hosts.push(sentinel.address());
                sentinels.push(sentinel);
            }
        }
        let mut sentinel_proxies = Vec::new();
        if proxied {
            for host in &mut hosts {
                let proxy = FaultProxy::start(host);
                *host = format!("127.0.0.1:{}", proxy.port());
                sentinel_proxies.push(proxy);
            }
        }
        let hosts = hosts.join(",");
        let url = authority.map_or(format!("redis+sentinel://{hosts}/{NAME}"), |authority| {
            format!("rediss+sentinel://{hosts}/{NAME}?ca={}", authority.file().display())
        });
        let watched = Self { servers, sentinels, password, ports, url, proxies, sentinel_proxies };
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
        Self::with(authority, (&identity, false), (&identity, false))
    }

    /// The primary and the sentinel with a certificate each, and whether it lets in clients of this authority alone.
    pub fn with(authority: &Authority, primary: (&Identity, bool), sentinel: (&Identity, bool)) -> Self {
        let (identity, asks) = primary;
        let primary = TlsServer::with_args(authority, identity, asks, &["--tls-replication", "yes"]);
        let (port, ca) = (free_port(), authority.file());
        let watches = format!("sentinel monitor {NAME} 127.0.0.1 {} 1\n", primary.port());
        let (identity, asks) = sentinel;
        let sentinel = RedisServer::sentinel(&format!("{}{watches}", tls(port, authority, identity, asks)));
        let url = format!("rediss+sentinel://localhost:{port}/{NAME}?ca={}", ca.display());
        Self { primary, sentinel, url }
    }
}

/// What has a sentinel speak TLS on this port, and to those that it watches.
fn tls(port: u16, authority: &Authority, identity: &Identity, asks: bool) -> String {
    format!(
        "tls-port {port}\ntls-replication yes\ntls-auth-clients {}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\n",
        if asks { "yes" } else { "no" },
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
