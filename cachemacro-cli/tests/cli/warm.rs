//! `warm`: calls a service's URLs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::harness::Place;

/// A service that counts calls, and answers 404 where the path says so.
async fn service() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let calls = Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let calls = counted.clone();
            tokio::spawn(async move {
                let mut asked = [0; 1_024];
                let read = stream.read(&mut asked).await.unwrap_or_default();
                calls.fetch_add(1, Ordering::SeqCst);
                let is_missing = String::from_utf8_lossy(&asked[..read]).starts_with("GET /missing");
                let status = if is_missing { "404 Not Found" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (url, calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_called_no_faster_than_the_rate_and_what_it_answered_is_told() {
    let (url, calls) = service().await;
    let place = Place { url: String::new(), namespace: "shop".to_owned() };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("urls");
    let urls: Vec<String> = (0..6).map(|id| format!("{url}/users/{id}?full=1")).collect();
    std::fs::write(&file, format!("# the busiest\n\n{}\n", urls.join("\n"))).expect("it can be written");
    let file = file.to_str().expect("text");
    let began = Instant::now();
    let rows = place.rows(&["warm", "--urls", file, "--rate", "10"]).await;
    // The first at once, the sixth half a second later.
    assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
    assert_eq!((rows, calls.load(Ordering::SeqCst)), (vec![json!({ "outcome": "200", "calls": 6 })], 6));

    std::fs::write(file, format!("{url}/users/1\n{url}/missing\n")).expect("it can be written");
    let said = place.asked(&["warm", "--urls", file]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("200") && said.out.contains("404"), "{said:?}");
    std::fs::write(file, "http://127.0.0.1:1/\n").expect("it can be written");
    assert_eq!(place.asked(&["warm", "--urls", file]).await.code, Some(1), "nobody answers");
    for not_called in ["https://shop.example/\n", "users/1\n"] {
        std::fs::write(file, not_called).expect("it can be written");
        assert_eq!(place.asked(&["warm", "--urls", file]).await.code, Some(2), "{not_called}");
    }
}
