//! Waiting for a key to change, woken by the server's push.
//!
//! One connection of its own, in RESP3, has the server track the keys that someone waits for: `CLIENT CACHING YES`
//! and a read of the header, in one go. The read also tells whether there is anything to wait for, so a change
//! that came just before is not waited for in vain. Where the server does not offer tracking (an ACL, a proxy, no
//! RESP3), or while the connection is being made, waiting is polling. No wait is longer than [`LONGEST_WAIT`],
//! so a push that got lost costs no more.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis::aio::SendError;
use redis::{Pipeline, PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::config::RedisConfig;
use super::connect::Link;
use super::endpoint::Opened;
use super::multiplexed::{Multiplexed, Unmade, settings};
use super::{failure, reply};
use crate::format::header::{FIXED, Header};
use crate::ground::error::{Error, Result};
use crate::ground::pauses::spread;
use crate::ground::sync::lock;

/// The longest wait for a push before the caller looks for itself.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// The longest pause between two looks where there is no push.
const LONGEST_PAUSE: Duration = Duration::from_millis(60);
/// How long a server that refused tracking is not asked again.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);
/// How long none is opened after a connection failed; what serves the commands comes first.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// The tracked connection and those who wait.
pub(super) struct Pushes {
    /// Whether the settings want any.
    wanted: bool,
    connect_timeout: Duration,
    command_timeout: Duration,
    state: Mutex<State>,
    waiting: Arc<Waiting>,
}

enum State {
    Idle,
    Opening { since: Instant },
    Open { connection: Multiplexed, opened: Instant },
    Off { until: Instant },
}

impl Pushes {
    pub(super) fn new(config: &RedisConfig) -> Self {
        Self {
            wanted: config.push,
            connect_timeout: config.connect_timeout,
            command_timeout: config.command_timeout,
            state: Mutex::new(State::Idle),
            waiting: Arc::default(),
        }
    }

    /// Waits until the entry may have changed, at most `at_most`.
    pub(super) async fn changed(self: &Arc<Self>, link: &Arc<Link>, key: &str, at_most: Duration) {
        let Some((connection, opened)) = self.connection(link) else {
            return sleep(at_most.min(spread(LONGEST_PAUSE))).await;
        };
        // Enlisted before the server is asked, so that no push can come too early.
        let place = self.waiting.enlist(key);
        match self.leased_for(connection, link, key).await {
            Ok(None) => {}
            Ok(Some(left)) => {
                let patience = at_most.min(spread(LONGEST_WAIT)).min(left);
                // Woken or not, the caller looks for itself.
                let _ = timeout(patience, place.woken.notified()).await;
            }
            Err(error) => {
                self.retire(opened, &error);
                sleep(at_most.min(spread(LONGEST_PAUSE))).await;
            }
        }
    }

    pub(super) fn are_open(&self) -> bool {
        matches!(&*lock(&self.state), State::Open { .. })
    }

    pub(super) fn close(&self) {
        *lock(&self.state) = State::Idle;
        self.waiting.wake_all();
    }

    /// The tracked connection where it is open; where it is not, it is opened behind the caller's back.
    fn connection(self: &Arc<Self>, link: &Arc<Link>) -> Option<(Multiplexed, Instant)> {
        if !self.wanted {
            return None;
        }
        let now = Instant::now();
        let mut state = lock(&self.state);
        match &*state {
            State::Open { connection, opened } if link.dialer.is_current(link.dialer.mark(*opened)) => {
                return Some((connection.clone(), *opened));
            }
            State::Opening { since } if now.duration_since(*since) < self.connect_timeout * 2 => return None,
            State::Off { until } if now < *until => return None,
            _ => {}
        }
        let permit = link.dialer.admit().ok()?;
        *state = State::Opening { since: now };
        drop(state);
        // Those who wait come from several runtimes, and the connection outlives each.
        let opening = Arc::clone(self).open(Arc::clone(link), now);
        link.dialer.background.spawn(async move {
            opening.await;
            drop(permit);
        });
        None
    }

    async fn open(self: Arc<Self>, link: Arc<Link>, since: Instant) {
        let result = timeout(self.connect_timeout, self.establish(&link)).await;
        // Where the server refuses to track, it was opened.
        let is_open = matches!(&result, Ok(Ok(_) | Err(Unmade { is_final: true, .. })));
        if !is_open {
            link.dialer.failed_aside();
        }
        let mut state = lock(&self.state);
        if !matches!(&*state, State::Opening { since: mine } if *mine == since) || link.dialer.is_closed() {
            return;
        }
        let off_for = |pause| State::Off { until: Instant::now() + pause };
        match result {
            Ok(Ok(connection)) => {
                *state = State::Open { connection, opened: since };
                drop(state);
                tracing::debug!("redis wakes waiters by push");
            }
            Ok(Err(Unmade { error, is_final: true, lacks })) => {
                *state = off_for(AFTER_REFUSAL);
                drop(state);
                link.dialer.lacks(lacks.as_deref());
                tracing::debug!(%error, "redis does not wake waiters by push; they poll");
            }
            _ => *state = off_for(AFTER_FAILURE),
        }
    }

    async fn establish(&self, link: &Link) -> Result<Multiplexed, Unmade> {
        let waiting = Arc::clone(&self.waiting);
        let config = settings(self.connect_timeout).set_push_sender(move |push: PushInfo| {
            waiting.pushed(&push);
            Ok::<(), SendError>(())
        });
        let Opened { stream, greeting } = link.dialer.endpoint.open_for_pushes().await?;
        let mut connection = Multiplexed::open(stream, &greeting, config).await?;
        let mut tracking = redis::cmd("CLIENT");
        connection.obey(tracking.arg("TRACKING").arg("ON").arg("OPTIN")).await?;
        Ok(connection)
    }

    /// Has the server track the key; tells how long its lease has left, or `None` where nobody holds it.
    async fn leased_for(
        &self,
        mut connection: Multiplexed,
        link: &Link,
        key: &str,
    ) -> Result<Option<Duration>> {
        let mut look = Pipeline::with_capacity(2);
        look.cmd("CLIENT").arg("CACHING").arg("YES");
        look.cmd("GETRANGE").arg(key).arg(0).arg(FIXED - 1);
        let mut replies = timeout(self.command_timeout, connection.ask_all(&look, 2))
            .await
            .map_err(|_| failure::timed_out(self.command_timeout))?
            .map_err(|error| failure::failed(&error))?;
        let head = reply::string(replies.pop().ok_or_else(failure::unexpected)?.into())?.unwrap_or_default();
        reply::done(&replies.pop().ok_or_else(failure::unexpected)?.into())?;
        let now = link.dialer.time.now();
        let leased = Header::parse(&head).ok().filter(|header| header.is_leased(now));
        Ok(leased.map(|header| header.lease_deadline.since(now)))
    }

    fn retire(&self, opened: Instant, error: &Error) {
        let mut state = lock(&self.state);
        if matches!(&*state, State::Open { opened: other, .. } if *other == opened) {
            *state = State::Off { until: Instant::now() + AFTER_FAILURE };
            drop(state);
            tracing::debug!(%error, "the redis connection for pushes failed and will be replaced");
            self.waiting.wake_all();
        }
    }
}

impl fmt::Debug for Pushes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushes").field("open", &self.are_open()).finish_non_exhaustive()
    }
}

