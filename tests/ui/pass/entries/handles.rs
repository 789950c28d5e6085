//! What an entry is good for besides evicting it.
use std::time::Duration;

use cachemacro::{Cache, Entry, Lookup, cached};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

mod users {
    use cachemacro::cached;

    #[cached(prefix = "name", key = "{id}", ttl = "1m", entry = pub name_entry)]
    pub async fn name(id: u64) -> Option<String> {
        super::CALLS.add();
        (id > 0).then(|| format!("user {id}"))
    }

    pub mod inner {
        #[cachemacro::cached(prefix = "inner", entry = pub(in super::super) inner_entry)]
        pub(in super::super) async fn inner(id: u64) -> u64 {
            id
        }
    }
}

use users::inner::{inner, inner_entry};
use users::{name, name_entry};

#[cached(entry = of_scope_entry)]
async fn of_scope(id: u64) -> u64 {
    CALLS.add();
    id
}

/// Entries are owned: they outlive what they were made from.
fn entry_of(text: &str) -> Entry<String> {
    let number: u64 = text.len() as u64;
    name_entry(&number)
}

#[test]
fn runs() {
    run(async {
        name(3).await;
        assert_eq!(entry_of("abc").get().await.unwrap().as_deref(), Some("user 3"));
        let entry = name_entry(4);
        assert_eq!(entry.get_or_load(async || "loaded".to_owned()).await, "loaded");
        assert_eq!(name(4).await.as_deref(), Some("loaded"));
        assert!(entry.ttl().await.unwrap().unwrap() <= Duration::from_secs(60));
        assert!(entry.evict().await.unwrap());
        match entry.lookup().await.unwrap() {
            Lookup::Vacant(vacancy) => assert!(vacancy.fill(&"filled".to_owned()).await.unwrap().is_stored()),
            Lookup::Hit(hit) => panic!("{}", *hit),
        }
        assert_eq!(name(4).await.as_deref(), Some("filled"));
        let short = name_entry(5).with_ttl(Duration::ZERO);
        short.set(&"x".to_owned()).await.unwrap();
        assert!(!short.has().await.unwrap());
        inner(1).await;
        assert!(inner_entry(1).has().await.unwrap());
        let before = CALLS.count();
        Cache::memory()
            .scope(async {
                of_scope(1).await;
                of_scope(1).await;
                assert!(of_scope_entry(1).has().await.unwrap());
            })
            .await;
        assert!(!of_scope_entry(1).has().await.unwrap(), "another cache");
        assert_eq!(CALLS.count(), before + 1);
    });
}
