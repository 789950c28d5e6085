//! The store on a cluster: requests split by slot, sent to the nodes that serve these in parallel, and put together again.
//!
//! An entry, its lease and its staging are under keys of one slot, so what is done to an entry is one step on one node. Tag versions lie by
//! bucket in other slots. A read brings entry and versions from several nodes at several times; each time is after its caller began, which
//! is all that G1 needs. A lease is asked for once its versions were captured.

mod capabilities;
mod facts;
mod queues;
mod route;
mod slots;
mod streams;
mod sweep;
mod topology;
mod versions;
mod watch;
mod watches;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use xxhash_rust::xxh3::xxh3_64;

use self::route::{Again, Names};
use self::topology::Topology;
use super::config::RedisConfig;
use super::endpoint::Base;
use super::leases::{Asking, WHATEVER};
use super::lives::Lives;
use super::redirect::Redirect;
use super::send::TIMEOUTS;
use super::single::NAME;
use super::slot::slot;
use super::url::Host;
use crate::format::ids::Version;
use crate::format::stamps::{TagKeys, VersionKey, slot_of_node};
use crate::ground::chunks::{MOST_BYTES, MOST_ENTRIES};
use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::observe::pool::Pool;
use crate::store::contract::{Changes, Inspect, Store, Tracking};
use crate::store::documents::Documents;
use crate::store::messages::about::{About, StoreHealth};
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::few::Few;
use crate::store::messages::increment::{Increment, IncrementOutcome};
use crate::store::messages::lease::{Captures, HeldLease, Keep, Lease, LeaseOutcome, LeaseRequest};
use crate::store::messages::read::{Excerpt, Read, ReadRequest};
use crate::store::messages::server::Server;
use crate::store::messages::write::{Write, Written};
use crate::store::queues::Queues;
use crate::store::raw_commands::RawCommands;
use crate::store::streams::Streams;

/// A store on a cluster.
pub(super) struct Cluster {
    topology: Arc<Topology>,
    identity: u64,
    command_timeout: Duration,
    patience: Duration,
    /// How long versions live, as far as is known.
    lives: Lives,
}

impl Cluster {
    pub(super) fn new(config: RedisConfig, base: Base, seeds: Vec<Host>) -> Self {
        let command_timeout = config.command_timeout;
        // Who serves the slot may have to be asked for first.
        let patience = config.pool_wait + command_timeout;
        let topology = Topology::new(config, base, seeds);
        Self {
            identity: xxh3_64(topology.identity().as_bytes()),
            topology: Arc::new(topology),
            command_timeout,
            patience,
            lives: Lives::default(),
        }
    }

    /// Until when has to be done what has to.
    fn deadline(&self) -> Instant {
        Instant::now() + self.command_timeout * TIMEOUTS
    }

    /// Entries of one slot, each with the id of the node that answered, where ids are kept.
    async fn entries(&self, slot: u16, keys: &[&str], first: Option<usize>) -> Result<Vec<Told>> {
        let read = self.topology.at((slot, Names::these(keys.len())), Again::Elsewhere, |seat| {
            Box::pin(async move {
                let request = ReadRequest { keys, versions: &[], first };
                let entries = seat.commands().read(request).await?.entries;
                // G1: of what answered, and not of what was asked first.
                let id = seat.id();
                Ok(entries.into_iter().map(|entry| (entry, id)).collect())
            })
        });
        or_each(read.await, keys, |key| Box::pin(self.entries(slot, key, first))).await
    }

