//! A process of the fleet in `tests/redis/processes.rs`: asks for leases on one store, as many at once as it is told.
//!
//! `race KEY TASKS` says `taken COUNT`; `hold KEY` takes the lease, says `held` and never gives it back.

use std::sync::Arc;
use std::time::Duration;

use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{LeaseKind, LeaseOutcome, LeaseRequest, Store, Token};
use cachemacro_tests::Single;
use cachemacro_tests::worker::{commands, say};

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).expect("the server's URL is the first argument");
    // The deadline is not what is tested, and many processes start at once.
    let config = RedisConfig::new(url).command_timeout(Duration::from_secs(10));
    let store = Arc::new(RedisStore::new(config).expect("the URL is well-formed"));
    store.connect().await.expect("the server is there");
    say("ready");
    let mut next = u64::from(std::process::id()) << 32;
    for command in commands() {
        match command.split(' ').collect::<Vec<_>>()[..] {
            ["race", key, tasks] => {
                let tasks: u64 = tasks.parse().expect("a number of tasks");
                let racers: Vec<_> = (next..next + tasks).map(|token| ask(&store, key, token)).collect();
                next += tasks;
                let mut taken = 0;
                for racer in racers {
                    taken += u32::from(racer.await.expect("no racer panics"));
                }
                say(format_args!("taken {taken}"));
            }
            ["hold", key] => {
                assert!(ask(&store, key, next).await.expect("it does not panic"), "nobody else holds it");
                say("held");
            }
            _ => panic!("unknown command: {command}"),
        }
    }
}

fn ask(store: &Arc<RedisStore>, key: &str, token: u64) -> tokio::task::JoinHandle<bool> {
    let (store, key) = (Arc::clone(store), key.to_owned());
    tokio::spawn(async move {
        let live = Duration::from_secs(3);
        let request = LeaseRequest::new(&key, Token::new(token), LeaseKind::Load, live);
        matches!(store.lease_one(request).await.expect("answered").outcome, LeaseOutcome::Taken)
    })
}
