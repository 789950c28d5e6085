//! Keys beside an entry's.

/// A key in the same slot of a cluster as the entry of this one, told from others of its kind by a number.
pub(crate) fn companion(key: &str, kind: char, number: u64) -> String {
    // Keys of entries have no braces, unless a store is used by hand.
    if key.contains('{') {
        format!("{key}:{kind}:{number:016x}")
    } else {
        format!("{{{key}}}:{kind}:{number:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_key_is_in_the_slot_of_the_first() {
        assert_eq!(companion("shop:user:7", 'r', 0xAB), "{shop:user:7}:r:00000000000000ab");
        assert_eq!(companion("{shop}:user:7", 'r', 0xAB), "{shop}:user:7:r:00000000000000ab");
    }
}
