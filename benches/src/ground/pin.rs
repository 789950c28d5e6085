//! Where a process may run.

use rustix::thread::{CpuSet, sched_setaffinity};

/// Where client and server run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Client and server on one processor, one worker.
    One,
    /// Two workers, and nobody is pinned.
    Two,
}

impl Setting {
    /// As it is called on the page and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Two => "two",
        }
    }

    /// The setting of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::One, Self::Two].into_iter().find(|setting| setting.name() == name)
    }

    /// Worker threads of a runtime.
    pub const fn workers(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// Puts this process in its place, with every thread and every server that it starts from now on. To be called
    /// before it starts any.
    pub fn enter(self) {
        if self == Self::One {
            let last = std::thread::available_parallelism().map_or(0, |count| count.get() - 1);
            let mut processors = CpuSet::new();
            processors.set(last);
            sched_setaffinity(None, &processors).expect("a process may choose among its processors");
        }
    }

    /// A runtime with that many workers.
    pub fn runtime(self) -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.workers())
            .enable_all()
            .build()
            .expect("threads can be started")
    }
}
