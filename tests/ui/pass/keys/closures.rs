use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

#[derive(serde::Serialize)]
struct Filter {
    text: String,
    page: u32,
}

#[cached(prefix = "c", key = |filter, _pool| (&filter.text, filter.page / 10), entry = pages_entry)]
async fn pages(filter: Filter, pool: &str) -> String {
    CALLS.add();
    format!("{}{pool}", filter.text)
}

#[cached(prefix = "swapped", key = |b, a| (a, b), entry = swapped_entry)]
async fn swapped(a: u8, b: u8) -> u8 {
    CALLS.add();
    a - b
}

#[cached(prefix = "early", key = |text: &String| -> Option<char> {
    if text.is_empty() {
        return None;
    }
    let first = text.chars().next()?;
    Some(first)
}, entry = early_entry)]
async fn early(text: String) -> usize {
    CALLS.add();
    text.len()
}

#[cached(prefix = "questioned", key = |text| text.chars().next().map(|c| c.to_ascii_lowercase()))]
async fn inner_closure(text: String) -> usize {
    text.len()
}

#[cached(prefix = "awaited", key = |id| normalized(*id).await)]
async fn awaited(id: u32) -> u32 {
    CALLS.add();
    id
}

async fn normalized(id: u32) -> u32 {
    id % 10
}

#[cached(prefix = "nothing", key = || 7)]
async fn nothing() -> u8 {
    1
}

struct Service(u8);

impl Service {
    #[cached(prefix = "own", key = |id| (self.0, id), entry = of_entry)]
    async fn of(&self, id: u8) -> u8 {
        self.0 + id
    }
}

#[test]
fn runs() {
    run(async {
        let filter = |page| Filter { text: "x".to_owned(), page };
        assert_eq!(pages(filter(11), "p").await, "xp");
        assert_eq!(pages(filter(19), "q").await, "xp");
        assert_eq!(CALLS.count(), 1);
        assert_eq!(pages_entry(filter(11)).key().unwrap().as_str(), "c:x:1");
        assert_eq!(swapped(3, 1).await, 2);
        assert_eq!(swapped_entry(3, 1).key().unwrap().as_str(), "swapped:1:3");
        assert_eq!(early("ab".to_owned()).await, 2);
        assert_eq!(early("ac".to_owned()).await, 2);
        assert_eq!(early(String::new()).await, 0);
        assert_eq!(CALLS.count(), 4);
        assert_eq!(early_entry("ab".to_owned()).get().await.unwrap(), Some(2));
        assert_eq!(inner_closure("A".to_owned()).await, 1);
        assert_eq!((awaited(11).await, awaited(21).await), (11, 11));
        assert_eq!(nothing().await, 1);
        assert_eq!(Service(1).of(2).await, 3);
        assert_eq!(Service(1).of_entry(2).key().unwrap().as_str(), "own:1:2");
    });
}
