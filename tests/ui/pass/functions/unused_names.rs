//! Arguments whose names begin with `_`.
use cachemacro::{cache_put, cached};
use cachemacro_tests::attributes::run;
use serde::Serialize;

#[derive(Clone, Serialize)]
struct Page {
    _number: u32,
    size: u32,
}

#[cached(entry = by_default_entry)]
async fn by_default(_id: u64, (_a, b): (u8, u8), Page { _number, size }: Page, __two: u8) -> u64 {
    u64::from(b) + u64::from(size)
}

#[cached(key = "{_page._number}:{_page.size}", entry = by_field_entry)]
async fn by_field(_page: Page) -> u64 {
    7
}

#[cached(key = format!("{_id}"), entry = by_text_entry)]
async fn by_text(_id: u64) -> u64 {
    7
}

#[cached(key = |_id| _id + 1, tags = [format!("id:{_id}"), format!("{_id}:{result}")])]
async fn by_closure(_id: u64) -> u64 {
    7
}

#[cached]
async fn used_after_all(_id: u64) -> u64 {
    _id
}

#[cached(entry = by_type_entry)]
async fn by_type(_shown: impl ToString + Serialize, _list: &[u8]) -> u64 {
    7
}

#[cache_put(prefix = "unused", key = "{_id}:{result}", condition = _id > 0)]
async fn put(_id: u64) -> u64 {
    7
}

#[test]
fn runs() {
    run(async {
        let page = || Page { _number: 1, size: 2 };
        assert_eq!(by_default(1, (2, 3), page(), 4).await, 5);
        assert!(by_default_entry(1, (2, 3), page(), 4).has().await.unwrap());
        assert!(!by_default_entry(2, (2, 3), page(), 4).has().await.unwrap());
        assert!(!by_default_entry(1, (4, 3), page(), 4).has().await.unwrap());
        by_field(page()).await;
        assert!(by_field_entry(&page()).has().await.unwrap());
        by_text(1).await;
        assert!(by_text_entry(1).has().await.unwrap());
        assert_eq!((by_closure(1).await, used_after_all(1).await, used_after_all(2).await), (7, 1, 2));
        by_type("x", &[1]).await;
        assert!(by_type_entry(&"x", &[1]).has().await.unwrap());
        assert_eq!(put(1).await, 7);
    });
}
