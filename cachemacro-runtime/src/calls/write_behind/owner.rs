//! The owner of a partition: what it reads, applies, evicts and settles, in the order of each key.
//!
//! A batch holds the newest write of each key. Where it fails it is tried again, then halved, until what cannot be applied stands alone. That is set aside
//! with its key's later writes, and tried again while the others go on; after its last attempt it is put among the dead letters.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Phase, Piece, Queue, count, removals_of};
use crate::engine::removals::Removals;
use crate::ground::error::Result;
use crate::ground::panics::caught_task;
use crate::ground::pauses::{backoff, spread};
use crate::store::{Queued, Settle};

/// How often a batch is tried as a whole before it is halved.
const WHOLE: u32 = 2;
/// The pause after the store failed.
const PAUSE: Duration = Duration::from_millis(50);

/// The tenure is over: another owns the partition, or may.
struct Lost;

/// Writes of one key of which the newest counts.
struct Group {
    newest: Queued,
    /// All of them.
    numbers: Vec<u64>,
}

/// What cannot be applied so far.
struct Aside {
    group: Group,
    tries: u32,
    due: Instant,
    /// What was accepted behind it.
    later: Vec<Queued>,
}

/// One tenure.
struct Tenure<'a> {
    queue: &'a Queue,
    partition: u8,
    key: &'a str,
    fence: u64,
    /// All that was read.
    up_to: u64,
    /// What is to be tried in the next batch.
    ahead: Vec<Queued>,
    aside: HashMap<String, Aside>,
    /// What was put among the dead letters since something was applied.
    gone: Vec<u64>,
}

/// Counts a task that ends, however it does.
struct Ends<'a>(&'a Queue);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.tasks.send_modify(|tasks| *tasks -= 1);
    }
}

impl Queue {
    /// Owns the partition whenever it is nobody else's.
    pub(super) async fn partition(self: Arc<Self>, partition: u8) {
        let _ends = Ends(&self);
        let key = self.key_of(partition);
        let mut phase = self.phase.subscribe();
        let mut ends = std::pin::pin!(phase.wait_for(|phase| *phase == Phase::Ends));
        // Processes that start together share the partitions.
        let mut pause = self.limits.every.min(self.limits.lease / 4).mul_f64(rand::random_range(0.0..=0.2));
        loop {
            let turn = async {
                self.rest(pause).await;
                let sent = Instant::now();
                let owned = match self.queues() {
                    Ok(queues) => queues.own(&key, &self.owner, self.limits.lease).await,
                    Err(error) => Err(error),
                };
                let fence = match owned {
                    Ok(Some(fence)) => fence,
                    // It is another's to apply.
                    Ok(None) => return true,
                    Err(_) => return false,
                };
                tokio::select! {
                    () = self.renewing(&key, fence, sent) => {
                        tracing::warn!(queue = self.name, partition, "a partition of writes was lost, perhaps to another process");
                        false
                    }
                    done = self.working(partition, &key, fence) => done,
                }
            };
            let is_done = tokio::select! {
                _ = &mut ends => break,
                is_done = turn => is_done,
            };
            let drains = *self.phase.borrow() != Phase::Runs;
            if drains && is_done {
                break;
            }
            // What is left is tried again, until whoever shuts down waits no more.
            let longest = if drains { PAUSE } else { self.limits.lease / 2 };
            pause = spread(longest);
        }
        if let Ok(queues) = self.queues() {
            // Where that fails, it lapses.
            let _ = queues.disown(&key, &self.owner).await;
        }
    }

    /// Waits for so long, or until it is to drain; then for a moment at most.
    async fn rest(&self, pause: Duration) {
        let mut phase = self.phase.subscribe();
        let drains = tokio::select! {
            _ = phase.wait_for(|phase| *phase != Phase::Runs) => true,
            () = sleep(pause) => false,
        };
        if drains {
            sleep(pause.min(PAUSE)).await;
        }
    }

    /// Keeps the lease for as long as that is possible.
    async fn renewing(&self, key: &str, fence: u64, mut since: Instant) {
        let lease = self.limits.lease;
        loop {
            sleep(lease / 3).await;
            let sent = Instant::now();
            let owned = match self.queues() {
                Ok(queues) => queues.own(key, &self.owner, lease).await,
                Err(error) => Err(error),
            };
            match owned {
                Ok(Some(now)) if now == fence => since = sent,
                Ok(_) => return,
                Err(_) if since.elapsed() >= lease => return,
                Err(_) => {}
            }
        }
    }

