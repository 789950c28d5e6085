//! A future is `Send` exactly where its body is, and borrows what its body borrows.
use std::cell::Cell;
use std::rc::Rc;

use cachemacro::{cache_evict, cache_put, cached};
use cachemacro_tests::attributes::{assert_send, run};

/// Tells whether a type is `Send`, without requiring it: the inherent method is there only if it is.
struct Asked<'a, T>(#[expect(dead_code, reason = "only its type is asked")] &'a T);

trait Otherwise {
    fn is_send(&self) -> bool {
        false
    }
}

impl<T: Send> Asked<'_, T> {
    fn is_send(&self) -> bool {
        true
    }
}

impl<T> Otherwise for Asked<'_, T> {}

#[cached]
async fn sendable(name: &str) -> usize {
    std::future::ready(()).await;
    name.len()
}

/// `Cell` is `Send` and not `Sync`: the future holds it, and no reference to it.
#[cached(key = "{id}")]
async fn owning_what_is_not_sync(cell: Cell<u32>, id: u32) -> u32 {
    std::future::ready(()).await;
    cell.get() + id
}

#[cached(key = "{id}")]
async fn holding(id: u32) -> u32 {
    let held = Rc::new(id);
    std::future::ready(()).await;
    *held
}

#[cached(key = "x", unless = *result > limit.get())]
async fn rules_hold_what_they_mention(limit: Cell<u32>) -> u32 {
    std::future::ready(()).await;
    limit.get()
}

#[cache_put(prefix = "p", key = "{id}")]
#[cache_evict(tags = ["x:{result}"])]
async fn writing(id: u32, name: &str) -> Result<u32, String> {
    std::future::ready(()).await;
    Ok(id + u32::try_from(name.len()).unwrap_or(0))
}

#[cache_evict(tags = ["x:{id}"])]
async fn writing_and_holding(id: u32) -> u32 {
    let held = Rc::new(id);
    std::future::ready(()).await;
    *held
}

#[test]
fn runs() {
    run(async {
        let name = "ada".to_owned();
        assert_eq!(assert_send(sendable(&name)).await, 3);
        assert_eq!(assert_send(owning_what_is_not_sync(Cell::new(1), 2)).await, 3);
        assert_eq!(assert_send(rules_hold_what_they_mention(Cell::new(1))).await, 1);
        assert_eq!(assert_send(writing(1, &name)).await, Ok(4));
        assert!(!Asked(&holding(1)).is_send());
        assert_eq!(holding(1).await, 1);
        assert!(!Asked(&writing_and_holding(1)).is_send());
        assert_eq!(writing_and_holding(1).await, 1);
        assert!(Asked(&sendable(&name)).is_send());
    });
}
