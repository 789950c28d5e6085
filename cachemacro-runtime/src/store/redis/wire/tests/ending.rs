//! What is written of a connection whose runtime ends.

use super::*;

#[test]
fn what_nobody_waits_for_is_written_though_the_runtime_ends_and_nothing_else_is() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("built");
    let first = runtime();
    let mut server = first.block_on(async {
        let (wire, server) = connected();
        let (mut fill, mut large) = (command("FILL"), command(&format!("FILL {}", "x".repeat(100_000))));
        fill.outlive();
        large.outlive();
        let mut calls =
            [command("LEASE"), fill, command("EVICT"), large].map(|commands| Box::pin(call(&wire, commands)));
        for call in &mut calls {
            assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending())).await);
        }
        server
    });
    drop(first);
    runtime().block_on(async {
        assert_eq!(server.command().await.as_deref(), Some("FILL"));
        assert_eq!(server.command().await.map(|large| large.len()), Some(100_005));
        assert_eq!(server.command().await, None);
    });
}
