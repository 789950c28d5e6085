//! The grammar of templates. It works on text and knows no tokens, accepts any text, and never panics.

/// A piece of a template, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    Hole { expr: String, debug: bool },
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// All mistakes that were found, in order.
    pub(super) messages: Vec<String>,
    /// The parts without mistakes.
    pub(super) parts: Vec<Raw>,
}

/// Splits a template. `{{` and `}}` are braces.
pub(super) fn split(template: &str) -> Result<Vec<Raw>, Wrong> {
    let mut parts = Vec::new();
    let mut messages = Vec::new();
    let mut text = String::new();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.next_if_eq(&'{').is_some() => text.push('{'),
            '}' if chars.next_if_eq(&'}').is_some() => text.push('}'),
            '}' => messages.push("a `}` that nothing opened: write `}}` for a brace".to_owned()),
            '{' => {
                if !text.is_empty() {
                    parts.push(Raw::Text(std::mem::take(&mut text)));
                }
                match inside(&mut chars) {
                    Ok(inside) => parts.extend(hole(&inside, &mut messages)),
                    Err(message) => {
                        // The end of this placeholder is not known, so neither is the rest of the template.
                        messages.push(message);
                        return Err(Wrong { messages, parts });
                    }
                }
            }
            other => text.push(other),
        }
    }
    if !text.is_empty() {
        parts.push(Raw::Text(text));
    }
    if messages.is_empty() { Ok(parts) } else { Err(Wrong { messages, parts }) }
}

/// Reads the text after an opening brace, up to the closing one. A brace inside quotes does not close it.
fn inside(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    let mut inside = String::new();
    let mut quoted = false;
    loop {
        let Some(c) = chars.next() else {
            return Err(if quoted {
                format!("a quote in the placeholder `{{{inside}` is not closed")
            } else {
                format!(
                    "the placeholder `{{{inside}` is not closed: write `{{{inside}}}`, or `{{{{` for a brace"
                )
            });
        };
        match c {
            '\\' if quoted => {
                inside.push(c);
                inside.extend(chars.next());
                continue;
            }
            '"' => quoted = !quoted,
            _ if quoted => {}
            // `r#type` is `type`.
            '#' if ends_in_r(&inside) && chars.peek().is_some_and(|c| c.is_alphabetic() || *c == '_') => {
                inside.pop();
                continue;
            }
            '{' => {
                return Err(format!("a `{{` inside the placeholder `{{{inside}`: write `{{{{` for a brace"));
            }
            '}' => return Ok(inside),
            _ => {}
        }
        inside.push(c);
    }
}

/// Reads a placeholder from the text between its braces.
fn hole(inside: &str, messages: &mut Vec<String>) -> Option<Raw> {
    let (expr, format) = match format_colon(inside) {
        None => (inside.trim(), ""),
        Some(at) => (inside[..at].trim(), &inside[at + 1..]),
    };
    if expr.is_empty() {
        messages.push("an empty placeholder: name an argument, as in `{id}`".to_owned());
        return None;
    }
    let debug = format.trim() == "?";
    if !debug && format_colon(inside).is_some() {
        messages
            .push(format!("`:{format}` is no format of a key: there are `{{{expr}}}` and `{{{expr}:?}}`"));
    }
    if let Some(odd) = odd_character(expr) {
        messages.push(format!(
            "a placeholder holds an argument, a field or a method call; `{odd}` belongs to none of them"
        ));
        return None;
    }
    Some(Raw::Hole { expr: expr.to_owned(), debug })
}

/// Whether the last word is `r`.
fn ends_in_r(text: &str) -> bool {
    let is_part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    text.strip_suffix('r').is_some_and(|before| !before.ends_with(is_part_of_a_word))
}

/// The first character that cannot occur in arguments, fields and method calls. It is refused here, because the compiler's
/// lexer would report it without saying where.
fn odd_character(expr: &str) -> Option<char> {
    let mut quoted = false;
    let mut chars = expr.chars();
    let odd = chars.find(|&c| {
        quoted ^= c == '"';
        let plain =
            c.is_alphabetic() || c.is_ascii_digit() || matches!(c, '_' | '.' | '(' | ')' | '[' | ']' | ',');
        let rare = matches!(c, ' ' | '"' | '&' | '*' | ':' | '?' | '-');
        if quoted { c == '\\' } else { !plain && !rare }
    });
    odd.or(quoted.then_some('"'))
}

/// Where the colon of `{x:?}` is: outside of quotes and brackets, and not part of a path.
fn format_colon(inside: &str) -> Option<usize> {
    let bytes = inside.as_bytes();
    let mut quoted = false;
    let mut depth = 0usize;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && bytes.get(at + 1) != Some(&b':') && (at == 0 || bytes[at - 1] != b':') => {
                return Some(at);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Raw {
        Raw::Text(text.to_owned())
    }

    fn hole(expr: &str) -> Raw {
        Raw::Hole { expr: expr.to_owned(), debug: false }
    }

    #[test]
    fn text_and_placeholders_alternate() {
        assert_eq!(split("a:{b}:{ c.d }"), Ok(vec![text("a:"), hole("b"), text(":"), hole("c.d")]));
        assert_eq!(split(""), Ok(vec![]));
    }

    #[test]
    fn double_braces_are_braces() {
        assert_eq!(split("{{a}}{b}"), Ok(vec![text("{a}"), hole("b")]));
    }

    #[test]
    fn a_question_mark_prints_with_debug() {
        assert_eq!(split("{id:?}"), Ok(vec![Raw::Hole { expr: "id".to_owned(), debug: true }]));
        assert_eq!(split("{m.f(a::B)}"), Ok(vec![hole("m.f(a::B)")]));
    }

    #[test]
    fn raw_names_are_names() {
        assert_eq!(split("{r#type}:{a.r#fn(r#in)}"), Ok(vec![hole("type"), text(":"), hole("a.fn(in)")]));
        assert!(split("{bar#x}").is_err());
        assert!(split("{m.f(r#\"x\"#)}").is_err());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (template, message) in [
            ("{", "not closed"),
            ("a}", "nothing opened"),
            ("{}", "empty placeholder"),
            ("{a:>5}", "no format"),
            ("{a{b}", "inside the placeholder"),
            ("{a + 1}", "belongs to none"),
        ] {
            let Wrong { messages, .. } = split(template).expect_err(template);
            assert!(messages[0].contains(message), "{template}: {messages:?}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        let Wrong { messages, parts } = split("{a}:{b:>3}:{}}:{c").expect_err("four mistakes");
        let said = ["no format", "empty placeholder", "nothing opened", "not closed"];
        assert_eq!(messages.len(), said.len(), "{messages:?}");
        assert!(messages.iter().zip(said).all(|(message, said)| message.contains(said)), "{messages:?}");
        assert_eq!(parts, [hole("a"), text(":"), hole("b"), text(":"), text(":")]);
    }

    #[test]
    fn quotes_hide_braces() {
        assert_eq!(split(r#"{a.trim("}")}"#), Ok(vec![hole(r#"a.trim("}")"#)]));
    }

    proptest::proptest! {
        #[test]
        fn no_template_makes_the_parser_panic(template in r#"[\{\}:?"a-c\.\(\)\[\]\\ é]{0,24}|\PC{0,40}"#) {
            let _ = split(&template);
        }

        #[test]
        fn escaped_text_comes_back(plain in "\\PC{0,40}") {
            let template = plain.replace('{', "{{").replace('}', "}}");
            let whole = if plain.is_empty() { vec![] } else { vec![text(&plain)] };
            proptest::prop_assert_eq!(split(&template), Ok(whole));
        }
    }
}
