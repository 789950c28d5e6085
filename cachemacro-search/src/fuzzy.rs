//! How near a text comes to what was typed: edits between words, by a distance in which two swapped neighbours are one edit.

use std::borrow::Cow;

use strsim::osa_distance;

use crate::text::Analyzer;

/// The most words of what was typed that are compared.
const MOST_WORDS: usize = 32;
/// The longest text that is compared as a whole, in bytes.
const MOST_WHOLE: usize = 256;
/// Only what equals a text altogether scores 1.
const NEXT_BEST: f32 = 0.99;
/// How much it counts that a text has few other words.
const ALONE: f32 = 0.1;
/// So much of what was typed has to be there.
const LEAST: f32 = 0.5;
/// So many candidates are looked at for each that is wanted, and at least.
const CANDIDATES: usize = 4;
const FEWEST: usize = 100;

/// What was typed, to be compared with the texts of entries. One edit is forgiven in words from four letters, two from eight; a word's beginning
/// stands for the word.
///
/// ```
/// use cachemacro_search::Fuzzy;
///
/// let typed = Fuzzy::of("haethrow londn");
/// assert!(typed.score(&["London Heathrow", "EGLL"]) > typed.score(&["London Gatwick", "EGKK"]));
/// assert_eq!(typed.score(&["Berlin Brandenburg", "EDDB"]), None);
/// assert_eq!(Fuzzy::of("egll").score(&["London Heathrow", "EGLL"]), Some(1.0));
/// ```
#[derive(Clone)]
#[must_use = "it is compared with texts"]
pub struct Fuzzy {
    words: Vec<Word>,
    /// All words, with blanks between them.
    whole: Word,
}

/// Its words are not shown.
impl std::fmt::Debug for Fuzzy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fuzzy").finish_non_exhaustive()
    }
}

/// A word with the number of its letters.
#[derive(Clone)]
struct Word {
    text: String,
    letters: usize,
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        let letters = text.chars().count();
        Self { text, letters }
    }
}

impl Fuzzy {
    /// What was typed: its first 32 words are compared.
    ///
    /// ```
    /// assert_eq!(cachemacro_search::Fuzzy::of("?!").score(&["anything"]), None);
    /// ```
    pub fn of(text: &str) -> Self {
        let mut words = words(text);
        words.truncate(MOST_WORDS);
        let whole = joined(&words).into_owned().into();
        Self { words, whole }
    }

    /// How many of [`Mirror::candidates`](crate::Mirror::candidates) are to be compared by their texts where so many entries are wanted.
    ///
    /// ```
    /// assert_eq!([0, 10, 1_000].map(cachemacro_search::Fuzzy::candidates), [0, 100, 4_000]);
    /// ```
    pub const fn candidates(wanted: usize) -> usize {
        let most = wanted.saturating_mul(CANDIDATES);
        if wanted == 0 || most > FEWEST { most } else { FEWEST }
    }

    /// The score of a candidate: how near its texts come to what was typed; where nobody knows those, it keeps the one by its trigrams.
    ///
    /// ```
    /// use cachemacro_search::Fuzzy;
    ///
    /// let typed = Fuzzy::of("heatrow");
    /// assert_eq!(typed.rescored(0.4, None::<&[&str]>), Some(0.4));
    /// assert!(typed.rescored(0.4, Some(&["Heathrow"])) > Some(0.8));
    /// assert_eq!(typed.rescored(0.4, Some(&["Gatwick"])), None);
    /// ```
    pub fn rescored<T: AsRef<str>>(&self, by_trigrams: f32, texts: Option<&[T]>) -> Option<f32> {
        let Some(texts) = texts else { return Some(by_trigrams) };
        self.score(&texts.iter().map(AsRef::as_ref).collect::<Vec<&str>>())
    }

    /// How near these texts of one entry come to what was typed, from 0 to 1; none where less than half of it is there. One that is the same but for
    /// case, accents and punctuation, such as an exact code, scores 1, and nothing else does.
    ///
    /// ```
    /// use cachemacro_search::Fuzzy;
    ///
    /// let typed = Fuzzy::of("zurch");
    /// let zurich = typed.score(&["Zürich Airport", "LSZH"]).unwrap();
    /// assert!(zurich > 0.7 && zurich < 1.0);
    /// ```
    pub fn score(&self, texts: &[&str]) -> Option<f32> {
        if self.words.is_empty() {
            return None;
        }
        let (mut all, mut whole) = (Vec::new(), 0.0_f32);
        for text in texts {
            let mut words = words(text);
            let text = joined(&words);
            if *text == *self.whole.text {
                return Some(1.0);
            }
            whole = whole.max(self.whole_likeness(&text));
            all.append(&mut words);
        }
        let score = self.by_words(&all).max(whole);
        (score > 0.0).then_some(score * NEXT_BEST)
    }

    /// By a text as a whole, which finds words that were joined or split; zero where it is not near.
    fn whole_likeness(&self, text: &str) -> f32 {
        if text.len() > MOST_WHOLE || self.whole.text.len() > MOST_WHOLE {
            return 0.0;
        }
        near(&self.whole, text, text.chars().count()).unwrap_or(0.0)
    }

