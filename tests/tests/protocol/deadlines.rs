//! Leases end, and sites wait and spread TTLs as they say: what `wait`, `lease_limit` and `jitter` are good for.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use cachemacro::__private::{NoRules, Plain, Writes, write};
use cachemacro::store::faults::Op;
use cachemacro::{Cache, Entry, Lookup, cache_config, cache_put, cached};
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores, wait_for};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// A lease that has to be renewed during a test, and that a busy machine does not let lapse before it is.
const SHORT: Duration = Duration::from_millis(600);

/// The ways to hold a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Load,
    Batch,
    Vacancy,
    Put,
    /// An annotated function, whose own limit holds.
    Site,
}

/// Holds a lease until told.
async fn hold(holder: Holder, process: &Process, name: &str, over: &Semaphore) {
    let cache = &process.cache;
    let entry = cache.entry::<u64>("row", name);
    let wait = async || {
        over.acquire().await.expect("open").forget();
        1
    };
    match holder {
        Holder::Load => {
            entry.get_or_load(wait).await;
        }
        Holder::Batch => {
            let load = async |_| HashMap::from([(name, wait().await)]);
            cache.get_or_load_many("row", [name], load).await;
        }
        Holder::Vacancy => {
            let Ok(Lookup::Vacant(vacancy)) = entry.lookup().await else { panic!("nothing is there") };
            wait().await;
            drop(vacancy);
        }
        Holder::Put => {
            let body = pin!(wait());
            write(Writes::new(Plain).put(Some(entry), NoRules, false), body, |_, writes| writes).await;
        }
        Holder::Site => {
            hurried(cache, name, over).await;
        }
    }
}

#[cached(prefix = "hurried", key = "{name}", cache = cache, lease_limit = "1ms")]
async fn hurried(cache: &Cache, name: &str, over: &Semaphore) -> u64 {
    over.acquire().await.expect("open").forget();
    1
}

async fn a_lease_past_its_limit_is_not_renewed(rig: Rig) {
    for holder in [Holder::Load, Holder::Batch, Holder::Vacancy, Holder::Put, Holder::Site] {
        let limit = Duration::from_millis(1);
        let brief = rig.process_with(|builder| {
            let builder = builder.lease(SHORT);
            if holder == Holder::Site { builder } else { builder.lease_limit(limit) }
        });
        let patient = rig.process_with(|builder| builder.lease(SHORT));
        let over = Semaphore::new(0);
        let control = if holder == Holder::Site { Holder::Load } else { holder };
        let (of_brief, of_patient) = (format!("{holder:?} brief"), format!("{holder:?} patient"));
        tokio::join!(
            hold(holder, &brief, &of_brief, &over),
            hold(control, &patient, &of_patient, &over),
            async {
                wait_for("the other is renewed", || patient.faults.count(Op::Renew) >= 3).await;
                over.add_permits(2);
            }
        );
        assert_eq!(brief.faults.count(Op::Renew), 0, "{holder:?}");
    }
}

#[cached(prefix = "impatient", key = "{id}", cache = cache, wait = "0s", entry = impatient_entry)]
async fn impatient(cache: &Cache, id: u64) -> u64 {
    id * 2
}

async fn a_site_waits_as_long_as_it_says(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    let Ok(Lookup::Vacant(held)) = impatient_entry(&there.cache, 7).lookup().await else {
        panic!("nothing is there")
    };
    // The cache's own wait is longer than any test.
    assert_eq!(timeout(DEADLINE, impatient(&here.cache, 7)).await, Ok(14));
    assert_eq!((here.faults.count(Op::Changed), here.cache.stats().total.fills), (0, 0));
    assert!(held.fill(&14).await.expect("a small value").is_stored());
}

const MINUTE: Duration = Duration::from_mins(1);

#[cached(prefix = "spread", key = "{id}", cache = cache, ttl = "100m", jitter = "50%", entry = spread_entry)]
async fn spread(cache: &Cache, id: u64) -> u64 {
    id
}

#[cache_put(prefix = "spread put", key = "{id}", cache = cache, ttl = "100m", jitter = "50%")]
async fn spread_put(cache: &Cache, id: u64) -> u64 {
    id
}

#[cached(prefix = "exact", key = "{id}", cache = cache, ttl = "100m", jitter = "0%", entry = exact_entry)]
async fn exact(cache: &Cache, id: u64) -> u64 {
    id
}

struct Spread;

#[cache_config(jitter = "50%", ttl = "100m")]
impl Spread {
    #[cached(prefix = "configured", key = "{id}", cache = cache, entry = entry)]
    async fn row(cache: &Cache, id: u64) -> u64 {
        id
    }
}

async fn a_site_spreads_its_ttls_as_far_as_it_says(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    let range = async |entry: &dyn Fn(u64) -> Entry<u64>| {
        let mut ttls = Vec::new();
        for id in 0..100 {
            ttls.push(entry(id).ttl().await.expect("the store answers").expect("it is stored"));
        }
        (*ttls.iter().min().expect("a hundred"), *ttls.iter().max().expect("a hundred"))
    };
    for id in 0..100 {
        spread(cache, id).await;
        spread_put(cache, id).await;
        Spread::row(cache, id).await;
        exact(cache, id).await;
    }
    let put = |id: u64| cache.entry("spread put", id);
    let spread: [&dyn Fn(u64) -> Entry<u64>; 3] =
        [&|id| spread_entry(cache, id), &|id| Spread::entry(cache, id), &put];
    for entry in spread {
        let (shortest, longest) = range(entry).await;
        assert!(shortest < 75 * MINUTE && longest > 125 * MINUTE, "{shortest:?} {longest:?}");
    }
    let (shortest, longest) = range(&|id| exact_entry(cache, id)).await;
    assert!(shortest > 99 * MINUTE && longest <= 100 * MINUTE, "{shortest:?} {longest:?}");
}

on_both_stores!(
    a_lease_past_its_limit_is_not_renewed,
    a_site_waits_as_long_as_it_says,
    a_site_spreads_its_ttls_as_far_as_it_says,
);
