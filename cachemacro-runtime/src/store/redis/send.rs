//! Sending: one request, one deadline, and what is sent a second time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, Pipeline, Value};
use tokio::time::timeout;

use super::connect::Link;
use super::failure;
use super::script::{self, Call};
use crate::ground::error::Result;

/// Whether a request may be sent a second time after the connection broke under it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Resend {
    /// It carries a token or changes what is there: once and never again (G1).
    Never,
    /// Twice is the same as once.
    WhereBroken,
}

/// One command of a pipeline.
pub(super) enum Part<'a> {
    /// A script. It is sent once more, with its source, where the server does not know it: then it did not run.
    Script(Call<'a>),
    /// A command that is sent once.
    Command(Cmd),
    /// A read of what is there after the commands before it: it is sent once more after scripts that were.
    Read(Cmd),
}

/// What is sent in one go.
enum Request<'a> {
    One(&'a Cmd),
    Many(&'a Pipeline),
}

/// Sends requests over the store's connections.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) link: Arc<Link>,
    pub(super) command_timeout: Duration,
}

impl Sender {
    /// Sends one command.
    pub(super) async fn one(&self, cmd: &Cmd, resend: Resend) -> Result<Value> {
        self.exchange(&Request::One(cmd), resend).await
    }

    /// Sends commands in a pipeline; gives a reply for each.
    pub(super) async fn many(&self, pipeline: &Pipeline, resend: Resend) -> Result<Vec<Value>> {
        match self.exchange(&Request::Many(pipeline), resend).await? {
            Value::Array(replies) if replies.len() == pipeline.len() => Ok(replies),
            _ => Err(failure::unexpected()),
        }
    }

    /// Sends these in a pipeline, scripts by their hash; gives a reply for each.
    pub(super) async fn run(&self, mut parts: Vec<Part<'_>>, resend: Resend) -> Result<Vec<Value>> {
        let mut pipeline = Pipeline::with_capacity(parts.len());
        for part in &mut parts {
            pipeline.add_command(match part {
                Part::Script(call) => call.by_hash(),
                // Taken, not copied: it may hold a large value.
                Part::Command(cmd) => std::mem::take(cmd),
                Part::Read(cmd) => cmd.clone(),
            });
        }
        let mut replies = self.timed(&parts, &pipeline, resend).await?;
        let unknown = parts.iter().zip(&replies).filter(|(part, reply)| part.is_unknown(reply)).count();
        if unknown == 0 {
            return Ok(replies);
        }
        tracing::debug!(scripts = unknown, "redis had forgotten scripts");
        let (mut again, mut places) = (Vec::with_capacity(unknown + 1), Vec::with_capacity(unknown + 1));
        let mut late = Pipeline::with_capacity(unknown + 1);
        for (at, part) in parts.into_iter().enumerate() {
            let cmd = match &part {
                Part::Script(call) if part.is_unknown(&replies[at]) => call.by_source(),
                Part::Read(cmd) => cmd.clone(),
                _ => continue,
            };
            late.add_command(cmd);
            again.push(part);
            places.push(at);
        }
        for (at, reply) in places.into_iter().zip(self.timed(&again, &late, resend).await?) {
            replies[at] = reply;
        }
        Ok(replies)
    }

    /// Runs one script.
    pub(super) async fn call(&self, call: Call<'_>, resend: Resend) -> Result<Value> {
        self.run(vec![Part::Script(call)], resend).await?.pop().ok_or_else(failure::unexpected)
    }

    /// Awaits an answer of a pooled connection within the deadline.
    pub(super) async fn in_time<T>(&self, answer: impl Future<Output = redis::RedisResult<T>>) -> Result<T> {
        match timeout(self.command_timeout, answer).await {
            Ok(answer) => answer.map_err(|error| failure::failed(&error)),
            Err(_) => Err(failure::timed_out(self.command_timeout)),
        }
    }

    /// Sends the pipeline of these parts and learns the server's time from the latest reply that tells it.
    async fn timed(&self, parts: &[Part<'_>], pipeline: &Pipeline, resend: Resend) -> Result<Vec<Value>> {
        let sent = Instant::now();
        let replies = self.many(pipeline, resend).await?;
        if let Some(millis) = parts.iter().zip(&replies).rev().find_map(|(part, reply)| part.time_in(reply)) {
            self.link.time.observe(sent, Instant::now(), millis);
        }
        Ok(replies)
    }

    /// Sends and awaits, within the deadline, on a shared connection.
    async fn exchange(&self, request: &Request<'_>, resend: Resend) -> Result<Value> {
        // What cuts one connection tends to cut all, so each may turn out to be broken before a new one is had.
        let mut resends = if resend == Resend::WhereBroken { self.link.width() } else { 0 };
        loop {
            let mut handle = self.link.acquire().await?;
            let connection = &mut handle.connection;
            let answer = match request {
                Request::One(cmd) => timeout(self.command_timeout, connection.send_packed_command(cmd)).await,
                Request::Many(pipeline) => {
                    let answers = connection.send_packed_commands(pipeline, 0, pipeline.len());
                    timeout(self.command_timeout, answers).await.map(|answers| answers.map(Value::Array))
                }
            };
            match answer {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) if failure::is_broken(&error) => {
                    self.link.retire(&handle);
                    if resends == 0 {
                        return Err(failure::failed(&error));
                    }
                    resends -= 1;
                }
                Ok(Err(error)) => return Err(failure::failed(&error)),
                Err(_) => {
                    self.link.retire(&handle);
                    return Err(failure::timed_out(self.command_timeout));
                }
            }
        }
    }
}

impl Part<'_> {
    /// Whether this reply says that the server does not know the script.
    fn is_unknown(&self, reply: &Value) -> bool {
        matches!(self, Part::Script(_)) && script::is_unknown(reply)
    }

    fn time_in(&self, reply: &Value) -> Option<i64> {
        match self {
            Part::Script(call) => call.time_in(reply),
            Part::Command(_) | Part::Read(_) => None,
        }
    }
}
