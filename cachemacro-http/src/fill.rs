//! A response on its way to the store.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use cachemacro::{Ttl, Vacancy};
use http::{HeaderMap, StatusCode, header};

use crate::body::{Unrecorded, Whole};
use crate::plan::{self, Plan};
use crate::route::CacheLayer;
use crate::stored::Stored;

/// A fill that is not sent yet.
pub(crate) type Filling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Sends a fill, and has a task wait for the store's answer: the client does not wait for it, and where the client hangs up the
/// response is stored for others all the same.
pub(crate) async fn send_off(filling: Option<Filling>) {
    let Some(mut filling) = filling else { return };
    let sent = std::future::poll_fn(|cx| Poll::Ready(filling.as_mut().poll(cx).is_ready())).await;
    if !sent {
        tokio::spawn(filling);
    }
}

/// A response as it is stored.
pub(crate) fn stored(
    (status, mut headers): (StatusCode, HeaderMap),
    whole: Whole,
    plan: &Plan,
    by_rule: bool,
    strong: bool,
) -> Stored {
    if by_rule && status == StatusCode::OK && !headers.contains_key(header::ETAG) {
        headers.insert(header::ETAG, plan::entity_tag(&whole.body, strong));
    }
    Stored::new(status, headers, whole.body, &whole.trailers, &plan.about)
}

/// Remembers of a URL whether its responses are stored, going by one that was recorded or was not; returns why that one is not stored.
pub(crate) fn learn(
    layer: &CacheLayer,
    mark: &str,
    plan: &Plan,
    recorded: Result<&Stored, Unrecorded>,
) -> Option<Unrecorded> {
    let most = layer.http.cache.max_value();
    let fits =
        recorded.and_then(|stored| if stored.weight() > most { Err(Unrecorded::Large) } else { Ok(()) });
    match fits {
        // Of a URL with variants that says nothing of the others.
        Err(why) if why.lasts() && plan.about.selecting.is_empty() => layer.http.uncacheable.add(mark),
        Ok(()) if !plan.keep.is_zero() => layer.http.uncacheable.remove(mark),
        _ => {}
    }
    fits.err()
}

/// Stores a response; tells whether it was.
pub(crate) async fn fill(vacancy: Vacancy<Stored>, stored: &Stored, plan: &Plan) -> bool {
    let filled = vacancy.fill_gathered(stored, Ttl::For(plan.keep), &plan.tags, &plan.gathered);
    match filled.await {
        Ok(filled) => filled.is_stored(),
        Err(error) => {
            // The store's own failures are told elsewhere: this is a mistake, and comes again with each response.
            tracing::warn!(%error, "a response was not stored");
            false
        }
    }
}
