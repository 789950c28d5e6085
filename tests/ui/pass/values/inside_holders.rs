//! What the runtime's serde can hold: shared pointers, maps, tuples, nested options.
use std::collections::HashMap;
use std::sync::Arc;

use cachemacro::cached;
use cachemacro_tests::attributes::run;

#[cached]
async fn pointer(id: u32) -> Result<Option<Arc<Vec<u32>>>, Arc<str>> {
    Ok(Some(Arc::new(vec![id])))
}

#[cached]
async fn map(id: u32) -> HashMap<String, (u32, Box<str>)> {
    HashMap::from([("x".to_owned(), (id, "y".into()))])
}

#[cached(entry = twice_entry)]
async fn twice(id: u32) -> Option<Option<u32>> {
    Some((id > 0).then_some(id))
}

#[cached]
async fn inner_result(id: u32) -> Result<Result<u32, String>, ()> {
    Ok(Err(id.to_string()))
}

#[test]
fn runs() {
    run(async {
        for _ in 0..2 {
            assert_eq!(pointer(1).await.unwrap().unwrap()[0], 1);
            assert_eq!(map(1).await["x"].0, 1);
            assert_eq!(twice(0).await, Some(None));
            assert_eq!(inner_result(1).await, Ok(Err("1".to_owned())));
        }
        assert_eq!(twice_entry(0).get().await.unwrap(), Some(None));
    });
}