    /// Tells whether nothing is left that can be applied; false where the tenure was lost.
    async fn working(&self, partition: u8, key: &str, fence: u64) -> bool {
        let mut tenure = Tenure {
            queue: self,
            partition,
            key,
            fence,
            up_to: 0,
            ahead: Vec::new(),
            aside: HashMap::new(),
            gone: Vec::new(),
        };
        // Lost: the next tenure begins at the beginning.
        tenure.work().await.is_ok()
    }
}

impl Tenure<'_> {
    async fn work(&mut self) -> Result<(), Lost> {
        loop {
            let accepted = self.queue.accepted.notified();
            let drains = *self.queue.phase.borrow() != Phase::Runs;
            let room = self.queue.limits.batch.saturating_sub(self.ahead.len());
            let read = self.read(room).await;
            let is_full = read.len() == room;
            let groups = self.grouped(read);
            let is_idle = groups.is_empty();
            self.apply_all(groups).await?;
            self.try_due().await?;
            if is_full || !self.ahead.is_empty() {
                continue;
            }
            if drains && is_idle {
                return Ok(());
            }
            let due = self.aside.values().map(|aside| aside.due).min();
            let rest =
                due.map_or(self.queue.limits.every, |due| due.saturating_duration_since(Instant::now()));
            let rest = if drains { Duration::ZERO } else { rest.min(self.queue.limits.every) };
            tokio::select! {
                () = accepted => {}
                () = sleep(rest) => {}
            }
        }
    }

    /// What was accepted since it was last read.
    async fn read(&mut self, room: usize) -> Vec<Queued> {
        if room == 0 {
            return Vec::new();
        }
        let (key, up_to) = (self.key, self.up_to);
        let read = self.until_done(|| async { self.queue.queues()?.queued(key, up_to, room).await }).await;
        if let Some(last) = read.last() {
            self.up_to = last.number;
        }
        read
    }

    /// The newest of each key, in the order in which keys came; what is behind something that was set aside waits there.
    fn grouped(&mut self, read: Vec<Queued>) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for write in std::mem::take(&mut self.ahead).into_iter().chain(read) {
            if let Some(aside) = self.aside.get_mut(&write.key) {
                aside.later.push(write);
            } else if let Some(place) = places.get(&write.key) {
                groups[*place].numbers.push(write.number);
                groups[*place].newest = write;
            } else {
                places.insert(write.key.clone(), groups.len());
                groups.push(Group { numbers: vec![write.number], newest: write });
            }
        }
        groups
    }

    async fn apply_all(&mut self, groups: Vec<Group>) -> Result<(), Lost> {
        let mut todo = vec![(groups, 0_u32)];
        while let Some((mut piece, tries)) = todo.pop() {
            if piece.is_empty() {
                continue;
            }
            let waiting = todo.iter().flat_map(|(groups, _)| groups);
            let left = waiting.map(|group| group.newest.number).collect();
            let why = match self.apply(&piece, left).await {
                Ok(Ok(())) => {
                    self.settle(&piece).await?;
                    continue;
                }
                Ok(Err(why)) => why,
                Err(undecodable) => {
                    for place in undecodable.into_iter().rev() {
                        let group = piece.remove(place);
                        self.bury(group, "it could not be decoded by this build").await?;
                    }
                    todo.push((piece, tries));
                    continue;
                }
            };
            count(&self.queue.counts.retried, 1);
            tracing::warn!(
                queue = self.queue.name,
                writes = piece.len(),
                tries,
                why,
                "writes were not applied"
            );
            if let [_] = piece[..] {
                let Some(group) = piece.pop() else { continue };
                self.set_aside(group, 1, &why).await?;
                continue;
            }
            sleep(self.backoff(tries)).await;
            if tries + 1 < WHOLE {
                todo.push((piece, tries + 1));
            } else {
                let second = piece.split_off(piece.len() / 2);
                todo.push((second, tries + 1));
                todo.push((piece, tries + 1));
            }
        }
        Ok(())
    }

    /// Tries once more what was set aside, where its time has come.
    async fn try_due(&mut self) -> Result<(), Lost> {
        let now = Instant::now();
        let is_due = |(key, aside): (&String, &Aside)| (aside.due <= now).then(|| key.clone());
        let due: Vec<String> = self.aside.iter().filter_map(is_due).collect();
        for key in due {
            let Some(Aside { group, tries, later, .. }) = self.aside.remove(&key) else { continue };
            let numbers: Vec<u64> = later.iter().map(|write| write.number).collect();
            let piece = [group];
            let applied = self.apply(&piece, numbers.into_iter().collect()).await;
            let [group] = piece;
            match applied {
                Ok(Ok(())) => {
                    self.settle(&[group]).await?;
                    self.ahead.extend(later);
                }
                Ok(Err(why)) => {
                    count(&self.queue.counts.retried, 1);
                    self.set_aside(group, tries + 1, &why).await?;
                    match self.aside.get_mut(&key) {
                        Some(aside) => aside.later = later,
                        None => self.ahead.extend(later),
                    }
                }
                Err(_) => {
                    self.bury(group, "it could not be decoded by this build").await?;
                    self.ahead.extend(later);
                }
            }
        }
        Ok(())
    }

    /// A write that stands alone has failed so often.
    async fn set_aside(&mut self, group: Group, tries: u32, why: &str) -> Result<(), Lost> {
        if tries >= self.queue.limits.attempts {
            return self.bury(group, why).await;
        }
        let due = Instant::now() + self.backoff(tries);
        let key = group.newest.key.clone();
        self.aside.insert(key, Aside { group, tries, due, later: Vec::new() });
        Ok(())
    }

    /// Calls the user's function. What it is about is not settled yet.
    async fn apply(
        &self,
        piece: &[Group],
        mut left: BTreeSet<u64>,
    ) -> Result<Result<(), String>, Vec<usize>> {
        left.extend(self.ahead.iter().map(|write| write.number));
        for aside in self.aside.values() {
            left.insert(aside.group.newest.number);
            left.extend(aside.later.iter().map(|write| write.number));
        }
        let piece = Piece {
            writes: piece.iter().map(|group| group.newest.clone()).collect(),
            partition: self.partition,
            fence: self.fence,
            up_to: self.up_to,
            left,
            gone: self.gone.clone(),
        };
        let Some(apply) = &self.queue.apply else { return Ok(Err("nothing is applied here".to_owned())) };
        let applying = apply(piece)?;
        // Where it panics, it has failed. It ends with the tenure.
        Ok(caught_task(applying).await.unwrap_or_else(|| Err("it panicked".to_owned())))
    }

    /// These were applied: evicts what was loaded before that, then forgets them.
    async fn settle(&mut self, piece: &[Group]) -> Result<(), Lost> {
        self.gone.clear();
        self.evict(piece).await;
        let numbers: Vec<u64> = piece.iter().flat_map(|group| &group.numbers).copied().collect();
        let keys: Vec<(&str, u64)> =
            piece.iter().map(|group| (&*group.newest.key, group.newest.number)).collect();
        self.settled(Settle::new(&numbers, &keys)).await?;
        count(&self.queue.counts.applied, piece.len());
        count(&self.queue.counts.coalesced, numbers.len() - piece.len());
        Ok(())
    }

    /// This one will not be applied: it is pending no more, what is cached of it is evicted, and then it is among the dead letters, in this order.
    async fn bury(&mut self, group: Group, why: &str) -> Result<(), Lost> {
        let Group { newest, numbers } = &group;
        // From here on nobody finds it: what a reader found before and stores behind the evict, it stores under a lease from before it, which is refused.
        self.settled(Settle::new(&[], &[(&*newest.key, newest.number)])).await?;
        self.evict(std::slice::from_ref(&group)).await;
        // It has been in the stream until now. Where the tenure ends in between, the next one reads it again and does all of this again.
        self.settled(Settle::new(numbers, &[]).with_dead(newest, why)).await?;
        tracing::error!(queue = self.queue.name, why, "a write was put among the dead letters");
        self.gone.extend(numbers);
        self.queue.counts.died.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn evict(&self, piece: &[Group]) {
        let mut removals = Removals::default();
        for group in piece {
            removals.add_all(removals_of(&group.newest.key, &group.newest.write));
        }
        self.until_done(|| async { self.queue.core.evict(&removals, None).await.map(drop) }).await;
    }

    async fn settled(&self, settle: Settle<'_>) -> Result<(), Lost> {
        let settled =
            self.until_done(|| async { self.queue.queues()?.settle(self.key, self.fence, settle).await });
        if settled.await { Ok(()) } else { Err(Lost) }
    }

    /// Tries again while the store fails; that ends with the tenure.
    async fn until_done<T, F: Future<Output = Result<T>>>(&self, step: impl Fn() -> F) -> T {
        loop {
            match step().await {
                Ok(done) => return done,
                Err(error) => {
                    tracing::debug!(queue = self.queue.name, %error, "a queue of writes waits for its store");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// The pause after so many attempts.
    fn backoff(&self, tries: u32) -> Duration {
        backoff(self.queue.limits.backoff, tries)
    }
}
