//! One task: calls at random, each checked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use cachemacro::{Entry, Lookup, Mode, Policy};
use cachemacro_tests::Dice;
use cachemacro_tests::history::{Incident, Kind, Plan, Row, micros};
use tokio::time::sleep;

use crate::patience::Patience;
use crate::rows::{HOT, Query, Refused, Rows};
use crate::tally::{Call, Tally};

/// Counters that are incremented, and those that are updated.
const COUNTERS: [&str; 4] = ["incremented:0", "incremented:1", "updated:0", "updated:1"];

/// Who makes the calls.
#[derive(Debug, Clone)]
pub(crate) struct Player {
    rows: Rows,
    tally: Arc<Tally>,
    /// How many rows there are of each kind.
    count: u64,
    rest_millis: u64,
    /// Whether some readers take local copies.
    local: bool,
    /// Whether a call in fourteen is a write, instead of one in three.
    reads_most: bool,
    /// The floors that evicts of this process raised.
    own: Arc<Mutex<HashMap<String, u64>>>,
    dice: Dice,
}

/// What a read was about, and the lowest stamp it may return.
struct Expected {
    kind: Kind,
    id: u64,
    floor: u64,
}

/// Whether a call may fail where the store does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failing {
    Never,
    WithTheStore,
}

impl Player {
    /// One that has not begun.
    pub(crate) fn new(rows: Rows, tally: Arc<Tally>, plan: &Plan) -> Self {
        Self {
            rows,
            tally,
            count: plan.rows,
            rest_millis: plan.rest_millis,
            local: plan.local,
            reads_most: plan.reads_most,
            own: Arc::default(),
            dice: Dice::new(0),
        }
    }

    /// Another one, with choices of its own.
    pub(crate) fn with(&self, dice: Dice) -> Self {
        Self { dice, ..self.clone() }
    }

    /// Makes calls until it is over.
    ///
    /// # Errors
    /// Where the database fails, and never because of the cache.
    pub(crate) async fn play(mut self, over: Arc<AtomicBool>) -> Result<()> {
        while !over.load(Ordering::SeqCst) {
            sleep(Duration::from_micros(self.dice.below(1 + 2_000 * self.rest_millis))).await;
            let kind = self.dice.pick(&Kind::ALL);
            let id = self.any_id();
            let takes = Duration::from_millis(self.dice.below(4));
            let query = Query { takes, is_refused: self.dice.below(32) == 0 };
            let here = if self.local { self.dice.below(4) } else { 0 };
            // Where every third call is a write, no copy lives.
            let calls = match self.dice.below(16) {
                0 => 100,
                _ if self.local => 42,
                1..3 => 100,
                _ if self.reads_most => 62,
                _ => 100,
            };
            match self.dice.below(calls) {
                0..42 if here == 1 => self.read_confirmed(kind, id, query).await?,
                0..42 if here > 1 => self.read_local(kind, id, query).await?,
                0..28 => self.read(kind, id, query).await?,
                28..36 => self.read_entry(kind, id, query).await?,
                36..42 => self.get(kind, id).await?,
                42..46 => self.read_many(kind, query).await?,
                46..52 => self.read_by_hand(kind, id, query).await?,
                52..56 => self.refresh(kind, id, query).await?,
                56..58 => self.read_as_another_type(kind, id).await?,
                58..62 => self.count().await?,
                62..72 => self.write("change", kind, id, self.rows.clone().change(kind, id, query)).await?,
                72..76 => self.change_quietly(kind, id, query).await?,
                76..84 => self.write("put", kind, id, self.rows.clone().put(kind, id, query)).await?,
                84..90 => self.evict(kind, id).await?,
                90..95 => self.evict_tag(kind, id).await?,
                95..98 => self.evict_one_of_each(id).await?,
                98 => self.change_many(kind).await?,
                _ => self.evict_prefix().await?,
            }
        }
        Ok(())
    }

