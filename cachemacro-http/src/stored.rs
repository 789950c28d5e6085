//! A response as it is stored, and the headers that it is sent with.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use cachemacro::LentBytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::rules::digest::Digest;
use crate::rules::reusable::Terms;
use crate::rules::vary;

/// A header section as it is stored, name by name in the order in which it came. On a hit the values are slices of the bytes that were
/// read.
type Section = Vec<(String, LentBytes)>;

fn section(headers: &HeaderMap) -> Section {
    let lines = headers.iter();
    lines
        .map(|(name, value)| (name.as_str().to_owned(), LentBytes(Bytes::copy_from_slice(value.as_bytes()))))
        .collect()
}

/// The section as headers; `None` where the bytes are no headers.
fn headers(section: Section) -> Option<HeaderMap> {
    // Some are added to each answer.
    let mut headers = HeaderMap::try_with_capacity(section.len().saturating_add(5)).ok()?;
    for (name, value) in section {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.try_append(name, HeaderValue::from_maybe_shared(value.0).ok()?).ok()?;
    }
    Some(headers)
}

/// What a response says about its reuse, as it is stored. Times are in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredTerms {
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
    /// The response says that those with Authorization may, and nothing of those with cookies.
    SaidOfAuthorization,
}

/// A response in the form in which it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Stored")]
struct Form {
    status: u16,
    headers: Section,
    /// On a hit a slice of the bytes that were read, not a copy.
    body: LentBytes,
    trailers: Section,
    /// A digest of the value of a field that Vary names, in the request that the response answered; `None`: it had none.
    selecting: Vec<(String, Option<Digest>)>,
    terms: StoredTerms,
    initial_age: u64,
    shared: Shared,
}

/// A stored response, ready to answer. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub(crate) struct Stored(Arc<Parts>);

/// What is in a stored response.
#[derive(Clone)]
pub(crate) struct Parts {
    /// `None`: what was stored is no response.
    head: Option<(StatusCode, HeaderMap)>,
    body: Bytes,
    trailers: Option<HeaderMap>,
    selecting: Vec<(HeaderName, Option<Digest>)>,
    terms: Terms,
    /// How old it was when it was stored, in milliseconds.
    pub(crate) initial_age: u64,
    pub(crate) shared: Shared,
    shown: Shown,
}

/// The header section of the last answer, which is that of the next one too as long as this is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShownFor {
    /// The layer that answers.
    pub(crate) layer: u64,
    /// Its age in seconds, and how many are left.
    pub(crate) age: u64,
    pub(crate) left: i64,
}

#[derive(Default)]
struct Shown(RwLock<Option<(ShownFor, HeaderMap)>>);

impl Clone for Shown {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Deref for Stored {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        let Self { head, body, trailers, selecting, terms, initial_age, shared, shown: _ } = self;
        (head, body, trailers) == (&other.head, &other.body, &other.trailers)
            && (selecting, terms, initial_age, shared)
                == (&other.selecting, &other.terms, &other.initial_age, &other.shared)
    }
}

impl Eq for Parts {}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("head", &self.head)
            .field("body", &self.body.len())
            .field("selecting", &self.selecting)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

impl From<Form> for Stored {
    fn from(form: Form) -> Self {
        let Form { status, headers: section, body, trailers, selecting, terms, initial_age, shared } = form;
        let trailers = if trailers.is_empty() { Some(None) } else { headers(trailers).map(Some) };
        let field = |(name, value): (String, Option<Digest>)| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        };
        let selecting: Option<Vec<_>> = selecting.into_iter().map(field).collect();
        let head = StatusCode::from_u16(status).ok().zip(headers(section));
        // Where one part is none of a response, none is looked at.
        let head = head.filter(|_| trailers.is_some() && selecting.is_some());
        Self(Arc::new(Parts {
            head,
            body: body.0,
            trailers: trailers.flatten(),
            selecting: selecting.unwrap_or_default(),
            terms: terms.into(),
            initial_age,
            shared,
            shown: Shown::default(),
        }))
    }
}

impl From<Stored> for Form {
    fn from(stored: Stored) -> Self {
        let field = |(name, value): &(HeaderName, Option<Digest>)| (name.as_str().to_owned(), *value);
        let head = stored.head.as_ref();
        Self {
            status: head.map_or(0, |(status, _)| status.as_u16()),
            headers: head.map(|(_, headers)| section(headers)).unwrap_or_default(),
            body: LentBytes(stored.body.clone()),
            trailers: stored.trailers.as_ref().map(section).unwrap_or_default(),
            selecting: stored.selecting.iter().map(field).collect(),
            terms: stored.terms.into(),
            initial_age: stored.initial_age,
            shared: stored.shared,
        }
    }
}

