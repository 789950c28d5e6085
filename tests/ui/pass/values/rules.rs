//! `unless`, `ttl` and `tags` over the loaded value, with and without arguments.
use std::time::Duration;

use cachemacro::{Ttl, cache_put, cached};
use cachemacro_tests::attributes::{Calls, assert_send, run};
use serde::{Deserialize, Serialize};

static CALLS: Calls = Calls::new();

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Article {
    id: u32,
    title: String,
    words: usize,
}

#[cached(unless = result.title == title, tags = ["words:{result.words}"])]
async fn with_arguments(id: u32, title: String) -> Option<Article> {
    CALLS.add();
    Some(Article { id, title: title.to_lowercase(), words: 3 })
}

#[cached(unless = *result == name, ttl = Duration::from_secs(name.len() as u64), tags = [name.clone()])]
async fn one_argument_in_all(name: String) -> String {
    CALLS.add();
    name + "!"
}

#[cache_put(
    prefix = "rules",
    key = "{name}",
    unless = *result == name,
    ttl = Duration::from_secs(name.len() as u64),
    tags = [name.clone()]
)]
async fn put_with_one_argument_in_all(name: String) -> String {
    name + "!"
}

#[cached(
    unless = result.title.is_empty(),
    ttl = if result.words > 10 { Ttl::Never } else { Ttl::from(Duration::from_secs(1)) },
    tags = {
        let Article { id, words, .. } = result;
        vec![format!("article:{id}"), format!("words:{words}")]
    },
    entry = article_entry,
)]
async fn article(id: u32, words: usize) -> Result<Article, String> {
    CALLS.add();
    Ok(Article { id, title: "x".to_owned(), words })
}

#[cached(unless = Vec::is_empty(result), ttl = Duration::from_secs(7), tags = ["lists"])]
async fn list(length: usize) -> Vec<u8> {
    CALLS.add();
    vec![0; length]
}

#[cached(unless = {
    if *result == 0 {
        return true;
    }
    result.checked_sub(limit).is_some()
})]
async fn early(n: u32, limit: u32) -> u32 {
    CALLS.add();
    n
}

struct Service {
    limit: usize,
}

impl Service {
    #[cached(unless = result.len() > self.limit)]
    async fn text(&self, text: &str) -> String {
        CALLS.add();
        text.to_owned()
    }
}

#[test]
fn runs() {
    run(async {
        let cache = cachemacro::Cache::current();
        assert_send(with_arguments(1, "A".to_owned())).await;
        with_arguments(1, "A".to_owned()).await;
        assert_eq!(CALLS.count(), 1);
        cache.evict_tags(["words:3"]).await.unwrap();
        with_arguments(1, "A".to_owned()).await;
        assert_eq!(CALLS.count(), 2);
        with_arguments(1, "a".to_owned()).await;
        with_arguments(1, "a".to_owned()).await;
        assert_eq!(CALLS.count(), 4, "its title is lower case, so it is not stored");

        for _ in 0..2 {
            assert_eq!(assert_send(one_argument_in_all("name".to_owned())).await, "name!");
            assert_eq!(assert_send(put_with_one_argument_in_all("name".to_owned())).await, "name!");
        }
        assert_eq!(CALLS.count(), 5);

        article(1, 3).await.unwrap();
        assert!(article_entry(1, 3).ttl().await.unwrap().unwrap() <= Duration::from_secs(1));
        article(1, 11).await.unwrap();
        assert!(article_entry(1, 11).ttl().await.unwrap().unwrap() > Duration::from_secs(86_400));
        cache.evict_tags(["words:11"]).await.unwrap();
        assert!(article_entry(1, 3).has().await.unwrap());
        assert!(!article_entry(1, 11).has().await.unwrap());

        let before = CALLS.count();
        for length in [0, 0, 1, 1] {
            list(length).await;
        }
        assert_eq!(CALLS.count(), before + 3);
        for n in [0, 0, 5, 5, 1, 1] {
            early(n, 3).await;
        }
        assert_eq!(CALLS.count(), before + 8);
        let service = Service { limit: 1 };
        for text in ["a", "a", "ab", "ab"] {
            service.text(text).await;
        }
        assert_eq!(CALLS.count(), before + 11);
    });
}
