//! Templates: `"{org}:{user.id}"` to text and placeholders.
//!
//! [`split`] is the whole grammar and never fails to answer, whatever the text; [`parse`] gives what it found spans
//! and checks the placeholders' expressions.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Expr, LitStr, Member};

use crate::errors::{Errors, similar, there_are};
use crate::item::Item;

/// A piece of a template.
#[derive(Clone)]
pub(crate) enum Part {
    Text(String),
    Hole(Hole),
}

/// A placeholder.
#[derive(Clone)]
pub(crate) struct Hole {
    /// What it prints; names resolve where the arguments are, and the literal is underlined.
    pub(crate) expr: TokenStream,
    /// `{x:?}`
    pub(crate) debug: bool,
    /// The character that follows it, if any.
    pub(crate) stop: Option<char>,
    pub(crate) span: Span,
}

/// A piece of a template, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    Text(String),
    Hole { expr: String, debug: bool },
}

/// Splits a template. `{{` and `}}` are braces.
pub(crate) fn split(template: &str) -> Result<Vec<Raw>, String> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.next_if_eq(&'{').is_some() => text.push('{'),
            '}' if chars.next_if_eq(&'}').is_some() => text.push('}'),
            '}' => return Err("a `}` that nothing opened: write `}}` for a brace".to_owned()),
            '{' => {
                if !text.is_empty() {
                    parts.push(Raw::Text(std::mem::take(&mut text)));
                }
                parts.push(hole(&mut chars)?);
            }
            other => text.push(other),
        }
    }
    if !text.is_empty() {
        parts.push(Raw::Text(text));
    }
    Ok(parts)
}

/// What follows an opening brace, up to the closing one. Quotes and brackets are looked through.
fn hole(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Raw, String> {
    let mut inside = String::new();
    let mut quoted = false;
    let mut depth = 0usize;
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
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '{' => {
                return Err(format!("a `{{` inside the placeholder `{{{inside}`: write `{{{{` for a brace"));
            }
            '}' => break,
            _ => {}
        }
        inside.push(c);
    }
    let (expr, debug) = match format_colon(&inside) {
        None => (inside.trim(), false),
        Some(at) if inside[at + 1..].trim() == "?" => (inside[..at].trim(), true),
        Some(at) => {
            return Err(format!(
                "`:{}` is no format of a key: there are `{{{1}}}` and `{{{1}:?}}`",
                &inside[at + 1..],
                inside[..at].trim()
            ));
        }
    };
    if expr.is_empty() {
        return Err("an empty placeholder: name an argument, as in `{id}`".to_owned());
    }
    if let Some(odd) = odd_character(expr) {
        return Err(format!(
            "a placeholder holds an argument, a field or a method call; `{odd}` belongs to none of them"
        ));
    }
    Ok(Raw::Hole { expr: expr.to_owned(), debug })
}

/// A character that does not occur in arguments, fields and method calls. Such are refused before the compiler's
/// lexer sees them, which reports what it does not know in its own way.
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

/// What a placeholder may mention.
pub(crate) struct Scope<'a> {
    pub(crate) item: &'a Item,
    /// Whether `{result…}` is what the function returned.
    pub(crate) result: bool,
    /// The option, for messages.
    pub(crate) option: &'static str,
}

/// Reads a template. What is wrong with it is reported.
pub(crate) fn parse(lit: &LitStr, scope: &Scope<'_>, errors: &Errors) -> Option<Vec<Part>> {
    let raw = match split(&lit.value()) {
        Ok(raw) => raw,
        Err(message) => {
            errors.push(lit.span(), message);
            return None;
        }
    };
    let mut parts = Vec::new();
    let mut good = true;
    for (at, part) in raw.iter().enumerate() {
        match part {
            Raw::Text(text) => parts.push(Part::Text(text.clone())),
            Raw::Hole { expr, debug } => {
                let Some(expr) = placeholder(expr, lit, scope, errors) else {
                    good = false;
                    continue;
                };
                let next = match raw.get(at + 1) {
                    Some(Raw::Text(text)) => text.chars().next(),
                    Some(Raw::Hole { .. }) => Some('{'),
                    None => None,
                };
                // What a value may hold itself, encoding aside, cannot end it: a colon between can.
                // What is encoded in literal text as well looks there like in a value.
                let encoded = |c: char| matches!(c, '%' | '{' | '}') || c.is_whitespace() || c.is_control();
                let clash = next.is_some_and(|c| c.is_ascii_alphanumeric() || encoded(c));
                let stop = if clash { Some(':') } else { next };
                parts.push(Part::Hole(Hole { expr, debug: *debug, stop, span: lit.span() }));
                if clash {
                    parts.push(Part::Text(":".to_owned()));
                }
            }
        }
    }
    good.then_some(parts)
}

