//! Any bytes as Vary and as the field that it names: no panic, normal forms are their own normal form, and what is chosen was offered.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../cachemacro-http/src/rules/mod.rs"]
mod rules;

use http::header::{ACCEPT_LANGUAGE, HeaderName, VARY};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use rules::vary;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (Ok(varies), Ok(value)) = (HeaderValue::from_bytes(input.0), HeaderValue::from_bytes(input.1)) else { return };
    let response = HeaderMap::from_iter([(VARY, varies)]);
    let fields = ["accept-encoding", "accept-language", "user-agent"].map(HeaderName::from_static);
    for name in vary::names(&response).unwrap_or_default().into_iter().chain(fields) {
        let request = HeaderMap::from_iter([(name.clone(), value.clone())]);
        let selecting = vary::selecting(&request, &name).expect("it is there");
        if let Ok(again) = HeaderValue::from_bytes(&selecting) {
            let request = HeaderMap::from_iter([(name.clone(), again)]);
            // The order of languages says which is wanted more, and is lost with the weights.
            if name != ACCEPT_LANGUAGE {
                assert_eq!(vary::selecting(&request, &name), Some(selecting));
            }
        }
        let offered = ["en".to_owned(), "de".to_owned()];
        vary::preferred(&request, &name, &offered);
    }
});
