//! A response on its way to the store.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use cachemacro::{Ttl, Vacancy};
use http::{HeaderMap, StatusCode, header};

use crate::body::Whole;
use crate::plan::{self, Plan};
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

/// Stores a response; tells whether it was.
pub(crate) async fn fill(vacancy: Vacancy<Stored>, stored: &Stored, plan: &Plan) -> bool {
    let filled = vacancy.fill_gathered(stored, Ttl::For(plan.keep), &plan.tags, &plan.gathered);
    match filled.await {
        Ok(filled) => filled.is_stored(),
        Err(error) => {
            tracing::debug!(%error, "a response was not stored");
            false
        }
    }
}
