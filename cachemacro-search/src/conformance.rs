//! What every index must do, as one suite that runs against any of them. Behind the feature `conformance`.
//!
//! Whoever tests an index brings it as a [`Subject`], which also knows how time passes there and how to lay foreign bytes. [`all`] runs the cases one after the other, each in a
//! space of its own. They let half a second pass to outlive a life, so a clock that the test moves makes them quick.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::document::{Document, Scope};
use crate::index::{Changes, Follower, Index, Place};
use crate::mirror::Mirror;
use crate::query::Query;
use crate::text::Analyzer;

/// Longer than any case takes.
const LONG: Duration = Duration::from_secs(600);
/// A life that ends within a case.
const SHORT: Duration = Duration::from_millis(400);

/// An index to be tried, with what a case needs besides.
///
/// ```
/// use async_trait::async_trait;
/// use cachemacro::Clock;
/// use cachemacro_search::conformance::{Subject, all};
/// use cachemacro_search::{Analyzer, Document, Index, MemoryIndex};
/// use std::time::Duration;
///
/// #[derive(Debug)]
/// struct Memory(MemoryIndex, Clock);
///
/// #[async_trait]
/// impl Subject for Memory {
///     fn index(&self) -> &dyn Index {
///         &self.0
///     }
///
///     async fn pass(&self, time: Duration) {
///         self.1.advance(time);
///     }
///
///     fn most_changes(&self) -> usize {
///         50
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let clock = Clock::manual();
/// let index = MemoryIndex::new().with_clock(clock.clone()).with_changes(50);
/// all(&Memory(index, clock), "shop").await;
/// # }
/// ```
#[async_trait]
pub trait Subject: Send + Sync {
    /// The index.
    fn index(&self) -> &dyn Index;

    /// Lets so much time pass, by the clock by which lives end.
    async fn pass(&self, time: Duration);

    /// After how many changes the index may have forgotten the first.
    fn most_changes(&self) -> usize;

    /// Lays any bytes under a key, as a foreign program might; false where that cannot be, so that cases about them are left out.
    ///
    /// ```
    /// use cachemacro_search::conformance::Subject;
    ///
    /// async fn spoils(subject: &dyn Subject) -> bool {
    ///     subject.lay("shop:airport", "EGLL", "{}".into()).await
    /// }
    /// ```
    async fn lay(&self, _space: &str, _key: &str, _bytes: Bytes) -> bool {
        false
    }
}

fn document(key: &str, text: &str) -> Document {
    let document = Document::of(key, &[text], &Analyzer::new()).expect("a short key");
    document.with_scope(Scope::of([text])).with_vector(vec![0.5, -0.25, 1.0]).expect("a vector")
}

/// All documents, as pages tell them.
async fn scanned(index: &dyn Index, space: &str) -> BTreeMap<String, Bytes> {
    let (mut found, mut from) = (BTreeMap::new(), None);
    loop {
        let page = index.scan(space, from.as_ref()).await.expect("it answers");
        for laid in page.laid {
            found.extend(laid.bytes.map(|bytes| (laid.key, bytes)));
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return found,
        }
    }
}

/// The keys that changed since this place, each with what lies there.
async fn changed(index: &dyn Index, space: &str, since: &Place) -> Option<BTreeMap<String, Option<Bytes>>> {
    let (mut found, mut since) = (BTreeMap::new(), since.clone());
    loop {
        match index.changes(space, &since, 7).await.expect("it answers") {
            Changes::Lost => return None,
            Changes::Told { laid, next, is_all } => {
                found.extend(laid.into_iter().map(|laid| (laid.key, laid.bytes)));
                if is_all {
                    return Some(found);
                }
                assert_ne!(next, since, "it goes on");
                since = next;
            }
        }
    }
}

async fn what_was_written_is_scanned_and_told(subject: &dyn Subject, space: &str) {
    let index = subject.index();
    let before = index.place(space).await.expect("it answers");
    assert_eq!(changed(index, space, &before).await, Some(BTreeMap::new()));
    for key in ["a", "b: ü%{}\n", "c"] {
        index.write(space, &document(key, key), LONG).await.expect("it takes it");
    }
    let found = scanned(index, space).await;
    let told = changed(index, space, &before).await.expect("three are not too many");
    for key in ["a", "b: ü%{}\n", "c"] {
        let written = document(key, key);
        assert_eq!(Document::from_bytes(&found[key]), Ok(written.clone()));
        assert_eq!(told[key].as_deref(), Some(&written.to_bytes()[..]));
    }
    assert_eq!((found.len(), told.len()), (3, 3));
    let none = index.changes(space, &before, 0).await.expect("it answers");
    assert!(
        matches!(none, Changes::Told { laid, is_all: false, .. } if laid.len() == 1),
        "it goes on all the same"
    );
    let after = index.place(space).await.expect("it answers");
    assert_eq!(changed(index, space, &after).await, Some(BTreeMap::new()), "nothing since");
}

