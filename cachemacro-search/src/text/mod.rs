//! Text as words: Unicode's word boundaries, case and accents folded, stems by option. Knows nothing of documents and ranks.

pub(crate) mod fold;
mod language;

use std::borrow::Cow;
use std::fmt;

use rust_stemmers::Stemmer;
use unicode_segmentation::UnicodeSegmentation as _;

use self::fold::fold_into;
pub use self::language::Language;

/// As much of a text is looked at, in bytes.
pub(crate) const MOST_TEXT: usize = 8 << 10;
/// As much of a word, in letters.
pub(crate) const MOST_LETTERS: usize = 64;

/// How text becomes words. Those who write documents and those who search them use the same.
///
/// ```
/// use cachemacro_search::{Analyzer, Language};
///
/// assert_eq!(Analyzer::new().words("Zürich's airports, 3.5 km!"), ["zurich's", "airports", "3.5", "km"]);
/// let english = Analyzer::new().stemming(Language::English);
/// assert_eq!(english.words("Flying airports"), ["fli", "airport"]);
/// assert!(english.words("?! 🙂").is_empty());
/// ```
#[derive(Clone, Default)]
#[must_use = "it does nothing by itself"]
pub struct Analyzer {
    language: Option<Language>,
}

impl fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Analyzer").field("stemming", &self.language).finish()
    }
}

impl Analyzer {
    /// Words as they are written, but for case and accents.
    ///
    /// ```
    /// assert_eq!(cachemacro_search::Analyzer::new().words("LONDON Heathrow"), ["london", "heathrow"]);
    /// ```
    pub const fn new() -> Self {
        Self { language: None }
    }

    /// Words are cut to the stems of this language: `charged` and `charges` are one.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Language};
    ///
    /// let german = Analyzer::new().stemming(Language::German);
    /// assert_eq!(german.words("Häuser"), german.words("haus"));
    /// ```
    pub const fn stemming(mut self, language: Language) -> Self {
        self.language = Some(language);
        self
    }

    /// The words of the first 8 KiB of a text, each with at most 64 letters.
    ///
    /// ```
    /// let words = cachemacro_search::Analyzer::new().words(&"x".repeat(1 << 20));
    /// assert_eq!((words.len(), words[0].len()), (1, 64));
    /// ```
    pub fn words(&self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        self.each_word(text, |word| words.push(word.to_owned()));
        words
    }

    /// Calls `found` with each word, in order.
    pub(crate) fn each_word(&self, text: &str, mut found: impl FnMut(&str)) {
        let stemmer = self.language.map(|language| Stemmer::create(language.algorithm()));
        let mut folded = String::new();
        for word in beginning(text, MOST_TEXT).unicode_words() {
            let word = first_letters(word);
            folded.clear();
            match &stemmer {
                // Stemmers know accents, and small letters alone.
                Some(stemmer) => fold_into(&stemmer.stem(&lower(word)), &mut folded),
                None => fold_into(word, &mut folded),
            }
            // Some letters become many.
            let folded = first_letters(&folded);
            if !folded.is_empty() {
                found(folded);
            }
        }
    }
}

fn lower(word: &str) -> Cow<'_, str> {
    if word.chars().any(char::is_uppercase) { Cow::Owned(word.to_lowercase()) } else { Cow::Borrowed(word) }
}

/// The first bytes of a text, to the end of a letter.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let ends = (0..=most.min(text.len())).rev();
    &text[..ends.into_iter().find(|&end| text.is_char_boundary(end)).unwrap_or(0)]
}

fn first_letters(word: &str) -> &str {
    if word.len() <= MOST_LETTERS {
        return word;
    }
    word.char_indices().nth(MOST_LETTERS).map_or(word, |(end, _)| &word[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Analyzer, Language};

    fn words(text: &str) -> Vec<String> {
        Analyzer::new().words(text)
    }

    #[test]
    fn case_accents_and_widths_do_not_tell_words_apart() {
        for (one, other) in [
            ("Zürich", "ZURICH"),
            ("Zu\u{308}rich", "zürich"),
            ("Straße", "STRASSE"),
            ("Łódź", "lodz"),
            ("ＨＥＡＴＨＲＯＷ", "heathrow"),
            ("Ὀδυσσεύς", "ΟΔΥΣΣΕΥΣ"),
            ("İzmir", "izmir"),
            ("Тёплый", "теплый"),
            ("ﬁnal", "FINAL"),
        ] {
            assert_eq!(words(one), words(other), "{one} and {other}");
        }
    }

    #[test]
    fn letters_of_scripts_without_accents_stay_as_they_are() {
        assert_eq!(words("हिन्दी한국어"), ["हिन्दी한국어"]);
        assert_ne!(words("か"), words("が"));
        assert_eq!(words("東京"), ["東", "京"]);
        assert_eq!(words("Flug ✈️ EGLL→東京 👩‍✈️"), ["flug", "egll", "東", "京"]);
    }

    #[test]
    fn what_has_no_words_is_an_answer() {
        for text in ["", " ", "\n\t", "?!…", "🙂🙂", "\u{301}", "\u{200b}", "\0"] {
            assert!(words(text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn a_text_is_cut_between_letters_and_a_word_to_so_many() {
        assert_eq!(words(&"é".repeat(1 << 20)), ["e".repeat(64)]);
        let many = "wörter ".repeat(100_000);
        assert_eq!(words(&many).len(), super::MOST_TEXT / "wörter ".len());
        // One letter that becomes eighteen.
        assert!(words(&"\u{fdfa}".repeat(4_000)).iter().all(|word| word.chars().count() <= 64));
    }

    #[test]
    fn stems_are_found_before_accents_go() {
        let stem = |language, text| Analyzer::new().stemming(language).words(text);
        assert_eq!(stem(Language::English, "charges CHARGED charging"), ["charg"; 3]);
        assert_eq!(stem(Language::French, "continuité"), stem(Language::French, "Continuités"));
        assert_eq!(stem(Language::Russian, "аэропорты"), stem(Language::Russian, "АЭРОПОРТ"));
    }

    #[test]
    fn words_that_a_stemmer_of_greek_panicked_at_have_stems_in_every_language() {
        for language in Language::ALL {
            assert!(!Analyzer::new().stemming(*language).words("ισαισα οιζαριζα").is_empty(), "{language:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn no_language_panics_at_any_text(
            text in prop_oneof![
                "(([a-zà-ÿğışőűăâîșțœ]{1,12}|[a-z]{0,5}(ation|ement|issimo|ungen|heit|oglu|larin|lerini|ände|ített|ească|zione)[a-zé]{0,3})['’ -]?){1,40}",
                "([а-яё]{1,9}(ость|ейше|ывшись|ями|ого)?[ -]?){1,40}",
                "([\u{621}-\u{652}]{1,9}[ -]?){1,40}",
                "([\u{b85}-\u{bcd}]{1,9}[ -]?){1,40}",
                "([α-ωάέήίόύώς]{1,9}[ -]?){1,40}",
                "\\PC{0,100}",
            ],
        ) {
            for language in Language::ALL {
                Analyzer::new().stemming(*language).words(&text);
            }
        }
    }
}
