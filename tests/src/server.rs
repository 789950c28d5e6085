//! Real Redis or Valkey servers, one process each, that end with the test process whatever ends it.
//!
//! The server runs under a small shell script that holds the reading end of a pipe. When this process goes away,
//! by returning, panicking or being killed, the pipe closes, and the script ends the server and removes its
//! folder. No process is left over and none is looked up by name.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

use crate::wait::DEADLINE;

/// Arguments: the log file, the folder to remove at the end, then the server's command line.
const KEEPER: &str = r#"
log=$1; folder=$2; shift 2
"$@" </dev/null >"$log" 2>&1 &
server=$!
echo "$server"
read -r _
kill -KILL "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf -- "$folder"
"#;

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(15);

/// A server of its own for a test, on a free port of 127.0.0.1, without persistence.
///
/// It is ended by its process id when this is dropped. After a panic its log is printed.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    args: Vec<String>,
    /// Where it is a sentinel: its configuration, which it writes to.
    config: Option<String>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    keeper: Child,
    /// Closing it ends the server.
    lifeline: Option<ChildStdin>,
    pid: u32,
    folder: PathBuf,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// Where no server program is found or it does not answer; the message says what to do.
    pub fn start() -> Self {
        Self::with_args(&[])
    }

    /// [`start`](Self::start) with further arguments for the server's command line.
    pub fn with_args(args: &[&str]) -> Self {
        Self::launch(args, None)
    }

    /// Starts a sentinel with these lines of configuration.
    ///
    /// # Panics
    /// Where it does not answer.
    pub fn sentinel(config: &str) -> Self {
        Self::launch(&[], Some(config))
    }

    fn launch(args: &[&str], config: Option<&str>) -> Self {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let mut log = String::new();
        // Another process may take the port between our choice and the server's bind.
        for _ in 0..5 {
            let port = free_port();
            match Running::launch(port, &args, config) {
                Ok(running) => {
                    let config = config.map(str::to_owned);
                    return Self { port, args, config, running: Some(running) };
                }
                Err(text) => log = text,
            }
        }
        panic!("{} did not start; its log:\n{log}", program().display());
    }

    /// The server that all tests of this process share. Use a fresh [`namespace`](crate::namespace), and never
    /// flush, restart or pause it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// `redis://127.0.0.1:port`, by the user `shop` where the tests are [to run with few rights](login).
    pub fn url(&self) -> String {
        format!("redis://{}127.0.0.1:{}", login(), self.port)
    }

    /// `redis://127.0.0.1:port`.
    pub fn bare_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port it listens on, also after a restart.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server; its data are lost.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Ends the server where it runs and starts an empty one on the same port.
    ///
    /// # Panics
    /// Where the new one does not answer.
    pub fn restart(&mut self) {
        self.stop();
        match Running::launch(self.port, &self.args, self.config.as_deref()) {
            Ok(running) => self.running = Some(running),
            Err(log) => panic!("the server did not restart; its log:\n{log}"),
        }
    }

    /// Stops the process with `SIGSTOP`: connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// A connection to look at the server from outside, with a generous response timeout.
    pub async fn client(&self) -> MultiplexedConnection {
        connect(&self.bare_url()).await
    }

    /// What the server wrote so far.
    pub fn log(&self) -> String {
        self.running.as_ref().map(Running::log).unwrap_or_default()
    }

    fn signal(&self, signal: &str) {
        let pid = self.running.as_ref().expect("the server runs").pid;
        let sent = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{signal} could not be sent to {pid}");
    }
}

/// What stands before the host in URLs: with `CACHEMACRO_TEST_USER=1` the user `shop`, who has the rights of the guide and no more, for
/// all keys; else nobody.
pub fn login() -> &'static str {
    static LOGIN: OnceLock<bool> = OnceLock::new();
    if *LOGIN.get_or_init(|| std::env::var_os("CACHEMACRO_TEST_USER").is_some()) {
        "shop:PASSWORD@"
    } else {
        ""
    }
}

/// The user that stores log in as.
pub fn user() -> &'static str {
    login().split(':').next().filter(|user| !user.is_empty()).unwrap_or("default")
}

/// The rules of a user as the guide has them, with all that it adds for some settings, and for all keys.
///
/// # Panics
/// Where the guide has none.
pub fn rights(user: &str) -> Vec<String> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let guide = std::fs::read_to_string(guide).expect("the guide is there");
    let line = guide.lines().find_map(|line| line.strip_prefix(&format!("ACL SETUSER {user} ")));
    let line = line.unwrap_or_else(|| panic!("docs/operations.md has a line for {user}"));
    let more = |what: &str| {
        let added = guide.split(&format!("{what}, add `")).nth(1).and_then(|rest| rest.split('`').next());
        added.unwrap_or_else(|| panic!("docs/operations.md says what is added {what}"))
    };
    let (cluster, search) = (more("on a cluster"), more("for search"));
    let rules = line.replace("~shop:* ~{shop:*", "~*");
    format!("{user} {rules} {cluster} {search} +wait +select").split_whitespace().map(str::to_owned).collect()
}

