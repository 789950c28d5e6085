//! `result` is the value, in templates, expressions and macro calls, beside arguments and without.
use std::borrow::Cow;
use std::time::Duration;

use cachemacro::{cache_evict, cache_put, cached};
use cachemacro_tests::attributes::{Calls, assert_send, run};
use serde::{Deserialize, Serialize};

static CALLS: Calls = Calls::new();

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Document {
    id: u32,
    org: String,
    labels: Vec<String>,
    is_draft: bool,
    premium: bool,
}

fn document(id: u32) -> Document {
    CALLS.add();
    Document {
        id,
        org: format!("o{}", id % 2),
        labels: vec![format!("l{id}"), "all".to_owned()],
        is_draft: id == 3,
        premium: id == 4,
    }
}

#[cached(
    prefix = "document",
    key = "{id}",
    tags = ["documents", "org:{result.org}", "doc:{id}"],
    ttl = if result.premium { Duration::from_hours(1) } else { Duration::from_mins(1) },
    unless = result.is_draft,
    jitter = "0%",
    entry = document_entry
)]
async fn load(id: u32) -> Result<Option<Document>, String> {
    if id == 0 { Ok(None) } else { Ok(Some(document(id))) }
}

#[cache_put(entry = document_entry(id))]
async fn save(id: u32, org: &str) -> Result<Document, String> {
    Ok(Document { org: org.to_owned(), ..document(id) })
}

/// In one list: text, an argument's tag, and tags of arguments and value at once.
#[cached(
    tags = ["mixed", "by:{name}", "{name}:{result.org}", format!("{}-{}", name, result.id), result.org, result.labels[0].clone()],
    ttl = Duration::from_secs(name.len() as u64 + u64::from(result.id)),
    unless = result.org == name
)]
async fn mixed(id: u32, name: String) -> Document {
    drop(name);
    document(id)
}

#[cached(tags = result.labels, ttl = Duration::from_mins(1))]
async fn list_of_the_value(id: u32) -> Document {
    document(id)
}

/// A closure takes the arguments by position, and may mention `result` too.
#[cached(key = |number, _| number, tags = |number, text| vec![format!("n:{number}"), format!("{text}:{result}")])]
async fn closure(id: u32, name: String) -> String {
    CALLS.add();
    format!("{name}{id}")
}

#[cached(tags = |id| [format!("n:{id}")])]
async fn one_argument(id: u32) -> u32 {
    CALLS.add();
    id + 7
}

/// What the arguments decide is asked about the value as well.
#[cached(unless = dry)]
async fn without_result(dry: bool, id: u32) -> u32 {
    CALLS.add();
    id
}

/// Names in fields, methods and text are no mentions, and neither are names that the expression binds itself.
struct Odd {
    result: u32,
}

impl Odd {
    fn result(&self) -> u32 {
        self.result
    }
}

#[cached(
    prefix = "odd",
    key = (odd.result, odd.result(), "result", { let result = 1; format!("{result}") }),
    ttl = Duration::from_secs([u64::from(odd.result)].iter().map(|result| result + 1).sum()),
    condition = odd.result() > 0,
    entry = odd_entry
)]
async fn no_mentions(odd: &Odd) -> u32 {
    CALLS.add();
    odd.result
}

/// An argument of the name is only a mistake where an option mentions it.
#[cached(entry = unmentioned_entry)]
async fn unmentioned(result: u32) -> u32 {
    CALLS.add();
    result
}

/// By the macros' own names too.
macro_rules! tagged {
    ($name:ident, $tag:expr, $template:literal, $unless:expr) => {
        #[cached(tags = [$tag, $template], unless = $unless)]
        async fn $name(id: u32) -> u32 {
            CALLS.add();
            id
        }
    };
}
tagged!(through_a_macro, format!("id:{}", result + 1), "of:{result}", matches!(result, 5 | 6));

#[cache_put(
    prefix = "document",
    key = |number, _| number,
    tags = |number, _| ["documents".to_owned(), format!("doc:{number}"), format!("{number}:{}", result.org)],
    ttl = if result.premium { Duration::from_hours(1) } else { Duration::from_mins(1) },
    unless = result.is_draft || org.is_empty(),
)]
async fn put(id: u32, org: String) -> Option<Document> {
    (id != 0).then(|| Document { org, ..document(id) })
}

#[cache_evict(prefix = "document", key = (id, result.org), tags = ["org:{result.org}", "doc:{id}", result.org, format!("{org}")])]
async fn evict(id: u32, org: Cow<'static, str>) -> Result<Document, String> {
    let org = org.into_owned();
    if org == "bad" { Err(org) } else { Ok(Document { org, ..document(id) }) }
}

#[cache_evict(tags = |number| [format!("n:{number}")])]
async fn evict_by_closure(id: u32) -> Result<u32, String> {
    Ok(id + 7)
}

#[cache_evict(tags = |number, text| vec![format!("n:{number}:{result}"), format!("text:{text}")])]
async fn evict_late_by_closure(id: u32, text: String) -> Result<u32, String> {
    Ok(id + u32::try_from(text.len()).unwrap_or_default())
}

async fn is_there(id: u32) -> bool {
    document_entry(id).has().await.unwrap()
}

async fn lives(id: u32) -> Duration {
    document_entry(id).ttl().await.unwrap().unwrap()
}

