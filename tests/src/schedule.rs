//! Schedules of a load and a write that are stopped against each other, each at an await point of its own.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, resume_unwind};

use cachemacro_runtime::store::faults::Op;
use cachemacro_runtime::{CacheBuilder, Entry, EntryRules, Result};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use crate::halt::Point::{self, After, AfterQuery, Before, BeforeQuery};
use crate::halt::{Halted, Stops, Table, ended, soon};
use crate::rig::{Process, Rig};
use crate::server::RedisServer;
use crate::wait::namespace;

/// The version of the row before the write.
pub const OLD: u64 = 1;

/// The version of the row that the write leaves.
pub const NEW: u64 = 2;

/// The points of a load of one entry, in the order in which it comes to them.
pub const LOAD_POINTS: [Point; 8] = [
    Before(Op::Read),
    After(Op::Read),
    Before(Op::Lease),
    After(Op::Lease),
    BeforeQuery,
    AfterQuery,
    Before(Op::Fill),
    After(Op::Fill),
];

/// The points before and after each of these operations.
pub fn around(ops: &[Op]) -> Vec<Point> {
    ops.iter().flat_map(|&op| [Before(op), After(op)]).collect()
}

/// In which order a load and a write start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The load starts first and ends last.
    LoadAroundWrite,
    /// The write starts first and ends last.
    WriteAroundLoad,
    /// The load starts first and ends first.
    LoadFirst,
    /// The write starts first and ends first.
    WriteFirst,
}

/// Every order there is.
pub const ORDERS: [Order; 4] =
    [Order::LoadAroundWrite, Order::WriteAroundLoad, Order::LoadFirst, Order::WriteFirst];

impl Order {
    /// Starts the two and ends them in this order, and returns what they ended with.
    pub async fn play<L, W, Loaded, Written>(
        self,
        load: impl AsyncFnOnce() -> L,
        write: impl AsyncFnOnce() -> W,
        end_load: impl AsyncFnOnce(L) -> Loaded,
        end_write: impl AsyncFnOnce(W) -> Written,
    ) -> (Loaded, Written) {
        match self {
            Order::LoadAroundWrite => {
                let load = load().await;
                let written = end_write(write().await).await;
                (end_load(load).await, written)
            }
            Order::WriteAroundLoad => {
                let write = write().await;
                let loaded = end_load(load().await).await;
                (loaded, end_write(write).await)
            }
            Order::LoadFirst => {
                let (load, write) = (load().await, write().await);
                let loaded = end_load(load).await;
                (loaded, end_write(write).await)
            }
            Order::WriteFirst => {
                let (write, load) = (write().await, load().await);
                let written = end_write(write).await;
                (end_load(load).await, written)
            }
        }
    }
}

/// The key's number, and the version of the row.
pub type Row = (u64, u64);

/// A process that loads the row and one that writes it, in a namespace of their own.
#[derive(Debug)]
pub struct Pair {
    /// The table with the row, which is [`OLD`] until it is written.
    pub table: Table,
    /// Whose load it is.
    pub loading: Process,
    /// Whose write it is.
    pub writing: Process,
    late: bool,
    namespace: String,
    settings: Settings,
}

/// What caches are told besides.
type Settings = fn(CacheBuilder) -> CacheBuilder;

impl Pair {
    /// Two processes if they are `apart`, else twice the same one. The row's tag comes from the value if it is `late`.
    pub fn new(rig: &Rig, apart: bool, late: bool) -> Self {
        Self::with(rig, apart, late, |builder| builder)
    }

    /// The same with other settings.
    pub fn with(rig: &Rig, apart: bool, late: bool, settings: Settings) -> Self {
        let namespace = namespace();
        let process = || rig.process_with(|builder| settings(builder.namespace(&namespace)));
        let loading = process();
        let writing = if apart { process() } else { loading.clone() };
        Self { table: Table::default(), loading, writing, late, namespace, settings }
    }

