//! The words of questions about airports: which of them may name a city, and which mean the same.

use std::collections::BTreeSet;
use std::future::{Ready, ready};

use crate::model::Reply;

/// A question is read up to so many words.
const MOST_WORDS: usize = 64;

/// The name of a city has at most so many.
const LONGEST_NAME: usize = 6;

/// The words of a text, in small letters.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .take(MOST_WORDS)
}

/// A text as cities are looked up: its words, with a blank between two.
pub(crate) fn folded(text: &str) -> String {
    words(text).collect::<Vec<_>>().join(" ")
}

/// What may be a city's name in a question: words that stand together.
pub(crate) fn phrases(question: &str) -> Vec<String> {
    let words: Vec<String> = words(question).collect();
    let phrases = (1..=LONGEST_NAME).flat_map(|length| words.windows(length).map(|words| words.join(" ")));
    phrases.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The words of a question that mean something here: of those that mean the same, one.
pub(crate) fn meanings(question: &str) -> impl Iterator<Item = String> {
    words(question).filter_map(|word| match &*word {
        "a" | "all" | "an" | "any" | "are" | "can" | "find" | "i" | "in" | "is" | "list" | "me" | "of"
        | "please" | "show" | "tell" | "that" | "the" | "there" | "to" | "what" | "where" | "which"
        | "you" => None,
        "airfield" | "airfields" | "aerodrome" | "aerodromes" | "airports" => Some("airport".to_owned()),
        "about" | "around" | "by" | "close" | "nearby" => Some("near".to_owned()),
        _ => Some(word),
    })
}

/// Whether two questions are about the same places: but for airports, and near to what, they have the same words that mean something.
pub(crate) fn name_the_same(asked: &str, stored: &str, _: &Reply) -> Ready<bool> {
    let places = |question: &str| -> BTreeSet<String> {
        meanings(question).filter(|word| word != "airport" && word != "near").collect()
    };
    ready(places(asked) == places(stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(asked: &str, stored: &str) -> bool {
        let reply = Reply { cities: Vec::new(), airports: Vec::new() };
        name_the_same(asked, stored, &reply).into_inner()
    }

    #[test]
    fn who_names_another_city_or_one_more_does_not_ask_the_same() {
        assert!(same("airfields close to Berlin", "airports near Berlin"));
        assert!(same("Please show me all the aerodromes of berlin!", "airports near Berlin"));
        for [one, other] in [
            ["airports near Bern", "airports near Berlin"],
            ["airports near Berlin and Bern", "airports near Berlin"],
            [
                "show me all the airports that you know of around berlin and bern please",
                "show me all the airports that you know of around berlin please",
            ],
            ["airports far from Berlin", "airports near Berlin"],
        ] {
            assert!(!same(one, other) && !same(other, one), "{one} / {other}");
        }
    }

    #[test]
    fn a_city_is_looked_up_in_any_spelling_of_its_letters_and_signs() {
        for [question, city] in [
            ["Airports near ŁÓDŹ?", "Łódź"],
            ["what is close to coeur d'alene", "Coeur D'Alene"],
            ["airfields of Ny-Ålesund", "Ny-Ålesund"],
            ["near São José do Rio Preto", "São José do Rio Preto"],
        ] {
            assert!(phrases(question).contains(&folded(city)), "{question}");
        }
        assert!(phrases(&"word ".repeat(10_000)).len() <= MOST_WORDS * LONGEST_NAME);
    }
}
