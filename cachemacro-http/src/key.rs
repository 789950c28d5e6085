//! Which requests are one: the key of a stored response, and the tag of its URL.

use http::request::Parts;
use http::{Uri, header};
use serde::Serialize;

use crate::rules::digest;
use crate::usual::{FORWARDED, Usual};

/// The longest key, in bytes, that is kept readable; a longer one is a hash, so that no two requests can be made to share a key.
const LONGEST_READABLE: usize = 120;

/// Which query parameters belong to the key.
///
/// ```
/// use cachemacro::Cache;
/// use cachemacro_http::{HttpCache, Query};
///
/// let http = HttpCache::new(Cache::memory());
/// let layer = http.cache().query(Query::without(["utm_source", "utm_medium"]));
/// # drop(layer);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// All parameters, sorted by name; parameters of one name keep their order.
    #[default]
    Sorted,
    /// The query as it stands.
    Exact,
    /// The parameters with these names, sorted.
    Only(Vec<String>),
    /// The parameters with other names than these, sorted.
    Without(Vec<String>),
}

impl Query {
    /// The parameters with these names alone: what others say changes nothing in the response.
    ///
    /// ```
    /// use cachemacro_http::Query;
    ///
    /// assert_eq!(Query::only(["page"]), Query::Only(vec!["page".to_owned()]));
    /// ```
    pub fn only<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::Only(names.into_iter().map(Into::into).collect())
    }

    /// All parameters but these, which are to be ones that do not change the response, such as a campaign's.
    ///
    /// ```
    /// use cachemacro_http::Query;
    ///
    /// assert_eq!(Query::without(["utm_source"]), Query::Without(vec!["utm_source".to_owned()]));
    /// ```
    pub fn without<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::Without(names.into_iter().map(Into::into).collect())
    }

    /// The parameters of a query, as they belong to the key.
    fn parameters<'a>(&self, query: &'a str) -> Vec<&'a str> {
        if *self == Self::Exact {
            return vec![query];
        }
        let mut parameters: Vec<&str> = query
            .split('&')
            .filter(|parameter| match self {
                Self::Only(names) => names.iter().any(|name| name == name_of(parameter)),
                Self::Without(names) => names.iter().all(|name| name != name_of(parameter)),
                _ => true,
            })
            .collect();
        parameters.sort_by(|one, other| name_of(one).cmp(name_of(other)));
        parameters
    }
}

fn name_of(parameter: &str) -> &str {
    parameter.split_once('=').map_or(parameter, |(name, _)| name)
}

/// Whether the host belongs to the key.
///
/// ```
/// use cachemacro::Cache;
/// use cachemacro_http::{Host, HttpCache};
///
/// // Requests for other hosts pass: nobody fills the cache with made-up names.
/// let http = HttpCache::new(Cache::memory()).host(Host::allow(["shop.example"]));
/// # drop(http);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Host {
    /// Each host has its own responses.
    #[default]
    Keyed,
    /// All hosts share one response: the handlers do not look at it.
    Ignored,
    /// Each of these hosts has its own responses; requests for other hosts go past the cache.
    Allowed(Vec<String>),
}

impl Host {
    /// Only these hosts, each with its port where that is not the scheme's default.
    ///
    /// ```
    /// use cachemacro_http::Host;
    ///
    /// assert_eq!(Host::allow(["Shop.example"]), Host::Allowed(vec!["shop.example".to_owned()]));
    /// ```
    pub fn allow<S: AsRef<str>>(hosts: impl IntoIterator<Item = S>) -> Self {
        Self::Allowed(hosts.into_iter().map(|host| host.as_ref().to_ascii_lowercase()).collect())
    }

    /// The host's part of the key; `None` where the request is to go past the cache.
    pub(crate) fn of(&self, parts: &Parts) -> Option<String> {
        match self {
            Self::Ignored => Some(String::new()),
            Self::Keyed => Some(host(parts)),
            Self::Allowed(hosts) => named(parts).all(|named| hosts.contains(&named)).then(|| host(parts)),
        }
    }

