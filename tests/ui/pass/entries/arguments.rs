//! An entry's arguments are taken owned and borrowed, and are only those that it needs.
use std::borrow::Cow;
use std::sync::Arc;

use cachemacro::{Entry, cached};
use cachemacro_tests::attributes::run;

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Id(pub u64);

/// A function with everything.
#[cached(key = "{id:?}:{name}:{tags:?}", ttl = std::time::Duration::from_secs(seconds), entry = pub(crate) found_entry)]
pub async fn find(unused: &mut Vec<u8>, id: Id, name: &str, tags: &[u8], seconds: u64) -> Id {
    unused.push(1);
    let _ = (name, tags, seconds);
    id
}

#[cached(key = "{text}", entry = text_entry)]
async fn text(text: String, more: Cow<'_, str>) -> String {
    text + &more
}

#[cached(entry = mutable_entry)]
async fn mutable(list: &mut Vec<u8>) -> usize {
    list.push(1);
    list.len()
}

#[test]
fn runs() {
    run(async {
        let name = "ada".to_owned();
        find(&mut vec![], Id(1), &name, &[1], 60).await;
        let entry: Entry<Id> = found_entry(Id(1), &name, [1], 60);
        assert_eq!(entry.get().await.unwrap(), Some(Id(1)));
        assert!(found_entry(&Id(1), name.clone(), vec![1], 60).has().await.unwrap());
        assert!(found_entry(&&Id(1), Arc::<str>::from("ada"), &vec![1], &60).has().await.unwrap());
        assert!(found_entry(Id(1), Cow::Borrowed("ada"), &[1], 60).has().await.unwrap());
        text(name.clone(), Cow::Borrowed("x")).await;
        assert!(text_entry(&name).has().await.unwrap());
        let mut list = vec![];
        mutable(&mut list).await;
        assert!(mutable_entry(&mut vec![]).has().await.unwrap());
    });
}
