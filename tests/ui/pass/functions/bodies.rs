//! What a body may begin with.
use cachemacro::{cache_evict, cached};
use cachemacro_tests::attributes::run;

#[cached]
async fn items(id: u64) -> u64 {
    use std::cmp::Ordering::{self, Less};

    const MOST: u64 = 7;
    macro_rules! twice {
        ($what:expr) => {
            2 * $what
        };
    }
    fn order(id: u64) -> Ordering {
        id.cmp(&MOST)
    }

    if order(id) == Less { twice!(id) } else { MOST }
}

#[cached]
async fn inner_attribute(id: u64) -> u64 {
    #![allow(unused_variables, reason = "an attribute within the body, which must stay in force")]
    const ONE: u64 = 1;
    let unused = 7;
    id + ONE
}

#[cached]
async fn statements(id: u64) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    assert!(id > 0);
    const { assert!(u64::MAX > 7) }
    Ok(1 + "7".parse::<u64>()?)
}

#[cached]
async fn value() -> Vec<u8> {
    vec![7]
}

#[cached]
async fn nothing() {}

#[cached]
fn future(id: u64) -> impl Future<Output = u64> + Send {
    async move {
        use std::cmp::max;
        max(id, 7)
    }
}

#[cache_evict(tags = ["items"])]
async fn evicting(id: u64) -> u64 {
    #![allow(unused_variables, reason = "an attribute within the body, which must stay in force")]
    use std::cmp::max;
    let unused = 7;
    max(id, 7)
}

#[test]
fn runs() {
    run(async {
        assert_eq!((items(1).await, items(9).await), (2, 7));
        assert_eq!(inner_attribute(1).await, 2);
        assert_eq!(statements(1).await.unwrap(), 8);
        assert_eq!(value().await, [7]);
        nothing().await;
        assert_eq!((future(1).await, evicting(1).await), (7, 7));
    });
}