    /// The hosts whose URL a write may outdate: a handler may look at any that the request names.
    pub(crate) fn written(&self, parts: &Parts) -> Vec<String> {
        if *self == Self::Ignored {
            return vec![String::new()];
        }
        let mut hosts: Vec<String> = named(parts).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    /// What the lines of Host name, where that is not the host of the key alone. HTTP/2 has Host beside `:authority`, and HTTP/1 beside
    /// the host of an absolute URI; handlers look at either, and of several lines at any.
    fn differing(&self, parts: &Parts) -> Vec<String> {
        if *self == Self::Ignored {
            return Vec::new();
        }
        let host = host(parts);
        if fields_of(parts).all(|named| named == host) { Vec::new() } else { fields_of(parts).collect() }
    }
}

/// The host that a request names, in lower case.
pub(crate) fn host(parts: &Parts) -> String {
    let named =
        original_uri(parts).authority().or_else(|| parts.uri.authority()).map(http::uri::Authority::as_str);
    let host =
        named.map(str::as_bytes).or_else(|| parts.headers.get(header::HOST).map(http::HeaderValue::as_bytes));
    text(host.unwrap_or_default()).to_ascii_lowercase()
}

/// What each line of Host names, in lower case.
fn fields_of(parts: &Parts) -> impl Iterator<Item = String> {
    parts.headers.get_all(header::HOST).iter().map(|host| text(host.as_bytes()).to_ascii_lowercase())
}

/// All hosts that a request names: a handler may look at any.
fn named(parts: &Parts) -> impl Iterator<Item = String> {
    fields_of(parts).chain([host(parts)])
}

/// The URI before a router took a prefix off.
pub(crate) fn original_uri(parts: &Parts) -> &Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = parts.extensions.get::<axum::extract::OriginalUri>() {
        return &original.0;
    }
    &parts.uri
}

/// Bytes as text, one character for each byte, so that different bytes give different text.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// What tells requests apart. Two keys are equal only where the requests are, but for the parts that the rules leave out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ResponseKey {
    host: String,
    /// What the lines of Host name where that is something else.
    hosts: Vec<String>,
    path: String,
    query: Option<Vec<String>>,
    /// The name of the form that requests usually have, where it arrived in that. What these have in common is not kept.
    usual: Option<String>,
    /// Line by line.
    forwarded: Vec<(&'static str, String)>,
    /// What the rule's own closure makes of the request, and the values of fields that the rule offers.
    chosen: Vec<(String, Option<String>)>,
    identity: Option<String>,
    scheme: Option<String>,
    /// The slot of a variant.
    slot: Option<u8>,
}

impl ResponseKey {
    /// `None`: the request is to go past the cache, for the host that it names.
    pub(crate) fn new(parts: &Parts, host: &Host, query: &Query, usual: &Usual) -> Option<Self> {
        let uri = original_uri(parts);
        let keyed = host.of(parts)?;
        let is_usual = usual.is_form_of(uri, &parts.headers, &keyed);
        let forwarded = FORWARDED.into_iter().flat_map(|name| {
            let lines = parts.headers.get_all(name).iter();
            lines.map(move |line| (name, text(line.as_bytes())))
        });
        Some(Self {
            host: keyed,
            hosts: host.differing(parts),
            path: uri.path().to_owned(),
            query: uri.query().map(|all| query.parameters(all).into_iter().map(str::to_owned).collect()),
            usual: is_usual.then(|| usual.name()),
            forwarded: if is_usual { Vec::new() } else { forwarded.collect() },
            chosen: Vec::new(),
            identity: None,
            scheme: uri.scheme_str().filter(|_| !is_usual).map(str::to_owned),
            slot: None,
        })
    }

    /// The host that the URL's tags have: none where hosts are ignored.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// This key for one user, whose identity is hashed.
    pub(crate) fn with_identity(mut self, identity: Option<&str>) -> Self {
        self.identity = identity.map(|identity| digest(identity.as_bytes()));
        self
    }

    /// This key with one more part.
    pub(crate) fn with_chosen(mut self, name: &str, value: Option<String>) -> Self {
        self.chosen.push((name.to_owned(), value));
        self
    }

    /// This key for the variant in the slot.
    pub(crate) fn in_slot(&self, slot: Option<u8>) -> Self {
        Self { slot, ..self.clone() }
    }

    /// Whether this is the key of the plain `GET` of its URL. There is one alone: another scheme than the usual, as HTTP/2 has one, other
    /// fields by which a proxy forwards, a differing host, and one that is written otherwise, make others, of which that one knows nothing.
    pub(crate) fn is_plain(&self) -> bool {
        let is_plain_form = self.usual.is_some() && self.hosts.is_empty() && self.host == normal(&self.host);
        let is_whole = self.query.is_none() && self.chosen.is_empty() && self.identity.is_none();
        is_plain_form && is_whole && self.slot.is_none()
    }

