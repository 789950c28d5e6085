use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

#[cached(entry = both_entry)]
async fn both(
    /// Documentation of an argument.
    a: u32,
    #[cfg(any())] missing: NoSuchType,
    #[cfg(not(any()))] b: u32,
    #[allow(unused_variables, reason = "an attribute of an argument, which must stay")] c: u32,
) -> u32 {
    CALLS.add();
    a + b
}

#[cfg(any())]
#[cached]
async fn both(a: NoSuchType) -> u32 {
    a
}

#[cached]
#[cfg(not(any()))]
#[cfg_attr(not(any()), must_use)]
async fn present(a: u32) -> u32 {
    a
}

#[cached(key = |a, b| a + b)]
async fn closure(a: u32, #[cfg(not(any()))] b: u32) -> u32 {
    a + b
}

#[test]
fn runs() {
    run(async {
        assert_eq!(both(1, 2, 3).await, 3);
        assert_eq!(both(1, 2, 3).await, 3);
        assert_eq!(CALLS.count(), 1);
        assert_eq!(both_entry(1, 2, 3).get().await.unwrap(), Some(3));
        assert_eq!(present(1).await, 1);
        assert_eq!(closure(1, 2).await, 3);
    });
}
