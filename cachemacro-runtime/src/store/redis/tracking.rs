//! Tells a listener of every change under a prefix, by client tracking in broadcast mode on a connection of its own.
//!
//! Nothing is asked for each key, so reads cost the server nothing and its table of tracked keys does not overflow; each write
//! under the prefix is one short push to each process. A connection that is lost says so; one that went silent is found by a
//! heartbeat, whose answer comes after all that was pushed before it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::SendError;
use redis::{Cmd, PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::connect::Link;
use super::endpoint::Opened;
use super::failure;
use super::multiplexed::{Multiplexed, Unmade, settings};
use super::pool::leads_to_replica;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::contract::Listener;

/// The pause between an answer and the next question.
const BEAT: Duration = Duration::from_millis(250);
/// How long the answer may take. With the pause before it, less than the second after which a listener gives up by itself.
const SILENCE: Duration = Duration::from_millis(600);

/// Tells of all changes under these prefixes until that ends; gives why.
pub(super) async fn track(link: &Link, prefixes: &[String], listener: Arc<dyn Listener>) -> Error {
    match Tracked::open(link, prefixes, &listener).await {
        Ok(tracked) => {
            listener.begins();
            tracked.follow(link, &*listener, &redis::cmd("PING")).await
        }
        Err(error) => error,
    }
}

/// A connection that changes are pushed on.
pub(super) struct Tracked {
    connection: Multiplexed,
    lost: Arc<Notify>,
    /// When it began to be opened.
    since: Instant,
}

impl Tracked {
    /// Opens the connection and has the server track.
    pub(super) async fn open(link: &Link, prefixes: &[String], listener: &Arc<dyn Listener>) -> Result<Self> {
        let _permit = link.dialer.admit().map_err(|closed| closed.error)?;
        let within = link.dialer.connect_timeout;
        let opened = timeout(within, Self::establish(link, within, prefixes, listener)).await;
        let opened = opened.unwrap_or_else(|_| Err(Error::new(ErrorKind::Connect, failure::SILENT)));
        if opened.as_ref().is_err_and(|error| error.kind() == ErrorKind::Connect) {
            link.dialer.failed_aside();
        }
        opened
    }

    async fn establish(
        link: &Link,
        within: Duration,
        prefixes: &[String],
        listener: &Arc<dyn Listener>,
    ) -> Result<Self> {
        let (lost, since) = (Arc::new(Notify::new()), Instant::now());
        let (told, ended) = (Arc::clone(listener), Arc::clone(&lost));
        let config = settings(within).set_push_sender(move |push: PushInfo| {
            pushed(&push, &*told, &ended);
            Ok::<(), SendError>(())
        });
        let Opened { stream, greeting } = link.dialer.endpoint.open_for_pushes().await?;
        let opened = Multiplexed::open(stream, &greeting, config).await;
        let mut connection = opened.map_err(|error| untracked(link, error.into()))?;
        // A replica learns of its primary's changes late, so it is not asked to tell of them.
        if leads_to_replica(&mut connection).await.map_err(|error| failure::unreachable(&error))? {
            return Err(failure::replica());
        }
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("BCAST");
        for prefix in prefixes {
            tracking.arg("PREFIX").arg(prefix);
        }
        connection.obey(&tracking).await.map_err(|error| untracked(link, error.into()))?;
        Ok(Self { connection, lost, since })
    }

    /// Asks again and again whether the connection is there, by a question that only who may go on telling answers.
    pub(super) async fn follow(mut self, link: &Link, listener: &dyn Listener, question: &Cmd) -> Error {
        let mut server = link.dialer.id();
        loop {
            let sent = Instant::now();
            match timeout(SILENCE, self.connection.ask(question)).await {
                Ok(answer) => match answer.and_then(Value::extract_error) {
                    // What is on its way to another node is the question's key, and not the node's part.
                    Err(error) if error.code() != Some("ASK") => return failure::failed(&error),
                    _ => listener.told_until(sent),
                },
                Err(_) => return failure::timed_out(SILENCE),
            }
            tokio::select! {
                () = sleep(BEAT) => {}
                () = self.lost.notified() => return Error::new(ErrorKind::Io, "the connection to redis broke"),
                () = link.dialer.attempts.moved.notified() => {}
            }
            if link.dialer.is_closed() {
                return failure::closed();
            }
            // A server that became a replica goes on telling, of what its primary does, and late (G3).
            if !link.dialer.is_current(link.dialer.mark(self.since)) {
                return failure::replica();
            }
            // One that was a replica meanwhile, and is a primary again, may have told nothing then.
            let now = link.dialer.id();
            if server.is_some() && now != server {
                return Error::new(ErrorKind::Io, "redis was a replica for a while");
            }
            server = now;
        }
    }
}

/// Why the server does not track; [`Refused`](ErrorKind::Refused) where it would not the next time either.
fn untracked(link: &Link, Unmade { error, is_final, lacks }: Unmade) -> Error {
    link.dialer.lacks(lacks.as_deref());
    if is_final { Error::new(ErrorKind::Refused, error.context().to_owned()) } else { error }
}

/// Passes on what was pushed, in the order of the connection: before any later answer is handed on.
fn pushed(push: &PushInfo, listener: &dyn Listener, lost: &Notify) {
    match (&push.kind, push.data.first()) {
        (PushKind::Invalidate, Some(Value::Array(keys))) => {
            for key in keys {
                if let Value::BulkString(key) = key {
                    listener.changed(key);
                }
            }
        }
        // All was flushed, or something that this client does not know.
        (PushKind::Invalidate, _) => listener.all_changed(),
        (PushKind::Disconnection, _) => lost.notify_one(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::ground::sync::lock;

    /// Writes down what it is told.
    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Heard {
        fn hear(&self, what: String) {
            lock(&self.0).push(what);
        }
    }

    impl Listener for Heard {
        fn begins(&self) {
            self.hear("begins".to_owned());
        }

        fn changed(&self, key: &[u8]) {
            self.hear(String::from_utf8_lossy(key).into_owned());
        }

        fn all_changed(&self) {
            self.hear("all".to_owned());
        }

        fn told_until(&self, _: Instant) {}

        fn ends(&self) {}
    }

    #[test]
    fn what_is_pushed_is_told_key_by_key_and_a_flush_as_all() {
        let (heard, lost) = (Heard::default(), Notify::new());
        let push = |kind, data| pushed(&PushInfo { kind, data }, &heard, &lost);
        let key = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        push(PushKind::Invalidate, vec![Value::Array(vec![key("a"), Value::Nil, key("b")])]);
        push(PushKind::Invalidate, vec![Value::Nil]);
        push(PushKind::Message, vec![key("c")]);
        assert_eq!(*lock(&heard.0), ["a", "b", "all"]);
    }
}
