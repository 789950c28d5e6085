use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro::{Clock, ErrorKind, Result};

use super::{Changes, Follower, Index, Laid, MemoryIndex, Page, Place};
use crate::conformance::{Subject, all};
use crate::document::Document;
use crate::mirror::Mirror;
use crate::text::Analyzer;

#[derive(Debug)]
struct Memory {
    index: MemoryIndex,
    clock: Clock,
}

#[async_trait]
impl Subject for Memory {
    fn index(&self) -> &dyn Index {
        &self.index
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn most_changes(&self) -> usize {
        100
    }

    async fn lay(&self, space: &str, key: &str, bytes: Bytes) -> bool {
        self.index.lay(space, key, bytes, Duration::from_secs(600));
        true
    }
}

#[tokio::test]
async fn an_index_in_memory_conforms() {
    let clock = Clock::manual();
    let index = MemoryIndex::new().with_clock(clock.clone()).with_changes(100);
    all(&Memory { index, clock }, "shop").await;
}

fn document(key: &str) -> Document {
    Document::of(key, &["text"], &Analyzer::new()).expect("a short key")
}

#[tokio::test]
async fn what_is_forgotten_while_it_is_searched_goes_after_and_nobody_waits() {
    let index = MemoryIndex::new();
    for key in ["a", "b", "c"] {
        index.write("shop", &document(key), Duration::from_secs(600)).await.expect("it takes it");
    }
    let mut follower = Follower::new("shop", Mirror::new());
    follower.catch_up(&index).await.expect("it answers");
    let (searcher, (done, is_done)) = (follower.searcher(), channel());
    std::thread::spawn(move || {
        let there = searcher.search(|mirror| {
            searcher.forget("a");
            searcher.forget("was never there");
            mirror.contains("a")
        });
        searcher.forget("b");
        let keys = ["a", "b", "c"].into_iter();
        let left: Vec<&str> = searcher.search(|mirror| keys.filter(|key| mirror.contains(key)).collect());
        done.send((there, left)).expect("it is waited for");
    });
    let answer = is_done.recv_timeout(Duration::from_secs(30)).expect("nobody waits");
    assert_eq!(answer, (true, vec!["c"]));
    // Written again it is there again.
    index.write("shop", &document("a"), Duration::from_secs(600)).await.expect("it takes it");
    follower.catch_up(&index).await.expect("it answers");
    assert!(follower.searcher().search(|mirror| mirror.contains("a") && mirror.len() == 2));
}

/// An index that goes on for so many pages, each with one document.
#[derive(Debug)]
struct Pages(usize);

#[async_trait]
impl Index for Pages {
    async fn write(&self, _: &str, _: &Document, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn remove(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    async fn place(&self, _: &str) -> Result<Place> {
        Ok(Place::new("0"))
    }

    async fn changes(&self, _: &str, since: &Place, _: usize) -> Result<Changes> {
        Ok(Changes::Told { laid: Vec::new(), next: since.clone(), is_all: true })
    }

    async fn scan(&self, _: &str, from: Option<&Place>) -> Result<Page> {
        let page: usize = from.map_or(0, |place| place.as_str().parse().expect("a number"));
        let key = (page % 50).to_string();
        let bytes = document(&key).to_bytes();
        let next = (page + 1 < self.0).then(|| Place::new((page + 1).to_string()));
        Ok(Page::new(vec![Laid::new(key, Some(bytes))], next))
    }
}

#[tokio::test]
async fn an_index_without_an_end_is_an_error_and_the_next_time_begins_anew() {
    let mut follower = Follower::new("shop", Mirror::with_limit(100).expect("acceptable"));
    let error = follower.catch_up(&Pages(usize::MAX)).await.expect_err("it has no end");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(!follower.searcher().is_complete());
    // What is not in it any more goes.
    assert!(follower.catch_up(&Pages(3)).await.expect("it answers").is_rebuilt);
    let keys: BTreeSet<usize> = follower
        .searcher()
        .search(|mirror| (0..50).filter(|key| mirror.contains(&key.to_string())).collect());
    assert_eq!(keys, BTreeSet::from([0, 1, 2]));
}
