use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

#[cached]
async fn double(n: u64) -> u64 {
    CALLS.add();
    n * 2
}

#[cached]
async fn without_arguments() -> String {
    CALLS.add();
    "x".to_owned()
}

#[cached]
pub(crate) async fn giving_nothing(n: u8) {
    let _ = n;
    CALLS.add();
}

#[test]
fn runs() {
    run(async {
        assert_eq!((double(1).await, double(1).await, double(2).await), (2, 2, 4));
        assert_eq!(CALLS.count(), 2);
        without_arguments().await;
        assert_eq!(without_arguments().await, "x");
        assert_eq!(CALLS.count(), 3);
        giving_nothing(1).await;
        giving_nothing(1).await;
        assert_eq!(CALLS.count(), 4);
    });
}
