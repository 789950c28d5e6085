//! What a macro's arguments do not mention is neither cloned nor taken by the entry's function.
use cachemacro::{Cache, cache_evict, cached};
use cachemacro_tests::attributes::run;

/// Neither `Clone` nor `Serialize`.
struct Db;

impl Db {
    async fn one(&self) -> usize {
        1
    }
}

#[cached(prefix = "closure", key = id, tags = vec![format!("n:{}", result.len())])]
async fn tags(db: Db, id: u64) -> String {
    format!("{}{id}", consumed(db).await)
}

#[cached(prefix = "unless", key = id, unless = !matches!(result.len(), 1..=3))]
async fn unless(db: Db, id: u64) -> String {
    format!("{}{id}", consumed(db).await)
}

async fn consumed(db: Db) -> usize {
    db.one().await
}

#[cached(prefix = "range", key = matches!(n, 1..=3), entry = range_entry)]
async fn range(db: Db, n: u8) -> usize {
    db.one().await + usize::from(n)
}

#[cached(prefix = "guard", key = matches!(n, Some(x) if x>3), entry = guard_entry)]
async fn guard(db: Db, n: Option<u8>) -> usize {
    db.one().await + usize::from(n.unwrap_or_default())
}

#[cached(prefix = "path", key = matches!(n, std::option::Option::Some(-1)), entry = path_entry)]
async fn path(db: Db, n: Option<i8>) -> bool {
    db.one().await == 1 && n.is_some()
}

#[cached(prefix = "call", key = format!("{:?}", std::cmp::min(name.len(), 4)), entry = call_entry)]
async fn call(db: Db, name: String) -> usize {
    db.one().await + name.len()
}

#[cached(prefix = "minus", key = format!("{}", -n), entry = minus_entry)]
async fn minus(db: Db, n: i8) -> bool {
    db.one().await == 1 && n > 0
}

#[cached(prefix = "slice", key = format!("{}", &name[1..]), entry = slice_entry)]
async fn slice(db: Db, name: String) -> usize {
    db.one().await + name.len()
}

#[cached(prefix = "star", key = format!("{}", &*name), entry = star_entry)]
async fn star(db: Db, name: String) -> usize {
    db.one().await + name.len()
}

#[cached(prefix = "inside", key = format!("{}", n.map_or(1, |n: u8| -> u8 { n + 1 })), entry = inside_entry)]
async fn inside(db: Db, n: Option<u8>) -> usize {
    db.one().await + usize::from(n.unwrap_or_default())
}

#[cached(prefix = "pairs", key = vec![(n,2), (n,3)], entry = pairs_entry)]
async fn pairs(db: Db, n: u8) -> usize {
    db.one().await + usize::from(n)
}

#[cached(prefix = "calls", key = vec![name.len(), std::cmp::max(1, 2)], entry = calls_entry)]
async fn calls(db: Db, name: String) -> usize {
    db.one().await + name.len()
}

#[cached(prefix = "nested", key = vec![format!("{}", -1 - i64::from(*n)), "x".to_owned()], entry = nested_entry)]
async fn nested(db: Db, n: &u8) -> usize {
    db.one().await + usize::from(*n)
}

#[cache_evict(prefix = "late", key = matches!(result + n, 1..=3), cache = cache)]
async fn late(cache: &'static Cache, db: Db, n: usize) -> usize {
    consumed(db).await + n
}

#[test]
fn runs() {
    run(async {
        assert_eq!(tags(Db, 1).await, "11");
        assert_eq!(unless(Db, 1).await, "11");
        range(Db, 2).await;
        assert_eq!(range_entry(2).get().await.unwrap(), Some(3));
        guard(Db, Some(4)).await;
        assert_eq!(guard_entry(Some(9)).get().await.unwrap(), Some(5));
        path(Db, Some(-1)).await;
        assert!(path_entry(Some(-1)).has().await.unwrap());
        call(Db, "abcdef".to_owned()).await;
        assert_eq!(call_entry("abcde".to_owned()).get().await.unwrap(), Some(7));
        minus(Db, 1).await;
        assert_eq!(minus_entry(1).key().unwrap().as_str(), "minus:-1");
        slice(Db, "abc".to_owned()).await;
        assert_eq!(slice_entry("xbc".to_owned()).get().await.unwrap(), Some(4));
        star(Db, "abc".to_owned()).await;
        assert!(star_entry("abc".to_owned()).has().await.unwrap());
        inside(Db, Some(1)).await;
        assert_eq!(inside_entry(Some(1)).key().unwrap().as_str(), "inside:2");
        pairs(Db, 1).await;
        assert!(pairs_entry(1).has().await.unwrap());
        calls(Db, "abc".to_owned()).await;
        assert!(calls_entry("abc".to_owned()).has().await.unwrap());
        nested(Db, &1).await;
        assert!(nested_entry(1).has().await.unwrap());
        let cache: &'static Cache = Box::leak(Box::new(Cache::memory()));
        assert_eq!(late(cache, Db, 1).await, 2);
    });
}
