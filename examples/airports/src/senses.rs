//! What a question means, as a vector: by a model behind HTTP, or by the few words that questions about airports are made of.

use std::env;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Bytes;
use cachemacro::{Embedder, Error, ErrorKind, Result};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use crate::load::Failure;
use crate::questions::meanings;

/// What makes vectors of questions.
#[derive(Clone)]
pub struct Senses(Arc<dyn Embedder>);

impl fmt::Debug for Senses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Senses").field(&self.0.id()).finish()
    }
}

impl Default for Senses {
    /// Words, and what they stand for here.
    fn default() -> Self {
        Self(Arc::new(Words))
    }
}

impl Senses {
    /// The model that `EMBEDDER_URL` leads to, if that is set, by the protocol of many servers of models:
    /// `{"model": EMBEDDER_MODEL, "input": [TEXT, …]}` is answered with `{"data": [{"embedding": [NUMBER, …]}, …]}`, of `EMBEDDER_DIMENSIONS` numbers each.
    ///
    /// # Errors
    /// Where a variable makes no sense.
    pub fn env() -> std::result::Result<Self, Failure> {
        let Ok(uri) = env::var("EMBEDDER_URL") else { return Ok(Self::default()) };
        let uri: Uri = uri.parse()?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err("EMBEDDER_URL is not like http://127.0.0.1:8080/v1/embeddings".into());
        }
        let needed = |name| env::var(name).map_err(|_| format!("EMBEDDER_URL needs {name}"));
        let (model, dimensions) = (needed("EMBEDDER_MODEL")?, needed("EMBEDDER_DIMENSIONS")?.parse()?);
        Ok(Self(Arc::new(Http { uri, id: format!("{model}:{dimensions}"), model, dimensions })))
    }

    /// As the attribute takes it.
    #[must_use]
    pub fn embedder(&self) -> Arc<dyn Embedder> {
        self.0.clone()
    }
}

/// Words by their numbers, those that mean the same by one. It knows this service's few words and no language.
struct Words;

const DIMENSIONS: usize = 256;

#[async_trait]
impl Embedder for Words {
    fn id(&self) -> &'static str {
        "airports-words:1"
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        Ok(texts.iter().map(|text| vector(text)).collect())
    }
}

fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    for word in meanings(text) {
        // FNV-1a: the same in every process and every release.
        let hash = word
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        vector[hash as usize % DIMENSIONS] += 1.0;
    }
    vector
}

/// A model behind HTTP, without TLS: beside the service.
struct Http {
    uri: Uri,
    id: String,
    model: String,
    dimensions: usize,
}

/// The longest answer that is read.
const LONGEST: usize = 16 << 20;

#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    input: &'a [&'a str],
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Embedded>,
}

#[derive(Deserialize)]
struct Embedded {
    embedding: Vec<f32>,
}

#[async_trait]
impl Embedder for Http {
    fn id(&self) -> &str {
        &self.id
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let answer = self.ask(texts).await;
        answer.map_err(|failure| {
            Error::new(ErrorKind::Io, "the model did not answer").with_source(Told(failure.to_string()))
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(String);

impl Http {
    async fn ask(&self, texts: &[&str]) -> std::result::Result<Vec<Vec<f32>>, Failure> {
        let authority = self.uri.authority().ok_or("EMBEDDER_URL names no host")?;
        let host = authority.host().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
        let (mut sender, driver) = handshake(TokioIo::new(stream)).await?;
        // Its error is seen by the request that is under way.
        let driving = tokio::spawn(driver);
        let body = serde_json::to_vec(&Asked { model: &self.model, input: texts })?;
        let target = self.uri.path_and_query().map_or("/", |target| target.as_str());
        let request = Request::post(target)
            .header("host", authority.as_str())
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = sender.send_request(request).await?;
        if !answer.status().is_success() {
            return Err(format!("answered with {}", answer.status()).into());
        }
        let bytes = Limited::new(answer.into_body(), LONGEST).collect().await?.to_bytes();
        driving.abort();
        let answer: Answer = serde_json::from_slice(&bytes)?;
        Ok(answer.data.into_iter().map(|embedded| embedded.embedding).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::vector;

    #[test]
    fn words_that_mean_the_same_here_are_one() {
        assert_eq!(vector("airports near Berlin"), vector("Which airfields are close to Berlin?"));
        assert_ne!(vector("airports near Berlin"), vector("airports near Bern"));
    }
}
