//! How large a share may be that was seen so often among so many.

/// The upper end of the interval of Clopper and Pearson ("The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26,
/// 1934): the share at which no more than `seen` of `all` come up with a chance of `risk`.
pub(super) fn upper(seen: u64, all: u64, risk: f64) -> f64 {
    if seen >= all {
        return 1.0;
    }
    #[allow(clippy::cast_precision_loss, reason = "far below 2⁵³")]
    let (seen, all) = (seen as f64, all as f64);
    let ways = ways(seen, all);
    let (mut low, mut high) = (seen / all, 1.0_f64);
    // Each step halves what is left; so many reach the precision of the type.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if no_more_than(seen, all, ways, middle) > risk { low = middle } else { high = middle }
    }
    high
}

/// The logarithm of the number of ways to draw `seen` of `all`.
fn ways(seen: f64, all: f64) -> f64 {
    let (mut sum, mut drawn) = (0.0, 0.0);
    while drawn < seen {
        sum += ((all - drawn) / (drawn + 1.0)).ln();
        drawn += 1.0;
    }
    sum
}

/// The chance that of `all` no more than `seen` come up, where each does with the chance `share`, which is above that of those seen.
fn no_more_than(seen: f64, all: f64, ways: f64, share: f64) -> f64 {
    if share >= 1.0 {
        return 0.0;
    }
    // Of exactly so many; as a logarithm, because it may be too small for a number.
    let exactly = ways + seen * share.ln() + (all - seen) * (-share).ln_1p();
    // Fewer are less likely, each by this ratio.
    let (mut sum, mut part, mut drawn) = (1.0, 1.0, seen);
    while drawn > 0.0 && part > 1e-18 {
        part *= drawn / (all - drawn + 1.0) * (1.0 - share) / share;
        sum += part;
        drawn -= 1.0;
    }
    (exactly + f64::ln(sum)).exp()
}

#[cfg(test)]
mod tests {
    use super::upper;

    fn is(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
    }

    #[test]
    fn it_is_what_tables_and_other_programs_say() {
        // scipy.stats.beta.ppf(0.975, seen + 1, all - seen)
        is(upper(0, 100, 0.025), 0.036_216_693);
        is(upper(1, 100, 0.025), 0.054_459_385);
        is(upper(10, 100, 0.025), 0.176_222_598);
        is(upper(5, 10, 0.025), 0.812_913_920);
        is(upper(100, 100, 0.025), 1.0);
        is(upper(0, 0, 0.025), 1.0);
    }

    #[test]
    fn large_samples_neither_overflow_nor_vanish() {
        let found = upper(1_000, 1_000_000, 0.025);
        assert!((0.001_06..0.001_07).contains(&found), "{found}");
        assert!(upper(999_999, 1_000_000, 0.025) > 0.999_9);
    }
}
