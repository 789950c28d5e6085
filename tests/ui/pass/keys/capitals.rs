//! Arguments whose names begin with a capital, as in formulas.
#![allow(non_snake_case)]

use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};
use serde::Serialize;

static CALLS: Calls = Calls::new();

#[cached]
async fn pressure(T: f64, V: f64) -> f64 {
    CALLS.add();
    T / V
}

#[cached(prefix = "mixed", entry = mixed_entry)]
async fn mixed(id: u8, N: u64) -> u64 {
    CALLS.add();
    u64::from(id) + N
}

#[cached(prefix = "template", key = "{N}:{Ω.0}", tags = ["n:{N}"], entry = template_entry)]
async fn template(N: u64, Ω: (u64, u64)) -> u64 {
    CALLS.add();
    N + Ω.1
}

#[cached(prefix = "expression", key = match Some(N) { Some(M) if M > T => M, _ => T }, entry = expression_entry)]
async fn expression(N: u64, T: u64) -> u64 {
    CALLS.add();
    N + T
}

#[cached(key = |A, B| A + B)]
async fn closure(a: u64, B: u64) -> u64 {
    CALLS.add();
    a + B
}

#[cached(skip(N))]
async fn skipped(id: u8, N: u64) -> u64 {
    CALLS.add();
    u64::from(id) + N
}

struct Point {
    X: u8,
    y: u8,
}

#[cached]
async fn taken_apart(Point { X, y: Y }: Point, (Z, _): (u8, u8)) -> String {
    CALLS.add();
    format!("{X}{Y}{Z}")
}

#[derive(Serialize)]
struct Marker;

struct NoKey;

const NOTHING: () = ();

/// Patterns that bind nothing.
#[cached(skip(NoKey))]
async fn constants(Marker: Marker, NOTHING: (), NoKey: NoKey, id: u8) -> u8 {
    CALLS.add();
    id
}

#[test]
fn runs() {
    run(async {
        for _ in 0..2 {
            assert_eq!(pressure(1.0, 2.0).await, 0.5);
            assert_eq!(pressure(4.0, 2.0).await, 2.0);
            assert_eq!(pressure(4.0, 4.0).await, 1.0);
            assert_eq!(mixed(1, 2).await, 3);
            assert_eq!(mixed(1, 5).await, 6);
            assert_eq!(template(1, (2, 3)).await, 4);
            assert_eq!(template(2, (2, 3)).await, 5);
            assert_eq!(expression(1, 2).await, 3);
            assert_eq!(expression(3, 2).await, 5);
            assert_eq!(closure(1, 2).await, 3);
            assert_eq!(closure(2, 2).await, 4);
            assert_eq!(skipped(1, 2).await, 3);
            assert_eq!(skipped(1, 3).await, 3);
            assert_eq!(taken_apart(Point { X: 1, y: 2 }, (3, 4)).await, "123");
            assert_eq!(taken_apart(Point { X: 2, y: 2 }, (3, 4)).await, "223");
            assert_eq!(taken_apart(Point { X: 2, y: 2 }, (4, 4)).await, "224");
            assert_eq!(constants(Marker, NOTHING, NoKey, 1).await, 1);
            assert_eq!(constants(Marker, NOTHING, NoKey, 2).await, 2);
        }
        assert_eq!(CALLS.count(), 17);
        let keys = [
            (mixed_entry(1, 5), "mixed:1:5"),
            (template_entry(1, (2, 3)), "template:1:2"),
            (expression_entry(3, 2), "expression:3"),
        ];
        for (entry, key) in keys {
            assert_eq!(entry.key().unwrap().as_str(), key);
            assert!(entry.has().await.unwrap(), "{key}");
        }
    });
}