    /// The key as text that two requests share only where they are one.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        let mut part = |text: &str| {
            // Each part's length stands before it, so that no part can be read as two or run into the next.
            out.push_str(&text.len().to_string());
            out.push('|');
            out.push_str(text);
        };
        part(&self.host);
        part(&self.hosts.len().to_string());
        self.hosts.iter().for_each(|host| part(host));
        part(&self.path);
        part(&self.query.as_ref().map_or_else(|| "-".to_owned(), |query| query.len().to_string()));
        self.query.iter().flatten().for_each(|parameter| part(parameter));
        part(&self.forwarded.len().to_string());
        for (name, value) in &self.forwarded {
            part(name);
            part(value);
        }
        part(&self.chosen.len().to_string());
        for (name, value) in &self.chosen {
            part(name);
            part(if value.is_some() { "+" } else { "-" });
            part(value.as_deref().unwrap_or_default());
        }
        for option in [&self.usual, &self.identity, &self.scheme] {
            part(if option.is_some() { "+" } else { "-" });
            part(option.as_deref().unwrap_or_default());
        }
        part(&self.slot.map_or_else(|| "-".to_owned(), |slot| slot.to_string()));
        out
    }

    /// The two parts of the cache's key: host and path where they are short enough to be read, and a hash of everything.
    pub(crate) fn parts(&self) -> (String, String) {
        let hash = digest(self.to_text().as_bytes());
        let mut shown = format!("{}{}", self.host, self.path);
        if shown.len() > LONGEST_READABLE {
            let end =
                (0..=LONGEST_READABLE).rev().find(|&end| shown.is_char_boundary(end)).unwrap_or_default();
            shown.truncate(end);
        }
        (shown, hash)
    }
}

/// A digest in hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    digest::digest(bytes).iter().fold(String::with_capacity(32), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The tag that every stored response of a URL carries, whatever its query and variant. An evict of it, from a function too, drops
/// all of them.
///
/// `host` is that of the URI, which HTTP/2 calls `:authority`, or else that of the Host field, with its port; `shop`, `SHOP`, `shop.`,
/// `shop:80` and `shop:443` have one tag. A request that names several hosts has a tag of each. With [`Host::Ignored`] no key has a host, and
/// the tag is `url_tag("", path)`. `path` is that of the request, byte by byte, without the query.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro_http::url_tag;
///
/// let cache = cachemacro::Cache::memory();
/// cache.evict_tags([url_tag("shop.example", "/products/7")]).await?;
/// # Ok(())
/// # }
/// ```
pub fn url_tag(host: &str, path: &str) -> String {
    format!("http-url:{}{path}", normal(host))
}

/// The tag of what is stored of a URL besides the response to its plain `GET`: other queries, variants, users.
pub(crate) fn rest_tag(host: &str, path: &str) -> String {
    format!("http-rest:{}{path}", normal(host))
}

/// The tag of a group that an origin names (RFC 9875). Hosts do not share groups.
pub(crate) fn group_tag(host: &str, group: &str) -> String {
    // It has no slash, so host and group cannot run into each other.
    format!("http-group:{}/{group}", normal(host))
}

