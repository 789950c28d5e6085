//! The body moves what options need as well: an expression that takes an argument, or a field, is given a clone.

use std::time::Duration;

use cachemacro::{Entry, cache_evict, cache_put, cached};
use cachemacro_tests::attributes::{Calls, run};
use serde::{Deserialize, Serialize};

static CALLS: Calls = Calls::new();

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    labels: Vec<String>,
    ttl: Duration,
}

fn user(name: &str) -> User {
    User { id: 1, name: name.to_owned(), labels: vec![format!("label-{name}")], ttl: Duration::from_secs(9) }
}

fn shout(name: String) -> String {
    name.to_uppercase()
}

fn is_named(name: String) -> bool {
    !name.is_empty()
}

fn long(name: String) -> Duration {
    Duration::from_secs(1 + name.len() as u64)
}

fn entries_of(names: Vec<String>) -> Vec<Entry<String>> {
    names.into_iter().map(named_entry).collect()
}

#[cached(prefix = "named", key = "{name}", entry = named_entry)]
async fn named(name: String) -> String {
    CALLS.add();
    name
}

#[cached(prefix = "called", key = shout(name), tags = [name], ttl = long(name), condition = is_named(name), entry = called_entry)]
async fn called(name: String) -> String {
    CALLS.add();
    name
}

#[cached(key = (user.name, user.id), tags = user.labels, ttl = user.ttl, entry = of_user_entry)]
async fn of_user(user: User) -> User {
    CALLS.add();
    user
}

#[cached(key = |user, _| user.name, tags = |user, _| user.labels, unless = is_named(note))]
async fn by_closures(user: User, note: String) -> User {
    CALLS.add();
    drop(note);
    user
}

#[cached(key = { let own = name; (Some(own), shout(labels.concat())) }, tags = labels.into_iter().map(|label| format!("l:{label}")))]
async fn in_blocks(name: String, labels: Vec<String>) -> (String, Vec<String>) {
    CALLS.add();
    (name, labels)
}

#[cached(key = User { id: 2, name, labels: vec![label], ttl: Duration::ZERO }, entry = in_a_struct_entry)]
async fn in_a_struct(name: String, label: String) -> (String, String) {
    CALLS.add();
    (name, label)
}

#[cached(prefix = prefix, key = "{id}", tags = vec![prefix, shout(prefix)])]
async fn under_an_argument(prefix: String, id: u64) -> String {
    CALLS.add();
    format!("{prefix}{id}")
}

#[cached(key = id, ttl = if result.len() > 3 { long(name) } else { Duration::from_secs(1) }, tags = [format!("{}:{result}", shout(name))])]
async fn after_the_body(name: String, id: u64) -> String {
    CALLS.add();
    format!("{name}{id}")
}

struct Names {
    name: String,
    labels: Vec<String>,
}

impl Names {
    #[cached(key = (self.name, id), tags = self.labels, ttl = long(self.name), entry = get_entry)]
    async fn get(&self, id: u64) -> u64 {
        CALLS.add();
        id
    }

    #[cached(key = id, unless = is_named(self.name), tags = [self.name, format!("{result}")])]
    async fn unless(&self, id: u64) -> u64 {
        CALLS.add();
        id
    }
}

#[cache_put(entry = named_entry(user.name), condition = is_named(user.name), unless = is_named(note))]
async fn put_by_field(user: User, note: String) -> String {
    drop(note);
    user.name
}

#[cache_put(entry = named_entry(shout(name)))]
async fn put_by_call(name: String) -> String {
    name
}

#[cache_evict(entry = named_entry(result.name), tags = [shout(result.name), user.name, result.name])]
async fn evict_by_result(user: User) -> User {
    user
}

#[cache_evict(entries = [named_entry(name)], tags = user.labels)]
#[cache_evict(entries = user.labels.into_iter().map(named_entry))]
#[cache_evict(prefix = prefix, all)]
async fn evict_by_arguments(name: String, user: User, prefix: String) -> (String, User, String) {
    (name, user, prefix)
}

#[cache_evict(entries = entries_of(names))]
#[cache_evict(entries = entries)]
async fn evict_many(names: Vec<String>, entries: Vec<Entry<String>>) -> (Vec<String>, Vec<Entry<String>>) {
    (names, entries)
}

#[test]
fn arguments_that_options_and_body_take_are_cloned() {
    run(async {
        let name = || "a".to_owned();
        for _ in 0..2 {
            assert_eq!(called(name()).await, "a");
            assert_eq!(of_user(user("a")).await, user("a"));
            assert_eq!(by_closures(user("b"), String::new()).await, user("b"));
            assert_eq!(in_blocks(name(), vec![name()]).await, (name(), vec![name()]));
            assert_eq!(in_a_struct(name(), name()).await, (name(), name()));
            assert_eq!(under_an_argument(name(), 1).await, "a1");
            assert_eq!(after_the_body(name(), 1).await, "a1");
            let names = Names { name: name(), labels: vec![name()] };
            assert_eq!(names.get(1).await, 1);
            assert!(names.get_entry(1).has().await.expect("memory does not fail"));
        }
        assert_eq!(CALLS.count(), 8);
        assert!(called_entry(name()).has().await.expect("memory does not fail"));
        assert!(of_user_entry(user("a")).has().await.expect("memory does not fail"));
        assert!(in_a_struct_entry(name(), name()).has().await.expect("memory does not fail"));

        assert_eq!(by_closures(user("c"), name()).await, user("c"));
        assert_eq!(Names { name: name(), labels: Vec::new() }.unless(1).await, 1);
        assert_eq!(CALLS.count(), 10);

        assert_eq!(put_by_field(user("p"), String::new()).await, "p");
        assert_eq!(put_by_call("q".to_owned()).await, "q");
        assert_eq!(
            (named("p".to_owned()).await, named("Q".to_owned()).await),
            ("p".to_owned(), "q".to_owned())
        );
        assert_eq!(CALLS.count(), 10);
        assert_eq!(evict_by_result(user("p")).await, user("p"));
        assert!(!named_entry("p".to_owned()).has().await.expect("memory does not fail"));
        let given = ("Q".to_owned(), user("r"), "named".to_owned());
        assert_eq!(evict_by_arguments(given.0.clone(), given.1.clone(), given.2.clone()).await, given);
        let (names, entries) = evict_many(vec![name()], vec![named_entry("b".to_owned())]).await;
        assert_eq!((names.len(), entries.len()), (1, 1));
    });
}
