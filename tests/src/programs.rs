//! The programs in `examples/`, run as a user would run them.
//!
//! They are built by the same `cargo test` that builds the tests. Where only some tests are built, or a program is older
//! than what it is made from, it is built here.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How long a program may take, even on a busy machine.
const LONGEST: Duration = Duration::from_mins(2);

/// A program that is to run with settings of its own: none of the cache's variables reach it from outside.
#[derive(Debug)]
pub struct Program {
    name: String,
    command: Command,
}

/// What a program said until it ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

impl Program {
    /// The example of this name.
    ///
    /// # Panics
    /// Where it cannot be built.
    pub fn example(name: &str) -> Self {
        let mut command = Command::new(built(name));
        without_settings(&mut command).stdin(Stdio::null());
        Self { name: name.to_owned(), command }
    }

    /// Run by another program, which gets its path after these arguments, and starts the servers that the tests do.
    #[must_use]
    pub fn under(self, by: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(by);
        command.args(args).arg(self.command.get_program());
        without_settings(&mut command).stdin(Stdio::null());
        for name in ["CACHEMACRO_TEST_SERVER", "CACHEMACRO_TEST_CLI"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        Self { name: self.name, command }
    }

    /// With a further argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// With further arguments, separated by blanks.
    #[must_use]
    pub fn args(mut self, args: &str) -> Self {
        self.command.args(args.split_whitespace());
        self
    }

    /// With a variable.
    #[must_use]
    pub fn env(mut self, variable: &str, value: &str) -> Self {
        self.command.env(variable, value);
        self
    }

    /// Runs it until it ends.
    ///
    /// # Panics
    /// Where it cannot be started, or takes longer than two minutes.
    pub fn end(mut self) -> Ended {
        let mut child = self.spawn();
        let output = collect(child.0.stdout.take());
        let errors = collect(child.0.stderr.take());
        let status = child.wait().unwrap_or_else(|| panic!("{} does not end", self.name));
        let text = |thread: thread::JoinHandle<String>| thread.join().expect("reading does not panic");
        Ended { status, output: text(output), errors: text(errors) }
    }

    /// What it prints, where it ends well.
    ///
    /// # Panics
    /// Where it does not end well.
    pub fn output(self) -> String {
        let name = self.name.clone();
        let Ended { status, output, errors } = self.end();
        assert!(status.success(), "{name} ended with {status}\n{output}\n{errors}");
        output
    }

    /// Starts it as a server that prints `listening on http://…`, to be ended when dropped.
    ///
    /// # Panics
    /// Where it does not say so in time.
    pub fn serve(mut self) -> Served {
        let mut child = self.spawn();
        let (say, said) = mpsc::channel();
        let output = child.0.stdout.take().expect("the output is piped");
        // Reads on to the end, so that the program never waits for somebody to read.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = say.send(line);
            }
        });
        let errors = collect(child.0.stderr.take());
        let mut head = Vec::new();
        loop {
            match said.recv_timeout(LONGEST) {
                Ok(line) => match line.strip_prefix("listening on http://") {
                    Some(address) => return Served { address: address.to_owned(), head, child },
                    None => head.push(line),
                },
                Err(RecvTimeoutError::Timeout) => panic!("{} does not listen: {head:?}", self.name),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{} ended: {head:?}\n{:?}", self.name, errors.join());
                }
            }
        }
    }

    fn spawn(&mut self) -> Running {
        let child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Running(child.unwrap_or_else(|error| panic!("{} could not be started: {error}", self.name)))
    }
}

/// A process that does not outlive the test.
#[derive(Debug)]
struct Running(Child);

impl Running {
    /// How it ended; `None` where it does not.
    fn wait(&mut self) -> Option<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < LONGEST {
            if let Some(status) = self.0.try_wait().expect("a child can be asked whether it ended") {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server program, ended when dropped.
#[derive(Debug)]
pub struct Served {
    address: String,
    head: Vec<String>,
    child: Running,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{self:?} is not JSON: {error}"))
    }
}

impl Served {
    /// What it printed before it listened.
    pub fn head(&self) -> &[String] {
        &self.head
    }

    /// The port on which it listens.
    ///
    /// # Panics
    /// Where it said none.
    pub fn port(&self) -> u16 {
        self.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("it said its address")
    }

    /// Interrupts it, as Ctrl-C does, and waits until it ended.
    ///
    /// # Panics
    /// Where it does not end in time.
    pub fn interrupt(mut self) -> ExitStatus {
        let pid = self.child.0.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGINT could not be sent to {pid}");
        self.child.wait().expect("a server that is interrupted ends")
    }

    /// Sends a request on a connection of its own.
    ///
    /// # Panics
    /// Where it is not answered as HTTP.
    pub fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("the server accepts connections");
        stream.set_read_timeout(Some(LONGEST)).expect("a timeout can be set");
        let (address, length) = (&self.address, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n\
             content-type: text/plain\r\nconnection: close\r\n\r\n{body}"
        )
        .expect("the server reads the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Answer { status: status.expect("an answer has a status"), body: body.to_owned() }
    }

    /// A `GET`.
    ///
    /// # Panics
    /// Where it is not answered as HTTP.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "")
    }
}

/// The variables of this process that a cache would look at.
pub(crate) fn variables_of_the_cache() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name == "REDIS_URL" || name.starts_with("CACHEMACRO_")
    })
}

/// Keeps the cache's variables from a program.
pub fn without_settings(command: &mut Command) -> &mut Command {
    for variable in variables_of_the_cache() {
        command.env_remove(variable);
    }
    command
}

/// Reads to the end, beside everything else.
fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What was read before an error is told all the same.
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The program's file, built where it is missing or out of date.
fn built(name: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let test = std::env::current_exe().expect("a process has a file");
    // target/debug/deps/examples-0123 → target/debug
    let profile =
        test.parent().and_then(Path::parent).expect("tests are built into a folder of their profile");
    let program = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !is_current(&program) {
        build(name, profile);
    }
    program
}

/// Whether it is there and newer than all its sources, which Cargo lists beside it.
fn is_current(program: &Path) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    let Some(made) = changed(program) else { return false };
    let Ok(sources) = std::fs::read_to_string(program.with_extension("d")) else { return false };
    let Some((_, sources)) = sources.split_once(": ") else { return false };
    // Blanks within a path are written with a backslash.
    let sources = sources.trim_end().replace("\\ ", "\0");
    sources.split(' ').all(|source| {
        let time: Option<SystemTime> = changed(Path::new(&source.replace('\0', " ")));
        time.is_some_and(|time| time <= made)
    })
}

fn build(name: &str, profile: &Path) {
    let target = profile.parent().expect("a profile has a folder in the target folder");
    let profile = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["build", "--quiet", "--workspace", "--all-features", "--example", name, "--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .output();
    match built {
        Ok(built) if built.status.success() => {}
        Ok(built) => panic!("the example {name} does not build:\n{}", String::from_utf8_lossy(&built.stderr)),
        Err(error) => panic!("cargo could not be run to build the example {name}: {error}"),
    }
}
