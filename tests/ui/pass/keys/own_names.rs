//! Expressions that bind names of their own, some of them those of arguments.
use cachemacro::cached;
use cachemacro_tests::attributes::{Calls, run};
use serde::Serialize;

static CALLS: Calls = Calls::new();

#[derive(Serialize)]
struct K {
    id: u32,
    page: u32,
}

#[cached(prefix = "own", key = K { id, page }, entry = shorthand_entry)]
async fn shorthand(id: u32, page: u32) -> u32 {
    CALLS.add();
    id + page
}

#[cached(prefix = "own", key = K { id, ..K { id: 1, page } }, entry = update_entry)]
async fn update(id: u32, page: u32) -> u32 {
    CALLS.add();
    id + page
}

#[cached(prefix = "own", key = ids.iter().map(|id| id + base).sum::<u64>() + id, entry = closure_entry)]
async fn closure(ids: &[u64], base: u64, id: u64) -> u64 {
    CALLS.add();
    ids.len() as u64 + base + id
}

#[cached(
    prefix = "own",
    key = match kind { Some(kind) if kind > 3 && kind < id => kind, Some(_) => kind.unwrap_or(id), None => id },
    entry = arms_entry
)]
async fn arms(kind: Option<u32>, id: u32) -> u32 {
    CALLS.add();
    kind.unwrap_or_default() + id
}

#[cached(
    prefix = "own",
    key = {
        let before = id;
        let id = id + page;
        let mut sum = if let Some(page) = kind && page > id { page } else { page + id };
        for page in 0..page {
            sum += page;
        }
        while let Some(id) = Some(sum).filter(|sum| *sum > 1_000) {
            sum -= id;
        }
        fn twice(page: u32) -> u32 {
            page * 2
        }
        (before, id, twice(page), sum)
    },
    entry = block_entry
)]
async fn block(id: u32, page: u32, kind: Option<u32>) -> u32 {
    CALLS.add();
    id + page + kind.unwrap_or_default()
}

#[cached(prefix = "own", key = &text[..size], entry = sliced_entry, unless = result.is_empty())]
async fn sliced(text: String, size: usize) -> String {
    CALLS.add();
    text[..size].to_owned()
}

#[cached(prefix = "own-range", key = text, unless = result[..name.len()].is_empty())]
async fn cut(text: &str, name: String) -> String {
    CALLS.add();
    format!("{text}{}", name + "x")
}

struct Text(String);

impl Text {
    fn cut(&self, at: usize, filler: &str) -> String {
        format!("{}{filler}", &self.0[..at])
    }
}

#[cached(prefix = "own", key = "{text.cut(size, &filler)}:{map[size]}", tags = ["t:{text.cut(size, &filler)}"], entry = placed_entry)]
async fn placed(text: &Text, size: usize, filler: String, map: Vec<u8>) -> String {
    CALLS.add();
    format!("{}{size}{filler}{map:?}", text.0)
}

#[test]
fn runs() {
    run(async {
        for _ in 0..2 {
            shorthand(1, 2).await;
            update(1, 3).await;
            closure(&[1, 2], 10, 4).await;
            arms(Some(9), 10).await;
            arms(Some(2), 10).await;
            arms(None, 10).await;
            block(1, 2, Some(9)).await;
            sliced("abcd".to_owned(), 2).await;
            cut("abc", "a".to_owned()).await;
            placed(&Text("abc".to_owned()), 1, "x".to_owned(), vec![7, 8]).await;
        }
        assert_eq!(CALLS.count(), 10);
        let keys = [
            (shorthand_entry(1, 2), "own:(id=1,page=2)"),
            (update_entry(1, 3), "own:(id=1,page=3)"),
            (arms_entry(Some(9), 10), "own:9"),
            (arms_entry(Some(2), 10), "own:2"),
            (arms_entry(None, 10), "own:10"),
            (block_entry(1, 2, Some(9)), "own:1:3:4:10"),
        ];
        for (entry, key) in keys {
            assert_eq!(entry.key().unwrap().as_str(), key);
            assert!(entry.has().await.unwrap(), "{key}");
        }
        let placed = placed_entry(&Text("abc".to_owned()), 1, "x".to_owned(), vec![7, 8]);
        assert_eq!(placed.key().unwrap().as_str(), "own:ax:8");
        assert!(placed.has().await.unwrap());
        assert_eq!(closure_entry([1, 2], 10, 4).key().unwrap().as_str(), "own:27");
        assert_eq!(sliced_entry("abcd".to_owned(), 2).key().unwrap().as_str(), "own:ab");
    });
}
