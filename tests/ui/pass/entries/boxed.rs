//! Entries of functions that box their futures by hand.
use std::pin::Pin;

use cachemacro::{cache_evict, cached};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

#[cached(entry = free_entry)]
fn free<'a>(id: u32, name: &'a str) -> Pin<Box<dyn Future<Output = usize> + Send + 'a>> {
    Box::pin(async move {
        CALLS.add();
        name.len() + id as usize
    })
}

#[cached(entry = later_entry)]
fn later(mut id: u32, name: u32) -> Pin<Box<dyn Future<Output = String> + Send>> {
    Box::pin(async move {
        CALLS.add();
        id += 1;
        let id = id;
        let name = name.to_string();
        let mut name = name;
        name.push_str(&id.to_string());
        name
    })
}

#[cached(entry = first_entry)]
fn first(id: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async move {
        let mut id = id;
        CALLS.add();
        id += 1;
        id
    })
}

struct Service {
    tenant: String,
}

impl Service {
    #[cached(key = "{self.tenant}:{id}", entry = of_entry)]
    fn of(&self, id: u32) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(async move {
            CALLS.add();
            format!("{}{id}", self.tenant)
        })
    }

    #[cache_evict(entry = self.of_entry(id))]
    fn gone(&self, id: u32) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let _ = id;
        })
    }
}

#[test]
fn runs() {
    run(async {
        assert_eq!((free(1, "ab").await, free(1, "ab").await), (3, 3));
        assert!(free_entry(1, "ab").has().await.unwrap());
        assert_eq!((later(1, 5).await, later(1, 5).await), ("52".to_owned(), "52".to_owned()));
        assert!(later_entry(1, 5).has().await.unwrap());
        assert_eq!((first(1).await, first(1).await), (2, 2));
        assert!(first_entry(1).has().await.unwrap());
        let service = Service { tenant: "t".to_owned() };
        assert_eq!((service.of(1).await, service.of(1).await), ("t1".to_owned(), "t1".to_owned()));
        assert_eq!(CALLS.count(), 4);
        service.gone(1).await;
        assert!(!service.of_entry(1).has().await.unwrap());
    });
}