    /// A row by Zipf's law: twice as far on, half as often.
    fn any_id(&mut self) -> u64 {
        let octaves = u64::from(u64::BITS - self.count.leading_zeros());
        let first = 1 << self.dice.below(octaves);
        (first - 1 + self.dice.below(first)) % self.count
    }

    /// Makes a call, or drops it in the middle.
    async fn call<T>(&mut self, call: &Call, future: impl Future<Output = T>) -> Option<T> {
        let returned = Patience::any(&mut self.dice).wait(future).await;
        self.tally.ended(call, returned.is_none());
        returned
    }

    async fn expect(&self, kind: Kind, id: u64) -> Result<Expected> {
        let floor = self.rows.database.floors(kind, &[id]).await?[0];
        Ok(Expected { kind, id, floor })
    }

    async fn checked(
        &mut self,
        name: &'static str,
        (kind, id): (Kind, u64),
        failing: Failing,
        read: impl Future<Output = Result<Option<Row>>>,
    ) -> Result<()> {
        let expected = self.expect(kind, id).await?;
        let call = Call::begin(name, kind.name(id));
        match self.call(&call, read).await {
            Some(Ok(Some(row))) => {
                self.check(&call, &expected, &row);
                let newest = self.rows.database.newest().await?;
                if row.stamp > newest {
                    let outcome = format_args!("loaded at {}, and {newest} is the newest", row.stamp);
                    self.tally.note().strange.push(call.incident(&outcome));
                }
            }
            Some(Err(error)) => self.failed(&call, failing, &error),
            Some(Ok(None)) | None => {}
        }
        Ok(())
    }

    fn check(&self, call: &Call, expected: &Expected, row: &Row) {
        let mut report = self.tally.note();
        report.counts.reads += 1;
        if (row.kind, row.id) != (expected.kind, expected.id) {
            report.strange.push(call.incident(&format_args!("{}", row.kind.name(row.id))));
        } else if expected.kind.oldest().is_some_and(|oldest| call.age_of(row.at) > oldest) {
            let age = call.age_of(row.at);
            report.stale.push(call.incident(&format_args!("{age:?} old, past its window")));
        } else if row.stamp < expected.floor {
            report
                .stale
                .push(call.incident(&format_args!("loaded at {}, evicted at {}", row.stamp, expected.floor)));
        }
    }

    fn failed(&self, call: &Call, failing: Failing, error: &anyhow::Error) {
        let incident = call.incident(&format_args!("{error:#}"));
        let mut report = self.tally.note();
        // Only the store's failures reach those who ask it by hand.
        if error.is::<Refused>() {
            report.counts.failed_loads += 1;
        } else if failing == Failing::WithTheStore && error.is::<cachemacro::Error>() {
            report.refusals.push(incident);
        } else {
            report.errors.push(incident);
        }
    }

    async fn read(&mut self, kind: Kind, id: u64, query: Query) -> Result<()> {
        let rows = self.rows.clone();
        let read = async { rows.read(kind, id, query).await.map(Some) };
        self.checked("cached", (kind, id), Failing::Never, read).await
    }

    /// A read of a copy that the store confirms.
    async fn read_confirmed(&mut self, kind: Kind, id: u64, query: Query) -> Result<()> {
        let rows = self.rows.clone();
        let entry = rows.entry(kind, id).with_policy(Policy::new().validate(true));
        let read = async { entry.try_get_or_load(|| rows.query(kind, id, query)).await.map(Some) };
        self.checked("validate", (kind, id), Failing::Never, read).await
    }

    /// A read of a local copy: never older than what this process evicted, and of what others evicted only until that is told.
    async fn read_local(&mut self, kind: Kind, id: u64, query: Query) -> Result<()> {
        let rows = self.rows.clone();
        let own = [kind.prefix().to_owned(), kind.name(id)];
        let own = own.iter().filter_map(|of| lock(&self.own).get(of).copied()).max().unwrap_or(0);
        let (began, call) = (micros(), Call::begin("local", kind.name(id)));
        let Some(read) = self.call(&call, rows.read_local(kind, id, query)).await else { return Ok(()) };
        match read {
            Ok(row) => {
                self.check(&call, &Expected { kind, id, floor: own }, &row);
                let late = rows.database.outdated_since(kind, id, row.stamp, began).await?;
                let mut report = self.tally.note();
                report.counts.late += u64::from(late > 0);
                report.counts.latest = report.counts.latest.max(late);
            }
            Err(error) => self.failed(&call, Failing::Never, &error),
        }
        Ok(())
    }

