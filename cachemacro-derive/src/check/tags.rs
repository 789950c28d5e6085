//! The tags, in each of the forms that they are written in.

use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, Token};

use super::Checker;
use crate::model::Tag;
use crate::syntax::options::{self, unwrapped};
use crate::tokens::code::code;

impl Checker<'_> {
    pub(super) fn tags(&self) -> Vec<Tag> {
        let Some(expr) = self.options.expr("tags") else { return Vec::new() };
        match list(expr) {
            Some(elements) => {
                elements.into_iter().filter_map(|element| self.tag(unwrapped(element))).collect()
            }
            None => match expr {
                Expr::Closure(_) => self.over_arguments(expr, "tags").map(Tag::Many).into_iter().collect(),
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                    self.errors
                        .push(text.span(), format!("`tags` is a list: write `tags = [{}]`", text.token()));
                    Vec::new()
                }
                Expr::Tuple(tuple) => {
                    let elements = code(&tuple.elems);
                    self.errors.at(tuple, format!("`tags` is a list: write `tags = [{elements}]`"));
                    Vec::new()
                }
                Expr::Lit(other) => {
                    self.errors.at(other, format!("`tags` is a list: `{}`", options::usage("tags")));
                    Vec::new()
                }
                other => vec![Tag::Many(self.expression(other, "tags"))],
            },
        }
    }

    fn tag(&self, element: Expr) -> Option<Tag> {
        match element {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                if text.value().is_empty() {
                    self.errors.push(text.span(), "an empty tag: write a word, or leave it out");
                    return None;
                }
                let parts = self.template(&text, "tags")?;
                self.no_sign_marks_a_name(&parts, text.span());
                Some(Tag::Template(parts))
            }
            Expr::Lit(other) => {
                self.errors.at(other, "a tag is a string: `\"users\"`, `\"org:{org}\"`");
                None
            }
            Expr::Closure(closure) => {
                self.errors.push(
                    closure.inputs_begin.span,
                    "a closure gives all tags: write `tags = |…| …` without a list around it",
                );
                None
            }
            other => Some(Tag::One(self.expression(&other, "tags"))),
        }
    }
}

/// The elements of `[a, b]`, `&[a, b]` and `vec![a, b]`.
pub(super) fn list(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Array(array) => Some(array.elems.iter().cloned().collect()),
        Expr::Reference(reference) => list(&reference.expr),
        Expr::Group(group) => list(&group.expr),
        Expr::Macro(call) if call.mac.path.is_ident("vec") => {
            let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
            syn::parse::Parser::parse2(parser, call.mac.tokens.clone())
                .ok()
                .map(|elems| elems.into_iter().collect())
        }
        _ => None,
    }
}