/// Has a server carry out a command: words with a blank between them.
///
/// # Panics
/// Where it refuses.
pub async fn run(server: &mut MultiplexedConnection, command: &str) {
    let mut words = command.split(' ');
    let mut cmd = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        cmd.arg(word);
    });
    cmd.exec_async(server).await.expect("the server obeys");
}

/// A test's own connection to a server, with generous deadlines.
///
/// # Panics
/// Where the URL is wrong or nobody answers.
pub async fn connect(url: &str) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(START))
        .set_response_timeout(Some(2 * DEADLINE));
    redis::Client::open(url)
        .expect("the URL is well-formed")
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .expect("the test's own server accepts connections")
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the server on port {}:\n{}---", self.port, self.log());
        }
    }
}

impl Running {
    fn launch(port: u16, args: &[String], config: Option<&str>) -> Result<Self, String> {
        let folder = tempfile::Builder::new()
            .prefix("cachemacro-test-")
            .tempdir()
            .map_err(|error| format!("no temporary folder: {error}"))?
            .keep();
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sh"]).arg(folder.join("server.log")).arg(&folder).arg(program());
        if let Some(config) = config {
            let file = folder.join("sentinel.conf");
            let text = format!("port {port}\nbind 127.0.0.1\ndir {}\n{config}\n", folder.display());
            std::fs::write(&file, text).map_err(|error| format!("no configuration: {error}"))?;
            command.arg(file).arg("--sentinel");
        } else {
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(&folder).args([
                "--save",
                "",
                "--appendonly",
                "no",
                "--daemonize",
                "no",
            ]);
            // One who brings a file of users has no others.
            if !login().is_empty() && !args.iter().any(|arg| arg == "--aclfile") {
                command.arg("--user").args(rights("shop"));
            }
            command.args(args);
        }
        let mut keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("sh could not be run: {error}"))?;
        let lifeline = keeper.stdin.take();
        let mut pid = String::new();
        if let Some(out) = keeper.stdout.take() {
            BufReader::new(out).read_line(&mut pid).map_err(|error| error.to_string())?;
        }
        let pid = pid.trim().parse().map_err(|_| "the server's process id is unknown".to_owned())?;
        let running = Self { keeper, lifeline, pid, folder };
        let began = Instant::now();
        while began.elapsed() < START {
            match answers(port) {
                Some(answer) if answer.contains(&format!("process_id:{pid}\r")) => return Ok(running),
                // A password is asked for, so this is no foreign server that happens to be there.
                Some(answer) if answer.starts_with("-NOAUTH") => return Ok(running),
                // The port was taken by another one: this one gives up by itself.
                _ if running.log().contains("Failed listening") => return Err(running.log()),
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        Err(running.log())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // Waits until the server is gone and its port free.
        let _ = self.keeper.wait();
    }
}

/// The server program: `CACHEMACRO_TEST_SERVER`, else `redis-server` on the path.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let name = std::env::var_os("CACHEMACRO_TEST_SERVER").unwrap_or_else(|| "redis-server".into());
        let found = Command::new(&name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(
            found.is_ok_and(|status| status.success()),
            "{} was not found. Run ./scripts/test, which installs redis-server where it is missing and then runs \
             all tests, or name a server program in CACHEMACRO_TEST_SERVER.",
            name.display()
        );
        PathBuf::from(name)
    })
}

/// Whether the server program is Redis 6.
///
/// # Panics
/// Where it does not tell.
pub fn is_redis_6() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    *IS.get_or_init(|| {
        let told = Command::new(program()).arg("--version").output().expect("it was run before");
        String::from_utf8_lossy(&told.stdout).contains("Redis server v=6.")
    })
}

/// Whether the server program was built with TLS: asked for a port of TLS and given no certificate, one that was misses it, and ends.
///
/// # Panics
/// Where it cannot be run.
pub fn has_tls() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let port = free_port().to_string();
        let told = tempfile::NamedTempFile::new().expect("a file for what it says");
        let writes = || told.as_file().try_clone().expect("a file");
        let mut asked = Command::new(program());
        asked.args(["--port", "0", "--tls-port", &port, "--bind", "127.0.0.1", "--save", ""]);
        let asked = asked.stdin(Stdio::null()).stdout(writes()).stderr(writes()).spawn();
        let mut asked = asked.expect("it was run before");
        let began = Instant::now();
        while began.elapsed() < START && asked.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = asked.kill();
        let _ = asked.wait();
        let told = std::fs::read(told.path()).expect("it was written");
        String::from_utf8_lossy(&told).contains("tls-cert-file")
    })
}

/// A port of 127.0.0.1 where nobody listens now.
///
/// # Panics
/// Where there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on 127.0.0.1");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// What is said to an `INFO server`, where anybody listens.
fn answers(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"INFO server\r\n").ok()?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while !answer.windows(11).any(|bytes| bytes == b"process_id:") || !answer.ends_with(b"\r\n") {
        match stream.read(&mut chunk) {
            Ok(read) if read > 0 => answer.extend_from_slice(&chunk[..read]),
            _ => break,
        }
        if answer.starts_with(b"-") {
            break;
        }
    }
    Some(String::from_utf8_lossy(&answer).into_owned())
}
