//! Arguments whose names are keywords.
use cachemacro::{cache_evict, cached};
use cachemacro_tests::attributes::{Calls, run};

static CALLS: Calls = Calls::new();

struct User {
    r#in: u8,
}

impl User {
    fn r#move(&self, r#as: u8) -> u8 {
        self.r#in + r#as
    }
}

#[cached(prefix = "raw", key = "{type}:{r#fn}-{user.in}:{ user.move(r#fn) }", tags = [format!("{type}:{}", r#fn)], entry = raw_entry)]
async fn raw(r#type: String, r#fn: u8, user: &User) -> u8 {
    CALLS.add();
    r#type.len() as u8 + r#fn + user.r#in
}

#[cached(skip(r#type), entry = skipped_entry)]
async fn skipped(r#type: u8, id: u8) -> u8 {
    r#type + id
}

#[cached(key = (r#type, r#id), entry = mixed_entry)]
async fn mixed(r#type: &str, id: u8) -> usize {
    r#type.len() + id as usize
}

#[cache_evict(tags = [format!("{type}:{}", *result)])]
async fn delete(r#type: String) -> u8 {
    drop(r#type);
    2
}

#[cache_evict(prefix = "raw", key = "{type}:{result}-3:5")]
async fn delete_by_key(r#type: String) -> u8 {
    drop(r#type);
    2
}

#[test]
fn runs() {
    run(async {
        let user = User { r#in: 3 };
        for _ in 0..2 {
            assert_eq!(raw("x".to_owned(), 2, &user).await, 6);
        }
        assert_eq!(CALLS.count(), 1);
        let entry = raw_entry("x".to_owned(), 2, &user);
        assert_eq!(entry.key().unwrap().as_str(), "raw:x:2-3:5");
        assert!(entry.has().await.unwrap());
        delete("x".to_owned()).await;
        assert!(!entry.has().await.unwrap());
        raw("x".to_owned(), 2, &user).await;
        delete_by_key("x".to_owned()).await;
        assert!(!entry.has().await.unwrap());
        skipped(1, 2).await;
        assert!(skipped_entry(2).has().await.unwrap());
        mixed("x", 2).await;
        assert!(mixed_entry("x", 2).has().await.unwrap());
    });
}
