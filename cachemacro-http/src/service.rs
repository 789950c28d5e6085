//! The service around a route: one request from when it comes to when its answer goes out.
//!
//! ```text
//! at hand ──▶ answer
//!  │ not, or not to be taken so
//!  ▼
//! admit ──pass──▶ the handler answers, and nothing is stored
//!  │ look   └─write──▶ the handler answers, and what it changed is evicted
//!  ▼
//! seek ──hit──▶ answer (304, 206, 416, HEAD); stale: another run begins beside it
//!  │ vacant, uncacheable, hidden, unanswered
//!  ▼
//! run ──Err, 5xx──▶ answer with what is stale, where that may be
//!  │ └──304──▶ renew what is stored, answer
//!  ▼
//! keep ──refused──▶ the response goes out, the URL is remembered, who waits runs too
//!  │ planned
//!  ▼
//! record ──all there──▶ fill, answer
//!        └─more to come──▶ the head goes out, the body is recorded beside it; fill
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use cachemacro::{Gathered, Lookup, Vacancy};
use http::{HeaderMap, Method, Request, Response, StatusCode, header, request, response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::admission::{Admission, Asked, admit, write_within};
use crate::answer::{self, Manner};
use crate::at_hand;
use crate::body::{Begun, BoxError, CacheBody, Whole, begin};
use crate::fill::{Filling, fill, learn, send_off, stored};
use crate::handle::{CacheHandle, Said};
use crate::judged::Judged;
use crate::known::Known;
use crate::plan::{self, Plan, Times};
use crate::route::CacheLayer;
use crate::rules::reusable::stands_in;
use crate::rules::status::{Forward, Report};
use crate::rules::{hop, revalidate};
use crate::seek::{Aged, Hit, Seeker, Sought, entry};
use crate::stats::Route;
use crate::stored::{Shared, Stored};
use crate::written::Written;

/// A service whose responses are cached. Made by a [`CacheLayer`].
///
/// ```
/// use cachemacro_http::{CacheService, HttpCache};
/// use tower_layer::Layer as _;
///
/// let http = HttpCache::new(cachemacro::Cache::memory());
/// let service: CacheService<axum::Router> = http.cache().ttl("5m").layer(axum::Router::new());
/// # drop(service);
/// ```
#[derive(Debug, Clone)]
pub struct CacheService<S> {
    inner: S,
    layer: Arc<CacheLayer>,
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CacheService { inner, layer: Arc::new(self.again()) }
    }
}

/// The future of a service's answer.
pub type CacheFuture<B, E> = Pin<Box<dyn Future<Output = Result<Response<CacheBody<B>>, E>> + Send>>;

impl<S, B, R> Service<Request<B>> for CacheService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body + Default + Send + 'static,
    R: Body + Unpin + Send + 'static,
    R::Data: Send,
    R::Error: Into<BoxError>,
{
    type Response = Response<CacheBody<R>>;
    type Error = S::Error;
    type Future = CacheFuture<R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone that `poll_ready` was called on is the one that is ready, so that one is called.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let (parts, body) = request.into_parts();
        let run = Run { inner, layer: self.layer.clone(), route: self.layer.route(&parts) };
        Box::pin(async move {
            // Most requests end here, so nothing is made before for those that do not.
            let mut judged = Judged::default();
            let known = Known::of(&run.layer, &parts, !body.is_end_stream(), &mut judged);
            if let Some(known) = &known
                && let Some(response) = at_hand::answer(&run.layer, &run.route, &parts, known)
            {
                return Ok(response);
            }
            Box::pin(run.respond(parts, body, (known, judged))).await
        })
    }
}

/// One request.
struct Run<S> {
    inner: S,
    layer: Arc<CacheLayer>,
    route: Arc<Route>,
}

/// What a run of the handler is for.
struct Errand {
    vacancy: Option<Vacancy<Stored>>,
    /// The stored response, which may serve where the handler fails.
    old: Option<Aged>,
    /// The slot in which `old` is stored; a response to HEAD may renew it.
    slot: Option<u8>,
    report: Report,
    began: Instant,
}

type Answered<R> = Response<CacheBody<R>>;

