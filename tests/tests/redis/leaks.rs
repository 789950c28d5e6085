//! What a history may not leave behind, wherever its servers are: tasks, descriptors, leases, evicts that were never sent, and counters
//! that count twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cachemacro_tests::history::{Fleet, Incident, Plan, Report, Used};
use cachemacro_tests::{DEADLINE, RedisServer, wait_until};
use tokio::task::JoinHandle;

use crate::leases::Watch;

/// How many tasks a process may have more than before: a connection has one or two.
const TASKS: usize = 4;

/// How many descriptors: connections for scans and for waiting, opened when they were first needed.
const DESCRIPTORS: usize = 24;

/// Looks at what a history leaves behind, from a moment at which calls of all sorts were made, until it ends.
pub(crate) struct Leaks {
    before: Vec<Used>,
    /// How many tasks of each process play, and are gone at the end.
    players: usize,
    leases: Option<(JoinHandle<Vec<Incident>>, Arc<AtomicBool>)>,
}

impl Leaks {
    /// What the processes use beside what they use now.
    pub(crate) async fn from_now_on(fleet: &mut Fleet, plan: &Plan) -> Self {
        Self { before: fleet.used().await, players: plan.tasks, leases: None }
    }

    /// Leases on these servers too, which nobody holds or renews: of loads that ended, while no server is replaced by another one.
    pub(crate) fn and_leases(mut self, fleet: &Fleet, servers: &[RedisServer]) -> Self {
        let (watch, over) = Watch::new(urls(servers), fleet.namespace());
        self.leases = Some((tokio::spawn(watch.left_behind()), over));
        self
    }

    /// Waits until nothing is left by those who played, which ended; gives what the processes used before, and what they use now.
    pub(crate) async fn none(self, fleet: &mut Fleet) -> (Vec<Used>, Vec<Used>) {
        let Self { before, players, leases } = self;
        let mut after = Vec::new();
        let settled = async || {
            after = fleet.used().await;
            after.iter().zip(&before).all(|(after, before)| {
                after.tasks + players <= before.tasks + TASKS
                    && after.descriptors <= before.descriptors + DESCRIPTORS
            })
        };
        wait_until("tasks and descriptors are as before", DEADLINE, settled).await;
        if let Some((watch, over)) = leases {
            over.store(true, Ordering::SeqCst);
            let left = watch.await.expect("the watch does not panic");
            assert_eq!(left, [], "leases that nobody holds");
        }
        (before, after)
    }
}

fn urls(servers: &[RedisServer]) -> Vec<String> {
    servers.iter().map(RedisServer::bare_url).collect()
}

/// No caller saw an error, nobody was given what is not theirs, no counter counted twice, and all evicts were sent.
pub(crate) fn is_whole(report: &Report) {
    assert_eq!((&report.errors, &report.strange, &report.miscounted), (&vec![], &vec![], &vec![]));
    assert!(report.panics.is_empty(), "{:?}", report.panics);
    assert_eq!(report.undelivered, 0, "evicts that were never sent");
}

/// Waits until no lease is left on these servers: where one of them was replaced, some were not given back, and lapse.
pub(crate) async fn no_lease_stays(fleet: &Fleet, servers: &[RedisServer]) {
    let watch = Watch::of_the_end(urls(servers), fleet.namespace());
    assert_eq!(watch.left_behind().await, [], "leases that stay");
}
