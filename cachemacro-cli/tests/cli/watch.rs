//! `stats --watch`: in a real terminal, and where there is none.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cachemacro_tests::{DEADLINE, RedisServer, wait_until};
use serde_json::Value;

use crate::harness::{Place, user};
use crate::terminal::Terminal;

/// What is run in it.
const WATCH: &str = "stats --watch --interval 1";

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_sorts_filters_resizes_outlives_the_server_and_leaves_the_terminal_as_it_was() {
    let mut server = RedisServer::start();
    let place = Place::on(&server);
    let cache = place.service();
    let stop = Arc::new(AtomicBool::new(false));
    let (calling, stopped) = (cache.clone(), stop.clone());
    let calls = tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            user(&calling, "acme", 7).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let terminal = Terminal::start(&place, (80, 24), WATCH);
    terminal.shows("1 process ").await;
    terminal.shows("harness::user").await;
    terminal.shows("reads/sv").await;
    terminal.shows("q quit").await;
    terminal.keys(&["s"]);
    terminal.shows("hit_ratev").await;
    terminal.keys(&["r"]);
    terminal.shows("hit_rate^").await;
    terminal.keys(&["/", "nobody"]);
    terminal.shows("filter: nobody_").await;
    wait_until("no site is shown", DEADLINE, async || !terminal.screen().contains("harness::user")).await;
    terminal.keys(&["Escape"]);
    terminal.shows("harness::user").await;
    terminal.keys(&["Tab"]);
    terminal.shows("instance").await;
    terminal.tmux(&["resize-window", "-x", "120", "-y", "30"]);
    terminal.shows("time_saved").await;
    terminal.keys(&["Tab"]);
    terminal.shows("evicted_keys").await;

    server.stop();
    terminal.shows("(shown is what was known)").await;
    assert!(terminal.screen().contains("harness::user"), "{}", terminal.screen());
    server.restart();
    wait_until("it looks again", DEADLINE, async || !terminal.screen().contains("(shown is what was known)"))
        .await;
    terminal.keys(&["q"]);
    terminal.shows("ended with 0").await;
    let left = terminal.screen();
    assert!(left.contains("before") && !left.contains("reads/s"), "{left}");
    stop.store(true, Ordering::Relaxed);
    calls.await.expect("it does not panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_and_ctrl_c_leave_the_terminal_as_it_was() {
    let place = Place::on(RedisServer::shared());
    for end in ["C-c", "signal"] {
        let terminal = Terminal::start(&place, (80, 24), WATCH);
        terminal.shows("no process reported").await;
        if end == "signal" {
            let shell = terminal.tmux(&["display-message", "-p", "#{pane_pid}"]);
            let shell: u32 = shell.trim().parse().expect("the shell's number");
            let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"));
            let children = children.expect("the shell has a child");
            let binary: u32 = children.trim().parse().expect("one child");
            let told = Command::new("kill").args(["-TERM", &binary.to_string()]).status();
            assert!(told.is_ok_and(|status| status.success()), "it is told to end");
        } else {
            terminal.keys(&[end]);
        }
        terminal.shows("ended with 0").await;
        assert!(terminal.screen().contains("before"), "{}", terminal.screen());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_it_writes_rows() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    user(&cache, "acme", 7).await;
    place.reported(&[&cache]).await;
    let csv = place.asked(&["stats", "--watch", "--interval", "1", "--count", "2", "--format", "csv"]).await;
    assert_eq!(csv.code, Some(0), "{csv:?}");
    let heads = csv.out.lines().filter(|line| line.starts_with("at,site,reads_per_s,")).count();
    let totals = csv.out.lines().filter(|line| line.contains(",total,")).count();
    assert_eq!((heads, totals), (1, 2), "{csv:?}");
    let json = place.asked(&["stats", "--watch", "--count", "1", "--format", "json"]).await;
    let rows: Value = serde_json::from_str(&json.out).expect("JSON");
    assert!(rows[0]["site"].as_str().is_some_and(|site| site.ends_with("::user")), "{rows}");
    let by = place.run(&["stats", "--watch", "--by", "site"]);
    assert_eq!(by.code, Some(2), "{by:?}");
    let nobody = Place { url: "redis://127.0.0.1:1".to_owned(), namespace: "shop".to_owned() };
    assert_eq!(nobody.run(&["stats", "--watch", "--count", "1"]).code, Some(3));
}
