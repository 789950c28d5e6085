use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

struct Pool;

#[cached(prefix = "skip", skip(pool, _trace), entry = find_entry)]
async fn find(pool: &Pool, id: u32, _trace: &dyn Fn()) -> u32 {
    CALLS.add();
    let Pool = pool;
    id
}

struct Service(Pool);

impl Service {
    #[cached]
    async fn find(&self, id: u32) -> u32 {
        CALLS.add();
        let Pool = self.0;
        id
    }
}

#[test]
fn runs() {
    run(async {
        assert_eq!((find(&Pool, 1, &|| ()).await, find(&Pool, 1, &|| ()).await), (1, 1));
        assert!(find_entry(1).has().await.unwrap());
        assert_eq!((Service(Pool).find(1).await, Service(Pool).find(1).await), (1, 1));
        assert_eq!(CALLS.count(), 2);
    });
}
