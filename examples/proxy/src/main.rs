//! A caching reverse proxy: what the origin says decides.
//!
//! `cargo run --release -p cachemacro-proxy -- 127.0.0.1:8081 http://127.0.0.1:8000`
//!
//! Responses are in memory, or in Redis or Valkey with `REDIS_URL`. Responses that set cookies are kept with them, directives in
//! CDN-Cache-Control come before Cache-Control, and those of requests count in full: what RFC 9111 lets a shared cache do, for an
//! origin that means what it says.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Context as _;
use bytes::Bytes;
use cachemacro::Cache;
use cachemacro_http::{CacheBody, CacheService, Directives, HttpCache};
use http::uri::{Authority, Scheme};
use http::{HeaderName, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tower_layer::Layer as _;
use tower_service::Service;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let origin: Uri = arguments.next().as_deref().unwrap_or("http://127.0.0.1:8000").parse()?;
    let origin = origin.authority().context("the origin needs a host: http://127.0.0.1:8000")?.clone();

    let cache = Cache::from_env()?;
    let http = HttpCache::new(cache.clone()).directives(Directives::Full);
    let gateway = http.gateway().keep_cookies().targets([HeaderName::from_static("cdn-cache-control")]);
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let service = gateway.layer(Upstream { client, origin });

    let listener = TcpListener::bind(&listen).await.with_context(|| format!("binding {listen}"))?;
    println!("listening on {listen}");
    let serve = async {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            let service = hyper::service::service_fn({
                let service = service.clone();
                move |request| answer(service.clone(), request)
            });
            tokio::spawn(async move {
                let connection = auto::Builder::new(TokioExecutor::new());
                // A client that goes away in the middle is no failure of the proxy's.
                let _ = connection.http1_only().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    };
    tokio::select! {
        () = serve => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    cache.shutdown().await?;
    Ok(())
}

type Answer = Response<Either<CacheBody<Incoming>, http_body_util::Empty<Bytes>>>;

/// Answers one request; 502 where the origin cannot be reached and nothing stands in for it.
async fn answer(mut service: CacheService<Upstream>, request: Request<Incoming>) -> anyhow::Result<Answer> {
    let answered = service.call(request.map(|body| RequestBody(Some(body)))).await;
    let Ok(response) = answered else {
        let mut response = Response::new(Either::Right(http_body_util::Empty::new()));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        return Ok(response);
    };
    Ok(response.map(Either::Left))
}

/// The origin.
#[derive(Debug, Clone)]
struct Upstream {
    client: Client<HttpConnector, RequestBody>,
    origin: Authority,
}

impl Service<Request<RequestBody>> for Upstream {
    type Response = Response<Incoming>;
    type Error = anyhow::Error;
    type Future = Pin<Box<dyn Future<Output = anyhow::Result<Response<Incoming>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<anyhow::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.origin.clone());
        let client = self.client.clone();
        Box::pin(async move {
            *request.uri_mut() = Uri::from_parts(uri)?;
            Ok(client.request(request).await?)
        })
    }
}

/// The body of a request; none where the proxy asks by itself.
#[derive(Debug, Default)]
struct RequestBody(Option<Incoming>);

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
