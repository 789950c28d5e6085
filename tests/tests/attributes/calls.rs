//! What the attributes do at run time, as people who come from other caches expect it.

use std::cell::RefCell;
use std::future::pending;
use std::time::Duration;

use cachemacro::{Cache, cache_config, cache_evict, cache_put, cached};
use cachemacro_tests::attributes::{Calls, run};
use proptest::prelude::*;

mod evaluation {
    use super::*;

    thread_local! {
        static STEPS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    /// Notes a step, and gives the value on.
    fn step<T>(name: &'static str, value: T) -> T {
        STEPS.with_borrow_mut(|steps| steps.push(name));
        value
    }

    fn steps() -> Vec<&'static str> {
        STEPS.take()
    }

    #[cached(
        prefix = "evaluation",
        condition = step("condition", true),
        key = step("key", id),
        cache = step("cache", cache),
        tags = [step("tag", "a"), step("other tag", "b")],
        ttl = step("ttl", Duration::from_mins(1)),
        unless = step("unless", false)
    )]
    async fn load(id: u32, cache: &Cache) -> u32 {
        let _ = cache;
        step("body", id)
    }

    #[cache_put(
        prefix = "evaluation",
        condition = step("condition", true),
        key = step("key", id),
        cache = step("cache", cache),
        tags = [step("tag", "a")],
        ttl = step("ttl", Duration::from_mins(1)),
        unless = step("unless", false)
    )]
    #[cache_evict(tags = [step("early", "x"), step("late", if *result > 0 { "y" } else { "z" })])]
    async fn write(id: u32, cache: &Cache) -> u32 {
        let _ = cache;
        step("body", id)
    }

    #[test]
    fn options_are_evaluated_once_in_order_and_before_the_body() {
        run(async {
            let cache = Cache::memory();
            load(1, &cache).await;
            assert_eq!(steps(), ["condition", "key", "cache", "tag", "other tag", "ttl", "body", "unless"]);
            load(1, &cache).await;
            assert_eq!(steps(), ["condition", "key", "cache", "tag", "other tag", "ttl"]);
            write(1, &cache).await;
            let seen = steps();
            let (before, after) = seen.split_at(seen.iter().position(|step| *step == "body").unwrap_or(0));
            for option in ["condition", "key", "tag", "ttl", "early"] {
                assert_eq!(before.iter().filter(|step| **step == option).count(), 1, "{option} in {seen:?}");
            }
            assert_eq!(after.iter().filter(|step| **step == "late").count(), 1, "{seen:?}");
            assert_eq!(after.iter().filter(|step| **step == "unless").count(), 1, "{seen:?}");
        });
    }

    #[cached(
        prefix = "asked",
        key = "{id}",
        tags = [step("early", "a".to_owned()), step("late", format!("of:{result}"))],
        ttl = step("ttl", Duration::from_secs(u64::from(*result))),
        unless = step("unless", *result > 100)
    )]
    async fn asked(id: u32) -> Result<Option<u32>, u32> {
        answer(id)
    }

    #[cache_put(
        prefix = "asked",
        key = "{id}",
        tags = [step("early", "a".to_owned()), step("late", format!("of:{result}"))],
        ttl = step("ttl", Duration::from_secs(u64::from(*result))),
        unless = step("unless", *result > 100)
    )]
    #[cache_evict(tags = [step("other", format!("by:{result}"))])]
    async fn told(id: u32) -> Result<Option<u32>, u32> {
        answer(id)
    }

    fn answer(id: u32) -> Result<Option<u32>, u32> {
        match step("body", id) {
            0 => Ok(None),
            1 => Err(id),
            other => Ok(Some(other)),
        }
    }

    #[test]
    fn what_mentions_the_result_is_asked_once_when_there_is_one() {
        run(async {
            for (id, expected) in [
                (0, vec!["early", "body"]),
                (1, vec!["early", "body"]),
                (7, vec!["early", "body", "late", "ttl", "unless"]),
                (7, vec!["early"]),
                (101, vec!["early", "body", "unless"]),
            ] {
                let _ = asked(id).await;
                let mut seen = steps();
                let from = seen.iter().position(|step| *step == "body").map_or(seen.len(), |body| body + 1);
                seen[from..].sort_unstable();
                assert_eq!(seen, expected, "{id}");
            }
            for (id, expected) in [
                (0, vec!["early", "body"]),
                (1, vec!["early", "body"]),
                (7, vec!["early", "body", "late", "other", "ttl", "unless"]),
                (101, vec!["early", "body", "other", "unless"]),
            ] {
                let _ = told(id).await;
                let mut seen = steps();
                seen[2..].sort_unstable();
                assert_eq!(seen, expected, "{id}");
            }
        });
    }

    #[cached(
        prefix = "conditional",
        condition = !ids.is_empty(),
        key = ids[0],
        tags = [step("tag", format!("id:{}", ids[0])), "{ids[0]}:{result[0]}"],
        ttl = step("ttl", Duration::from_secs(ids[0]))
    )]
    async fn first(ids: &[u64]) -> Vec<u64> {
        step("body", ids.to_vec())
    }

    #[cache_put(
        prefix = "conditional",
        condition = !ids.is_empty(),
        key = ids[0],
        tags = ["id:{ids[0]}", "{ids[0]}:{result[0]}"],
        ttl = step("ttl", Duration::from_secs(ids[0]))
    )]
    #[cache_put(entry = first_entry(&ids[..1]), condition = !ids.is_empty())]
    #[cache_put(prefix = "late", key = "{ids[0]}:{result[0]}", condition = !ids.is_empty())]
    async fn put(ids: &[u64]) -> Vec<u64> {
        step("body", ids.to_vec())
    }

    #[cached(prefix = "unconditional", key = ids[0], entry = first_entry)]
    async fn unconditional(ids: &[u64]) -> Vec<u64> {
        ids.to_vec()
    }

    #[test]
    fn where_the_condition_is_false_nothing_else_is_evaluated() {
        run(async {
            assert_eq!(first(&[]).await, [0; 0]);
            assert_eq!(put(&[]).await, [0; 0]);
            assert_eq!(steps(), ["body", "body"]);
            assert_eq!(first(&[7, 8]).await, [7, 8]);
            assert_eq!(first(&[7]).await, [7, 8]);
            put(&[7]).await;
            assert_eq!(steps(), ["tag", "ttl", "body", "tag", "ttl", "ttl", "body"]);
            assert!(first_entry([7]).has().await.unwrap());
            assert_eq!(unconditional(&[7]).await, [7]);
            cachemacro::Cache::current().evict_tags(["7:7"]).await.unwrap();
            first(&[7]).await;
            assert_eq!(steps(), ["tag", "ttl", "body"]);
        });
    }

    #[test]
    fn nothing_happens_before_the_first_poll() {
        run(async {
            let cache = Cache::memory();
            drop(load(1, &cache));
            drop(write(1, &cache));
            assert_eq!(steps(), [""; 0]);
        });
    }
}

