//! `warm`: calls a service's URLs, so that it fills its cache.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::Args;
use crate::failure::{Done, Failure};
use crate::http;
use crate::table::{Cell, Table};

pub(crate) async fn warm(args: &Args, urls: &Path, concurrency: u32) -> Done {
    let mut text = String::new();
    if urls == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(urls)
            .map_err(|error| Failure::Usage(format!("{}: {error}", urls.display())))?;
    }
    let urls: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    if let Some(wrong) = urls.iter().find(|url| !url.starts_with("http://")) {
        let shown = crate::text::shown(wrong);
        return Err(Failure::Usage(format!("`{shown}` is no http:// URL")));
    }
    let outcomes: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let permits = Arc::new(Semaphore::new(concurrency as usize));
    let mut ticks = interval(Duration::from_secs(1) / args.place.calls());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tasks = JoinSet::new();
    for url in urls {
        ticks.tick().await;
        let Ok(permit) = permits.clone().acquire_owned().await else { break };
        // What has ended is not kept. A task returns nothing: a call does not panic, and nobody aborts it.
        while tasks.try_join_next().is_some() {}
        let outcomes = outcomes.clone();
        tasks.spawn(async move {
            let outcome = match http::status(&url).await {
                Ok(status) => status.to_string(),
                Err(why) => why,
            };
            *outcomes.lock().unwrap_or_else(PoisonError::into_inner).entry(outcome).or_default() += 1;
            drop(permit);
        });
    }
    tasks.join_all().await;
    let outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
    let mut table = Table::new(&["outcome", "calls"]);
    for (outcome, count) in outcomes.iter() {
        table.row([Cell::from(outcome.as_str()), (*count).into()]);
    }
    table.write(&args.output)?;
    let went_well = |outcome: &str| outcome.parse::<u16>().is_ok_and(|status| status < 400);
    if !outcomes.is_empty() && outcomes.keys().all(|outcome| went_well(outcome)) {
        Ok(())
    } else {
        Err(Failure::Shown)
    }
}
