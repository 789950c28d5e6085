//! The short way of a hit: the arguments that key and tags mention, written without text, to a decoded value.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::Expr;

use super::Expander;
use crate::model::{EntryParts, Key, Tag};
use crate::syntax::template::{Hole, Part};
use crate::values::{self, Place, reference};

impl Expander<'_> {
    /// `let arguments_ = …;`, after `site_`, `outcome_` and `given_`, the cache that the attribute names; returns from the function where
    /// there is a hit. `None` where key or tags call something: that is run once, for the key's text.
    pub(super) fn fast(&self, parts: &EntryParts) -> Option<TokenStream> {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let parts = self.parts(parts)?;
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

    /// A reference to what of a call makes up key and tags. What is made for it lives as long as the statement that it is in.
    fn parts(&self, parts: &EntryParts) -> Option<TokenStream> {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let place = Place::Function;
        let mut begin = quote_spanned!(mixed=> #private::parts(site_, &|| ()));
        let mut chain = TokenStream::new();
        match &parts.prefix {
            None | Some(Expr::Lit(_)) => {}
            // A constant, or an argument.
            Some(prefix @ (Expr::Path(_) | Expr::Reference(_))) => {
                chain.extend(quote_spanned!(mixed=> .display(#prefix)));
            }
            Some(_) => return None,
        }
        match &parts.key {
            Key::Template(template) => chain.extend(self.holes(template)?),
            Key::Value(key) => {
                if !key.lets.is_empty() || key.returns || !is_plain(key.expr.to_token_stream()) {
                    return None;
                }
                let key = values::by_reference(key, self.item, place);
                chain.extend(quote_spanned!(mixed=> .arg(#key)));
            }
            Key::Args(args) => {
                let arguments = args.iter().map(|(at, name)| {
                    let argument = values::argument(name, self.item, place);
                    (&self.item.args[*at].cfg, quote_spanned!(mixed=> .arg(#argument)))
                });
                let (conditional, plain): (Vec<_>, Vec<_>) = arguments.partition(|(cfg, _)| !cfg.is_empty());
                chain.extend(plain.into_iter().map(|(_, call)| call));
                if !conditional.is_empty() {
                    // A call in a chain cannot have an attribute.
                    let statements = conditional
                        .into_iter()
                        .map(|(cfg, call)| quote_spanned!(mixed=> #(#cfg)* let to_ = to_ #call;));
                    begin = quote_spanned!(mixed=> { let to_ = #begin; #(#statements)* to_ });
                }
            }
        }
        for tag in &parts.tags {
            match tag {
                Tag::Template(template) => chain.extend(self.holes(template)?),
                Tag::One(_) | Tag::Many(_) => return None,
            }
        }
        // Types and const parameters are in the name of the function's instance, which the runtime writes.
        Some(quote_spanned!(mixed=> &#begin #chain))
    }

    fn holes(&self, template: &[Part]) -> Option<TokenStream> {
        let mixed = Span::mixed_site();
        let mut chain = TokenStream::new();
        for part in values::template(template, self.item, Place::Function) {
            let Part::Hole(Hole { expr, debug, late, .. }) = part else { continue };
            if late || !is_plain(expr.clone()) {
                return None;
            }
            let value = reference(&expr);
            let method = if debug { quote!(debug) } else { quote!(display) };
            chain.extend(quote_spanned!(mixed=> .#method(#value)));
        }
        Some(chain)
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
