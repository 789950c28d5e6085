//! Beside services that seal: entries are found by their keys, and what names them is written nowhere in plain.

use cachemacro::inspect::tag_hash;
use cachemacro::{Cache, Sealing};
use cachemacro_tests::RedisServer;
use cachemacro_tests::monitor::Watched;
use serde_json::json;

use crate::harness::{Place, Said};

/// What must be seen nowhere.
const CANARY: &str = "hunter2canary";

fn service(place: &Place) -> Cache {
    let sealing = Sealing::new(&[1; 32], 1, &[2; 32]);
    place.settings().sealed(sealing).build().expect("acceptable settings")
}

/// Runs the binary with the variables of that service.
async fn asked(place: &Place, args: &[&str]) -> Said {
    let (names, keys) = ("01".repeat(32), format!("1:{}", "02".repeat(32)));
    place.asked_with(args, &[("CACHEMACRO_SEAL_NAMES", &names), ("CACHEMACRO_SEAL_KEYS", &keys)]).await
}

/// Tests are built with what else they need, so they would not miss it.
#[test]
fn the_binary_that_is_installed_can_open_what_is_sealed() {
    let manifest = include_str!("../../Cargo.toml");
    let features = manifest.lines().find(|line| line.starts_with("cachemacro = ")).expect("it is there");
    assert!(features.contains("\"sealed\""), "{features}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_entry_is_found_and_flushed_by_its_key() {
    let place = Place::on(RedisServer::shared());
    let cache = service(&place);
    cache.set("session", CANARY, &7_u32).await.unwrap();
    let key = format!("session:{CANARY}");
    for command in ["inspect", "explain"] {
        let said = asked(&place, &[command, &key]).await;
        assert!(said.code == Some(0) && said.out.contains("fresh"), "{said:?}");
    }
    let shown = asked(&place, &["inspect", &key, "--value", "--format", "json"]).await;
    let content = shown.rows().into_iter().find(|row| row["field"] == "content").unwrap_or_default();
    assert_eq!(content["value"], "(sealed)", "{shown:?}");
    let said = asked(&place, &["flush", "--key", &key, "--yes"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(cache.get::<u32>("session", CANARY).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_names_nothing_that_is_sealed_to_the_server() {
    let server = RedisServer::start();
    let place = Place::on(&server);
    let cache = service(&place);
    cache.set("session", CANARY, &7_u32).await.unwrap();
    let tag = format!("patient:{CANARY}");
    let watched = Watched::start(&server.url()).await;
    for selector in [["--key", &format!("session:{CANARY}")], ["--tag", &tag]] {
        let said = asked(&place, &[&["flush"], &selector[..], &["--yes"]].concat()).await;
        assert!(!said.errors.contains("not in the log"), "{said:?}");
    }
    let commands = watched.commands().await;
    assert!(commands.iter().any(|words| words[0].eq_ignore_ascii_case("xadd")), "{commands:?}");
    for words in &commands {
        assert!(!words.iter().any(|word| word.contains(CANARY)), "{words:?}");
    }
    let log = asked(&place, &["log", "--format", "json"]).await.rows();
    let hash = format!("--tag #{:016x}", tag_hash(&tag));
    assert_eq!(log[0]["what"], json!(hash), "as `flush --tag` takes it");
    let what = log[1]["what"].as_str().unwrap_or_default();
    let name = what.strip_prefix("--key ").unwrap_or_default();
    assert!(name.starts_with("session:%*"), "{log:?}");
    // The name that is shown is one that is taken.
    cache.set("session", CANARY, &7_u32).await.unwrap();
    assert_eq!(asked(&place, &["flush", "--key", name, "--yes"]).await.code, Some(0));
    assert_eq!(cache.get::<u32>("session", CANARY).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_keys_are_counted_beside_other_selectors() {
    let place = Place::on(RedisServer::shared());
    let cache = service(&place);
    cache.set("session", CANARY, &7_u32).await.unwrap();
    cache.set("page", 1, &3_u32).await.unwrap();
    let key = format!("session:{CANARY}");
    let args = ["flush", "--key", &key, "--prefix", "page", "--dry-run", "--format", "json"];
    let plan = asked(&place, &args).await.rows();
    assert_eq!(plan[0]["entries"], json!(2), "{plan:?}");
}
