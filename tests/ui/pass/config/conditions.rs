//! Attributes and functions that are there under conditions.
use cachemacro::{Cache, cache_config, cache_evict, cached};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

struct Files;

#[cache_config(prefix = "files")]
impl Files {
    #[cfg(not(any()))]
    #[cached(key = "{id}", entry = file_entry)]
    async fn file(&self, id: u32) -> u32 {
        CALLS.add();
        id
    }

    #[cached(key = "{id}", entry = file_entry)]
    #[cfg(any())]
    async fn file(&self, id: u32) -> u32 {
        id + 1
    }

    #[cfg_attr(not(any()), cached(key = "of:{user}", entry = of_entry), must_use)]
    #[cfg_attr(any(), cached(key = "of:{user}", entry = of_entry))]
    async fn of(&self, user: u32) -> u32 {
        CALLS.add();
        user
    }

    #[cfg_attr(not(any()), cfg_attr(not(any()), cache_evict(key = "{id}")))]
    async fn delete(&self, id: u32) {
        let _ = id;
    }
}

trait Repo {
    async fn get(&self, id: u32) -> u32;
    async fn by_name(&self, name: &str) -> u32;
}

struct Users(Cache);

#[cache_config(cache = self.0)]
#[cfg(not(any()))]
impl Repo for Users {
    #[cfg(not(any()))]
    #[cached(entry = user_entry)]
    async fn get(&self, id: u32) -> u32 {
        CALLS.add();
        id
    }

    #[cfg(any())]
    #[cached(entry = user_entry)]
    async fn get(&self, id: u32) -> u32 {
        id + 1
    }

    #[cfg_attr(not(any()), cached(entry = name_entry))]
    #[cfg_attr(any(), cached(entry = name_entry))]
    async fn by_name(&self, name: &str) -> u32 {
        CALLS.add();
        name.len() as u32
    }
}

#[cache_config]
#[cfg(any())]
impl Repo for NoSuchType {
    #[cached(entry = user_entry)]
    async fn get(&self, id: u32) -> u32 {
        id
    }
}

#[cached(entry = absent_entry)]
async fn absent(
    a: u32,
    #[cfg(any())] x: impl std::fmt::Display,
    #[cfg(not(any()))] y: impl AsRef<str> + serde::Serialize,
) -> u32 {
    CALLS.add();
    a + y.as_ref().len() as u32
}

#[cached(prefix = "twin", entry = twin_entry)]
#[cfg(not(any()))]
async fn twin(id: u32) -> u32 {
    id
}

#[cached(prefix = "twin", entry = twin_entry)]
#[cfg_attr(not(any()), cfg(any()))]
async fn twin(id: u32) -> u32 {
    id
}

#[test]
fn runs() {
    run(async {
        let users = Users(Cache::memory());
        for _ in 0..2 {
            assert_eq!((Files.file(1).await, Files.of(1).await), (1, 1));
            assert_eq!((users.get(1).await, users.by_name("ada").await), (1, 3));
            assert_eq!(absent(1, "ab").await, 3);
        }
        assert_eq!(CALLS.count(), 5);
        assert_eq!(Files::of_entry(1).key().unwrap().as_str(), "files:of:1", "a default reaches it");
        assert!(Files::of_entry(1).has().await.unwrap());
        Files.delete(1).await;
        assert!(!Files::file_entry(1).has().await.unwrap());
        assert!(users.user_entry(1).has().await.unwrap());
        assert!(users.name_entry("ada").has().await.unwrap());
        assert!(absent_entry(1, &"ab").has().await.unwrap());
        twin(1).await;
        assert!(twin_entry(1).has().await.unwrap());
    });
}
