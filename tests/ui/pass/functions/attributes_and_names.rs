use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

#[cached]
#[must_use = "it was expensive"]
#[inline]
async fn r#match(r#type: u8) -> u8 {
    CALLS.add();
    r#type
}

/// A future that is not `Send` because its body is not.
#[cached]
async fn local(n: u8) -> u8 {
    let shared = std::rc::Rc::new(n);
    std::future::ready(()).await;
    CALLS.add();
    *shared
}

#[test]
fn runs() {
    run(async {
        assert_eq!((r#match(1).await, r#match(1).await), (1, 1));
        assert_eq!((local(1).await, local(1).await), (1, 1));
        assert_eq!(CALLS.count(), 2);
    });
}
