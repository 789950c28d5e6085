use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, assert_send, run};

static CALLS: Calls = Calls::new();

#[derive(Clone, Default)]
struct Service {
    tenant: String,
    loads: u32,
}

impl Service {
    #[cached(key = "{self.tenant}:{id}", entry = shared_entry)]
    async fn shared(&self, id: u32) -> String {
        CALLS.add();
        format!("{}{id}", self.tenant)
    }

    #[cached(key = "{self.tenant}", entry = exclusive_entry)]
    async fn exclusive(&mut self) -> u32 {
        CALLS.add();
        self.loads += 1;
        self.loads
    }

    #[cached(key = "{self.tenant}:{id}", entry = owned_entry)]
    async fn owned(self, id: u32) -> String {
        CALLS.add();
        self.tenant + &id.to_string()
    }

    #[cached]
    async fn mutable(mut self) -> String {
        CALLS.add();
        self.tenant.push('!');
        self.tenant
    }

    #[cached(key = "{self.tenant}", entry = counted_entry)]
    async fn counted(self: Arc<Self>) -> String {
        CALLS.add();
        self.tenant.clone()
    }

    #[cached(key = "{self.tenant}")]
    async fn pinned(self: Pin<&mut Self>) -> u32 {
        CALLS.add();
        self.get_mut().loads
    }

    #[cached(key = "{self.tenant}")]
    async fn local(self: Rc<Self>) -> u32 {
        CALLS.add();
        self.loads
    }

    #[cached(key = "{id}", unless = result.len() > self.tenant.len() + 9, tags = [self.tenant.clone(), format!("is:{result}")])]
    async fn counted_with_rules(self: Arc<Self>, id: u32) -> String {
        self.tenant.clone() + &id.to_string()
    }

    #[cached(prefix = "owned", key = "{id}", tags = [self::tag(&self.tenant), tag(&result.to_string())], ttl = self.ttl())]
    async fn owned_with_rules(self, id: u32) -> u32 {
        drop(self);
        id
    }

    #[cached(prefix = "exclusive", key = "{id}", tags = [self::tag("x")])]
    async fn exclusive_with_rules(&mut self, id: u32) -> u32 {
        id
    }

    fn ttl(&self) -> std::time::Duration {
        std::time::Duration::from_secs(60 + u64::from(self.loads))
    }

    #[cached(entry = associated_entry)]
    async fn associated(id: u32) -> u32 {
        CALLS.add();
        id
    }
}

fn tag(of: &str) -> String {
    format!("of:{of}")
}

#[test]
fn rules() {
    run(async {
        let cache = cachemacro::Cache::current();
        let mut service = Service { tenant: "rules".to_owned(), loads: 0 };
        let loads = || cache.stats().total.loads;
        assert_send(Arc::new(service.clone()).counted_with_rules(1)).await;
        assert_send(service.clone().owned_with_rules(1)).await;
        assert_send(service.exclusive_with_rules(1)).await;
        Arc::new(service.clone()).counted_with_rules(1).await;
        assert_eq!(loads(), 3);
        cache.evict_tags(["rules", "of:rules", "of:x"]).await.unwrap();
        Arc::new(service.clone()).counted_with_rules(1).await;
        service.clone().owned_with_rules(1).await;
        service.exclusive_with_rules(1).await;
        assert_eq!(loads(), 6);
    });
}

#[test]
fn runs() {
    run(async {
        let mut service = Service { tenant: "a".to_owned(), loads: 0 };
        for _ in 0..2 {
            assert_eq!(assert_send(service.shared(1)).await, "a1");
            assert_eq!(assert_send(service.exclusive()).await, 1);
            assert_eq!(assert_send(service.clone().owned(1)).await, "a1");
            assert_eq!(service.clone().mutable().await, "a!");
            assert_eq!(assert_send(Arc::new(service.clone()).counted()).await, "a");
            assert_eq!(Pin::new(&mut service).pinned().await, 1);
            assert_eq!(Rc::new(service.clone()).local().await, 1);
            assert_eq!(Service::associated(1).await, 1);
            assert_eq!(CALLS.count(), 8);
        }
        assert!(service.shared_entry(1).has().await.unwrap());
        assert!(service.exclusive_entry().has().await.unwrap());
        assert!(service.owned_entry(1).has().await.unwrap());
        assert!(service.counted_entry().has().await.unwrap());
        assert!(Service::associated_entry(1).has().await.unwrap());
    });
}
