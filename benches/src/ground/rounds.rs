//! How subjects take turns, and how one turn is measured.

use std::future::Future;
use std::hint::black_box;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use crate::peers;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Turns of each subject.
    pub rounds: usize,
    /// How long a turn takes.
    pub turn: Duration,
    /// Whether what takes long is done in less.
    pub quick: bool,
}

impl Effort {
    /// What is published.
    pub const FULL: Self = Self { rounds: 7, turn: Duration::from_millis(200), quick: false };
    /// To see whether it runs.
    pub const QUICK: Self = Self { rounds: 3, turn: Duration::from_millis(40), quick: true };

    /// At least five rounds, fewer than elsewhere: for what takes long.
    pub fn fewer(self) -> usize {
        if self.quick { 1 } else { 5 }
    }
}

/// One turn: so many tasks for so long.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Tasks that do the same side by side.
    pub tasks: u64,
    /// How many keys they do it to.
    pub keys: u64,
    /// How long.
    pub time: Duration,
}

/// What a turn gave.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// Nanoseconds of one operation among all.
    pub each: f64,
    /// Operations.
    pub count: f64,
}

/// What is compared, as one operation on the entry of a number.
pub trait Subject: Clone + Send + Sync + 'static {
    /// Does it once.
    fn go(&self, id: u64) -> impl Future<Output = ()> + Send;
}

type Measured = Pin<Box<dyn Future<Output = Given> + Send>>;

type Done = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One turn in memory: so many threads for so long, each with a share of the keys or all with one.
#[derive(Debug, Clone, Copy)]
pub struct Threads {
    /// How many.
    pub count: u64,
    /// How many keys each of them reads by turns. With one, it is the same for all.
    pub keys: u64,
    /// How long.
    pub time: Duration,
}

/// A subject among others, under its name.
pub struct Named {
    /// As it is called on the page.
    pub name: &'static str,
    turn: Box<dyn Fn(Turn) -> Measured + Send + Sync>,
    threads: Box<dyn Fn(Threads) -> Given + Send + Sync>,
    ids: Box<dyn Fn(Vec<u64>) -> Done + Send + Sync>,
}

impl Named {
    /// The loop around the operation is the subject's own: nothing is called through a pointer within a turn.
    pub fn new(name: &'static str, subject: impl Subject) -> Self {
        let (other, third) = (subject.clone(), subject.clone());
        let turn = move |turn| -> Measured { Box::pin(measure(subject.clone(), turn)) };
        let ids = move |ids| -> Done { Box::pin(tasks(third.clone(), ids)) };
        let threads = move |threads| on_threads(&other, threads);
        Self { name, turn: Box::new(turn), threads: Box::new(threads), ids: Box::new(ids) }
    }

    /// One turn.
    pub async fn turn(&self, turn: Turn) -> Given {
        (self.turn)(turn).await
    }

    /// One turn in which nothing may be loaded; nanoseconds of one operation.
    pub async fn hits(&self, turn: Turn) -> f64 {
        let loads = peers::loads();
        let given = self.turn(turn).await;
        assert_eq!(peers::loads(), loads, "{} loads where all are hits", self.name);
        given.each
    }

    /// So many tasks, each of which does it to another entry.
    pub async fn each_once(&self, tasks: u64) {
        self.range(0..tasks).await;
    }

    /// A task for each of these entries.
    pub async fn range(&self, ids: Range<u64>) {
        (self.ids)(ids.collect()).await;
    }

    /// So many tasks, all of which do it to one entry.
    pub async fn all_of(&self, id: u64, tasks: u64) {
        (self.ids)((0..tasks).map(|_| id).collect()).await;
    }

    /// Nanoseconds of one operation on one thread, while the others do the same. Not to be called within a runtime.
    pub fn threads(&self, threads: Threads) -> Given {
        (self.threads)(threads)
    }
}

/// Each task goes its own way through the keys.
async fn measure<S: Subject>(subject: S, turn: Turn) -> Given {
    let count = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut running = Vec::new();
    for task in 0..turn.tasks {
        let (subject, count) = (subject.clone(), Arc::clone(&count));
        running.push(tokio::spawn(async move {
            let (mut done, mut draw) = (0, task * 37);
            while done == 0 || began.elapsed() < turn.time {
                draw = next(draw);
                subject.go((draw >> 33) % turn.keys).await;
                done += 1;
            }
            count.fetch_add(done, Ordering::Relaxed);
        }));
    }
    for task in running {
        task.await.expect("nobody panics");
    }
    let (took, count) = (nanos(began.elapsed()), count.load(Ordering::Relaxed) as f64);
    Given { each: took / count, count }
}

/// A task for each number.
async fn tasks<S: Subject>(subject: S, ids: Vec<u64>) {
    let one = |id| {
        let subject = subject.clone();
        tokio::spawn(async move { subject.go(id).await })
    };
    let running: Vec<_> = ids.into_iter().map(one).collect();
    for task in running {
        task.await.expect("nobody panics");
    }
}

fn on_threads<S: Subject>(subject: &S, turn: Threads) -> Given {
    let barrier = &Barrier::new(turn.count as usize);
    let handle = &tokio::runtime::Handle::current();
    std::thread::scope(|scope| {
        let one = |thread| {
            let first = if turn.keys == 1 { 0 } else { thread * turn.keys };
            scope.spawn(move || {
                barrier.wait();
                handle.block_on(on_this_thread(subject, first, turn))
            })
        };
        let threads: Vec<_> = (0..turn.count).map(one).collect();
        let all = threads.into_iter().map(|thread| thread.join().expect("nobody panics"));
        let (took, count) = all.fold((0.0, 0.0), |(took, count), own| (took + own.0, count + own.1));
        Given { each: took / count, count }
    })
}

/// Operations between two looks at the clock, in memory.
const STRIDE: u64 = 1_024;

/// Nanoseconds, and operations.
async fn on_this_thread<S: Subject>(subject: &S, first: u64, turn: Threads) -> (f64, f64) {
    let (began, mut done) = (Instant::now(), 0);
    let times = (STRIDE / turn.keys).max(1);
    while done == 0 || began.elapsed() < turn.time {
        for _ in 0..times {
            for id in first..first + turn.keys {
                subject.go(black_box(id)).await;
            }
        }
        done += turn.keys * times;
    }
    (nanos(began.elapsed()), done as f64)
}

/// A generator that costs next to nothing.
pub const fn next(draw: u64) -> u64 {
    draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

/// As a figure.
pub fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

/// As a figure.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
