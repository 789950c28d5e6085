//! Threads that call sync functions at the same time: one load for each key, and no wait without an end.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use cachemacro::{Cache, Event, Observation, Observer, cache_put, cached};

/// Far longer than anything here takes, unless it hangs.
const HANG: Duration = Duration::from_mins(1);

/// A gate that a body waits at, and that tells how many are there.
#[derive(Default)]
struct Gate {
    inside: AtomicUsize,
    open: AtomicBool,
}

impl Gate {
    const fn new() -> Self {
        Self { inside: AtomicUsize::new(0), open: AtomicBool::new(false) }
    }

    fn pass(&self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        until(|| self.open.load(Ordering::SeqCst));
    }

    fn wait_for(&self, inside: usize) {
        until(|| self.inside.load(Ordering::SeqCst) >= inside);
    }

    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

fn until(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < HANG, "what is waited for does not come");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Runs code on a thread of its own with this cache.
fn spawn<R: Send + 'static>(
    cache: &Cache,
    run: impl FnOnce() -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    let cache = cache.clone();
    thread::spawn(move || cache.scope_sync(run))
}

/// What a thread gives, which must not hang.
fn joined<R>(thread: thread::JoinHandle<R>) -> thread::Result<R> {
    until(|| thread.is_finished());
    thread.join()
}

/// Upholds G5.
#[test]
fn threads_that_want_one_key_at_once_share_one_load() {
    static GATE: Gate = Gate::new();
    #[cached]
    fn get(n: u64) -> String {
        GATE.pass();
        n.to_string()
    }
    let cache = Cache::memory();
    let threads: Vec<_> = (0..16).map(|_| spawn(&cache, || get(7))).collect();
    GATE.wait_for(1);
    until(|| cache.stats().total.misses() == 16);
    GATE.open();
    for thread in threads {
        assert_eq!(joined(thread).expect("no panic"), "7");
    }
    let total = cache.stats().total;
    assert_eq!((total.loads, total.shared_loads), (1, 15));
}

/// Upholds G5.
#[test]
fn who_missed_before_another_load_ended_finds_what_it_kept() {
    static LOADS: AtomicUsize = AtomicUsize::new(0);
    #[cached]
    fn get(n: u64) -> u64 {
        LOADS.fetch_add(1, Ordering::SeqCst);
        n
    }
    /// Has another thread load what a call has just missed, before that call takes its seat.
    #[derive(Clone, Default)]
    struct LoadsMeanwhile(Arc<OnceLock<Cache>>, Arc<AtomicBool>);
    impl Observer for LoadsMeanwhile {
        fn event(&self, seen: &Observation<'_>) {
            if matches!(seen.event, Event::Miss(_)) && !self.1.swap(true, Ordering::SeqCst) {
                let cache = self.0.get().expect("the cache is made");
                assert_eq!(joined(spawn(cache, || get(7))).expect("no panic"), 7);
            }
        }
    }
    let between = LoadsMeanwhile::default();
    let cache = Cache::builder().memory().observer(between.clone()).build().expect("acceptable");
    assert!(between.0.set(cache.clone()).is_ok());
    assert_eq!(cache.scope_sync(|| get(7)), 7);
    assert_eq!(LOADS.load(Ordering::SeqCst), 1);
    let total = cache.stats().total;
    assert_eq!((total.misses(), total.loads, total.shared_loads), (2, 1, 1));
    assert_eq!(cache.scope_sync(|| get(7)), 7, "and nobody is left in the seat");
}

/// Upholds G9.
#[test]
fn a_panic_in_the_body_hands_on_to_one_of_those_who_wait() {
    static GATE: Gate = Gate::new();
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    #[cached]
    fn get(n: u64) -> u64 {
        if RUNS.fetch_add(1, Ordering::SeqCst) == 0 {
            GATE.pass();
            panic!("on purpose");
        }
        n
    }
    let cache = Cache::memory();
    let threads: Vec<_> = (0..8).map(|_| spawn(&cache, || get(7))).collect();
    GATE.wait_for(1);
    until(|| cache.stats().total.misses() == 8);
    GATE.open();
    let ended: Vec<_> = threads.into_iter().map(joined).collect();
    assert_eq!(ended.iter().filter(|ended| ended.is_err()).count(), 1);
    assert!(ended.into_iter().flatten().all(|got| got == 7));
    assert_eq!(RUNS.load(Ordering::SeqCst), 2);
}

