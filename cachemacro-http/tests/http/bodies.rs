//! Bodies: recorded as they are sent, at the handler's speed, and within limits.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cachemacro_http::CacheLayer;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty};
use tokio::sync::mpsc;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::Rig;

/// A body that a test makes frame by frame.
struct Slow(mpsc::Receiver<Result<Frame<Bytes>, &'static str>>);

impl Body for Slow {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }
}

type Sender = mpsc::Sender<Result<Frame<Bytes>, &'static str>>;

/// Sends a request whose response the test writes.
async fn open(
    layer: &CacheLayer,
    headers: &'static [(&'static str, &'static str)],
) -> (Sender, Response<cachemacro_http::CacheBody<Slow>>) {
    let (sender, receiver) = mpsc::channel(1);
    let mut receiver = Some(receiver);
    let service = service_fn(move |_: Request<Empty<Bytes>>| {
        let mut response = Response::new(Slow(receiver.take().expect("one run")));
        for (name, value) in headers {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        async move { Ok::<_, Infallible>(response) }
    });
    let service = std::sync::Arc::new(std::sync::Mutex::new(service));
    let service = service_fn(move |request| {
        use tower::Service as _;
        service.lock().unwrap().call(request)
    });
    let request = Request::get("/a").body(Empty::new()).unwrap();
    (sender, layer.layer(service).oneshot(request).await.unwrap())
}

/// What is stored, as the next request gets it.
async fn stored(layer: &CacheLayer) -> Option<(String, Option<HeaderMap>)> {
    let nothing = service_fn(|_: Request<Empty<Bytes>>| async {
        let mut response = Response::new(Empty::<Bytes>::new());
        *response.status_mut() = http::StatusCode::IM_A_TEAPOT;
        Ok::<_, Infallible>(response)
    });
    let request = Request::get("/a").body(Empty::new()).unwrap();
    let response = layer.layer(nothing).oneshot(request).await.unwrap();
    if response.status() == http::StatusCode::IM_A_TEAPOT {
        return None;
    }
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned();
    Some((String::from_utf8(body.to_bytes().to_vec()).unwrap(), trailers))
}

async fn write(sender: &Sender, data: &'static str) {
    sender.send(Ok(Frame::data(Bytes::from_static(data.as_bytes())))).await.unwrap();
}

async fn next(response: &mut Response<cachemacro_http::CacheBody<Slow>>) -> Option<Result<String, String>> {
    let frame =
        tokio::time::timeout(Duration::from_secs(20), response.body_mut().frame()).await.expect("a frame")?;
    Some(
        frame
            .map(|frame| String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
            .map_err(|error| error.to_string()),
    )
}

#[tokio::test]
async fn a_body_is_sent_on_as_it_comes_and_stored_when_it_ends() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    let (sender, mut response) = open(&layer, &[]).await;
    write(&sender, "one ").await;
    assert_eq!(next(&mut response).await, Some(Ok("one ".to_owned())), "before the second is made");
    write(&sender, "two").await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "7".parse().unwrap());
    sender.send(Ok(Frame::trailers(trailers.clone()))).await.unwrap();
    drop(sender);
    assert_eq!(next(&mut response).await, Some(Ok("two".to_owned())));
    assert_eq!(stored(&layer).await, Some(("one two".to_owned(), Some(trailers))));
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_keep_others_from_having_it() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    let (sender, response) = open(&layer, &[]).await;
    write(&sender, "one ").await;
    drop(response);
    write(&sender, "two").await;
    drop(sender);
    assert_eq!(stored(&layer).await.unwrap().0, "one two");
}

#[tokio::test]
async fn a_client_that_does_not_read_delays_nobody() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    let (sender, mut response) = open(&layer, &[]).await;
    for _ in 0..100 {
        write(&sender, "x").await;
    }
    drop(sender);
    assert_eq!(stored(&layer).await.unwrap().0.len(), 100);
    assert_eq!(next(&mut response).await, Some(Ok("x".to_owned())));
}

