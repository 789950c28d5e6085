//! A response as it is stored, and the headers that it is sent with.

use bytes::Bytes;
use cachemacro::LentBytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::rules::reusable::Terms;
use crate::rules::vary;

/// A header section, name by name in the order in which it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Section(Vec<(String, Bytes)>);

impl Section {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.iter();
        Self(
            lines
                .map(|(name, value)| (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes())))
                .collect(),
        )
    }

    /// The section as headers; `None` where the bytes are no headers.
    pub(crate) fn to_headers(&self) -> Option<HeaderMap> {
        let mut headers = HeaderMap::with_capacity(self.0.len() + 4);
        for (name, value) in &self.0 {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_maybe_shared(value.clone()).ok()?);
        }
        Some(headers)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a response says about its reuse, as it is stored. Times are in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredTerms {
    lifetime: u64,
    no_cache: bool,
    strict: bool,
    while_revalidate: u64,
    if_error: u64,
}

impl From<Terms> for StoredTerms {
    fn from(terms: Terms) -> Self {
        let Terms { lifetime, no_cache, strict, while_revalidate, if_error } = terms;
        Self { lifetime, no_cache, strict, while_revalidate, if_error }
    }
}

impl From<StoredTerms> for Terms {
    fn from(terms: StoredTerms) -> Self {
        let StoredTerms { lifetime, no_cache, strict, while_revalidate, if_error } = terms;
        Self { lifetime, no_cache, strict, while_revalidate, if_error }
    }
}

/// Whether users with credentials may have a response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Shared {
    /// The response does not say.
    #[default]
    Unsaid,
    /// The response says that they may.
    Said,
    /// They get responses of their own: its Cache-Control comes from a rule of paths, which shares nothing.
    ByPath,
}

/// The value of a field that Vary names, in the request that the response answered; `None`: it had none.
type Selecting = (String, Option<Bytes>);

/// A stored response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    status: u16,
    headers: Section,
    /// On a hit a slice of the bytes that were read, not a copy.
    body: LentBytes,
    trailers: Section,
    selecting: Vec<Selecting>,
    terms: StoredTerms,
    /// How old it was when it was stored, in milliseconds.
    pub(crate) initial_age: u64,
    pub(crate) shared: Shared,
}

/// What a response is stored with besides its own bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub(crate) selecting: Vec<(HeaderName, Option<Vec<u8>>)>,
    pub(crate) terms: Terms,
    pub(crate) initial_age: u64,
    pub(crate) shared: Shared,
}

impl Stored {
    pub(crate) fn new(
        status: StatusCode,
        headers: &HeaderMap,
        body: Bytes,
        trailers: &HeaderMap,
        about: &About,
    ) -> Self {
        let selecting = about.selecting.iter();
        Self {
            status: status.as_u16(),
            headers: Section::of(headers),
            body: LentBytes(body),
            trailers: Section::of(trailers),
            selecting: selecting
                .map(|(name, value)| (name.as_str().to_owned(), value.clone().map(Bytes::from)))
                .collect(),
            terms: about.terms.into(),
            initial_age: about.initial_age,
            shared: about.shared,
        }
    }

    /// The same response with other headers.
    pub(crate) fn with_headers(mut self, headers: &HeaderMap) -> Self {
        self.headers = Section::of(headers);
        self
    }

    /// Status and headers; `None` where the stored bytes are neither.
    pub(crate) fn head(&self) -> Option<(StatusCode, HeaderMap)> {
        Some((StatusCode::from_u16(self.status).ok()?, self.headers.to_headers()?))
    }

    pub(crate) const fn body(&self) -> &Bytes {
        &self.body.0
    }

    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        if self.trailers.is_empty() { None } else { self.trailers.to_headers() }
    }

    pub(crate) fn terms(&self) -> Terms {
        self.terms.into()
    }

    /// Whether it answers requests like this one, going by its Vary (RFC 9111, 4.1).
    pub(crate) fn selects(&self, request: &HeaderMap) -> bool {
        self.selecting.iter().all(|(name, value)| {
            HeaderName::from_bytes(name.as_bytes())
                .is_ok_and(|name| vary::selecting(request, &name).as_deref() == value.as_deref())
        })
    }

    /// The fields by which it was selected.
    pub(crate) fn varies_by(&self) -> Vec<HeaderName> {
        self.selecting.iter().filter_map(|(name, _)| HeaderName::from_bytes(name.as_bytes()).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::headers;

    #[test]
    fn what_is_stored_comes_back() {
        let sent = headers(&[("a", "1"), ("set-cookie", "x"), ("a", "2"), ("b", "\u{e9}")]);
        let about = About {
            selecting: vec![
                (HeaderName::from_static("foo"), Some(b"1".to_vec())),
                (HeaderName::from_static("bar"), None),
            ],
            ..About::default()
        };
        let stored = Stored::new(StatusCode::OK, &sent, Bytes::from("text"), &HeaderMap::new(), &about);
        assert_eq!(stored.head(), Some((StatusCode::OK, sent)));
        assert_eq!(stored.trailers(), None);
        assert!(stored.selects(&headers(&[("foo", " 1 "), ("other", "2")])));
        assert!(!stored.selects(&headers(&[("foo", "1"), ("bar", "")])));
        assert!(!stored.selects(&headers(&[])));
        assert_eq!(stored.varies_by(), ["foo", "bar"]);
    }

    #[test]
    fn foreign_bytes_are_no_response() {
        let mut stored = Stored::new(
            StatusCode::OK,
            &HeaderMap::new(),
            Bytes::new(),
            &HeaderMap::new(),
            &About::default(),
        );
        stored.status = 7;
        assert_eq!(stored.head(), None);
        stored.status = 200;
        stored.headers = Section(vec![("a b".to_owned(), Bytes::new())]);
        assert_eq!(stored.head(), None);
        stored.headers = Section(vec![("a".to_owned(), Bytes::from("x\ny"))]);
        assert_eq!(stored.head(), None);
    }
}
