use std::future::Future;
use std::pin::Pin;

use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, assert_send, run};

static CALLS: Calls = Calls::new();

#[cached]
async fn fibonacci(n: u64) -> u64 {
    CALLS.add();
    if n < 2 { n } else { other(n - 1).await + other(n - 2).await }
}

fn other(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(fibonacci(n))
}

#[test]
fn runs() {
    run(async {
        assert_eq!(assert_send(fibonacci(30)).await, 832_040);
        assert_eq!(CALLS.count(), 31);
    });
}