/// A host as tags have it, which is the same however it is written: without user, port of either scheme, and dot at its end. What is
/// evicted too many is loaded again. A field may have any bytes; a slash would be the path's.
pub(crate) fn normal(host: &str) -> String {
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = [":443", ":80", ":"].into_iter().find_map(|port| host.strip_suffix(port)).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase().replace('/', "%2f")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::Request;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// What a key is made of, drawn from so few values that keys often are the same but for one part, or run into each other where a
    /// part had no end.
    #[derive(Debug, Clone)]
    struct Asked {
        scheme: Option<&'static str>,
        authority: &'static str,
        path: String,
        query: Option<Vec<String>>,
        fields: Vec<(&'static str, String)>,
        chosen: Vec<(&'static str, Option<&'static str>)>,
        identity: Option<&'static str>,
        slot: Option<u8>,
    }

    fn asked() -> impl Strategy<Value = Asked> {
        let scheme = select(vec![None, Some("http"), Some("https")]);
        let authority = select(vec!["shop", "SHOP", "evil", "shop:80"]);
        let query = option::of(vec("(a|b|aa|)(=|=1|=2||=a|%3D1|=1;b|1)", 0..4));
        // That host more often than the others: usual requests have it.
        let names = select([&["host", "accept", "x-forwarded-host"][..], &FORWARDED].concat());
        let values =
            select(vec!["shop", "SHOP", "evil", "a", "b", "a, b", "1|a", ""]).prop_map(str::to_owned);
        let fields = vec((names, values), 0..4);
        let text = || select(vec![None, Some(""), Some("-"), Some("a"), Some("1|a"), Some("+1|a")]);
        let chosen = vec((select(vec!["key", "accept", "a"]), text()), 0..3);
        let slot = select(vec![None, None, Some(0), Some(1)]);
        (scheme, authority, "/(a|b|/|%2F|;|[?]{0}){0,2}", query, fields, chosen, text(), slot).prop_map(
            |(scheme, authority, path, query, fields, chosen, identity, slot)| Asked {
                scheme,
                authority,
                path,
                query,
                fields,
                chosen,
                identity,
                slot,
            },
        )
    }

    impl Asked {
        fn to_key(&self, usual: &Usual) -> ResponseKey {
            let query = self.query.as_ref().map_or_else(String::new, |query| format!("?{}", query.join("&")));
            // A URI with an authority has a scheme too; without, the host is in a field.
            let (uri, host) = match self.scheme {
                Some(scheme) => (format!("{scheme}://{}{}{query}", self.authority, self.path), None),
                // A path that begins with two slashes is no authority.
                None => (format!("{}{query}", self.path), Some(self.authority)),
            };
            let mut request = Request::get(uri);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            for (name, value) in &self.fields {
                request = request.header(*name, value);
            }
            let parts = request.body(()).unwrap().into_parts().0;
            let mut key = ResponseKey::new(&parts, &Host::Keyed, &Query::Sorted, usual).unwrap();
            for (name, value) in &self.chosen {
                key = key.with_chosen(name, value.map(str::to_owned));
            }
            key.with_identity(self.identity).in_slot(self.slot)
        }

        /// All that is kept of it, as it is.
        fn kept(&self) -> impl PartialEq + use<> {
            let host = self.authority.to_ascii_lowercase();
            let lines = |named: &str| {
                let lines = self.fields.iter().filter(|(name, _)| *name == named);
                lines.map(|(_, value)| value.clone()).collect::<Vec<_>>()
            };
            let hosts: Vec<String> = lines("host").iter().map(|host| host.to_ascii_lowercase()).collect();
            // Parameters of one name keep their order, and nothing else is lost.
            let query = self.query.as_ref().map(|query| {
                let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
                // None at all is one without a name.
                let joined = query.join("&");
                for parameter in joined.split('&') {
                    let name = parameter.split('=').next().unwrap().to_owned();
                    named.entry(name).or_default().push(parameter.to_owned());
                }
                named
            });
            (
                (self.scheme, hosts.iter().any(|named| *named != host).then_some(hosts), host),
                (self.path.clone(), query),
                FORWARDED.map(lines),
                (self.chosen.clone(), self.identity, self.slot),
            )
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn keys_are_the_same_only_where_all_that_is_kept_is(
            one in asked(), other in asked(), part in 0..13_u8, scheme in option::of(select(vec!["http", "https"])), host in option::of(select(vec!["shop", "{host}", ""])),
        ) {
            // What is usual is kept by its form, and by nothing else.
            let mut usual = Usual::default();
            if let Some(scheme) = scheme {
                usual.set_scheme(scheme);
            }
            if let Some(host) = host {
                usual.add_field("x-forwarded-host", host);
            }
            // The other, and the same but for one part: that of the other, or its own with two pieces made one, or in another order.
            let mut near = one.clone();
            match part {
                0 => near.scheme = other.scheme,
                1 => near.authority = other.authority,
                2 => near.path.clone_from(&other.path),
                3 => near.query.clone_from(&other.query),
                4 => near.fields.clone_from(&other.fields),
                5 => near.chosen.clone_from(&other.chosen),
                6 => near.identity = other.identity,
                7 => near.slot = other.slot,
                8 if near.fields.len() > 1 => {
                    let (_, last) = near.fields.pop().unwrap();
                    let line = &mut near.fields.last_mut().unwrap().1;
                    *line = format!("{line}, {last}");
                }
                9 => near.fields.reverse(),
                10 => near.query.iter_mut().for_each(|query| query.reverse()),
                11 => near.query.iter_mut().for_each(|query| *query = vec![query.concat()]),
                _ => near.chosen.reverse(),
            }
            for other in [&other, &near] {
                let (first, second) = (one.to_key(&usual), other.to_key(&usual));
                prop_assert_eq!(first.to_text() == second.to_text(), one.kept() == other.kept(), "{:?}", other);
                prop_assert_eq!(first.parts() == second.parts(), one.kept() == other.kept());
            }
        }
    }

    fn key(uri: &str, headers: &[(&str, &str)]) -> ResponseKey {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        ResponseKey::new(&parts, &Host::Keyed, &Query::Sorted, &Usual::default()).unwrap()
    }

    #[test]
    fn only_the_order_of_differently_named_parameters_is_lost() {
        let of = |uri: &str| key(uri, &[]).to_text();
        assert_eq!(of("/a?x=1&y=2"), of("/a?y=2&x=1"));
        assert_eq!(of("/a?x=1&y=2&x=3"), of("/a?y=2&x=1&x=3"));
        for (one, other) in [
            ("/a?x=1&x=2", "/a?x=2&x=1"),
            ("/a", "/a?"),
            ("/a?x", "/a?x="),
            ("/a?x=1&y=2", "/a?x=1%26y=2"),
            ("/a/", "/a"),
            ("//a", "/a"),
            ("/%2Fa", "//a"),
            ("/a;b", "/a"),
            ("/a%2fb", "/a%2Fb"),
            ("/a?&", "/a?"),
        ] {
            assert_ne!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn what_frameworks_build_links_from_is_part_of_the_key() {
        let plain = key("/a", &[("host", "shop")]).to_text();
        for name in FORWARDED {
            let forged = key("/a", &[("host", "shop"), (name, "evil")]).to_text();
            assert_ne!(plain, forged, "{name}");
        }
        assert_ne!(plain, key("/a", &[("host", "other")]).to_text());
        assert_eq!(plain, key("/a", &[("host", "SHOP"), ("accept", "x")]).to_text());
    }

    #[test]
    fn a_host_has_one_tag_however_it_is_written() {
        for host in ["shop", "SHOP", "shop.", "shop:80", "shop:443", "Shop.:443", "u@shop", "shop:"] {
            assert_eq!(url_tag(host, "/a"), "http-url:shop/a", "{host}");
            let plain = key("/a", &[("host", host)]).is_plain();
            assert_eq!(plain, ["shop", "SHOP"].contains(&host), "{host}");
        }
        for host in ["shop:8080", "[::1]", "[::1]:8080", "shop:4430", "www.shop", ""] {
            assert_eq!(url_tag(host, "/a"), format!("http-url:{host}/a"));
            assert!(key("/a", &[("host", host)]).is_plain(), "{host}");
        }
        assert_ne!(group_tag("shop/a", "b"), group_tag("shop", "a/b"));
        assert_ne!(url_tag("shop/a", "/b"), url_tag("shop", "/a/b"));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let base = key("/a", &[]);
        let one = base.clone().with_chosen("n", Some("1".to_owned())).with_chosen("m", None);
        let other = base.clone().with_chosen("n", Some("11|m".to_owned()));
        assert_ne!(one.to_text(), other.to_text());
        assert_ne!(base.to_text(), base.clone().with_identity(Some("")).to_text());
        assert_ne!(
            base.clone().with_identity(Some("a")).to_text(),
            base.clone().with_identity(Some("b")).to_text()
        );
        assert_ne!(base.to_text(), base.in_slot(Some(0)).to_text());
        assert!(!format!("{:?}", base.with_identity(Some("secret"))).contains("secret"));
    }

    #[test]
    fn rules_choose_parameters() {
        let of = |query: &Query, text| query.parameters(text).join("&");
        assert_eq!(of(&Query::only(["page", "q"]), "utm=1&q=tea&page=2"), "page=2&q=tea");
        assert_eq!(of(&Query::without(["utm"]), "utm=1&q=tea&page=2"), "page=2&q=tea");
        assert_eq!(of(&Query::Exact, "b=1&a=2"), "b=1&a=2");
    }

    #[test]
    fn a_long_key_is_as_long_as_any_other() {
        let (shown, hash) = key(&format!("/{}", "ä".repeat(300)), &[]).parts();
        assert!(shown.len() <= LONGEST_READABLE && hash.len() == 32);
        assert_ne!(hash, key(&format!("/{}", "ä".repeat(301)), &[]).parts().1);
    }

    #[test]
    fn hosts_that_are_not_allowed_pass() {
        let parts = Request::get("/a").header("host", "Shop.example").body(()).unwrap().into_parts().0;
        assert_eq!(Host::allow(["SHOP.example"]).of(&parts).as_deref(), Some("shop.example"));
        assert_eq!(Host::allow(["other"]).of(&parts), None);
        assert_eq!(Host::Ignored.of(&parts).as_deref(), Some(""));
    }
}
