//! Bodies: what a response of the layer is sent with, and how one is recorded while it is sent.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use crate::rules::fields::{MOST_SECTION_BYTES, section_bytes};

/// Used for deadlines that are too far away for a clock to represent.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The body of a response: stored bytes, or the handler's own.
///
/// ```
/// use cachemacro_http::CacheBody;
/// use http_body::Body as _;
///
/// // The length is known of what comes from the store, and of a handler's body where that knows it.
/// fn length<B>(response: &http::Response<CacheBody<B>>) -> Option<u64>
/// where
///     B: http_body::Body + Unpin,
///     B::Error: Into<cachemacro_http::BoxError>,
/// {
///     response.body().size_hint().exact()
/// }
/// ```
pub struct CacheBody<B>(Kind<B>);

enum Kind<B> {
    Stored {
        data: Option<Bytes>,
        trailers: Option<HeaderMap>,
    },
    Passed(B),
    Recorded {
        frames: UnboundedReceiver<Piece<B>>,
        rest: Option<B>,
        hint: SizeHint,
    },
    /// The frames that were recorded, to be sent before the rest, which is not recorded any more.
    Resumed {
        first: VecDeque<(Frame<Bytes>, Option<Arc<Held>>)>,
        rest: Option<B>,
    },
}

/// What the recording task sends to the client's body.
enum Piece<B> {
    /// A frame, and what it takes of the budget until the client has read it.
    Frame(Frame<Bytes>, Option<Arc<Held>>),
    Rest(B),
    Failed(BoxError),
}

/// The recording task's channel to the client's body. Dropped before the end, as where the body panics or the runtime ends the task, it
/// fails the client's body, so that a part is not taken for the whole.
struct Unended<B> {
    sender: UnboundedSender<Piece<B>>,
    ended: bool,
}

impl<B> Unended<B> {
    fn end(mut self) {
        self.ended = true;
    }
}

impl<B> Drop for Unended<B> {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.sender.send(Piece::Failed("the body was cut off".into()));
        }
    }
}

/// An error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<B> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Stored { .. } => "CacheBody::Stored",
            Kind::Passed(_) => "CacheBody::Passed",
            Kind::Recorded { .. } | Kind::Resumed { .. } => "CacheBody::Recorded",
        })
    }
}

impl<B> CacheBody<B> {
    pub(crate) const fn stored(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self(Kind::Stored { data: Some(data), trailers })
    }

    pub(crate) const fn empty() -> Self {
        Self(Kind::Stored { data: None, trailers: None })
    }

    pub(crate) const fn passed(body: B) -> Self {
        Self(Kind::Passed(body))
    }
}

impl<B> Body for CacheBody<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let kind = &mut self.0;
        loop {
            return match kind {
                Kind::Stored { data, trailers } => {
                    let data = data.take().filter(|data| !data.is_empty()).map(Frame::data);
                    Poll::Ready(data.or_else(|| trailers.take().map(Frame::trailers)).map(Ok))
                }
                Kind::Passed(body) | Kind::Recorded { rest: Some(body), .. } => poll_inner(body, cx),
                Kind::Resumed { first, rest } => match (first.pop_front(), rest) {
                    (Some((frame, _)), _) => Poll::Ready(Some(Ok(frame))),
                    (None, Some(body)) => poll_inner(body, cx),
                    (None, None) => Poll::Ready(None),
                },
                Kind::Recorded { frames, rest, .. } => match frames.poll_recv(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(None) => Poll::Ready(None),
                    Poll::Ready(Some(Piece::Frame(frame, held))) => {
                        drop(held);
                        Poll::Ready(Some(Ok(frame)))
                    }
                    Poll::Ready(Some(Piece::Failed(error))) => Poll::Ready(Some(Err(error))),
                    Poll::Ready(Some(Piece::Rest(body))) => {
                        *rest = Some(body);
                        continue;
                    }
                },
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Stored { data, trailers } => {
                data.as_ref().is_none_or(Bytes::is_empty) && trailers.is_none()
            }
            Kind::Passed(body) => body.is_end_stream(),
            Kind::Recorded { .. } | Kind::Resumed { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Stored { data, .. } => {
                SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64))
            }
            Kind::Passed(body) => body.size_hint(),
            Kind::Recorded { hint, .. } => *hint,
            Kind::Resumed { .. } => SizeHint::default(),
        }
    }
}

