use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, assert_send, run};

static CALLS: Calls = Calls::new();

#[cached]
async fn text(name: &str) -> String {
    CALLS.add();
    name.to_uppercase()
}

#[cached(key = "{numbers:?}")]
async fn slice(numbers: &[u32]) -> u32 {
    CALLS.add();
    numbers.iter().sum()
}

#[cached(entry = longest_entry)]
async fn longest<'a, 'b: 'a>(one: &'a str, other: &'b str) -> usize {
    CALLS.add();
    one.len().max(other.len())
}

#[cached(entry = optional_entry)]
async fn optional(name: Option<&str>) -> Option<String> {
    CALLS.add();
    name.map(str::to_owned)
}

#[test]
fn runs() {
    run(async {
        let owned = "ada".to_owned();
        assert_eq!(text(&owned).await, "ADA");
        assert_eq!(assert_send(text("ada")).await, "ADA");
        assert_eq!(CALLS.count(), 1);
        assert_eq!(slice(&[1, 2]).await, 3);
        assert_eq!(slice(&vec![1, 2]).await, 3);
        assert_eq!(CALLS.count(), 2);
        assert_eq!(longest("a", "bc").await, 2);
        assert_eq!(longest_entry("a", String::from("bc")).get().await.unwrap(), Some(2));
        assert_eq!(optional(Some("x")).await.as_deref(), Some("x"));
        assert_eq!(optional_entry(Some("x")).get().await.unwrap().as_deref(), Some("x"));
        assert!(!optional_entry(None).has().await.unwrap());
    });
}
