//! Functions of one prefix whose keys no argument makes equal.
use cachemacro::{Cache, cache_config, cached};
use cachemacro_tests::attributes::run;

struct Users;

#[cache_config(prefix = "users")]
impl Users {
    #[cached(key = "{id}", entry = id_entry)]
    async fn by_id(&self, id: &str) -> u32 {
        let _ = id;
        1
    }

    #[cached(key = "by-name:{name}", entry = name_entry)]
    async fn by_name(&self, name: &str) -> u32 {
        let _ = name;
        2
    }

    #[cached(key = ("email", email.trim()), entry = email_entry)]
    async fn by_email(&self, email: &str) -> u32 {
        let _ = email;
        3
    }

    #[cached(key = "page:{size}-{page}", entry = page_entry)]
    async fn pages(&self, size: u32, page: u32) -> u32 {
        size + page
    }

    #[cached(entry = three_entry)]
    async fn three(&self, (a, b): (u32, u32), c: u32) -> u32 {
        a + b
    }

    #[cached(key = "all:by-age:down:")]
    async fn all(&self, _cache: &Cache) -> u32 {
        4
    }

    #[cfg(not(any()))]
    #[cached(key = "all:by-name")]
    async fn twin(&self) -> u32 {
        5
    }

    #[cfg(any())]
    #[cached(key = "all:by-name")]
    async fn twin(&self) -> u32 {
        6
    }
}

#[test]
fn runs() {
    run(async {
        let texts = ["", "all", "by-name", "email", "1-2", ":", "email:x", "page"];
        let mut entries = vec![Users::page_entry(1, 2), Users::three_entry((1, 2), 3)];
        for text in texts {
            entries.extend([Users::id_entry(text), Users::name_entry(text), Users::email_entry(text)]);
        }
        let keys: Vec<_> = entries.iter().map(|entry| entry.key().unwrap().as_str()).collect();
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[at + 1..].contains(key), "{key} twice in {keys:?}");
        }
        assert_eq!(
            (Users.by_id("all").await, Users.by_name("all").await, Users.by_email("all").await),
            (1, 2, 3)
        );
        assert_eq!(
            (Users.all(&Cache::memory()).await, Users.twin().await, Users.pages(1, 2).await),
            (4, 5, 3)
        );
        assert_eq!(Users.three((1, 2), 3).await, 3);
    });
}
