//! Values found by their texts, and the threshold from which on questions may share an answer.

use std::io::Write as _;
use std::sync::Arc;

use cachemacro::cached;
use cachemacro_search::Search;
use cachemacro_tests::RedisServer;
use serde_json::Value;

use super::harness::{Place, by_guide};

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Airport {
    name: String,
    city: String,
}

#[cached(prefix = "airport", key = "{icao}", ttl = "5m", search = [&result.name, &result.city], tags = ["airports"])]
async fn airport(icao: &str) -> Option<Airport> {
    let (name, city) = match icao {
        "EGLL" => ("London Heathrow", "London"),
        "EGKK" => ("London Gatwick", "London"),
        "EDDB" => ("Berlin Brandenburg", "Berlin"),
        _ => return None,
    };
    Some(Airport { name: name.to_owned(), city: city.to_owned() })
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_found_by_their_texts_and_those_alone_that_a_read_would_give() {
    let server = &RedisServer::start();
    let (place, search) = (Place::on(server), Arc::new(Search::new()));
    let cache = place.settings().beside(search.clone()).build().expect("acceptable");
    cache
        .scope(async {
            for icao in ["EGLL", "EGKK", "EDDB"] {
                airport(icao).await;
            }
        })
        .await;
    cache.stored().await;
    search.written().await;
    place.reported(&[&cache]).await;

    let keys = async |args: &[&str]| -> Vec<String> {
        let rows = place.rows(&[&["search"], args].concat()).await;
        rows.iter().map(|row| row["key"].as_str().expect("a key").to_owned()).collect()
    };
    assert_eq!(keys(&["heatrow", "--method", "fuzzy"]).await, ["airport:EGLL"]);
    assert_eq!(keys(&["LONDON", "--method", "exact"]).await, ["airport:EGKK", "airport:EGLL"]);
    assert_eq!(keys(&["airports in berlin", "--method", "vector", "--limit", "1"]).await, ["airport:EDDB"]);
    assert_eq!(
        keys(&["london", "--method", "vector", "--prefix", "airport", "--threshold", "1"]).await.len(),
        0
    );
    let rows = place.rows(&["search", "heatrow", "--method", "fuzzy", "--values"]).await;
    assert!(rows[0]["value"].as_str().expect("a value").contains("Heathrow"), "{rows:?}");
    for name in ["watcher", "operator"] {
        let seen = by_guide(server, name, &place.namespace).await;
        for method in ["exact", "fuzzy", "vector"] {
            let said = seen.asked(&["search", "heathrow", "--method", method]).await;
            assert!(said.code == Some(0) && said.out.contains("airport:EGLL"), "{name} {said:?}");
        }
    }
    let plain = place.asked(&["search", "heatrow", "--method", "fuzzy"]).await;
    assert!(plain.out.contains("airport:EGLL") && !plain.out.contains("Heathrow"), "{plain:?}");

    cache.evict_tags(["airports"]).await.expect("evicted");
    let gone = place.asked(&["search", "heatrow", "--method", "fuzzy"]).await;
    assert_eq!(gone.code, Some(1), "{gone:?}");
    for wrong in [
        &["search", "x", "--method", "guess"][..],
        &["search", "x", "--method", "exact", "--threshold", "2"],
        &["search", "x", "--method", "exact", "--threshold", "NaN"],
        &["search", "x", "--method", "exact", "--regex"],
        &["search", "x", "--threshold", "0.5"],
        &["search"],
    ] {
        assert_eq!(place.asked(wrong).await.code, Some(2), "{wrong:?}");
    }
    // A word that is a command's too is a text as any other.
    assert_eq!(place.asked(&["search", "help"]).await.code, Some(1));
    assert_eq!(place.asked(&["search", "--", "calibrate"]).await.code, Some(1));
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("there is room");
    file
}

#[test]
fn a_threshold_is_found_that_keeps_the_budget_or_it_is_said_that_none_does() {
    let place = Place::on(RedisServer::shared());
    let calibrate = |text: &str, budget: &str| {
        let file = file(text);
        let path = file.path().to_str().expect("a path").to_owned();
        place.run(&["search", "calibrate", &path, "--budget", budget, "--format", "json"])
    };
    let scored: String =
        (0..2_000).map(|n| if n < 1_000 { "0.9,yes\n".into() } else { format!("0.6,{}\n", n % 2) }).collect();
    let said = calibrate(&format!("score,right\n{scored}"), "1%");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.errors.contains("threshold = 0.61"), "{said:?}");
    let fits = said.rows().iter().find(|row| row["fits"] == "yes").cloned();
    assert_eq!(fits.map(|row| row["threshold"].clone()), Some(Value::from("0.61")));
    let said = calibrate(&format!("score,right\n{}", &scored[..8 * 100]), "1%");
    assert_eq!(said.code, Some(1));
    assert!(said.errors.contains("no threshold"), "{said:?}");

    // Texts are compared by their words; what the guard refuses is not answered, and so not falsely.
    let alike = "are dogs welcome here,are dogs welcome here,yes\n".repeat(900);
    let opposite = "turn dark mode on,turn dark mode off,no\n".repeat(900);
    let said = calibrate(&format!("asked,stored,right\n{alike}{opposite}"), "1%");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.errors.contains("50.0 % of 1800"), "{said:?}");

    for (text, budget) in [
        ("score,right\n0.9,maybe\n", "1%"),
        ("score,right\nmuch,yes\n", "1%"),
        ("score\n0.9\n", "1%"),
        ("right\nyes\n", "1%"),
        ("", "1%"),
        ("score,right\nNaN,yes\n", "1%"),
        ("score,right\n0.9,yes\n", "100%"),
        ("score,right\n0.9,yes\n", "0.01"),
    ] {
        assert_eq!(calibrate(text, budget).code, Some(2), "{text} {budget}");
    }
    assert_eq!(place.run(&["search", "calibrate", "/nowhere.csv"]).code, Some(2));
}
