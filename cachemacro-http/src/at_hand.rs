//! The answer to a plain request whose response this process holds ready.

use http::Response;
use http::request::Parts;

use crate::answer::{self, Manner};
use crate::body::CacheBody;
use crate::known::Known;
use crate::route::CacheLayer;
use crate::rules::reusable::{Demand, Reuse, reuse};
use crate::rules::status::Report;
use crate::seek::millis;
use crate::stats::Route;
use crate::stored::Stored;

/// Answers a request with what is at hand for it, fresh and selected by it.
pub(crate) fn answer<B>(
    layer: &CacheLayer,
    route: &Route,
    parts: &Parts,
    known: &Known,
) -> Option<Response<CacheBody<B>>> {
    let mut varies_by = None;
    let answer = |stored: &Stored, age| {
        let whole_age = stored.initial_age.saturating_add(age);
        if reuse(&stored.terms(), whole_age, &Demand::default()) != Reuse::Fresh {
            return None;
        }
        let private = layer.rule.identity.is_some() && layer.rule.origin.is_none();
        let manner = Manner { report: Report::default(), route, private, aged: true, stays: true };
        answer::answer(layer, parts, (stored, age), manner)
    };
    let first = route.named.at_hand(known.bytes(), |stored: &Stored, meta| {
        if stored.selects(&parts.headers) {
            answer(stored, millis(meta))
        } else {
            varies_by = Some(stored.varies_by());
            None
        }
    });
    first.or_else(|| {
        let known = known.varied(&varies_by?, &parts.headers);
        route.named.at_hand(known.bytes(), |stored: &Stored, meta| {
            stored.selects(&parts.headers).then(|| answer(stored, millis(meta))).flatten()
        })
    })
}
