//! Any bytes as an entry: split or refused, and what was split can be put together again.
#![no_main]

use cachemacro_runtime::header::{DECIMAL, Header, MAX_STAMPS, PENDING, Parts, Stamp, assemble, read_stamps};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    assert!(read_stamps(bytes).count() <= bytes.len() / 16);
    if let Ok(header) = Header::parse(bytes) {
        assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
    }
    if let Ok(parts) = Parts::parse(bytes) {
        let stamps: Vec<Stamp> = parts.stamps().collect();
        if stamps.len() <= MAX_STAMPS {
            let again = assemble(parts.header, &stamps, parts.payload);
            let parsed = Parts::parse(&again).expect("just assembled");
            assert_eq!(parsed.payload, parts.payload);
            // Neither a pending entry nor a decimal one is held to its checksum.
            if !parts.header.has(PENDING) && parts.header.codec != DECIMAL {
                assert_eq!(parsed.header, parts.header);
            }
        }
    }

    // A checksum is hard to guess, so try the same bytes as stamps and payload of an intact entry too.
    let stamps: Vec<Stamp> = read_stamps(bytes).take(3).collect();
    let entry = assemble(Header::new().with_codec(1), &stamps, bytes);
    let parts = Parts::parse(&entry).expect("just assembled");
    assert_eq!((parts.stamps().collect::<Vec<_>>(), parts.payload), (stamps, bytes));
});
