//! The binary in a real terminal.

use std::process::Command;

use cachemacro_tests::{DEADLINE, namespace, wait_until};

use crate::harness::Place;

/// A terminal of tmux, on a server of its own.
pub(crate) struct Terminal(String);

impl Terminal {
    pub(crate) fn tmux(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.0, "-f", "/dev/null"]).args(args);
        let output = command.output().expect("this test needs tmux");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// One in which the binary runs with these arguments, and after it says how it ended.
    pub(crate) fn start(place: &Place, (width, height): (u16, u16), args: &str) -> Self {
        let terminal = Self(namespace());
        let binary = env!("CARGO_BIN_EXE_cachemacro");
        let (url, namespace) = (&place.url, &place.namespace);
        let run = format!(
            "echo before; env -u NO_COLOR CACHEMACRO_REDIS_URL={url} CACHEMACRO_NAMESPACE={namespace} {binary} {args}; \
             echo ended with $?; exec cat"
        );
        let (width, height) = (width.to_string(), height.to_string());
        terminal.tmux(&["new-session", "-d", "-x", &width, "-y", &height, &run]);
        terminal
    }

    pub(crate) fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    pub(crate) async fn shows(&self, what: &str) {
        wait_until(what, DEADLINE, async || self.screen().contains(what)).await;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