/// A frame with its data as one piece.
fn poll_inner<B>(body: &mut B, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    Pin::new(body).poll_frame(cx).map(|frame| {
        frame.map(|frame| {
            let whole = |mut data: B::Data| data.copy_to_bytes(data.remaining());
            frame.map(|frame| frame.map_data(whole)).map_err(Into::into)
        })
    })
}

/// What a frame takes besides its bytes: its places in the recording and on the way to the client.
const FRAME: usize = 256;

/// How many bytes all recordings of a process hold together at most, with what their clients have not read yet and what is on its way to
/// the store.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<BudgetState>);

#[derive(Debug)]
struct BudgetState {
    used: AtomicUsize,
    most: usize,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(BudgetState { used: AtomicUsize::new(0), most }))
    }

    /// Takes this many bytes from the budget; `None` where fewer are left.
    fn take(&self, bytes: usize) -> Option<Held> {
        let grant = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.0.most);
        let granted = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grant).is_ok();
        granted.then(|| Held { budget: self.clone(), bytes })
    }

    /// Takes bytes that are there in any case: fewer are left for others.
    fn take_anyway(&self, bytes: usize) -> Held {
        self.0.used.fetch_add(bytes, Ordering::Relaxed);
        Held { budget: self.clone(), bytes }
    }
}

/// Bytes that were taken from a budget. They are given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Budget,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Why a body is not recorded to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unrecorded {
    /// It is over the limit, or its trailers are.
    Large,
    /// It was not at its end by the deadline.
    Long,
    /// All recordings together hold as much as they may.
    Crowded,
    /// It failed.
    Failed,
}

impl Unrecorded {
    /// Whether the next one of its URL will not be recorded either, as far as can be known.
    pub(crate) const fn lasts(self) -> bool {
        matches!(self, Self::Large | Self::Long)
    }

    /// The word of Cache-Status' `detail`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Large => "size",
            Self::Long => "time",
            Self::Crowded => "crowded",
            Self::Failed => "body",
        }
    }
}

/// What was recorded of a body so far. A frame's bytes are given back to the budget when it is dropped here and its client has read it.
struct Recording {
    frames: VecDeque<(Bytes, Arc<Held>)>,
    trailers: HeaderMap,
    of_trailers: Option<Arc<Held>>,
    /// How many bytes the frames have.
    length: usize,
    limit: usize,
    budget: Budget,
}

impl Recording {
    fn new(limit: usize, budget: Budget) -> Self {
        Self {
            frames: VecDeque::new(),
            trailers: HeaderMap::new(),
            of_trailers: None,
            length: 0,
            limit,
            budget,
        }
    }

    /// Adds a frame, unless that would exceed a limit; tells what it takes of the budget.
    fn add(&mut self, frame: &Frame<Bytes>) -> Result<Option<Arc<Held>>, Unrecorded> {
        if let Some(data) = frame.data_ref() {
            if self.length.saturating_add(data.len()) > self.limit {
                return Err(Unrecorded::Large);
            }
            let held = self.hold(data.len())?;
            self.length += data.len();
            self.frames.push_back((data.clone(), held.clone()));
            return Ok(Some(held));
        }
        let Some(trailers) = frame.trailers_ref() else { return Ok(None) };
        let bytes = section_bytes(&self.trailers).saturating_add(section_bytes(trailers));
        if bytes > MOST_SECTION_BYTES {
            return Err(Unrecorded::Large);
        }
        let held = self.hold(bytes)?;
        self.trailers.extend(trailers.clone());
        self.of_trailers = Some(held.clone());
        Ok(Some(held))
    }

    fn hold(&self, bytes: usize) -> Result<Arc<Held>, Unrecorded> {
        self.budget.take(bytes.saturating_add(FRAME)).map(Arc::new).ok_or(Unrecorded::Crowded)
    }

    /// What was recorded, to be sent.
    fn frames(&self) -> impl Iterator<Item = (Frame<Bytes>, Option<Arc<Held>>)> {
        let trailers = Some(&self.trailers).filter(|trailers| !trailers.is_empty());
        let trailers = trailers.map(|trailers| (Frame::trailers(trailers.clone()), self.of_trailers.clone()));
        self.frames.iter().map(|(data, held)| (Frame::data(data.clone()), Some(held.clone()))).chain(trailers)
    }

