//! What a request is known by while its response is at hand: all of it that the answer depends on, uninterpreted.
//!
//! Whatever the slow way, `admission` and `seek`, makes of a request is a function of its [`Known`], so what answered one answers the next one
//! that is known by the same. What the slow way goes by and that is not in there, such as a range, bars a request from being known.

use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};

use crate::admission::Seen;
use crate::handle::CacheHandle;
use crate::judged::Judged;
use crate::key::{digest, original_uri};
use crate::route::CacheLayer;
use crate::rules::fields::MOST_SECTION_BYTES;
use crate::rules::vary;
use crate::stats::path_of;
use crate::template::PathParams;

/// How many bytes most requests are known by.
const USUAL: usize = 256;

/// All of a request that its answer from the cache depends on, as bytes that differ where that does.
#[derive(Debug, Clone)]
pub(crate) struct Known(Vec<u8>);

impl Known {
    /// What the request is known by; `None`: it goes the slow way.
    pub(crate) fn of(layer: &CacheLayer, parts: &Parts, has_body: bool, judged: &mut Judged) -> Option<Self> {
        // Beside a server nothing is held ready without a word of the route's or the cache's.
        if !layer.holds_ready() {
            return None;
        }
        let rule = &layer.rule;
        // A layer around this one has a load of the URL under way.
        if parts.method != Method::GET || has_body || parts.extensions.get::<CacheHandle>().is_some() {
            return None;
        }
        let mut known = Self(Vec::with_capacity(USUAL));
        known.0.extend_from_slice(&rule.id().to_le_bytes());
        let seen = Seen::each(&parts.headers, |name, value| {
            known.part(name.as_str().as_bytes());
            known.part(value);
        });
        known.end();
        // Each of them: another field of `Seen` is not to be forgotten here.
        let Seen { bytes, upgrade, overridden, precondition, range, directives, authorization, cookie } =
            seen;
        let is_barred = upgrade || overridden || precondition || range || directives;
        if is_barred || bytes > MOST_SECTION_BYTES {
            return None;
        }
        let of_users = !rule.public && rule.identity.is_none();
        if of_users && (authorization || cookie) && layer.http.has_credentials(parts)
            || of_users && authorization && rule.origin.is_some()
            || !judged.is_let_in(rule, parts)
        {
            return None;
        }
        let uri = original_uri(parts);
        let authority = |uri: &http::Uri| uri.authority().map(|authority| authority.as_str().to_owned());
        known.option(uri.scheme_str().map(str::as_bytes));
        // A router takes a prefix off a path, and leaves the rest as it is.
        known.option(authority(uri).or_else(|| authority(&parts.uri)).as_deref().map(str::as_bytes));
        known.part(uri.path().as_bytes());
        known.option(uri.query().map(str::as_bytes));
        // By it, and by the path, the parameters of the path are known.
        known.option(path_of(parts).map(str::as_bytes));
        for (name, value) in parts.extensions.get::<PathParams>().into_iter().flat_map(PathParams::iter) {
            known.part(name.as_bytes());
            known.part(value.as_bytes());
        }
        known.end();
        if rule.identity.is_some() {
            // Not as it is: nothing shows who somebody is.
            known.part(digest(judged.identity(rule, parts)?.as_bytes()).as_bytes());
        }
        if let Some(key) = judged.key(rule, parts) {
            known.part(key.as_bytes());
        }
        for (name, offered) in &rule.vary {
            if offered.is_empty() {
                known.selecting(name, &parts.headers);
            } else if vary::names_too_many(&parts.headers, name) {
                // Each is compared with each, and such a request passes.
                return None;
            } else {
                known.option(vary::preferred(&parts.headers, name, offered).map(str::as_bytes));
            }
        }
        Some(known)
    }

