use std::time::Duration;

use cachemacro::{Cache, cache_evict, cache_put, cached};
use cachemacro_tests::attributes::{Calls, assert_send, run};
use serde::{Deserialize, Serialize};

static CALLS: Calls = Calls::new();

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    id: u32,
    org: u32,
    name: String,
}

#[cached(prefix = "user", key = "{org}:{id}", tags = ["org:{org}"], unless = result.name.is_empty(), entry = user_entry)]
async fn user(org: u32, id: u32) -> Result<Option<User>, String> {
    CALLS.add();
    Ok(Some(User { id, org, name: "loaded".to_owned() }))
}

#[cache_put(entry = user_entry(org, id))]
async fn rename(org: u32, id: u32, name: String) -> Result<User, String> {
    if name == "bad" {
        return Err(name);
    }
    Ok(User { id, org, name })
}

#[cache_put(entry = user_entry(&org, id), condition = id != 2, unless = result.name == "secret")]
async fn perhaps(org: u32, id: u32, name: &str) -> Option<User> {
    (!name.is_empty()).then(|| User { id, org, name: name.to_owned() })
}

#[cache_put(prefix = "user", key = "{org}:{id}", ttl = "1m", tags = ["org:{org}", "name:{result.name}"], on_err = "evict")]
async fn by_key(org: u32, id: u32, name: String) -> Result<User, String> {
    if name == "bad" { Err(name) } else { Ok(User { id, org, name }) }
}

#[cache_put(
    prefix = "user", key = (org, id), ttl = Duration::from_secs(result.name.len() as u64),
    tags = [format!("org:{org}"), format!("name:{}", result.name)], unless = result.name == forbidden,
)]
async fn with_rules(org: u32, id: u32, forbidden: String) -> User {
    User { id, org, name: forbidden.replace('x', "y") }
}

#[cache_put(prefix = "user", key = "{result.org}:{result.id}")]
async fn key_from_result(user: User) -> Result<User, String> {
    Ok(user)
}

#[cache_put(entry = user_entry(result.org, result.id), condition = really)]
async fn entry_from_result(user: User, really: bool) -> User {
    let _ = really;
    user
}

struct Service {
    cache: Cache,
}

impl Service {
    #[cached(prefix = "own", cache = self.cache, entry = own_entry)]
    async fn own(&self, id: String) -> String {
        CALLS.add();
        id
    }

    #[cache_put(entry = self.own_entry(id))]
    async fn store(&mut self, id: String, value: String) -> String {
        drop(id);
        value
    }

    #[cache_put(entry = self.own_entry(id).with_tags(tags).with_ttl(ttl))]
    async fn store_tagged(&self, id: String, tags: Vec<String>, ttl: Duration, value: String) -> String {
        drop((id, tags, ttl));
        value
    }

    #[cache_evict(entry = self.own_entry(id).with_tags(["x"]))]
    async fn forget(&self, id: String) {
        drop(id);
    }

    #[cache_put(prefix = "own", key = "{result}", cache = self.cache, tags = ["{self.cache:?}"])]
    async fn store_owned(self, value: String) -> String {
        value
    }
}

#[cached(prefix = "perhaps", key = "{id}", cache_none, entry = row_entry)]
async fn row(id: u32) -> Option<u32> {
    CALLS.add();
    Some(id + 6)
}

#[cache_put(prefix = "perhaps", key = "{id}", cache_none, none_ttl = "1m")]
async fn rows_of(id: u32, row: Option<u32>) -> Option<u32> {
    let _ = id;
    row
}

#[cache_put(entry = row_entry(id))]
async fn rows_of_entry(id: u32, row: Option<u32>) -> Option<u32> {
    let _ = id;
    row
}

#[cache_put(prefix = "perhaps", key = "{id}")]
async fn rows_unless_none(id: u32, row: Option<u32>) -> Option<u32> {
    let _ = id;
    row
}

async fn name_of(org: u32, id: u32) -> Option<String> {
    user_entry(org, id).get().await.unwrap().map(|user| user.name)
}