    fn whole(&mut self) -> Whole {
        // The bytes as one piece, and as they are written for the store.
        let held = self.budget.take_anyway(self.length.saturating_mul(2));
        let body = match self.frames.len() {
            1 => self.frames.pop_front().map(|(data, _)| data).unwrap_or_default(),
            _ => self.frames.drain(..).map(|(data, _)| data).collect::<Vec<_>>().concat().into(),
        };
        Whole { body, trailers: std::mem::take(&mut self.trailers), held: Some(held) }
    }
}

/// A body that was recorded to its end.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
    /// What it takes of the budget until it is stored; `None`: it was stored before.
    pub(crate) held: Option<Held>,
}

/// How far a body came after the frames that were ready at once.
pub(crate) enum Begun<B> {
    /// The body was complete.
    Whole(Whole),
    /// The body goes on.
    Open(Open<B>),
    /// The body is sent on and not recorded, for this reason.
    Passed(CacheBody<B>, Unrecorded),
}

/// A body whose first frames were recorded.
pub(crate) struct Open<B> {
    recording: Recording,
    body: B,
}

/// Reads the frames of a body that are ready, without waiting for more.
pub(crate) async fn begin<B>(body: B, limit: usize, budget: Budget) -> Begun<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    let mut body = Some((body, budget));
    std::future::poll_fn(|cx| {
        let (body, budget) = body.take().unwrap_or_else(|| unreachable!("it is polled once"));
        Poll::Ready(begun(body, limit, budget, cx))
    })
    .await
}

fn begun<B>(body: B, limit: usize, budget: Budget, cx: &mut Context<'_>) -> Begun<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    let mut open = Open { recording: Recording::new(limit, budget), body };
    if open.body.size_hint().lower() > limit as u64 {
        return Begun::Passed(CacheBody::passed(open.body), Unrecorded::Large);
    }
    loop {
        match poll_inner(&mut open.body, cx) {
            Poll::Pending => return Begun::Open(open),
            Poll::Ready(None) => return Begun::Whole(open.recording.whole()),
            Poll::Ready(Some(Ok(frame))) => {
                if let Err(why) = open.recording.add(&frame) {
                    return Begun::Passed(open.resumed(frame), why);
                }
            }
            Poll::Ready(Some(Err(error))) => return Begun::Passed(open.failed(error), Unrecorded::Failed),
        }
    }
}

impl<B> Open<B> {
    /// The whole body for the client: the recorded frames, and the rest as it comes.
    pub(crate) fn unrecorded(self) -> CacheBody<B> {
        let first = self.recording.frames().collect();
        CacheBody(Kind::Resumed { first, rest: Some(self.body) })
    }

    /// The whole body for the client: the recorded frames, this one, and the rest as it comes.
    fn resumed(self, frame: Frame<Bytes>) -> CacheBody<B> {
        let first = self.recording.frames().chain([(frame, None)]).collect();
        CacheBody(Kind::Resumed { first, rest: Some(self.body) })
    }

    /// The body for the client where it failed: the recorded frames, then the error.
    fn failed(self, error: BoxError) -> CacheBody<B> {
        let (sender, frames) = unbounded_channel();
        for (frame, held) in self.recording.frames() {
            let _ = sender.send(Piece::Frame(frame, held));
        }
        let _ = sender.send(Piece::Failed(error));
        CacheBody(Kind::Recorded { frames, rest: None, hint: SizeHint::default() })
    }
}

