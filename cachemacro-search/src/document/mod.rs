//! What is known of one entry to find it by: numbers of its words and trigrams, its scope, perhaps a dense vector. Its text is not kept, but for a question's that others are compared with.

mod bytes;
mod scope;

use std::fmt;

pub use self::scope::Scope;
use crate::error::Error;
use crate::limits::{MOST_DIMENSIONS, MOST_KEY};
use crate::terms::{counted, each_gram, term};
use crate::text::{Analyzer, MOST_TEXT, beginning};

/// What an entry is found by. Words and trigrams are hashed; it holds no text unless it is [given](Self::with_text) one.
///
/// ```
/// use cachemacro_search::{Analyzer, Document, Mirror, Query};
///
/// # fn main() -> Result<(), cachemacro_search::Error> {
/// let words = Analyzer::new();
/// let mut mirror = Mirror::new();
/// mirror.insert(Document::of("airport:EGLL", &["London Heathrow", "EGLL"], &words)?);
/// let found = mirror.vector(&Query::of("heathrow", &words));
/// assert_eq!(&*found[0].key, "airport:EGLL");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct Document {
    pub(crate) key: Box<str>,
    pub(crate) scope: Scope,
    /// In order, each once, with how often it is in the texts.
    pub(crate) terms: Box<[(u32, u16)]>,
    /// In order, each once.
    pub(crate) grams: Box<[u32]>,
    /// Of length one.
    pub(crate) vector: Option<Box<[f32]>>,
    pub(crate) text: Option<Box<str>>,
}

/// Neither words nor vectors are shown, nor the key: that of a question holds its text.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

impl Document {
    /// The longest key, in bytes.
    pub const MOST_KEY: usize = MOST_KEY;
    /// The most dimensions of a vector.
    pub const MOST_DIMENSIONS: usize = MOST_DIMENSIONS;
    /// The most bytes of a stored document.
    pub const MOST_BYTES: usize = 128 << 10;
    /// The most different words.
    pub(crate) const MOST_TERMS: usize = 4 << 10;
    /// The most different trigrams.
    pub(crate) const MOST_GRAMS: usize = 16 << 10;

    /// The document of the entry with this key, found by the first 8 KiB of these texts together.
    ///
    /// # Errors
    /// [`Error::Key`] where the key is too long.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document};
    ///
    /// let document = Document::of("airport:EGLL", &["London Heathrow", "EGLL"], &Analyzer::new())?;
    /// assert_eq!(format!("{document:?}"), "Document { .. }");
    /// # Ok::<(), cachemacro_search::Error>(())
    /// ```
    pub fn of(key: &str, texts: &[&str], words: &Analyzer) -> Result<Self, Error> {
        if key.len() > Self::MOST_KEY {
            return Err(Error::Key);
        }
        let (terms, grams) = numbers(texts, words);
        let grams = counted(grams, Self::MOST_GRAMS).into_iter().map(|(gram, _)| gram).collect();
        let terms = counted(terms, Self::MOST_TERMS).into();
        Ok(Self { key: key.into(), scope: Scope::default(), terms, grams, vector: None, text: None })
    }

    /// Found only by queries of this scope.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document, Mirror, Query, Scope};
    ///
    /// # fn main() -> Result<(), cachemacro_search::Error> {
    /// let (words, mut mirror) = (Analyzer::new(), Mirror::new());
    /// let ours = Document::of("faq:7:a", &["opening hours"], &words)?.with_scope(Scope::of(["7"]));
    /// mirror.insert(ours);
    /// let query = |tenant| Query::of("hours", &words).scope(Scope::of([tenant]));
    /// assert_eq!(mirror.vector(&query("7")).len(), 1);
    /// assert_eq!(mirror.vector(&query("8")).len(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Found by this vector too, see [`Mirror::nearest`](crate::Mirror::nearest). Its length does not matter.
    ///
    /// # Errors
    /// [`Error::Vector`] where it has no or too many dimensions, where one is infinite or no number, or where all are zero.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document, Error};
    ///
    /// let document = Document::of("faq:7", &["opening hours"], &Analyzer::new())?;
    /// assert!(document.clone().with_vector(vec![0.3, -0.1]).is_ok());
    /// assert_eq!(document.with_vector(vec![0.0; 384]).unwrap_err(), Error::Vector);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn with_vector(mut self, vector: Vec<f32>) -> Result<Self, Error> {
        self.vector = Some(unit(vector)?);
        Ok(self)
    }

    /// Holds this text too, for what compares texts: a [`Guard`](crate::Guard), or who confirms an answer. One of more than 8 KiB is not held.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document};
    ///
    /// let question = "When are you open?";
    /// let document = Document::of("faq:7", &[question], &Analyzer::new())?.with_text(question);
    /// assert_eq!(document.text(), Some(question));
    /// assert!(!format!("{document:?}").contains("open"));
    /// # Ok::<(), cachemacro_search::Error>(())
    /// ```
    #[must_use]
    pub fn with_text(mut self, text: &str) -> Self {
        self.text = (text.len() <= MOST_TEXT).then(|| text.into());
        self
    }

    /// The text that it holds.
    ///
    /// ```
    /// let words = cachemacro_search::Analyzer::new();
    /// assert_eq!(cachemacro_search::Document::of("airport:EGLL", &["Heathrow"], &words)?.text(), None);
    /// # Ok::<(), cachemacro_search::Error>(())
    /// ```
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The key of the entry.
    ///
    /// ```
    /// let words = cachemacro_search::Analyzer::new();
    /// assert_eq!(cachemacro_search::Document::of("airport:EGLL", &[], &words)?.key(), "airport:EGLL");
    /// # Ok::<(), cachemacro_search::Error>(())
    /// ```
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What the entry's own key parts decide about who may find it.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document, Scope};
    ///
    /// let document = Document::of("airport:EGLL", &[], &Analyzer::new())?;
    /// assert_eq!(document.scope(), Scope::default());
    /// # Ok::<(), cachemacro_search::Error>(())
    /// ```
    pub const fn scope(&self) -> Scope {
        self.scope
    }
}

