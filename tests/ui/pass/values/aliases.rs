//! Whether something is a `Result` or an `Option` is decided by its type, whatever it is called.
use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

type Rows = Result<Vec<u32>, String>;
type Maybe<T> = Option<T>;

mod mine {
    /// A result in name only.
    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct Result<T>(pub T);
}

#[cached]
async fn alias(n: u32) -> Rows {
    CALLS.add();
    if n == 0 { Err("zero".to_owned()) } else { Ok(vec![n]) }
}

#[cached]
async fn anyhow(n: u32) -> anyhow::Result<Maybe<u32>> {
    CALLS.add();
    anyhow::ensure!(n != 1, "one");
    Ok((n > 1).then_some(n))
}

#[cached]
async fn named_result(n: u32) -> mine::Result<u32> {
    CALLS.add();
    mine::Result(n)
}

#[cached]
async fn parameter<T>(value: T) -> T
where
    T: Clone + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static,
{
    CALLS.add();
    value
}

#[test]
fn runs() {
    run(async {
        let calls = async |n| assert_eq!(CALLS.count(), n);
        assert!(alias(0).await.is_err() && alias(0).await.is_err());
        calls(2).await;
        assert!(alias(1).await.is_ok() && alias(1).await.is_ok());
        calls(3).await;
        assert!(anyhow(1).await.is_err() && anyhow(1).await.is_err());
        calls(5).await;
        assert!(anyhow(0).await.unwrap().is_none() && anyhow(0).await.unwrap().is_none());
        calls(7).await;
        assert_eq!((anyhow(2).await.unwrap(), anyhow(2).await.unwrap()), (Some(2), Some(2)));
        calls(8).await;
        assert_eq!((named_result(1).await, named_result(1).await), (mine::Result(1), mine::Result(1)));
        calls(9).await;
        // A type parameter is a plain value: this `None` is stored.
        assert_eq!((parameter(None::<u8>).await, parameter(None::<u8>).await), (None, None));
        calls(10).await;
    });
}