async fn the_last_document_of_a_key_is_the_one(subject: &dyn Subject, space: &str) {
    let index = subject.index();
    let before = index.place(space).await.expect("it answers");
    for text in ["one", "two", "three"] {
        index.write(space, &document("a", text), LONG).await.expect("it takes it");
    }
    let last = document("a", "three").to_bytes();
    assert_eq!(scanned(index, space).await, BTreeMap::from([("a".to_owned(), last.clone())]));
    assert_eq!(changed(index, space, &before).await, Some(BTreeMap::from([("a".to_owned(), Some(last))])));
}

async fn what_was_removed_is_told_as_nothing(subject: &dyn Subject, space: &str) {
    let index = subject.index();
    index.write(space, &document("a", "text"), LONG).await.expect("it takes it");
    let before = index.place(space).await.expect("it answers");
    index.remove(space, "a").await.expect("it takes it");
    index.remove(space, "was never there").await.expect("it takes it");
    assert_eq!(scanned(index, space).await, BTreeMap::new());
    let told = changed(index, space, &before).await.expect("two are not too many");
    assert_eq!(told.get("a"), Some(&None));
    assert!(told.values().all(Option::is_none));
}

async fn a_document_ends_with_its_life(subject: &dyn Subject, space: &str) {
    let index = subject.index();
    let before = index.place(space).await.expect("it answers");
    index.write(space, &document("short", "text"), SHORT).await.expect("it takes it");
    index.write(space, &document("long", "text"), LONG).await.expect("it takes it");
    subject.pass(SHORT + Duration::from_millis(100)).await;
    let keys = |found: BTreeMap<String, Bytes>| found.into_keys().collect::<Vec<_>>();
    assert_eq!(keys(scanned(index, space).await), ["long"]);
    let told = changed(index, space, &before).await.expect("two are not too many");
    assert_eq!(told["short"], None);
    // A longer life takes its place.
    index.write(space, &document("short", "text"), LONG).await.expect("it takes it");
    subject.pass(SHORT + Duration::from_millis(100)).await;
    assert_eq!(keys(scanned(index, space).await), ["long", "short"]);
}

async fn spaces_know_nothing_of_each_other(subject: &dyn Subject, space: &str) {
    let (index, other) = (subject.index(), format!("{space}:other"));
    let before = index.place(&other).await.expect("it answers");
    index.write(space, &document("a", "text"), LONG).await.expect("it takes it");
    assert_eq!(scanned(index, &other).await, BTreeMap::new());
    assert_eq!(changed(index, &other, &before).await, Some(BTreeMap::new()));
    index.remove(&other, "a").await.expect("it takes it");
    assert_eq!(scanned(index, space).await.len(), 1);
    // Joined by a colon, these are one text.
    index.write(space, &document("other:b", "ours"), LONG).await.expect("it takes it");
    index.write(&other, &document("b", "theirs"), LONG).await.expect("it takes it");
    assert_eq!(scanned(index, space).await["other:b"], document("other:b", "ours").to_bytes());
    index.remove(space, "other:b").await.expect("it takes it");
    assert_eq!(scanned(index, &other).await["b"], document("b", "theirs").to_bytes());
}

async fn many_documents_are_on_many_pages(subject: &dyn Subject, space: &str) {
    let index = subject.index();
    let keys: BTreeSet<String> = (0..2_500).map(|n| format!("key {n}")).collect();
    for key in &keys {
        index.write(space, &document(key, "text"), LONG).await.expect("it takes it");
    }
    assert_eq!(scanned(index, space).await.into_keys().collect::<BTreeSet<_>>(), keys);
}

async fn too_many_changes_are_said_to_be_lost(subject: &dyn Subject, space: &str) {
    let index = subject.index();
    let before = index.place(space).await.expect("it answers");
    for n in 0..=2 * subject.most_changes() {
        index.write(space, &document(&format!("key {}", n % 10), "text"), LONG).await.expect("it takes it");
    }
    assert_eq!(changed(index, space, &before).await, None);
    let after = index.place(space).await.expect("it answers");
    assert_eq!(changed(index, space, &after).await, Some(BTreeMap::new()));
}

