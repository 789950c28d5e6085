//! Sending: one request, one deadline, and what is sent a second time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, Pipeline, Value};
use tokio::time::{sleep, timeout};

use super::connect::{Handle, Link, Patience};
use super::failure;
use super::refusal::{Fate, Next, Refusal};
use super::script::{self, Call};
use crate::ground::error::{Error, Result};

/// The deadline of what has to be done, in command timeouts: one for a connection that went silent, one for another, and one
/// for opening that and for pauses. `RedisConfig::command_timeout` tells of it.
const TIMEOUTS: u32 = 3;
/// The first pause before something is sent again to a server that cannot do it now; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Whether a request may be sent a second time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Resend {
    /// It carries a token or changes what is there: once and never again (G1).
    Never,
    /// Twice is the same as once, and its caller can do without: only where that costs no time, because a connection broke, or
    /// the server sends us elsewhere.
    WhereBroken,
    /// Twice is the same as once, and it has to be done: also after a silence, a refusal that may pass, and while nothing can be
    /// connected to, until its deadline.
    UntilDone,
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
        let late = self.timed(&again, &late, resend).await.map_err(failure::in_part)?;
        for (at, reply) in places.into_iter().zip(late) {
            replies[at] = reply;
        }
        Ok(replies)
    }

    /// Runs one script.
    pub(super) async fn call(&self, call: Call<'_>, resend: Resend) -> Result<Value> {
        self.run(vec![Part::Script(call)], resend).await?.pop().ok_or_else(failure::unexpected)
    }

    /// When what has to be done counts as failed.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.command_timeout * TIMEOUTS
    }

    /// Sends the pipeline of these parts and learns the server's time from the latest reply that tells it.
    async fn timed(&self, parts: &[Part<'_>], pipeline: &Pipeline, resend: Resend) -> Result<Vec<Value>> {
        let sent = Instant::now();
        let replies = self.many(pipeline, resend).await?;
        if let Some(millis) = parts.iter().zip(&replies).rev().find_map(|(part, reply)| part.time_in(reply)) {
            self.link.dialer.time.observe(sent, Instant::now(), millis);
        }
        Ok(replies)
    }

    /// Sends and awaits, within the deadline, on a shared connection.
    async fn exchange(&self, request: &Request<'_>, resend: Resend) -> Result<Value> {
        match self.link.ready() {
            Ok(ready) => self.deliver(request, resend, ready).await,
            // On the heap, as is what opens connections: neither is part of what each call moves about.
            Err(_) => {
                Box::pin(self.link.dialer.background.enter(self.deliver(request, resend, None))).await?
            }
        }
    }

    async fn deliver(
        &self,
        request: &Request<'_>,
        resend: Resend,
        mut ready: Option<Handle>,
    ) -> Result<Value> {
        let mut again = match resend {
            Resend::Never => Again::Times(0),
            // What cuts one connection tends to cut all, so each may turn out to be broken before a new one is had.
            Resend::WhereBroken => Again::Times(self.link.width()),
            Resend::UntilDone => Again::Until { began: Instant::now(), deadline: self.deadline() },
        };
        // What became of it, where it was sent: that decides whether it may have been done.
        let mut sent: Option<Error> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let acquired = match ready.take() {
                Some(handle) => Ok(handle),
                None => Box::pin(self.link.acquire(again.patience())).await,
            };
            let mut handle = match acquired {
                Ok(handle) => handle,
                Err(error) => {
                    return Err(match sent {
                        Some(sent) => failure::not_again(&sent, &error),
                        None => error,
                    });
                }
            };
            let connection = &mut handle.connection;
            // What was not sent yet is, however late its connection came.
            let within =
                if sent.is_some() { again.at_most(self.command_timeout) } else { self.command_timeout };
            let answer = match request {
                Request::One(cmd) => timeout(within, connection.send_packed_command(cmd)).await,
                Request::Many(pipeline) => {
                    let answers = connection.send_packed_commands(pipeline, 0, pipeline.len());
                    timeout(within, answers).await.map(|answers| answers.map(Value::Array))
                }
            };
            match answer {
                Ok(Ok(value)) => {
                    let refused = Refusal::in_reply(&value, matches!(request, Request::Many(_)));
                    let Some((refusal, error)) = refused else {
                        self.link.served(&handle);
                        return Ok(value);
                    };
                    match refusal.connection {
                        Fate::Kept => self.link.served(&handle),
                        fate => self.link.retire(&handle, fate, &failure::replied(error)),
                    }
                    let repeats = match refusal.request {
                        Next::Again => again.once_more(Duration::ZERO),
                        Next::Later => again.is_patient() && again.once_more(pause),
                        Next::Never => false,
                    };
                    if !repeats {
                        // Each reply is told where it is read.
                        return Ok(value);
                    }
                    if refusal.request == Next::Later {
                        sleep(pause).await;
                        pause *= 2;
                    }
                }
                Ok(Err(error)) => {
                    let (told, broken) = (failure::failed(&error), failure::is_broken(&error));
                    if broken {
                        self.link.retire(&handle, Fate::Replaced, &told);
                    }
                    if !broken || !again.once_more(Duration::ZERO) {
                        return Err(told);
                    }
                    sent = Some(told);
                }
                Err(_) => {
                    let silence = failure::timed_out(again.waited().unwrap_or(within));
                    self.link.retire(&handle, Fate::Replaced, &silence);
                    if !again.is_patient() || !again.once_more(Duration::ZERO) {
                        return Err(silence);
                    }
                    sent = Some(silence);
                }
            }
        }
    }
}

/// How often a request may still be sent again.
#[derive(Clone, Copy)]
enum Again {
    Times(usize),
    Until { began: Instant, deadline: Instant },
}

impl Again {
    const fn is_patient(self) -> bool {
        matches!(self, Self::Until { .. })
    }

    /// Takes one more time, where there is one after such a pause.
    fn once_more(&mut self, pause: Duration) -> bool {
        match self {
            Self::Times(0) => false,
            Self::Times(left) => {
                *left -= 1;
                true
            }
            Self::Until { deadline, .. } => Instant::now() + pause < *deadline,
        }
    }

    fn at_most(self, wait: Duration) -> Duration {
        match self {
            Self::Times(_) => wait,
            Self::Until { deadline, .. } => wait.min(deadline.saturating_duration_since(Instant::now())),
        }
    }

    /// How long it took so far, where that is bounded in all.
    fn waited(self) -> Option<Duration> {
        match self {
            Self::Times(_) => None,
            Self::Until { began, .. } => Some(began.elapsed()),
        }
    }

    const fn patience(self) -> Patience {
        match self {
            Self::Times(_) => Patience::Short,
            Self::Until { deadline, .. } => Patience::Until(deadline),
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