    /// An evict of this process was acknowledged.
    async fn raise(&self, kind: Kind, id: u64, stamp: u64) -> Result<()> {
        self.raise_own(kind.name(id), stamp);
        self.rows.database.raise(kind, id, stamp).await
    }

    /// [`raise`](Self::raise) of all rows of a kind.
    async fn raise_all(&self, kind: Kind, stamp: u64) -> Result<()> {
        self.raise_own(kind.prefix().to_owned(), stamp);
        self.rows.database.raise_all(kind, stamp).await
    }

    fn raise_own(&self, of: String, stamp: u64) {
        let mut own = lock(&self.own);
        let floor = own.entry(of).or_default();
        *floor = stamp.max(*floor);
    }

    async fn read_entry(&mut self, kind: Kind, id: u64, query: Query) -> Result<()> {
        let rows = self.rows.clone();
        let read =
            async { rows.entry(kind, id).try_get_or_load(|| rows.query(kind, id, query)).await.map(Some) };
        Box::pin(self.checked("get_or_load", (kind, id), Failing::Never, read)).await
    }

    async fn get(&mut self, kind: Kind, id: u64) -> Result<()> {
        let entry = self.rows.entry(kind, id);
        let read = async { Ok(entry.get().await?) };
        self.checked("get", (kind, id), Failing::WithTheStore, read).await
    }

    async fn refresh(&mut self, kind: Kind, id: u64, query: Query) -> Result<()> {
        let rows = self.rows.clone();
        let read = Mode::Refresh.scope(async { rows.read(kind, id, query).await.map(Some) });
        self.checked("refresh", (kind, id), Failing::Never, read).await
    }

    async fn read_by_hand(&mut self, kind: Kind, id: u64, query: Query) -> Result<()> {
        let rows = self.rows.clone();
        let gives_up = self.dice.below(8) == 0;
        let read = async {
            match rows.entry(kind, id).lookup().await? {
                Lookup::Hit(row) => Ok(Some(row.into_value())),
                Lookup::Vacant(_) if gives_up => Ok(None),
                Lookup::Vacant(vacancy) => {
                    let row = rows.query(kind, id, query).await?;
                    // What it comes to is the store's business: the row is there.
                    let _ = vacancy.fill(&row).await?;
                    Ok(Some(row))
                }
            }
        };
        self.checked("lookup", (kind, id), Failing::WithTheStore, Box::pin(read)).await
    }

    async fn read_many(&mut self, kind: Kind, query: Query) -> Result<()> {
        let mut ids: Vec<u64> = (0..6).map(|_| self.dice.below(self.count.min(2 * HOT))).collect();
        ids.sort_unstable();
        ids.dedup();
        let floors = self.rows.database.floors(kind, &ids).await?;
        let rows = self.rows.clone();
        let load = async |ids: Vec<u64>| {
            let mut loaded = HashMap::new();
            for id in ids {
                loaded.insert(id, rows.query(kind, id, Query { takes: query.takes / 4, ..query }).await?);
            }
            Ok::<_, anyhow::Error>(loaded)
        };
        let call = Call::begin("get_or_load_many", format!("{}:{ids:?}", kind.prefix()));
        let read = rows.cache.try_get_or_load_many(ids.clone(), |id| rows.entry(kind, *id), load);
        match self.call(&call, read).await {
            Some(Ok(found)) => {
                for (id, floor) in ids.into_iter().zip(floors) {
                    match found.get(&id) {
                        Some(row) => self.check(&call, &Expected { kind, id, floor }, row),
                        None => self.tally.note().errors.push(call.incident(&format_args!("no row {id}"))),
                    }
                }
            }
            Some(Err(error)) => self.failed(&call, Failing::Never, &error),
            None => {}
        }
        Ok(())
    }

