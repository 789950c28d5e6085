//! Which slot of a cluster a key is in.

/// How many slots a cluster has.
pub(super) const SLOTS: u16 = 16_384;

/// The slot of a key: of what stands in its first braces, if anything does.
pub(crate) fn slot(key: &[u8]) -> u16 {
    let position = |bytes: &[u8], wanted: u8| bytes.iter().position(|byte| *byte == wanted);
    let tag = position(key, b'{').and_then(|open| {
        let behind = &key[open + 1..];
        position(behind, b'}').filter(|length| *length > 0).map(|length| &behind[..length])
    });
    crc16::State::<crc16::XMODEM>::calculate(tag.unwrap_or(key)) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_slots_where_servers_look_for_them() {
        // As `CLUSTER KEYSLOT` tells.
        for (key, expected) in [
            ("", 0),
            ("123456789", 12739),
            ("foo", 12182),
            ("foo{}{bar}", 8363),
            ("foo{{bar}}zap", 4015),
            ("foo{bar}{zap}", 5061),
            ("bar", 5061),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
        assert_eq!(slot(b"{shop:tag:07}:0123"), slot(b"{shop:tag:07}"));
        assert_eq!(slot(b"{shop:user:7}:r:00"), slot(b"shop:user:7"));
    }
}
