use cachemacro::{Cache, cache_evict, cached};
use cachemacro_tests::attributes::{assert_send, run};

#[derive(Debug)]
struct Order {
    id: u32,
    customers: Vec<String>,
}

/// Neither cloneable nor serializable: an evict does not care.
struct Response(std::sync::Mutex<u8>);

#[cached(prefix = "n", key = "{n}", tags = ["even:{n.is_multiple_of(2)}"], entry = n_entry)]
async fn n(n: u32) -> u32 {
    n
}

#[cache_evict(entry = n_entry(id))]
async fn by_entry(id: u32) -> Response {
    Response(std::sync::Mutex::new(u8::try_from(id).unwrap_or_default()))
}

#[cache_evict(prefix = "n", key = "{id}")]
async fn by_key(id: u32) -> Result<(), std::fmt::Error> {
    if id == 0 { Err(std::fmt::Error) } else { Ok(()) }
}

#[cache_evict(prefix = "n", key = |id| id + 1)]
async fn by_closure(id: u32) {
    let _ = id;
}

#[cache_evict(tags = ["even:{even}", "nothing"])]
async fn by_tags(even: bool) {
    let _ = even;
}

#[cache_evict(prefix = "n", all)]
async fn everything() {}

#[cache_evict(entry = n_entry(id))]
async fn opaque(id: u32) -> impl std::fmt::Display + Send {
    if id == 0 {
        return "none".to_owned();
    }
    id.to_string()
}

#[cache_evict(entry = n_entry(id), on_evict_error = "return", tags = ["even:{id}"])]
async fn opaque_inside(
    id: u32,
    text: &str,
) -> Result<impl std::fmt::Display + Send, Box<dyn std::error::Error + Send + Sync>> {
    Ok(text.parse::<u32>()? + id)
}

#[cache_evict(entry = n_entry(id))]
fn opaque_later(id: u32) -> impl Future<Output = Option<impl std::fmt::Display + Send>> + Send {
    async move { Some(id) }
}

#[cache_evict(entries = ids.iter().map(n_entry))]
async fn many(ids: Vec<u32>) {
    drop(ids);
}

#[cache_evict(entries = result.customers.iter().map(|name| n_entry(name.len() as u32)), tags = ["order:{result.id}"])]
async fn from_result(id: u32) -> Option<Order> {
    (id > 0).then(|| Order { id, customers: vec!["a".to_owned(), "ab".to_owned()] })
}

#[cache_evict(prefix = "n", key = "{result}", tags = ["{owner}:{result}", "o:{owner.len()}"])]
async fn mixed(owner: String) -> Result<usize, ()> {
    let length = owner.len();
    drop(owner);
    Ok(length)
}

#[cache_evict(entry = n_entry(id + u32::from(*result)), tags = [format!("{name}{result}")])]
async fn expression(id: u32, name: String) -> u8 {
    drop(name);
    u8::try_from(id).unwrap()
}

#[cache_evict(prefix = "n", all, before)]
async fn before(fail: bool) -> Result<bool, ()> {
    assert!(!n_entry(1).has().await.unwrap(), "it is gone before the body");
    n(1).await;
    if fail { Err(()) } else { Ok(true) }
}

#[cache_evict(entry = n_entry(1), on_err = "evict", on_evict_error = "return")]
async fn on_err(fail: bool) -> Result<(), cachemacro::Error> {
    if fail { Err(cachemacro::Error::new(cachemacro::ErrorKind::Key, "as asked")) } else { Ok(()) }
}

struct Service {
    cache: Cache,
}

impl Service {
    #[cache_evict(tags = ["t:{id}", "r:{result}"], cache = self.cache)]
    async fn own(&mut self, id: u32) -> u32 {
        id
    }

    #[cache_evict(tags = ["{self.id()}:{result}"])]
    async fn late_self(&self) -> u32 {
        self.id()
    }

    fn id(&self) -> u32 {
        let _ = &self.cache;
        7
    }
}

async fn fill() {
    for i in 0..4 {
        n(i).await;
    }
}

async fn left() -> Vec<u32> {
    let mut left = vec![];
    for i in 0..4 {
        left.extend(n_entry(i).get().await.unwrap());
    }
    left
}

#[test]
fn what_is_returned_may_be_opaque() {
    run(async {
        n(1).await;
        assert_eq!(assert_send(opaque(1)).await.to_string(), "1");
        assert!(!n_entry(1).has().await.unwrap());
        assert_eq!(opaque(0).await.to_string(), "none");
        n(1).await;
        assert!(assert_send(opaque_inside(1, "x")).await.is_err());
        assert!(n_entry(1).has().await.unwrap(), "an error leaves the cache as it was");
        assert_eq!(opaque_inside(1, "7").await.map(|shown| shown.to_string()).unwrap(), "8");
        assert!(!n_entry(1).has().await.unwrap());
        n(1).await;
        assert!(assert_send(opaque_later(1)).await.is_some());
        assert!(!n_entry(1).has().await.unwrap());
    });
}

#[test]
fn runs() {
    run(async {
        fill().await;
        assert_eq!(*assert_send(by_entry(1)).await.0.lock().unwrap(), 1);
        assert_eq!(left().await, [0, 2, 3]);
        by_key(0).await.unwrap_err();
        by_key(2).await.unwrap();
        assert_eq!(left().await, [0, 3]);
        by_closure(2).await;
        assert_eq!(left().await, [0]);
        fill().await;
        by_tags(true).await;
        assert_eq!(left().await, [1, 3]);
        everything().await;
        assert_eq!(left().await, [0; 0]);
        fill().await;
        many(vec![1, 2]).await;
        assert_eq!(left().await, [0, 3]);
        fill().await;
        from_result(0).await;
        assert_eq!(left().await, [0, 1, 2, 3]);
        from_result(1).await;
        assert_eq!(left().await, [0, 3]);
        assert_send(mixed("abc".to_owned())).await.unwrap();
        assert_eq!(left().await, [0]);
        fill().await;
        expression(1, "x".to_owned()).await;
        assert_eq!(left().await, [0, 1, 3]);
        fill().await;
        before(true).await.unwrap_err();
        assert_eq!(left().await, [0; 0]);
        fill().await;
        assert_eq!(before(false).await, Ok(true));
        assert_eq!(left().await, [0; 0]);
        fill().await;
        on_err(true).await.unwrap_err();
        assert_eq!(left().await, [0, 2, 3]);
        let mut service = Service { cache: Cache::memory() };
        let (own, current) = (service.cache.clone(), cachemacro::Cache::current());
        for tag in ["t:1", "r:1"] {
            let [here, there] =
                [&own, &current].map(|cache| cache.entry::<u32>("tagged", tag).with_tags([tag]));
            here.set(&1).await.unwrap();
            there.set(&1).await.unwrap();
            assert_eq!(service.own(1).await, 1);
            assert!(!here.has().await.unwrap(), "{tag}: its own cache's");
            assert!(there.has().await.unwrap(), "{tag}: not the scoped one's");
        }
        let [here, there] = [&own, &current].map(|cache| cache.entry::<u32>("tagged", 7).with_tags(["7:7"]));
        here.set(&1).await.unwrap();
        there.set(&1).await.unwrap();
        assert_eq!(service.late_self().await, 7);
        assert!(here.has().await.unwrap(), "it names no cache");
        assert!(!there.has().await.unwrap(), "so the scoped one's is gone");
    });
}
