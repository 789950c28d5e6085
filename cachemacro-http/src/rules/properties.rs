//! What holds of the rules whatever the bytes of a header.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::rules::cache_control::CacheControl;
use crate::rules::reusable::{Demand, Terms, reuse};
use crate::rules::storable::{Circumstances, Credentials, Refusal, by_origin};
use crate::rules::{conditional, date, freshness, range, revalidate, vary};

const NAMES: [&str; 16] = [
    "cache-control",
    "vary",
    "age",
    "date",
    "expires",
    "last-modified",
    "etag",
    "if-none-match",
    "if-modified-since",
    "if-range",
    "range",
    "accept-language",
    "accept-encoding",
    "pragma",
    "connection",
    "set-cookie",
];

/// Values that look like headers, and any bytes that a header may have.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("max-age=".to_owned()),
        Just("no-store".to_owned()),
        Just(", ".to_owned()),
        Just("\"".to_owned()),
        Just("*".to_owned()),
        Just("bytes=".to_owned()),
        Just("-".to_owned()),
        Just("W/".to_owned()),
        Just(";q=".to_owned()),
        Just("GMT".to_owned()),
        "[0-9]{1,25}",
        "[a-z]{1,5}",
        Just("\\".to_owned()),
    ];
    prop_oneof![
        vec(word, 0..8).prop_map(|words| words.concat().into_bytes()),
        vec(prop_oneof![Just(b'\t'), 32_u8..=126, 128_u8..=255], 0..40),
    ]
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    vec((0..NAMES.len(), value()), 0..12).prop_map(|fields| {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(NAMES[name]), HeaderValue::from_bytes(&value).unwrap());
        }
        headers
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(mut request in headers(), mut response in headers(), status in 100_u16..1000, now in 0_u64..4_000_000_000) {
        let status = StatusCode::from_u16(status).unwrap();
        let says = CacheControl::of(&response);
        let lifetime = freshness::lifetime(status, &response, &says, now);
        freshness::initial_age(&response, now, 0);
        by_origin(status, &response, &says, lifetime, Circumstances::default());
        conditional::is_not_modified(StatusCode::OK, &request, &response, || now);
        conditional::is_same_for_range(&request, &response, || now);
        for name in NAMES {
            crate::rules::targeted::directives(&response, &HeaderName::from_static(name));
        }
        for name in vary::names(&response).unwrap_or_default() {
            vary::selecting(&request, &name);
            vary::preferred(&request, &name, &["en".to_owned(), "de".to_owned()]);
        }
        for (_, value) in &request {
            range::part(value.as_bytes(), 10);
            date::parse(value.as_bytes(), now);
        }
        reuse(&Terms::default(), u64::MAX, &Demand::of(&request));
        revalidate::ask_about(&mut request, &response);
        let newer = response.clone();
        revalidate::update(&mut response, &newer);
        crate::rules::hop::strip(&mut response);
    }

    #[test]
    fn no_store_is_never_stored(mut response in headers(), identified: bool, by: u8, keeps_cookies: bool, declared_public: bool) {
        response.append("cache-control", HeaderValue::from_static("no-store"));
        let says = CacheControl::of(&response);
        // A quotation that is open at the end of a line ends with it.
        prop_assert!(says.no_store);
        let credentials = [Credentials::None, Credentials::Authorization, Credentials::Cookie][usize::from(by % 3)];
        let here = Circumstances { credentials, identified, declared_public, keeps_cookies };
        let lifetime = freshness::lifetime(StatusCode::OK, &response, &says, 1_750_000_000);
        let refusal = by_origin(StatusCode::OK, &response, &says, lifetime, here);
        prop_assert!(refusal.is_some() || says.must_understand);
        if !says.must_understand {
            prop_assert_eq!(refusal, Some(Refusal::NoStore));
        }
    }

    #[test]
    fn what_is_older_is_not_fresh_again(lifetime in 0_u64..100_000, age in 0_u64..200_000, later in 0_u64..200_000, request in headers()) {
        let (terms, demand) = (Terms { lifetime, ..Terms::default() }, Demand::of(&request));
        if reuse(&terms, age + later, &demand).serves() {
            prop_assert!(reuse(&terms, age, &demand).serves());
        }
    }

    #[test]
    fn a_part_lies_within_the_body(range in value(), length in 0_usize..100) {
        if let range::Part::From(start, end) = range::part(&range, length) {
            prop_assert!(start < end && end <= length);
        }
    }
}
