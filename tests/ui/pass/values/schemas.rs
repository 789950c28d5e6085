//! Types that describe their shape themselves are found again, through every wrapper and by puts too.
use std::collections::HashMap;

use cachemacro::{CacheSchema, cache_put, cached};
use cachemacro_tests::attributes::{Calls, run};
use serde::{Deserialize, Serialize};

static CALLS: Calls = Calls::new();

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CacheSchema)]
#[serde(untagged)]
pub enum Id {
    Number(u64),
    Text(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CacheSchema)]
pub struct Page {
    ids: Vec<Id>,
    #[serde(flatten)]
    more: HashMap<String, Id>,
}

#[cached(prefix = "page", key = "{number}", codec = cachemacro::codec::Json, entry = page_entry)]
async fn page(number: u64) -> Result<Option<Page>, String> {
    CALLS.add();
    Ok(Some(Page { ids: vec![Id::Number(number)], more: HashMap::new() }))
}

#[cached(prefix = "ids", codec = cachemacro::codec::Json)]
async fn ids(number: u64) -> Vec<Id> {
    CALLS.add();
    vec![Id::Number(number), Id::Text("x".to_owned())]
}

#[cache_put(prefix = "page", key = "{number}", codec = cachemacro::codec::Json)]
async fn by_key(number: u64) -> Page {
    Page { ids: vec![], more: HashMap::from([("n".to_owned(), Id::Number(number))]) }
}

#[test]
fn runs() {
    run(async {
        let first = page(1).await.unwrap();
        assert_eq!(page(1).await.unwrap(), first);
        assert_eq!(page_entry(1).get().await.unwrap(), first);
        assert_eq!(ids(1).await, ids(1).await);
        assert_eq!(CALLS.count(), 2);
        let put = by_key(1).await;
        assert_eq!(page(1).await.unwrap(), Some(put), "a put by key has the same schema");
        assert_eq!(CALLS.count(), 2);
    });
}
