//! Any bytes as Cache-Control, and as directives for one cache: no panic, and whatever stands beside it, `no-store` is seen.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../cachemacro-http/src/rules/mod.rs"]
mod rules;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;
use rules::cache_control::CacheControl;
use rules::{freshness, reusable, storable, targeted};

fuzz_target!(|lines: Vec<&[u8]>| {
    let mut headers = HeaderMap::new();
    for line in lines {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(CACHE_CONTROL, value);
        }
    }
    let says = CacheControl::of(&headers);
    let lifetime = freshness::lifetime(StatusCode::OK, &headers, &says, 1_750_000_000);
    assert!(lifetime.seconds() <= 1 << 31);
    reusable::reuse(&reusable::Terms::default(), u64::MAX, &reusable::Demand::of(&headers));
    targeted::directives(&headers, &CACHE_CONTROL);
    headers.append(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let says = CacheControl::of(&headers);
    let here = storable::Circumstances { identified: true, keeps_cookies: true, ..Default::default() };
    let refusal = storable::by_origin(StatusCode::OK, &headers, &says, lifetime, here);
    assert!(says.no_store && (refusal.is_some() || says.must_understand));
});
