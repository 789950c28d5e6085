//! The short way of a hit: arguments to a decoded value, with no key written and no future made.

use crate::api::cache::Cache;
use crate::engine::suspected::{Sent, Way};
use crate::key::parts::{Parts, Within};
use crate::policy::outcome::{Outcome, Value};
use crate::policy::site::Site;

/// The arguments of a call that was no such hit, to keep its value under; `None` where this cache keeps none.
pub type Arguments = Option<Known>;

/// Arguments as bytes, or why the call goes the whole way.
#[derive(Debug)]
pub struct Known(pub(super) Sent);

/// The decoded value for these arguments, in the cache that the attribute names, if any: every one that key and
/// tags mention.
///
/// # Errors
/// The arguments, where the call must go the whole way.
#[inline]
pub fn hit<R, O>(
    site: &'static Site,
    cache: Option<&Cache>,
    outcome: O,
    parts: &impl Parts,
) -> Result<R, Arguments>
where
    O: Outcome<R>,
    O::Value: Value,
{
    let look = |cache: &Cache| {
        let core = cache.core();
        match core.way(site) {
            Way::Short => {
                let parts = Within { cache: core.id, parts };
                core.decoded::<O::Value>(site, &parts).map_err(|placed| placed.map(Sent::Placed))
            }
            Way::Whole => Err(None),
            Way::Checked => Err(Some(Sent::Checked)),
            Way::Counted => Err(Some(Sent::Counted)),
        }
    };
    let found = match cache {
        Some(cache) => look(cache),
        None => Cache::with_current(look),
    };
    match found {
        Ok(Some(value)) => Ok(outcome.wrap(value)),
        Ok(None) => outcome.none().ok_or(None),
        Err(arguments) => Err(arguments.map(Known)),
    }
}
