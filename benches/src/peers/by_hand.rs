//! Clients of Redis, and the same cache-aside over each: a formatted key, `GET`, bincode; where nothing is there, the load
//! and a `SET` with a time to live.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fred::interfaces::ClientLike as _;
use fred::types::Expiration;
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use rustis::commands::{SetExpiration, StringCommands as _};
use rustis::resp::BulkString;

use super::{LONG, load};
use crate::ground::rounds::Subject;
use crate::ground::value;

/// What asks a server.
pub trait Client: Clone + Send + Sync + 'static {
    /// `GET`.
    fn get(&self, key: String) -> impl Future<Output = Option<Bytes>> + Send;
    /// `SET … PX`.
    fn set(&self, key: String, value: Vec<u8>) -> impl Future<Output = ()> + Send;
}

/// Cache-aside without a cache's help.
#[derive(Debug, Clone)]
pub struct ByHand<C>(pub C);

impl<C: Client> Subject for ByHand<C> {
    async fn go(&self, id: u64) {
        let key = format!("bare:user:{id}");
        let user = match self.0.get(key.clone()).await {
            Some(bytes) => value::decode(&bytes),
            None => {
                let user = load(id).await;
                self.0.set(key, value::encode(&user)).await;
                user
            }
        };
        assert_eq!(user.id, id);
    }
}

const MILLIS: u64 = LONG.as_millis() as u64;

impl Client for MultiplexedConnection {
    async fn get(&self, key: String) -> Option<Bytes> {
        redis::AsyncCommands::get(&mut self.clone(), key).await.expect("the server answers")
    }

    async fn set(&self, key: String, value: Vec<u8>) {
        self.clone().pset_ex(key, value, MILLIS).await.expect("the server answers")
    }
}

impl Client for deadpool_redis::Pool {
    async fn get(&self, key: String) -> Option<Bytes> {
        let mut connection = self.get().await.expect("the server answers");
        redis::AsyncCommands::get(&mut connection, key).await.expect("the server answers")
    }

    async fn set(&self, key: String, value: Vec<u8>) {
        let mut connection = self.get().await.expect("the server answers");
        connection.pset_ex(key, value, MILLIS).await.expect("the server answers")
    }
}

/// A pool of so many connections that nobody waits for one.
pub fn pool(url: &str) -> deadpool_redis::Pool {
    let mut config = deadpool_redis::Config::from_url(url);
    config.pool = Some(deadpool_redis::PoolConfig::new(64));
    config.create_pool(Some(deadpool_redis::Runtime::Tokio1)).expect("a URL")
}

impl Client for fred::clients::Client {
    async fn get(&self, key: String) -> Option<Bytes> {
        fred::interfaces::KeysInterface::get(self, key).await.expect("the server answers")
    }

    async fn set(&self, key: String, value: Vec<u8>) {
        let time = Expiration::PX(MILLIS.cast_signed());
        fred::interfaces::KeysInterface::set(self, key, Bytes::from(value), Some(time), None, false)
            .await
            .expect("the server answers")
    }
}

/// fred's client.
pub async fn fred(url: &str) -> fred::clients::Client {
    let config = fred::types::config::Config::from_url(url).expect("a URL");
    let client = fred::types::Builder::from_config(config).build().expect("settings are right");
    client.init().await.expect("the server answers");
    client
}

impl Client for rustis::client::Client {
    async fn get(&self, key: String) -> Option<Bytes> {
        let found: Option<BulkString> =
            rustis::commands::StringCommands::get(self, key).await.expect("the server answers");
        found.map(|bytes| Bytes::from(Vec::from(bytes)))
    }

    async fn set(&self, key: String, value: Vec<u8>) {
        let time = SetExpiration::Px(MILLIS);
        self.set_with_options(key, BulkString::from(value), None, time).await.expect("the server answers");
    }
}

/// rustis' shared client.
pub async fn rustis(url: &str) -> rustis::client::Client {
    rustis::client::Client::connect(url).await.expect("the server answers")
}

/// redis-rs with a driver that goes once to the back of the runtime's queue before it writes: what an application can do
/// by itself, in these lines, so that commands of many tasks leave together.
#[derive(Debug, Clone)]
pub struct Yielding(MultiplexedConnection);

impl Client for Yielding {
    async fn get(&self, key: String) -> Option<Bytes> {
        Client::get(&self.0, key).await
    }

    async fn set(&self, key: String, value: Vec<u8>) {
        self.0.set(key, value).await;
    }
}

/// A connection with such a driver.
pub async fn yielding(url: &str) -> Yielding {
    let client = redis::Client::open(url).expect("a URL");
    let info = client.get_connection_info();
    let redis::ConnectionAddr::Tcp(host, port) = info.addr() else { panic!("a server on a port") };
    let stream = tokio::net::TcpStream::connect((host.as_str(), *port)).await.expect("the server answers");
    stream.set_nodelay(true).expect("a socket");
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(60)));
    let opened = MultiplexedConnection::new_with_config(info.redis_settings(), stream, config).await;
    let (connection, driver) = opened.expect("the server answers");
    tokio::spawn(async move { Late { driver: pin!(driver), waited: false }.await });
    Yielding(connection)
}

struct Late<'a, F> {
    driver: Pin<&'a mut F>,
    waited: bool,
}

impl<F: Future<Output = ()>> Future for Late<'_, F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.waited {
            self.waited = false;
            return self.driver.as_mut().poll(cx);
        }
        self.waited = true;
        // `yield_now` defers the waker until the runtime has polled what else is ready.
        let mut yielded = pin!(tokio::task::yield_now());
        if yielded.as_mut().poll(cx).is_ready() {
            return self.driver.as_mut().poll(cx);
        }
        Poll::Pending
    }
}
