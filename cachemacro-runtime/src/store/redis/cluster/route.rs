//! One request about one slot: to the node that serves it, and on to where that one points.
//!
//! A node that points elsewhere has not carried the request out, so it is sent again, tokens and all: the next node is the first that
//! has it (G1). What a node did not answer goes on only where twice is the same as once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::super::commands::Commands;
use super::super::redirect::Redirect;
use super::super::url::Host;
use super::topology::{Node, Topology};
use crate::format::ids::Version;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::pauses::spread;

/// How often one request is pointed elsewhere.
const MOST_HOPS: u32 = 8;
/// The first pause between looks for who serves a slot that nobody serves.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether a request that was not answered may be sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Never: it may have been carried out.
    Never,
    /// Once, to another node: twice is the same as once, and the caller can do without an answer.
    Elsewhere,
    /// Again and again until then: twice is the same as once, and it has to be done.
    Until(Instant),
}

/// How many keys a request is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    One,
    /// Several. While they are on two nodes, the caller asks for each alone.
    Several,
}

impl Names {
    pub(super) const fn these(keys: usize) -> Self {
        if keys > 1 { Self::Several } else { Self::One }
    }
}

/// The node that a request goes to.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) node: Arc<Node>,
    /// Whether the slot is being moved to that node, so that `ASKING` goes before each command.
    asking: bool,
}

impl Seat {
    /// The node's id, where it is kept.
    pub(super) fn id(&self) -> Option<Version> {
        self.node.single.link().dialer.id()
    }

    pub(super) fn commands(&self) -> &Commands {
        if self.asking { &self.node.asking } else { &self.node.single.commands }
    }
}

/// A request on its way.
pub(super) type Going<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl Topology {
    /// Sends a request about a slot to where that is served.
    pub(super) async fn at<'a, T>(
        self: &Arc<Self>,
        (slot, about): (u16, Names),
        again: Again,
        send: impl Fn(Seat) -> Going<'a, T> + Send,
    ) -> Result<T> {
        let (mut next, mut pause) = (None, PAUSE);
        let mut hops = 0;
        loop {
            let layout = self.known().await?;
            let seat = match next.take() {
                Some(seat) => seat,
                None => match layout.owner(slot) {
                    Some(node) => Seat { node: Arc::clone(node), asking: false },
                    None => match self.renew(&layout).await?.owner(slot) {
                        Some(node) => Seat { node: Arc::clone(node), asking: false },
                        None => return Err(nobody()),
                    },
                },
            };
            // G3: what another node tells nobody of is not kept.
            self.watches.ask(&seat.node.watched);
            let error = match send(seat.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            hops += 1;
            if hops > MOST_HOPS / 2 {
                // The nodes do not agree yet on who serves the slot.
                self.rest(PAUSE).await;
            }
            match Redirect::in_error(&error) {
                Some(Redirect::Moved(host)) if hops < MOST_HOPS => {
                    let host = named(host, &seat.node.host);
                    next = Some(Seat { node: self.moved(slot, &host)?, asking: false });
                }
                Some(Redirect::Ask(host)) if hops < MOST_HOPS && about == Names::One => {
                    let host = named(host, &seat.node.host);
                    next = Some(Seat { node: self.destination(&host)?, asking: true });
                }
                Some(_) => return Err(error),
                // What is refused for good elsewhere would be, too.
                None if error.kind() == ErrorKind::Refused && !is_down(&error) => return Err(error),
                None => {
                    let found = match again {
                        // It has to be done, and to be known where.
                        Again::Until(_) => self.renew(&layout).await.ok(),
                        Again::Never | Again::Elsewhere => {
                            self.renew_later();
                            Some(self.now())
                        }
                    };
                    let moved = found.is_some_and(|found| {
                        found.owner(slot).is_some_and(|owner| !Arc::ptr_eq(owner, &seat.node))
                    });
                    match again {
                        Again::Never => return Err(error),
                        _ if moved && hops < MOST_HOPS => {}
                        Again::Until(end) if Instant::now() + pause < end => {
                            self.rest(spread(pause)).await;
                            pause = pause.saturating_mul(2);
                        }
                        _ => return Err(error),
                    }
                }
            }
        }
    }
}

impl Topology {
    /// Waits for this long, also where the caller has no tokio runtime.
    pub(super) async fn rest(&self, time: Duration) {
        // Fails only where no thread could be started: then there is no wait.
        let _ = self.background.enter(async { sleep(time).await }).await;
    }
}

/// The host that a node points to. Without a name it means another port of the node's own host.
fn named(host: &Host, from: &Host) -> Host {
    let name = if host.name.is_empty() { from.name.clone() } else { host.name.clone() };
    Host { name, port: host.port }
}

fn nobody() -> Error {
    Error::new(ErrorKind::Connect, "no node of the cluster serves the slot")
}

/// Whether the node says that the cluster is down, as it does until a replica was promoted.
fn is_down(error: &Error) -> bool {
    error.context().contains("(CLUSTERDOWN)")
}
