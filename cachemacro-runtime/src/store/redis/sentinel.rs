//! Sentinels: who is asked where the primary is, and who tells when it is another.
//!
//! Each connection asks all of them, and believes the latest configuration that a majority of them, or as many as answer in time, knows:
//! a sentinel that was cut off may know an old one. One connection to each is told of every failover, and looks once a second
//! besides, because what is told may be lost. Knows nothing of connections to the server itself.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::{Pipeline, ProtocolVersion, PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::credentials::{Credentials, greeting};
use super::failure;
use super::multiplexed::{Multiplexed, settings};
use super::stream::Transport;
use super::url::{Host, SentinelParts};
use super::wire::Reply;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::sync::lock;

/// The pause between two looks at what a sentinel knows.
const BEAT: Duration = Duration::from_secs(1);
/// The pause before a sentinel that failed is connected to again.
const PAUSE: Duration = Duration::from_secs(1);
/// What sentinels call a failover when they tell of it.
const SWITCHED: &str = "+switch-master";

/// Several sentinels that watch one primary.
pub(super) struct Sentinels {
    hosts: Vec<Host>,
    name: String,
    credentials: Option<Credentials>,
    /// How long connecting to one may take, and its answer.
    patience: Duration,
    /// The primary as it was last heard of.
    known: Mutex<Option<Known>>,
}

/// What a sentinel knows of the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    /// The number of the configuration; a later one has a higher number.
    epoch: u64,
    host: Host,
}

impl Sentinels {
    pub(super) fn new(parts: SentinelParts, patience: Duration) -> Self {
        let SentinelParts { hosts, name, credentials } = parts;
        Self { hosts, name, credentials, patience, known: Mutex::new(None) }
    }

    /// A text that is the same for the same primary.
    pub(super) fn identity(&self) -> String {
        let mut hosts: Vec<_> =
            self.hosts.iter().map(|Host { name, port }| format!("{name}:{port}")).collect();
        hosts.sort();
        format!("sentinel:{}/{}", hosts.join(","), self.name)
    }

    /// Where the primary is now.
    pub(super) async fn primary(&self, transport: &Transport) -> Result<Host> {
        let mut asked: FuturesUnordered<_> =
            self.hosts.iter().map(|host| self.ask(transport, host)).collect();
        // Sentinels may be silent for ever: after a third of the patience those count that answered.
        let mut hurry = pin!(sleep(self.patience / 3));
        let (majority, mut answers, mut latest) = (self.hosts.len() / 2 + 1, 0, None::<Known>);
        let mut failed = None;
        while answers < majority {
            tokio::select! {
                answer = asked.next() => match answer {
                    None => break,
                    Some(Ok(known)) => {
                        answers += 1;
                        if latest.as_ref().is_none_or(|latest| latest.epoch < known.epoch) {
                            latest = Some(known);
                        }
                    }
                    Some(Err(error)) => failed = Some(error),
                },
                () = &mut hurry, if answers > 0 => break,
            }
        }
        drop(asked);
        let Some(found) = latest else {
            let why = failed.as_ref().map_or("", Error::context);
            return Err(Error::new(ErrorKind::Connect, format!("no sentinel tells where redis is: {why}")));
        };
        Ok(self.believe(found, answers >= majority))
    }

    /// What one of them knows.
    async fn ask(&self, transport: &Transport, host: &Host) -> Result<Known> {
        let asking = async {
            let mut sentinel = self.open(transport, host, Arc::default()).await?;
            self.look(&mut sentinel).await
        };
        timeout(self.patience, asking).await.unwrap_or_else(|_| Err(failure::timed_out(self.patience)))
    }

    /// A connection to one of them; `switched` is told of each failover, where it is subscribed to.
    async fn open(&self, transport: &Transport, host: &Host, switched: Arc<Notify>) -> Result<Multiplexed> {
        let stream = transport.connect(host).await.map_err(|error| failure::unreached(&error))?;
        let settings = settings(self.patience).set_push_sender(move |push: PushInfo| {
            // Also where the connection is gone: then looking fails.
            if matches!(push.kind, PushKind::Message | PushKind::Disconnection) {
                switched.notify_one();
            }
            Ok::<(), redis::aio::SendError>(())
        });
        let greeting = greeting(self.credentials.as_ref(), ProtocolVersion::RESP3);
        let opened = Multiplexed::open(stream, &greeting, settings).await;
        opened.map_err(|error| failure::unreachable(&error))
    }

    /// What this one knows now. Of a failover that it leads, it tells the new address by itself before its other fields do.
    async fn look(&self, sentinel: &mut Multiplexed) -> Result<Known> {
        let mut look = Pipeline::with_capacity(2);
        look.cmd("SENTINEL").arg("MASTER").arg(&self.name);
        look.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let answers = sentinel.ask_all(&look, 2).await.and_then(|both| Value::Array(both).extract_error());
        match answers {
            Ok(answers) => Known::of(answers).ok_or_else(failure::unexpected),
            Err(error) if error.detail().is_some_and(|detail| detail.starts_with("unknown command")) => {
                Err(Error::new(ErrorKind::Connect, "what answers there is no sentinel"))
            }
            Err(error) if error.code() == Some("ERR") => {
                Err(Error::new(ErrorKind::Connect, "the sentinel does not know the primary's name"))
            }
            Err(error) => Err(failure::unreachable(&error)),
        }
    }

