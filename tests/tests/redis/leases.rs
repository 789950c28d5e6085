//! Leases that nobody holds: of a history's loads none takes long, so a lease that stays was left behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cachemacro_runtime::Timestamp;
use cachemacro_runtime::header::{FIXED, Header};
use cachemacro_tests::history::{Incident, micros};
use redis::{AsyncConnectionConfig, RedisResult, Value, cmd, pipe};
use tokio::time::sleep;

/// Between two looks at the server.
const PERIOD: Duration = Duration::from_millis(200);

/// A lease that was not renewed between so many looks that follow one another has no holder: holders renew theirs once a
/// second. It lives for three, so no such lease lapses unseen.
const LOOKS: u32 = 8;

/// How long a history goes on in which a lease that nobody holds is to be found.
pub(crate) const LONG_ENOUGH: Duration = Duration::from_secs(3);

/// How long the last leases may take to go, which is longer than any lives.
const LAST: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Lease {
    key: String,
    token: u64,
    /// By the server's clock; renewing it moves it.
    deadline: u64,
}

/// Who looks at the leases while a history goes on.
pub(crate) struct Watch {
    /// Of the server, or of all of a cluster or of those that sentinels watch.
    urls: Vec<String>,
    namespace: String,
    /// In how many looks one is seen that nobody holds.
    looks: u32,
    over: Arc<AtomicBool>,
}

impl Watch {
    /// One that has not begun, and what ends it.
    pub(crate) fn new(urls: Vec<String>, namespace: &str) -> (Self, Arc<AtomicBool>) {
        let over = Arc::new(AtomicBool::new(false));
        (Self { urls, namespace: namespace.to_owned(), looks: LOOKS, over: over.clone() }, over)
    }

    /// One for when the history is over: only what does not lapse is left behind.
    pub(crate) fn of_the_end(urls: Vec<String>, namespace: &str) -> Self {
        let over = Arc::new(AtomicBool::new(true));
        Self { urls, namespace: namespace.to_owned(), looks: u32::MAX, over }
    }

    /// Every lease that stayed too long. Once it is over, those that are left are given the time to lapse.
    pub(crate) async fn left_behind(self) -> Vec<Incident> {
        let mut seen: HashMap<Lease, (u32, u64)> = HashMap::new();
        let mut left = Vec::new();
        let mut since_over = Duration::ZERO;
        loop {
            let over = self.over.load(Ordering::SeqCst);
            // Where it takes no writes, as while it hands over, leases cannot be given back or renewed: it is begun anew.
            let leases = self.leases().await;
            if leases.is_err() {
                seen.clear();
            }
            if let Ok(leases) = leases {
                seen.retain(|lease, _| leases.contains(lease));
                for lease in leases {
                    let (looks, since) = seen.entry(lease.clone()).or_insert((0, micros()));
                    *looks += 1;
                    if *looks == self.looks {
                        left.push(incident(&lease, *since, "a lease that nobody holds"));
                    }
                }
                if over && seen.is_empty() {
                    return left;
                }
            }
            if over {
                since_over += PERIOD;
            }
            if since_over > LAST {
                left.extend(
                    seen.iter().map(|(lease, (_, since))| incident(lease, *since, "a lease for good")),
                );
                return left;
            }
            sleep(PERIOD).await;
        }
    }

    /// Those that have not lapsed, where all who serve them answer.
    async fn leases(&self) -> RedisResult<Vec<Lease>> {
        let mut leases = Vec::new();
        for url in &self.urls {
            leases.extend(self.leases_on(url).await?);
        }
        Ok(leases)
    }

    /// Those on this server, where it takes writes. Of several, replicas have none of their own.
    async fn leases_on(&self, url: &str) -> RedisResult<Vec<Lease>> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(PERIOD * 2));
        let client = redis::Client::open(url)?;
        let mut server = client.get_multiplexed_async_connection_with_config(&config).await?;
        if self.urls.len() == 1 {
            cmd("SET").arg("other:looked").arg(1).exec_async(&mut server).await?;
        } else {
            let role: Vec<Value> = cmd("ROLE").query_async(&mut server).await?;
            if !matches!(role.first(), Some(Value::BulkString(role)) if role == b"master") {
                return Ok(Vec::new());
            }
        }
        let keys = self.keys(&mut server).await?;
        let (seconds, micros): (u64, u64) = cmd("TIME").query_async(&mut server).await?;
        let now = Timestamp(seconds * 1_000 + micros / 1_000);
        let mut heads = pipe();
        for key in &keys {
            heads.cmd("GETRANGE").arg(key).arg(0).arg(FIXED - 1);
        }
        let heads: Vec<Vec<u8>> =
            if keys.is_empty() { Vec::new() } else { heads.query_async(&mut server).await? };
        let leases = keys.into_iter().zip(heads).filter_map(|(key, head)| {
            let header = Header::parse(&head).ok()?;
            let (token, deadline) = (header.token.get(), header.lease_deadline.millis());
            header.is_leased(now).then_some(Lease { key, token, deadline })
        });
        Ok(leases.collect())
    }

    /// All keys of the history.
    async fn keys(&self, server: &mut redis::aio::MultiplexedConnection) -> RedisResult<Vec<String>> {
        let (mut keys, mut cursor) = (Vec::new(), 0_u64);
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{}:*", self.namespace)).arg("COUNT").arg(2_000);
            let (next, some): (u64, Vec<String>) = scan.query_async(server).await?;
            keys.extend(some);
            if next == 0 {
                keys.sort_unstable();
                keys.dedup();
                return Ok(keys);
            }
            cursor = next;
        }
    }
}

fn incident(lease: &Lease, since: u64, outcome: &str) -> Incident {
    let outcome = format!("{outcome}: {:x}", lease.token);
    Incident { call: "lease".to_owned(), about: lease.key.clone(), began: since, ended: micros(), outcome }
}
