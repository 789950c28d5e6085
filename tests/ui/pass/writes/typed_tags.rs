use cachemacro::{Cache, Removals, Tag, cache_evict, cache_put, cached};

#[derive(Tag, Debug, Clone, Copy, PartialEq)]
enum Of<'a> {
    Users,
    UserLists,
    Org(u32),
    #[tag("shelf:{shop}/{name}")]
    Shelf {
        shop: u32,
        name: &'a str,
    },
    r#Type(u8, u8),
    #[tag("{0}th")]
    Nth(u8),
}

#[derive(Tag)]
enum Never {}

#[cached(prefix = "user", key = "{id}", tags = [Of::Users, Of::Org(org), "all"], entry = user_entry)]
async fn user(org: u32, id: u64) -> u64 {
    id + u64::from(org)
}

#[cached(tags = [Of::Org(org)])]
fn sync_user(org: u32) -> u32 {
    org
}

#[cached(tags = |org| vec![Of::Org(*org)])]
async fn by_closure(org: u32) -> u32 {
    org
}

#[cached(tags = [Of::Org(*result)])]
async fn late(org: u32) -> u32 {
    org
}

#[cache_put(entry = user_entry(org, id))]
#[cache_evict(tags = [Of::UserLists, Of::Org(org)])]
async fn rename(org: u32, id: u64) -> u64 {
    id + u64::from(org)
}

#[tokio::test]
async fn variants_of_an_enum_are_tags_wherever_a_tag_is_taken() {
    let shelf = Of::Shelf { shop: 7, name: "a/b c" };
    assert_eq!(shelf.text(), "shelf:7/a/b%20c", "escaped as in templates");
    let texts = [Of::Users, Of::UserLists, Of::Org(3), Of::Type(1, 2)].map(String::from);
    assert_eq!(texts, ["users", "user-lists", "org:3", "type:1:2"]);

    assert_eq!(Of::Nth(7).text(), "7:th", "as in templates, a colon ends what a letter follows");

    let cache = Cache::memory();
    let calls = async {
        let loads = || cache.stats().total.loads;
        let all = async || (user(3, 7).await, late(3).await, by_closure(3).await, sync_user(3));
        all().await;
        assert_eq!(loads(), 4);
        cache.evict_tags(&[Of::Org(3)]).await.unwrap();
        all().await;
        assert_eq!(loads(), 8, "all of them carried it");
        // The same tag as text.
        cache.evict().tags(["org:3"]).await.unwrap();
        user(3, 7).await;
        assert_eq!(loads(), 9);
        rename(3, 7).await;
        cache.apply(&Removals::new().tags([Of::Users])).await.unwrap();
        assert_eq!(user_entry(3, 7).get().await.unwrap(), None);
        let entry = cache.entry("n", 1).with_tags([Of::Users]);
        entry.set(&1_u8).await.unwrap();
        cache.evict_tags([&Of::Users]).await.unwrap();
        assert_eq!(entry.get().await.unwrap(), None);
    };
    cache.scope(calls).await;
}