/// Those who wait, by key.
#[derive(Default)]
struct Waiting {
    places: Mutex<HashMap<Vec<u8>, Vec<Arc<Notify>>>>,
}

/// One who waits; leaves when dropped.
struct Place<'a> {
    waiting: &'a Waiting,
    key: &'a [u8],
    woken: Arc<Notify>,
}

impl Waiting {
    fn enlist<'a>(&'a self, key: &'a str) -> Place<'a> {
        let woken = Arc::new(Notify::new());
        lock(&self.places).entry(key.as_bytes().to_vec()).or_default().push(Arc::clone(&woken));
        Place { waiting: self, key: key.as_bytes(), woken }
    }

    fn pushed(&self, push: &PushInfo) {
        match (&push.kind, push.data.first()) {
            (PushKind::Invalidate, Some(Value::Array(keys))) => {
                let places = lock(&self.places);
                for key in keys {
                    if let Value::BulkString(key) = key
                        && let Some(those) = places.get(key)
                    {
                        for woken in those {
                            woken.notify_one();
                        }
                    }
                }
            }
            // Everything was flushed, or the connection is gone and nothing more will come.
            (PushKind::Invalidate | PushKind::Disconnection, _) => self.wake_all(),
            _ => {}
        }
    }

    fn wake_all(&self) {
        for woken in lock(&self.places).values().flatten() {
            woken.notify_one();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = lock(&self.waiting.places);
        if let Some(those) = places.get_mut(self.key) {
            those.retain(|woken| !Arc::ptr_eq(woken, &self.woken));
            if those.is_empty() {
                places.remove(self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_woken(place: &Place<'_>) -> bool {
        place.woken.notified().now_or_never().is_some()
    }

    fn invalidation(keys: Value) -> PushInfo {
        PushInfo { kind: PushKind::Invalidate, data: vec![keys] }
    }

    #[test]
    fn a_push_wakes_all_who_wait_for_its_keys_and_nobody_else() {
        let waiting = Waiting::default();
        let (first, second, other) = (waiting.enlist("k"), waiting.enlist("k"), waiting.enlist("other"));
        waiting.pushed(&invalidation(Value::Array(vec![Value::BulkString(b"k".to_vec()), Value::Nil])));
        assert!(is_woken(&first) && is_woken(&second) && !is_woken(&other));
    }

    #[test]
    fn a_flush_or_a_lost_connection_wakes_everyone() {
        let waiting = Waiting::default();
        let place = waiting.enlist("k");
        waiting.pushed(&invalidation(Value::Nil));
        assert!(is_woken(&place));
        waiting.pushed(&PushInfo { kind: PushKind::Disconnection, data: vec![] });
        assert!(is_woken(&place));
        waiting.pushed(&PushInfo { kind: PushKind::Message, data: vec![] });
        assert!(!is_woken(&place));
    }

    #[test]
    fn nobody_is_left_behind_in_the_list() {
        let waiting = Waiting::default();
        let (first, second) = (waiting.enlist("k"), waiting.enlist("k"));
        drop(first);
        assert_eq!(lock(&waiting.places).len(), 1);
        drop(second);
        assert!(lock(&waiting.places).is_empty());
    }
}