async fn a_follower_has_what_there_is_after_any_changes(subject: &dyn Subject, space: &str) {
    let index = subject.index();
    let mut follower = Follower::new(space, Mirror::new());
    let mut there = BTreeSet::new();
    for round in 0..6_usize {
        // The last rounds change more than the index remembers.
        let changes = if round < 4 { 20 } else { 2 * subject.most_changes() + 1 };
        for n in 0..changes {
            let key = format!("key {}", (n * 7 + round) % 40);
            if (n + round) % 3 == 0 {
                index.remove(space, &key).await.expect("it takes it");
                there.remove(&key);
            } else {
                index.write(space, &document(&key, "text"), LONG).await.expect("it takes it");
                there.insert(key);
            }
        }
        let caught = follower.catch_up(index).await.expect("it answers");
        assert_eq!(caught.is_rebuilt, round == 0 || round >= 4, "round {round}");
        let searcher = follower.searcher();
        assert!(searcher.is_complete());
        let query = Query::of("text", &Analyzer::new()).scope(Scope::of(["text"])).limit(1_000);
        let found: BTreeSet<String> = searcher
            .search(|mirror| mirror.vector(&query))
            .iter()
            .map(|found| found.key.to_string())
            .collect();
        assert_eq!(found, there, "round {round}");
    }
    assert_eq!(follower.catch_up(index).await.expect("it answers").changed, 0);
}

async fn what_is_no_document_is_passed_over_and_written_over(subject: &dyn Subject, space: &str) {
    let index = subject.index();
    let mut follower = Follower::new(space, Mirror::new());
    index.write(space, &document("a", "text"), LONG).await.expect("it takes it");
    follower.catch_up(index).await.expect("it answers");
    let hostile = [
        Bytes::from_static(b"\0"),
        Bytes::from_static(b"{}"),
        Bytes::from(vec![0xff; 1 << 20]),
        document("other", "text").to_bytes(),
    ];
    for (n, bytes) in hostile.into_iter().enumerate() {
        if !subject.lay(space, "a", bytes).await {
            return;
        }
        // Told or not, a new mirror finds it.
        let mut fresh = Follower::new(space, Mirror::new());
        fresh.catch_up(index).await.expect("it answers");
        let fresh = fresh.searcher();
        assert_eq!((fresh.search(Mirror::len), fresh.unread()), (0, 1), "{n}");
    }
    index.write(space, &document("a", "text"), LONG).await.expect("it takes it");
    follower.catch_up(index).await.expect("it answers");
    assert!(follower.searcher().search(|mirror| mirror.contains("a") && mirror.len() == 1));
}

async fn a_place_of_another_index_is_refused_or_lost(subject: &dyn Subject, space: &str) {
    let index = subject.index();
    index.write(space, &document("a", "text"), LONG).await.expect("it takes it");
    for place in ["", "nowhere", "-1", "18446744073709551615", "99999999999999999999-0", "+", "$"] {
        let answer = index.changes(space, &Place::new(place), 10).await;
        let is_refused = match &answer {
            Err(_) | Ok(Changes::Lost) => true,
            Ok(Changes::Told { laid, .. }) => laid.is_empty() && place.starts_with('9'),
        };
        assert!(is_refused, "{place:?}: {answer:?}");
    }
}

/// Runs all cases, in spaces whose names begin with this one.
///
/// # Panics
/// Where the index does not what it must.
///
/// ```
/// use cachemacro_search::conformance::{Subject, all};
///
/// async fn conforms(subject: &dyn Subject) {
///     all(subject, "shop").await;
/// }
/// ```
pub async fn all(subject: &dyn Subject, space: &str) {
    macro_rules! run {
        ($($case:ident)*) => {
            $(Box::pin($case(subject, &format!("{space}:{}", stringify!($case)))).await;)*
        };
    }
    run! {
        what_was_written_is_scanned_and_told
        the_last_document_of_a_key_is_the_one
        what_was_removed_is_told_as_nothing
        a_document_ends_with_its_life
        spaces_know_nothing_of_each_other
        many_documents_are_on_many_pages
        too_many_changes_are_said_to_be_lost
        a_follower_has_what_there_is_after_any_changes
        what_is_no_document_is_passed_over_and_written_over
        a_place_of_another_index_is_refused_or_lost
    }
}
