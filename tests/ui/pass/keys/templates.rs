use std::collections::BTreeMap;

use cachemacro::{Cache, cached};
use cachemacro_tests::attributes::run;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Small,
}

struct User {
    id: u64,
    name: (String, u8),
}

impl User {
    fn slug(&self, separator: &str) -> String {
        self.name.0.replace(' ', separator)
    }
}

#[cached(prefix = "t", key = "u:{user.id}:{user.name.1}-{user.slug(\"_\")}:{kind:?}", entry = fields_entry)]
async fn fields(user: &User, kind: Kind) -> u8 {
    user.name.1 + kind as u8
}

#[cached(prefix = "t", key = "{a}{b}", entry = adjacent_entry)]
async fn adjacent(a: &str, b: &str) -> u8 {
    u8::try_from(a.len() + b.len()).unwrap()
}

#[cached(prefix = "t", key = "{{x}}:{ map[\"a\"] }:{name.to_lowercase()}", entry = odd_entry)]
async fn odd(map: BTreeMap<&'static str, u8>, name: String) -> u8 {
    map["a"] + u8::from(name.is_empty())
}

#[cached(prefix = "t", key = r"{id}-{count}", entry = raw_entry)]
async fn raw(id: &str, count: u8) -> String {
    format!("{id}{count}")
}

#[cached(prefix = "t", key = "constant")]
async fn constant(_pool: &Cache) -> u8 {
    1
}

#[test]
fn runs() {
    run(async {
        let user = User { id: 7, name: ("ada l".to_owned(), 3) };
        assert_eq!(fields(&user, Kind::Small).await, 3);
        assert_eq!(fields_entry(&user, Kind::Small).key().unwrap().as_str(), "t:u:7:3-ada_l:Small");
        assert_eq!(adjacent("a", "bc").await, 3);
        assert_ne!(adjacent_entry("a", "bc").key(), adjacent_entry("ab", "c").key());
        let map = BTreeMap::from([("a", 1)]);
        assert_eq!(odd(map.clone(), "X".to_owned()).await, 1);
        assert_eq!(odd_entry(map, "X".to_owned()).key().unwrap().as_str(), "t:%7Bx%7D:1:x");
        assert_eq!(raw("a-", 1).await, "a-1");
        assert_eq!(raw_entry("a-", 1).key().unwrap().as_str(), "t:a%2D-1");
        constant(&Cache::memory()).await;
        assert_eq!(cachemacro::Cache::current().get("t", "constant").await.unwrap(), Some(1u8));
    });
}
