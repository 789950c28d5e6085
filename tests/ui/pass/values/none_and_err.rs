use std::time::Duration;

use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};
use serde::{Deserialize, Serialize};

static CALLS: Calls = Calls::new();

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Failure {
    Absent { id: u32 },
}

/// Cannot be cloned, so callers do not share it; it can be stored all the same.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unshared(u32);

#[cached(cache_none)]
async fn none_stored(id: u32) -> Option<u32> {
    CALLS.add();
    (id > 0).then_some(id)
}

#[cached(cache_none = true, none_ttl = "10s", cache_err = true)]
async fn all_stored(id: u32) -> Result<Option<u32>, Failure> {
    CALLS.add();
    if id == 0 { Err(Failure::Absent { id }) } else { Ok(None) }
}

#[cached(none_ttl = Duration::from_secs(5))]
async fn none_ttl(id: u32) -> Option<u32> {
    CALLS.add();
    let _ = id;
    None
}

#[cached(cache_err)]
async fn unshared(id: u32) -> Result<u32, Unshared> {
    CALLS.add();
    Err(Unshared(id))
}

#[cached(cache_none = false, cache_err = false)]
async fn neither(id: u32) -> Result<Option<u32>, String> {
    CALLS.add();
    let _ = id;
    Ok(None)
}

#[test]
fn runs() {
    run(async {
        assert_eq!((none_stored(0).await, none_stored(0).await), (None, None));
        assert_eq!(CALLS.count(), 1);
        assert_eq!(all_stored(0).await, all_stored(0).await);
        assert_eq!(CALLS.count(), 2);
        assert_eq!(all_stored(1).await, all_stored(1).await);
        assert_eq!(CALLS.count(), 3);
        assert_eq!((none_ttl(1).await, none_ttl(1).await), (None, None));
        assert_eq!(CALLS.count(), 4);
        assert_eq!((unshared(1).await, unshared(1).await), (Err(Unshared(1)), Err(Unshared(1))));
        assert_eq!(CALLS.count(), 5);
        assert_eq!((neither(1).await, neither(1).await), (Ok(None), Ok(None)));
        assert_eq!(CALLS.count(), 7);
    });
}
