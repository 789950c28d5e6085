//! Any bytes as a stored response: none, or one whose head, trailers and variant can be asked for.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../cachemacro-http/src/rules/mod.rs"]
mod rules;

#[allow(dead_code, unreachable_pub)]
#[path = "../../cachemacro-http/src/stored.rs"]
mod stored;

extern crate cachemacro_runtime as cachemacro;

use cachemacro_runtime::codec::{Codec as _, Postcard};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use stored::Stored;

fuzz_target!(|bytes: &[u8]| {
    let Ok(stored) = Postcard::decode::<Stored>(bytes) else { return };
    let _ = (stored.head(), stored.trailers(), stored.selects(&HeaderMap::new()), stored.varies_by());
    let terms = stored.terms();
    let age = stored.initial_age.saturating_add(1);
    rules::reusable::reuse(&terms, age, &rules::reusable::Demand::default());
    rules::reusable::stands_in(&terms, age, 1_000);
    let mut again = Vec::new();
    Postcard::encode(&stored, &mut again).expect("it was read");
    assert_eq!(stored.weight(), again.len());
    assert!(Postcard::decode::<Stored>(&again).is_ok_and(|same| same == stored));
});