mod expectations {
    use super::*;

    static CALLS: Calls = Calls::new();

    #[cached(prefix = "x", key = "{id:?}", entry = x_entry)]
    async fn x(id: Option<u32>) -> Result<Option<u32>, String> {
        CALLS.add();
        match id {
            Some(0) => Err("zero".to_owned()),
            Some(1) => Ok(None),
            other => Ok(Some(other.unwrap_or(99))),
        }
    }

    #[cache_evict(entry = x_entry(Some(id)))]
    async fn failing_evict(id: u32) -> Result<(), String> {
        Err(id.to_string())
    }

    #[cache_evict(prefix = "x", all, before)]
    async fn evict_before(fail: bool) -> Result<(), String> {
        if fail { Err("as asked".to_owned()) } else { Ok(()) }
    }

    #[cache_put(entry = x_entry(Some(id)))]
    async fn put(id: u32, value: u32) -> Result<u32, String> {
        CALLS.add();
        if value == 0 { Err("zero".to_owned()) } else { Ok(value) }
    }

    #[test]
    fn they_hold() {
        run(async {
            x(Some(7)).await.unwrap();
            failing_evict(7).await.unwrap_err();
            assert!(x_entry(Some(7)).has().await.unwrap(), "an evict that fails keeps the entry");
            evict_before(true).await.unwrap_err();
            assert!(!x_entry(Some(7)).has().await.unwrap(), "one before the body does not");

            let before = CALLS.count();
            for _ in 0..2 {
                assert_eq!(x(None).await, Ok(Some(99)));
            }
            assert_eq!(CALLS.count(), before + 1, "an argument that is absent is a key");
            for _ in 0..2 {
                assert_eq!(x(Some(0)).await, Err("zero".to_owned()), "an error comes unchanged");
                assert_eq!(x(Some(1)).await, Ok(None));
            }
            assert_eq!(CALLS.count(), before + 5, "neither is stored");
            for value in [5, 6] {
                put(7, value).await.unwrap();
                assert_eq!(x(Some(7)).await, Ok(Some(value)), "a put always runs, and overwrites");
            }
            put(7, 0).await.unwrap_err();
            assert_eq!(x(Some(7)).await, Ok(Some(6)), "a put that fails writes nothing");
        });
    }
}

mod results {
    use super::*;

    #[cached(prefix = "results", key = "{id}", entry = of)]
    async fn load(id: u32) -> u32 {
        id
    }

    /// A module that is called what a function returns.
    mod result {
        pub(super) fn next(id: u32) -> u32 {
            id + 1
        }
    }

