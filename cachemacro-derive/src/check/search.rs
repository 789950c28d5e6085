//! The texts by which values are found: `search`.

use quote::ToTokens;
use syn::{Expr, ExprLit, Lit};

use super::Checker;
use super::tags::list;
use crate::model::Tag;
use crate::syntax::options::{self, unwrapped};
use crate::tokens::code::code;
use crate::tokens::mentions::find;
use crate::values::{arguments_in, says_result};

impl Checker<'_> {
    pub(super) fn search(&self) -> Vec<Tag> {
        let (Some(opt), Some(expr)) = (self.options.get("search"), self.options.expr("search")) else {
            return Vec::new();
        };
        if self.item.is_sync() {
            return Vec::new();
        }
        if self.options.flag("sealed") {
            self.errors.push(
                opt.span(),
                "what is sealed is not found by its text, which an index would tell whoever reads it: leave `search` out, or `sealed`",
            );
            return Vec::new();
        }
        let texts = match list(expr) {
            Some(elements) => {
                elements.into_iter().filter_map(|element| self.text(unwrapped(element))).collect()
            }
            None => match expr {
                Expr::Lit(_) | Expr::Tuple(_) | Expr::Closure(_) => {
                    let message =
                        format!("`search` is a list of texts in the value: `{}`", options::usage("search"));
                    self.errors.at(expr, message);
                    Vec::new()
                }
                other => vec![Tag::Many(self.expression(other, "search"))],
            },
        };
        if texts.is_empty() && list(expr).is_some_and(|elements| elements.is_empty()) {
            self.errors.at(expr, format!("without texts nothing is found: `{}`", options::usage("search")));
        }
        texts.into_iter().filter(|text| self.is_of_the_value(text)).collect()
    }

    fn text(&self, element: Expr) -> Option<Tag> {
        match element {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                self.errors.push(
                    text.span(),
                    format!(
                        "`search` has no templates: each text is an expression over the value, as in `{}`",
                        options::usage("search")
                    ),
                );
                None
            }
            other => Some(Tag::One(self.expression(&other, "search"))),
        }
    }

    /// Whoever searches reads the texts again from the value alone.
    fn is_of_the_value(&self, text: &Tag) -> bool {
        let (Tag::One(value) | Tag::Many(value)) = text else { return false };
        let tokens = value.expr.to_token_stream();
        if !says_result(&value.expr) {
            self.errors.push(
                value.span,
                format!("`{}` says nothing of the value: write what is in `result`", code(&value.expr)),
            );
            return false;
        }
        let named = arguments_in(value, self.item).first().map(ToString::to_string);
        let own = find(tokens.clone(), "self").map(|_| "self".to_owned());
        let Some(name) = named.or(own) else { return true };
        self.errors.push(
            find(tokens, &name).map_or(value.span, |token| token.span()),
            format!(
                "who searches takes the texts from the value again, and does not know `{name}`: take it from `result`"
            ),
        );
        false
    }
}