    /// By the nearest word to each, longer ones counting more.
    fn by_words(&self, others: &[Word]) -> f32 {
        let mut is_met = vec![false; others.len()];
        let (mut typed, mut there) = (0.0_f32, 0.0_f32);
        for word in &self.words {
            let likeness = others.iter().map(|other| likeness(word, other)).enumerate();
            let nearest = likeness.max_by(|(_, one), (_, other)| one.total_cmp(other)).unwrap_or((0, 0.0));
            if nearest.1 > 0.0 {
                is_met[nearest.0] = true;
            }
            typed += float(word.letters);
            there += float(word.letters) * nearest.1;
        }
        let share = there / typed;
        if share < LEAST {
            return 0.0;
        }
        let letters = |met: Option<bool>| {
            let words =
                others.iter().zip(&is_met).filter(|(_, is_met)| met.is_none_or(|met| **is_met == met));
            words.map(|(word, _)| float(word.letters)).sum::<f32>()
        };
        share * (1.0 - ALONE + ALONE * letters(Some(true)) / letters(None))
    }
}

/// How like a word is to what was typed: 1 where it is the same, 0 where it is another.
fn likeness(typed: &Word, other: &Word) -> f32 {
    if typed.text == other.text {
        return 1.0;
    }
    if other.text.starts_with(&typed.text) && typed.letters > 1 {
        return 0.75 + 0.2 * float(typed.letters) / float(other.letters);
    }
    near(typed, &other.text, other.letters).unwrap_or(0.0)
}

/// How like two texts are that differ by no more edits than are forgiven.
fn near(typed: &Word, other: &str, letters: usize) -> Option<f32> {
    let forgiven = match typed.letters {
        0..4 => return None,
        4..8 => 1,
        _ => 2,
    };
    if typed.letters.abs_diff(letters) > forgiven {
        return None;
    }
    let edits = osa_distance(&typed.text, other);
    (edits <= forgiven).then(|| 1.0 - float(edits) / float(typed.letters.max(letters)))
}

fn words(text: &str) -> Vec<Word> {
    Analyzer::new().words(text).into_iter().map(Word::from).collect()
}

fn joined(words: &[Word]) -> Cow<'_, str> {
    match words {
        [word] => Cow::Borrowed(&word.text),
        words => Cow::Owned(words.iter().map(|word| &*word.text).collect::<Vec<_>>().join(" ")),
    }
}

#[allow(clippy::cast_precision_loss, reason = "numbers of letters")]
const fn float(number: usize) -> f32 {
    number as f32
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "0 and 1 are meant exactly")]
mod tests {
    use super::Fuzzy;

    fn score(typed: &str, text: &str) -> f32 {
        Fuzzy::of(typed).score(&[text]).unwrap_or(0.0)
    }

    #[test]
    fn one_edit_is_forgiven_from_four_letters_and_two_from_eight() {
        for (typed, text, is_found) in [
            ("fox", "fax", false),
            ("egll", "eglx", true),
            ("elgl", "egll", true),
            ("gatwick", "gatwikc", true),
            ("gatwick", "gtwikc", false),
            ("heatrow", "heathrow", true),
            ("haethrwo", "heathrow", true),
            ("hxethrwo", "heathrow", false),
        ] {
            assert_eq!(score(typed, text) > 0.0, is_found, "{typed} for {text}");
        }
        assert!(score("elgl", "egll") >= score("eglx", "egll"), "swapped neighbours are one edit");
    }

    #[test]
    fn a_beginning_stands_for_a_word_and_less_than_the_word() {
        assert!(
            score("heath", "heathrow") > 0.5
                && score("heath", "heathrow") < score("heathrow", "heathrow airport")
        );
        assert!(score("he", "heathrow") < score("heathr", "heathrow"));
        assert!(score("h", "heathrow") == 0.0, "one letter is no beginning");
    }

    #[test]
    fn an_exact_code_comes_before_all_else() {
        let texts = [&["Egll Field", "X1"][..], &["London Heathrow", "EGLL"], &["Eglls", "X2"]];
        let scores = texts.map(|texts| Fuzzy::of("EGLL").score(texts).unwrap_or(0.0));
        assert!(scores[1] == 1.0 && scores[0] < 1.0 && scores[2] < 1.0, "{scores:?}");
    }

    #[test]
    fn few_other_words_come_before_many() {
        assert!(score("heathrow", "London Heathrow") > score("heathrow", "London Heathrow Hilton Heliport"));
        assert!(score("londonheathrow", "London Heathrow") > 0.9, "joined");
        assert!(score("heath row", "Heathrow") > 0.8, "split");
    }

    #[test]
    fn half_of_what_was_typed_has_to_be_there() {
        assert_eq!(score("heathrow hilton gardens", "London Heathrow"), 0.0);
        assert!(score("heathrow london", "Heathrow") > 0.0);
        for (typed, text) in [("", ""), ("", "x"), ("?!", "?!"), ("🙂", "🙂"), ("x", "")] {
            assert_eq!(Fuzzy::of(typed).score(&[text]), None, "{typed} for {text}");
        }
        assert_eq!(Fuzzy::of("x").score(&[]), None);
    }

    #[test]
    fn long_texts_are_compared_in_bounded_time() {
        let word = "x".repeat(1 << 20);
        assert_eq!(score(&word, &word), 1.0, "their first letters are the same");
        let words: String = (0..1_000_000).map(|n| n.to_string() + " ").collect();
        assert!(Fuzzy::of(&words).score(&[&*words; 8]).is_some());
    }
}
