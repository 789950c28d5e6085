//! With `panic = "abort"` nothing that panics can be caught, so no made-up value is ever given to a user's `Deserialize`: this program
//! ends well only if it is given nothing but what its own `Serialize` wrote. It is built with few features, so it also looks at what is said of
//! those that are missing. `scripts/features` runs it.

use cachemacro::{Cache, Warning, cached};
use serde::{Deserialize, Deserializer, Serialize};

/// What needs a feature that is not built in is refused with the feature's name, and with nothing of the URL.
fn missing_features() {
    for (url, feature) in [
        ("rediss://:hunter2@host", "`tls`"),
        ("redis+cluster://:hunter2@a,b", "`cluster`"),
        ("redis+sentinel://:hunter2@a,b/name", "`sentinel`"),
    ] {
        let error = Cache::builder().redis(url).build().map(drop).expect_err("the feature is missing");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(feature) && !shown.contains("hunter2"), "{url}: {shown}");
    }
    let over = |name: &str| (name == "CACHEMACRO_COMPRESS_OVER").then(|| "1".to_owned());
    let error = Cache::builder().memory().env_from(over).map(drop).expect_err("the feature is missing");
    assert!(error.to_string().contains("`lz4`"), "{error}");
}

/// Written as a number and a word; anything else ends the process.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Strict {
    number: u32,
    word: String,
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (number, word) = <(u32, String)>::deserialize(deserializer)?;
        assert_eq!((number, &*word), (7, "seven"), "a value that nobody wrote");
        Ok(Self { number, word })
    }
}

/// Refuses all but one text, by a panic, at any depth.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Code(String);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Ok(Self(code.strip_prefix("code-").expect("a code").to_owned())).map(|Self(rest)| Self(format!("code-{rest}")))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Row {
    Strict(Strict),
    Codes { codes: Vec<Code>, other: Option<Box<Row>> },
}

#[cached]
async fn row(id: u32) -> Result<Option<Row>, Code> {
    let strict = Row::Strict(Strict { number: 7, word: "seven".to_owned() });
    match id {
        0 => Ok(Some(strict)),
        1 => Ok(Some(Row::Codes { codes: vec![Code("code-1".to_owned())], other: Some(Box::new(strict)) })),
        2 => Ok(None),
        _ => Err(Code("code-2".to_owned())),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert!(cfg!(panic = "abort"), "this is to be built so that it aborts");
    missing_features();
    let cache = Cache::memory();
    let calls = async {
        for id in [0, 1, 2, 3] {
            let (first, second) = (row(id).await, row(id).await);
            assert_eq!(first, second, "{id}");
        }
        let entry = Cache::current().entry::<Row>("by-hand", 1);
        let loaded = entry.get_or_load(async || Row::Codes { codes: Vec::new(), other: None }).await;
        assert_eq!(entry.get().await.expect("memory does not fail"), Some(loaded));
    };
    cache.scope(calls).await;
    let stats = cache.stats();
    assert_eq!(stats.total.hits, 3, "{stats:?}");
    assert!(stats.total.unstorable_by_reason().all(|(_, count)| count == 0), "{stats:?}");
    let warnings = cache.warnings();
    assert!(!warnings.iter().any(|warning| matches!(warning, Warning::Undecodable(_))), "{warnings:?}");
    println!("nothing was made up");
}
