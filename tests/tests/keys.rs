//! Templates: equal keys only for equal arguments, whatever stands between the placeholders.

use cachemacro::cached;

macro_rules! templates {
    ($($name:ident $entry:ident $template:literal;)+) => {
        $(
            #[cached(prefix = "p", key = $template, entry = $entry)]
            #[expect(dead_code, reason = "only its entry is asked for its key")]
            async fn $name(a: &str, b: &str) -> u32 {
                0
            }
        )+

        /// The key of each template for these arguments.
        fn keys(a: &str, b: &str) -> Vec<(&'static str, String)> {
            let key = |entry: cachemacro::Entry<u32>| entry.key().expect("text can be a key").as_str().to_owned();
            vec![$(($template, key($entry(a, b)))),+]
        }
    };
}

templates! {
    colon colon_entry "{a}:{b}";
    dash dash_entry "{a}-{b}";
    nothing nothing_entry "{a}{b}";
    letter letter_entry "{a}x{b}";
    digit digit_entry "{a}2{b}";
    percent percent_entry "{a}%{b}";
    brace brace_entry "{a}{{{b}";
    blank blank_entry "{a} {b}";
    tab tab_entry "{a}\t{b}";
    wide_blank wide_blank_entry "{a}\u{a0}{b}";
    control control_entry "{a}\u{1}{b}";
    blank_later blank_later_entry "{a}- {b}";
    accent accent_entry "{a}é{b}";
}

#[test]
fn no_separator_lets_one_argument_reach_into_the_next() {
    let pieces =
        ["", "a", ":", "-", "x", "2", "%", "20", "%20", "{", "%7B", " ", "\t", "\u{a0}", "\u{1}", "- ", "é"];
    let mut seen = std::collections::HashMap::new();
    for first in pieces {
        for second in pieces {
            for (a, b) in
                [(first.to_owned(), second.to_owned()), (format!("{first}{second}a"), String::new())]
                    .into_iter()
                    .chain([
                        (first.to_owned(), format!("{second}a")),
                        (format!("{first}a{second}"), second.to_owned()),
                    ])
            {
                for (template, key) in keys(&a, &b) {
                    let before = seen.insert((template, key), (a.clone(), b.clone()));
                    assert!(
                        before.is_none_or(|before| before == (a.clone(), b.clone())),
                        "{template:?}: {a:?}, {b:?}"
                    );
                }
            }
        }
    }
}
