//! What every store must do, as one suite that runs against any of them.
//!
//! A case gets an [`Env`]: a store, fresh keys, and the few things that a case needs besides the store's own
//! methods (time that passes, foreign bytes under a key, a key's remaining life), which each store's tests bring
//! as a [`Backend`]. [`store_conformance!`](crate::store_conformance) makes one test of each case.
//!
//! Cases do not care whose clock it is: a life that a case outlives is [`SHORT`], one that it must not is
//! [`LONG`], and nothing in between is asked.

mod changes;
mod evicts;
mod fills;
mod hostile;
mod increments;
mod leases;
mod reads;
mod sets;
mod tenures;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro_runtime::header::{Header, Stamp, assemble};
use cachemacro_runtime::store::{
    Fill, FillId, LeaseKind, LeaseOutcome, LeaseRequest, Store, TagKeys, Token, VersionKey,
};

/// A life that cases outlive by [`Env::pass`]; long enough for the few commands they send before.
pub const SHORT: Duration = Duration::from_millis(500);
/// A life that no case outlives.
pub const LONG: Duration = Duration::from_mins(1);

/// What a case needs of a store besides its methods.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The store under test.
    fn store(&self) -> Arc<dyn Store>;

    /// Lets a little more than `time` pass for the store.
    async fn pass(&self, time: Duration);

    /// Puts bytes under a key, as a foreign client might.
    async fn put_raw(&self, key: &str, bytes: &[u8], life: Duration);

    /// How long a key has left; `None` where there is none.
    async fn life_left(&self, key: &str) -> Option<Duration>;
}

/// A store under test, with keys of its own.
#[derive(Clone)]
pub struct Env {
    backend: Arc<dyn Backend>,
    /// The store.
    pub store: Arc<dyn Store>,
    space: String,
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env").field("store", &self.store).field("space", &self.space).finish_non_exhaustive()
    }
}

impl Env {
    /// An environment on `backend`, whose keys no other environment uses.
    pub fn new(backend: impl Backend) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let space = format!("conformance:{}:{started}:{number}", std::process::id());
        Self { store: backend.store(), backend: Arc::new(backend), space }
    }

    /// Lets a little more than `time` pass for the store.
    pub async fn pass(&self, time: Duration) {
        self.backend.pass(time).await;
    }

    /// An entry's key.
    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.space)
    }

    /// A version's key; all share one slot of a cluster.
    fn version_key(&self, name: &str) -> VersionKey {
        let hash = name.bytes().fold(0, |hash: u64, byte| hash.wrapping_mul(31) + u64::from(byte));
        VersionKey { text: format!("{{{}}}:version:{name}", self.space), hash }
    }

    /// A tag of the one bucket there is.
    fn tag(&self, name: &str) -> TagKeys {
        TagKeys { tag: self.version_key(name), any: self.version_key("any") }
    }

    async fn put_raw(&self, key: &str, bytes: impl AsRef<[u8]>) {
        self.backend.put_raw(key, bytes.as_ref(), LONG).await;
    }

    async fn life_left(&self, key: &str) -> Option<Duration> {
        self.backend.life_left(key).await
    }

    /// Asserts that a key's remaining life is `life`, give or take what a slow machine does to it.
    async fn assert_life(&self, key: &str, life: Duration) {
        let left = self.life_left(key).await.expect("the key is there");
        let least = life.saturating_sub(Duration::from_secs(20));
        assert!(least <= left && left <= life, "{left:?} left instead of {life:?}");
    }

    /// A value that is readable for [`LONG`].
    fn value(&self, fill_id: FillId) -> Bytes {
        self.value_gone_after(fill_id, LONG)
    }

    fn value_gone_after(&self, fill_id: FillId, life: Duration) -> Bytes {
        let now = self.store.now();
        let header = Header {
            codec: 1,
            fill_id,
            key_hash: 77,
            schema: 88,
            stored_at: now,
            fresh_until: now.plus(life),
            gone_at: now.plus(life),
            ..Header::default()
        };
        assemble(header, &[Stamp { tag: 5, version: 6 }], format!("value {fill_id}").as_bytes()).into()
    }

    /// Stores a value that is readable for [`LONG`].
    async fn set(&self, key: &str, fill_id: FillId) -> Bytes {
        let value = self.value(fill_id);
        self.store.set(key, value.clone(), LONG).await.expect("set");
        value
    }

    async fn entry(&self, key: &str) -> Option<Bytes> {
        self.store.read(key, &[]).await.expect("read").entry
    }

    /// The header under a key.
    async fn header(&self, key: &str) -> Header {
        let entry = self.entry(key).await.expect("an entry is there");
        Header::parse(&entry).expect("it is well-formed")
    }

    async fn lease(&self, key: &str, kind: LeaseKind, token: Token, seen: FillId) -> LeaseOutcome {
        self.lease_for(key, kind, token, seen, LONG).await
    }

    async fn lease_for(
        &self,
        key: &str,
        kind: LeaseKind,
        token: Token,
        seen: FillId,
        live: Duration,
    ) -> LeaseOutcome {
        let request = LeaseRequest { key, token, seen, kind, live, capture: &[], version_life: LONG };
        self.store.lease(request).await.expect("lease").outcome
    }

    /// Takes a load's lease that is free, over nothing.
    async fn take(&self, key: &str, token: Token) {
        assert_taken(&self.lease(key, LeaseKind::Load, token, 0).await);
    }

    /// Fills as a load does.
    async fn fill(&self, key: &str, token: Token, fill_id: FillId) -> bool {
        self.store.fill(load_fill(key, token, self.value(fill_id))).await.expect("fill").accepted
    }

    async fn evict(&self, key: &str) -> bool {
        self.store.evict(&[key.to_owned()]).await.expect("evict") == [true]
    }

    async fn renew(&self, key: &str, token: Token, live: Duration) -> bool {
        self.store.renew(key, token, live).await.expect("renew")
    }

    async fn release(&self, key: &str, token: Token) -> bool {
        self.store.release(key, token).await.expect("release")
    }
}

