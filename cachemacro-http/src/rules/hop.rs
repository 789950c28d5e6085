//! Fields that belong to one connection and are neither stored nor forwarded (RFC 9110, 7.6.1; RFC 9111, 3.1).

use http::HeaderMap;
use http::header::{
    CONNECTION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use crate::rules::fields::members;

/// `TE: trailers` speaks of one connection, as the others do.
const NAMES: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authentication-info"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes them, and what Connection names.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> =
        members(headers, &CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    for name in NAMES.iter().chain(&named) {
        headers.remove(name);
    }
    headers.remove(TRAILER);
}

/// Whether a field belongs to one connection, going by its name.
pub(crate) fn is_of_connection(name: &HeaderName) -> bool {
    NAMES.contains(name) || *name == TRAILER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_names_goes_too() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "a, B"),
            ("connection", "close"),
            ("a", "1"),
            ("b", "2"),
            ("c", "3"),
            ("upgrade", "x"),
            ("keep-alive", "5"),
            ("trailer", "c"),
        ] {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        strip(&mut headers);
        assert!(headers.keys().eq(["c"]));
    }
}
