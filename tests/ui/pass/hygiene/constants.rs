//! Constants of the user's that are named like what an expansion needs.
use std::time::Duration;

use cachemacro::cached;
use cachemacro_tests::attributes::run;

const SITE: Duration = Duration::from_secs(2);
const DEFAULT: Duration = Duration::from_secs(3);
const POLICY: u32 = 4;

#[cached(prefix = "constants", wait = SITE, lease_limit = DEFAULT, version = POLICY, ttl = SITE, entry = id_entry)]
async fn id(id: u64) -> u64 {
    id
}

#[test]
fn runs() {
    run(async {
        assert_eq!((id(1).await, id(1).await), (1, 1));
        assert!(id_entry(1).ttl().await.unwrap().unwrap() <= SITE * 2);
    });
}