/// The numbers of the texts' words and trigrams. Trigrams are those of words as they are written, so that stems forgive no typos.
pub(crate) fn numbers(texts: &[&str], words: &Analyzer) -> (Vec<u32>, Vec<u32>) {
    let (mut terms, mut grams, plain) = (Vec::new(), Vec::new(), Analyzer::new());
    let mut left = MOST_TEXT;
    for text in texts {
        let text = beginning(text, left);
        left -= text.len();
        words.each_word(text, |word| terms.push(term(word)));
        plain.each_word(text, |word| each_gram(word, |gram| grams.push(gram)));
    }
    (terms, grams)
}

/// A vector of length one in the same direction.
pub(crate) fn unit(vector: Vec<f32>) -> Result<Box<[f32]>, Error> {
    if vector.is_empty() || vector.len() > Document::MOST_DIMENSIONS {
        return Err(Error::Vector);
    }
    let length = vector.iter().map(|part| f64::from(*part).powi(2)).sum::<f64>().sqrt();
    if length == 0.0 || !length.is_finite() {
        return Err(Error::Vector);
    }
    #[allow(clippy::cast_possible_truncation, reason = "it is not above one")]
    Ok(vector.into_iter().map(|part| (f64::from(part) / length) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::{Document, unit};
    use crate::error::Error;
    use crate::text::Analyzer;

    #[test]
    fn texts_of_any_length_make_a_bounded_document() {
        let word = "word".repeat(1 << 18);
        let many: String = (0..1_000_000).map(|n| n.to_string() + " ").collect();
        for text in ["", "?!", "🙂", &word, &many, &"\u{fdfa} ".repeat(100_000)] {
            let document = Document::of("k", &[text; 100], &Analyzer::new()).expect("a short key");
            for document in [document.clone(), document.with_text(text)] {
                assert!(document.to_bytes().len() <= Document::MOST_BYTES);
                assert_eq!(Document::from_bytes(&document.to_bytes()), Ok(document));
            }
        }
        assert_eq!(Document::of(&"k".repeat(1_025), &[], &Analyzer::new()), Err(Error::Key));
    }

    #[test]
    fn so_much_of_all_texts_together_is_looked_at() {
        let long = "word ".repeat(10_000);
        let document = |texts: &[&str]| Document::of("k", texts, &Analyzer::new()).expect("a short key");
        assert_eq!(
            document(&["ab", &long, "last"]).terms.len(),
            2,
            "the first text is in it, the last is not"
        );
    }

    #[test]
    fn a_vector_that_has_no_direction_is_refused() {
        let refused = [vec![], vec![0.0], vec![f32::NAN, 1.0], vec![f32::INFINITY], vec![1.0; 4_097]];
        assert!(refused.into_iter().all(|vector| unit(vector) == Err(Error::Vector)));
        for vector in [vec![f32::MAX; 4_096], vec![f32::MIN_POSITIVE; 3], vec![1e-40, -1e-41]] {
            let length = unit(vector).expect("it has one").iter().map(|part| part * part).sum::<f32>();
            assert!((length - 1.0).abs() < 1e-3, "{length}");
        }
    }

    #[test]
    fn nothing_of_texts_and_vectors_is_shown() {
        let document =
            Document::of("k", &["secret"], &Analyzer::new()).and_then(|it| it.with_vector(vec![0.5]));
        assert_eq!(format!("{:?}", document.expect("acceptable")), "Document { .. }");
    }
}
