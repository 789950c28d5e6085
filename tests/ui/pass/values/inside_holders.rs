//! What the runtime's serde can hold: shared pointers, maps, tuples, nested options, marks of a borrowed type.
use std::collections::HashMap;
use std::marker::PhantomData;
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

/// What it is of is no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(bound = "")]
struct Id<T>(u32, PhantomData<fn() -> T>);

#[cached]
async fn marked(id: u32) -> Vec<(u32, PhantomData<&'static str>)> {
    vec![(id, PhantomData)]
}

#[cached]
async fn identified(id: u32) -> Result<Option<Id<&'static [u8]>>, String> {
    Ok(Some(Id(id, PhantomData)))
}

trait Named {
    type Name;
}

impl Named for &'static str {
    type Name = String;
}

#[cached]
async fn projected(id: u32) -> Option<<&'static str as Named>::Name> {
    Some(id.to_string())
}

#[test]
fn runs() {
    run(async {
        for _ in 0..2 {
            assert_eq!(pointer(1).await.unwrap().unwrap()[0], 1);
            assert_eq!(map(1).await["x"].0, 1);
            assert_eq!(twice(0).await, Some(None));
            assert_eq!(inner_result(1).await, Ok(Err("1".to_owned())));
            assert_eq!(projected(1).await.as_deref(), Some("1"));
            assert_eq!(marked(1).await, [(1, PhantomData)]);
            assert_eq!(identified(1).await, Ok(Some(Id(1, PhantomData))));
        }
        assert_eq!(twice_entry(0).get().await.unwrap(), Some(None));
    });
}