impl<S> Run<S> {
    async fn respond<B, R>(
        self,
        mut parts: request::Parts,
        body: B,
        (known, mut judged): (Option<Known>, Judged),
    ) -> Result<Answered<R>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send,
        B: Body + Default + Send + 'static,
        R: Body + Unpin + Send + 'static,
        R::Data: Send,
        R::Error: Into<BoxError>,
    {
        let began = Instant::now();
        let asked = match admit(&self.layer, &mut parts, !body.is_end_stream(), &mut judged).await {
            Admission::Pass(forward, detail) => {
                let report = Report { forward: Some(forward), detail, ..Report::default() };
                return self.pass(parts, body, report).await;
            }
            Admission::Write => return self.write(parts, body).await,
            Admission::Look(asked) => asked,
        };
        let seeker = Seeker {
            layer: &self.layer,
            route: &self.route,
            asked: &asked,
            headers: &parts.headers,
            known: known.as_ref(),
            began,
        };
        let forwarded = |forward, detail| Report { forward: Some(forward), detail, ..Report::default() };
        let mut errand = Errand { vacancy: None, old: None, slot: None, report: Report::default(), began };
        match seeker.seek().await {
            Sought::Hit(hit) => {
                if let Some(response) = self.answer_hit(&asked, &parts, *hit) {
                    return Ok(response);
                }
                errand.report = forwarded(Forward::UriMiss, Some("malformed"));
            }
            Sought::Vacant(vacant) => {
                errand.report = forwarded(vacant.forward, None);
                errand.vacancy = vacant.vacancy;
                errand.old = vacant.old;
                errand.slot = vacant.slot;
            }
            Sought::Hidden => errand.report = forwarded(Forward::Bypass, Some("credentials")),
            Sought::Uncacheable(vacant) => {
                errand.report = if asked.credentials.are_there() {
                    forwarded(Forward::Bypass, Some("credentials"))
                } else {
                    forwarded(vacant.forward, Some("uncacheable"))
                };
                // It is not made anew here, and stands in for a handler that fails.
                errand.old = vacant.old;
                errand.slot = vacant.slot;
            }
            Sought::Unanswered => errand.report = forwarded(Forward::Bypass, Some("store")),
        }
        if asked.demand.only_if_cached {
            return Ok(answer::only_if_cached(&self.layer, &self.route, &errand.report));
        }
        self.load(*asked, parts, body, errand).await
    }