    /// No row is a pair of numbers.
    async fn read_as_another_type(&mut self, kind: Kind, id: u64) -> Result<()> {
        let entry: Entry<(u64, u64)> = self.rows.cache.entry(kind.prefix(), id);
        let call = Call::begin("get as another type", kind.name(id));
        match self.call(&call, entry.get()).await {
            Some(Ok(Some(pair))) => self.tally.note().strange.push(call.incident(&format_args!("{pair:?}"))),
            Some(Err(error)) => self.failed(&call, Failing::WithTheStore, &error.into()),
            Some(Ok(None)) | None => {}
        }
        Ok(())
    }

    async fn count(&mut self) -> Result<()> {
        let counter = self.dice.pick(&COUNTERS);
        self.rows.database.add(&format!("begun:{counter}")).await?;
        let cache = self.rows.cache.clone();
        let (prefix, id) = counter.split_once(':').unwrap_or_default();
        let call = Call::begin(prefix, counter.to_owned());
        let add = async {
            if prefix == "incremented" {
                cache.increment(prefix, id, 1).await.map(drop)
            } else {
                cache.update(prefix, id, |count: Option<u64>| count.unwrap_or(0) + 1).await.map(drop)
            }
        };
        match self.call(&call, add).await {
            Some(Ok(())) => drop(self.rows.database.add(&format!("done:{counter}")).await?),
            Some(Err(error)) => self.failed(&call, Failing::WithTheStore, &error.into()),
            None => {}
        }
        Ok(())
    }

    /// Every change that was acknowledged counts, where the store `kept` what it was given, and none counts twice.
    pub(crate) async fn check_counters(&self, kept: bool) -> Result<()> {
        for counter in COUNTERS {
            let (prefix, id) = counter.split_once(':').unwrap_or_default();
            let call = Call::begin(prefix, counter.to_owned());
            let count = if prefix == "incremented" {
                self.rows.cache.get::<i64>(prefix, id).await?.unwrap_or(0).unsigned_abs()
            } else {
                self.rows.cache.get::<u64>(prefix, id).await?.unwrap_or(0)
            };
            let begun = self.rows.database.count(&format!("begun:{counter}")).await?;
            let done = if kept { self.rows.database.count(&format!("done:{counter}")).await? } else { 0 };
            if !(done..=begun).contains(&count) {
                let outcome = &format_args!("{count}, where {done} were acknowledged of {begun}");
                self.tally.note().miscounted.push(call.incident(outcome));
            }
        }
        Ok(())
    }

    /// A write by attribute: what it returns is of the time after which nothing older may be read.
    async fn write(
        &mut self,
        name: &'static str,
        kind: Kind,
        id: u64,
        write: impl Future<Output = Result<Row>>,
    ) -> Result<()> {
        let call = Call::begin(name, kind.name(id));
        if let Some(written) = self.call(&call, write).await
            && let Some(row) = self.acknowledged(&call, written)
        {
            self.raise(kind, id, row.stamp).await?;
        }
        Ok(())
    }

    /// What an evict returned, if it did not fail.
    fn acknowledged<T>(&self, call: &Call, evicted: Result<T>) -> Option<T> {
        match evicted {
            Ok(evicted) => {
                self.tally.note().counts.evicts += 1;
                Some(evicted)
            }
            Err(error) if error.is::<cachemacro::Error>() => {
                self.tally.note().failed_evicts.push(call.incident(&format_args!("{error:#}")));
                None
            }
            Err(error) => {
                self.failed(call, Failing::Never, &error);
                None
            }
        }
    }