impl<B> Open<B>
where
    B: Body + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Records the body in a task, at the speed at which the handler makes it, and sends it on: a client that reads slowly or hangs up
    /// delays nobody. `done` gets the recording, or why there is none; where a limit was passed, the client reads the rest itself.
    pub(crate) fn record<D, F>(self, deadline: Duration, done: D) -> CacheBody<B>
    where
        D: FnOnce(Result<Whole, Unrecorded>) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let hint = self.body.size_hint();
        let hint = match hint.exact() {
            Some(exact) => SizeHint::with_exact(exact + self.recording.length as u64),
            None => SizeHint::default(),
        };
        let (sender, frames) = unbounded_channel();
        for (frame, held) in self.recording.frames() {
            let _ = sender.send(Piece::Frame(frame, held));
        }
        let unended = Unended { sender, ended: false };
        tokio::spawn(async move {
            let now = Instant::now();
            let recorded = self.rest(&unended.sender, now.checked_add(deadline).unwrap_or(now + NEVER)).await;
            // The client need not wait for the store's answer.
            unended.end();
            done(recorded).await;
        });
        CacheBody(Kind::Recorded { frames, rest: None, hint })
    }

    async fn rest(
        mut self,
        sender: &UnboundedSender<Piece<B>>,
        deadline: Instant,
    ) -> Result<Whole, Unrecorded> {
        loop {
            let frame = std::future::poll_fn(|cx| poll_inner(&mut self.body, cx));
            let Ok(frame) = timeout_at(deadline, frame).await else {
                let _ = sender.send(Piece::Rest(self.body));
                return Err(Unrecorded::Long);
            };
            match frame {
                None => return Ok(self.recording.whole()),
                Some(Err(error)) => {
                    let _ = sender.send(Piece::Failed(error));
                    return Err(Unrecorded::Failed);
                }
                Some(Ok(frame)) => {
                    let added = self.recording.add(&frame);
                    let (held, over) = match added {
                        Ok(held) => (held, None),
                        Err(why) => (None, Some(why)),
                    };
                    let _ = sender.send(Piece::Frame(frame, held));
                    if let Some(why) = over {
                        let _ = sender.send(Piece::Rest(self.body));
                        return Err(why);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Mutex;

    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Empty};
    use tokio::sync::mpsc;
    use tower_layer::Layer as _;
    use tower_service::Service as _;

    use super::*;
    use crate::http_cache::HttpCache;

    /// A body that a test makes frame by frame.
    struct Frames(mpsc::UnboundedReceiver<Frame<Bytes>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0.poll_recv(cx).map(|frame| frame.map(Ok))
        }
    }

    fn data(length: usize) -> Frame<Bytes> {
        Frame::data(Bytes::from(vec![b'x'; length]))
    }

    fn used(budget: &Budget) -> usize {
        budget.0.used.load(Ordering::Relaxed)
    }

    #[test]
    fn a_budget_is_taken_and_given_back() {
        let budget = Budget::new(10 + 2 * FRAME);
        let add = |recording: &mut Recording, frame| recording.add(&frame).map(drop);
        let mut one = Recording::new(100, budget.clone());
        assert_eq!(add(&mut one, data(6)), Ok(()));
        let mut other = Recording::new(5, budget.clone());
        assert_eq!(add(&mut other, data(4)), Ok(()));
        assert_eq!(add(&mut other, data(0)), Err(Unrecorded::Crowded), "an empty one takes its place");
        assert_eq!(add(&mut other, data(2)), Err(Unrecorded::Large), "whoever has room");
        assert_eq!(used(&budget), 10 + 2 * FRAME);
        drop(one);
        assert_eq!(used(&budget), 4 + FRAME);
        let trailers = |value: &'static str| -> HeaderMap {
            [(http::header::ETAG, http::HeaderValue::from_static(value))].into_iter().collect()
        };
        assert_eq!(
            add(&mut other, Frame::trailers(trailers("12"))),
            Err(Unrecorded::Crowded),
            "they count as well"
        );
        let mut third = Recording::new(5, Budget::new(FRAME + 100));
        assert_eq!(add(&mut third, Frame::trailers(trailers("12"))), Ok(()));
        assert_eq!(third.whole().trailers.len(), 1);
        drop(other);
        assert_eq!(used(&budget), 0);
        assert!(budget.take(usize::MAX).is_none() && budget.take(10).is_some());
    }

    /// One whose client does not read is recorded to its end, and what the client has yet to read is held.
    #[tokio::test]
    async fn what_a_client_has_not_read_is_held_until_it_has() {
        let budget = Budget::new(10_000);
        let (sender, receiver) = mpsc::unbounded_channel();
        let Begun::Open(open) = begin(Frames(receiver), 5_000, budget.clone()).await else {
            panic!("it is open")
        };
        let (done, mut filling) = mpsc::unbounded_channel();
        let mut body = open.record(Duration::from_secs(60), move |whole| async move {
            done.send(whole).unwrap();
        });
        sender.send(data(1_000)).unwrap();
        sender.send(data(500)).unwrap();
        drop(sender);
        let whole = filling.recv().await.unwrap().unwrap();
        let unread = |bytes: usize, frames: usize| bytes + frames * FRAME;
        while used(&budget) > unread(1_500, 2) + 3_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(used(&budget), unread(1_500, 2) + 3_000, "it is on its way to the store, too");
        drop(whole);
        assert_eq!(used(&budget), unread(1_500, 2));
        body.frame().await.unwrap().unwrap();
        assert_eq!(used(&budget), unread(500, 1));
        drop(body);
        assert_eq!(used(&budget), 0);

        // One that is not recorded further gives back what was recorded of it as it is read, too.
        let (sender, receiver) = mpsc::unbounded_channel();
        sender.send(data(1_000)).unwrap();
        sender.send(data(5_000)).unwrap();
        let Begun::Passed(mut body, why) = begin(Frames(receiver), 5_000, budget.clone()).await else {
            panic!("it passes")
        };
        assert_eq!((why, used(&budget)), (Unrecorded::Large, unread(1_000, 1)));
        body.frame().await.unwrap().unwrap();
        assert_eq!(used(&budget), 0);
    }

    /// Beyond the budget bodies pass unstored; the moment is over as soon as a recording ends, and nobody remembers it of a URL.
    #[tokio::test]
    async fn beyond_what_all_recordings_may_hold_bodies_pass_unstored() {
        let most = 10 + 2 * FRAME;
        let http = HttpCache { budget: Budget::new(most), ..HttpCache::new(cachemacro::Cache::memory()) };
        let layer = http.cache();
        let bodies = Arc::new(Mutex::new(VecDeque::new()));
        let open = async |path: &str| {
            let (sender, receiver) = mpsc::unbounded_channel();
            bodies.lock().unwrap().push_back(Frames(receiver));
            let bodies = bodies.clone();
            let mut service = layer.layer(tower::service_fn(move |_: Request<Empty<Bytes>>| {
                let body = bodies.lock().unwrap().pop_front().unwrap();
                async move { Ok::<_, Infallible>(Response::new(body)) }
            }));
            (sender, service.call(Request::get(path).body(Empty::new()).unwrap()).await.unwrap())
        };
        let is_stored = async |path: &str| {
            let mut service = layer.layer(tower::service_fn(|_: Request<Empty<Bytes>>| async {
                let mut response = Response::new(Empty::<Bytes>::new());
                *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
                Ok::<_, Infallible>(response)
            }));
            let request = Request::get(path).header("cache-control", "only-if-cached").body(Empty::new());
            service.call(request.unwrap()).await.unwrap().status() == http::StatusCode::OK
        };
        let (first, mut one) = open("/one").await;
        first.send(data(6)).unwrap();
        assert_eq!(one.body_mut().frame().await.unwrap().unwrap().into_data().unwrap().len(), 6);
        let (second, mut two) = open("/two").await;
        second.send(data(6)).unwrap();
        second.send(data(1)).unwrap();
        drop(second);
        assert_eq!(two.body_mut().collect().await.unwrap().to_bytes().len(), 7, "its client gets it all");
        assert!(!is_stored("/two").await);
        drop(two);
        assert_eq!(used(&http.budget), 6 + FRAME);
        drop(first);
        assert_eq!(one.body_mut().collect().await.unwrap().to_bytes().len(), 0);
        while !is_stored("/one").await {
            tokio::task::yield_now().await;
        }
        assert_eq!(used(&http.budget), 0);
        // Nothing was remembered, so the next one stores.
        let (second, two) = open("/two").await;
        second.send(data(6)).unwrap();
        drop(second);
        assert_eq!(two.into_body().collect().await.unwrap().to_bytes().len(), 6);
        while !is_stored("/two").await {
            tokio::task::yield_now().await;
        }
        // Nor is anything recorded of what is there at once and over it.
        let (third, rest) = mpsc::unbounded_channel();
        third.send(data(6)).unwrap();
        third.send(data(6)).unwrap();
        drop(third);
        let Begun::Passed(body, why) = begin(Frames(rest), 100, http.budget.clone()).await else {
            panic!("it is recorded")
        };
        assert_eq!((why, used(&http.budget)), (Unrecorded::Crowded, 6 + FRAME));
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 12);
        assert_eq!(used(&http.budget), 0);
    }
}