/// Upholds G9.
#[test]
fn an_error_is_shared_where_it_can_be_cloned_and_else_everyone_runs() {
    static GATES: [Gate; 2] = [Gate::new(), Gate::new()];
    #[derive(Debug)]
    struct NoClone;
    #[cached]
    fn cloned(n: u64) -> Result<u64, String> {
        GATES[0].pass();
        Err(n.to_string())
    }
    #[cached]
    fn apart(n: u64) -> Result<u64, NoClone> {
        GATES[1].pass();
        Err(NoClone)
    }
    let calls: [(fn() -> bool, u64); 2] = [(|| cloned(7).is_err(), 1), (|| apart(7).is_err(), 4)];
    for (gate, (call, loads)) in GATES.iter().zip(calls) {
        let cache = Cache::memory();
        let threads: Vec<_> = (0..4).map(|_| spawn(&cache, call)).collect();
        gate.wait_for(1);
        until(|| cache.stats().total.misses() == 4);
        gate.open();
        assert!(threads.into_iter().all(|thread| joined(thread).expect("no panic")));
        assert_eq!(cache.stats().total.loads, loads);
    }
}

/// Upholds G9.
#[test]
fn a_function_that_calls_itself_for_its_own_key_runs_and_waits_for_nobody() {
    thread_local! {
        static DEPTH: Cell<u32> = const { Cell::new(0) };
    }
    #[cached]
    fn deep(n: u32) -> u32 {
        let depth = DEPTH.get();
        DEPTH.set(depth + 1);
        if depth < 3 { deep(n) + 1 } else { n }
    }
    #[cached]
    fn fibonacci(n: u64) -> u64 {
        if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
    }
    let cache = Cache::memory();
    assert_eq!(joined(spawn(&cache, || deep(7))).expect("no panic"), 10);
    assert_eq!(joined(spawn(&cache, || fibonacci(80))).expect("no panic"), 23_416_728_348_467_685);
    assert_eq!(cache.stats().site("fibonacci").map(|site| site.loads), Some(81));
}

/// Upholds G9.
#[test]
fn loads_that_would_wait_for_each_other_do_not() {
    static INSIDE: Gate = Gate::new();
    #[cached(wait = "1h")]
    fn ping(n: u32) -> u32 {
        INSIDE.pass();
        pong(n) + 1
    }
    #[cached(wait = "1h")]
    fn pong(n: u32) -> u32 {
        if INSIDE.inside.load(Ordering::SeqCst) < 2 {
            INSIDE.pass();
            ping(n) + 1
        } else {
            n
        }
    }
    let cache = Cache::memory();
    let threads = [spawn(&cache, || ping(7)), spawn(&cache, || pong(7))];
    INSIDE.wait_for(2);
    INSIDE.open();
    for thread in threads {
        assert!(joined(thread).expect("no panic") >= 8);
    }
}

/// Upholds G9.
#[test]
fn a_load_that_takes_longer_than_the_wait_is_overtaken() {
    static GATE: Gate = Gate::new();
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    #[cached(wait = "1ms")]
    fn get(n: u64) -> u64 {
        if RUNS.fetch_add(1, Ordering::SeqCst) == 0 {
            GATE.pass();
        }
        n
    }
    let cache = Cache::memory();
    let slow = spawn(&cache, || get(7));
    GATE.wait_for(1);
    assert_eq!(joined(spawn(&cache, || get(7))).expect("no panic"), 7);
    GATE.open();
    assert_eq!(joined(slow).expect("no panic"), 7);
    assert_eq!(cache.stats().total.fills, 1, "what was loaded beside is not stored");
}

