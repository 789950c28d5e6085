//! What every store must do, as one suite that runs against any of them. Behind the feature `conformance`.
//!
//! A case gets an [`Env`]: a store, fresh keys, and the few things that a case needs besides the store's own
//! methods (time that passes, foreign bytes under a key, a key's remaining life), which whoever tests a store brings
//! as a [`Subject`]; for a store made by [`Protocol`](crate::store::protocol::Protocol), [`Env::over`] knows them. Of the capabilities, those are tested that the
//! store has.
//!
//! [`store_conformance!`] makes one test of each case; [`all`] runs them one after the other.
//!
//! Cases do not care whose clock it is: they let half a second pass to outlive a life, and within a minute all of them end.
//! So a clock that the test moves makes them quick, and one that nobody moves serves as well.

mod changes;
mod env;
mod evicts;
mod fills;
mod hostile;
mod increments;
mod inspections;
mod leases;
mod queues;
mod reads;
mod sets;
mod streams;
mod tenures;
mod versions;

pub use self::env::{Env, Subject};
pub use crate::store_conformance;

/// Calls a macro with every case, by module. A case that is missing here is reported as dead code.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ([$($callback:tt)+] $($args:tt)*) => {
        $($callback)+! {
            [$($args)*]
            reads:
                a_missing_key_reads_as_nothing
                a_value_reads_back_as_it_was_set
                any_bytes_survive_in_keys_and_payloads
                many_are_read_in_the_order_of_their_keys
                reading_nothing_is_nothing
                a_head_is_the_first_bytes_at_most_all
                versions_are_read_in_the_order_of_their_keys
                a_key_is_gone_after_its_life
                many_heads_are_read_at_once
                a_store_tells_its_name_time_and_health;
            leases:
                a_lease_on_nothing_leaves_a_pending_header
                a_held_lease_is_busy_for_what_is_left_of_it
                a_lease_over_a_seen_value_leaves_the_value_readable
                a_lease_held_over_a_value_is_busy_for_those_who_saw_it
                another_value_than_the_seen_one_is_found_instead_of_a_lease
                fill_ids_and_tokens_are_compared_in_all_their_64_bits
                another_value_is_found_even_under_a_held_lease
                a_put_takes_the_lease_whatever_is_there
                a_load_takes_over_a_puts_lease
                a_lease_lives_a_minute_at_most
                a_lease_that_would_lapse_later_than_any_is_held_by_nobody
                a_lapsed_puts_lease_is_none_of_a_puts_any_more
                a_value_past_its_end_is_missing_though_its_key_lives
                a_lease_outlasts_the_value_it_was_taken_over
                a_lease_never_shortens_a_values_life
                a_lapsed_pending_lease_vanishes_and_its_holder_cannot_harm_the_next
                a_lapsed_lease_over_a_value_passes_to_another_token
                of_sixteen_racers_exactly_one_gets_the_lease
                of_racing_puts_the_last_holds_the_lease
                a_lease_captures_versions_and_creates_those_that_are_missing
                many_leases_are_decided_one_by_one_with_versions_captured_once
                many_leases_capture_each_its_own_versions
                a_pending_header_carries_the_versions_that_its_holder_captured
                a_lease_under_outdated_versions_passes_to_who_captured_again_and_names_its_holder
                a_lease_under_the_same_versions_passes_to_nobody
                a_lease_passes_from_the_holder_that_is_named_and_no_other
                a_lease_under_outdated_any_tag_versions_passes_once
                a_lease_over_a_value_that_an_evict_outdated_passes_at_once
                a_put_takes_no_notice_of_outdated_versions
                a_request_that_comes_too_late_gets_no_lease
                a_lease_is_had_of_nothing_alone_by_who_saw_nothing
                of_many_leases_those_of_nothing_are_had_where_nothing_is
                a_lease_of_nothing_is_had_under_the_versions_seen_or_those_of_now;
            tenures:
                a_renewed_lease_outlives_its_first_deadline
                a_lease_over_a_value_is_renewed_with_the_value_in_place
                renewing_never_shortens_a_values_life
                only_the_holder_renews
                an_evicted_lease_is_not_renewed
                a_released_pending_lease_leaves_nothing
                a_lease_released_over_a_value_leaves_the_value
                only_the_holder_releases
                many_leases_are_kept_one_by_one
                an_immediate_release_is_done_when_it_returns;
            fills:
                a_fill_under_its_lease_is_stored_for_its_life
                a_lease_fills_once
                a_fill_without_a_lease_is_refused
                a_fill_replaces_the_value_its_lease_was_taken_over
                a_refused_load_leaves_what_is_there
                a_refused_put_unlinks_what_is_there
                an_evict_voids_the_lease_before_it
                an_evict_voids_the_lease_over_a_value_too
                of_two_puts_the_one_that_lost_its_lease_removes_the_value
                a_refresh_replaces_the_value_that_it_refreshes
                a_refresh_replaces_no_other_value
                a_refresh_is_stored_under_the_lease_that_it_saw
                a_refresh_replaces_a_value_past_its_end
                a_fill_reads_the_versions_it_names
                many_fills_are_decided_one_by_one
                a_tag_evicted_during_the_load_no_longer_equals_its_stamp;
            sets:
                a_set_ends_any_lease
                compare_and_set_stores_over_the_value_that_was_seen
                compare_and_set_over_nothing_expects_nothing
                pending_and_gone_entries_compare_as_nothing
                compare_and_set_ends_the_lease_over_the_value
                a_refused_compare_and_set_may_unlink_what_is_there
                writes_of_all_guards_are_decided_one_by_one
                of_racing_compare_and_sets_one_wins;
            increments:
                the_first_addition_creates_the_entry
                an_addition_keeps_expiry_stamps_and_times_and_renames_the_value
                sums_cross_zero_and_change_their_length
                sums_are_exact_up_to_the_limits_of_64_bits
                a_sum_that_does_not_fit_is_refused_and_changes_nothing
                a_value_of_another_codec_is_refused_and_left
                a_payload_that_is_no_number_is_refused_and_left
                a_value_with_other_stamps_is_returned_and_left
                a_value_with_other_stamps_that_hold_is_added_to_and_keeps_them
                a_value_with_other_stamps_that_are_outdated_counts_as_missing
                pending_gone_and_foreign_entries_are_replaced
                an_addition_ends_any_lease
                a_thousand_racing_additions_all_count;
            evicts:
                an_evict_tells_for_each_key_whether_a_value_was_there
                evicting_nothing_does_nothing
                many_keys_are_evicted_at_once
                keys_and_tags_are_evicted_in_one_request
                an_immediate_evict_is_done_when_it_returns
                a_tags_evict_removes_its_version_and_its_buckets_alone
                many_tags_are_evicted_at_once
                a_prefix_takes_every_key_that_begins_with_it_and_counts_them
                a_prefix_with_pattern_characters_means_them_literally
                a_prefix_voids_leases_too;
            versions:
                a_captured_version_stays_until_it_is_evicted
                versions_are_captured_in_the_order_of_their_keys
                racing_captures_create_a_version_once
                a_version_lives_as_long_as_is_asked_and_not_much_longer
                of_many_leases_each_version_has_the_longest_life_that_was_asked_for_it
                a_capture_never_shortens_a_version
                a_version_that_would_die_too_soon_is_prolonged
                eight_zero_bytes_are_no_version
                what_is_no_version_is_replaced_by_a_capture;
            hostile:
                hostile_bytes_are_read_as_they_are
                hostile_bytes_hold_no_lease_and_no_value
                hostile_bytes_accept_no_token
                hostile_bytes_compare_as_nothing
                hostile_bytes_are_evicted_as_if_they_were_not_there
                hostile_bytes_are_replaced_by_a_set
                a_value_from_the_future_is_none
                what_only_a_decoder_can_tell_is_the_decoders_to_tell;
            inspections:
                a_scan_tells_every_key_under_a_prefix
                what_is_under_a_key_is_shown_with_its_life;
            streams:
                items_are_numbered_and_read_in_their_order
                a_stream_keeps_its_last_items_and_goes_on_counting
                who_waits_for_a_stream_hears_of_an_item
                of_a_group_each_item_is_given_once
                what_nobody_holds_is_given_to_another_and_what_is_finished_to_nobody
                what_a_group_missed_is_counted
                what_was_put_aside_is_listed_until_it_is_forgotten
                who_leaves_takes_nothing_along;
            queues:
                writes_are_queued_in_the_order_in_which_they_were_accepted
                a_full_partition_accepts_nothing
                the_newest_write_of_a_key_is_pending_until_it_is_settled
                one_owns_a_partition_until_its_lease_lapses
                what_was_put_aside_is_no_longer_queued;
            changes:
                a_wait_ends_by_its_time_at_the_latest
                one_who_waits_for_a_fill_gets_to_see_it;
        }
    };
}

