//! The short way of a hit: the arguments that key and tags mention, written without text, to a decoded value.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::Expr;

use super::expander::Expander;
use crate::model::{EntryParts, Key, Tag};
use crate::syntax::template::{Hole, Part};
use crate::values::{self, Place, reference};

impl Expander<'_> {
    /// `let arguments_ = …;`, after `site_`, `outcome_` and `given_`, the cache that the attribute names; returns from the function where
    /// there is a hit. `None` where key or tags call something: that is run once, for the key's text.
    pub(super) fn fast(&self, parts: &EntryParts) -> Option<TokenStream> {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let told = self.told(parts)?;
        let parts = quote_spanned!(mixed=> &#private::parts!(site_, |to_| { let _ = &to_; #told }));
        let hit = if self.item.is_sync() {
            quote_spanned!(mixed=> local_hit(site_, outcome_, #parts))
        } else {
            quote_spanned!(mixed=> hit(site_, given_, outcome_, #parts))
        };
        Some(quote_spanned! {mixed=>
            let arguments_ = match #private::#hit {
                ::core::result::Result::Ok(hit_) => return hit_,
                ::core::result::Result::Err(arguments_) => arguments_,
            };
        })
    }

    /// Statements that tell `to_` what of a call makes up key and tags.
    fn told(&self, parts: &EntryParts) -> Option<TokenStream> {
        let mixed = Span::mixed_site();
        let place = Place::Function;
        let mut told = TokenStream::new();
        match &parts.prefix {
            None | Some(Expr::Lit(_)) => {}
            // A constant, or an argument.
            Some(prefix @ (Expr::Path(_) | Expr::Reference(_))) => {
                told.extend(quote_spanned!(mixed=> to_.display(#prefix);));
            }
            Some(_) => return None,
        }
        match &parts.key {
            Key::Template(template) => told.extend(self.holes(template)?),
            Key::Value(key) => {
                if !key.lets.is_empty() || key.returns || !is_plain(key.expr.to_token_stream()) {
                    return None;
                }
                let key = values::by_reference(key, self.item, place);
                told.extend(quote_spanned!(mixed=> to_.arg(#key);));
            }
            Key::Args(args) => {
                for (at, name) in args {
                    let cfg = &self.item.args[*at].cfg;
                    let argument = values::argument(name, self.item, place);
                    told.extend(quote_spanned!(mixed=> #(#cfg)* to_.arg(#argument);));
                }
            }
        }
        for tag in &parts.tags {
            match tag {
                Tag::Template(template) => told.extend(self.holes(template)?),
                Tag::One(_) | Tag::Many(_) => return None,
            }
        }
        // Types and const parameters are in the name of the function's instance, which the runtime writes.
        Some(told)
    }

    fn holes(&self, template: &[Part]) -> Option<TokenStream> {
        let mixed = Span::mixed_site();
        let mut told = TokenStream::new();
        for part in values::template(template, self.item, Place::Function) {
            let Part::Hole(Hole { expr, debug, late, .. }) = part else { continue };
            if late || !is_plain(expr.clone()) {
                return None;
            }
            let value = reference(&expr);
            let method = if debug { quote!(debug) } else { quote!(display) };
            told.extend(quote_spanned!(mixed=> to_.#method(#value);));
        }
        Some(told)
    }
}

/// Whether these tokens name values and fields and call nothing, so that they say the same twice.
fn is_plain(tokens: TokenStream) -> bool {
    let mut after_name = false;
    for token in tokens {
        match token {
            TokenTree::Ident(name) if name == "await" => return false,
            TokenTree::Ident(_) => after_name = true,
            TokenTree::Literal(_) => after_name = false,
            TokenTree::Punct(punct) if matches!(punct.as_char(), '.' | '&' | ',') => after_name = false,
            TokenTree::Group(group) if !after_name && is_plain(group.stream()) => {}
            TokenTree::Group(_) | TokenTree::Punct(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calls_nothing_is_told_from_what_may() {
        for plain in ["id", "user.id", "self.tenant.id", "(id, &user.name)", "&id", "pair.0", "()"] {
            assert!(is_plain(plain.parse().expect("tokens")), "{plain}");
        }
        for other in
            ["f(id)", "name.to_lowercase()", "ids[0]", "vec![id]", "x.await", "a + b", "*id", "|x| x", "a::B"]
        {
            assert!(!is_plain(other.parse().expect("tokens")), "{other}");
        }
    }
}
