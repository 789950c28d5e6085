use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

struct Page {
    number: u32,
    size: u32,
}

#[cached(entry = sum_entry)]
async fn sum((a, b): (u32, u32), mut c: u32, _: &str) -> u32 {
    CALLS.add();
    c += a;
    c + b
}

#[cached(key = "{number}:{page_size}", entry = rows_entry)]
async fn rows(Page { number, size: page_size }: Page, &limit: &u32) -> Vec<u32> {
    CALLS.add();
    vec![number, page_size, limit]
}

#[cached]
async fn nested((mut a, Page { ref number, .. }): (String, Page), [x, y @ ..]: [u8; 3]) -> String {
    CALLS.add();
    a.push_str(&format!("{number}{x}{y:?}"));
    a
}

#[test]
fn runs() {
    run(async {
        assert_eq!(sum((1, 2), 3, "x").await, 6);
        assert_eq!(sum((1, 2), 3, "y").await, 6);
        assert_eq!(CALLS.count(), 1);
        assert_eq!(sum_entry((1, 2), 3).get().await.unwrap(), Some(6));
        assert_eq!(rows(Page { number: 1, size: 2 }, &3).await, [1, 2, 3]);
        assert_eq!(rows_entry(Page { number: 1, size: 2 }).get().await.unwrap(), Some(vec![1, 2, 3]));
        assert_eq!(rows_entry(&Page { number: 1, size: 3 }).get().await.unwrap(), None);
        let page = || Page { number: 1, size: 2 };
        assert_eq!(nested(("a".to_owned(), page()), [1, 2, 3]).await, "a11[2, 3]");
        assert_eq!(nested(("a".to_owned(), page()), [1, 2, 3]).await, "a11[2, 3]");
        assert_eq!(CALLS.count(), 3);
    });
}
