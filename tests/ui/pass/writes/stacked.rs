use cachemacro::{cache_evict, cache_put, cached};
use cachemacro_tests::attributes::run;

#[cached(prefix = "one", entry = one_entry)]
async fn one(id: u32) -> String {
    id.to_string()
}

#[cached(prefix = "length", entry = length_entry)]
async fn length(name: String) -> String {
    name
}

#[cached(prefix = "list", key = "{page}", tags = ["lists"], entry = list_entry)]
async fn list(page: u32) -> Vec<u32> {
    vec![page]
}

/// Two puts and two evicts under one guard.
#[cache_put(entry = one_entry(id))]
#[cache_put(entry = length_entry(name), unless = result.len() > 3)]
#[cache_evict(tags = ["lists"], before)]
#[cachemacro::cache_evict(prefix = "list", key = "{result.len()}", on_err = "evict")]
#[must_use]
async fn write(id: u32, name: String) -> Result<String, u32> {
    if name.is_empty() { Err(id) } else { Ok(name) }
}

#[test]
fn runs() {
    run(async {
        one(7).await;
        length(String::new()).await;
        list(1).await;
        list(2).await;
        assert_eq!(write(1, "ab".to_owned()).await.as_deref(), Ok("ab"));
        assert_eq!(one_entry(1).get().await.unwrap().as_deref(), Some("ab"));
        assert_eq!(length_entry("ab".to_owned()).get().await.unwrap().as_deref(), Some("ab"));
        assert!(!list_entry(1).has().await.unwrap());
        write(1, "abcd".to_owned()).await.unwrap();
        assert_eq!(one_entry(1).get().await.unwrap().as_deref(), Some("abcd"));
        assert!(!length_entry("abcd".to_owned()).has().await.unwrap());
        list(3).await;
        assert_eq!(write(2, String::new()).await, Err(2));
        assert!(!list_entry(3).has().await.unwrap(), "`before` evicts whatever the outcome");
    });
}