    /// What it is known by among requests that are told apart by these fields.
    pub(crate) fn varied(&self, names: &[HeaderName], request: &HeaderMap) -> Self {
        let mut known = self.clone();
        for name in names {
            known.part(name.as_str().as_bytes());
            known.selecting(name, request);
        }
        known
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn selecting(&mut self, name: &HeaderName, request: &HeaderMap) {
        self.option(vary::selecting(request, name).as_deref());
    }

    /// Its length stands before each part, so that none runs into the next.
    fn part(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    /// Ends parts of which there may be any number. No part is as long as that.
    fn end(&mut self) {
        self.0.extend_from_slice(&[u8::MAX - 1; 8]);
    }

    fn option(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.part(bytes),
            // No part is as long as that.
            None => self.0.extend_from_slice(&[u8::MAX; 8]),
        }
    }
}

#[cfg(test)]
mod tests {
    use cachemacro::Cache;
    use http::Request;
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::*;
    use crate::admission::{Admission, admit};
    use crate::http_cache::HttpCache;
    use crate::key::{Host, Query};
    use crate::rules::reusable::Demand;
    use crate::usual::FORWARDED;

    const FIELDS: [(&str, &str); 24] = [
        ("host", "shop"),
        ("host", "SHOP"),
        ("host", "other"),
        ("x-forwarded-host", "shop"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "shop"),
        ("x-rewrite-url", "/b"),
        ("upgrade", "websocket"),
        ("x-http-method-override", "DELETE"),
        ("if-match", "\"a\""),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("range", "bytes=0-1"),
        ("cache-control", "max-age=0"),
        ("pragma", "no-cache"),
        ("authorization", "a"),
        ("authorization", "b"),
        ("cookie", "sid=a"),
        ("cookie", "theme=dark"),
        ("accept-language", "en"),
        ("accept-language", "de, en"),
        ("accept", "text/html"),
        ("if-none-match", "\"a\""),
        ("user-agent", "a"),
        ("x-user", "a"),
    ];

    fn request() -> impl Strategy<Value = (Parts, bool)> {
        let uri = select(vec![
            "/a",
            "/a/",
            "/b",
            "/a?x=1&y=2",
            "/a?y=2&x=1",
            "/a?x=1",
            "http://shop/a",
            "https://shop/a",
            "http://other/a",
        ]);
        let method = select(vec!["GET", "GET", "GET", "GET", "GET", "HEAD", "POST"]);
        let parameters = select(vec![None, None, Some("7"), Some("8")]);
        let fields = prop_oneof![subsequence(FIELDS.to_vec(), 0..=2), subsequence(FIELDS.to_vec(), 0..=5),];
        (method, uri, fields, parameters, 0..20_u8).prop_map(|(method, uri, fields, parameters, odd)| {
            let mut request = Request::builder().method(method).uri(uri);
            for (name, value) in fields {
                request = request.header(name, value);
            }
            let mut parts = request.body(()).unwrap().into_parts().0;
            if let Some(id) = parameters {
                parts.extensions.insert(PathParams::from_iter([("id", id)]));
            }
            if odd == 0 {
                parts.extensions.insert(CacheHandle::default());
            }
            (parts, odd == 1)
        })
    }

    fn layers() -> Vec<CacheLayer> {
        let http = HttpCache::new(Cache::memory()).session_cookies(["sid"]);
        let user = |parts: &Parts| Some(parts.headers.get("authorization")?.to_str().ok()?.to_owned());
        vec![
            http.cache().tags(["tea:{id}"]),
            http.cache().public().vary(["accept-language"]),
            http.cache().vary_among("accept-language", ["en", "de"]).query(Query::only(["x"])),
            http.cache().private(user).condition(|parts| !parts.headers.contains_key("x-user")),
            http.cache().key(|parts| format!("{:?}", parts.headers.get("accept"))),
            http.clone().host(Host::allow(["shop"])).rules([("/b", "public")]).cache(),
            http.clone().usual_scheme("http").usual_fields([("x-forwarded-host", "{host}")]).cache(),
            http.gateway(),
            http.gateway().public(),
        ]
    }

