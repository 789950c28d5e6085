use std::time::Duration;

use cachemacro::{Cache, cache_config, cache_evict, cache_put, cached, codec};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

struct Users {
    cache: Cache,
}

#[cache_config(prefix = "users", ttl = "10s", jitter = "0%", tags = ["users", "tenant:{self.tenant()}"], cache = self.cache, codec = codec::Json)]
impl Users {
    fn tenant(&self) -> u8 {
        let _ = &self.cache;
        7
    }

    #[cached(key = "{id}", entry = user_entry)]
    async fn user(&self, id: u32) -> Option<u32> {
        CALLS.add();
        Some(id)
    }

    #[cached(key = "by-name:{name}", ttl = "1h", tags = [], entry = named_entry)]
    async fn named(&self, name: &str) -> Option<usize> {
        CALLS.add();
        Some(name.len())
    }

    #[cached(prefix = "other", cache = cache, tags = ["other"], skip(cache), entry = other_entry)]
    async fn without_self(cache: &Cache, id: u32) -> u32 {
        let _ = cache;
        id
    }

    #[cache_put(key = "{id}")]
    async fn put(&self, id: u32) -> u32 {
        id + 1
    }

    #[cache_evict(key = "{id}")]
    async fn evict(&self, id: u32) {
        let _ = id;
    }

    #[cache_evict(entry = self.user_entry(id))]
    async fn evict_entry(&self, id: u32) {
        let _ = id;
    }

    #[cache_evict(all)]
    async fn evict_all(&self) {}

    #[cache_evict(tags = ["users"])]
    async fn evict_tag(&self) {}
}

#[test]
fn runs() {
    run(async {
        let users = Users { cache: Cache::memory() };
        users.user(1).await;
        assert_eq!(users.user_entry(1).key().unwrap().as_str(), "users:1");
        assert_eq!(
            users.cache.get::<u32>("users", 1).await.unwrap(),
            None,
            "it is stored with another codec"
        );
        let ttl = users.user_entry(1).ttl().await.unwrap().unwrap();
        assert!(ttl <= Duration::from_secs(10));
        users.named("ada").await;
        assert!(users.named_entry("ada").ttl().await.unwrap().unwrap() > Duration::from_secs(60));
        users.evict_tag().await;
        assert!(!users.user_entry(1).has().await.unwrap());
        assert!(users.named_entry("ada").has().await.unwrap(), "its own list of tags replaced the default");
        users.put(1).await;
        assert_eq!(users.user_entry(1).get().await.unwrap(), Some(2), "a put has the defaults too");
        users.user(2).await;
        users.evict(1).await;
        assert!(!users.user_entry(1).has().await.unwrap());
        assert!(users.user_entry(2).has().await.unwrap(), "tags never reach an evict by key");
        users.user(1).await;
        users.evict_entry(1).await;
        assert!(!users.user_entry(1).has().await.unwrap());
        assert!(users.user_entry(2).has().await.unwrap(), "nor one by entry");
        users.user(1).await;
        let tagged = users.cache.entry::<u32>("elsewhere", 1).with_tags(["users", "tenant:7"]);
        tagged.set(&1).await.unwrap();
        users.evict_all().await;
        assert!(!users.user_entry(1).has().await.unwrap());
        assert!(!users.user_entry(2).has().await.unwrap());
        assert!(tagged.has().await.unwrap(), "nor one of the prefix");
        assert!(!users.named_entry("ada").has().await.unwrap());
        Users::without_self(&users.cache, 1).await;
        assert!(Users::other_entry(&users.cache, 1).has().await.unwrap());
    });
}
