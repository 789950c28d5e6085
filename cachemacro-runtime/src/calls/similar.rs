//! A question whose exact key has no value: an answer to one that means the same, read as any other entry.
//!
//! ```text
//! look ──hit──▶ the value
//!  │ miss
//!  ▼
//! near: at most five questions of the same scope, over the threshold and past the guard, by whoever is beside the cache
//!  │ each in turn: the entry of its text under this call's other key parts
//!  ▼
//! read ──fresh──▶ confirm ──yes──▶ the value; nothing is stored, no TTL is longer
//!  │ gone           │ no
//!  └───▶ the next one ◀┘ … ──none left──▶ the call goes on as any that found nothing
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::engine::alike::{Asked, Candidate, Judged, Similar};
use crate::engine::entry::Entry;
use crate::engine::neighbour::{Beside, NEAR};
use crate::engine::raw::RawEntry;
use crate::engine::read::{Found, Miss};
use crate::engine::spending;
use crate::ground::clock::NEVER;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::panics::{caught, caught_future};
use crate::key::Key;
use crate::observe::reason::MissReason;
use crate::policy::freshness::Age;
use crate::policy::mode::Mode;
use crate::policy::outcome::Value;

/// The most questions that are looked at.
const MOST: usize = 5;
/// How long `confirm` may take for all of them together.
const CONFIRM: Duration = Duration::from_secs(5);

/// An answer to a question that means the same.
pub(crate) struct Match<V> {
    pub(crate) found: Found<V>,
    pub(crate) key: Key,
    pub(crate) score: f32,
}

/// The answer to another question for a call that found none of its own; a hit.
pub(crate) async fn answer<V: Value>(entry: &Entry<V>, raw: &RawEntry, miss: Miss) -> Option<V> {
    let similar = entry.similar.as_ref()?;
    // G6: a store that did not answer is not asked again.
    if miss.reason == MissReason::StoreFailed || raw.is_own() || raw.is_sealed() {
        return None;
    }
    let beside = raw.core.settings.beside.0.as_ref()?;
    let found = find(entry, raw, similar, beside, &similar.text, &raw.key).await;
    let found = found.inspect_err(|error| raw.failed(error)).ok().flatten()?;
    raw.hit(found.found.age);
    Some(found.found.value)
}

/// The answer to what is asked, or to a question that means the same.
///
/// # Errors
/// [`ErrorKind::Config`] where there are no such answers; where the store failed, or the question cannot be a key.
pub(crate) async fn ask<V: Value>(entry: &Entry<V>, text: &str) -> Result<Option<Match<V>>> {
    let raw = entry.raw()?;
    if raw.is_sealed() {
        return Err(Error::new(ErrorKind::Config, "what is sealed is not found by its text"));
    }
    let similar = entry.similar.as_ref();
    let (Some(similar), Some(beside)) = (similar, &raw.core.settings.beside.0) else {
        return Err(Error::new(
            ErrorKind::Config,
            "its questions share no answers: that takes `similar = …` in the function's `#[cached]`, and `.beside(Arc::new(Search::new()))` at its cache",
        ));
    };
    similar.check()?;
    let key = similar.frame.key(text)?;
    if let Some(found) = read(entry, raw, similar, key.clone()).await? {
        return Ok(Some(Match { found, key, score: 1.0 }));
    }
    find(entry, raw, similar, beside, text, &key).await
}

