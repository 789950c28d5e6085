//! Annotated functions inside functions, annotated ones too, and in blocks.
use cachemacro::{cache_evict, cached};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

#[cached(entry = outer_entry)]
async fn outer(id: u32) -> u32 {
    #[cached(entry = inner_entry)]
    async fn inner(id: u32) -> u32 {
        CALLS.add();
        id * 2
    }

    #[cache_evict(entry = inner_entry(id))]
    async fn forget(id: u32) -> u32 {
        id
    }

    CALLS.add();
    let twice = inner(id).await + inner(id).await;
    forget(id).await;
    assert!(!inner_entry(id).has().await.unwrap());
    twice
}

fn generic<T: cachemacro::Value>() -> impl AsyncFn(T) -> u32 {
    #[cached(key = "{id}")]
    async fn local(id: u32) -> u32 {
        CALLS.add();
        id
    }
    async |_: T| local(7).await
}

#[test]
fn runs() {
    run(async {
        struct Local;

        impl Local {
            #[cached]
            async fn method(&self, id: u32) -> u32 {
                CALLS.add();
                id
            }
        }

        assert_eq!((outer(1).await, outer(1).await), (4, 4));
        assert_eq!(CALLS.count(), 2);
        assert!(outer_entry(1).has().await.unwrap());
        assert_eq!((generic::<u8>()(1).await, generic::<u16>()(1).await), (7, 7));
        assert_eq!(CALLS.count(), 3);
        assert_eq!((Local.method(1).await, Local.method(1).await), (1, 1));
        assert_eq!(CALLS.count(), 4);
    });
}
