//! Tags with path parameters in them: `product:{id}`.

use std::fmt;

use cachemacro::Key;
use http::request::Parts;

/// A tag as a rule names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Parameter(String),
}

/// The parameters of a path, where no router of axum told them: an extension of the request.
///
/// ```
/// use cachemacro_http::PathParams;
///
/// let mut request = http::Request::get("/products/7").body(())?;
/// request.extensions_mut().insert(PathParams::from_iter([("id", "7")]));
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathParams(Vec<(String, String)>);

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for PathParams {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(parameters: I) -> Self {
        Self(parameters.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl PathParams {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(named, _)| named == name).map(|(_, value)| value.as_str())
    }
}

impl Template {
    /// Reads a template. `{{` and `}}` are braces.
    ///
    /// # Panics
    /// Where a brace is not closed, or was not opened. Routes are built when a program starts, so it panics then.
    #[track_caller]
    pub(crate) fn new(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '{' | '}' if rest.peek() == Some(&character) => {
                    rest.next();
                    literal.push(character);
                }
                '{' => {
                    let name: String = rest.by_ref().take_while(|next| *next != '}').collect();
                    assert!(!name.is_empty(), "the tag {text:?} needs a name between its braces: `{{id}}`");
                    assert!(
                        text.contains(&format!("{{{name}}}")),
                        "the tag {text:?} has a brace that is not closed"
                    );
                    if !literal.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Parameter(name));
                }
                '}' => panic!("the tag {text:?} has a brace that was not opened; `}}}}` is one brace"),
                _ => literal.push(character),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Self(pieces)
    }

    /// Reads templates.
    ///
    /// # Panics
    /// Where one of the texts is no template.
    #[track_caller]
    pub(crate) fn all<S: cachemacro::Tag>(texts: impl IntoIterator<Item = S>) -> Vec<Self> {
        let mut all = Vec::new();
        for text in texts {
            all.push(Self::new(&text.text()));
        }
        all
    }

    /// Whether it needs no parameter.
    fn is_fixed(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// The tag with these parameters; `None` where one is missing.
    fn filled(&self, parameters: &PathParams) -> Option<String> {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Parameter(name) => parameters.get(name).map(Key::escape),
        });
        pieces.collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Piece::Parameter(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

/// The log's words for a template of which a parameter is missing.
pub(crate) const MISSING: &str = if cfg!(feature = "axum") {
    "nobody told the parameter: it is one of the route's path, or of `PathParams`"
} else {
    "nobody told the parameter: the feature `axum` of cachemacro-http reads a route's, elsewhere `PathParams` brings it"
};

/// The tags of a request, and the templates of which a parameter is missing.
pub(crate) async fn tags<'a>(
    templates: &'a [Template],
    parts: &mut Parts,
) -> (Vec<String>, Vec<&'a Template>) {
    let parameters = if templates.iter().all(Template::is_fixed) {
        PathParams::default()
    } else {
        parameters(parts).await
    };
    let (mut tags, mut missing) = (Vec::with_capacity(templates.len()), Vec::new());
    for template in templates {
        match template.filled(&parameters) {
            Some(tag) => tags.push(tag),
            None => missing.push(template),
        }
    }
    (tags, missing)
}

/// The tags that a request evicts; what is missing for one is logged.
pub(crate) async fn to_evict(templates: &[Template], parts: &mut Parts) -> Vec<String> {
    let (tags, missing) = tags(templates, parts).await;
    for tag in missing {
        tracing::error!(%tag, "a tag is not evicted: {MISSING}");
    }
    tags
}

#[cfg_attr(not(feature = "axum"), expect(clippy::unused_async, reason = "axum's are had by an extractor"))]
async fn parameters(parts: &mut Parts) -> PathParams {
    if let Some(parameters) = parts.extensions.get::<PathParams>() {
        return parameters.clone();
    }
    #[cfg(feature = "axum")]
    {
        use axum::extract::{FromRequestParts, RawPathParams};
        if let Ok(parameters) = RawPathParams::from_request_parts(parts, &()).await {
            return parameters.iter().collect();
        }
    }
    PathParams::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> Option<String> {
        Template::new(template).filled(&PathParams::from_iter([("id", "7"), ("name", "a:b c")]))
    }

    #[test]
    fn parameters_are_put_in_escaped() {
        assert_eq!(filled("product:{id}").as_deref(), Some("product:7"));
        assert_eq!(filled("{name}:{id}").as_deref(), Some("a%3Ab%20c:7"));
        assert_eq!(filled("{{{id}}}").as_deref(), Some("{7}"));
        assert_eq!(filled("plain").as_deref(), Some("plain"));
        assert_eq!(filled("{other}"), None);
    }

    #[test]
    fn what_is_no_template_is_said_at_start() {
        for wrong in ["{", "{id", "id}", "{}", "a{b"] {
            assert!(std::panic::catch_unwind(|| Template::new(wrong)).is_err(), "{wrong}");
        }
    }
}