/// What a response is stored with besides its own bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub(crate) selecting: Vec<(HeaderName, Option<Digest>)>,
    pub(crate) terms: Terms,
    pub(crate) initial_age: u64,
    pub(crate) shared: Shared,
}

impl Stored {
    pub(crate) fn new(
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
        trailers: &HeaderMap,
        about: &About,
    ) -> Self {
        Self(Arc::new(Parts {
            head: Some((status, headers)),
            body,
            trailers: Some(trailers).filter(|trailers| !trailers.is_empty()).cloned(),
            selecting: about.selecting.clone(),
            terms: about.terms,
            initial_age: about.initial_age,
            shared: about.shared,
            shown: Shown::default(),
        }))
    }

    /// How many bytes it has in the form in which it is stored, by postcard: numbers and lengths in seven bits a byte.
    pub(crate) fn weight(&self) -> usize {
        let number = |number: u64| (64 - number.leading_zeros()).div_ceil(7).max(1) as usize;
        let bytes = |length: usize| number(length as u64) + length;
        let section = |headers: &HeaderMap| {
            let lines = headers.iter().map(|(name, value)| bytes(name.as_str().len()) + bytes(value.len()));
            number(headers.len() as u64) + lines.sum::<usize>()
        };
        let Terms { lifetime, while_revalidate, if_error, .. } = self.terms;
        let selecting = self.selecting.iter().map(|(name, value)| {
            bytes(name.as_str().len()) + 1 + value.as_ref().map_or(0, |digest| digest.len())
        });
        self.head().map_or(2, |(status, headers)| number(status.as_u16().into()) + section(headers))
            + bytes(self.body.len())
            + self.trailers.as_ref().map_or(1, section)
            + number(self.selecting.len() as u64)
            + selecting.sum::<usize>()
            + number(lifetime)
            + number(while_revalidate)
            + number(if_error)
            + number(self.initial_age)
            // Two flags, and whether it is shared.
            + 3
    }

    /// The same response with other headers.
    pub(crate) fn with_headers(&self, headers: HeaderMap) -> Self {
        let head = self.head.as_ref().map(|(status, _)| (*status, headers));
        Self(Arc::new(Parts { head, ..Parts::clone(self) }))
    }
}

impl Parts {
    /// Status and headers; `None` where the stored bytes are neither.
    pub(crate) fn head(&self) -> Option<(StatusCode, &HeaderMap)> {
        self.head.as_ref().map(|(status, headers)| (*status, headers))
    }

    pub(crate) const fn body(&self) -> &Bytes {
        &self.body
    }

    pub(crate) const fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    pub(crate) const fn terms(&self) -> Terms {
        self.terms
    }

    /// Whether it answers requests like this one, going by its Vary (RFC 9111, 4.1). What is no response answers none.
    pub(crate) fn selects(&self, request: &HeaderMap) -> bool {
        self.head.is_some()
            && self.selecting.iter().all(|(name, value)| vary::digest(request, name) == *value)
    }

    /// The fields by which it was selected.
    pub(crate) fn varies_by(&self) -> Vec<HeaderName> {
        self.selecting.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The header section that is sent with it: that of the last answer, where that was sent for the same, else what `make` makes.
    pub(crate) fn shown(&self, sent_for: ShownFor, make: impl FnOnce() -> HeaderMap) -> HeaderMap {
        let last = self.shown.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, headers)) = &*last
            && *of == sent_for
        {
            return headers.clone();
        }
        drop(last);
        let headers = make();
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Some((sent_for, headers.clone()));
        headers
    }
}

#[cfg(test)]
mod tests {
    use cachemacro::codec::{Codec as _, Postcard};
    use proptest::prelude::*;