    /// Failures are only counted: where the count has moved, it may have been this one.
    async fn change_quietly(&mut self, kind: Kind, id: u64, query: Query) -> Result<()> {
        let rows = self.rows.clone();
        let change = async {
            let before = rows.cache.stats().total.failed_evicts;
            let row = rows.change_quietly(kind, id, query).await?;
            let failed = rows.cache.stats().total.failed_evicts - before;
            Ok::<_, anyhow::Error>((failed == 0).then_some(row))
        };
        let call = Call::begin("change quietly", kind.name(id));
        if let Some(changed) = Box::pin(self.call(&call, change)).await {
            match changed {
                Ok(None) => {}
                Ok(Some(row)) => {
                    self.tally.note().counts.evicts += 1;
                    self.raise(kind, id, row.stamp).await?;
                }
                Err(error) => self.failed(&call, Failing::Never, &error),
            }
        }
        Ok(())
    }

    async fn evict(&mut self, kind: Kind, id: u64) -> Result<()> {
        let rows = self.rows.clone();
        let evict = async { Ok(rows.entry(kind, id).evict().await?) };
        self.evicted("evict", &[(kind, id)], evict).await
    }

    async fn evict_tag(&mut self, kind: Kind, id: u64) -> Result<()> {
        if kind == Kind::Plain {
            return self.evict(kind, id).await;
        }
        let cache = self.rows.cache.clone();
        let evict = async { Ok(cache.evict_tags([kind.name(id)]).await?) };
        self.evicted("evict_tags", &[(kind, id)], evict).await
    }

    async fn evict_one_of_each(&mut self, id: u64) -> Result<()> {
        let rows = self.rows.clone();
        let evict = rows
            .cache
            .evict()
            .entry(&rows.entry(Kind::Plain, id))
            .key("tagged", id)
            .tags([Kind::Late.name(id), Kind::Aging.name(id)]);
        self.evicted("evict together", &Kind::ALL.map(|kind| (kind, id)), async { Ok(evict.await?) }).await
    }

    /// An evict by hand.
    async fn evicted<T>(
        &mut self,
        name: &'static str,
        about: &[(Kind, u64)],
        evict: impl Future<Output = Result<T>>,
    ) -> Result<()> {
        let stamp = self.rows.database.stamp().await?;
        let call =
            Call::begin(name, about.iter().map(|(kind, id)| kind.name(*id)).collect::<Vec<_>>().join(" "));
        if let Some(evicted) = self.call(&call, evict).await
            && self.acknowledged(&call, evicted).is_some()
        {
            for (kind, id) in about {
                self.raise(*kind, *id, stamp).await?;
            }
        }
        Ok(())
    }

    async fn change_many(&mut self, kind: Kind) -> Result<()> {
        let rows = self.rows.clone();
        let call = Call::begin("change many", kind.prefix().to_owned());
        if let Some(changed) = Box::pin(self.call(&call, rows.change_many(kind))).await
            && let Some(stamp) = self.acknowledged(&call, changed)
        {
            match kind {
                Kind::Plain | Kind::Tagged | Kind::Aging => self.raise_all(kind, stamp).await?,
                Kind::Late => {
                    for id in 0..HOT {
                        self.raise(kind, id, stamp).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn evict_prefix(&mut self) -> Result<()> {
        let cache = self.rows.cache.clone();
        let stamp = self.rows.database.stamp().await?;
        let call = Call::begin("evict_prefix", Kind::Plain.prefix().to_owned());
        let evict = async { Ok(cache.evict_prefix(Kind::Plain.prefix()).await?) };
        if let Some(evicted) = self.call(&call, evict).await
            && self.acknowledged(&call, evicted).is_some()
        {
            self.raise_all(Kind::Plain, stamp).await?;
        }
        Ok(())
    }

    /// Loads each of the hot rows anew, which needs its lease.
    pub(crate) async fn load_each(&self) -> Vec<Incident> {
        let mut loads = Vec::new();
        for kind in Kind::ALL {
            for id in 0..self.count.min(HOT) {
                let call = Call::begin("load", kind.name(id));
                let loaded = Mode::Refresh.scope(self.rows.read(kind, id, Query::default())).await;
                loads.push(
                    call.incident(&loaded.map_or_else(|error| format!("{error:#}"), |_| "loaded".to_owned())),
                );
            }
        }
        loads
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