    /// What the slow way makes of a request, where it looks for a response.
    fn looked(layer: &CacheLayer, (parts, has_body): &(Parts, bool)) -> Option<(String, Vec<String>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut parts = parts.clone();
        match runtime.block_on(admit(layer, &mut parts, *has_body, &mut Judged::default())) {
            Admission::Look(asked) => {
                // Nothing but its age decides whether a response answers.
                assert!(!asked.credentials.are_there() && !asked.of_user && !asked.reads_only);
                assert_eq!(asked.demand, Demand::default());
                Some((asked.key.to_text(), asked.tags))
            }
            _ => None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn what_two_requests_are_known_by_alike_is_stored_under_one_key_and_the_same_tags(one in request(), other in request()) {
            for layer in layers() {
                let known = |(parts, has_body): &(Parts, bool)| {
                    Known::of(&layer, parts, *has_body, &mut Judged::default()).map(|known| known.0)
                };
                if let Some(known_by) = known(&one) {
                    let is_looked_for = looked(&layer, &one);
                    if known(&other).as_ref() == Some(&known_by) {
                        prop_assert_eq!(looked(&layer, &other), is_looked_for);
                    }
                }
            }
        }
    }

    #[test]
    fn beside_a_server_a_request_is_known_where_something_is_held_ready() {
        let request = Request::get("/a").body(()).unwrap().into_parts().0;
        let is_known = |cache: cachemacro::CacheBuilder, change: fn(CacheLayer) -> CacheLayer| {
            let layer = change(HttpCache::new(cache.build().unwrap()).cache());
            Known::of(&layer, &request, false, &mut Judged::default()).is_some()
        };
        // Nothing is connected before it is asked.
        let server = || Cache::builder().redis("redis://127.0.0.1:1").namespace("shop");
        let minute = std::time::Duration::from_secs(60);
        assert!(!is_known(server(), |layer| layer));
        assert!(is_known(server(), |layer| layer.local("1m")));
        assert!(is_known(server().local(minute), |layer| layer));
        assert!(!is_known(server().local(minute), |layer| layer.local("0s")));
        assert!(is_known(Cache::builder().memory(), |layer| layer));
    }

    #[test]
    fn more_members_than_are_understood_are_not_looked_at() {
        let layer = HttpCache::new(Cache::memory()).cache().vary_among("accept-language", ["en", "de"]);
        let is_known = |members: usize| {
            let languages = (0..members).map(|at| format!("x{at}")).collect::<Vec<_>>().join(",");
            let request = Request::get("/a").header("accept-language", languages).body(()).unwrap();
            let request = request.into_parts().0;
            Known::of(&layer, &request, false, &mut Judged::default()).is_some()
        };
        assert!(is_known(64) && !is_known(65));
    }

    #[test]
    fn what_tells_keys_apart_tells_apart_what_requests_are_known_by() {
        let layer = HttpCache::new(Cache::memory()).cache();
        let known = |fields: &[(&str, &str)]| {
            let mut request = Request::get("/a");
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let parts = request.body(()).unwrap().into_parts().0;
            Known::of(&layer, &parts, false, &mut Judged::default()).map(|known| known.0).unwrap()
        };
        for name in FORWARDED {
            assert_ne!(known(&[(name, "a")]), known(&[]));
            assert_ne!(known(&[(name, "a")]), known(&[(name, "b")]));
            for other in FORWARDED.iter().filter(|other| **other != name) {
                assert_ne!(known(&[(name, "a")]), known(&[(other, "a")]));
            }
        }
        let at = |uri: &str| {
            let parts = Request::get(uri).body(()).unwrap().into_parts().0;
            Known::of(&layer, &parts, false, &mut Judged::default()).map(|known| known.0).unwrap()
        };
        assert_ne!(at("http://shop/a"), at("http://other/a"));
        // None runs into the next.
        assert_ne!(known(&[("host", "aforwardedb")]), known(&[("host", "a"), ("forwarded", "b")]));
        assert_ne!(known(&[("host", "a"), ("forwarded", "b")]), known(&[("host", "b"), ("forwarded", "a")]));
        assert_eq!(known(&[("host", "a"), ("accept", "b")]), known(&[("host", "a")]));
    }
}
