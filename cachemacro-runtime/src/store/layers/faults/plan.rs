//! What is planned for each operation, and the gates that calls stop at.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::ground::error::ErrorKind;

/// An operation of a [`Store`](crate::store::Store), told by its method and by what is asked of it. A call that is several,
/// such as an evict of keys and tags, goes through the plans of all.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{ErrorKind, store::{Store, faults::{FaultStore, Op}, memory::MemoryStore}};
/// use std::sync::Arc;
///
/// let store = FaultStore::new(Arc::new(MemoryStore::new()));
/// store.fail(Op::Health, ErrorKind::Io);
/// assert!(store.health().await.is_err());
/// assert!(store.connect().await.is_ok(), "another operation");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// [`Store::connect`](crate::store::Store::connect)
    Connect,
    /// [`Store::read`](crate::store::Store::read) of whole entries
    Read,
    /// [`Store::read`](crate::store::Store::read) of the first bytes of entries
    ReadHead,
    /// [`Store::read`](crate::store::Store::read) of versions alone
    Versions,
    /// [`Store::capture`](crate::store::Store::capture)
    Capture,
    /// [`Store::lease`](crate::store::Store::lease)
    Lease,
    /// [`Store::keep`](crate::store::Store::keep) that renews
    Renew,
    /// [`Store::keep`](crate::store::Store::keep) that releases, and [`Immediate::release`](crate::store::Immediate::release)
    Release,
    /// [`Store::write`](crate::store::Store::write) under a lease
    Fill,
    /// [`Store::write`](crate::store::Store::write) whatever is there
    Set,
    /// [`Store::write`](crate::store::Store::write) where the value that was seen is still there
    CompareAndSet,
    /// [`Store::increment`](crate::store::Store::increment)
    Increment,
    /// [`Store::evict`](crate::store::Store::evict) and [`Immediate::evict`](crate::store::Immediate::evict) with keys
    Evict,
    /// [`Store::evict`](crate::store::Store::evict) and [`Immediate::evict`](crate::store::Immediate::evict) with tags
    EvictTags,
    /// [`Store::evict_prefix`](crate::store::Store::evict_prefix)
    EvictPrefix,
    /// [`Changes::changed`](crate::store::Changes::changed), which has no error: a failing one waits its whole time
    Changed,
    /// [`Queues::pending`](crate::store::Queues::pending)
    Pending,
    /// [`Queues::depth`](crate::store::Queues::depth)
    Depth,
    /// [`Store::health`](crate::store::Store::health)
    Health,
}

impl Op {
    /// How many there are; `Health` is the last.
    const COUNT: usize = Op::Health as usize + 1;
}

/// Stops one call until it is opened, or dropped. From [`FaultStore::gate`](super::FaultStore::gate)
/// and [`gate_after`](super::FaultStore::gate_after).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{ReadRequest, Store, faults::{FaultStore, Op}, memory::MemoryStore};
/// use std::sync::Arc;
///
/// let store = FaultStore::new(Arc::new(MemoryStore::new()));
/// let gate = store.gate(Op::Read);
/// let (read, ()) = tokio::join!(store.read(ReadRequest::new(&["key"])), async {
///     gate.reached().await;
///     // What is done here happens while the call is under way.
///     gate.open();
/// });
/// read?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a dropped gate is open"]
pub struct Gate(Stop);

impl Gate {
    /// Waits until a call stands at the gate. Without a deadline: wrap it in a timeout where none may come.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, faults::{FaultStore, Op}, memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// let gate = store.gate(Op::Health);
    /// let (health, ()) = tokio::join!(store.health(), async {
    ///     gate.reached().await;
    ///     gate.open();
    /// });
    /// assert!(health.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn reached(&self) {
        // The gate itself keeps the channel open, so this ends by a call only.
        let _ = self.0.subscribe().wait_for(|stage| stage.reached).await;
    }

    /// Whether a call has come to the gate.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::store::{Store, faults::{FaultStore, Op}, memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// let gate = store.gate(Op::Health);
    /// assert!(!gate.is_reached(), "nobody called yet");
    /// let (_, ()) = tokio::join!(store.health(), async {
    ///     assert!(gate.is_reached());
    ///     drop(gate);
    /// });
    /// # }
    /// ```
    pub fn is_reached(&self) -> bool {
        self.0.borrow().reached
    }

    /// Lets the call pass, also one that is still to come.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::store::{Store, faults::{FaultStore, Op}, memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// store.gate(Op::Health).open(); // before the call comes
    /// assert!(store.health().await.is_ok());
    /// # }
    /// ```
    pub fn open(self) {
        drop(self);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.send_modify(|stage| stage.open = true);
    }
}

/// A place where one call stops: shared by the gate and the call.
pub(super) type Stop = Arc<watch::Sender<Stage>>;

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Stage {
    reached: bool,
    open: bool,
}

impl Gate {
    /// A gate, and where the call that it is for stops.
    pub(super) fn new() -> (Self, Stop) {
        let stop = Stop::default();
        (Self(Arc::clone(&stop)), stop)
    }
}

/// Waits until the gate opens, if there is one.
pub(super) async fn stop_at(stop: Option<Stop>) {
    if let Some(stage) = stop {
        stage.send_modify(|stage| stage.reached = true);
        // Opened by the gate's drop at the latest; this call keeps the channel open until then.
        let _ = stage.subscribe().wait_for(|stage| stage.open).await;
    }
}

/// What is planned.
pub(super) struct Plans {
    by_op: [Plan; Op::COUNT],
    /// Every operation fails so.
    pub(super) all: Option<ErrorKind>,
    /// Whether evicts and releases may act at once.
    pub(super) immediate: bool,
}

/// What is planned for one operation.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) calls: u64,
    pub(super) delay: Duration,
    pub(super) before: VecDeque<Stop>,
    pub(super) failing: Option<ErrorKind>,
    pub(super) failures: VecDeque<ErrorKind>,
    pub(super) after: VecDeque<Stop>,
    pub(super) lost_replies: u64,
}

impl Plans {
    pub(super) fn new() -> Self {
        Self { by_op: std::array::from_fn(|_| Plan::default()), all: None, immediate: true }
    }

    pub(super) fn of(&mut self, op: Op) -> &mut Plan {
        &mut self.by_op[op as usize]
    }

    /// How the next call of `op` fails, if it does.
    pub(super) fn failure(&mut self, op: Op) -> Option<ErrorKind> {
        let all = self.all;
        let plan = self.of(op);
        plan.failures.pop_front().or(plan.failing).or(all)
    }

    /// Ends all failures, delays and lost replies.
    pub(super) fn heal(&mut self) {
        self.all = None;
        for plan in &mut self.by_op {
            plan.failing = None;
            plan.failures.clear();
            plan.delay = Duration::ZERO;
            plan.lost_replies = 0;
        }
    }

    /// Whether evicts and releases may act at once: where anything is planned for them, they take the way that is planned.
    pub(super) fn let_act_at_once(&mut self) -> bool {
        let idle = |op| self.of(op).is_empty();
        [Op::Evict, Op::EvictTags, Op::Release].into_iter().all(idle) && self.immediate && self.all.is_none()
    }
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.delay.is_zero()
            && self.before.is_empty()
            && self.failing.is_none()
            && self.failures.is_empty()
            && self.after.is_empty()
            && self.lost_replies == 0
    }
}
