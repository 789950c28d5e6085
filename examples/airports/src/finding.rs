//! Airports found by their text among those that are cached: `GET /search?q=heatrow&method=fuzzy&threshold=0.5&limit=10`. Questions that share their answers:
//! `GET /ask?q=airports near Berlin`.

use axum::Json;
use axum::extract::{Query, State};
use cachemacro_search::SearchCache as _;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{Airport, Reply};
use crate::service::Airports;

/// At most so many are shown.
const MOST: usize = 100;

#[derive(Deserialize)]
pub(crate) struct Asked {
    q: String,
    #[serde(default)]
    method: Method,
    #[serde(default)]
    threshold: f64,
    limit: Option<usize>,
}

/// How texts are compared.
#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Method {
    /// Typos are forgiven.
    #[default]
    Fuzzy,
    /// Words are alike.
    Vector,
    /// All words are there.
    Exact,
}

/// What was found, the best first.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    /// Whether not all that is cached was looked at.
    partial: bool,
    items: Vec<Scored>,
}

#[derive(Debug, Serialize)]
struct Scored {
    score: f32,
    #[serde(flatten)]
    airport: Airport,
}

/// Nothing is asked of the database: what was not looked up before is not found.
pub(crate) async fn find(
    State(airports): State<Airports>,
    Query(asked): Query<Asked>,
) -> Result<Json<Found>> {
    let search = airports.cache().search("airport").threshold(asked.threshold);
    let search = search.limit(asked.limit.unwrap_or(10).min(MOST));
    let search = match asked.method {
        Method::Fuzzy => search.fuzzy(asked.q),
        Method::Vector => search.vector(asked.q),
        Method::Exact => search.exact(asked.q),
    };
    // One that has looked nothing up yet says how they are found, as the function does.
    let found = search.run_by(Airport::texts).await.map_err(|error| Error::Invalid(error.to_string()))?;
    let partial = found.is_partial();
    let items = found.into_iter().map(|found| Scored { score: found.score, airport: found.value }).collect();
    Ok(Json(Found { partial, items }))
}

#[derive(Deserialize)]
pub(crate) struct Question {
    q: String,
}

/// What is known of the cities that a question names, whoever asked it first, in whichever words.
pub(crate) async fn ask(
    State(airports): State<Airports>,
    Query(question): Query<Question>,
) -> Result<Json<Reply>> {
    airports.ask(question.q.trim()).await.map(Json)
}
