//! What is logged of reports that the server does not take.

use std::time::Duration;

use cachemacro::Cache;
use cachemacro_tests::log::Line;
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, Log, RedisServer, wait_until};
use tracing::Level;

use super::{SECRET, assert_discreet};

#[test]
fn a_report_that_is_refused_is_a_line_at_debug_level() {
    let log = Log::default();
    let server = RedisServer::start();
    log.watch(async {
        let rights = format!("ACL SETUSER hush-user on >{SECRET} ~* &* +@all -zadd");
        run(&mut server.client().await, &rights).await;
        let url = server.bare_url().replace("redis://", &format!("redis://hush-user:{SECRET}@"));
        let settings =
            Cache::builder().redis(url).namespace("shop").report_interval(Duration::from_millis(10));
        let cache = settings.build().expect("acceptable settings");
        cache.connect().await.expect("it answers");
        wait_until("one was refused", DEADLINE, async || {
            !log.found(Level::DEBUG, "could not be left at the store").is_empty()
        })
        .await;
    });
    let about: Vec<Line> = log.lines().into_iter().filter(|line| line.text.contains("report")).collect();
    assert!(about.iter().all(|line| line.level == Level::DEBUG), "{about:?}");
    assert_eq!(log.alarms().len(), 0, "{:?}", log.alarms());
    assert_discreet(&log.lines(), &server.address());
}
