//! The harness itself: servers come and go as promised, the proxy injects what it is told.

use std::time::Duration;

use cachemacro_tests::proxy::Loss;
use cachemacro_tests::{DEADLINE, FaultProxy, RedisServer, namespace, wait_until};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

/// After so long without an answer there is none.
const SILENCE: Duration = Duration::from_secs(1);

async fn connect(url: &str, response: Duration) -> redis::RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(response))
        .set_response_timeout(Some(response));
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

async fn ping(connection: &mut MultiplexedConnection) -> redis::RedisResult<String> {
    redis::cmd("PING").query_async(connection).await
}

fn alive(pid: &str) -> bool {
    std::process::Command::new("kill")
        .args(["-0", pid])
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

async fn pid_of(server: &RedisServer) -> String {
    let info: String =
        redis::cmd("INFO").arg("server").query_async(&mut server.client().await).await.expect("INFO");
    info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("a process id").trim().to_owned()
}

#[tokio::test]
async fn a_dropped_server_is_gone_with_its_process_and_folder() {
    let server = RedisServer::start();
    let pid = pid_of(&server).await;
    let folder: Vec<String> = redis::cmd("CONFIG")
        .arg("GET")
        .arg("dir")
        .query_async(&mut server.client().await)
        .await
        .expect("CONFIG");
    assert!(alive(&pid));
    drop(server);
    assert!(!alive(&pid));
    assert!(!std::path::Path::new(&folder[1]).exists());
}

#[tokio::test]
async fn a_server_that_is_paused_when_dropped_is_gone_too() {
    let server = RedisServer::start();
    let pid = pid_of(&server).await;
    server.pause();
    drop(server);
    assert!(!alive(&pid));
}

#[tokio::test]
async fn a_panicking_test_leaves_no_server() {
    let server = RedisServer::start();
    let pid = pid_of(&server).await;
    let panicked = std::thread::spawn(move || {
        let _server = server;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert!(!alive(&pid));
}

#[tokio::test]
async fn a_restart_keeps_the_port_and_loses_the_data() {
    let mut server = RedisServer::start();
    let url = server.url();
    redis::cmd("SET").arg("k").arg("v").exec_async(&mut server.client().await).await.expect("SET");
    server.restart();
    assert_eq!(server.url(), url);
    let kept: Option<String> =
        redis::cmd("GET").arg("k").query_async(&mut server.client().await).await.expect("GET");
    assert_eq!(kept, None);
}

#[tokio::test]
async fn a_paused_server_answers_nothing_until_it_is_resumed() {
    let server = RedisServer::start();
    let mut connection = connect(&server.url(), SILENCE).await.expect("connected");
    server.pause();
    assert!(ping(&mut connection).await.expect_err("silent").is_timeout());
    server.resume();
    assert_eq!(ping(&mut connection).await.expect("answered"), "PONG");
}

#[tokio::test]
async fn the_shared_server_is_one_and_namespaces_are_many() {
    assert_eq!(RedisServer::shared().port(), RedisServer::shared().port());
    assert_ne!(namespace(), namespace());
}

#[tokio::test]
async fn the_proxy_passes_cuts_and_refuses() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    let mut connection = connect(&proxy.url(), DEADLINE).await.expect("passed");
    assert_eq!(ping(&mut connection).await.expect("passed"), "PONG");
    proxy.cut();
    assert!(ping(&mut connection).await.is_err());
    connect(&proxy.url(), DEADLINE).await.expect("new connections are welcome after a cut");
    proxy.refuse();
    wait_until("the port refuses", DEADLINE, async || connect(&proxy.url(), DEADLINE).await.is_err()).await;
    proxy.pass();
    wait_until("the port is back", DEADLINE, async || connect(&proxy.url(), DEADLINE).await.is_ok()).await;
}

#[tokio::test]
async fn the_proxy_points_new_connections_elsewhere_and_keeps_the_others() {
    let (former, next) = (RedisServer::start(), RedisServer::start());
    let proxy = FaultProxy::start(&former.address());
    let mut kept = connect(&proxy.url(), DEADLINE).await.expect("passed");
    proxy.point_at(&next.address());
    let mut new = connect(&proxy.url(), DEADLINE).await.expect("passed");
    for (connection, server) in [(&mut kept, &former), (&mut new, &next)] {
        let port: Vec<String> =
            redis::cmd("CONFIG").arg("GET").arg("port").query_async(connection).await.expect("CONFIG");
        assert_eq!(port[1], server.port().to_string());
        assert_eq!(proxy.links_to(&server.address()), 1);
    }
    drop(kept);
    wait_until("the list is empty", DEADLINE, async || proxy.links_to(&former.address()) == 0).await;
}

#[tokio::test]
async fn the_proxy_delays_and_swallows() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    let mut connection = connect(&proxy.url(), SILENCE).await.expect("passed");
    proxy.delay(Duration::from_millis(50));
    let began = std::time::Instant::now();
    assert_eq!(ping(&mut connection).await.expect("late"), "PONG");
    assert!(began.elapsed() >= Duration::from_millis(100), "a delay each way");
    proxy.black_hole();
    let mut silent = connect(&proxy.url(), SILENCE).await;
    assert!(silent.as_mut().is_err_and(|error| error.is_timeout()));
    assert!(ping(&mut connection).await.expect_err("swallowed").is_timeout());
    proxy.pass();
    assert!(ping(&mut connection).await.expect_err("out of step for ever").is_timeout());
    assert!(connect(&proxy.url(), DEADLINE).await.is_ok());
}

#[tokio::test]
async fn a_lost_reply_leaves_the_request_done() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    let ns = namespace();
    for (n, loss) in [Loss::Silence, Loss::Close].into_iter().enumerate() {
        let mut connection = connect(&proxy.url(), SILENCE).await.expect("passed");
        proxy.lose_reply_to(ns.as_bytes(), loss);
        assert_eq!(ping(&mut connection).await.expect("another request is not touched"), "PONG");
        let key = format!("{ns}:{n}");
        let set: redis::RedisResult<()> =
            redis::cmd("SET").arg(&key).arg(1).query_async(&mut connection).await;
        assert_eq!(set.expect_err("the reply is lost").is_timeout(), loss == Loss::Silence);
        assert_eq!(proxy.lost(), n as u64 + 1);
        let mut direct = RedisServer::shared().client().await;
        let done: Option<i64> = redis::cmd("GET").arg(&key).query_async(&mut direct).await.expect("GET");
        assert_eq!(done, Some(1));
    }
}
