//! `search` in every form, with what goes beside it.

use std::sync::{Arc, Mutex};

use cachemacro::{Beside, Cache, Stored, cache_put, cached};
use cachemacro_tests::attributes::run;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Airport {
    name: String,
    city: Option<String>,
    elevation: u32,
}

impl Airport {
    fn of(name: &str) -> Self {
        Airport { name: name.to_owned(), city: Some("Kansas".to_owned()), elevation: 12 }
    }

    fn texts(&self) -> Vec<String> {
        vec![self.name.clone(), "all".to_owned()]
    }
}

/// Whoever is told.
#[derive(Default)]
struct Told(Mutex<Vec<Vec<String>>>);

impl Beside for Told {
    fn stored(&self, stored: &Stored<'_>) {
        self.0.lock().unwrap().push(stored.texts.to_vec());
    }
}

#[cached(search = [&result.name, result.city.as_deref().unwrap_or("none"), result.elevation, format!("{}!", result.name)])]
async fn listed(name: &str) -> Option<Airport> {
    Some(Airport::of(name))
}

#[cached(search = result.texts(), entry = whole_entry, tags = ["airports", "of:{result.name}"], ttl = "5m")]
async fn whole(name: &str) -> Result<Option<Airport>, String> {
    Ok(Some(Airport::of(name)))
}

#[cache_put(entry = whole_entry(name))]
async fn rename(name: &str) -> Airport {
    Airport::of("renamed")
}

#[cached(search = vec![result], unless = *result == other, verify = "0.1%", verify_by = same)]
async fn with_rules(text: String, other: String) -> String {
    text
}

fn same(one: &String, other: &String) -> bool {
    one == other
}

struct Airports;

impl Airports {
    #[cached(search = [result.name.as_str()], tags = ["of:{name}"])]
    async fn method(&self, name: String) -> Airport {
        Airport::of(&name)
    }
}

#[test]
fn search() {
    let told = Arc::new(Told::default());
    let cache = Cache::builder().memory().beside(told.clone()).build().unwrap();
    run(cache.scope(async {
        listed("a").await;
        listed("a").await;
        whole("b").await.unwrap();
        rename("b").await;
        with_rules("c".to_owned(), "d".to_owned()).await;
        with_rules("e".to_owned(), "e".to_owned()).await;
        Airports.method("f".to_owned()).await;
    }));
    let told = told.0.lock().unwrap();
    let expected: [&[&str]; 5] =
        [&["a", "Kansas", "12", "a!"], &["b", "all"], &["renamed", "all"], &["c"], &["f"]];
    assert_eq!(*told, expected);
}