#[test]
fn tags_ttl_and_unless_follow_the_value() {
    run(async {
        let cache = cachemacro::Cache::current();
        for id in 0..5 {
            assert_send(load(id)).await.unwrap();
        }
        assert!(!is_there(0).await, "nothing is asked about `None`");
        assert!(is_there(1).await && is_there(2).await && is_there(4).await);
        assert!(!is_there(3).await, "a draft");
        assert!(lives(1).await <= Duration::from_mins(1));
        assert!(lives(4).await > Duration::from_mins(1));
        cache.evict_tags(["org:o1"]).await.unwrap();
        assert!(!is_there(1).await && is_there(2).await);
        cache.evict_tags(["doc:2"]).await.unwrap();
        assert!(!is_there(2).await && is_there(4).await);
        save(2, "o7").await.unwrap();
        save(3, "o7").await.unwrap();
        assert!(is_there(2).await && !is_there(3).await, "a put through the entry asks the same");
        cache.evict_tags(["org:o7"]).await.unwrap();
        assert!(!is_there(2).await && is_there(4).await);
        cache.evict_tags(["documents"]).await.unwrap();
        assert!(!is_there(4).await);
    });
}

#[test]
fn tags_of_arguments_and_value_stand_in_one_list() {
    run(async {
        let cache = cachemacro::Cache::current();
        for tag in ["mixed", "by:a", "a:o0", "a-2", "o0", "l2"] {
            for _ in 0..2 {
                assert_send(mixed(2, "a".to_owned())).await;
            }
            let before = cache.stats().total.loads;
            cache.evict_tags([tag]).await.unwrap();
            mixed(2, "a".to_owned()).await;
            assert_eq!(cache.stats().total.loads, before + 1, "{tag}");
        }
        let before = cache.stats().total.loads;
        for _ in 0..2 {
            mixed(2, "o0".to_owned()).await;
        }
        assert_eq!(cache.stats().total.loads, before + 2, "an argument says that it is not stored");
        for tag in ["l2", "all"] {
            list_of_the_value(2).await;
            cache.evict_tags([tag]).await.unwrap();
            let before = cache.stats().total.loads;
            list_of_the_value(2).await;
            assert_eq!(cache.stats().total.loads, before + 1, "{tag}");
        }
    });
}

#[test]
fn closures_take_the_arguments_by_position() {
    run(async {
        let cache = cachemacro::Cache::current();
        for tag in ["n:1", "x:x1"] {
            closure(1, "x".to_owned()).await;
            let before = cache.stats().total.loads;
            closure(1, "x".to_owned()).await;
            assert_eq!(cache.stats().total.loads, before);
            cache.evict_tags([tag]).await.unwrap();
            closure(1, "x".to_owned()).await;
            assert_eq!(cache.stats().total.loads, before + 1, "{tag}");
        }
        one_argument(1).await;
        let before = cache.stats().total.loads;
        cache.evict_tags(["n:8"]).await.unwrap();
        one_argument(1).await;
        assert_eq!(cache.stats().total.loads, before, "it is not the value");
        evict_by_closure(1).await.unwrap();
        one_argument(1).await;
        assert_eq!(cache.stats().total.loads, before + 1);
        for tag in ["n:1:3", "text:ab"] {
            let entry = cache.entry::<u32>("late", tag).with_tags([tag]);
            entry.set(&1).await.unwrap();
            evict_late_by_closure(1, "ab".to_owned()).await.unwrap();
            assert!(!entry.has().await.unwrap(), "{tag}");
        }
    });
}

#[test]
fn puts_and_evicts_know_the_value() {
    run(async {
        let cache = cachemacro::Cache::current();
        put(1, "x".to_owned()).await;
        assert!(lives(1).await <= Duration::from_mins(1));
        put(1, String::new()).await;
        assert!(!is_there(1).await, "what is not stored evicts");
        put(4, "x".to_owned()).await;
        assert!(lives(4).await > Duration::from_mins(1));
        cache.evict_tags(["4:x"]).await.unwrap();
        assert!(!is_there(4).await);
        put(0, "x".to_owned()).await;

        let of = async |tag: &str| {
            let entry = cache.entry::<u32>("tagged", tag).with_tags([tag]);
            entry.set(&1).await.unwrap();
            entry
        };
        for tag in ["org:x", "doc:5", "x"] {
            let entry = of(tag).await;
            evict(5, "bad".into()).await.unwrap_err();
            assert!(entry.has().await.unwrap(), "an error evicts nothing");
            evict(5, "x".into()).await.unwrap();
            assert!(!entry.has().await.unwrap(), "{tag}");
        }
        let key = cache.entry::<u32>("document", (5, "x"));
        key.set(&1).await.unwrap();
        evict(5, "x".into()).await.unwrap();
        assert!(!key.has().await.unwrap());
    });
}

#[test]
fn other_results_are_none() {
    run(async {
        let cache = cachemacro::Cache::current();
        let loads = || cache.stats().total.loads;
        for (dry, expected) in [(true, 2), (false, 3)] {
            for _ in 0..2 {
                without_result(dry, 1).await;
            }
            assert_eq!(loads(), expected, "dry: {dry}");
        }
        let odd = Odd { result: 2 };
        for _ in 0..2 {
            no_mentions(&odd).await;
        }
        assert_eq!(odd_entry(&odd).key().unwrap().as_str(), "odd:2:2:result:1");
        unmentioned(1).await;
        assert!(unmentioned_entry(1).has().await.unwrap());
        let before = loads();
        for id in [1, 1, 5, 5] {
            through_a_macro(id).await;
        }
        assert_eq!(loads(), before + 3);
        for tag in ["id:2", "of:1"] {
            cache.evict_tags([tag]).await.unwrap();
            let before = loads();
            through_a_macro(1).await;
            assert_eq!(loads(), before + 1, "{tag}");
        }
    });
}