    /// One lease, under these versions.
    async fn lease_under(
        &self,
        request: &LeaseRequest<'_>,
        versions: Vec<Version>,
        most: u64,
    ) -> Result<Lease> {
        let captured = &versions[..];
        let outcome = self.topology.at(one(request.key), Again::Never, |seat| {
            Box::pin(async move {
                let request = self.by_the_nodes_time(request, &seat).await?;
                seat.commands().lease_under(&request, captured, most).await
            })
        });
        let outcome = match outcome.await? {
            Some(outcome) => outcome,
            // Too large to be told with the others.
            None => {
                match self
                    .entries(slot(request.key.as_bytes()), &[request.key], None)
                    .await?
                    .pop()
                    .and_then(|(entry, _)| entry)
                {
                    Some(entry) => LeaseOutcome::Found(entry.bytes),
                    None => LeaseOutcome::busy(Duration::ZERO),
                }
            }
        };
        let versions = if outcome == LeaseOutcome::Late { Vec::new() } else { versions };
        Ok(Lease::new(versions, outcome))
    }

    /// Takes the lease of an entry that the caller's read did not find, without a script; whether it was taken.
    async fn lease_of_nothing(&self, request: &LeaseRequest<'_>, versions: &[Version]) -> Result<bool> {
        let taken = self.topology.at(one(request.key), Again::Never, |seat| {
            Box::pin(async move {
                let request = self.by_the_nodes_time(request, &seat).await?;
                seat.commands().lease_of_nothing_under(&request, versions).await
            })
        });
        taken.await
    }

    /// The same request, which is refused when its time is over by the clock of the node that it goes to.
    async fn by_the_nodes_time<'r>(
        &self,
        request: &LeaseRequest<'r>,
        seat: &route::Seat,
    ) -> Result<LeaseRequest<'r>> {
        let there = seat.node.single.time().await?.millis();
        let mut request = *request;
        if request.not_after != Timestamp(0) {
            let not_after = request.not_after.millis().saturating_add(there);
            request.not_after = Timestamp(not_after.saturating_sub(self.now().millis()).max(1));
        }
        Ok(request)
    }

    async fn lease_one(&self, request: &LeaseRequest<'_>) -> Result<Lease> {
        let seen = Asking::seen_in(request);
        // G1: versions first, so that an evict of a tag from here on is seen by what is stored under this lease.
        let versions = match seen.and_then(|seen| self.lives.lasting(request, seen, Instant::now())) {
            Some(versions) => versions,
            None => self.capture(request.capture, request.version_life).await?,
        };
        if seen.is_some() && self.lease_of_nothing(request, &versions).await? {
            return Ok(Lease::new(versions, LeaseOutcome::Taken));
        }
        let versions = match seen {
            // Something is there: what it was captured under is compared with what is so now.
            Some(_) => self.capture(request.capture, request.version_life).await?,
            None => versions,
        };
        self.lease_under(request, versions, WHATEVER).await
    }

    /// Evicts of one slot.
    async fn evict_at(&self, slot: u16, keys: &[&str], tags: &[TagKeys], end: Instant) -> Result<Vec<bool>> {
        let about = Names::these(keys.len() + 2 * tags.len());
        let evicted = self.topology.at((slot, about), Again::Until(end), |seat| {
            Box::pin(async move { seat.commands().evict(EvictRequest::new(keys, tags)).await })
        });
        match evicted.await {
            Err(error) if is_in_two(&error) && (keys.len() > 1 || !tags.is_empty()) => {
                self.evict_each(keys, tags, end).await
            }
            evicted => evicted,
        }
    }

    /// The same key by key, while some are here and some there.
    async fn evict_each(&self, keys: &[&str], tags: &[TagKeys], end: Instant) -> Result<Vec<bool>> {
        let versions = tags.iter().flat_map(|tag| [&*tag.tag.text, &*tag.any.text]);
        let alone = |key| {
            let removed = self.topology.at(one(key), Again::Until(end), move |seat: route::Seat| {
                Box::pin(async move { seat.commands().evict(EvictRequest::new(&[key], &[])).await })
            });
            async { Ok(removed.await?.first().is_some_and(|existed| *existed)) }
        };
        // A version is no entry, and goes all the same.
        all::<bool>(
            join_all(versions.map(alone)).await.into_iter().map(|one| one.map(|one| vec![one])).collect(),
        )?;
        all(join_all(keys.iter().copied().map(alone))
            .await
            .into_iter()
            .map(|one| one.map(|one| vec![one]))
            .collect())
    }
}