fn load_fill(key: &str, token: Token, bytes: Bytes) -> Fill<'_> {
    Fill { key, token, bytes, life: LONG, unlink_refused: false, check: &[] }
}

fn put_fill(key: &str, token: Token, bytes: Bytes) -> Fill<'_> {
    Fill { unlink_refused: true, ..load_fill(key, token, bytes) }
}

#[track_caller]
fn assert_taken(outcome: &LeaseOutcome) {
    assert!(matches!(outcome, LeaseOutcome::Taken), "expected the lease, got {outcome:?}");
}

#[track_caller]
fn assert_busy(outcome: &LeaseOutcome) {
    assert!(matches!(outcome, LeaseOutcome::Busy(_)), "expected a busy lease, got {outcome:?}");
}

#[track_caller]
fn assert_found(outcome: &LeaseOutcome, value: &Bytes) {
    match outcome {
        LeaseOutcome::Found(found) => assert_eq!(found, value, "the whole entry, as it is"),
        other => panic!("expected the other value, got {other:?}"),
    }
}

/// Runs `n` tasks that start together, and gives their results in the order of their numbers.
async fn race<T, F>(n: u64, task: impl Fn(u64) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(tokio::sync::Barrier::new(usize::try_from(n).expect("a few")));
    let tasks: Vec<_> = (0..n)
        .map(|number| {
            let (barrier, task) = (Arc::clone(&barrier), task(number));
            tokio::spawn(async move {
                barrier.wait().await;
                task.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.expect("no racer panics"));
    }
    results
}

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
                read_many_keeps_the_order_of_its_keys
                read_many_of_nothing_is_nothing
                a_head_is_the_first_bytes_at_most_all
                versions_are_read_in_the_order_of_their_keys
                a_key_is_gone_after_its_life
                a_store_tells_its_kind_time_and_health;
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
                a_refresh_does_not_take_over_a_puts_lease
                a_lapsed_puts_lease_is_free_for_a_refresh
                a_value_past_its_end_is_missing_though_its_key_lives
                a_lease_outlasts_the_value_it_was_taken_over
                a_lease_never_shortens_a_values_life
                a_lapsed_pending_lease_vanishes_and_its_holder_cannot_harm_the_next
                a_lapsed_lease_over_a_value_passes_to_another_token
                of_sixteen_racers_exactly_one_gets_the_lease
                of_racing_puts_the_last_holds_the_lease
                a_lease_captures_versions_and_creates_those_that_are_missing
                many_leases_are_decided_one_by_one_with_versions_captured_once
                many_leases_capture_each_its_own_versions;
            tenures:
                a_renewed_lease_outlives_its_first_deadline
                a_lease_over_a_value_is_renewed_with_the_value_in_place
                renewing_never_shortens_a_values_life
                only_the_holder_renews
                an_evicted_lease_is_not_renewed
                a_released_pending_lease_leaves_nothing
                a_lease_released_over_a_value_leaves_the_value
                only_the_holder_releases;
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
                a_fill_reads_the_versions_it_names
                many_fills_are_decided_one_by_one
                a_tag_evicted_during_the_load_no_longer_equals_its_stamp;
            sets:
                a_set_ends_any_lease
                compare_and_set_stores_over_the_value_that_was_seen
                compare_and_set_over_nothing_expects_nothing
                pending_and_gone_entries_compare_as_nothing
                compare_and_set_ends_the_lease_over_the_value
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
                an_immediate_evict_is_done_when_it_says_so
                a_tags_evict_removes_its_version_and_its_buckets_alone
                many_tags_are_evicted_at_once
                a_prefix_takes_every_key_that_begins_with_it_and_counts_them
                a_prefix_with_pattern_characters_means_them_literally
                a_prefix_voids_leases_too;
            versions:
                a_captured_version_stays_until_it_is_evicted
                versions_are_captured_in_the_order_of_their_keys
                racing_captures_create_a_version_once
                a_version_lives_sixty_days_or_twice_what_is_asked
                a_capture_never_shortens_a_version
                a_version_that_would_die_too_soon_is_prolonged
                what_is_no_version_is_replaced_by_a_capture;
            hostile:
                hostile_bytes_are_read_as_they_are
                hostile_bytes_hold_no_lease_and_no_value
                hostile_bytes_accept_no_token
                hostile_bytes_compare_as_nothing
                hostile_bytes_are_evicted_as_if_they_were_not_there
                hostile_bytes_are_replaced_by_a_set
                what_only_a_decoder_can_tell_is_the_decoders_to_tell;
            changes:
                a_wait_ends_by_its_time_at_the_latest
                one_who_waits_for_a_fill_gets_to_see_it;
        }
    };
}

/// Makes a module of tests, one per case of the suite, each on an [`Env`](crate::conformance::Env) of its own.
///
/// `store_conformance!(memory, async || Env::new(Memory::new()));`, as `tests/protocol/store_conformance.rs` has it.
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
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::conformance::run(stringify!($case), &($make)().await).await;
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

/// Runs one case by name.
///
/// # Panics
/// Where the store does not do what the case says.
pub async fn run(case: &str, env: &Env) {
    crate::__conformance_cases!([dispatch] case env);
}
