//! Which names the user's tokens mention.
//!
//! Tokens are searched and not syntax, because names also occur in macro calls and in the literals of `format!`. A token that
//! only looks like a mention makes a generated function take one argument too many; no mention is missed.

use proc_macro2::{Group, Ident, Spacing, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{Expr, ExprAsync, ExprClosure, ExprReturn, ExprTry, Item};

/// Whether `name` is mentioned.
pub(crate) fn mentions(tokens: TokenStream, name: &str) -> bool {
    find(tokens, name).is_some()
}

/// The first token that mentions `name`, which may be written with `r#` or without.
pub(crate) fn find(tokens: TokenStream, name: &str) -> Option<TokenTree> {
    let name = name.trim_start_matches("r#");
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let found = match token {
            TokenTree::Ident(ident) => {
                ident.unraw() == name && !is_member(&tokens[..at]) && !is_in_path(&tokens, at)
            }
            TokenTree::Group(group) => match find(group.stream(), name) {
                Some(inner) => return Some(inner),
                None => false,
            },
            TokenTree::Literal(literal) => in_format_string(&literal.to_string(), name),
            TokenTree::Punct(_) => false,
        };
        if found {
            return Some(token.clone());
        }
    }
    None
}

/// The tokens with `new` in place of each mention of `name`. The new tokens have the hygiene of `new`.
pub(crate) fn renamed(tokens: TokenStream, name: &str, new: &Ident) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_mention =
        |at: usize, ident: &Ident| *ident == name && !is_member(&tokens[..at]) && !is_in_path(&tokens, at);
    let with_new = tokens.iter().enumerate().map(|(at, token)| {
        let mut changed: TokenTree = match token {
            TokenTree::Ident(ident) if is_mention(at, ident) => {
                return Ident::new(&new.to_string(), new.span().located_at(ident.span())).into();
            }
            TokenTree::Group(group) => {
                Group::new(group.delimiter(), renamed(group.stream(), name, new)).into()
            }
            TokenTree::Literal(literal) if in_format_string(&literal.to_string(), name) => {
                let ends = ["}", ":", "."].map(|end| (format!("{{{name}{end}"), format!("{{{new}{end}")));
                let text = ends.iter().fold(literal.to_string(), |text, (old, new)| text.replace(old, new));
                text.parse().map_or_else(|_| token.clone(), TokenTree::Literal)
            }
            other => return other.clone(),
        };
        changed.set_span(token.span());
        changed
    });
    with_new.collect()
}

/// Whether a type or const parameter is mentioned, alone or as in `T::Out`.
pub(crate) fn mentions_parameter(tokens: TokenStream, name: &Ident) -> bool {
    find_parameter(tokens, &name.to_string()).is_some()
}

/// The first token that mentions a type or const parameter, or `Self`.
pub(crate) fn find_parameter(tokens: TokenStream, name: &str) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) => (ident == name).then_some(ident),
        TokenTree::Group(group) => find_parameter(group.stream(), name),
        TokenTree::Literal(_) | TokenTree::Punct(_) => None,
    })
}

/// Whether the token after `before` is a field or method: it follows one dot, and not `..`.
fn is_member(before: &[TokenTree]) -> bool {
    match before {
        [.., first, last] if is_dot(last) => !(is_dot(first) && is_joint(first)),
        [last] => is_dot(last),
        _ => false,
    }
}

/// Whether the token at `at` has `::` on either side.
fn is_in_path(tokens: &[TokenTree], at: usize) -> bool {
    let is_separator = |pair: &[TokenTree]| match pair {
        [first, second] => is(first, ':') && is_joint(first) && is(second, ':'),
        _ => false,
    };
    at >= 2 && is_separator(&tokens[at - 2..at]) || tokens.get(at + 1..at + 3).is_some_and(is_separator)
}

fn is(token: &TokenTree, c: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == c)
}

fn is_dot(token: &TokenTree) -> bool {
    is(token, '.')
}

fn is_joint(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.spacing() == Spacing::Joint)
}

/// Whether a literal's text has `{name…}`, `{…:name$}` or `{…:.name$}` in it.
fn in_format_string(literal: &str, name: &str) -> bool {
    literal.contains('"')
        && literal.match_indices('{').any(|(at, _)| {
            let hole = &literal[at + 1..];
            let inside = hole.trim_start();
            let inside = inside.strip_prefix("r#").unwrap_or(inside);
            inside.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(['}', ':', '.', '$']))
                || is_width_or_precision(hole, name)
        })
}

