//! Whether a response may be stored by a shared cache, and if not, why (3).

use http::header::{CONTENT_RANGE, SET_COOKIE, VARY};
use http::{HeaderMap, StatusCode};

use crate::rules::cache_control::CacheControl;
use crate::rules::fields::members;
use crate::rules::freshness::{Lifetime, is_heuristic};

/// Why a response is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `no-store`: 5.2.2.5.
    NoStore,
    /// `private`, without an identity in the key: 5.2.2.7.
    Private,
    /// The request had credentials, and the response does not allow it: 3.5.
    Credentials,
    /// It sets a cookie.
    SetCookie,
    /// `Vary: *`: 4.1.
    VariesByAnything,
    /// A status that is not stored by itself.
    Status,
    /// A part of a whole.
    Partial,
    /// The route's rules, or the handler, say so.
    Rule,
    /// It depends on too much, or on what is not known.
    Inherited,
    /// Neither a lifetime nor a validator would let it be used.
    Useless,
}

impl Refusal {
    /// The word of Cache-Status' `detail`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Credentials => "credentials",
            Self::SetCookie => "set-cookie",
            Self::VariesByAnything => "vary",
            Self::Status => "status",
            Self::Partial => "partial",
            Self::Rule => "rule",
            Self::Inherited => "inherited",
            Self::Useless => "no-lifetime",
        }
    }
}

/// By what a request tells whose it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Credentials {
    #[default]
    None,
    /// By Authorization, of which 3.5 says when what it got may be shared.
    Authorization,
    /// By a cookie, beside Authorization or not. The pages of sessions say `must-revalidate` too, so that shares nothing with it.
    Cookie,
}

impl Credentials {
    /// Whether it tells at all.
    pub(crate) const fn are_there(self) -> bool {
        !matches!(self, Self::None)
    }
}

/// What the storing side knows besides the response.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Circumstances {
    /// The credentials of a user that the request had.
    pub(crate) credentials: Credentials,
    /// Who the user is, is part of the key: a `private` response is theirs.
    pub(crate) identified: bool,
    /// The route was declared public: credentials do not matter.
    pub(crate) declared_public: bool,
    /// Responses that set cookies are stored, as RFC 9111 lets a cache.
    pub(crate) keeps_cookies: bool,
}

/// What no shared cache stores, whatever its own rules.
pub(crate) fn forbidden(
    status: StatusCode,
    headers: &HeaderMap,
    says: &CacheControl,
    here: Circumstances,
) -> Option<Refusal> {
    if status == StatusCode::PARTIAL_CONTENT {
        return Some(Refusal::Partial);
    }
    if status.is_informational() || status == StatusCode::NOT_MODIFIED {
        return Some(Refusal::Status);
    }
    // 5.2.2.3: `must-understand` takes `no-store` back for a status whose rules are known here.
    if says.must_understand && !is_understood(status) {
        return Some(Refusal::Status);
    }
    if says.no_store && !says.must_understand {
        return Some(Refusal::NoStore);
    }
    if says.private && !here.identified {
        return Some(Refusal::Private);
    }
    if !here.identified && !here.declared_public && !is_shared_with(here.credentials, says) {
        return Some(Refusal::Credentials);
    }
    if headers.contains_key(SET_COOKIE) && !here.keeps_cookies {
        return Some(Refusal::SetCookie);
    }
    members(headers, &VARY).any(|name| name == b"*").then_some(Refusal::VariesByAnything)
}

/// Whether the response says that it is the same for users with these credentials (3.5); without credentials nothing need be said.
pub(crate) const fn is_shared_with(credentials: Credentials, says: &CacheControl) -> bool {
    match credentials {
        Credentials::None => true,
        Credentials::Authorization => says.public || says.s_maxage.is_some() || says.must_revalidate,
        Credentials::Cookie => says.public || says.s_maxage.is_some(),
    }
}

