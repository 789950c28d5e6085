//! Evicts that did not reach the store: the function has run, its own error goes first, and who asked to be told is.
//!
//! Each mechanism was removed once, and the test beside it failed:
//!
//! | removed | test |
//! |---|---|
//! | `on_evict_error = "return"` | `a_failed_evict_is_returned_where_the_caller_asked_for_it` |
//! | the function's own error goes before | `the_functions_own_error_goes_before_that_of_an_evict` |
//! | the evicts after one that failed are sent | `the_others_of_one_function_are_sent_all_the_same` |
//! | one sent ahead of the body does not count | `one_before_the_body_and_again_after_it_counts_once` |
//! | a failed evict is counted | `by_default_a_failed_evict_is_counted_and_the_value_returned` |

use cachemacro::store::faults::Op;
use cachemacro::{ErrorKind, cache_evict, cache_put, cached};
use cachemacro_tests::attributes::Calls;
use cachemacro_tests::{Process, Rig, on_both_stores};

/// An application's error, which can hold one of the cache's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Own,
    Cache(ErrorKind),
}

impl From<cachemacro::Error> for Failure {
    fn from(error: cachemacro::Error) -> Self {
        Failure::Cache(error.kind())
    }
}

type Outcome = Result<u32, Failure>;

const FAILED: Outcome = Err(Failure::Cache(ErrorKind::Refused));

#[cached(prefix = "row", key = "{id}", tags = ["rows"], entry = row_entry)]
async fn row(id: u32) -> Result<u32, Failure> {
    Ok(id)
}

#[cached(prefix = "other", key = "{id}", entry = other_entry)]
async fn other(id: u32) -> u32 {
    id
}

#[cache_put(entry = row_entry(id), on_evict_error = "return")]
async fn put(id: u32, outcome: Outcome, bodies: &Calls) -> Outcome {
    bodies.add();
    outcome
}

#[cache_put(entry = row_entry(id), on_err = "evict", on_evict_error = "return")]
async fn put_or_evict(id: u32, outcome: Outcome) -> Outcome {
    outcome
}

#[cache_put(entry = row_entry(id))]
async fn put_quietly(id: u32, outcome: Outcome) -> Outcome {
    outcome
}

#[cache_evict(entry = row_entry(id), on_evict_error = "return")]
async fn evict(id: u32, outcome: Outcome, bodies: &Calls) -> Outcome {
    bodies.add();
    outcome
}

#[cache_evict(entry = row_entry(id), before, on_evict_error = "return")]
async fn evict_before(id: u32, outcome: Outcome, bodies: &Calls) -> Outcome {
    bodies.add();
    outcome
}

#[cache_evict(entry = row_entry(id), tags = ["rows"], before)]
async fn evict_all_before(id: u32) -> u32 {
    id
}

#[cache_evict(entry = row_entry(id), on_err = "evict", on_evict_error = "return")]
async fn evict_in_any_case(id: u32, outcome: Outcome) -> Outcome {
    outcome
}

/// Its error could not hold one of the cache's.
#[cache_evict(entry = row_entry(id))]
async fn evict_quietly(id: u32) -> u32 {
    id + 1
}

#[cache_evict(tags = ["rows"], on_evict_error = "return")]
#[cache_evict(entry = row_entry(id))]
#[cache_put(entry = other_entry(id))]
async fn all_of_them(id: u32) -> Outcome {
    Ok(id)
}

/// How many evicts of this cache failed.
fn failed(process: &Process) -> u64 {
    process.cache.stats().total.failed_evicts
}

/// What is stored for row 7, as another process reads it: one that could not evict it does not serve it.
async fn stored(rig: &Rig) -> Option<u32> {
    let elsewhere = rig.process();
    elsewhere.cache.scope(async { row_entry(7).get().await }).await.expect("the store answers")
}

/// Upholds G7.
async fn a_failed_evict_is_returned_where_the_caller_asked_for_it(rig: Rig) {
    let (process, bodies) = (rig.process(), Calls::new());
    process
        .cache
        .scope(async {
            row(7).await.expect("a row");
            process.faults.fail_next(Op::Evict, 1, ErrorKind::Refused);
            assert_eq!(evict(7, Ok(8), &bodies).await, FAILED);
            assert_eq!((bodies.count(), failed(&process), stored(&rig).await), (1, 1, Some(7)));
            assert_eq!(evict(7, Ok(8), &bodies).await, Ok(8), "one that was done is not told");
            assert_eq!((failed(&process), stored(&rig).await), (1, None));

            // Neither stored nor evicted.
            row(7).await.expect("a row");
            process.faults.fail_next(Op::Lease, 1, ErrorKind::Io);
            process.faults.fail_next(Op::Evict, 1, ErrorKind::Refused);
            assert_eq!(put(7, Ok(8), &bodies).await, FAILED);
            assert_eq!((bodies.count(), failed(&process), stored(&rig).await), (3, 2, Some(7)));
            // Evicted instead of stored: that is no failed evict.
            process.faults.fail_next(Op::Fill, 1, ErrorKind::Io);
            assert_eq!(put(7, Ok(8), &bodies).await, Ok(8));
            assert_eq!((failed(&process), stored(&rig).await), (2, None));

            // One whose answer was lost may have been done.
            row(7).await.expect("a row");
            process.faults.lose_reply_next(Op::Evict);
            assert_eq!(evict(7, Ok(8), &bodies).await, Err(Failure::Cache(ErrorKind::Timeout)));
            assert_eq!((failed(&process), stored(&rig).await), (3, None));

            // The one before the body: the body runs all the same, and the one after it makes up for it.
            row(7).await.expect("a row");
            process.faults.fail_next(Op::Evict, 1, ErrorKind::Refused);
            let before = bodies.count();
            assert_eq!(evict_before(7, Ok(8), &bodies).await, Ok(8));
            assert_eq!((bodies.count(), failed(&process), stored(&rig).await), (before + 1, 3, None));
        })
        .await;
}

