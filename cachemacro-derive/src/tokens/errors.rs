//! The list of mistakes. All of them are reported in one compile, each with its span.

use std::cell::RefCell;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use strsim::osa_distance;

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Errors(RefCell<Vec<syn::Error>>);

impl Errors {
    /// Adds a mistake at `span`. `message` says what is wrong and what to write instead.
    pub(crate) fn push(&self, span: Span, message: impl Into<String>) {
        self.add(syn::Error::new(span, message.into()));
    }

    /// Adds a mistake that underlines all of `tokens`.
    pub(crate) fn at(&self, tokens: impl ToTokens, message: impl Into<String>) {
        self.add(syn::Error::new_spanned(tokens, message.into()));
    }

    /// Adds an error of a parser.
    pub(crate) fn add(&self, error: syn::Error) {
        self.0.borrow_mut().push(error);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// One `compile_error!` per mistake.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.into_inner().iter().map(syn::Error::to_compile_error).collect()
    }
}

/// The candidate that `word` is most probably a misspelling of.
pub(crate) fn similar<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (osa_distance(word, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= candidate.chars().count().max(3) / 3)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// "there is `a`" or "there are `a` and `b`".
pub(crate) fn there_are<'a>(words: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let verb = if words.clone().into_iter().nth(1).is_none() { "is" } else { "are" };
    format!("there {verb} {}", listed(words))
}

/// `a`, `b` and `c`, each in backticks.
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_the_right_one() {
        let words = ["ttl", "tags", "key", "prefix", "none_ttl"];
        assert_eq!(similar("tll", words), Some("ttl"));
        assert_eq!(similar("tag", words), Some("tags"));
        assert_eq!(similar("perfix", words), Some("prefix"));
        assert_eq!(similar("expires", words), None);
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(listed(["a"]), "`a`");
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` and `c`");
        assert_eq!(there_are(["a"]), "there is `a`");
        assert_eq!(there_are(["a", "b"]), "there are `a` and `b`");
    }
}