/// Whether `name$` stands behind the colon of a placeholder.
fn is_width_or_precision(hole: &str, name: &str) -> bool {
    let hole = hole.split('}').next().unwrap_or_default();
    let spec = hole.split_once(':').map_or("", |(_, spec)| spec);
    spec.match_indices('$').any(|(at, _)| {
        let before = &spec[..at];
        let start = before.trim_end_matches(|c: char| c == '_' || c.is_alphanumeric()).len();
        // `0width$` is filled with zeros.
        before[start..].trim_start_matches('0') == name
    })
}

/// What in an expression acts on the function that it stands in.
#[derive(Default)]
pub(crate) struct Leaving {
    /// `return` or `?`.
    pub(crate) returns: bool,
    pub(crate) awaits: bool,
}

impl<'ast> Visit<'ast> for Leaving {
    fn visit_expr_return(&mut self, _: &'ast ExprReturn) {
        self.returns = true;
    }

    fn visit_expr_try(&mut self, expr: &'ast ExprTry) {
        self.returns = true;
        visit::visit_expr_try(self, expr);
    }

    fn visit_expr_await(&mut self, expr: &'ast syn::ExprAwait) {
        self.awaits = true;
        visit::visit_expr_await(self, expr);
    }

    // A `return` or `.await` inside these does not concern the function.
    fn visit_expr_closure(&mut self, _: &'ast ExprClosure) {}
    fn visit_expr_async(&mut self, _: &'ast ExprAsync) {}
    fn visit_item(&mut self, _: &'ast Item) {}
}

/// Whether an expression returns from, or awaits in, the function that it stands in.
pub(crate) fn leaving(expr: &Expr) -> Leaving {
    let mut leaving = Leaving::default();
    leaving.visit_expr(expr);
    leaving
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;
    use crate::tokens::code::code;

    fn mentioned(tokens: &str, name: &str) -> bool {
        mentions(tokens.parse().expect("tokens"), name)
    }

    #[test]
    fn names_are_found_wherever_they_hide() {
        assert!(mentioned("id + 1", "id"));
        assert!(mentioned("vec![f(id)]", "id"));
        assert!(mentioned(r#"format!("x:{id}")"#, "id"));
        assert!(mentioned(r#"format!("x:{id:?}")"#, "id"));
        assert!(mentioned(r#"format!("{x:id$}")"#, "id"));
        assert!(mentioned(r#"format!("{:>+08.id$}")"#, "id"));
        assert!(mentioned(r#"format!("{0:#0id$.prec$?}", x)"#, "id"));
        assert!(mentioned(r#"format!("{x:width$.id$}")"#, "id"));
        assert!(mentioned("&text[..id]", "id"));
        assert!(mentioned("text[1..id.len()]", "id"));
        assert!(mentioned("text[..=id]", "id"));
        assert!(mentioned("K { other: id }", "id"));
    }

    #[test]
    fn a_mention_gets_another_name_wherever_it_hides() {
        let tokens = r#"value.value() + f(value::x, [format!("{value}:{valued}", a.value)])"#;
        let new = renamed(tokens.parse().expect("tokens"), "value", &Ident::new("result", Span::call_site()));
        let expected = r#"result.value() + f(value::x, [format!("{result}:{valued}", a.value)])"#;
        assert_eq!(code(new), expected);
    }

    #[test]
    fn raw_names_are_what_they_are_without_r() {
        assert!(mentioned("r#type + 1", "r#type"));
        assert!(mentioned("r#id + 1", "id"));
        assert!(mentioned("id + 1", "r#id"));
        assert!(mentioned(r#"format!("{type}")"#, "r#type"));
    }

    #[test]
    fn other_names_and_fields_are_not() {
        assert!(!mentioned("identity", "id"));
        assert!(!mentioned("user.id", "id"));
        assert!(!mentioned("user. id", "id"));
        assert!(!mentioned("user?.id", "id"));
        assert!(!mentioned("id::of(user)", "id"));
        assert!(!mentioned("user::id(1)", "id"));
        assert!(!mentioned("::id", "id"));
        assert!(!mentioned(r#"format!("id {idx}")"#, "id"));
        assert!(!mentioned(r#"format!("{x:idx$.an_id$} id$")"#, "id"));
    }
}