    #[cache_put(entry = of(result::next(id)))]
    async fn put(id: u32) -> u32 {
        id + 7
    }

    #[cache_evict(prefix = "results", key = |result| result + 1)]
    async fn evict(id: u32) -> u32 {
        id
    }

    #[test]
    fn a_module_or_parameter_called_result_is_none() {
        run(async {
            put(1).await;
            assert_eq!(load(2).await, 8, "its key is known before the body, so it stores");
            evict(1).await;
            assert!(!of(2).has().await.unwrap());
        });
    }
}

mod defaults {
    use super::*;

    struct Switched {
        on: bool,
    }

    #[cache_config(prefix = "switched", condition = self.on)]
    impl Switched {
        #[cached(key = "{id}", entry = switched_entry)]
        async fn get(&self, id: u32) -> u32 {
            id
        }

        #[cache_put(entry = Self::switched_entry(id))]
        async fn put(&self, id: u32) -> u32 {
            id + 1
        }

        #[cache_put(entry = Self::switched_entry(id), condition = !self.on)]
        async fn other_put(&self, id: u32) -> u32 {
            id + 2
        }
    }

    #[test]
    fn a_condition_is_for_puts_by_entry_too() {
        run(async {
            let (off, on) = (Switched { on: false }, Switched { on: true });
            off.get(1).await;
            off.put(1).await;
            assert!(!Switched::switched_entry(1).has().await.unwrap());
            on.put(1).await;
            assert_eq!(on.get(1).await, 2);
            on.other_put(1).await;
            assert_eq!(on.get(1).await, 2, "its own replaces it");
            off.other_put(1).await;
            assert_eq!(on.get(1).await, 3);
        });
    }
}

mod cancellation {
    use super::*;

    #[cached(prefix = "c", key = "{id}", tags = ["c"], entry = c_entry)]
    async fn c(id: u32) -> u32 {
        id
    }

    #[cache_evict(entry = c_entry(id))]
    async fn hung_evict(id: u32) {
        let _ = id;
        pending::<()>().await;
    }

    #[cache_evict(tags = ["c"])]
    async fn hung_tag_evict() {
        pending::<()>().await;
    }

    #[cache_put(entry = c_entry(id))]
    async fn hung_put(id: u32) -> u32 {
        let _ = id;
        pending().await
    }

    #[cache_evict(entry = c_entry(id))]
    async fn panicking(id: u32) {
        panic!("as asked of {id}")
    }

    #[test]
    fn a_body_that_is_dropped_evicts_all_the_same() {
        run(async {
            c(1).await;
            for write in 0..3 {
                c(1).await;
                assert!(c_entry(1).has().await.unwrap());
                let hung = async {
                    match write {
                        0 => hung_evict(1).await,
                        1 => hung_tag_evict().await,
                        _ => drop(hung_put(1).await),
                    }
                };
                tokio::time::timeout(Duration::from_millis(5), hung).await.unwrap_err();
                assert!(!c_entry(1).has().await.unwrap(), "{write}");
            }
        });
    }

    #[test]
    fn a_body_that_panics_evicts_all_the_same() {
        run(async {
            c(2).await;
            let cache = cachemacro::Cache::current();
            let task = tokio::spawn(cache.scope(panicking(2)));
            assert!(task.await.unwrap_err().is_panic());
            assert!(!c_entry(2).has().await.unwrap());
        });
    }
}

mod keys {
    use super::*;

    #[cached(prefix = "k", key = "{a}:{b}", entry = with_colon)]
    async fn f1(a: &str, b: &str) {
        let _ = (a, b);
    }

    #[cached(prefix = "k", key = "{a}{b}", entry = adjacent)]
    async fn f2(a: &str, b: &str) {
        let _ = (a, b);
    }

    #[cached(prefix = "k", key = "{a}-{b}x", entry = with_words)]
    async fn f3(a: &str, b: &str) {
        let _ = (a, b);
    }

    #[cached(prefix = "k", key = "{{{a}}}{b:?}", entry = with_braces)]
    async fn f4(a: &str, b: &str) {
        let _ = (a, b);
    }

    #[cached(prefix = "k", entry = by_default)]
    async fn f5(a: &str, b: &str) {
        let _ = (a, b);
    }

    #[cached(prefix = "k", key = |a, b| (a, Some(b)), entry = by_closure)]
    async fn f6(a: &str, b: &str) {
        let _ = (a, b);
    }

    fn key(entry: &cachemacro::Entry<()>) -> String {
        entry.key().map(|key| key.as_str().to_owned()).unwrap_or_default()
    }