    /// Sends the request on and its response back.
    async fn pass<B, R>(
        mut self,
        mut parts: request::Parts,
        body: B,
        report: Report,
    ) -> Result<Answered<R>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        let path = self.layer.path_if_ruled(&parts);
        self.forwards(&mut parts.headers);
        let is_read = matches!(parts.method, Method::GET | Method::HEAD);
        let whose = self.layer.rule.identity.is_some() || self.layer.http.has_credentials(&parts);
        let mut response = self.inner.call(Request::from_parts(parts, body)).await?;
        if is_read {
            let status = response.status();
            plan::say_by_path(&self.layer, &path, status, response.headers_mut(), whose);
        }
        Ok(self.passed(response, &report))
    }

    /// Removes the fields of one connection, which a gateway does not forward (RFC 9110, 7.6.1), unless the two ends change their protocol.
    fn forwards(&self, headers: &mut HeaderMap) {
        if self.layer.rule.origin.is_some() && !headers.contains_key(header::UPGRADE) {
            hop::strip(headers);
        }
    }

    fn passed<R>(&self, response: Response<R>, report: &Report) -> Answered<R> {
        let mut response = response.map(CacheBody::passed);
        self.forwards(response.headers_mut());
        answer::sign(&self.layer.http.settings, &self.route, response.headers_mut(), report);
        response
    }

    /// Sends on a request that may change what is stored, and evicts that where it succeeds (4.4).
    async fn write<B, R>(mut self, mut parts: request::Parts, body: B) -> Result<Answered<R>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        let written =
            Written::of(&self.layer.http, &self.route, &parts).with_groups(self.layer.rule.reads_groups);
        write_within(&mut parts);
        self.forwards(&mut parts.headers);
        let response = self.inner.call(Request::from_parts(parts, body)).await;
        let head = response.as_ref().ok().map(|response| (response.status(), response.headers()));
        let detail = written.finish(head).await.detail();
        let report = Report { forward: Some(Forward::Method), detail, ..Report::default() };
        Ok(self.passed(response?, &report))
    }

    fn answer_hit<B, R>(&self, asked: &Asked, parts: &request::Parts, hit: Hit) -> Option<Answered<R>>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send,
        B: Body + Default + Send + 'static,
        R: Body + Unpin + Send + 'static,
        R::Data: Send,
        R::Error: Into<BoxError>,
    {
        let report = Report { collapsed: hit.collapsed, ..Report::default() };
        let (stored, age) = &hit.found;
        let response = answer::answer(&self.layer, parts, (stored, *age), self.manner(asked, report, true))?;
        if let Some(vacancy) = hit.refresh {
            let (mut parts, mut asked) = (parts.clone(), asked.clone());
            // The run is the cache's own, whatever the request is.
            asked.reads_only = false;
            revalidate::ask_for_all(&mut parts.headers);
            let route = Arc::new(self.route.beside());
            let run = Self { inner: self.inner.clone(), layer: self.layer.clone(), route };
            let errand = Errand {
                vacancy: Some(vacancy),
                old: Some(hit.found),
                slot: None,
                report: Report::default(),
                began: Instant::now(),
            };
            let limit = self.layer.rule.lease_limit;
            tokio::spawn(async move {
                // Once its lease may lapse the next one begins, and a handler that hangs would be one more each time.
                if tokio::time::timeout(limit, run.load_boxed(asked, parts, errand)).await.is_err() {
                    tracing::debug!(?limit, "a response was not made anew in time");
                }
            });
        }
        Some(response)
    }

    /// [`load`](Self::load) in a box: it calls itself, so its type would otherwise contain itself.
    fn load_boxed<B, R>(
        mut self,
        asked: Asked,
        parts: request::Parts,
        errand: Errand,
    ) -> CacheFuture<R, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send,
        B: Body + Default + Send + 'static,
        R: Body + Unpin + Send + 'static,
        R::Data: Send,
        R::Error: Into<BoxError>,
    {
        Box::pin(async move {
            std::future::poll_fn(|cx| self.inner.poll_ready(cx)).await?;
            self.load(asked, parts, B::default(), errand).await
        })
    }

    fn manner(&self, asked: &Asked, report: Report, aged: bool) -> Manner<'_> {
        let private = asked.identified && self.layer.rule.origin.is_none();
        Manner { report, route: &self.route, private, aged, stays: false }
    }

    /// Runs the handler, and stores what it answers where that may be.
    async fn load<B, R>(
        mut self,
        asked: Asked,
        parts: request::Parts,
        body: B,
        mut errand: Errand,
    ) -> Result<Answered<R>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send,
        B: Body + Default + Send + 'static,
        R: Body + Unpin + Send + 'static,
        R::Data: Send,
        R::Error: Into<BoxError>,
    {
        let handle = CacheHandle::default();
        let path = self.layer.path_if_ruled(&parts);
        let mut sent = parts.clone();
        sent.extensions.insert(handle.clone());
        self.forwards(&mut sent.headers);
        let fills = errand.vacancy.is_some();
        let stored_head = errand.old.as_ref().and_then(|(stored, _)| stored.head());
        let stored_head = stored_head.map(|(status, headers)| (status, headers.clone()));
        let mut asks = false;
        if fills {
            // The whole response is to be stored, so the client's own conditions and ranges are not sent on.
            asks = match &stored_head {
                Some((_, stored)) if self.layer.rule.origin.is_some() => {
                    revalidate::ask_about(&mut sent.headers, stored)
                }
                _ => {
                    revalidate::ask_for_all(&mut sent.headers);
                    false
                }
            };
        }
        let again = asks.then(|| sent.clone());
        let renews = match &errand.old {
            Some(_) if asked.is_head => right_to_renew(&self.layer, &self.route, &asked, errand.slot).await,
            _ => None,
        };
        let mut called = Instant::now();
        let (mut response, gathered) = match self.run(Request::from_parts(sent, body)).await {
            (Ok(response), gathered) => (response, gathered),
            (Err(error), _) => return self.stand_in(&asked, &parts, &errand).ok_or(error),
        };
        if is_failure(response.status())
            && let Some(stale) = self.stand_in(&asked, &parts, &errand)
        {
            return Ok(stale);
        }
        if response.status() == StatusCode::NOT_MODIFIED
            && let Some(mut again) = again
        {
            let about = stored_head.filter(|(_, stored)| revalidate::is_about(stored, response.headers()));
            if let (Some((status, stored)), Some((old, _))) = (about, errand.old.take()) {
                let (newer, _) = response.into_parts();
                let said = (&handle.said(), gathered);
                let (answered, filling) =
                    self.renew(&asked, &parts, errand, (status, stored, old), (&newer, said), called);
                send_off(filling).await;
                return Ok(answered);
            }
            // 4.3.3: it is about something else; once more, for the whole.
            revalidate::ask_for_all(&mut again.headers);
            called = Instant::now();
            std::future::poll_fn(|cx| self.inner.poll_ready(cx)).await?;
            let call = self.inner.call(Request::from_parts(again, B::default()));
            response = self.route.named.run(call).await?;
        }
        let times = Times { received: answer::now(), took: called.elapsed() };
        let (mut head, body) = response.into_parts();
        self.forwards(&mut head.headers);
        let whose = asked.identified || asked.credentials.are_there() || asked.of_user;
        plan::prepare(&self.layer, &mut head, times.received);
        let by_path = plan::say_by_path(&self.layer, &path, head.status, &mut head.headers, whose);
        let said = handle.said();
        let of_head = renews.is_some().then(|| gathered.clone());
        let plan = plan::plan(&self.layer, &asked, &parts, &head, (&said, gathered), times);
        let plan = plan.map(|plan| plan.shared_unless(by_path));
        let whole_request = fills || parts.method == Method::GET && !asked.reads_only;
        if !whole_request || is_stream(&head) {
            if whole_request {
                self.layer.http.uncacheable.add(&asked.mark);
            }
            if let (Some(vacancy), Some(old)) = (renews, errand.old.take()) {
                let run = Run { inner: (), layer: self.layer.clone(), route: Arc::new(self.route.beside()) };
                let said = (&said, of_head.unwrap_or_default());
                run.renew_by_head(&asked, &parts, (vacancy, old, errand.slot), (&head, said), called).await;
            }
            return Ok(self.passed(Response::from_parts(head, body), &errand.report));
        }
        match plan {
            Ok(plan) => {
                if plan.keep.is_zero() {
                    self.give_up(&asked, &mut errand);
                } else if asked.credentials.are_there() {
                    self.layer.http.shared.add(&asked.mark);
                }
                plan::send_groups(&self.layer.http.settings, &asked.tags, &plan, &mut head.headers);
                let begun = begin(body, self.layer.most_body(), self.layer.http.budget.clone()).await;
                let (answered, filling) = self.record(&asked, &parts, errand, head, begun, &plan);
                send_off(filling).await;
                Ok(answered)
            }
            Err(refusal) => {
                self.give_up(&asked, &mut errand);
                let report =
                    Report { detail: errand.report.detail.or(Some(refusal.as_str())), ..errand.report };
                Ok(self.passed(Response::from_parts(head, body), &report))
            }
        }
    }

    /// Runs the handler, and tells what its cached calls depend on, where the response inherits that.
    async fn run<B>(&mut self, request: Request<B>) -> (Result<S::Response, S::Error>, Gathered)
    where
        S: Service<Request<B>>,
    {
        self.layer.gathering(self.route.named.run(self.inner.call(request))).await
    }

    /// Remembers that the URL's responses are not stored, so that nobody waits for one.
    fn give_up(&self, asked: &Asked, errand: &mut Errand) {
        self.layer.http.uncacheable.add(&asked.mark);
        errand.vacancy = None;
    }

    /// Answers with the stale response, in place of a handler that failed.
    fn stand_in<R>(&self, asked: &Asked, parts: &request::Parts, errand: &Errand) -> Option<Answered<R>> {
        let (stored, age) = errand.old.as_ref()?;
        let waited = u64::try_from(errand.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let age = age.saturating_add(waited);
        let terms = stored.terms();
        let window = self.layer.rule.while_gone(terms.lifetime);
        if !stands_in(&terms, stored.initial_age.saturating_add(age), window) {
            return None;
        }
        let report = Report { detail: Some("failed"), ..Report::default() };
        answer::answer(&self.layer, parts, (stored, age), self.manner(asked, report, true))
    }

    /// Stores a response anew that a 304 said is still valid (4.3.4), and answers with it.
    fn renew<R>(
        &self,
        asked: &Asked,
        parts: &request::Parts,
        errand: Errand,
        (status, mut headers, old): (StatusCode, HeaderMap, Stored),
        (newer, said): (&response::Parts, (&Said, Gathered)),
        called: Instant,
    ) -> (Answered<R>, Option<Filling>) {
        let times = Times { received: answer::now(), took: called.elapsed() };
        let by_path = old.shared == Shared::ByPath && !plan::has_word(&newer.headers);
        // Age and Date are those of the 304.
        headers.remove(header::DATE);
        revalidate::update(&mut headers, &newer.headers);
        let mut head = Response::new(()).into_parts().0;
        (head.status, head.headers) = (status, headers);
        plan::prepare(&self.layer, &mut head, times.received);
        let trailers = old.trailers().cloned().unwrap_or_default();
        let whole = Whole { body: old.body().clone(), trailers, held: None };
        let mut errand = errand;
        let plan = plan::plan(&self.layer, asked, parts, &head, said, times).unwrap_or_else(|_| {
            self.give_up(asked, &mut errand);
            Plan::nothing()
        });
        // Cache-Control that came from a rule of paths is not the origin's own word.
        let plan = plan.shared_unless(by_path);
        self.finish(asked, parts, errand, &head, whole, &plan)
    }

    /// Records the body, as far as it is there already before the answer goes out.
    fn record<R>(
        &self,
        asked: &Asked,
        parts: &request::Parts,
        mut errand: Errand,
        mut head: response::Parts,
        begun: Begun<R>,
        plan: &Plan,
    ) -> (Answered<R>, Option<Filling>)
    where
        R: Body + Unpin + Send + 'static,
        R::Data: Send,
        R::Error: Into<BoxError>,
    {
        let body = match begun {
            Begun::Whole(whole) => return self.finish(asked, parts, errand, &head, whole, plan),
            Begun::Passed(body, why) => {
                // Those who wait are told before the lease ends: else they would wait for the next one.
                learn(&self.layer, &asked.mark, plan, Err(why));
                errand.vacancy = None;
                errand.report.detail = Some(why.as_str());
                body
            }
            Begun::Open(open) => {
                errand.report.stored = errand.vacancy.is_some();
                let (vacancy, strong) = (errand.vacancy.take(), self.layer.rule.strong_tags);
                let stored_head = (head.status, plan::stored_headers(&head.headers, plan));
                let by_rule = self.layer.rule.origin.is_none();
                let (plan, mark, layer) = (plan.clone(), asked.mark.clone(), self.layer.clone());
                let route = self.route.clone();
                open.record(self.layer.rule.lease_limit, move |mut recorded| async move {
                    let _held = recorded.as_mut().ok().and_then(|whole| whole.held.take());
                    let stored =
                        recorded.map(|whole: Whole| stored(stored_head, whole, &plan, by_rule, strong));
                    let refused = learn(&layer, &mark, &plan, stored.as_ref().map_err(|why| *why));
                    if let (Ok(stored), None, Some(vacancy)) = (stored, refused, vacancy)
                        && !fill(vacancy, &stored, &plan).await
                    {
                        route.refused();
                    }
                })
            }
        };
        if self.layer.rule.origin.is_none() {
            answer::say_how_long(&mut head.headers, plan.about.terms.lifetime, asked.identified);
        }
        let lifetime = plan.about.terms.lifetime;
        let report =
            Report { ttl: Some(i64::try_from(lifetime / 1000).unwrap_or(i64::MAX)), ..errand.report };
        answer::sign(&self.layer.http.settings, &self.route, &mut head.headers, &report);
        (Response::from_parts(head, body), None)
    }

    /// Stores a response whose body is there, and answers with it.
    fn finish<R>(
        &self,
        asked: &Asked,
        parts: &request::Parts,
        mut errand: Errand,
        head: &response::Parts,
        mut whole: Whole,
        plan: &Plan,
    ) -> (Answered<R>, Option<Filling>) {
        let rule = &self.layer.rule;
        let held = whole.held.take();
        let stored_head = (head.status, plan::stored_headers(&head.headers, plan));
        let stored = stored(stored_head, whole, plan, rule.origin.is_none(), rule.strong_tags);
        if let Some(why) = learn(&self.layer, &asked.mark, plan, Ok(&stored)) {
            errand.vacancy = None;
            errand.report.detail = Some(why.as_str());
        }
        let report = Report { stored: errand.vacancy.is_some(), ..errand.report };
        // The client whose request ran the handler gets the response as the handler made it, without the fields of the connection.
        let mut shown = stored.clone();
        if !plan.left_out.is_empty() {
            let mut headers = head.headers.clone();
            hop::strip(&mut headers);
            headers.remove(header::CONTENT_LENGTH);
            shown = shown.with_headers(headers);
        }
        let response = answer::answer(&self.layer, parts, (&shown, 0), self.manner(asked, report, false));
        let filling = errand.vacancy.map(|vacancy| -> Filling {
            let (plan, route) = (plan.clone(), self.route.clone());
            Box::pin(async move {
                let _held = held;
                if !fill(vacancy, &stored, &plan).await {
                    route.refused();
                }
            })
        });
        let mut response =
            response.unwrap_or_else(|| unreachable!("headers that came as headers are headers"));
        *response.extensions_mut() = head.extensions.clone();
        (response, filling)
    }
}

