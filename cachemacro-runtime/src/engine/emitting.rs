//! Events on their way to other processes, by the stream of their kind.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::emitted::Emitted;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::Streams;

/// How often an event of a transaction that has committed is sent again where the store fails, with growing pauses: ten seconds in all.
const MOST_ATTEMPTS: u32 = 8;
/// The first pause.
const PAUSE: Duration = Duration::from_millis(50);
impl Core {
    /// The key of the stream of events of this name, percent-encoded. No entry's begins with a brace.
    pub(crate) fn stream_of(&self, name: &str) -> String {
        match self.namespace() {
            "" => format!("{{event:{name}}}"),
            namespace => format!("{{{namespace}:event:{name}}}"),
        }
    }

    /// Who keeps streams.
    pub(crate) fn streams(&self) -> Result<&dyn Streams> {
        if self.settings.unresolved.is_some() {
            return Err(Error::new(
                ErrorKind::Config,
                "the environment does not give a store to send events to",
            ));
        }
        let none = || Error::new(ErrorKind::Config, "this store keeps no streams, by which events go");
        self.store.streams().ok_or_else(none)
    }

    /// Sends these to their streams, in their order, and removes those that were sent.
    pub(crate) async fn send_events(&self, events: &mut Vec<Emitted>) -> Result<()> {
        while let Some(event) = events.first() {
            let stream = self.stream_of(&event.name);
            let sent = match self.streams() {
                Ok(streams) => streams.append(&stream, event.payload.clone().into(), event.keep).await,
                Err(error) => Err(error),
            };
            if let Err(error) = sent {
                self.failed(&error);
                return Err(error);
            }
            events.remove(0);
        }
        Ok(())
    }

    /// Sends these, and again where the store failed; in the background after the first time.
    pub(crate) async fn send_committed(self: &Arc<Self>, mut events: Vec<Emitted>) {
        if self.send_events(&mut events).await.is_err() {
            self.send_events_later(events);
        }
    }

    /// Sends these without waiting.
    pub(crate) fn send_events_later(self: &Arc<Self>, mut events: Vec<Emitted>) {
        if events.is_empty() {
            return;
        }
        let core = Arc::clone(self);
        self.go_on(async move {
            let mut pause = PAUSE;
            for attempt in 1..=MOST_ATTEMPTS {
                match core.send_events(&mut events).await {
                    Ok(()) => return,
                    Err(error) if attempt == MOST_ATTEMPTS => {
                        let count = events.len();
                        tracing::warn!(count, %error, "events of a transaction that has committed were not sent");
                    }
                    Err(_) => tokio::time::sleep(pause).await,
                }
                pause *= 2;
            }
        });
    }
}
