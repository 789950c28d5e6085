//! Where documents of entries lie, and who finds those of questions.

use std::sync::Arc;

use cachemacro::Embedder;

use crate::document::Scope;

/// Where the documents of an entry lie.
pub(super) struct Lies<'a> {
    pub(super) texts: Arc<str>,
    /// Beside that of texts: no prefix has a colon of its own.
    pub(super) questions: Arc<str>,
    pub(super) key: &'a str,
}

impl<'a> Lies<'a> {
    /// `None` for a key that was cut within its prefix.
    pub(super) fn of(namespace: &str, key: &'a str) -> Option<Self> {
        let (prefix, key) = key.split_once(':')?;
        let texts = if namespace.is_empty() { prefix.to_owned() } else { format!("{namespace}:{prefix}") };
        Some(Self { questions: format!("{texts}:").into(), texts: texts.into(), key })
    }
}

/// Whether questions lie there, not texts.
pub(super) fn is_of_questions(space: &str) -> bool {
    space.ends_with(':')
}

/// What has to be the same exactly. Vectors of two models are never compared: what made them is part of it.
pub(super) fn scope(scope: &str, embedder: Option<&Arc<dyn Embedder>>) -> Scope {
    Scope::of([scope, embedder.map_or("", |embedder| embedder.id())])
}
