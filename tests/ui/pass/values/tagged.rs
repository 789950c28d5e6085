//! Enums that serde tags itself: they come back from codecs that describe themselves, and are misses with the others.
use cachemacro::cached;
use cachemacro::codec::{Json, MessagePack, Postcard};
use cachemacro_tests::attributes::{Calls, run};
use serde::{Deserialize, Serialize};

static CALLS: Calls = Calls::new();

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t")]
enum Internal {
    A { x: u8 },
    B,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    A(u8),
    B,
}

type Both = [(Internal, Adjacent); 2];

fn both() -> Both {
    CALLS.add();
    [(Internal::A { x: 1 }, Adjacent::A(1)), (Internal::B, Adjacent::B)]
}

#[cached(codec = Json)]
async fn json() -> Both {
    both()
}

#[cached(codec = MessagePack)]
async fn msgpack() -> Both {
    both()
}

#[cached]
async fn internal() -> Internal {
    CALLS.add();
    Internal::A { x: 1 }
}

#[cached]
async fn adjacent() -> Adjacent {
    CALLS.add();
    Adjacent::A(1)
}

#[cached(codec = Postcard)]
async fn adjacent_postcard() -> Adjacent {
    CALLS.add();
    Adjacent::A(1)
}

#[test]
fn runs() {
    run(async {
        assert_eq!(json().await, json().await);
        assert_eq!(msgpack().await, msgpack().await);
        assert_eq!(CALLS.count(), 2);
        assert_eq!(internal().await, internal().await);
        assert_eq!(CALLS.count(), 4);
        assert_eq!(adjacent().await, adjacent().await);
        assert_eq!(CALLS.count(), 6);
        assert_eq!(adjacent_postcard().await, adjacent_postcard().await);
        assert_eq!(CALLS.count(), 8);
    });
}
