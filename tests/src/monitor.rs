//! What a server was sent, as its `MONITOR` tells.

use futures_util::StreamExt as _;
use redis::aio::Monitor;

use crate::server::{connect, login};
use crate::wait::DEADLINE;

/// Everything that a server is sent from the start of this on.
pub struct Watched {
    url: String,
    monitor: Monitor,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

impl Watched {
    /// Starts to watch the server at `url`.
    ///
    /// # Panics
    /// Where it cannot be reached.
    pub async fn start(url: &str) -> Self {
        // By a user who may watch.
        let url = url.replace(login(), "");
        let client = redis::Client::open(&*url).expect("the URL is well-formed");
        let monitor = client.get_async_monitor().await.expect("the server lets itself be watched");
        Self { url, monitor }
    }

    /// The commands so far, each with its arguments; bytes that are not printable stay escaped.
    ///
    /// # Panics
    /// Where the server stops telling.
    pub async fn commands(self) -> Vec<Vec<String>> {
        let end = format!("the end of {}", crate::namespace());
        let mut client = connect(&self.url).await;
        redis::cmd("ECHO").arg(&end).exec_async(&mut client).await.expect("the server answers");
        let mut lines = self.monitor.into_on_message::<String>();
        let mut commands = Vec::new();
        loop {
            let line = tokio::time::timeout(DEADLINE, lines.next());
            let line = line.await.expect("the server tells in time").expect("the server goes on telling");
            let command = arguments(&line);
            if command.get(1) == Some(&end) {
                return commands;
            }
            commands.push(command);
        }
    }
}

/// The quoted parts of a line such as `1700000000.123 [0 127.0.0.1:4711] "GET" "key"`.
fn arguments(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut current: Option<String> = None;
    let mut escaped = false;
    for char in line.chars() {
        match &mut current {
            Some(argument) if escaped || char != '"' => {
                argument.push(char);
                escaped = !escaped && char == '\\';
            }
            Some(_) => arguments.extend(current.take()),
            None if char == '"' => current = Some(String::new()),
            None => {}
        }
    }
    arguments
}