#[tokio::test]
async fn past_the_limit_nothing_is_stored_and_the_client_reads_the_rest_itself() {
    let rig = Rig::new();
    let layer = rig.http.cache().max_body(5);
    let (sender, mut response) = open(&layer, &[]).await;
    write(&sender, "1234").await;
    write(&sender, "5678").await;
    assert_eq!(next(&mut response).await, Some(Ok("1234".to_owned())));
    assert_eq!(next(&mut response).await, Some(Ok("5678".to_owned())));
    write(&sender, "9").await;
    assert!(sender.try_send(Ok(Frame::data(Bytes::new()))).is_err(), "nobody reads ahead of the client");
    assert_eq!(next(&mut response).await, Some(Ok("9".to_owned())));
    drop(sender);
    assert_eq!(next(&mut response).await, None);
    // The lease was given back: nobody waits for it to end.
    let next = tokio::time::timeout(Duration::from_secs(5), stored(&layer));
    assert_eq!(next.await.expect("at once"), None);
}

fn trailers(length: usize) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "7".repeat(length).parse().unwrap());
    trailers
}

#[tokio::test]
async fn trailers_have_a_limit_as_header_sections_have() {
    let rig = Rig::new();
    for (at, (length, is_stored)) in [(32_000, true), (33_000, false)].into_iter().enumerate() {
        let layer = rig.http.clone().prefix(at.to_string()).cache();
        let (sender, mut response) = open(&layer, &[]).await;
        write(&sender, "one").await;
        assert_eq!(next(&mut response).await, Some(Ok("one".to_owned())));
        sender.send(Ok(Frame::trailers(trailers(length)))).await.unwrap();
        drop(sender);
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_trailers().unwrap(), trailers(length), "its client gets them");
        assert_eq!(stored(&layer).await.is_some(), is_stored, "{length}");
    }
}

#[tokio::test]
async fn trailers_that_are_there_before_the_end_is_reach_the_client() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    let (sender, receiver) = mpsc::channel(2);
    write(&sender, "one").await;
    sender.send(Ok(Frame::trailers(trailers(1)))).await.unwrap();
    let receiver = std::sync::Arc::new(std::sync::Mutex::new(Some(receiver)));
    let service = service_fn(move |_: Request<Empty<Bytes>>| {
        let body = Slow(receiver.lock().unwrap().take().expect("one run"));
        async move { Ok::<_, Infallible>(Response::new(body)) }
    });
    let request = Request::get("/a").body(Empty::new()).unwrap();
    let response = layer.layer(service).oneshot(request).await.unwrap();
    drop(sender);
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers(), Some(&trailers(1)));
    assert_eq!(body.to_bytes(), "one");
    assert_eq!(stored(&layer).await, Some(("one".to_owned(), Some(trailers(1)))));
}

#[tokio::test]
async fn a_body_that_fails_reaches_the_client_and_is_not_stored() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    let (sender, mut response) = open(&layer, &[]).await;
    write(&sender, "one").await;
    sender.send(Err("gone")).await.unwrap();
    assert_eq!(next(&mut response).await, Some(Ok("one".to_owned())));
    assert_eq!(next(&mut response).await, Some(Err("gone".to_owned())));
    assert_eq!(stored(&layer).await, None);
}

#[tokio::test]
async fn events_pass_untouched() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    for kind in ["text/event-stream", "multipart/x-mixed-replace; boundary=x", "application/grpc+proto"] {
        let headers: &'static [_] = Box::leak(Box::new([("content-type", kind)]));
        let (sender, mut response) = open(&layer, headers).await;
        write(&sender, "one").await;
        assert_eq!(next(&mut response).await, Some(Ok("one".to_owned())));
        drop(sender);
        assert_eq!(stored(&layer).await, None, "{kind}");
    }
}