/// The literal text of a template, placeholders apart.
pub(crate) fn literal_text(template: &str) -> String {
    let parts = split(template).unwrap_or_default();
    parts.into_iter().map(|part| if let Raw::Text(text) = part { text } else { String::new() }).collect()
}

fn placeholder(text: &str, lit: &LitStr, scope: &Scope<'_>, errors: &Errors) -> Option<TokenStream> {
    let unfit = || {
        errors.push(
            lit.span(),
            format!(
                "`{{{text}}}` is not an argument, field or method call: write `{} = |…| …` for anything else",
                scope.option
            ),
        );
    };
    let starts_as_name = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let Some(expr) = starts_as_name.then(|| syn::parse_str::<Expr>(text).ok()).flatten() else {
        unfit();
        return None;
    };
    let Some(base) = base(&expr) else {
        unfit();
        return None;
    };
    if let Some(message) = complaint(&base.to_string(), text, scope) {
        errors.push(lit.span(), message);
        return None;
    }
    Some(relocate(expr.to_token_stream(), lit.span(), scope))
}

/// `a` of `a.b.c(d)[e]`.
fn base(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Path(path) => path.path.get_ident(),
        Expr::Field(field) => match &field.member {
            Member::Named(_) | Member::Unnamed(_) => base(&field.base),
        },
        Expr::MethodCall(call) => base(&call.receiver),
        Expr::Index(index) => base(&index.expr),
        Expr::Await(awaited) => base(&awaited.base),
        _ => None,
    }
}

/// What is wrong with a placeholder's name.
fn complaint(base: &str, text: &str, scope: &Scope<'_>) -> Option<String> {
    let item = scope.item;
    let name = item.name();
    match base {
        "self" if item.receiver.is_none() => {
            Some(format!("`{{{text}}}` needs `self`, which `{name}` does not take"))
        }
        "self" => None,
        "result" if scope.result => None,
        "result" if item.find(base).is_none() => Some(
            "`result` is what a `#[cache_put]` or `#[cache_evict]` function returned: in `#[cached]`, use a closure over \
             the value, as in `tags = |value| …`"
                .to_owned(),
        ),
        _ if item.find(base).is_some() => None,
        _ => {
            let mut known: Vec<String> = item.names().map(ToString::to_string).collect();
            if scope.result {
                known.push("result".to_owned());
            }
            let known = known.iter().map(String::as_str);
            let guess = similar(base, known.clone());
            Some(match guess {
                Some(guess) => {
                    format!("`{{{base}}}` names no argument of `{name}`: did you mean `{{{guess}}}`?")
                }
                None if known.clone().next().is_some() => {
                    format!("`{{{base}}}` names no argument of `{name}`: {}", there_are(known))
                }
                None => format!("`{{{base}}}` names no argument of `{name}`, which has none"),
            })
        }
    }
}

/// Tokens that underline the literal, and resolve where the arguments do whatever macro the literal came through.
fn relocate(tokens: TokenStream, at: Span, scope: &Scope<'_>) -> TokenStream {
    // Marked as the macro's own, so that the compiler does not suggest to write a field where the literal is.
    let other = at.resolved_at(Span::mixed_site());
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                let own = match (&scope.item.receiver, name.as_str()) {
                    (Some(receiver), "self") => Some(receiver.self_token.span),
                    (_, "result") if scope.result => Some(Span::call_site()),
                    _ => scope.item.find(&name).map(Ident::span),
                };
                TokenTree::Ident(Ident::new(&name, own.map_or(other, |own| own.located_at(at))))
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), relocate(group.stream(), at, scope));
                inner.set_span(other);
                TokenTree::Group(inner)
            }
            mut token => {
                token.set_span(other);
                token
            }
        })
        .collect()
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
    fn what_is_wrong_is_said() {
        for (template, message) in [
            ("{", "not closed"),
            ("a}", "nothing opened"),
            ("{}", "empty placeholder"),
            ("{a:>5}", "no format"),
            ("{a{b}", "inside the placeholder"),
            ("{a + 1}", "belongs to none"),
        ] {
            let error = split(template).expect_err(template);
            assert!(error.contains(message), "{template}: {error}");
        }
    }

    #[test]
    fn quotes_hide_braces() {
        assert_eq!(split(r#"{a.trim("}")}"#), Ok(vec![hole(r#"a.trim("}")"#)]));
    }

    proptest::proptest! {
        #[test]
        fn no_template_makes_the_parser_panic(template in r#"[\{\}:?"a-c\.\(\)\[\]\\ é]{0,24}|\PC{0,40}"#) {
            let _ = split(&template);
            let _ = literal_text(&template);
        }

        #[test]
        fn escaped_text_comes_back(plain in "\\PC{0,40}") {
            let template = plain.replace('{', "{{").replace('}', "}}");
            assert_eq!(literal_text(&template), plain);
        }
    }
}
