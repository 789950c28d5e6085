//! The form in which requests usually arrive: the fields that a proxy in front sets in each, and HTTP/2's scheme.

use http::{HeaderMap, HeaderValue, Uri};

/// Header fields that are part of the key where a request has them. Frameworks and handlers build links and routes from them, so a
/// client that sets them could otherwise poison the responses that others get.
pub(crate) const FORWARDED: [&str; 6] = [
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-prefix",
    "forwarded",
    "x-original-url",
    "x-rewrite-url",
];

/// What all usual requests have of what makes links. A request that has just that is the plain one of its URL.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usual {
    /// In lower case.
    scheme: Option<String>,
    fields: Vec<(&'static str, Value)>,
}

#[derive(Debug, Clone)]
enum Value {
    Exactly(HeaderValue),
    /// That of the key.
    Host,
}

impl Value {
    fn is(&self, line: &HeaderValue, host: &str) -> bool {
        match self {
            Self::Exactly(value) => value == line,
            // To the byte: what is left out of the key is known by the host.
            Self::Host => line.as_bytes() == host.as_bytes(),
        }
    }
}

impl Usual {
    #[track_caller]
    pub(crate) fn set_scheme(&mut self, scheme: &str) {
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = Uri::builder().scheme(&*scheme).authority("host").path_and_query("/").build().is_ok();
        assert!(is_scheme, "{scheme:?} is no scheme");
        self.scheme = Some(scheme);
    }

    #[track_caller]
    pub(crate) fn add_field(&mut self, name: &str, value: &str) {
        let named = FORWARDED.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        let Some(name) = named else {
            panic!("{name:?} is not part of the key of a response: only {FORWARDED:?} are");
        };
        assert!(self.fields.iter().all(|(known, _)| *known != name), "{name} is given twice");
        let value = if value == "{host}" {
            Value::Host
        } else {
            assert!(!value.contains(['{', '}']), "{value:?}: `{{host}}` stands for a whole value");
            let Ok(value) = HeaderValue::from_str(value) else { panic!("{value:?} is no value of a field") };
            Value::Exactly(value)
        };
        self.fields.push((name, value));
        self.fields.sort_unstable_by_key(|(name, _)| *name);
    }

    /// What tells this form from others, in a key; none where requests are bare.
    pub(crate) fn name(&self) -> String {
        if self.scheme.is_none() && self.fields.is_empty() { String::new() } else { format!("{self:?}") }
    }

    /// Whether a request has just these fields, each in one line, and this scheme. `host`: that of its key.
    pub(crate) fn is_form_of(&self, uri: &Uri, headers: &HeaderMap, host: &str) -> bool {
        let scheme = uri.scheme_str().map(str::to_ascii_lowercase);
        scheme == self.scheme
            && FORWARDED.iter().all(|name| {
                let mut lines = headers.get_all(*name).iter();
                match self.fields.iter().find(|(known, _)| known == name) {
                    None => lines.next().is_none(),
                    Some((_, value)) => {
                        lines.next().is_some_and(|line| value.is(line, host)) && lines.next().is_none()
                    }
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn is_usual(usual: &Usual, uri: &str, fields: &[(&str, &str)], host: &str) -> bool {
        let mut request = Request::get(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        usual.is_form_of(request.uri(), request.headers(), host)
    }

    #[test]
    fn nothing_less_nothing_more_and_nothing_else_is_usual() {
        let bare = Usual::default();
        assert!(is_usual(&bare, "/a", &[("host", "shop")], "shop"));
        assert!(!is_usual(&bare, "http://shop/a", &[], "shop"));
        assert!(!is_usual(&bare, "/a", &[("forwarded", "")], "shop"));

        let mut usual = Usual::default();
        usual.set_scheme("HTTPS");
        usual.add_field("X-Forwarded-Proto", "https");
        usual.add_field("x-forwarded-host", "{host}");
        let (proto, host) = (("x-forwarded-proto", "https"), ("x-forwarded-host", "shop"));
        let of = |uri: &str, fields: &[(&str, &str)]| is_usual(&usual, uri, fields, "shop");
        assert!(of("https://shop/a", &[proto, host, ("accept", "*/*")]));
        for (uri, fields) in [
            ("/a", &[proto, host][..]),
            ("http://shop/a", &[proto, host]),
            ("https://shop/a", &[proto]),
            ("https://shop/a", &[proto, host, host]),
            ("https://shop/a", &[proto, host, ("forwarded", "")]),
            ("https://shop/a", &[("x-forwarded-proto", "HTTPS"), host]),
            ("https://shop/a", &[("x-forwarded-proto", "https, http"), host]),
            ("https://shop/a", &[proto, ("x-forwarded-host", "evil")]),
            ("https://shop/a", &[proto, ("x-forwarded-host", "Shop")]),
        ] {
            assert!(!of(uri, fields), "{uri} {fields:?}");
        }
        // Where hosts are ignored, the key has none.
        assert!(!is_usual(&usual, "https://shop/a", &[proto, host], ""));
    }

    #[test]
    #[should_panic(expected = "\"x-forwarded-for\" is not part of the key")]
    fn only_fields_of_the_key_are_usual() {
        Usual::default().add_field("x-forwarded-for", "10.0.0.1");
    }

    #[test]
    #[should_panic(expected = "forwarded is given twice")]
    fn a_field_is_given_once() {
        let mut usual = Usual::default();
        usual.add_field("forwarded", "proto=https");
        usual.add_field("Forwarded", "proto=http");
    }

    #[test]
    #[should_panic(expected = "`{host}` stands for a whole value")]
    fn a_host_is_a_whole_value() {
        Usual::default().add_field("forwarded", "host={host};proto=https");
    }

    #[test]
    fn forms_have_names_of_their_own() {
        let (mut one, mut other) = (Usual::default(), Usual::default());
        assert_eq!(one.name(), "");
        one.add_field("forwarded", "a");
        one.add_field("x-original-url", "{host}");
        other.add_field("x-original-url", "{host}");
        assert_ne!(one.name(), other.name());
        other.add_field("forwarded", "a");
        assert_eq!(one.name(), other.name(), "whatever their order");
        other.set_scheme("https");
        assert_ne!(one.name(), other.name());
    }

    #[test]
    #[should_panic(expected = "\"no scheme\" is no scheme")]
    fn a_scheme_is_one() {
        Usual::default().set_scheme("no scheme");
    }
}