/// Whether the origin lets a shared cache store the response, by its own words.
pub(crate) fn by_origin(
    status: StatusCode,
    headers: &HeaderMap,
    says: &CacheControl,
    lifetime: Lifetime,
    here: Circumstances,
) -> Option<Refusal> {
    if let Some(refusal) = forbidden(status, headers, says, here) {
        return Some(refusal);
    }
    if headers.contains_key(CONTENT_RANGE) && status == StatusCode::RANGE_NOT_SATISFIABLE {
        return Some(Refusal::Partial);
    }
    (!lifetime.is_explicit() && !says.public && !is_heuristic(status)).then_some(Refusal::Status)
}

/// The status codes whose rules for caches are known here.
fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 300 | 301 | 302 | 303 | 307 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn refused(status: u16, fields: &[(&'static str, &str)], here: Circumstances) -> Option<Refusal> {
        let headers: HeaderMap = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let says = CacheControl::of(&headers);
        let status = StatusCode::from_u16(status).unwrap();
        let lifetime = crate::rules::freshness::lifetime(status, &headers, &says, 1_750_000_000);
        by_origin(status, &headers, &says, lifetime, here)
    }

    #[test]
    fn what_the_origin_says() {
        use Refusal::{NoStore, Partial, Private, SetCookie, Status, VariesByAnything};
        let cc = |text: &'static str| vec![("cache-control", text)];
        for (status, fields, expected) in [
            (200, cc("max-age=60"), None),
            (200, vec![], None), // 3: cacheable by its status, once it has been validated
            (200, cc("no-store, max-age=60"), Some(NoStore)), // 5.2.2.5
            (200, cc("private, max-age=60"), Some(Private)), // 5.2.2.7
            (200, cc("private=\"x-user\", max-age=60"), None),
            (200, cc("no-store, must-understand, max-age=60"), None), // 5.2.2.3
            (599, cc("no-store, must-understand, max-age=60"), Some(Status)),
            (599, cc("max-age=60"), None), // 3: an explicit lifetime
            (599, cc("public"), None),
            (599, vec![], Some(Status)),
            (201, vec![], Some(Status)),
            (206, cc("max-age=60"), Some(Partial)),
            (304, cc("max-age=60"), Some(Status)),
            (200, vec![("vary", "*"), ("cache-control", "max-age=60")], Some(VariesByAnything)), // 4.1
            (200, vec![("vary", "foo, *")], Some(VariesByAnything)),
            (200, vec![("set-cookie", "a=b"), ("cache-control", "max-age=60")], Some(SetCookie)), // 7.3
        ] {
            assert_eq!(refused(status, &fields, Circumstances::default()), expected, "{status} {fields:?}");
        }
    }

    #[test]
    fn credentials_need_the_response_s_word() {
        let user = Circumstances { credentials: Credentials::Authorization, ..Circumstances::default() };
        let session = Circumstances { credentials: Credentials::Cookie, ..user };
        for (says, by_authorization, by_cookie) in [
            ("max-age=60", false, false),
            ("max-age=60, public", true, true),
            ("s-maxage=60", true, true),
            ("max-age=60, must-revalidate", true, false),
            ("max-age=60, must-revalidate, public", true, true),
            ("max-age=60, proxy-revalidate", false, false),
        ] {
            for (here, allowed) in [(user, by_authorization), (session, by_cookie)] {
                let refusal = refused(200, &[("cache-control", says)], here);
                assert_eq!(refusal, (!allowed).then_some(Refusal::Credentials), "3.5: {says}");
            }
        }
        let known = Circumstances { identified: true, ..user };
        assert_eq!(refused(200, &[("cache-control", "private, max-age=60")], known), None);
        let declared = Circumstances { declared_public: true, ..user };
        assert_eq!(refused(200, &[("cache-control", "max-age=60")], declared), None);
        assert_eq!(refused(200, &[("cache-control", "private")], declared), Some(Refusal::Private));
    }
}
