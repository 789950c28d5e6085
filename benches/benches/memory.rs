//! What does a hit in memory cost by what is asked for?

use std::sync::{Arc, OnceLock};

use cachemacro::{Cache, cached};
use cachemacro_benches::ground::value::{User, user};
use divan::{Bencher, black_box};
use tokio::runtime::Runtime;

fn main() {
    Cache::set_global(Cache::memory()).expect("it is set once");
    divan::main();
}

/// A runtime for all.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    })
}

/// A hundred hits, so that entering the runtime does not show.
const HITS: u64 = 100;

macro_rules! hits {
    ($($bench:ident = |$id:ident| $call:expr;)*) => {$(
        #[divan::bench]
        fn $bench(bencher: Bencher<'_, '_>) {
            bencher.counter(HITS).bench(|| {
                runtime().block_on(async {
                    for $id in 0..HITS {
                        black_box($call.await);
                    }
                })
            });
        }
    )*};
}

hits! {
    shared = |id| arc(black_box(id));
    by_value = |id| value(black_box(id));
    one_tag = |id| tagged(black_box(id));
    three_tags = |id| thrice_tagged(black_box(id));
    three_arguments = |id| three(black_box(id), "example.org", Some(3));
}

#[cached(prefix = "arc")]
async fn arc(id: u64) -> Arc<User> {
    Arc::new(user(id))
}

#[cached(prefix = "value")]
async fn value(id: u64) -> User {
    user(id)
}

#[cached(prefix = "tagged", tags = ["users"])]
async fn tagged(id: u64) -> Arc<User> {
    Arc::new(user(id))
}

#[cached(prefix = "thrice", tags = ["users", "org:7", "all"])]
async fn thrice_tagged(id: u64) -> Arc<User> {
    Arc::new(user(id))
}

#[cached(prefix = "three")]
async fn three(id: u64, domain: &str, level: Option<u8>) -> Arc<User> {
    let _ = (domain, level);
    Arc::new(user(id))
}
