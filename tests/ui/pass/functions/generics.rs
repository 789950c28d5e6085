use std::fmt::Display;

use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};
use serde::{Serialize, de::DeserializeOwned};

static CALLS: Calls = Calls::new();

#[cached(entry = of_entry)]
async fn of<T>(value: T) -> T
where
    T: Default + Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
{
    CALLS.add();
    value
}

#[cached(entry = defaults_entry)]
async fn defaults<
    T: Default + Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
    const N: usize,
>() -> Vec<T> {
    CALLS.add();
    vec![T::default(); N]
}

#[cached(key = "{x}", entry = shown_entry)]
async fn shown(x: impl Display + Send) -> String {
    CALLS.add();
    x.to_string()
}

#[cached]
async fn borrowed<'a, T: Serialize + Sync + ?Sized>(x: &'a T) -> usize {
    CALLS.add();
    size_of_val(&x)
}

#[test]
fn runs() {
    run(async {
        assert_eq!(of(7u8).await, 7);
        assert_eq!(of(7u16).await, 7);
        assert_eq!(of(7u8).await, 7);
        assert_eq!(CALLS.count(), 2);
        assert_eq!(of_entry(&7u16).get().await.unwrap(), Some(7));
        assert_eq!(of_entry(&7u32).get().await.unwrap(), None);
        assert_eq!(defaults::<u8, 2>().await, [0, 0]);
        assert_eq!(defaults::<u8, 3>().await, [0, 0, 0]);
        assert_eq!(defaults::<String, 3>().await, ["", "", ""]);
        assert_eq!(CALLS.count(), 5);
        assert_eq!(defaults_entry::<String, 3>().get().await.unwrap().unwrap().len(), 3);
        assert!(!defaults_entry::<String, 4>().has().await.unwrap());
        assert_eq!(shown(1).await, "1");
        assert_eq!(shown("1").await, "1");
        assert_eq!(CALLS.count(), 7);
        assert_eq!(shown_entry(&"1").get().await.unwrap().as_deref(), Some("1"));
        assert!(!shown_entry(&1u8).has().await.unwrap());
        borrowed("x").await;
        borrowed(&1).await;
        borrowed("x").await;
        assert_eq!(CALLS.count(), 9);
    });
}
