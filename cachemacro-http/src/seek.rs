//! Looking for a stored response that answers a request, or for the right to store one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cachemacro::codec::Postcard;
use cachemacro::{Entry, Lookup, Meta, Policy, Result, Ttl, Vacancy};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};

use crate::admission::Asked;
use crate::known::Known;
use crate::route::CacheLayer;
use crate::rules::digest::Digest;
use crate::rules::reusable::{Reuse, reuse};
use crate::rules::status::Forward;
use crate::rules::storable::Credentials;
use crate::rules::vary;
use crate::stats::Route;
use crate::stored::{Shared, Stored};

/// How many variants of a URL are stored besides the first; 64 with it.
const SLOTS: u8 = 63;
/// How many slots are tried for one variant.
const PROBES: usize = 4;
/// The version of the form in which responses are stored, raised when it changes.
const FORM: u32 = 3;
/// A response younger than this, in milliseconds, answers a guarded request whatever that demands.
const YOUNG: u64 = 1000;

/// How long a request waits for others' handlers in all.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A stored response and its age since it was stored, in milliseconds.
pub(crate) type Aged = (Stored, u64);

/// What was found.
pub(crate) enum Sought {
    Hit(Box<Hit>),
    /// Nothing stored answers. Comes with the right to store, where the request may store, or what is stored is to be made anew for it.
    Vacant(Box<Vacant>),
    /// Something is stored that this request may not see.
    Hidden,
    /// Nothing stored answers, and the URL's responses are not to be stored.
    Uncacheable(Box<Vacant>),
    /// The store did not answer.
    Unanswered,
}

pub(crate) struct Hit {
    pub(crate) found: Aged,
    /// The right to load the response anew while this one serves.
    pub(crate) refresh: Option<Vacancy<Stored>>,
    /// Another request's handler ran while this one waited.
    pub(crate) collapsed: bool,
}

pub(crate) struct Vacant {
    pub(crate) vacancy: Option<Vacancy<Stored>>,
    pub(crate) old: Option<Aged>,
    /// The slot in which `old` is stored and the new response will be.
    pub(crate) slot: Option<u8>,
    pub(crate) forward: Forward,
}

/// What a look at one entry found.
enum One {
    Hit(Aged),
    /// A response for other requests.
    Other(Stored),
    Vacant(Option<Box<Vacancy<Stored>>>, Option<Aged>),
}

/// What a search is for.
#[derive(Debug, Clone, Copy)]
enum Look {
    /// A response, or else the right to store one.
    Fills,
    /// A response alone.
    Reads,
}

/// The search of one request.
pub(crate) struct Seeker<'a> {
    pub(crate) layer: &'a CacheLayer,
    pub(crate) route: &'a Route,
    pub(crate) asked: &'a Asked,
    pub(crate) headers: &'a HeaderMap,
    /// What the next request of its kind is known by, where it is.
    pub(crate) known: Option<&'a Known>,
    pub(crate) began: Instant,
}

/// The entry in which the response of these requests is stored. `waits`: whether a look waits while another request runs the handler.
pub(crate) fn entry(
    layer: &CacheLayer,
    route: &Route,
    asked: &Asked,
    slot: Option<u8>,
    waits: bool,
) -> Entry<Stored> {
    let http = &layer.http;
    let policy = policy(layer, waits).ttl(Ttl::millis(1));
    let key = asked.key.in_slot(slot);
    let tags = if key.is_plain() { &asked.tags[..asked.tags.len() - 1] } else { &asked.tags[..] };
    let entry = http.cache.entry::<Stored>(&http.settings.prefix, key.parts());
    let entry = entry.with_policy(policy).with_codec::<Postcard>().with_lent_bytes().with_tags(tags);
    // Any service may name tags from inside, one behind a gateway too.
    entry.counted_at(&route.named).with_late_tags()
}

fn policy(layer: &CacheLayer, waits: bool) -> Policy {
    let policy = Policy::new()
        .stale(Duration::ZERO)
        .refresh(100)
        .jitter(0)
        .lease_limit(layer.rule.lease_limit)
        .version(FORM.saturating_add(layer.rule.version));
    let policy = layer.rule.local.map_or(policy, |ttl| policy.local(ttl));
    if waits { policy } else { policy.wait(Duration::ZERO) }
}

