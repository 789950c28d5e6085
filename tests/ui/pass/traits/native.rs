#![allow(async_fn_in_trait, reason = "that the future is `Send` is for the caller to see here")]

use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

trait Source<T> {
    type Error;

    async fn required(&self, id: T) -> Result<u32, Self::Error>;

    #[cached]
    async fn provided(&self, id: u32) -> u32 {
        CALLS.add();
        id + self.base()
    }

    #[cached(prefix = "named", key = "{id}", entry = named_entry)]
    async fn named(id: u32) -> u32 {
        CALLS.add();
        id
    }

    fn base(&self) -> u32;
}

struct A;
struct B<T>(T);

impl Source<u8> for A {
    type Error = String;

    #[cached]
    async fn required(&self, id: u8) -> Result<u32, Self::Error> {
        CALLS.add();
        Ok(id.into())
    }

    fn base(&self) -> u32 {
        1
    }
}

impl<T: Into<u32> + Copy + Sync + serde::Serialize + Send> Source<T> for B<T> {
    type Error = ();

    #[cached]
    async fn required(&self, id: T) -> Result<u32, ()> {
        CALLS.add();
        Ok(id.into() + self.0.into())
    }

    fn base(&self) -> u32 {
        2
    }
}

#[test]
fn runs() {
    run(async {
        for _ in 0..2 {
            assert_eq!(A.required(1).await, Ok(1));
            assert_eq!(B(1u8).required(1).await, Ok(2));
            assert_eq!(B(1u16).required(1).await, Ok(2));
            assert_eq!(A.provided(1).await, 2);
            assert_eq!(B(1u8).provided(1).await, 3);
            assert_eq!((A::named(1).await, B::<u8>::named(1).await), (1, 1));
            assert_eq!(CALLS.count(), 7);
        }
        assert!(A::named_entry(1).has().await.unwrap());
        assert!(!B::<u16>::named_entry(1).has().await.unwrap());
    });
}
