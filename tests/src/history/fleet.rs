//! The processes of a history, as the test holds them.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::report::{Counts, Incident, Report, Used};
use crate::broken::Lacks;
use crate::dice::Dice;
use crate::server::RedisServer;
use crate::wait::{namespace, wait_until};
use crate::worker::Worker;

/// What each process of a history does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Plan {
    /// How many tasks.
    pub tasks: usize,
    /// How many rows there are of each kind. Calls are about them by Zipf's law, so that evicts meet loads.
    pub rows: u64,
    /// How long a task rests between two calls, on average, in milliseconds.
    pub rest_millis: u64,
    /// Whether the store waits longer than any test for an answer, instead of as long as by default.
    pub patient: bool,
    /// What the store lacks that it should have.
    pub lacks: Option<Lacks>,
    /// How many replicas have to have an evict.
    pub replicas: usize,
    /// Whether what another server filled is a miss.
    pub epoch: bool,
    /// Whether three readers in four take local copies, or have them confirmed.
    pub local: bool,
    /// Whether a call in fourteen is a write (one in twenty an evict), instead of one in three.
    pub reads_most: bool,
    /// Whether a breaker is around the store, as by default.
    pub guarded: bool,
    /// The file with the password of the user `shop`, where there is one: it is read at each connection.
    pub password: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            tasks: 32,
            rows: 500,
            rest_millis: 30,
            patient: false,
            lacks: None,
            replicas: 0,
            epoch: false,
            local: false,
            reads_most: false,
            guarded: true,
            password: None,
        }
    }
}

/// Several processes that share a cache and a database.
#[derive(Debug)]
pub struct Fleet {
    workers: Vec<Worker>,
    _database: RedisServer,
    namespace: String,
}

impl Fleet {
    /// How many processes there are.
    pub const PROCESSES: usize = 3;

    /// Starts processes of this `program` on the cache at `url` and lets them play.
    pub async fn start(program: &str, url: &str, plan: &Plan, seed: u64) -> Self {
        let (database, namespace) = (RedisServer::start(), namespace());
        let plan = serde_json::to_string(plan).expect("a plan is plain data");
        let mut dice = Dice::new(seed);
        let mut workers = Vec::new();
        for _ in 0..Self::PROCESSES {
            let seed = dice.roll().to_string();
            let args = [url, &database.bare_url(), &namespace, &seed, &plan];
            workers.push(Worker::spawn(program, &args, &[]));
        }
        let mut fleet = Self { workers, _database: database, namespace };
        for worker in &mut fleet.workers {
            worker.expect("ready").await;
        }
        for worker in &mut fleet.workers {
            worker.send("play").await;
        }
        fleet
    }

    /// What the store's keys begin with.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What was done so far.
    pub async fn counts(&mut self) -> Counts {
        let mut total = Counts::default();
        for counts in self.ask::<Counts>("counts").await {
            total.add(&counts);
        }
        total
    }

    /// Goes on until `enough` was done.
    ///
    /// # Panics
    /// Where that takes longer than `deadline`.
    pub async fn until(
        &mut self,
        what: &str,
        deadline: Duration,
        enough: impl Fn(&Counts) -> bool,
    ) -> Counts {
        let mut counts = Counts::default();
        wait_until(what, deadline, async || {
            counts = self.counts().await;
            enough(&counts)
        })
        .await;
        counts
    }

    /// Lets every call end, and begins no more.
    pub async fn stop(&mut self) {
        for worker in &mut self.workers {
            worker.send("stop").await;
        }
        for worker in &mut self.workers {
            worker.expect("stopped").await;
        }
    }

    /// Loads every row once in each process, one process after the other.
    pub async fn load_each(&mut self) -> Vec<Incident> {
        let mut loads = Vec::new();
        for worker in &mut self.workers {
            worker.send("load").await;
            let line = worker.expect("load").await;
            loads.extend(
                serde_json::from_str::<Vec<Incident>>(&line).expect("the worker says what was asked"),
            );
        }
        loads
    }

    /// Ends the processes. `kept` tells whether the store kept all that it was given.
    pub async fn report(mut self, kept: bool) -> Report {
        // One of them sees all counters.
        let count = if kept { "count kept" } else { "count lost" };
        self.workers[0].send(count).await;
        self.workers[0].expect("counted").await;
        let mut total = Report::default();
        for report in self.ask::<Report>("report").await {
            total.add(report);
        }
        for worker in self.workers {
            worker.finish().await;
        }
        total
    }

    /// What each process uses now.
    pub async fn used(&mut self) -> Vec<Used> {
        self.ask("used").await
    }

    async fn ask<T: DeserializeOwned>(&mut self, what: &str) -> Vec<T> {
        for worker in &mut self.workers {
            worker.send(what).await;
        }
        let mut answers = Vec::new();
        for worker in &mut self.workers {
            let line = worker.expect(what).await;
            answers.push(serde_json::from_str(&line).expect("the worker says what was asked"));
        }
        answers
    }
}