impl Seeker<'_> {
    /// Looks, and waits where another request of the fleet runs the handler.
    pub(crate) async fn seek(&self) -> Sought {
        let uncacheable = &self.layer.http.uncacheable;
        let sought = if uncacheable.has(&self.asked.mark) {
            self.glance().await
        } else {
            tokio::select! {
                biased;
                sought = self.walk(Look::Fills) => sought,
                () = uncacheable.told(&self.asked.mark) => self.glance().await,
            }
        };
        sought.unwrap_or_else(|error| {
            tracing::debug!(%error, "what is stored was not found out");
            Sought::Unanswered
        })
    }

    /// Looks without waiting, and without the right to store. One refused response is enough to have a URL remembered, so what is stored
    /// of it serves all the same.
    async fn glance(&self) -> Result<Sought> {
        Ok(match self.walk(Look::Reads).await? {
            Sought::Vacant(vacant) => Sought::Uncacheable(vacant),
            found => found,
        })
    }

    /// Goes from the URL's first response to the variant that the request selects.
    async fn walk(&self, look: Look) -> Result<Sought> {
        let named: Vec<HeaderName> = self.named().cloned().collect();
        let mut slots: Vec<Option<u8>> = if named.is_empty() { vec![None] } else { self.slots(&named) };
        let mut known = self.known.cloned();
        let mut at = 0;
        let (began, mut is_first) = (tokio::time::Instant::now(), true);
        loop {
            let slot = slots[at];
            // Where all slots are taken, the variant in the last one is replaced.
            let last = slot.is_some() && at + 1 == slots.len();
            // The first look waits as long as the cache says, and later ones as long as that leaves.
            let left = LONGEST_WAIT.saturating_sub(began.elapsed());
            let waits = self.waits() && (is_first || !left.is_zero());
            let mut entry = entry(self.layer, self.route, self.asked, slot, waits);
            if let Some(known) = &known {
                entry = entry.known_by(known.bytes());
            }
            let one = match look {
                Look::Fills if is_first || !waits => self.one(&entry, last).await?,
                Look::Fills => {
                    let looked = tokio::time::timeout(left, self.one(&entry, last)).await;
                    looked.unwrap_or(Ok(One::Vacant(None, None)))?
                }
                Look::Reads => self.read(&entry, last).await?,
            };
            is_first = false;
            match one {
                One::Hit(found) => return Ok(self.hit(&entry, found).await),
                One::Other(first) if slot.is_none() => {
                    let names = first.varies_by();
                    slots = self.slots(&names);
                    known = known.map(|known| known.varied(&names, self.headers));
                    at = 0;
                }
                One::Other(_) if !last => at += 1,
                One::Other(_) => return Ok(self.vacant(None, None, slot, true)),
                One::Vacant(vacancy, old) => {
                    return Ok(self.vacant(
                        vacancy.map(|vacancy| *vacancy),
                        old,
                        slot,
                        slot.is_some() && named.is_empty(),
                    ));
                }
            }
        }
    }

    /// Whether this request waits for another one's handler. A request with credentials does not: the response may be that user's alone.
    /// It waits where the URL is known to have responses that say otherwise.
    fn waits(&self) -> bool {
        !self.asked.credentials.are_there() || self.layer.http.shared.has(&self.asked.mark)
    }

    /// The request fields that the rule names without offering values for them.
    fn named(&self) -> impl Iterator<Item = &HeaderName> {
        self.layer.rule.vary.iter().filter(|(_, offered)| offered.is_empty()).map(|(name, _)| name)
    }

    /// The slots in which a variant may be.
    fn slots(&self, names: &[HeaderName]) -> Vec<Option<u8>> {
        let mut hash = Sha256::new();
        for name in names {
            let value = vary::selecting(self.headers, name);
            hash.update(name.as_str());
            hash.update([0, u8::from(value.is_some())]);
            let value = value.unwrap_or_default();
            hash.update((value.len() as u64).to_le_bytes());
            hash.update(value);
        }
        let mut slots: Vec<Option<u8>> = Vec::with_capacity(PROBES);
        for byte in hash.finalize() {
            let slot = Some(byte % SLOTS);
            if !slots.contains(&slot) && slots.len() < PROBES {
                slots.push(slot);
            }
        }
        slots
    }

    /// Whether the stored response, of this age since it was stored, may answer the request.
    fn reuse(&self, stored: &Stored, age: u64) -> Reuse {
        let terms = stored.terms();
        let found = reuse(&terms, stored.initial_age.saturating_add(age), &self.asked.demand);
        if found == Reuse::Demanded
            && self.asked.guarded
            && age < YOUNG
            && stored.initial_age.saturating_add(age) < terms.lifetime
        {
            return Reuse::Fresh;
        }
        found
    }

    /// Whether another request stored it after this one came.
    fn is_newer_than_request(&self, age: u64) -> bool {
        // Ages are whole milliseconds, rounded down.
        Duration::from_millis(age.saturating_add(1)) < self.began.elapsed()
    }

    fn answers(&self, stored: &Stored, age: u64) -> bool {
        self.is_hidden(stored) || self.reuse(stored, age).serves() || self.is_newer_than_request(age)
    }

    /// Whether the response must not answer this request, which has credentials: it does not say that it is for users with them.
    fn is_hidden(&self, stored: &Stored) -> bool {
        let credentials = self.asked.credentials;
        match stored.shared {
            Shared::Said => false,
            Shared::SaidOfAuthorization => credentials == Credentials::Cookie,
            Shared::Unsaid => credentials.are_there(),
            Shared::ByPath => credentials.are_there() || self.asked.of_user,
        }
    }

    async fn one(&self, entry: &Entry<Stored>, last: bool) -> Result<One> {
        if !self.asked.reads_only && !self.asked.demand.only_if_cached {
            return self.look(entry, last).await;
        }
        let found = self.read(entry, last).await?;
        let One::Vacant(None, Some((stored, age))) = &found else { return Ok(found) };
        let demands = self.asked.guarded && !self.asked.demand.only_if_cached;
        if !demands || self.reuse(stored, *age) != Reuse::Demanded {
            return Ok(found);
        }
        // A part of what is stored already: the whole is made anew as for a request that stores. Else each of these would be a run, and
        // what is stored would never be young enough to answer them.
        Ok(match self.look(entry, last).await? {
            One::Vacant(_, None) => One::Vacant(None, None),
            looked => looked,
        })
    }

    /// Looks without the right to store.
    async fn read(&self, entry: &Entry<Stored>, last: bool) -> Result<One> {
        let Some(hit) = entry.find().await? else { return Ok(One::Vacant(None, None)) };
        let age = millis(hit.meta());
        let stored = hit.into_value();
        Ok(if stored.head().is_none() {
            One::Vacant(None, None)
        } else if !stored.selects(self.headers) {
            if last { One::Vacant(None, None) } else { One::Other(stored) }
        } else if self.answers(&stored, age) {
            One::Hit((stored, age))
        } else {
            One::Vacant(None, Some((stored, age)))
        })
    }

    /// Looks for a response, or for the right to store one.
    async fn look(&self, entry: &Entry<Stored>, last: bool) -> Result<One> {
        let refused_age = AtomicU64::new(0);
        let accept = |stored: &Stored, meta: &Meta| {
            let age = millis(meta);
            let accepted = match stored.head() {
                // What is no response gives way to one.
                None => false,
                Some(_) if stored.selects(self.headers) => self.answers(stored, age),
                Some(_) => !last,
            };
            if !accepted {
                refused_age.store(age, Ordering::Relaxed);
            }
            accepted
        };
        Ok(match entry.lookup_if(accept).await? {
            Lookup::Hit(hit) => {
                let age = millis(hit.meta());
                let stored = hit.into_value();
                if stored.selects(self.headers) { One::Hit((stored, age)) } else { One::Other(stored) }
            }
            Lookup::Vacant(vacancy) => {
                let old = vacancy.old().filter(|old| old.selects(self.headers)).cloned();
                let old = old.map(|old| (old, refused_age.load(Ordering::Relaxed)));
                One::Vacant(vacancy.is_held().then(|| Box::new(vacancy)), old)
            }
        })
    }

    async fn hit(&self, entry: &Entry<Stored>, found: Aged) -> Sought {
        if self.is_hidden(&found.0) {
            return Sought::Hidden;
        }
        let (stored, age) = &found;
        let reuse = self.reuse(stored, *age);
        let collapsed = self.is_newer_than_request(*age);
        let refreshes = reuse == Reuse::WhileRevalidate && !self.asked.is_head;
        let refresh = if refreshes { self.refresh(entry).await } else { None };
        Sought::Hit(Box::new(Hit { found, refresh, collapsed }))
    }

    /// The right to load anew what is stale, unless another request has it.
    async fn refresh(&self, entry: &Entry<Stored>) -> Option<Vacancy<Stored>> {
        let entry = entry.clone().with_policy(policy(self.layer, false));
        let fresh = |stored: &Stored, meta: &Meta| self.reuse(stored, millis(meta)) != Reuse::WhileRevalidate;
        match entry.lookup_if(fresh).await {
            Ok(Lookup::Vacant(vacancy)) if vacancy.is_held() => Some(vacancy),
            _ => None,
        }
    }

    fn vacant(
        &self,
        vacancy: Option<Vacancy<Stored>>,
        old: Option<Aged>,
        slot: Option<u8>,
        varied: bool,
    ) -> Sought {
        let forward = match &old {
            Some((stored, age)) if self.reuse(stored, *age) == Reuse::Demanded => Forward::Request,
            Some(_) => Forward::Stale,
            None if varied => Forward::VaryMiss,
            None => Forward::UriMiss,
        };
        Sought::Vacant(Box::new(Vacant { vacancy, old, slot, forward }))
    }
}

pub(crate) fn millis(meta: &Meta) -> u64 {
    u64::try_from(meta.age.as_millis()).unwrap_or(u64::MAX)
}

/// Digests of the request's values of the fields by which its response will be selected: those that the rule names and those that the response's
/// Vary names. `None` where Vary is `*`.
pub(crate) fn selecting(
    layer: &CacheLayer,
    request: &Parts,
    response: &HeaderMap,
) -> Option<Vec<(HeaderName, Option<Digest>)>> {
    let mut names = vary::names(response)?;
    for (name, offered) in &layer.rule.vary {
        if offered.is_empty() && !names.contains(name) {
            names.push(name.clone());
        }
    }
    // Fields for which the rule offers values are in the key already.
    names.retain(|name| {
        !layer.rule.vary.iter().any(|(offered, values)| offered == name && !values.is_empty())
    });
    Some(
        names
            .into_iter()
            .map(|name| {
                let value = vary::digest(&request.headers, &name);
                (name, value)
            })
            .collect(),
    )
}
