//! `self` in code that runs after the body has taken it. Such code uses a clone, by another name.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::quote_spanned;

use crate::syntax::item::{Item, pointing_at};
use crate::tokens::mentions::mentions;

/// The name of the clone, if `tokens` need one.
pub(crate) fn needs_clone(item: &Item, tokens: &TokenStream) -> Option<Ident> {
    let needs = !item.self_is_shared() && find(tokens).is_some();
    needs.then(|| Ident::new("self_", Span::mixed_site()))
}

/// `let self_ = kept(&self);`
pub(crate) fn clone(item: &Item, name: &Ident, tokens: &TokenStream, private: &Ident) -> Option<TokenStream> {
    let at = pointing_at(&find(tokens)?);
    let own = Ident::new("self", item.receiver.as_ref()?.self_token.span.located_at(at));
    Some(quote_spanned!(at=> let #name = #private::kept(&#own);))
}

/// The tokens with the clone's name instead of `self`.
pub(crate) fn replaced(tokens: TokenStream, name: &Ident) -> TokenStream {
    let is_self = positions(&tokens);
    let tokens = tokens.into_iter().zip(is_self).map(|(token, is_self)| match token {
        TokenTree::Ident(own) if is_self => {
            TokenTree::Ident(Ident::new(&name.to_string(), name.span().located_at(own.span())))
        }
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), replaced(group.stream(), name));
            inner.set_span(group.span());
            TokenTree::Group(inner)
        }
        other => other,
    });
    tokens.collect()
}

/// The first mention of `self`, other than in a path such as `self::module`.
pub(crate) fn find(tokens: &TokenStream) -> Option<TokenTree> {
    tokens.clone().into_iter().zip(positions(tokens)).find_map(|(token, is_self)| match &token {
        TokenTree::Group(group) => find(&group.stream()),
        TokenTree::Literal(_) if mentions(token.clone().into(), "self") => Some(token),
        _ => is_self.then_some(token),
    })
}

/// A format string such as `"{self}"`, in which the name cannot be replaced.
pub(crate) fn in_text(tokens: &TokenStream) -> Option<TokenTree> {
    tokens.clone().into_iter().find_map(|token| match &token {
        TokenTree::Group(group) => in_text(&group.stream()),
        TokenTree::Literal(_) if mentions(token.clone().into(), "self") => Some(token),
        _ => None,
    })
}

/// For each token, whether it is `self`, other than in a path.
fn positions(tokens: &TokenStream) -> Vec<bool> {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let is = |at: usize, of: char| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == of);
    let is_self = |(at, token): (usize, &TokenTree)| match token {
        TokenTree::Ident(ident) => *ident == "self" && !(is(at + 1, ':') && is(at + 2, ':')),
        _ => false,
    };
    tokens.iter().enumerate().map(is_self).collect()
}
