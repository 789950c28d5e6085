//! The server of `examples/proxy` that does nothing but one `GET` at a server for each request: what a proxy on Redis is compared with by
//! `scripts/http-speed`.
//!
//! `plain_get 127.0.0.1:8115 127.0.0.1:6379` answers `/300` with what is under the key `/300`, which it puts there: so many bytes.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (listen, server) =
        (arguments.next().expect("where to listen"), arguments.next().expect("which server"));
    let client = redis::Client::open(format!("redis://{server}")).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("the server answers");
    for bytes in [300, 10_240] {
        let (): () = connection.set(format!("/{bytes}"), vec![b'x'; bytes]).await.expect("it stores");
    }
    let listener = TcpListener::bind(listen).await.expect("the port is free");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let connection = connection.clone();
        let service = hyper::service::service_fn(move |request| answer(connection.clone(), request));
        tokio::spawn(async move {
            let connection = auto::Builder::new(TokioExecutor::new());
            let _ = connection.http1_only().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    mut connection: MultiplexedConnection,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body: Vec<u8> = connection.get(request.uri().path()).await.expect("the server answers");
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CACHE_CONTROL, "max-age=3600");
    Ok(response.body(Full::new(body.into())).expect("a response"))
}
