//! One HTTP connection that is kept open.

use std::net::SocketAddr;

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Failure, Request};

/// A client with such a connection.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    connection: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects to the service.
    ///
    /// # Errors
    /// Where it does not listen there.
    pub async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = handshake(TokioIo::new(stream)).await?;
        // Its error is seen by the request that is under way.
        tokio::spawn(driver);
        Ok(Self { address, connection: sender })
    }

    /// Sends a request and reads the whole answer. An airport that is gone is an answer, too.
    ///
    /// # Errors
    /// Where the connection fails, or the service does.
    pub async fn send(&mut self, request: &Request) -> Result<(), Failure> {
        let (method, path, body) = match request {
            Request::Lookup { code } => (Method::GET, format!("/airports/{code}"), ""),
            Request::Search { query } => (Method::GET, format!("/airports?{query}"), ""),
            Request::Near { code, km } => (Method::GET, format!("/airports/{code}/near?km={km}"), ""),
            Request::Statistics { country } => (Method::GET, format!("/countries/{country}"), ""),
            Request::Rename { code, name } => (Method::PUT, format!("/airports/{code}/name"), name.as_str()),
            Request::Delete { code } => (Method::DELETE, format!("/airports/{code}"), ""),
        };
        let message = hyper::Request::builder()
            .method(method)
            .uri(&path)
            .header("host", self.address.to_string())
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
        self.connection.ready().await?;
        let answer = self.connection.send_request(message).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        if status.is_success() || status == StatusCode::NOT_FOUND {
            Ok(())
        } else {
            Err(format!("{path} was answered with {status}").into())
        }
    }
}