/// An entry, and the id of the node that told it, where that is kept.
type Told = (Option<Excerpt>, Option<Version>);

/// Whether some of the keys are on one node and some on another one.
fn is_in_two(error: &Error) -> bool {
    matches!(Redirect::in_error(error), Some(Redirect::TryAgain | Redirect::Ask(_)))
}

/// What came of all keys of a slot together or, while they are on two nodes, of each alone.
async fn or_each<'k, K, T, F>(
    together: Result<Vec<T>>,
    keys: &'k [K],
    alone: impl Fn(&'k [K]) -> F,
) -> Result<Vec<T>>
where
    F: Future<Output = Result<Vec<T>>>,
{
    match together {
        Err(error) if keys.len() > 1 && is_in_two(&error) => {
            all(join_all(keys.iter().map(|key| alone(std::slice::from_ref(key)))).await)
        }
        together => together,
    }
}

fn one(key: &str) -> (u16, Names) {
    (slot(key.as_bytes()), Names::One)
}

/// All that was brought, or the first error.
fn all<T>(parts: Vec<Result<Vec<T>>>) -> Result<Vec<T>> {
    let mut whole = Vec::new();
    for part in parts {
        whole.extend(part?);
    }
    Ok(whole)
}

/// Has the items of each slot dealt with together, in parallel with those of others; gives what came of each, in their order.
async fn split<I, T, F>(
    items: impl Iterator<Item = I>,
    key: impl Fn(&I) -> &str,
    send: impl Fn(u16, Vec<I>) -> F,
) -> Result<Vec<T>>
where
    F: Future<Output = Result<Vec<T>>>,
{
    let mut groups: Vec<(u16, Vec<usize>, Vec<I>)> = Vec::new();
    let mut known: HashMap<u16, usize> = HashMap::new();
    let mut count = 0;
    for (at, item) in items.enumerate() {
        let slot = slot(key(&item).as_bytes());
        let group = *known.entry(slot).or_insert_with(|| {
            groups.push((slot, Vec::new(), Vec::new()));
            groups.len() - 1
        });
        groups[group].1.push(at);
        groups[group].2.push(item);
        count += 1;
    }
    let (mut places, mut sent) = (Vec::with_capacity(groups.len()), Vec::with_capacity(groups.len()));
    for (slot, at, items) in groups {
        places.push(at);
        sent.push(send(slot, items));
    }
    // All are tried, whatever becomes of one.
    let answers = join_all(sent).await;
    let mut whole: Vec<Option<T>> = Vec::new();
    whole.resize_with(count, || None);
    for (places, answer) in places.into_iter().zip(answers) {
        for (at, one) in places.into_iter().zip(answer?) {
            whole[at] = Some(one);
        }
    }
    whole.into_iter().map(|one| one.ok_or_else(super::failure::unexpected)).collect()
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("topology", &self.topology).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for Cluster {
    fn about(&self) -> About {
        About::new(NAME).with_shared(true).with_identity(self.identity).with_patience(self.patience)
    }

    fn now(&self) -> Timestamp {
        // Of the first node that told it: the same one for all who know the same nodes.
        let layout = self.topology.now();
        let times = layout.nodes.iter().map(|node| &node.single.link().dialer.time);
        times
            .clone()
            .find(|time| time.is_learned())
            .or_else(|| times.clone().next())
            .map_or_else(|| crate::ground::clock::Clock::system().now(), super::time::ServerTime::now)
    }

    async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
        let ReadRequest { keys, versions, first } = request;
        if let [key] = keys {
            let slot = slot(key.as_bytes());
            if versions.iter().all(|version| slot_of_node(version) == Some(slot)) {
                let told = self.entries(slot, keys, first).await?.pop();
                let (entry, id) = told.ok_or_else(super::failure::unexpected)?;
                return Ok(Read::new(Few::one(entry), versions.iter().map(|_| id).collect()));
            }
        }
        let entries = async {
            let mut entries = Vec::with_capacity(keys.len());
            // A server carries out in one go what comes in one.
            for keys in keys.chunks(MOST_ENTRIES) {
                let keys = keys.iter().copied();
                let read = split(
                    keys,
                    |key| key,
                    |slot, keys| async move { self.entries(slot, &keys, first).await },
                );
                entries.extend(read.await?);
            }
            Ok::<_, Error>(entries)
        };
        let (entries, told) = if keys.len() <= MOST_ENTRIES {
            let (entries, told) = tokio::join!(entries, self.stored_versions(versions));
            (entries?, told?)
        } else {
            // After the entries: a tag that was evicted since shows.
            (entries.await?, self.stored_versions(versions).await?)
        };
        let answered = keys.iter().zip(&entries).map(|(key, (_, id))| (slot(key.as_bytes()), *id));
        let told = self.with_ids(versions, told, answered).await?;
        Ok(Read::new(entries.into_iter().map(|(entry, _)| entry).collect(), told.into()))
    }

    async fn capture(&self, versions: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        self.capture_all(versions.iter().map(|key| (key, life))).await
    }

    async fn lease(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        if let [request] = requests {
            return Ok(vec![self.lease_one(request).await?]);
        }
        let captures = Captures::of(requests);
        // G1: versions first.
        let captured = self.capture_all(captures.with_lives()).await?;
        let most = (MOST_BYTES / requests.len().max(1)) as u64;
        let asked = requests.iter().zip(captures.hand_out(&captured));
        let asked = asked.map(|(request, versions)| async move {
            if Asking::seen_in(request).is_some() && self.lease_of_nothing(request, &versions).await? {
                return Ok(Lease::new(versions, LeaseOutcome::Taken));
            }
            self.lease_under(request, versions, most).await
        });
        join_all(asked).await.into_iter().collect()
    }

    async fn keep(&self, leases: &[HeldLease<'_>], how: Keep) -> Result<Vec<bool>> {
        let kept = leases.iter().map(|lease| {
            let kept = self.topology.at(one(lease.key), Again::Elsewhere, move |seat| {
                Box::pin(async move { seat.commands().keep(std::slice::from_ref(lease), how).await })
            });
            async { Ok(kept.await?.first().is_some_and(|held| *held)) }
        });
        join_all(kept).await.into_iter().collect()
    }

    async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        let written = writes.iter().map(|write| async move {
            let alone = [Write { check: &[], ..write.clone() }];
            let written = self.topology.at(one(write.key), Again::Never, |seat| {
                let alone = &alone;
                Box::pin(async move {
                    let written = seat.commands().write(alone).await?;
                    Ok((written.first().is_some_and(|written| written.accepted), seat.id()))
                })
            });
            written.await
        });
        let written: Vec<(bool, Option<Version>)> =
            join_all(written).await.into_iter().collect::<Result<_>>()?;
        // After all were stored.
        let keys: Vec<VersionKey> = writes.iter().flat_map(|write| write.check).cloned().collect();
        let told = self.stored_versions(&keys).await?;
        let answered = writes.iter().zip(&written).map(|(write, (_, id))| (slot(write.key.as_bytes()), *id));
        let mut versions = self.with_ids(&keys, told, answered).await?.into_iter();
        let checked = written.into_iter().zip(writes);
        let checked = checked.map(|((accepted, _), write)| {
            Written::new(accepted, versions.by_ref().take(write.check.len()).collect())
        });
        Ok(checked.collect())
    }

    async fn evict(&self, request: EvictRequest<'_>) -> Result<Vec<bool>> {
        let end = self.deadline();
        let tags = split(
            request.tags.iter().cloned(),
            |tag| &tag.tag.text,
            |slot, tags| async move {
                self.evict_at(slot, &[], &tags, end).await?;
                Ok(vec![(); tags.len()])
            },
        );
        let keys = split(
            request.keys.iter().copied(),
            |key| key,
            |slot, keys| async move { self.evict_at(slot, &keys, &[], end).await },
        );
        let (tags, keys) = tokio::join!(tags, keys);
        tags?;
        keys
    }

    async fn evict_prefix(&self, prefix: &str) -> Result<u64> {
        self.topology.background.enter(sweep::evict_prefix(&self.topology, prefix)).await?
    }

    async fn health(&self) -> Result<StoreHealth> {
        let layout = self.topology.known().await?;
        let asked = join_all(layout.nodes.iter().map(|node| node.single.health())).await;
        let mut answers = asked.into_iter();
        let mut found: Option<StoreHealth> = None;
        let mut failed = None;
        for answer in answers.by_ref() {
            match (answer, &mut found) {
                (Err(error), _) => failed = Some(error),
                (Ok(health), None) => found = Some(health),
                (Ok(health), Some(found)) => {
                    found.latency = found.latency.max(health.latency);
                    for command in health.refused {
                        if !found.refused.contains(&command) {
                            found.refused.push(command);
                        }
                    }
                }
            }
        }
        if failed.is_some() {
            self.topology.renew_later();
        }
        let nobody = || Error::new(ErrorKind::Connect, "no node of the cluster answers");
        found.ok_or_else(|| failed.unwrap_or_else(nobody))
    }

    async fn time(&self) -> Result<Timestamp> {
        let layout = self.topology.known().await?;
        if !layout.nodes.iter().any(|node| node.single.link().dialer.time.is_learned())
            && let Some(node) = layout.nodes.first()
        {
            node.single.time().await?;
        }
        Ok(self.now())
    }

    async fn connect(&self) -> Result<()> {
        let layout = self.topology.known().await?;
        join_all(layout.nodes.iter().map(|node| node.single.connect())).await.into_iter().collect()
    }

    async fn close(&self) {
        self.topology.close();
        for node in self.topology.now().nodes.iter().chain(&self.topology.arriving()) {
            node.single.close().await;
        }
    }

    async fn increment(&self, increment: Increment<'_>) -> Result<IncrementOutcome> {
        let increment = &increment;
        let added = self.topology.at(one(increment.key), Again::Never, |seat| {
            Box::pin(async move { seat.commands().increment(increment).await })
        });
        added.await
    }

    fn changes(&self) -> Option<&dyn Changes> {
        Some(self)
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        Some(self)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }

    fn server(&self) -> Option<&Server> {
        Some(self.topology.facts.server())
    }

    fn documents(&self) -> Option<&dyn Documents> {
        Some(self)
    }

    fn raw_commands(&self) -> Option<&dyn RawCommands> {
        Some(self)
    }

    fn streams(&self) -> Option<&dyn Streams> {
        Some(self)
    }

    fn queues(&self) -> Option<&dyn Queues> {
        Some(self)
    }

    fn pool(&self) -> Option<Pool> {
        let mut all = Pool { last_failure: self.topology.last_failure(), ..Pool::default() };
        for node in &self.topology.now().nodes {
            let pool = node.single.link().pool();
            all.shared += pool.shared;
            all.idle += pool.idle;
            all.in_use += pool.in_use;
            all.waiting += pool.waiting;
            all.reconnects += pool.reconnects;
            all.last_failure = pool.last_failure.or(all.last_failure);
        }
        Some(all)
    }

    fn refused(&self) -> Vec<String> {
        let layout = self.topology.now();
        let all: BTreeSet<String> = layout.nodes.iter().flat_map(|node| node.single.refused()).collect();
        all.into_iter().collect()
    }

    fn unreached(&self, since: Instant) -> Option<Error> {
        // Where one of them is there, it may have been that one.
        let layout = self.topology.now();
        let each: Option<Vec<Error>> = layout.nodes.iter().map(|node| node.single.unreached(since)).collect();
        each?.into_iter().next()
    }
}
