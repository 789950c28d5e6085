//! Arguments in calls of macros: the same in the function as in that of the entry, where they are references.
use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

#[cached(prefix = "choice", key = format!("{}", if b { 1 } else { 2 }), entry = choice_entry)]
async fn choice(b: bool) -> bool {
    CALLS.add();
    b
}

#[cached(prefix = "cast", key = format!("{}{n:?}{b}{name}", b as u32 + 1, n = n % 10), entry = cast_entry)]
async fn cast(b: u8, n: i64, name: String) -> String {
    CALLS.add();
    format!("{b}{n}{name}")
}

#[cached(prefix = "list", key = vec![n; 2], tags = vec![std::format!("n:{}", -n)], entry = list_entry)]
async fn list(n: i8) -> i8 {
    CALLS.add();
    n
}

#[cached(prefix = "owned", key = (id, vec![name, other]), entry = owned_entry)]
async fn owned(id: u8, name: String, other: String) -> usize {
    CALLS.add();
    usize::from(id) + (name + &other).len()
}

#[cached(
    prefix = "matched",
    key = (matches!(n, 1..=3), matches!(kind, Some(n) if n > limit && n > 3), format!("{}", { let n = n; n })),
    entry = matched_entry
)]
async fn matched(n: u8, kind: Option<u8>, limit: u8) -> u8 {
    CALLS.add();
    n + kind.unwrap_or_default() + limit
}

#[cached(prefix = "comma", key = matches!(n as u32, 1 | 2,), entry = comma_entry)]
async fn comma(n: u8) -> u8 {
    CALLS.add();
    n
}

/// Widths and precisions are arguments too.
#[cached(prefix = "wide", key = format!("{id:>0width$}-{:.prec$}", 0.125), entry = wide_entry)]
async fn wide(id: u8, width: usize, prec: usize) -> usize {
    CALLS.add();
    usize::from(id) + width + prec
}

macro_rules! own {
    ($name:ident => $($format:tt)*) => {
        format!($($format)*, $name.len())
    };
}

#[cached(prefix = "own", key = own!(name => "{}:{}", name), entry = own_entry)]
async fn own(name: String) -> String {
    CALLS.add();
    name
}

#[test]
fn runs() {
    run(async {
        for _ in 0..2 {
            choice(true).await;
            cast(1, 22, "x".to_owned()).await;
            list(-3).await;
            matched(3, Some(9), 8).await;
            own("ab".to_owned()).await;
            comma(2).await;
            wide(7, 3, 1).await;
            owned(1, "a".to_owned(), "b".to_owned()).await;
        }
        assert_eq!(CALLS.count(), 8);
        assert_eq!(owned_entry(1, "a".to_owned(), "b".to_owned()).key().unwrap().as_str(), "owned:1:[a,b]");
        assert_eq!(choice_entry(false).key().unwrap().as_str(), "choice:2");
        assert!(choice_entry(true).has().await.unwrap());
        assert_eq!(cast_entry(1, 22, "x".to_owned()).key().unwrap().as_str(), "cast:221x");
        assert!(cast_entry(1, 22, "x".to_owned()).has().await.unwrap());
        assert!(list_entry(-3).has().await.unwrap());
        assert_eq!(matched_entry(3, Some(9), 8).key().unwrap().as_str(), "matched:true:true:3");
        assert_eq!(matched_entry(4, Some(9), 9).key().unwrap().as_str(), "matched:false:false:4");
        assert!(matched_entry(3, Some(9), 8).has().await.unwrap());
        assert_eq!(comma_entry(1).get().await.unwrap(), Some(2));
        assert_eq!(wide_entry(7, 3, 1).key().unwrap().as_str(), "wide:007-0.1");
        assert!(wide_entry(7, 3, 1).has().await.unwrap());
        assert!(own_entry("ab".to_owned()).has().await.unwrap());
    });
}
