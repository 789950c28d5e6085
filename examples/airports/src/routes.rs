//! HTTP in front of the service: paths, status codes, JSON, and which pages are kept.
//!
//! A page carries the tags of the cached functions that it was made of, without a word.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use cachemacro::Health;
use cachemacro::report::Report;
use cachemacro_http::{CacheHandle, Host, HttpCache, Query as Parameters};
use cachemacro_metrics::{Metrics, prometheus};
use serde::{Deserialize, Serialize};

use crate::data;
use crate::error::{Error, Result};
use crate::finding;
use crate::model::{Airport, Filter, Page, Runway, Statistics, Vicinity};
use crate::service::Airports;

/// Pages in the service's cache. No handler looks at the host, so all processes share them, whatever their ports.
pub fn pages(airports: &Airports) -> HttpCache {
    HttpCache::new(airports.cache().clone()).host(Host::Ignored)
}

/// All routes.
pub fn router(airports: Airports, pages: &HttpCache) -> Router {
    let page = || pages.cache().ttl("10m");
    let listed = page().query(Parameters::only(["country", "name", "page"]));
    // That a code is unknown is worth remembering for a moment.
    let one = page().negative_ttl("30s");
    let around = page().negative_ttl("30s").query(Parameters::only(["km"]));
    Router::new()
        .route("/airports", get(search).layer(listed).post(import))
        .route("/airports/{code}", get(lookup).layer(one).delete(remove))
        .route("/airports/{code}/name", put(rename))
        .route("/airports/{code}/near", get(near).layer(around))
        .route("/search", get(finding::find))
        .route("/ask", get(finding::ask))
        .route("/airports/{code}/runways", get(runways).layer(page()).put(rebuild))
        .route("/countries/{country}", get(statistics).layer(page()))
        .route("/figures", get(figures))
        .route("/metrics", get(metrics))
        .route("/health/cache", get(health))
        .route("/report/cache", get(report))
        .with_state(airports)
}

/// `GET /airports/FRA`, `GET /airports/EDDF`
async fn lookup(State(airports): State<Airports>, Path(code): Path<String>) -> Result<Json<Airport>> {
    airports.lookup(&code).await.map(Json)
}

/// `GET /airports?country=DE&name=main&page=1`
async fn search(
    State(airports): State<Airports>,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<Airport>>> {
    airports.search(&filter.normalized()).await.map(Json)
}

#[derive(Deserialize)]
struct Radius {
    #[serde(default = "Radius::usual")]
    km: u32,
}

impl Radius {
    const fn usual() -> u32 {
        100
    }
}

/// `GET /airports/FRA/near?km=100`
async fn near(
    State(airports): State<Airports>,
    Path(code): Path<String>,
    Query(radius): Query<Radius>,
) -> Result<Json<Vicinity>> {
    airports.near(&code, radius.km).await.map(Json)
}

/// `GET /airports/FRA/runways`
async fn runways(State(airports): State<Airports>, Path(code): Path<String>) -> Result<Json<Vec<Runway>>> {
    airports.runways(&code).await.map(Json)
}

/// `PUT /airports/FRA/runways`, all of them as JSON
async fn rebuild(
    State(airports): State<Airports>,
    Path(code): Path<String>,
    runways: String,
) -> Result<StatusCode> {
    let runways: Vec<Runway> = serde_json::from_str(&runways)
        .map_err(|error| Error::Invalid(format!("not runways as JSON: {error}")))?;
    airports.rebuild(&code, &runways).await.map(|()| StatusCode::NO_CONTENT)
}

/// `GET /countries/DE`
async fn statistics(
    State(airports): State<Airports>,
    Path(country): Path<String>,
    page: CacheHandle,
) -> Result<Json<Statistics>> {
    let statistics = airports.statistics(&country.to_uppercase()).await?;
    if statistics.airports == 0 {
        // Anybody can think of more countries without any.
        page.no_store();
    }
    Ok(Json(statistics))
}

/// `PUT /airports/FRA/name`, the name as text
async fn rename(
    State(airports): State<Airports>,
    Path(code): Path<String>,
    name: String,
) -> Result<Json<Airport>> {
    airports.rename(&code, &name).await.map(Json)
}

/// `DELETE /airports/FRA`
async fn remove(State(airports): State<Airports>, Path(code): Path<String>) -> Result<StatusCode> {
    airports.delete(&code).await.map(|()| StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
struct Imported {
    airports: usize,
}

/// `POST /airports`, CSV with the columns of the bundled file
async fn import(State(airports): State<Airports>, csv: String) -> Result<Json<Imported>> {
    let new = data::parse(csv.as_bytes())?;
    airports.import(&new).await?;
    Ok(Json(Imported { airports: new.len() }))
}

#[derive(Serialize)]
struct Figures {
    queries: u64,
    hits: u64,
    misses: u64,
    loads: u64,
    hit_rate: f64,
    errors: u64,
}

/// `GET /health/cache`: how the cache is. It answers 200 in any case: without its cache the service goes on.
async fn health(State(airports): State<Airports>) -> Json<Health> {
    Json(airports.cache().check().await)
}

/// `GET /report/cache`: what this process tells of its cache, as `cachemacro --from` reads it
async fn report(State(airports): State<Airports>) -> Json<Report> {
    Json(airports.cache().report())
}

/// `GET /figures`: what the database was asked, and what the cache answered instead
async fn figures(State(airports): State<Airports>) -> Json<Figures> {
    let total = airports.cache().stats().total;
    Json(Figures {
        queries: airports.repository().queries(),
        hits: total.hits,
        misses: total.misses(),
        loads: total.loads,
        hit_rate: total.hit_rate(),
        errors: total.errors(),
    })
}

/// `GET /metrics`: the figures of the cache, for Prometheus
async fn metrics(State(airports): State<Airports>) -> Response {
    match prometheus::text(&Metrics::of("airports", airports.cache())) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self {
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}
