use std::marker::PhantomData;

use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

struct Repo<'a, T, const N: usize>(&'a str, PhantomData<T>);

impl<T: Send + Sync, const N: usize> Repo<'_, T, N> {
    #[cached(entry = find_entry)]
    async fn find(&self, id: u32) -> Option<u32> {
        CALLS.add();
        (!self.0.is_empty()).then_some(id)
    }

    #[cached(prefix = "count", key = "all", entry = count_entry)]
    async fn count() -> usize {
        CALLS.add();
        N
    }

    #[cached(entry = both_entry)]
    async fn both<U: Default + ToString>(id: u32) -> String {
        CALLS.add();
        U::default().to_string() + &id.to_string()
    }
}

#[test]
fn runs() {
    run(async {
        let (one, two) = (Repo::<u8, 1>("x", PhantomData), Repo::<u8, 2>("x", PhantomData));
        let other = Repo::<u16, 1>("x", PhantomData);
        assert_eq!((one.find(1).await, two.find(1).await, other.find(1).await), (Some(1), Some(1), Some(1)));
        assert_eq!(CALLS.count(), 3, "each instantiation has its own entries");
        assert!(two.find_entry_of_same(1).await);
        assert_eq!((Repo::<u8, 1>::count().await, Repo::<u8, 2>::count().await), (1, 2));
        assert_eq!(Repo::<u8, 2>::count_entry().get().await.unwrap(), Some(2));
        assert_eq!(Repo::<u8, 1>::both::<bool>(1).await, "false1");
        assert_eq!(Repo::<u8, 1>::both::<u8>(1).await, "01");
        assert!(Repo::<u8, 1>::both_entry::<bool>(1).has().await.unwrap());
        assert!(!Repo::<u16, 1>::both_entry::<bool>(1).has().await.unwrap());
    });
}

impl<T: Send + Sync, const N: usize> Repo<'_, T, N> {
    async fn find_entry_of_same(&self, id: u32) -> bool {
        let _ = self;
        Self::find_entry(id).has().await.unwrap()
    }
}
