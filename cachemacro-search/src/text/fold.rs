//! Letters without case and accents.

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;

/// Whether this is an accent: marks that stand on letters of any script. Vowel signs, as of Hindi and Thai, are none.
const fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Letters that are one with their stroke, and ligatures.
const fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ı' => "i",
        'ŧ' => "t",
        'ŋ' => "n",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        _ => return None,
    })
}

/// Adds the letters of a word without their case, accents and widths.
pub(super) fn fold_into(word: &str, out: &mut String) {
    if word.is_ascii() {
        out.extend(word.chars().map(|c| c.to_ascii_lowercase()));
        return;
    }
    let bare = word.nfkd().filter(|c| !is_accent(*c)).default_case_fold();
    // Case folding may write `ŉ` and its like in parts again.
    let bare = bare.nfkd().filter(|c| !is_accent(*c));
    for c in bare.nfc() {
        match plain(c) {
            Some(letters) => out.push_str(letters),
            None => out.push(c),
        }
    }
}

/// The text without case and accents: `fold("Zürich") == fold("ZURICH")`. Compatible forms are one (`ﬁ` and `fi`, full width and half), `ß` is
/// `ss`, `ø` is `o`, and the vowel signs of scripts such as Devanagari stay.
///
/// ```
/// use cachemacro_search::fold;
///
/// assert_eq!(fold("Zürich, GROẞE Œuvre, Łódź, İzmir"), "zurich, grosse oeuvre, lodz, izmir");
/// assert_eq!(fold("हिन्दी 東京 ΣΊΣΥΦΟΣ"), "हिन्दी 東京 σισυφοσ");
/// ```
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}