    /// Takes note of what a sentinel tells; whether another server is the primary now.
    fn hear(&self, heard: &Known) -> bool {
        let mut known = lock(&self.known);
        if known.as_ref().is_some_and(|known| heard.epoch <= known.epoch) {
            return false;
        }
        let before = known.replace(heard.clone());
        before.is_some_and(|before| before.host != heard.host)
    }

    /// What is believed where this is the latest that sentinels told when asked. Where most of them know nothing later than that, the
    /// ones who did are gone.
    fn believe(&self, found: Known, are_most: bool) -> Host {
        let mut known = lock(&self.known);
        match &*known {
            Some(known) if !are_most && known.epoch > found.epoch => known.host.clone(),
            _ => known.insert(found).host.clone(),
        }
    }

    /// Follows what one of them tells: `told` hears at each look whether another server is the primary now, and says whether anybody
    /// still wants to know.
    pub(super) async fn follow(
        &self,
        transport: &Transport,
        index: usize,
        told: impl Fn(bool) -> bool + Sync,
    ) {
        let mut answers = true;
        loop {
            match self.followed(transport, index, &told).await {
                Ok(()) => return,
                Err(error) if answers => {
                    tracing::debug!(sentinel = index, %error, "a sentinel does not answer");
                }
                Err(_) => {}
            }
            answers = false;
            sleep(PAUSE).await;
            if !told(false) {
                return;
            }
        }
    }

    /// The same on one connection, until nobody wants to know or it fails.
    async fn followed(
        &self,
        transport: &Transport,
        index: usize,
        told: &(impl Fn(bool) -> bool + Sync),
    ) -> Result<()> {
        let within = self.patience;
        let switched = Arc::new(Notify::new());
        let subscribing = async {
            let mut sentinel = self.open(transport, &self.hosts[index], Arc::clone(&switched)).await?;
            let subscribed = sentinel.subscribe(SWITCHED).await;
            subscribed.map(|()| sentinel).map_err(|error| failure::unreachable(&error))
        };
        let late = || failure::timed_out(within);
        let mut sentinel = timeout(within, subscribing).await.map_err(|_| late())??;
        loop {
            let known = timeout(within, self.look(&mut sentinel)).await.map_err(|_| late())??;
            let is_another = self.hear(&known);
            if is_another {
                tracing::info!("another server is the redis primary now");
            }
            if !told(is_another) {
                return Ok(());
            }
            // What is told may be lost, so the sentinel is asked in any case.
            let _ = timeout(BEAT, switched.notified()).await;
        }
    }

    /// Where they are.
    pub(super) fn hosts(&self) -> &[Host] {
        &self.hosts
    }
}

impl Known {
    /// What a sentinel answered: all that it knows, and the address.
    fn of(answers: Value) -> Option<Self> {
        let pair = |value| match value {
            Value::Array(pair) => <[Value; 2]>::try_from(pair).ok(),
            _ => None,
        };
        let [fields, address] = pair(answers)?;
        let Value::Map(fields) = fields else { return None };
        let text = |value: Value| match Reply::from(value) {
            Reply::Bytes(text) => String::from_utf8(text.into()).ok(),
            _ => None,
        };
        let mut epochs = fields.into_iter().filter_map(|(field, value)| {
            (text(field)? == "config-epoch").then(|| text(value)?.parse().ok())?
        });
        let [name, port] = pair(address)?;
        let host = Host { name: text(name)?, port: text(port)?.parse().ok()? };
        Some(Self { epoch: epochs.next()?, host })
    }
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinels").field("hosts", &self.hosts.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(epoch: u64, port: u16) -> Known {
        Known { epoch, host: Host { name: "h".to_owned(), port } }
    }

    fn sentinels() -> Sentinels {
        let host = |name: &str| Host { name: name.to_owned(), port: 26379 };
        let hosts = vec![host("a"), host("b"), host("c")];
        Sentinels::new(SentinelParts { hosts, name: "prime".to_owned(), credentials: None }, PAUSE)
    }

    #[test]
    fn a_later_configuration_is_heard_and_an_older_one_is_not() {
        let sentinels = sentinels();
        assert!(!sentinels.hear(&known(3, 1)), "the first");
        assert!(sentinels.hear(&known(4, 2)));
        assert!(!sentinels.hear(&known(4, 2)), "told already");
        assert!(!sentinels.hear(&known(3, 1)), "by one that missed it");
        assert!(!sentinels.hear(&known(5, 2)), "later, and the same server");
    }

    #[test]
    fn what_a_few_tell_when_asked_does_not_outweigh_what_was_heard_before() {
        let sentinels = sentinels();
        let port = |told: Host| told.port;
        assert_eq!(port(sentinels.believe(known(3, 1), false)), 1);
        sentinels.hear(&known(4, 2));
        assert_eq!(port(sentinels.believe(known(3, 1), false)), 2);
        assert_eq!(port(sentinels.believe(known(0, 1), true)), 1, "most of them were set up anew");
        assert!(sentinels.hear(&known(1, 2)));
    }
}
