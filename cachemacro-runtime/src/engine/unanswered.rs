//! Fills whose answers nobody waits for: sent before their caller has its value, while a task handles what comes of them.
//!
//! What this process asks for next on the same connection goes behind the fill, and finds the value. What that relies on beyond the
//! order is the token: whatever becomes of the fill, it stores nothing once an evict, a put or another loader took that away (G1).
//!
//! The task is one of the caller's runtime, where the answer comes. Where that ends first, the fill is sent once more from the
//! background: if the first was carried out, the token is gone and the second is refused.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::engine::beside::ToTell;
use crate::engine::copying::Sent;
use crate::engine::core::Core;
use crate::engine::lease::Held;
use crate::engine::prepare::Prepared;
use crate::engine::raw::RawEntry;
use crate::engine::under_way::One;
use crate::format::stamps::VersionKey;
use crate::ground::sync::lock;
use crate::observe::event::Event;
use crate::observe::stats::Counters;
use crate::policy::site::Site;
use crate::store::{Guard, Write, Written};

/// How long [`Core::answered`] waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// A value on its way.
struct Fill {
    core: Arc<Core>,
    site: Option<(&'static Site, Arc<Counters>)>,
    key: Arc<str>,
    bytes: Bytes,
    life: Duration,
    guard: Guard,
    /// Until it was answered.
    held: Mutex<Option<Held>>,
    /// To be kept here once it was accepted.
    copying: Mutex<Option<Box<Sent>>>,
    /// By what it is found.
    to_tell: Option<Box<ToTell>>,
    /// Versions that are to live longer than they were captured for.
    prolonged: Option<(Vec<VersionKey>, Duration)>,
}

/// Which time a fill is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    First,
    /// Nobody knows whether the first was carried out.
    Second,
}

impl Prepared {
    /// Stores under a lease, and does not wait for the answer.
    pub(crate) async fn fill_unawaited(mut self, raw: &RawEntry, held: Held, load_time: Duration) {
        let Ok((held, stamps)) = self.ready(raw, held).await else { return };
        self.fill_id.get_or_insert(held.fill_id());
        let (bytes, life) = self.assemble(raw, &stamps, load_time);
        let fill = Arc::new(Fill {
            core: Arc::clone(&raw.core),
            site: raw.site.clone(),
            key: Arc::clone(&raw.full),
            bytes,
            life,
            guard: held.guard(),
            held: Mutex::new(Some(held)),
            copying: Mutex::new(self.copying.take().and_then(|copying| copying.sent(&stamps))),
            to_tell: self.to_tell.take(),
            prolonged: self.prolongs(raw).map(|life| (raw.tags.clone(), life)),
        });
        let sent = Arc::clone(&fill);
        let request = async move { sent.send(Attempt::First).await };
        Unanswered::begin(&raw.core, request, Some(fill)).await;
    }
}

impl Held {
    /// Gives the lease back, and does not wait for the answer.
    pub(crate) async fn give_back_unawaited(self) {
        let core = Arc::clone(self.core());
        // Dropped before it was answered, it is given back once more.
        Unanswered::begin(&core, self.give_back(), None).await;
    }
}

impl Fill {
    async fn send(&self, attempt: Attempt) {
        let (core, counters) = (&self.core, self.site.as_ref().map(|(_, counters)| &**counters));
        let write = Write::new(&self.key, self.bytes.clone(), self.life).with_guard(self.guard);
        // No caller waits for either, so no caller's time bounds them: the store's own timeouts do.
        let filled = core.timed_first(counters, "write", core.store.write_one(write));
        let filled = match &self.prolonged {
            None => filled.await,
            Some((keys, life)) => {
                // Counted where it fails; the value is stored all the same.
                let prolonged =
                    Box::pin(core.timed_first(counters, "capture", core.store.capture(keys, *life)));
                tokio::join!(filled, prolonged).0
            }
        };
        let held = lock(&self.held).take();
        let Ok(Written { accepted, .. }) = filled else {
            // Dropping the lease gives it back, in case the fill did not happen.
            return drop(held);
        };
        held.into_iter().for_each(Held::filled);
        if accepted {
            if let Some(copying) = lock(&self.copying).take() {
                copying.keep_later();
            }
            self.record(Event::Fill);
            self.record(Event::BytesWritten(self.bytes.len()));
            if let Some(to_tell) = &self.to_tell {
                to_tell.tell(core, self.life);
            }
        } else if attempt == Attempt::First {
            self.record(Event::RefusedFill);
        }
    }

    fn record(&self, event: Event) {
        let site = self.site.as_ref();
        let name = site.map_or("entry", |(site, _)| site.function());
        tracing::trace!(site = name, ?event, "cache");
        self.core.record_at(site.map(|(_, counters)| &**counters), event);
    }
}

/// A request that was sent, until it was answered.
struct Unanswered {
    core: Arc<Core>,
    request: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// What is sent once more where the runtime ends first.
    fill: Option<Arc<Fill>>,
    one: Option<One>,
}

impl Unanswered {
    /// Sends it: requests go out when they are first polled. What is left to do is done by a task.
    async fn begin(
        core: &Arc<Core>,
        request: impl Future<Output = ()> + Send + 'static,
        fill: Option<Arc<Fill>>,
    ) {
        let mut request: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(request);
        let is_over = poll_fn(|context| Poll::Ready(request.as_mut().poll(context).is_ready())).await;
        if is_over {
            return;
        }
        let one = Some(core.under_way.begin());
        let unanswered = Self { core: Arc::clone(core), request: Some(request), fill, one };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(unanswered)),
            Err(_) => core.background.spawn(unanswered),
        }
    }
}

impl Future for Unanswered {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(request) = &mut self.request {
            ready!(request.as_mut().poll(context));
            self.request = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if self.request.take().is_some()
            && let Some(fill) = self.fill.take()
        {
            let one = self.one.take();
            self.core.background.spawn(async move {
                fill.send(Attempt::Second).await;
                drop(one);
            });
        }
    }
}

impl Core {
    /// Waits until what nobody waits for was answered, for a while.
    pub(crate) async fn answered(&self) {
        // What takes longer fails by itself, and its lease is given back.
        let _ = tokio::time::timeout(PATIENCE, self.under_way.over()).await;
    }
}