/// A second that is over, without anybody waiting for it.
#[tokio::test(start_paused = true)]
async fn after_its_deadline_a_body_is_recorded_no_more_and_the_next_may_store() {
    let rig = Rig::new();
    let layer = rig.http.cache().lease_limit("10s");
    let (sender, mut response) = open(&layer, &[]).await;
    write(&sender, "one ").await;
    assert_eq!(next(&mut response).await, Some(Ok("one ".to_owned())));
    tokio::time::sleep(Duration::from_secs(11)).await;
    write(&sender, "two").await;
    assert_eq!(next(&mut response).await, Some(Ok("two".to_owned())), "its client reads on");
    drop(sender);
    assert_eq!(next(&mut response).await, None);
    assert_eq!(stored(&layer).await, None);

    // One that never ends is let go of, though nobody reads it.
    let (sender, response) = open(&rig.http.cache().lease_limit("10s").version(2), &[]).await;
    drop(response);
    write(&sender, "one ").await;
    tokio::time::timeout(Duration::from_secs(20), sender.closed()).await.expect("nobody holds it");
}

#[tokio::test]
async fn a_body_without_a_deadline_is_recorded_to_its_end() {
    let rig = Rig::new();
    let layer = rig.http.cache().lease_limit(Duration::MAX);
    let (sender, mut response) = open(&layer, &[]).await;
    write(&sender, "one ").await;
    assert_eq!(next(&mut response).await, Some(Ok("one ".to_owned())));
    write(&sender, "two").await;
    assert_eq!(next(&mut response).await, Some(Ok("two".to_owned())));
    drop(sender);
    assert_eq!(next(&mut response).await, None);
    assert_eq!(stored(&layer).await.unwrap().0, "one two");
}

/// A body that panics in the middle.
struct Broken {
    polls: u8,
}

impl Body for Broken {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.polls += 1;
        match self.polls {
            1 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"half of it"))))),
            2 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => panic!("the body"),
        }
    }
}

#[tokio::test]
async fn a_body_that_panics_has_no_clean_end() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    let service = service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Broken { polls: 0 }))
    });
    let request = Request::get("/a").body(Empty::new()).unwrap();
    let mut body = layer.layer(service).oneshot(request).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half of it");
    assert!(body.frame().await.expect("its client is told").is_err());
    assert!(body.frame().await.is_none());
    assert_eq!(stored(&layer).await, None);
}

/// Bytes without end, made as they are read.
struct Zeros {
    left: u64,
    polls: u32,
    piece: Bytes,
}

impl Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = self.left.min(self.piece.len() as u64);
        self.left -= length;
        self.polls += 1;
        if self.polls.is_multiple_of(100) {
            // Not ready at once, so that a task records it on its way.
            self.left += length;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // A copy, as a handler's would be.
        let piece = Bytes::copy_from_slice(&self.piece[..usize::try_from(length).unwrap()]);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

/// The memory of this process, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_body_passes_in_flat_memory() {
    let program = std::env::current_exe().unwrap();
    let alone = ["--exact", "bodies::a_large_body_alone", "--ignored", "--nocapture"];
    let run = std::process::Command::new(program).args(alone).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "its memory is measured, so it has a process of its own: `a_large_body_passes_in_flat_memory` starts it"]
async fn a_large_body_alone() {
    let is_long =
        std::env::var_os("CACHEMACRO_TEST_LONG").is_some_and(|value| value != "0" && !value.is_empty());
    let length: u64 = if is_long { 1 << 30 } else { 128 << 20 };
    let rig = Rig::new();
    let layer = rig.http.cache();
    let pass = async |length: u64| {
        let service = service_fn(move |_: Request<Empty<Bytes>>| async move {
            Ok::<_, Infallible>(Response::new(Zeros {
                left: length,
                polls: 0,
                piece: Bytes::from(vec![0; 64 << 10]),
            }))
        });
        let request = Request::get(format!("/{length}")).body(Empty::new()).unwrap();
        let mut body = layer.layer(service).oneshot(request).await.unwrap().into_body();
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            read += frame.unwrap().into_data().unwrap().len() as u64;
        }
        read
    };
    // The program's own pages are read from its file where they are first used, and are no body.
    assert_eq!(pass(64 << 10).await, 64 << 10);
    let before = resident();
    assert_eq!(pass(length).await, length);
    let grown = resident().saturating_sub(before);
    println!("{grown} bytes more for {length}");
    assert!(grown < 8 << 20, "{grown} bytes more");
}