async fn the_functions_own_error_goes_before_that_of_an_evict(rig: Rig) {
    let (process, bodies) = (rig.process(), Calls::new());
    process
        .cache
        .scope(async {
            row(7).await.expect("a row");
            process.faults.fail(Op::Evict, ErrorKind::Refused);
            assert_eq!(evict_in_any_case(7, Err(Failure::Own)).await, Err(Failure::Own));
            assert_eq!(failed(&process), 1);
            assert_eq!(put_or_evict(7, Err(Failure::Own)).await, Err(Failure::Own));
            assert_eq!(failed(&process), 2);
            assert_eq!(evict_before(7, Err(Failure::Own), &bodies).await, Err(Failure::Own));
            assert_eq!(failed(&process), 3, "before and after are one evict");
            assert_eq!(stored(&rig).await, Some(7), "none was done");
            // Without `on_err` there is nothing to evict.
            assert_eq!(evict(7, Err(Failure::Own), &bodies).await, Err(Failure::Own));
            assert_eq!(put(7, Err(Failure::Own), &bodies).await, Err(Failure::Own));
            assert_eq!(failed(&process), 3);
            process.faults.heal();
            assert_eq!(put_or_evict(7, Err(Failure::Own)).await, Err(Failure::Own));
            assert_eq!((failed(&process), stored(&rig).await), (3, None));
        })
        .await;
}

async fn one_before_the_body_and_again_after_it_counts_once(rig: Rig) {
    let process = rig.process();
    let counted = || {
        let total = process.cache.stats().total;
        (total.evicts, total.tag_evicts, total.failed_evicts)
    };
    process
        .cache
        .scope(async {
            row(7).await.expect("a row");
            assert_eq!(evict_all_before(7).await, 7);
            assert_eq!(counted(), (1, 1, 0));
            process.faults.fail_next(Op::EvictTags, 1, ErrorKind::Refused);
            assert_eq!(evict_all_before(7).await, 7);
            assert_eq!(counted(), (1, 2, 0), "done at the second time");
            process.faults.fail_next(Op::EvictTags, 2, ErrorKind::Refused);
            assert_eq!(evict_all_before(7).await, 7);
            assert_eq!(counted(), (1, 2, 1), "failed twice");
        })
        .await;
}

/// Upholds G7.
async fn by_default_a_failed_evict_is_counted_and_the_value_returned(rig: Rig) {
    let process = rig.process();
    process
        .cache
        .scope(async {
            row(7).await.expect("a row");
            process.faults.fail(Op::Evict, ErrorKind::Refused);
            assert_eq!(evict_quietly(7).await, 8);
            assert_eq!((failed(&process), stored(&rig).await), (1, Some(7)));
            process.faults.fail_next(Op::Fill, 1, ErrorKind::Io);
            assert_eq!(put_quietly(7, Ok(8)).await, Ok(8));
            assert_eq!((failed(&process), stored(&rig).await), (2, Some(7)));
            assert_eq!(process.cache.stats().total.errors_of(ErrorKind::Refused), 2);
            process.faults.heal();
            assert_eq!(evict_quietly(7).await, 8);
            assert_eq!((failed(&process), stored(&rig).await), (2, None));
        })
        .await;
}

/// Upholds G7.
async fn the_others_of_one_function_are_sent_all_the_same(rig: Rig) {
    let process = rig.process();
    let fails = |op| process.faults.fail_next(op, 1, ErrorKind::Refused);
    process
        .cache
        .scope(async {
            for op in [Op::Evict, Op::EvictTags] {
                row(7).await.expect("a row");
                other(7).await;
                fails(op);
                assert_eq!(all_of_them(7).await, FAILED, "{op:?}");
                assert_eq!(stored(&rig).await, None, "{op:?}: the tag or the entry");
                let elsewhere = rig.process();
                let put = elsewhere.cache.scope(async { other_entry(7).get().await }).await;
                assert_eq!(put.expect("the store answers"), Some(7), "{op:?}: the put");
                other_entry(7).evict().await.expect("evicted");
            }
            assert_eq!(failed(&process), 2);
            // The first error of several is told, each is counted.
            process.faults.fail(Op::EvictTags, ErrorKind::Refused);
            process.faults.fail(Op::Evict, ErrorKind::Io);
            process.faults.fail_next(Op::Lease, 1, ErrorKind::Timeout);
            let told = all_of_them(7).await;
            assert!([FAILED, Err(Failure::Cache(ErrorKind::Io))].contains(&told), "{told:?}");
            assert_eq!(failed(&process), 5);
        })
        .await;
}

on_both_stores!(
    one_before_the_body_and_again_after_it_counts_once,
    a_failed_evict_is_returned_where_the_caller_asked_for_it,
    the_functions_own_error_goes_before_that_of_an_evict,
    by_default_a_failed_evict_is_counted_and_the_value_returned,
    the_others_of_one_function_are_sent_all_the_same,
);