    /// The row's key in the store.
    pub fn key(&self) -> String {
        format!("{}:row:7", self.namespace)
    }

    /// Another process in their namespace.
    pub fn third(&self, rig: &Rig) -> Process {
        rig.process_with(|builder| (self.settings)(builder.namespace(&self.namespace)))
    }

    /// The row's entry, with the tag `tag 7`.
    pub fn entry(&self, process: &Process) -> Entry<Row> {
        let entry = process.cache.entry("row", 7);
        if self.late {
            entry.with_rules(EntryRules::none().tags(|row: &Row| vec![format!("tag {}", row.0)]))
        } else {
            entry.with_tags(["tag 7"])
        }
    }

    /// A read by a function.
    pub fn read(&self, process: &Process, stops: Stops) -> JoinHandle<Row> {
        self.table.read_as(&self.entry(process), stops, |version| (7, version))
    }

    /// Plays a load and a write of the row; `end` ends the load.
    ///
    /// # Panics
    /// Where the write is not acknowledged, the load returns what the row never was, or a reader that starts after the
    /// acknowledgement does not return [`NEW`].
    pub async fn play(
        &self,
        order: Order,
        load: impl AsyncFnOnce() -> Halted<Row>,
        write: impl AsyncFnOnce() -> Halted<Result<()>>,
        end: impl AsyncFnOnce(Halted<Row>) -> Row,
    ) {
        let (loaded, late_reader) = order.play(load, write, end, |write| self.acknowledge(write)).await;
        assert!([OLD, NEW].contains(&loaded.1), "what was evicted long before came back: {loaded:?}");
        assert_eq!(ended(late_reader).await.1, NEW, "a reader that started after the acknowledgement");
    }

    /// Ends the write and starts a reader.
    async fn acknowledge(&self, write: Halted<Result<()>>) -> JoinHandle<Row> {
        write.end().await.expect("acknowledged");
        self.start_late_reader().await
    }

    /// A reader of the load's process that would join its flight if it were still open: returns when it has
    /// either ended or found nothing.
    async fn start_late_reader(&self) -> JoinHandle<Row> {
        let cache = &self.loading.cache;
        let before = cache.stats().total.misses();
        let reader = self.read(&self.loading, Stops::default());
        soon("the reader reads", || reader.is_finished() || cache.stats().total.misses() > before).await;
        reader
    }

    /// Asserts that after all was over `process` neither finds nor reads the old value.
    ///
    /// # Panics
    /// Where it does, or the store does not answer.
    pub async fn assert_new(&self, process: &Process) {
        let found = self.entry(process).get().await.expect("the store answers");
        assert!(found.is_none_or(|row| row.1 == NEW), "{found:?} is there");
        let read = ended(self.read(process, Stops::default())).await;
        assert_eq!(read.1, NEW, "a reader after all was over");
    }
}

/// Plays these schedules, many side by side: on a server that nobody else uses, or in memory.
///
/// A prefix is evicted by a scan of all keys, and those of scenes that are over would slow the others down: so those that play side by
/// side have a store that is new or was emptied.
///
/// # Panics
/// Where playing one does. It is printed which one that was.
pub async fn play_all<S: Copy + Debug>(
    server: Option<&RedisServer>,
    schedules: &[S],
    play: impl AsyncFn(&Rig, S),
) {
    for some in schedules.chunks(100) {
        let rig = match server {
            None => Rig::memory(),
            Some(server) => {
                redis::cmd("FLUSHALL").exec_async(&mut server.client().await).await.expect("FLUSHALL");
                Rig::at(&server.url())
            }
        };
        join_all(some.iter().map(async |&schedule| {
            if let Err(panic) = AssertUnwindSafe(play(&rig, schedule)).catch_unwind().await {
                eprintln!("in {schedule:?}");
                resume_unwind(panic);
            }
        }))
        .await;
    }
}
