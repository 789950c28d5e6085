//! Options that are the same for every call, and those over the arguments.
use std::time::Duration;

use cachemacro::{Cache, cached, codec};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

const VERSION: u32 = 3;
const TTL: Duration = Duration::from_secs(90);
const PREFIX: &str = "from-a-constant";

#[cached(
    prefix = PREFIX,
    ttl = "1h30m",
    jitter = "0%",
    wait = "0s",
    lease_limit = Duration::from_secs(30),
    version = VERSION,
    codec = codec::Json,
    cache_none,
    none_ttl = "250ms",
    entry = everything_entry,
)]
async fn everything(id: u32) -> Option<u32> {
    CALLS.add();
    Some(id)
}

#[cached(ttl = TTL, entry = constant_entry)]
async fn constant(id: u32) -> u32 {
    id
}

#[cached(ttl = Duration::from_secs(u64::from(seconds) * 2), jitter = "0%", entry = computed_entry)]
async fn computed(id: u32, seconds: u32) -> u32 {
    id + seconds
}

#[cached(ttl = if seconds == 0 { "0s" } else { "5m" }.len_as_ttl(), entry = odd_entry)]
async fn odd(seconds: u32) -> u32 {
    seconds
}

#[cached(ttl = "never", entry = forever_entry)]
async fn forever(id: u32) -> u32 {
    id
}

#[cached(ttl = "never", tags = ["forever"], entry = tagged_forever_entry)]
async fn tagged_forever(id: u32) -> u32 {
    id
}

trait LenAsTtl {
    fn len_as_ttl(&self) -> Duration;
}

impl LenAsTtl for str {
    fn len_as_ttl(&self) -> Duration {
        Duration::from_secs(self.len() as u64)
    }
}

#[cached(ttl = std::time::Duration::ZERO)]
async fn never_stored(id: u32) -> u32 {
    CALLS.add();
    id
}

#[cached(condition = id > 10 && !name.is_empty())]
async fn conditional(id: u32, name: String) -> usize {
    CALLS.add();
    id as usize + name.len()
}

#[cached(tags = ["all", "user:{id}", extra, format!("{id}/{id}"), CONSTANT_TAG], entry = tagged_entry)]
async fn tagged(id: u32, extra: &str) -> u32 {
    CALLS.add();
    let _ = extra;
    id
}

const CONSTANT_TAG: &str = "constant";

#[cached(tags = ids.iter().map(|id| format!("id:{id}")), entry = tags_of_entry)]
async fn tags_of(ids: Vec<u32>) -> usize {
    CALLS.add();
    ids.len()
}

#[cached(tags = |a, b| [format!("{a}"), format!("{b}")], entry = tags_by_closure_entry)]
async fn tags_by_closure(a: u32, b: u32) -> u32 {
    CALLS.add();
    a + b
}

struct Service {
    cache: Cache,
}

impl Service {
    #[cached(prefix = "own", key = "{id}", cache = self.cache, entry = own_entry)]
    async fn own(&self, id: u32) -> u32 {
        id
    }

    #[cached(prefix = "own", key = "ref:{id}", cache = &self.cache)]
    async fn by_reference(&mut self, id: u32) -> u32 {
        id
    }

    #[cached(prefix = "own", key = "method:{id}", cache = self.cache())]
    async fn by_method(self, id: u32) -> u32 {
        id
    }

    fn cache(&self) -> &Cache {
        &self.cache
    }
}

#[cached(prefix = "own", key = "arg:{id}", cache = cache, entry = by_argument_entry)]
async fn by_argument(cache: &Cache, id: u32) -> u32 {
    id
}

#[test]
fn runs() {
    run(async {
        let cache = cachemacro::Cache::current();
        everything(1).await;
        let left = everything_entry(1).ttl().await.unwrap().unwrap();
        assert!(left > Duration::from_secs(5_300) && left <= Duration::from_secs(5_400));
        assert_eq!(everything_entry(1).key().unwrap().as_str(), "from-a-constant:1");
        constant(1).await;
        assert!(constant_entry(1).has().await.unwrap());
        computed(1, 30).await;
        let left = computed_entry(1, 30).ttl().await.unwrap().unwrap();
        assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(60));
        odd(0).await;
        assert!(odd_entry(0).has().await.unwrap());
        let before = CALLS.count();
        never_stored(1).await;
        never_stored(1).await;
        assert_eq!(CALLS.count(), before + 2);
        for id in [10, 10, 11, 11] {
            conditional(id, "x".to_owned()).await;
        }
        assert_eq!(CALLS.count(), before + 5);
        for tag in ["all", "user:1", "more", "1/1", "constant"] {
            tagged(1, "more").await;
            assert!(tagged_entry(1, "more").has().await.unwrap());
            cache.evict_tags([tag]).await.unwrap();
            assert!(!tagged_entry(1, "more").has().await.unwrap(), "{tag}");
        }
        tags_of(vec![1, 2]).await;
        cache.evict_tags(["id:2"]).await.unwrap();
        assert!(!tags_of_entry(vec![1, 2]).has().await.unwrap());
        for tag in ["1", "2"] {
            tags_by_closure(1, 2).await;
            tags_by_closure(3, 4).await;
            assert!(tags_by_closure_entry(1, 2).has().await.unwrap());
            cache.evict_tags([tag]).await.unwrap();
            assert!(!tags_by_closure_entry(1, 2).has().await.unwrap(), "{tag}");
            assert!(tags_by_closure_entry(3, 4).has().await.unwrap(), "{tag}");
        }
        forever(1).await;
        let left = forever_entry(1).ttl().await.unwrap().unwrap();
        assert!(left > Duration::from_hours(24 * 365), "{left:?}");
        tagged_forever(1).await;
        let left = tagged_forever_entry(1).ttl().await.unwrap().unwrap();
        assert!(left <= Duration::from_hours(24 * 30) && left > Duration::from_hours(24 * 29), "{left:?}");

        let mut service = Service { cache: Cache::memory() };
        let own = service.cache.clone();
        service.own(1).await;
        service.by_reference(1).await;
        assert!(service.own_entry(1).has().await.unwrap());
        service.by_method(1).await;
        by_argument(&own, 1).await;
        for key in ["1", "ref:1", "method:1", "arg:1"] {
            let entry = match key.split_once(':') {
                None => own.entry::<u32>("own", 1),
                Some((word, id)) => own.entry::<u32>("own", (word, id)),
            };
            assert_eq!(entry.get().await.unwrap(), Some(1), "{key}");
        }
        assert!(by_argument_entry(&own, 1).has().await.unwrap());
        assert_eq!(cache.get::<u32>("own", 1).await.unwrap(), None);
    });
}