/// Makes a module of tests, one for each case of the [conformance suite](crate::store::conformance), each on an
/// [`Env`](crate::store::conformance::Env) of its own.
///
/// `store_conformance!(mine, async || Env::over(Protocol::new(MyMap::default()), tokio::time::sleep));` in a file of tests is all
/// that a store made of a map needs.
#[macro_export]
macro_rules! store_conformance {
    ($suite:ident, $make:expr) => {
        mod $suite {
            use super::*;

            $crate::__conformance_cases!([$crate::__conformance_tests] $make);
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ([$make:expr] $($module:ident: $($case:ident)*;)*) => {
        $($(
            #[test]
            fn $case() {
                $crate::store::conformance::test(stringify!($case), $make);
            }
        )*)*
    };
}

macro_rules! dispatch {
    ([$case:ident $env:ident] $($module:ident: $($name:ident)*;)*) => {
        match $case {
            $($(stringify!($name) => Box::pin($module::$name($env)).await,)*)*
            unknown => panic!("no case is called {unknown}"),
        }
    };
}

macro_rules! names {
    ([] $($module:ident: $($name:ident)*;)*) => {
        &[$($(stringify!($name)),*),*]
    };
}

/// The names of all cases.
pub const CASES: &[&str] = crate::__conformance_cases!([names]);

/// Runs one case, by its name.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::conformance::{CASES, Env, run};
///
/// async fn check(env: &Env) {
///     assert!(CASES.contains(&"a_lease_fills_once"));
///     run("a_lease_fills_once", env).await;
/// }
/// ```
///
/// # Panics
/// Where the store does not do what the case says.
pub async fn run(case: &str, env: &Env) {
    crate::__conformance_cases!([dispatch] case env);
}

/// Runs all cases one after the other, each on an environment of its own.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::conformance::{Env, all};
/// use cachemacro::store::protocol::{Backend, Protocol};
///
/// async fn check<B: Backend>(map: impl Fn() -> B) {
///     all(async || Env::over(Protocol::new(map()), tokio::time::sleep)).await;
/// }
/// ```
///
/// # Panics
/// Where the store does not do what a case says, which is logged as an event.
pub async fn all(make: impl AsyncFn() -> Env) {
    for case in CASES {
        tracing::info!(case, "a store is tested");
        run(case, &make().await).await;
    }
}

/// Runs one case on a runtime of its own.
#[doc(hidden)]
pub fn test(case: &str, make: impl AsyncFnOnce() -> Env) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async { run(case, &make().await).await });
}
