//! How much the tests do that draw at random or go on for a while.
//!
//! As few rounds as find a mistake in most runs, so that everything takes minutes; with `CACHEMACRO_TEST_LONG=1`, as
//! `./scripts/test --long` sets it, many times as many. A failure names the seed or the round that repeats it.

/// So many times as much in a long run.
const MORE: u64 = 20;

/// Whether this is a long run.
pub fn is_long() -> bool {
    std::env::var_os("CACHEMACRO_TEST_LONG").is_some_and(|value| value != "0" && !value.is_empty())
}

/// How many rounds to go: `usual`, and 20 times as many in a long run.
pub fn rounds(usual: u64) -> u64 {
    if is_long() { MORE * usual } else { usual }
}