#[test]
fn runs() {
    run(async {
        let cache = cachemacro::Cache::current();
        user(1, 1).await.unwrap();
        assert_send(rename(1, 1, "a".to_owned())).await.unwrap();
        assert_eq!(name_of(1, 1).await.as_deref(), Some("a"));
        rename(1, 1, "bad".to_owned()).await.unwrap_err();
        assert_eq!(name_of(1, 1).await.as_deref(), Some("a"), "an error leaves the cache as it was");
        cache.evict_tags(["org:1"]).await.unwrap();
        assert_eq!(name_of(1, 1).await, None, "a put has the tags of the site");
        rename(1, 1, String::new()).await.unwrap();
        assert_eq!(name_of(1, 1).await, None, "a put has the rules of the site");

        perhaps(1, 1, "b").await;
        assert_eq!(name_of(1, 1).await.as_deref(), Some("b"));
        perhaps(1, 1, "secret").await;
        assert_eq!(name_of(1, 1).await, None, "what is not stored evicts");
        perhaps(1, 1, "b").await;
        perhaps(1, 1, "").await;
        assert_eq!(name_of(1, 1).await, None, "None evicts");
        perhaps(1, 2, "b").await;
        assert_eq!(name_of(1, 2).await, None, "the condition was false");

        by_key(1, 1, "c".to_owned()).await.unwrap();
        assert_eq!(name_of(1, 1).await.as_deref(), Some("c"));
        cache.evict_tags(["name:c"]).await.unwrap();
        assert_eq!(name_of(1, 1).await, None);
        by_key(1, 1, "c".to_owned()).await.unwrap();
        by_key(1, 1, "bad".to_owned()).await.unwrap_err();
        assert_eq!(name_of(1, 1).await, None, "`on_err` evicts");

        assert_send(with_rules(1, 1, "xxx".to_owned())).await;
        assert_eq!(name_of(1, 1).await.as_deref(), Some("yyy"));
        assert!(user_entry(1, 1).ttl().await.unwrap().unwrap() <= Duration::from_secs(4));
        with_rules(1, 1, "d".to_owned()).await;
        assert_eq!(name_of(1, 1).await, None);

        let given = User { id: 1, org: 1, name: "e".to_owned() };
        user(1, 1).await.unwrap();
        key_from_result(given.clone()).await.unwrap();
        assert_eq!(name_of(1, 1).await, None, "a put that learns its key from the result evicts");
        user(1, 1).await.unwrap();
        entry_from_result(given.clone(), false).await;
        assert!(name_of(1, 1).await.is_some());
        entry_from_result(given, true).await;
        assert_eq!(name_of(1, 1).await, None);

        let mut service = Service { cache: Cache::memory() };
        service.own("1".to_owned()).await;
        service.store("1".to_owned(), "x".to_owned()).await;
        assert_eq!(service.own_entry("1".to_owned()).get().await.unwrap().as_deref(), Some("x"));
        let own = service.cache.clone();
        let (tags, ttl) = (vec!["t".to_owned()], Duration::from_secs(9));
        service.store_tagged("2".to_owned(), tags, ttl, "x".to_owned()).await;
        let second = service.own_entry("2".to_owned());
        assert!(second.ttl().await.unwrap().unwrap() <= ttl);
        own.evict_tags(["t"]).await.unwrap();
        assert!(!second.has().await.unwrap());
        service.own("2".to_owned()).await;
        service.forget("2".to_owned()).await;
        assert!(!second.has().await.unwrap());
        cache.set("own", "x", &"elsewhere".to_owned()).await.unwrap();
        own.set("own", "x", &"old".to_owned()).await.unwrap();
        own.set("own", "y", &"another".to_owned()).await.unwrap();
        assert_eq!(service.store_owned("x".to_owned()).await, "x");
        let left = async |cache: &Cache, id: &str| cache.get::<String>("own", id).await.unwrap();
        assert_eq!(left(&own, "x").await, None, "it learned its key from the result, so it evicts");
        assert_eq!(left(&own, "y").await.as_deref(), Some("another"));
        assert_eq!(left(&cache, "x").await.as_deref(), Some("elsewhere"), "not the scoped cache's");

        let (calls, id) = (CALLS.count(), 1);
        rows_of(id, None).await;
        assert_eq!(row(id).await, None, "that there is none was written through");
        rows_of(id, Some(2)).await;
        assert_eq!(row(id).await, Some(2));
        rows_of_entry(id, None).await;
        assert_eq!(row(id).await, None, "and by the entry of a site that stores it");
        assert_eq!(CALLS.count(), calls);
        rows_unless_none(id, None).await;
        assert_eq!(row(id).await, Some(7), "evicted, so loaded");
        assert_eq!(CALLS.count(), calls + 1);
    });
}
