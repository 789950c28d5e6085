use cachemacro::{Cache, WriteBehind, cache_write_behind, cached};
use cachemacro_tests::attributes::{assert_send, run};

type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

struct Users {
    cache: Cache,
    renames: WriteBehind<String>,
}

impl Users {
    #[cached(prefix = "queued-user", key = "{id}", cache = self.cache, entry = user_entry, value = String, write_behind = self.renames)]
    async fn name(&self, id: u32) -> Outcome<Option<String>> {
        Ok((id == 1).then(|| "loaded".to_owned()))
    }

    /// The body takes what the options name.
    #[cache_write_behind(
        entry = self.user_entry(id),
        queue = self.renames,
        tags = ["users", "of:{org}", "named:{result}", format!("{org}:{}", result.len())],
    )]
    async fn rename(&self, org: String, id: u32, name: String) -> Outcome<String> {
        drop(org);
        Ok(name)
    }

    #[cache_write_behind(entry = self.user_entry(id), queue = self.renames, tags = all_tags(id))]
    fn rename_later(&self, id: u32) -> impl Future<Output = Outcome<Option<String>>> + Send {
        async move { Ok((id > 0).then(|| id.to_string())) }
    }

    #[cache_write_behind(entry = self.user_entry(id), queue = self.renames, delete, tags = ["users"])]
    async fn remove(&self, id: u32) -> Outcome<impl Sized> {
        Ok(id)
    }

    #[cache_write_behind(entry = self.user_entry(*result), queue = &self.renames, delete)]
    async fn remove_newest(&self) -> Outcome<u32> {
        Ok(1)
    }
}

fn all_tags(id: u32) -> [String; 1] {
    [id.to_string()]
}

#[test]
fn what_a_function_returns_is_written_by_a_queue() {
    run(async {
        let cache = Cache::memory();
        let renames = WriteBehind::named("renames").volatile(true).connect(&cache).await.expect("it starts");
        let users = Users { cache, renames };
        assert_eq!(users.name(1).await.expect("it loads").as_deref(), Some("loaded"));
        let renamed = assert_send(users.rename("org".to_owned(), 1, "Ada".to_owned())).await;
        assert_eq!(renamed.expect("it is accepted"), "Ada");
        assert_eq!(users.name(1).await.expect("it is pending").as_deref(), Some("Ada"));
        users.rename_later(2).await.expect("it is accepted");
        assert_eq!(users.name(2).await.expect("it is pending").as_deref(), Some("2"));
        users.remove(2).await.expect("it is accepted");
        assert_eq!(users.name(2).await.expect("it is pending"), None);
        users.remove_newest().await.expect("it is accepted");
        assert_eq!(users.name(1).await.expect("it is pending"), None);
        assert_eq!(users.renames.stats().await.expect("it answers").depth, 4);
    });
}
