//! The index of `cachemacro-search` on a real server: what it must do, foreign bytes under each of its keys, lost keys, two processes' followers.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro::Cache;
use cachemacro_search::conformance::{Subject, all};
use cachemacro_search::{Analyzer, Document, Follower, Index, Mirror, RedisIndex, StoreIndex};
use cachemacro_tests::{DEADLINE, RedisServer, namespace, wait_until};
use redis::aio::MultiplexedConnection;

const LIFE: Duration = Duration::from_mins(1);

#[derive(Debug)]
struct Redis {
    index: RedisIndex<MultiplexedConnection>,
    connection: MultiplexedConnection,
}

impl Redis {
    async fn on(server: &RedisServer) -> Self {
        let connection = server.client().await;
        // The deadline is not what these cases are about, and they run beside many others.
        let index = RedisIndex::new(connection.clone()).with_changes(200).with_deadline(DEADLINE);
        Self { index, connection }
    }

    async fn run(&self, command: &str, args: &[&str]) {
        let mut connection = self.connection.clone();
        redis::cmd(command).arg(args).exec_async(&mut connection).await.expect("the server answers");
    }
}

#[async_trait]
impl Subject for Redis {
    fn index(&self) -> &dyn Index {
        &self.index
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn most_changes(&self) -> usize {
        200
    }

    async fn lay(&self, space: &str, key: &str, bytes: Bytes) -> bool {
        let mut connection = self.connection.clone();
        let mut set = redis::cmd("SET");
        set.arg(laid(space, key)).arg(&bytes[..]);
        set.exec_async(&mut connection).await.expect("the server answers");
        true
    }
}

/// Where a document lies.
fn laid(space: &str, key: &str) -> String {
    format!("{{{space}:{key}}}:{}:d", space.len())
}

fn document(key: &str) -> Document {
    Document::of(key, &["text"], &Analyzer::new()).expect("a short key")
}

#[tokio::test]
async fn an_index_on_redis_conforms() {
    all(&Redis::on(RedisServer::shared()).await, &namespace()).await;
}

/// The index of a cache with a server, over the store's own connections.
#[derive(Debug)]
struct OfStore(StoreIndex, Redis);

#[async_trait]
impl Subject for OfStore {
    fn index(&self) -> &dyn Index {
        &self.0
    }

    async fn pass(&self, time: Duration) {
        self.1.pass(time).await;
    }

    fn most_changes(&self) -> usize {
        self.1.most_changes()
    }

    async fn lay(&self, space: &str, key: &str, bytes: Bytes) -> bool {
        self.1.lay(space, key, bytes).await
    }
}

#[tokio::test]
async fn an_index_of_a_store_conforms() {
    let server = RedisServer::shared();
    let cache = Cache::builder().redis(server.url()).command_timeout(DEADLINE).build().expect("acceptable");
    let commands = cache.raw_commands().expect("it has a server");
    let index = StoreIndex::new(commands).with_changes(200).with_deadline(DEADLINE);
    all(&OfStore(index, Redis::on(server).await), &namespace()).await;
}

#[tokio::test]
async fn what_one_process_writes_another_finds_and_nothing_stays_for_ever() {
    let (server, space) = (RedisServer::shared(), namespace());
    let (writer, reader) = (Redis::on(server).await, Redis::on(server).await);
    let mut follower = Follower::new(&*space, Mirror::new());
    follower.catch_up(&reader.index).await.expect("it answers");
    writer.index.write(&space, &document("a"), LIFE).await.expect("it takes it");
    assert_eq!(follower.catch_up(&reader.index).await.expect("it answers").changed, 1);
    assert!(follower.searcher().search(|mirror| mirror.contains("a")));
    for key in [laid(&space, "a"), format!("{{{space}}}:k"), format!("{{{space}}}:s")] {
        let mut connection = writer.connection.clone();
        let left: i64 =
            redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.expect("the server answers");
        assert!(left > 0, "{key}: {left}");
    }
    let gone = Duration::from_millis(300);
    writer.index.write(&space, &document("short"), gone).await.expect("it takes it");
    wait_until("it ended", DEADLINE, async || {
        let page = reader.index.scan(&space, None).await.expect("it answers");
        page.laid.iter().all(|laid| laid.key != "short")
    })
    .await;
}

#[tokio::test]
async fn a_removal_whose_note_failed_is_told_by_the_next_one_and_only_once() {
    let (redis, space) = (Redis::on(RedisServer::shared()).await, namespace());
    let mut follower = Follower::new(&*space, Mirror::new());
    redis.index.write(&space, &document("a"), LIFE).await.expect("it takes it");
    follower.catch_up(&redis.index).await.expect("it answers");
    // As when the connection breaks between the removal and its note.
    redis.run("UNLINK", &[&laid(&space, "a")]).await;
    for told in [1, 0] {
        redis.index.remove(&space, "a").await.expect("it takes it");
        assert_eq!(follower.catch_up(&redis.index).await.expect("it answers").changed, told);
        assert!(!follower.searcher().search(|mirror| mirror.contains("a")));
    }
}

#[tokio::test]
async fn lost_and_foreign_keys_cost_candidates_until_they_are_written_over() {
    let space = namespace();
    let redis = Redis::on(RedisServer::shared()).await;
    let (laid, set, stream) = (laid(&space, "a"), format!("{{{space}}}:k"), format!("{{{space}}}:s"));
    for kind in ["gone", "a list", "a string"] {
        for key in [&laid, &set, &stream] {
            for key in ["a", "b"] {
                redis.index.write(&space, &document(key), LIFE).await.expect("it takes it");
            }
            let mut follower = Follower::new(&*space, Mirror::new());
            follower.catch_up(&redis.index).await.expect("it answers");
            assert_eq!(follower.searcher().search(Mirror::len), 2, "{key} {kind}");

            redis.run("DEL", &[key]).await;
            match kind {
                "a list" => redis.run("RPUSH", &[key, "x"]).await,
                "a string" => redis.run("SET", &[key, "x"]).await,
                _ => {}
            }
            let mut fresh = Follower::new(&*space, Mirror::new());
            for follower in [&mut follower, &mut fresh] {
                follower.catch_up(&redis.index).await.unwrap_or_else(|error| panic!("{key} {kind}: {error}"));
                let searcher = follower.searcher();
                assert!(searcher.is_complete() && searcher.search(Mirror::len) <= 2);
            }
            // The next fills heal it, for both.
            for key in ["a", "b"] {
                redis.index.write(&space, &document(key), LIFE).await.expect("it takes it");
            }
            for follower in [&mut follower, &mut fresh] {
                follower.catch_up(&redis.index).await.expect("it answers");
                assert_eq!(follower.searcher().search(Mirror::len), 2, "{key} {kind}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_waited_for_no_longer_than_the_deadline() {
    let server = RedisServer::start();
    let index = RedisIndex::new(server.client().await).with_deadline(Duration::from_millis(100));
    let space = namespace();
    index.write(&space, &document("a"), LIFE).await.expect("it takes it");
    let place = index.place(&space).await.expect("it answers");
    server.pause();
    let answers = [
        index.write(&space, &document("a"), LIFE).await.err(),
        index.remove(&space, "a").await.err(),
        index.place(&space).await.err(),
        index.changes(&space, &place, 10).await.err(),
        index.scan(&space, None).await.err(),
    ];
    server.resume();
    for answer in answers {
        assert_eq!(answer.map(|error| error.kind()), Some(cachemacro::ErrorKind::Timeout));
    }
}
