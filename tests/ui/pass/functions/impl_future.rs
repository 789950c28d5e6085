use std::future::Future;

use cachemacro::{cache_evict, cached};
use cachemacro_tests::attributes::{Calls, assert_send, run};

static CALLS: Calls = Calls::new();

#[cached(entry = double_entry)]
fn double(n: u64) -> impl Future<Output = Option<u64>> + Send {
    async move {
        CALLS.add();
        (n > 0).then_some(n * 2)
    }
}

#[cached]
fn prepared(name: String) -> impl Future<Output = Result<String, ()>> {
    CALLS.add();
    if name.is_empty() {
        return std::future::ready(Ok(String::new()));
    }
    std::future::ready(Ok(name))
}

struct Service(u64);

impl Service {
    #[cached(key = "{self.0}:{name}")]
    fn method<'a>(&'a self, name: &'a str) -> impl Future<Output = String> + Send + 'a {
        async move {
            CALLS.add();
            format!("{name}{}", self.0)
        }
    }

    #[cache_evict(entry = double_entry(n))]
    fn forget(&self, n: u64) -> impl Future<Output = ()> + Send {
        async {}
    }
}

#[test]
fn runs() {
    run(async {
        let lazy = assert_send(double(2));
        assert_eq!(CALLS.count(), 0, "nothing runs before the first poll");
        assert_eq!(lazy.await, Some(4));
        assert_eq!(double(2).await, Some(4));
        assert_eq!(CALLS.count(), 1);
        let unpolled = prepared("x".to_owned());
        assert_eq!(CALLS.count(), 1, "nothing runs before the first poll");
        drop(unpolled);
        assert_eq!(prepared("x".to_owned()).await.as_deref(), Ok("x"));
        assert_eq!(prepared("x".to_owned()).await.as_deref(), Ok("x"));
        assert_eq!(CALLS.count(), 2);
        assert_eq!(Service(1).method("a").await, "a1");
        assert_eq!(Service(1).method("a").await, "a1");
        assert_eq!(CALLS.count(), 3);
        assert!(double_entry(2).has().await.unwrap());
        Service(1).forget(2).await;
        assert!(!double_entry(2).has().await.unwrap());
    });
}
