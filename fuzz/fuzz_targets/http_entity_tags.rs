//! Any bytes as entity tags and dates of conditional requests: no panic, and a stored tag that stands in the list is found.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../cachemacro-http/src/rules/mod.rs"]
mod rules;

use http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;
use rules::{conditional, date, revalidate};

const NOW: u64 = 1_750_000_000;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (Ok(asked), Ok(stored)) = (HeaderValue::from_bytes(input.0), HeaderValue::from_bytes(input.1)) else {
        return;
    };
    let mut request = HeaderMap::from_iter([(IF_NONE_MATCH, asked.clone()), (IF_RANGE, asked.clone())]);
    let response = HeaderMap::from_iter([(ETAG, stored.clone()), (LAST_MODIFIED, stored)]);
    conditional::is_not_modified(StatusCode::OK, &request, &response, || NOW);
    conditional::is_same_for_range(&request, &response, || NOW);
    let dates = HeaderMap::from_iter([(IF_MODIFIED_SINCE, asked)]);
    conditional::is_not_modified(StatusCode::OK, &dates, &response, || NOW);
    if let Some(seconds) = date::parse(input.0, NOW) {
        assert_eq!(date::parse(date::format(seconds).as_bytes(), NOW), Some(seconds));
    }
    request.insert(IF_NONE_MATCH, HeaderValue::from_static("W/\"x\", \"tag\""));
    let tagged = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("W/\"tag\""))]);
    assert!(conditional::is_not_modified(StatusCode::OK, &request, &tagged, || NOW));
    revalidate::ask_about(&mut request, &response);
});
