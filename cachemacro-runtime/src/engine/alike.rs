//! Questions that may mean what another one meant: what a function says of them, what is asked of whoever is beside a cache, and what it answers.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::ground::error::{Error, ErrorKind, Result};
use crate::key::framed::Framed;

/// Turns texts into vectors that point alike where texts mean alike: a model, in this process or behind a service.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use async_trait::async_trait;
/// use cachemacro::{Embedder, Result};
///
/// /// By how often each vowel is there: it knows nothing of meaning.
/// #[derive(Clone)]
/// struct Vowels;
///
/// #[async_trait]
/// impl Embedder for Vowels {
///     fn id(&self) -> &str {
///         "vowels:1"
///     }
///
///     fn dimensions(&self) -> usize {
///         5
///     }
///
///     async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
///         let count = |text: &str, vowel| text.matches(vowel).count() as f32;
///         Ok(texts.iter().map(|text| "aeiou".chars().map(|vowel| count(text, vowel)).collect()).collect())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// assert_eq!(Vowels.embed(&["banana"]).await?, [[3.0, 0.0, 0.0, 0.0, 0.0]]);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Embedder: Send + Sync {
    /// Names the model and its version: vectors of two ids are never compared.
    fn id(&self) -> &str;

    /// How many numbers each vector has.
    fn dimensions(&self) -> usize;

    /// A vector for each text, in their order. Its length does not matter.
    ///
    /// # Errors
    /// Where that failed: the question is then answered by the function.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>>;
}

#[async_trait]
impl<E: Embedder + ?Sized> Embedder for Arc<E> {
    fn id(&self) -> &str {
        (**self).id()
    }

    fn dimensions(&self) -> usize {
        (**self).dimensions()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        (**self).embed(texts).await
    }
}

/// A question whose exact key has no value, as whoever is [`Beside`](crate::Beside) the cache is asked.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # use cachemacro::Asked;
/// fn is_long(asked: &Asked<'_>) -> bool {
///     asked.text.len() > 1_000
/// }
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Asked<'a> {
    /// The namespace of the cache, as keys have it; empty where there is none.
    pub namespace: &'a str,
    /// The key of the question's own entry, behind the namespace.
    pub key: &'a str,
    /// The question.
    pub text: &'a str,
    /// What has to be the same exactly: all other parts of the key.
    pub scope: &'a str,
    /// How alike a question has to be, from 0 to 1.
    pub threshold: f64,
    /// What makes vectors of it; `None`: words are compared.
    pub embedder: Option<&'a Arc<dyn Embedder>>,
}

/// The question is not shown.
impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("threshold", &self.threshold).finish_non_exhaustive()
    }
}

/// A question that was answered before and may mean the same. It is a hint: the entry that is read is that of its text under the asking call's own other key
/// parts, so whoever made it up has no answer of another scope given away.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::Candidate;
///
/// let candidate = Candidate::new("7:hours", "What are your hours?", 0.93);
/// assert_eq!(format!("{candidate:?}"), "Candidate { score: 0.93, .. }");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Candidate {
    /// What whoever found it knows it by.
    pub key: Arc<str>,
    /// The question.
    pub text: Arc<str>,
    /// How alike it is, from 0 to 1.
    pub score: f32,
}

impl Candidate {
    /// This question, so much alike, known by this key.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Candidate::new("7:hours", "hours?", 0.93).score, 0.93);
    /// ```
    pub fn new(key: impl Into<Arc<str>>, text: impl Into<Arc<str>>, score: f32) -> Self {
        Self { key: key.into(), text: text.into(), score }
    }
}

/// Its question is not shown.
impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("score", &self.score).finish_non_exhaustive()
    }
}

/// What became of a [`Candidate`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// assert_ne!(cachemacro::Judged::Gone, cachemacro::Judged::Answered);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Judged {
    /// It is not there, or past its TTL.
    Gone,
    /// The caller wants newer values than others do, and this one is none, or is not there.
    Unread,
    /// The function's `confirm` turned it down.
    Unconfirmed,
    /// It is the answer.
    Answered,
}

/// By what a stored answer is found by questions that mean the same.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # use cachemacro::Meaning;
/// fn compares_words(meaning: &Meaning) -> bool {
///     meaning.embedder.is_none()
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Meaning {
    /// The question.
    pub text: Arc<str>,
    /// What has to be the same exactly.
    pub scope: Arc<str>,
    /// What makes vectors of it; `None`: words are compared.
    pub embedder: Option<Arc<dyn Embedder>>,
}

/// The question is not shown.
impl fmt::Debug for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.embedder.as_ref().map(Embedder::id);
        f.debug_struct("Meaning").field("embedder", &id).finish_non_exhaustive()
    }
}

/// Says whether the answer to the second question answers the first.
pub(crate) type Confirm<V> = for<'a> fn(&'a str, &'a str, &'a V) -> BoxFuture<'a, bool>;

/// What a function says of questions that mean the same, and the question of one call.
pub struct Similar<V> {
    pub(crate) text: Arc<str>,
    pub(crate) frame: Framed,
    pub(crate) threshold: f64,
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) confirm: Option<Confirm<V>>,
    /// How many of the entry's tags are the same for all questions: the first ones.
    pub(crate) tags: usize,
}

/// The question is not shown.
impl<V> fmt::Debug for Similar<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Similar").field("threshold", &self.threshold).finish_non_exhaustive()
    }
}

impl<V> Similar<V> {
    /// This question, whose key is framed so.
    pub fn new<Q: Question + ?Sized>(question: &Q, frame: Framed, threshold: f64) -> Self {
        Self { text: question.text().into(), frame, threshold, embedder: None, confirm: None, tags: 0 }
    }

    /// Compared by vectors of this.
    #[must_use]
    pub fn embedder<E: Embedder + Clone + 'static>(self, embedder: &E) -> Self {
        Self { embedder: Some(Arc::new(embedder.clone())), ..self }
    }

    /// Answers that this turns down are none.
    #[must_use]
    pub fn confirm(self, confirm: Confirm<V>) -> Self {
        Self { confirm: Some(confirm), ..self }
    }

    /// By what the answer is found; `None` where it cannot be.
    pub(crate) fn meaning(&self) -> Option<Meaning> {
        let scope = self.frame.scope()?.into();
        Some(Meaning { text: self.text.clone(), scope, embedder: self.embedder.clone() })
    }

    /// # Errors
    /// [`ErrorKind::Config`] where the threshold is none.
    pub(crate) fn check(&self) -> Result<()> {
        if self.threshold > 0.0 && self.threshold <= 1.0 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Config, "a `threshold` is a number above 0, up to 1"))
    }
}

/// What a question may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no question: `similar` compares texts",
    label = "this is compared with other questions",
    note = "a question is a `&str`, a `String`, or one in a `Cow`, `Box` or `Arc`"
)]
pub trait Question {
    /// It as text.
    fn text(&self) -> &str;
}

impl Question for str {
    fn text(&self) -> &str {
        self
    }
}

impl Question for String {
    fn text(&self) -> &str {
        self
    }
}

impl Question for std::borrow::Cow<'_, str> {
    fn text(&self) -> &str {
        self
    }
}

impl Question for Box<str> {
    fn text(&self) -> &str {
        self
    }
}

impl Question for Arc<str> {
    fn text(&self) -> &str {
        self
    }
}

impl<Q: Question + ?Sized> Question for &Q {
    fn text(&self) -> &str {
        (**self).text()
    }
}