/// Upholds G1.
#[test]
fn what_was_evicted_while_it_was_loaded_is_neither_stored_nor_shared_with_who_comes_after() {
    static DATABASE: Mutex<u64> = Mutex::new(1);
    static GATES: [Gate; 4] = [Gate::new(), Gate::new(), Gate::new(), Gate::new()];
    #[cached(prefix = "row", key = "{gate}", tags = ["rows", "row:{gate}"], entry = row_entry)]
    fn row(gate: usize) -> u64 {
        let read = *DATABASE.lock().expect("no panic");
        if read == 1 {
            GATES[gate].pass();
        }
        read
    }
    let cache = Cache::memory();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let evicts: [fn(); 4] = [
        || assert!(!row_entry(0).evict(), "nothing was stored yet"),
        || Cache::current().evict().tags(["row:1"]).run_sync().expect("a tag is built"),
        || Cache::current().evict().prefix("row").run_sync().expect("nothing to build"),
        || Cache::current().evict().key("row", 3).run_sync().expect("a number can be a key"),
    ];
    for (gate, evict) in evicts.into_iter().enumerate() {
        *DATABASE.lock().expect("no panic") = 1;
        let old = spawn(&cache, move || row(gate));
        GATES[gate].wait_for(1);
        *DATABASE.lock().expect("no panic") = 2;
        cache.scope_sync(evict);
        // An evict by prefix ends in the background, and refuses what begins until then. A read waits for that.
        let read = cache.get::<u64>("row", gate);
        assert_eq!(runtime.block_on(read).expect("memory does not fail"), None);
        assert_eq!(joined(spawn(&cache, move || row(gate))).expect("no panic"), 2, "evict {gate}");
        GATES[gate].open();
        assert_eq!(joined(old).expect("no panic"), 1, "it began before the evict");
        assert_eq!(cache.scope_sync(|| row(gate)), 2, "evict {gate}");
    }
    assert_eq!(cache.stats().total.refused_fills, 4);
}

/// Upholds G4.
#[test]
fn a_put_and_a_load_that_race_leave_the_current_value_or_nothing() {
    static DATABASE: Mutex<u64> = Mutex::new(1);
    static LOADING: Gate = Gate::new();
    static WRITING: Gate = Gate::new();
    #[cached(key = "", entry = row_entry)]
    fn row() -> u64 {
        let read = *DATABASE.lock().expect("no panic");
        if read == 1 {
            LOADING.pass();
        }
        read
    }
    #[cache_put(entry = row_entry())]
    fn write(value: u64) -> u64 {
        WRITING.pass();
        *DATABASE.lock().expect("no panic") = value;
        value
    }
    let cache = Cache::memory();
    // The load begins within the put and reads the old value; it ends last.
    let put = spawn(&cache, || write(2));
    WRITING.wait_for(1);
    let load = spawn(&cache, row);
    LOADING.wait_for(1);
    WRITING.open();
    assert_eq!(joined(put).expect("no panic"), 2);
    LOADING.open();
    assert_eq!(joined(load).expect("no panic"), 1);
    assert_eq!(cache.scope_sync(row), 2);
}

#[test]
fn many_threads_read_write_and_evict_without_a_stale_value() {
    const ROWS: usize = 8;
    static DATABASE: [AtomicUsize; ROWS] = [const { AtomicUsize::new(0) }; ROWS];
    #[cached(key = "{at}", tags = ["rows"], entry = row_entry)]
    fn row(at: usize) -> usize {
        DATABASE[at].load(Ordering::SeqCst)
    }
    // A small one, so that room is made all the time.
    let cache = Cache::builder().memory().local_capacity(2_000).build().expect("acceptable");
    let threads: Vec<_> = (0..4)
        .map(|number| {
            spawn(&cache, move || {
                for step in 0..3_000_usize {
                    let at = (step * 7 + number) % ROWS;
                    row(at);
                    if number == 0 {
                        let written = DATABASE[at].fetch_add(1, Ordering::SeqCst) + 1;
                        match step % 2 {
                            0 => drop(row_entry(at).evict()),
                            _ => Cache::current().evict().tags(["rows"]).run_sync().expect("a tag is built"),
                        }
                        assert!(row(at) >= written, "a read after the evict");
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        joined(thread).expect("nothing stale");
    }
}
