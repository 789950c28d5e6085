//! Commands that are not answered in time.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_reply_is_waited_for_as_long_as_the_patience_and_not_longer() {
    let (wire, mut server) = connected_within(Duration::from_millis(250));
    let began = Instant::now();
    for _ in 0..3 {
        let (found, ()) = tokio::join!(read(&wire, &["slow"]), async {
            server.command().await;
            sleep(Duration::from_millis(200)).await;
            server.send(&values(&[None])).await;
        });
        assert_eq!(found.expect("in time"), [None]);
    }
    let before = began.elapsed();
    let silent = read(&wire, &["silent"]).await;
    assert!(
        matches!(silent, Err(Unread::Broken(Broken { cause: Cause::TimedOut, sent: true }))),
        "{silent:?}"
    );
    let waited = began.elapsed().saturating_sub(before);
    assert!((250..300).contains(&waited.as_millis()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_does_not_come_in_time_fails_its_caller_alone() {
    let (wire, mut server) = connected_within(Duration::from_millis(250));
    let (silent, late, read_late, after, ()) = tokio::join!(
        call(&wire, command("SET silent v")),
        async {
            sleep(Duration::from_millis(100)).await;
            let asked = wire.call(command("SET late v")).await;
            let Asked::Doubtful(doubtful) = asked else { panic!("told as the connection went silent") };
            doubtful.answer.await
        },
        async {
            sleep(Duration::from_millis(200)).await;
            let asked = wire.read(keys(&["late"]), None).await;
            let Asked::Doubtful(doubtful) = asked else { panic!("told as the connection went silent") };
            let left = doubtful.due.saturating_duration_since(Instant::now()).as_millis();
            assert!((190..=200).contains(&left), "{left}");
            doubtful.answer.await.map(|found| found.bytes(0))
        },
        async {
            sleep(Duration::from_millis(252)).await;
            call(&wire, command("SET after v")).await
        },
        async {
            let commands = [server.command().await, server.command().await, server.command().await];
            assert_eq!(commands.map(Option::unwrap_or_default), ["SET silent v", "SET late v", "MGET late"]);
            sleep(Duration::from_millis(100)).await;
            server.send("+SILENT\r\n+OK\r\n*1\r\n$1\r\nv\r\n").await;
            assert_eq!(server.command().await, None, "it ends once nobody waits for anything on it");
        }
    );
    assert_eq!(silent, Err(Broken { cause: Cause::TimedOut, sent: true }));
    assert_eq!(late, Ok(vec![ok()]));
    assert_eq!(read_late, Ok(Some("v".into())));
    assert_eq!(after, Err(Broken { cause: Cause::TimedOut, sent: false }));
}

#[tokio::test(start_paused = true)]
async fn who_is_not_answered_either_is_told_so_at_its_own_time() {
    let (wire, mut server) = connected_within(Duration::from_millis(250));
    let began = Instant::now();
    let waited = |start: u64| {
        let wire = &wire;
        async move {
            sleep(Duration::from_millis(start)).await;
            let answers = (call(wire, command("SET k v")).await, read(wire, &["k"]).now_or_never());
            assert_eq!(answers.0, Err(Broken { cause: Cause::TimedOut, sent: true }));
            began.elapsed().saturating_sub(Duration::from_millis(start)).as_millis()
        }
    };
    let waits = join_all([waited(0), waited(100), waited(240)]).await;
    assert!(waits.iter().all(|waited| (250..260).contains(waited)), "{waits:?}");
    for _ in 0..3 {
        assert_eq!(server.command().await.as_deref(), Some("SET k v"));
    }
    assert_eq!(server.command().await, None);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_when_a_connection_went_silent_is_told_so() {
    let (ours, stream) = duplex(1 << 10);
    let wire = Wire::new(ours, Duration::from_millis(250), Box::new(|_| {}));
    let large = command(&format!("SET k {}", "v".repeat(300_000)));
    let (sent, waiting, reading) = tokio::join!(
        call(&wire, large),
        async {
            yield_now().await;
            yield_now().await;
            call(&wire, command("SET k v")).await
        },
        async {
            yield_now().await;
            yield_now().await;
            read(&wire, &["k"]).await
        }
    );
    let unsent = Broken { cause: Cause::TimedOut, sent: false };
    assert_eq!(sent, Err(Broken { sent: true, ..unsent }));
    assert_eq!((waiting, reading), (Err(unsent), Err(Unread::Broken(unsent))));
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_waits_no_longer_than_for_an_answer_and_the_connection_goes_on() {
    let (ours, stream) = duplex(1 << 10);
    let wire = Wire::new(ours, Duration::from_millis(250), Box::new(|_| {}));
    let mut server = Server { stream, buffer: BytesMut::new() };
    let large = || command(&format!("SET k {}", "v".repeat(3_000_000)));
    let began = Instant::now();
    let (first, second, late, later, ()) = tokio::join!(
        wire.call_within(large(), LONG),
        async {
            sleep(Duration::from_millis(1)).await;
            wire.call_within(large(), LONG).await
        },
        async {
            sleep(Duration::from_millis(10)).await;
            let late = call(&wire, large()).await;
            (late, began.elapsed().as_millis())
        },
        async {
            sleep(Duration::from_millis(100)).await;
            let later = call(&wire, large()).await;
            (later, began.elapsed().as_millis())
        },
        async {
            sleep(Duration::from_millis(300)).await;
            for _ in 0..2 {
                server.command().await;
            }
            sleep(Duration::from_millis(100)).await;
            server.send("+OK\r\n+OK\r\n").await;
        }
    );
    assert_eq!((first, second), (Ok(vec![ok()]), Ok(vec![ok()])));
    let crowded = |sent| Err(Broken { cause: Cause::Crowded, sent });
    assert!((255..270).contains(&late.1) && (345..360).contains(&later.1), "{late:?} {later:?}");
    assert_eq!((late.0, later.0), (crowded(false), crowded(true)));
    let (after, ()) = tokio::join!(read(&wire, &["k"]), async {
        // What had no time left was sent before that was known.
        server.command().await;
        assert_eq!(server.command().await.as_deref(), Some("MGET k"));
        server.send("+OK\r\n").await;
        server.send(&values(&[Some("v")])).await;
    });
    assert_eq!(after, Ok(vec![Some("v".to_owned())]));
}

#[tokio::test(start_paused = true)]
async fn what_may_take_long_makes_nothing_else_wait_long() {
    let (wire, mut server) = connected_within(Duration::from_millis(250));
    let (setup, ()) = tokio::join!(wire.call_within(command("SETUP"), LONG), async {
        server.command().await;
        sleep(LONG / 2).await;
        server.send("+OK\r\n").await;
    });
    assert_eq!(setup, Ok(vec![ok()]));
    let began = Instant::now();
    assert!(read(&wire, &["silent"]).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
