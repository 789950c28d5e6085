//! Leases whose connection breaks before the answer arrives, or before they are given back.

use cachemacro_runtime::Mode;
use cachemacro_runtime::header::{FIXED, Header};
use cachemacro_tests::LONG;

use super::*;

/// Who asks for a lease.
#[derive(Debug, Clone, Copy)]
enum Asks {
    Load,
    Lookup,
    Batch,
    Refresh,
}

impl Asks {
    /// What the request for the lease carries, as nothing does before it: a pending header, or a token for the script.
    const fn for_lease(self) -> &'static [u8] {
        match self {
            Self::Load | Self::Lookup | Self::Batch => b":row:1\r\n$96\r\ncmac",
            Self::Refresh => b":row:1\r\n$8\r\n",
        }
    }
}

async fn ask(cache: &Cache, asks: Asks) {
    let row = cache.entry::<u32>("row", 1);
    match asks {
        Asks::Load => assert_eq!(row.get_or_load(async || 1).await, 1),
        Asks::Lookup => drop(row.lookup().await),
        Asks::Batch => {
            let load = async |ids: Vec<u32>| ids.into_iter().map(|id| (id, id)).collect();
            drop(cache.get_or_load_many::<u32, u32, _>("row", [1, 2], load).await);
        }
        Asks::Refresh => assert_eq!(Mode::Refresh.scope(row.get_or_load(async || 1)).await, 1),
    }
}

/// The server, whose leases live for a minute, and a cache that comes to it through a proxy.
struct Place {
    server: RedisServer,
    proxy: FaultProxy,
    cache: Cache,
    namespace: String,
}

impl Place {
    async fn new() -> Self {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(&server.address());
        let namespace = namespace();
        let store = Arc::new(store(&proxy.url()));
        let cache = Cache::builder().store(store).namespace(&namespace).lease(LONG).build();
        let cache = cache.expect("acceptable settings");
        cache.connect().await.expect("connected");
        Self { server, proxy, cache, namespace }
    }

    /// How many entries are leased.
    async fn leases(&self) -> usize {
        let (mut server, mut leased) = (self.server.client().await, 0);
        for id in [1, 2] {
            let mut head = redis::cmd("GETRANGE");
            head.arg(format!("{}:row:{id}", self.namespace)).arg(0).arg(FIXED - 1);
            let head: Vec<u8> = head.query_async(&mut server).await.expect("GETRANGE");
            leased += usize::from(Header::parse(&head).is_ok_and(|header| !header.token.is_none()));
        }
        leased
    }

    async fn no_lease_is_left(&self, asks: Asks) {
        wait_until(&format!("no lease is left by {asks:?}"), DEADLINE, async || self.leases().await == 0)
            .await;
    }
}

/// Upholds G9.
#[tokio::test]
async fn a_lease_whose_answer_and_whose_first_release_die_with_their_connections_is_given_back() {
    for asks in [Asks::Load, Asks::Lookup, Asks::Batch, Asks::Refresh] {
        let place = Place::new().await;
        place.proxy.lose_reply_to(asks.for_lease(), Loss::Close);
        ask(&place.cache, asks).await;
        assert_eq!(place.proxy.lost(), 1, "{asks:?}");
        // The release is a request about the same key, and so is what a load stores.
        place.proxy.lose_reply_to(b":row:1\r\n$8\r\n", Loss::Close);
        place.no_lease_is_left(asks).await;
    }
}

/// Upholds G9.
#[tokio::test]
async fn a_lease_whose_answer_is_lost_to_an_outage_is_given_back_after_it() {
    for asks in [Asks::Load, Asks::Lookup, Asks::Batch, Asks::Refresh] {
        let place = Place::new().await;
        place.proxy.lose_reply_to(asks.for_lease(), Loss::Refuse);
        ask(&place.cache, asks).await;
        assert!(place.leases().await > 0, "{asks:?}: it was granted");
        // Past the time after which the server refuses the request, so that whoever gives it back did so in vain.
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert!(place.leases().await > 0, "{asks:?}");
        place.proxy.pass();
        place.no_lease_is_left(asks).await;
    }
}
