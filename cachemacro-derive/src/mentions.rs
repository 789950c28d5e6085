//! Which names the user's tokens mention.
//!
//! Tokens and not syntax are searched, because names hide in macro calls and in the literals of `format!`. What looks
//! like a mention and is none costs an argument too many, never one too few.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Expr, ExprAsync, ExprClosure, ExprReturn, ExprTry, Item};

/// Whether `name` is mentioned.
pub(crate) fn mentions(tokens: TokenStream, name: &str) -> bool {
    find(tokens, name).is_some()
}

/// The first token that mentions `name`.
pub(crate) fn find(tokens: TokenStream, name: &str) -> Option<TokenTree> {
    let mut before = None;
    for token in tokens {
        let found = match &token {
            // A field or method of that name is something else.
            TokenTree::Ident(ident) => *ident == name && before != Some('.'),
            TokenTree::Group(group) => match find(group.stream(), name) {
                Some(inner) => return Some(inner),
                None => false,
            },
            TokenTree::Literal(literal) => in_format_string(&literal.to_string(), name),
            TokenTree::Punct(_) => false,
        };
        if found {
            return Some(token);
        }
        before = match &token {
            TokenTree::Punct(punct) => Some(punct.as_char()),
            _ => None,
        };
    }
    None
}

/// Whether a literal's text has `{name…}` in it.
fn in_format_string(literal: &str, name: &str) -> bool {
    literal.contains('"')
        && literal.match_indices('{').any(|(at, _)| {
            literal[at + 1..]
                .trim_start()
                .strip_prefix(name)
                .is_some_and(|rest| rest.trim_start().starts_with(['}', ':', '.', '$']))
        })
}

/// What in an expression acts on the function around it.
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

    // What is in these leaves them and not the function.
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
    use super::*;

    fn mentioned(tokens: &str, name: &str) -> bool {
        mentions(tokens.parse().expect("tokens"), name)
    }

    #[test]
    fn names_are_found_wherever_they_hide() {
        assert!(mentioned("id + 1", "id"));
        assert!(mentioned("vec![f(id)]", "id"));
        assert!(mentioned(r#"format!("x:{id}")"#, "id"));
        assert!(mentioned(r#"format!("x:{id:?}")"#, "id"));
    }

    #[test]
    fn other_names_and_fields_are_not() {
        assert!(!mentioned("identity", "id"));
        assert!(!mentioned("user.id", "id"));
        assert!(!mentioned(r#"format!("id {idx}")"#, "id"));
    }
}