    use super::*;
    use crate::rules::tests::headers;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_response_weighs_as_much_as_it_has_bytes(
            status in 100_u16..1_000,
            lines in proptest::collection::vec(("[a-c]{1,3}", "[ -~]{0,300}"), 0..5),
            body in 0_usize..70_000,
            trailer in proptest::option::of("[ -~]{0,200}"),
            selecting in proptest::collection::vec(("[a-c]{1,3}", proptest::option::of(any::<[u8; 16]>())), 0..4),
            times: [u64; 4],
            few in 0_u32..64,
        ) {
            let name = |name: &str| HeaderName::from_bytes(name.as_bytes()).unwrap();
            let value = |text: &str| HeaderValue::from_str(text).unwrap();
            let mut sent = HeaderMap::new();
            for (field, text) in &lines {
                sent.append(name(field), value(text));
            }
            let trailers: HeaderMap = trailer.iter().map(|text| (name("t"), value(text))).collect();
            let [lifetime, while_revalidate, if_error, initial_age] = times.map(|time| time >> few);
            let about = About {
                selecting: selecting
                    .iter()
                    .map(|(field, digest)| (name(field), *digest))
                    .collect(),
                terms: Terms { lifetime, while_revalidate, if_error, no_cache: few > 3, strict: few > 9 },
                initial_age,
                shared: Shared::SaidOfAuthorization,
            };
            let status = StatusCode::from_u16(status).unwrap();
            let stored = Stored::new(status, sent, vec![0; body].into(), &trailers, &about);
            let mut bytes = Vec::new();
            Postcard::encode(&stored, &mut bytes).unwrap();
            prop_assert_eq!(stored.weight(), bytes.len());
        }
    }

    #[test]
    fn what_is_stored_comes_back() {
        let sent = headers(&[("a", "1"), ("set-cookie", "x"), ("a", "2"), ("b", "\u{e9}")]);
        let about = About {
            selecting: vec![
                (
                    HeaderName::from_static("foo"),
                    vary::digest(&headers(&[("foo", "1")]), &"foo".parse().unwrap()),
                ),
                (HeaderName::from_static("bar"), None),
            ],
            ..About::default()
        };
        let stored =
            Stored::new(StatusCode::OK, sent.clone(), Bytes::from("text"), &headers(&[("t", "3")]), &about);
        let stored = {
            let mut bytes = Vec::new();
            Postcard::encode(&stored, &mut bytes).unwrap();
            assert_eq!(stored.weight(), bytes.len());
            let again: Stored = Postcard::decode(&bytes).unwrap();
            assert_eq!(again, stored);
            again
        };
        assert_eq!(stored.head(), Some((StatusCode::OK, &sent)));
        assert_eq!(stored.trailers(), Some(&headers(&[("t", "3")])));
        assert!(stored.selects(&headers(&[("foo", " 1 "), ("other", "2")])));
        assert!(!stored.selects(&headers(&[("foo", "1"), ("bar", "")])));
        assert!(!stored.selects(&headers(&[])));
        assert_eq!(stored.varies_by(), ["foo", "bar"]);
    }

    #[test]
    fn foreign_bytes_are_no_response() {
        let fits = || {
            Form::from(Stored::new(
                StatusCode::OK,
                HeaderMap::new(),
                Bytes::new(),
                &HeaderMap::new(),
                &About::default(),
            ))
        };
        assert!(Stored::from(fits()).head().is_some());
        let line = |name: &str, value: &'static str| vec![(name.to_owned(), LentBytes(Bytes::from(value)))];
        let many = || (0..40_000).flat_map(|name| line(&name.to_string(), "")).collect::<Section>();
        for foreign in [
            Form { status: 7, ..fits() },
            Form { headers: line("a b", ""), ..fits() },
            Form { headers: line("a", "x\ny"), ..fits() },
            Form { headers: many(), ..fits() },
            Form { trailers: line("a b", ""), ..fits() },
            Form { selecting: vec![("a b".to_owned(), None)], ..fits() },
        ] {
            let stored = Stored::from(foreign);
            assert!(stored.head().is_none() && !stored.selects(&HeaderMap::new()));
        }
    }

    #[test]
    fn what_is_shown_is_made_anew_for_another_age_and_for_another_layer() {
        let stored =
            Stored::new(StatusCode::OK, HeaderMap::new(), Bytes::new(), &HeaderMap::new(), &About::default());
        let shown = |layer, age, left| {
            let mut made = false;
            let headers = stored.shown(ShownFor { layer, age, left }, || {
                made = true;
                headers(&[("age", &age.to_string()), ("layer", &layer.to_string())])
            });
            assert!(headers["age"] == age.to_string() && headers["layer"] == layer.to_string());
            made
        };
        assert!(shown(1, 0, 60));
        assert!(!shown(1, 0, 60));
        assert!(shown(1, 0, 59) && shown(1, 1, 59) && shown(2, 1, 59) && shown(1, 1, 59));
    }
}