impl Run<()> {
    /// Applies what a response to HEAD says of the stored response (4.3.5): it is still valid and gets newer headers, it is outdated, or
    /// nothing can be said.
    async fn renew_by_head(
        self,
        asked: &Asked,
        parts: &request::Parts,
        (vacancy, (old, _), slot): (Vacancy<Stored>, Aged, Option<u8>),
        (newer, said): (&response::Parts, (&Said, Gathered)),
        called: Instant,
    ) {
        let head = old.head().filter(|_| newer.status == StatusCode::OK);
        let Some((status, stored)) = head.map(|(status, headers)| (status, headers.clone())) else { return };
        let length = newer.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let is_same = length.is_none_or(|length| length.parse() == Ok(old.body().len()));
        if !is_same || !revalidate::is_about(&stored, &newer.headers) {
            drop(vacancy);
            let evicted = entry(&self.layer, &self.route, asked, slot, false).evict().await;
            if let Err(error) = evicted {
                tracing::warn!(%error, "a response that is outdated was not evicted");
            }
            return;
        }
        if !revalidate::has_validator(&newer.headers) {
            // 4.3.5: only a matching validator says that the stored response is still valid, and there is none.
            return;
        }
        let report = Report::default();
        let errand = Errand { vacancy: Some(vacancy), old: None, slot, report, began: called };
        let (_, filling): (Answered<()>, _) =
            self.renew(asked, parts, errand, (status, stored, old), (newer, said), called);
        send_off(filling).await;
    }
}

/// A HEAD that a gateway sends on may tell that what is stored holds still. The right to store that is taken before, so that no evict
/// comes between.
async fn right_to_renew(
    layer: &CacheLayer,
    route: &Route,
    asked: &Asked,
    slot: Option<u8>,
) -> Option<Vacancy<Stored>> {
    layer.rule.origin.as_ref()?;
    match entry(layer, route, asked, slot, false).lookup_if(|_, _| false).await {
        Ok(Lookup::Vacant(vacancy)) if vacancy.is_held() => Some(vacancy),
        _ => None,
    }
}

/// Whether the handler, or what is behind it, failed rather than answered (RFC 5861, 4).
fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// Whether the body goes on without an end, or the connection becomes something else.
fn is_stream(head: &response::Parts) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    let begins = |prefix: &[u8]| {
        kind.split_at_checked(prefix.len()).is_some_and(|(first, _)| first.eq_ignore_ascii_case(prefix))
    };
    head.status == StatusCode::SWITCHING_PROTOCOLS
        || [&b"text/event-stream"[..], b"multipart/x-mixed-replace", b"application/grpc"]
            .into_iter()
            .any(begins)
}