    proptest! {
        #[test]
        fn two_lists_of_arguments_never_share_one(
            one in "[a:%{}\\-x \"N'(),]{0,6}", two in "[a:%{}\\-x \"N'(),]{0,6}",
            three in "[a:%{}\\-x \"N'(),]{0,6}", four in "[a:%{}\\-x \"N'(),]{0,6}",
        ) {
            let same = (&one, &two) == (&three, &four);
            let forms: [fn(&str, &str) -> cachemacro::Entry<()>; 6] = [
                |a, b| with_colon(a, b),
                |a, b| adjacent(a, b),
                |a, b| with_words(a, b),
                |a, b| with_braces(a, b),
                |a, b| by_default(a, b),
                |a, b| by_closure(a, b),
            ];
            run(async {
                for (at, form) in forms.iter().enumerate() {
                    let keys = (key(&form(&one, &two)), key(&form(&three, &four)));
                    assert_eq!(keys.0 == keys.1, same, "form {at}: {keys:?}");
                }
            });
        }
    }

    #[test]
    fn the_function_and_its_entry_agree() {
        run(async {
            for (a, b) in [("", ""), ("a:b", "%3A"), ("{", "\u{0}\n ü"), ("x", &"long ".repeat(100))] {
                f1(a, b).await;
                f2(a, b).await;
                f3(a, b).await;
                f4(a, b).await;
                f5(a, b).await;
                f6(a, b).await;
                for entry in
                    [with_colon(a, b), adjacent(a, b), with_words(a, b), with_braces(a, b), by_default(a, b)]
                {
                    assert!(entry.has().await.unwrap(), "{a:?} {b:?} {}", key(&entry));
                }
                assert!(by_closure(a, b).has().await.unwrap());
            }
        });
    }
}

mod nameless {
    use super::*;

    #[cached(key = "{id}", entry = apply_entry)]
    async fn apply(f: impl Fn(u64) -> u64 + Send, id: u64) -> u64 {
        f(id)
    }

    fn next(id: u64) -> u64 {
        id + 1
    }

    fn hundredfold(id: u64) -> u64 {
        id * 100
    }

    #[cached(prefix = "made")]
    async fn made<T>(id: u64) -> Vec<String> {
        vec![std::any::type_name::<T>().to_owned(), id.to_string()]
    }

    struct Held<F>(F);

    impl<F: Fn(u64) -> u64 + Send + Sync> Held<F> {
        #[cached(prefix = "held", key = "{id}")]
        async fn get(&self, id: u64) -> u64 {
            (self.0)(id)
        }

        #[cache_put(prefix = "held", key = "{id}")]
        async fn put(&self, id: u64) -> u64 {
            (self.0)(id)
        }

        #[cache_evict(prefix = "held", key = "{id}", on_evict_error = "return")]
        async fn evict(&self, id: u64) -> cachemacro::Result<()> {
            let _ = id;
            Ok(())
        }
    }

    fn key_errors() -> u64 {
        cachemacro::Cache::current().stats().total.errors_of(cachemacro::ErrorKind::Key)
    }

    #[test]
    fn calls_with_closures_share_nothing() {
        run(async {
            assert_eq!(apply(|id| id + 1, 1).await, 2);
            assert_eq!(apply(|id| id * 100, 1).await, 100);
            assert_eq!(apply(|id| id * 100, 1).await, 100);
            assert_eq!(key_errors(), 3);
            let error = apply_entry(&|id| id + 1, 1).get().await.expect_err("it has no key");
            assert_eq!(error.kind(), cachemacro::ErrorKind::Key);
            let why = std::error::Error::source(&error).expect("it says why").to_string();
            assert!(why.contains("closures have no names"), "{why}");
            assert_eq!(Held(|id| id + 1).get(1).await, 2);
            assert_eq!(Held(|id| id * 100).get(1).await, 100);
        });
    }

    #[test]
    fn calls_with_named_functions_are_cached_apart() {
        run(async {
            for _ in 0..2 {
                assert_eq!(apply(next, 1).await, 2);
                assert_eq!(apply(hundredfold, 1).await, 100);
            }
            assert!(apply_entry(&next, 1).has().await.unwrap());
            assert_eq!(cachemacro::Cache::current().stats().total.loads, 2);
        });
    }

    /// This test's body is a closure to the compiler.
    #[tokio::test]
    async fn a_type_declared_inside_a_closure_has_a_name() {
        struct Local;
        Cache::memory()
            .scope(async {
                made::<Local>(1).await;
                assert!(made::<Local>(1).await[0].ends_with("Local"));
                assert_eq!((cachemacro::Cache::current().stats().total.loads, key_errors()), (1, 0));
            })
            .await;
    }

    #[test]
    fn nothing_is_evicted_where_nothing_can_be_stored() {
        run(async {
            let held = Held(|id| id + 1);
            held.put(1).await;
            assert!(held.evict(1).await.is_ok());
        });
    }
}