async fn find<V: Value>(
    entry: &Entry<V>,
    raw: &RawEntry,
    similar: &Similar<V>,
    beside: &Arc<dyn Beside>,
    text: &str,
    key: &Key,
) -> Result<Option<Match<V>>> {
    similar.check()?;
    let Some(scope) = similar.frame.scope() else { return Ok(None) };
    let asked = Asked {
        namespace: raw.core.namespace(),
        key: key.as_str(),
        text,
        scope: &scope,
        threshold: similar.threshold,
        embedder: similar.embedder.as_ref(),
    };
    let candidates = near(beside, &asked).await;
    // G6: none of them may take long, and all together not much longer.
    let mut confirms = CONFIRM;
    for candidate in candidates.into_iter().take(MOST) {
        let judged = judge(entry, raw, similar, text, key, &candidate, &mut confirms).await?;
        let outcome = judged.as_ref().map_or_else(|judged| *judged, |_| Judged::Answered);
        // G9: a value that was found is returned, whatever becomes of who is told.
        if caught(|| beside.judged(&asked, &candidate, outcome)).is_none() {
            tracing::debug!("who is beside the cache panicked");
        }
        if let Ok(found) = judged {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What whoever is beside the cache finds in the time that it says.
async fn near(beside: &Arc<dyn Beside>, asked: &Asked<'_>) -> Vec<Candidate> {
    let deadline = caught(|| beside.deadline()).unwrap_or(NEAR).min(NEVER);
    // Also what does not wait to be polled may panic.
    let near = spending::free(caught_future(async { beside.near(asked).await }));
    let Ok(near) = timeout(deadline, near).await else {
        tracing::debug!("who is beside the cache did not find what is near in time");
        return Vec::new();
    };
    near.unwrap_or_default()
}

/// The value of a candidate that is there, and answers the question.
async fn judge<V: Value>(
    entry: &Entry<V>,
    raw: &RawEntry,
    similar: &Similar<V>,
    text: &str,
    own: &Key,
    candidate: &Candidate,
    confirms: &mut Duration,
) -> Result<Result<Match<V>, Judged>> {
    // Its key is written anew, in the scope of this call: what a document says of its own key decides nothing.
    let key = similar.frame.key(&candidate.text).ok().filter(|key| key != own);
    let Some(key) = key else { return Ok(Err(Judged::Gone)) };
    let Some(found) = read(entry, raw, similar, key.clone()).await? else {
        let is_usual = Mode::current() == Mode::Normal;
        return Ok(Err(if is_usual { Judged::Gone } else { Judged::Unread }));
    };
    if let Some(confirm) = similar.confirm {
        let confirmed = async { confirm(text, &candidate.text, &found.value).await };
        let began = Instant::now();
        // What panics or is late has not confirmed it.
        let confirmed = timeout(*confirms, spending::free(caught_future(confirmed))).await;
        *confirms = confirms.saturating_sub(began.elapsed());
        if confirmed != Ok(Some(true)) {
            return Ok(Err(Judged::Unconfirmed));
        }
    }
    Ok(Ok(Match { found, key, score: candidate.score }))
}

/// What lies under this key, as the function reads it; nothing that is past its TTL.
async fn read<V: Value>(
    entry: &Entry<V>,
    raw: &RawEntry,
    similar: &Similar<V>,
    key: Key,
) -> Result<Option<Found<V>>> {
    let other = entry.under_key(raw, similar, key);
    // G1: it is read after the call began, with its stamps, as any other entry. G6: within what is left of the call's time.
    let looked = other.raw()?.look_again(other.expected()).await?;
    let found = looked.decoded(|usable| other.decode(usable)).ok();
    Ok(found.filter(|found| matches!(found.age, Age::Fresh | Age::Due)))
}

impl<T: Value> Entry<T> {
    /// The entry of the same function under the key of another question.
    fn under_key(&self, raw: &RawEntry, similar: &Similar<T>, key: Key) -> Self {
        let site = raw.site.as_ref().map(|(site, _)| *site);
        let mut other = Self::new(raw.core.clone(), site, Ok(key));
        (other.codec, other.schema, other.lends) = (self.codec, self.schema, self.lends);
        other.with(|other| {
            other.policy = raw.policy;
            // Those that every answer of the scope carries are named, as by the function: an entry that lacks one is none. Where the server's id is
            // a tag, each key has its own, and it is first.
            let own = other.tags.len();
            other.tags.extend(raw.tags.iter().take(similar.tags).skip(own).cloned());
        })
    }
}
