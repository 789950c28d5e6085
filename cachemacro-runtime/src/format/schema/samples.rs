//! What the tracer offers to types: one sample after the other, until the type takes it.
//!
//! Which text a type takes is part of its fingerprint (it tells a date from a name), so samples are only ever added
//! at the end of their list: a new one in front would change fingerprints.

/// Texts: free text first, then the formats that values in caches have.
pub(super) const TEXTS: &[&str] = &[
    "1",
    "a",
    "",
    "67e55044-10b1-426f-9247-bb680e5fe0c8",
    "2024-02-03T04:05:06Z",
    "2024-02-03T04:05:06",
    "2024-02-03",
    "04:05:06",
    "2024-02-03T04:05:06+00:00[UTC]",
    "2024-02-03 04:05:06",
    "2024-02-03 04:05:06.0 +00:00:00",
    "2024-02",
    "+00:00",
    "UTC",
    "Etc/UTC",
    "Mon",
    "Jan",
    "P1D",
    "PT1S",
    "1s",
    "https://example.com/",
    "127.0.0.1",
    "::1",
    "127.0.0.1:80",
    "[::1]:80",
    "10.0.0.0/8",
    "2001:db8::/32",
    "a@example.com",
    "example.com",
    "1.0.0",
    "^1.0",
    "1.5",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "507f1f77bcf86cd799439011",
    "00000000000000000000000000000000",
    "0000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "00:00:00:00:00:00",
    "AAAA",
    "AA==",
    "00",
    "0x1",
    "0x0000000000000000000000000000000000000000",
    "#000000",
    "en",
    "en-US",
    "US",
    "USA",
    "USD",
    "EUR",
    "+14155552671",
    "GET",
    "text/plain",
    "/",
    "true",
    "A",
    "Aa",
    "aaaaaaaa",
    "info",
    "INFO",
];

/// Byte strings, by length; filled with ones, because some types refuse zeros.
pub(super) const BYTES: &[&[u8]] = &[
    &[1; 16], b"", &[1; 1], &[1; 4], &[1; 6], &[1; 8], &[1; 12], &[1; 20], &[1; 24], &[1; 32], &[1; 33],
    &[1; 48], &[1; 64], &[1; 65],
];

/// Numbers that every integer type can hold; one first, because some types refuse zero.
pub(super) const SMALL: &[u8] = &[1, 0, 2, 3, 5, 7, 10, 12, 20, 31, 50, 64, 80, 99, 100, 127];

/// Floating-point numbers.
pub(super) const FLOATS: &[f32] = &[1.0, 0.0, 0.5, 2.0, 10.0, 50.0, 100.0, 1000.0];

/// Lengths of sequences.
pub(super) const LENGTHS: &[usize] = &[1, 2, 3, 4, 6, 8, 12, 16, 0];

/// Lengths of maps.
pub(super) const ENTRIES: &[usize] = &[1, 0];

/// Characters.
pub(super) const CHARS: &[char] = &['a', 'A', '1', '+', '-', ' '];

/// What types that take "any" value are offered.
pub(super) const ANY: &[Any] =
    &[Any::Number, Any::Text, Any::Bool, Any::Unit, Any::Map, Any::Seq, Any::Float, Any::Some];

/// See [`ANY`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Any {
    Number,
    Text,
    Bool,
    Unit,
    Map,
    Seq,
    Float,
    Some,
}

/// How many samples there are for a primitive.
pub(super) fn count(leaf: &str) -> usize {
    match leaf {
        "str" | "identifier" => TEXTS.len(),
        "bytes" => BYTES.len(),
        "char" => CHARS.len(),
        "f32" | "f64" => FLOATS.len(),
        "bool" => 2,
        "any" => ANY.len(),
        "unit" | "ignored" | "json" | "json number" => 1,
        _ => SMALL.len(),
    }
}

/// What the sample that a type took tells of it: a date from a name, an identifier from a picture.
pub(super) fn meaning(leaf: &str, sample: usize) -> &'static str {
    const LENGTHS: &[&str] = &["16", "0", "1", "4", "6", "8", "12", "20", "24", "32", "33", "48", "64", "65"];
    let meanings = match leaf {
        "str" | "identifier" => TEXTS,
        "bytes" => LENGTHS,
        _ => &[],
    };
    meanings.get(sample).copied().unwrap_or_default()
}
