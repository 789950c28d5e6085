//! Has the store tell a tier of changes, again and again.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::tier::Tier;
use crate::ground::background::Background;
use crate::ground::clock::Clock;
use crate::ground::error::{Error, ErrorKind};
use crate::ground::pauses::spread;
use crate::ground::sync::lock;
use crate::store::{AnyStore, Listener, Store};

/// The pause before the store is asked again; it doubles with each time that came to nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long to wait before a store that refused is asked again.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// A tier, and the task that listens for it once somebody wants copies.
pub(crate) struct LocalTier {
    tier: Arc<Tier>,
    task: Mutex<Option<Task>>,
    background: Background,
}

/// The task that listens; dropping this ends it.
#[derive(Debug)]
struct Task {
    /// The process in which the task runs: a fork copies the memory but not the task.
    process: u32,
    _until_dropped: oneshot::Sender<()>,
}

impl LocalTier {
    pub(crate) fn new(namespace: &str, capacity: usize, largest: Option<usize>, clock: Clock) -> Self {
        Self {
            tier: Arc::new(Tier::new(namespace, capacity, largest, clock)),
            task: Mutex::default(),
            background: Background::shared(),
        }
    }

    /// Has the store tell of changes, unless it was asked to already.
    pub(crate) fn follow(&self, store: &AnyStore, namespace: &str) {
        let AnyStore::Other(store) = store else { return };
        let process = std::process::id();
        let mut task = lock(&self.task);
        if task.as_ref().is_some_and(|task| task.process == process) {
            return;
        }
        if store.tracking().is_none() {
            // Also where a store around another forgets to pass it on: nobody would find out.
            drop(task);
            let why = Error::new(ErrorKind::Refused, "the store has no way to tell of changes");
            if self.tier.is_news(&why) {
                say(&self.tier, &why, false);
                self.tier.ends(why);
            }
            return;
        }
        let (until_dropped, gone) = oneshot::channel();
        *task = Some(Task { process, _until_dropped: until_dropped });
        drop(task);
        let following = follow(Arc::downgrade(&self.tier), Arc::clone(store), prefixes(namespace), gone);
        self.background.spawn(following);
    }
}

impl Deref for LocalTier {
    type Target = Tier;

    fn deref(&self) -> &Tier {
        &self.tier
    }
}

impl fmt::Debug for LocalTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tier.fmt(f)
    }
}

/// The prefixes of all keys of a namespace: its entries' and its tags' versions'. Empty where there is no namespace: every key counts.
fn prefixes(namespace: &str) -> Vec<String> {
    if namespace.is_empty() {
        Vec::new()
    } else {
        vec![format!("{namespace}:"), format!("{{{namespace}:tag:")]
    }
}

async fn follow(
    tier: Weak<Tier>,
    store: Arc<dyn Store>,
    prefixes: Vec<String>,
    mut gone: oneshot::Receiver<()>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(tracking) = store.tracking() else { return };
        let told = Arc::new(Told { tier: tier.clone(), began: Mutex::default() });
        let why = tokio::select! {
            why = tracking.track(&prefixes, Arc::clone(&told) as _) => why,
            _ = &mut gone => return,
        };
        let Some(tier) = tier.upgrade() else { return };
        let began = lock(&told.began).take();
        let refused = why.kind() == ErrorKind::Refused;
        say(&tier, &why, began.is_some());
        tier.ends(why);
        drop(tier);
        // A store that told of changes for a while is asked again at once.
        pause = match began {
            Some(since) if since.elapsed() > LONGEST_PAUSE => FIRST_PAUSE,
            _ if refused => AFTER_REFUSAL,
            _ => (pause * 2).min(LONGEST_PAUSE),
        };
        tokio::select! {
            () = sleep(spread(pause)) => {}
            _ = &mut gone => return,
        }
    }
}

/// Says once why there are no copies.
fn say(tier: &Tier, why: &Error, began: bool) {
    if began {
        tracing::warn!(%why, "the store tells of changes no more: the local tier is empty and off until it does again");
    } else if tier.is_news(why) {
        tracing::warn!(%why, "the store does not tell of changes, so the local tier is off: calls ask the store");
    }
}

/// Passes on to a tier what the store tells.
struct Told {
    tier: Weak<Tier>,
    began: Mutex<Option<Instant>>,
}

impl Told {
    fn tell(&self, tell: impl FnOnce(&Tier)) {
        if let Some(tier) = self.tier.upgrade() {
            tell(&tier);
        }
    }
}

impl Listener for Told {
    fn begins(&self) {
        *lock(&self.began) = Some(Instant::now());
        self.tell(Tier::begins);
        tracing::debug!("the store tells of changes: the local tier is on");
    }

    fn changed(&self, key: &[u8]) {
        self.tell(|tier| tier.changed(key));
    }

    fn all_changed(&self) {
        self.tell(Tier::all_changed);
    }

    fn told_until(&self, moment: Instant) {
        self.tell(|tier| tier.told_until(moment));
    }

    fn ends(&self) {
        self.tell(Tier::pauses);
    }
}
