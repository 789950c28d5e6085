//! Waiting for a stream to grow, over a connection that nobody else uses meanwhile. Where there is none, or the server does not allow it, waiting is
//! polling.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis::Value;
use tokio::time::{sleep, timeout};

use super::connect::Link;
use super::endpoint::Opened;
use super::failure;
use super::multiplexed::{Multiplexed, settings};
use crate::ground::error::Result;
use crate::ground::sync::lock;
use crate::store::streams::Place;

/// How long one wait is before whoever waits looks for himself.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// The pause between two looks where there is no connection to wait on.
const PAUSE: Duration = Duration::from_millis(50);
/// How long no connection is opened after one failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How many connections wait for whoever comes next.
const MOST_IDLE: usize = 8;

/// The connections on which it is waited.
pub(super) struct Waits {
    connect_timeout: Duration,
    command_timeout: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<(Multiplexed, Instant)>,
    /// How many are being opened.
    opening: usize,
    /// Until when none is opened.
    off_until: Option<Instant>,
    closed: bool,
}

impl Waits {
    pub(super) fn new(connect_timeout: Duration, command_timeout: Duration) -> Arc<Self> {
        Arc::new(Self { connect_timeout, command_timeout, state: Mutex::default() })
    }

    pub(super) async fn grown(
        self: &Arc<Self>,
        link: &Arc<Link>,
        stream: &str,
        place: Place,
        at_most: Duration,
    ) {
        let at_most = at_most.min(LONGEST_WAIT);
        let Some((mut connection, opened)) = self.connection(link) else {
            return sleep(at_most.min(PAUSE)).await;
        };
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(1).arg("BLOCK").arg(at_most.as_millis().max(1));
        read.arg("STREAMS").arg(stream).arg(format!("{}-0", place.number));
        // Whoever leaves takes the connection along: the server answers on it once more.
        let told = timeout(at_most + self.command_timeout, connection.ask(&read)).await;
        match told {
            Ok(Ok(Value::ServerError(error))) => {
                tracing::debug!(
                    code = error.code(),
                    "redis does not let streams be waited for; they are polled"
                );
                lock(&self.state).off_until = Some(Instant::now() + 60 * AFTER_FAILURE);
                sleep(at_most.min(PAUSE)).await;
            }
            Ok(Ok(_)) => {
                let mut state = lock(&self.state);
                if !state.closed && state.idle.len() < MOST_IDLE {
                    state.idle.push((connection, opened));
                }
            }
            Ok(Err(_)) | Err(_) => sleep(at_most.min(PAUSE)).await,
        }
    }

    /// One that is open. Where there is none, one is opened behind the caller's back.
    fn connection(self: &Arc<Self>, link: &Arc<Link>) -> Option<(Multiplexed, Instant)> {
        let mut state = lock(&self.state);
        while let Some((connection, opened)) = state.idle.pop() {
            if link.dialer.is_current(link.dialer.mark(opened)) {
                return Some((connection, opened));
            }
        }
        let now = Instant::now();
        let is_off = state.closed || state.opening > 0 || state.off_until.is_some_and(|until| now < until);
        if is_off {
            return None;
        }
        let permit = link.dialer.admit().ok()?;
        state.opening += 1;
        drop(state);
        let (waits, opener) = (Arc::clone(self), Arc::clone(link));
        link.dialer.background.spawn(async move {
            let opened = timeout(waits.connect_timeout, waits.open(&opener)).await;
            let mut state = lock(&waits.state);
            state.opening -= 1;
            match opened {
                Ok(Ok(connection)) if !state.closed => state.idle.push((connection, now)),
                Ok(Ok(_)) => {}
                _ => {
                    state.off_until = Some(Instant::now() + AFTER_FAILURE);
                    drop(state);
                    opener.dialer.failed_aside();
                }
            }
            drop(permit);
        });
        None
    }

    async fn open(&self, link: &Link) -> Result<Multiplexed> {
        let Opened { stream, greeting } = link.dialer.endpoint.open().await?;
        let opened = Multiplexed::open(stream, &greeting, settings(self.connect_timeout)).await;
        opened.map_err(|error| failure::unreachable(&error))
    }

    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.idle.clear();
    }
}

impl fmt::Debug for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waits").field("idle", &lock(&self.state).idle.len()).finish_non_exhaustive()
    }
}
