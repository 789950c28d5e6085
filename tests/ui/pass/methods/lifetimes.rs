use std::fmt::Debug;

use cachemacro::{cache_evict, cached};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

struct Repo<'a, C: ?Sized> {
    name: &'a str,
    connection: &'a C,
}

impl<'a, C> Repo<'a, C>
where
    C: Debug + Sync + ?Sized,
{
    #[cached(key = "{self.name}:{id}", entry = find_entry)]
    async fn find<'b>(&'b self, id: u32, hint: &'b str) -> Option<String>
    where
        'a: 'b,
    {
        CALLS.add();
        Some(format!("{:?}{hint}{id}", self.connection))
    }

    #[cached(prefix = "explicit", key = "{name}", entry = explicit_entry)]
    async fn explicit<'n>(&self, name: &'n str, other: &'n str) -> usize
    where
        'n: 'a,
    {
        CALLS.add();
        name.len() + other.len() + self.name.len()
    }

    #[cache_evict(entry = self.find_entry(id))]
    async fn forget(&self, id: u32) {
        let _ = id;
    }
}

#[test]
fn runs() {
    run(async {
        let repo = Repo { name: "r", connection: "c" };
        assert_eq!(repo.find(1, "x").await.as_deref(), Some("\"c\"x1"));
        assert_eq!(repo.find(1, "y").await.as_deref(), Some("\"c\"x1"));
        repo.forget(1).await;
        assert_eq!(repo.find(1, "y").await.as_deref(), Some("\"c\"y1"));
        assert_eq!(repo.explicit("ab", "c").await, 4);
        assert!(Repo::<str>::explicit_entry("ab").has().await.unwrap());
        assert_eq!(CALLS.count(), 3);
    });
}
