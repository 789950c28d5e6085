//! Asks what counts allocations. `compare` runs it.

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

fn main() {
    cachemacro_benches::questions::counted_by(ALLOCATOR);
    let args: Vec<String> = std::env::args().skip(1).collect();
    cachemacro_benches::run::ask(&args);
}
