//! Worker processes for tests that need several: binaries in `src/bin/` that speak lines of text.
//!
//! The test writes commands to a worker's standard input and reads its standard output, one line each. A worker
//! ends when its input does ([`commands`]), so none outlives the test.

use std::io::BufRead;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::wait::DEADLINE;

/// A worker process, killed when dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts `binary` (`env!("CARGO_BIN_EXE_…")`) with `args` and the variables in `envs`: none of the cache's reach it
    /// from outside.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub fn spawn(binary: &str, args: &[&str], envs: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary);
        for variable in crate::programs::variables_of_the_cache() {
            command.env_remove(variable);
        }
        let mut child = command
            .args(args)
            .envs(envs.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{binary} could not be started: {error}"));
        let input = child.stdin.take();
        let output = child.stdout.take().expect("the output is piped");
        Self { child, input, output: BufReader::new(output).lines() }
    }

    /// Sends one line.
    ///
    /// # Panics
    /// Where the worker is gone.
    pub async fn send(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open until finish");
        input.write_all(format!("{line}\n").as_bytes()).await.expect("the worker reads its input");
        input.flush().await.expect("the worker reads its input");
    }

    /// The next line it says.
    ///
    /// # Panics
    /// Where it says none within the [`DEADLINE`], or has ended.
    pub async fn line(&mut self) -> String {
        let said =
            timeout(DEADLINE, self.output.next_line()).await.expect("the worker says something in time");
        match said {
            Ok(Some(line)) => line,
            _ => panic!("the worker ended: {:?}", self.child.wait().await),
        }
    }

    /// Waits for a line that begins with `word` and returns the rest of it.
    ///
    /// # Panics
    /// Where the next line is another one.
    pub async fn expect(&mut self, word: &str) -> String {
        let line = self.line().await;
        match line.strip_prefix(word) {
            Some(rest) => rest.trim().to_owned(),
            None => panic!("the worker said {line:?} instead of {word:?}"),
        }
    }

    /// The worker's process id.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Stops the process where it stands.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets a stopped process go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.id().expect("it has not ended").to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{signal}"), &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{signal} of {id}");
    }

    /// Ends the worker's input and waits until it ended well.
    ///
    /// # Panics
    /// Where it does not end within the [`DEADLINE`], or not well.
    pub async fn finish(mut self) {
        self.input = None;
        let ended = timeout(DEADLINE, self.child.wait()).await;
        assert!(
            matches!(&ended, Ok(Ok(status)) if status.success()),
            "the worker did not end well: {ended:?}"
        );
    }

    /// Kills the worker, as a crash would.
    pub async fn kill(mut self) {
        let _ = timeout(Duration::from_secs(5), self.child.kill()).await;
    }
}

/// In a worker: the commands of the test, until the test ends. Blocks; call it from a thread of its own where
/// other work goes on.
pub fn commands() -> impl Iterator<Item = String> {
    std::io::stdin().lock().lines().map_while(Result::ok)
}

/// In a worker: says one line to the test, at once.
pub fn say(line: impl std::fmt::Display) {
    println!("{line}");
}
