//! A text taken apart: what is quoted, words, numbers, codes.

use super::lists::WordLists;
use crate::text::fold::fold;

/// What stands in quotation marks, and the text without it.
pub(super) fn quoted(text: &str) -> (Vec<String>, String) {
    let (mut quoted, mut rest, mut from) = (Vec::new(), String::new(), 0);
    while let Some((at, open, close)) = opening(text, from) {
        let start = at + open.len_utf8();
        let Some(end) = ending(text, start, close) else {
            // Never closed: it is no quotation.
            rest.push_str(&text[from..start]);
            from = start;
            continue;
        };
        rest.push_str(&text[from..at]);
        rest.push(' ');
        quoted.push(text[start..end].split_whitespace().collect::<Vec<_>>().join(" "));
        from = end + close.len_utf8();
    }
    rest.push_str(&text[from..]);
    (quoted, rest)
}

/// The next mark that opens a quotation, and the one that closes it. An apostrophe is one before a word only.
fn opening(text: &str, from: usize) -> Option<(usize, char, char)> {
    text[from..].char_indices().find_map(|(at, open)| {
        let before = text[..from + at].chars().next_back();
        let close = closing(open).filter(|_| open != '\'' || before.is_none_or(|c| !c.is_alphanumeric()))?;
        Some((from + at, open, close))
    })
}

/// Where a quotation ends; at an apostrophe only after a word.
fn ending(text: &str, start: usize, close: char) -> Option<usize> {
    let mut ends = text[start..].match_indices(close).map(|(at, _)| start + at);
    ends.find(|&end| {
        let after = text[end + close.len_utf8()..].chars().next();
        close != '\'' || after.is_none_or(|c| !c.is_alphanumeric())
    })
}

const fn closing(open: char) -> Option<char> {
    Some(match open {
        '"' | '`' | '\'' => open,
        '“' | '„' => '”',
        '«' => '»',
        '»' => '«',
        '「' => '」',
        _ => return None,
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number(String),
    Code,
    /// Where a sentence or part of it ends.
    End,
}

/// A piece of a text between blanks, without the signs around it.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) folded: String,
    pub(super) kind: Kind,
}

impl Token {
    /// `isn't`, which words without apostrophes do not show.
    pub(super) fn is_contracted_not(&self) -> bool {
        self.folded.ends_with("n't")
    }

    fn new(text: &str, kind: Kind) -> Self {
        Self { folded: fold(text), kind }
    }
}

pub(super) fn tokens(text: &str, lists: &WordLists) -> Vec<Token> {
    // In a text that has no small letters capital ones say nothing.
    let has_small = text.chars().any(char::is_lowercase);
    let mut tokens = Vec::new();
    for piece in text.split_whitespace() {
        let bare = piece.trim_matches(|c: char| {
            !c.is_alphanumeric() && !is_currency(c) && c != '+' && c != '-' && c != '#'
        });
        let bare = bare.trim_end_matches(['-', '+']).trim_start_matches('+');
        // A sign before a number is part of it; any other is a dash.
        let bare = if bare.starts_with('-') && !is_number(bare.trim_start_matches('-')) {
            bare.trim_start_matches('-')
        } else {
            bare
        };
        classify(bare, has_small, lists, &mut tokens);
        if piece.ends_with([',', ';', ':', '.', '?', '!', ')']) {
            tokens.push(Token::new("", Kind::End));
        }
    }
    tokens
}

/// Adds what this piece is. Such as `€5`, it may be two.
fn classify(bare: &str, has_small: bool, lists: &WordLists, tokens: &mut Vec<Token>) {
    if bare.is_empty() {
        return;
    }
    if let Some(at) = bare.find(is_currency) {
        let sign = bare[at..].chars().next().unwrap_or_default();
        tokens.push(Token::new(&sign.to_string(), Kind::Code));
        let (before, after) = (&bare[..at], &bare[at + sign.len_utf8()..]);
        classify(before, has_small, lists, tokens);
        classify(after, has_small, lists, tokens);
        return;
    }
    let folded = fold(bare);
    if is_number(bare) {
        tokens.push(Token { kind: Kind::Number(number(bare)), folded });
    } else if let Some(number) = ordinal(&folded) {
        tokens.push(Token { kind: Kind::Number(number), folded });
    } else if let Some(number) = lists.numbers.get(&folded) {
        tokens.push(Token { kind: Kind::Number(number.clone()), folded });
    } else if let Some(currency) = lists.currencies.get(&folded) {
        tokens.push(Token { kind: Kind::Code, folded: currency.clone() });
    } else if is_code(bare, has_small) {
        tokens.push(Token { kind: Kind::Code, folded });
    } else if bare.contains(['-', '/']) {
        // Two words: `top-up`, `and/or`.
        bare.split(['-', '/']).for_each(|part| classify(part, has_small, lists, tokens));
    } else {
        tokens.push(Token { kind: Kind::Word, folded });
    }
}

const fn is_currency(c: char) -> bool {
    matches!(c, '$' | '¢' | '£' | '¥' | '₩' | '€' | '₹' | '₽' | '₺' | '₿' | '%' | '‰' | '°')
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_numeric())
        && digits.chars().all(|c| c.is_numeric() || matches!(c, '.' | ',' | '\'' | ':' | '_'))
}

/// A number as it is compared: thousands are not parted, and what follows the point has no zeros at its end.
fn number(text: &str) -> String {
    let text = fold(text);
    let is_grouped =
        text.split(',').skip(1).all(|group| group.len() == 3 && group.chars().all(char::is_numeric))
            || text.contains(',') && text.contains('.');
    let plain: String =
        text.chars().filter(|c| !(matches!(c, '\'' | '_') || *c == ',' && is_grouped)).collect();
    match plain.split_once('.') {
        Some((whole, part)) if part.chars().all(char::is_numeric) => {
            let part = part.trim_end_matches('0');
            if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") }
        }
        _ => plain,
    }
}

/// The number of `1st`, `22nd`, `3rd`, `40th`.
fn ordinal(folded: &str) -> Option<String> {
    let number = ["st", "nd", "rd", "th"].iter().find_map(|end| folded.strip_suffix(end))?;
    (!number.is_empty() && number.chars().all(|c| c.is_ascii_digit())).then(|| number.to_owned())
}

/// Words with digits, in capital letters, with capital letters inside, or with signs inside that words do not have.
fn is_code(text: &str, has_small: bool) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let capitals = text.chars().filter(|c| c.is_uppercase()).count();
    text.chars().any(char::is_numeric)
        || text.contains(['_', '.', '@', '\\', '=', '&', '#', '<', '>', '~', '^', '|', '*', '{', '('])
        || text.contains("::")
        || has_small && letters >= 2 && capitals == letters
        || has_small && text.chars().skip(1).any(char::is_uppercase) && !text.contains(['-', '/'])
}
