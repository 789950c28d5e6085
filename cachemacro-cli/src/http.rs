//! Plain HTTP: one request, one answer.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

/// How long one call may take.
const LONGEST: Duration = Duration::from_secs(30);

/// Status and body of a `GET`; a body of at most so many bytes.
///
/// # Errors
/// A sentence on what went wrong, without the URL.
pub(crate) async fn get(url: &str, most: usize) -> Result<(u16, Bytes), String> {
    let call = async {
        let (status, body) = answer(url).await?;
        let body = Limited::new(body, most).collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    };
    in_time(call).await
}

/// The status of a `GET` whose body was read to its end, and not kept.
///
/// # Errors
/// A sentence on what went wrong, without the URL.
pub(crate) async fn status(url: &str) -> Result<u16, String> {
    let call = async {
        let (status, mut body) = answer(url).await?;
        while let Some(frame) = body.frame().await {
            frame.map_err(|error| error.to_string())?;
        }
        Ok(status)
    };
    in_time(call).await
}

async fn in_time<T>(call: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    timeout(LONGEST, call).await.unwrap_or_else(|_| Err("no answer within 30 s".to_owned()))
}

async fn answer(url: &str) -> Result<(u16, Incoming), String> {
    let url = Url::parse(url).map_err(|error| format!("no URL: {error}"))?;
    if url.scheme() != "http" {
        return Err(format!("`{}://` is not supported: only http://", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL has a user, and nobody logs in here".to_owned());
    }
    let host = url.host_str().ok_or("the URL has no host")?;
    let port = url.port_or_known_default().unwrap_or(80);
    let stream =
        TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let request = Request::get(target)
        .header("host", format!("{host}:{port}"))
        .header("user-agent", concat!("cachemacro-cli/", env!("CARGO_PKG_VERSION")))
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    Ok((answer.status().as_u16(), answer.into_body()))
}
