//! A Redis server of the program's own.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;

/// Ends with this.
pub struct Server {
    child: Child,
    port: u16,
}

/// What a server has done so far.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// Commands that it ran, those within scripts included.
    pub commands: f64,
    /// Times that it read from a socket.
    pub reads: f64,
}

impl Server {
    /// On a free port, on the processors of this process.
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let server = Self { child, port };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(15), "the server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same, as a URL.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// A connection for what is not measured.
    pub async fn connect(&self) -> MultiplexedConnection {
        connect(&self.url()).await
    }

    /// What it has done so far.
    pub async fn done(&self, connection: &mut MultiplexedConnection) -> Done {
        let info: String =
            redis::cmd("INFO").arg("all").query_async(connection).await.expect("the server answers");
        let line = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        // Those that scripts call are in the statistics of each command only.
        let calls = info
            .lines()
            .filter(|line| line.starts_with("cmdstat_"))
            .filter_map(|line| line.split_once("calls=")?.1.split(',').next()?.parse::<f64>().ok());
        Done { commands: calls.sum(), reads: line("total_reads_processed:").expect("it counts them") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The URL of a port here.
pub fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

/// redis-rs' shared connection, whose answers may take their time.
pub async fn connect(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("a URL");
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(60)));
    client.get_multiplexed_async_connection_with_config(&config).await.expect("the server answers")
}
