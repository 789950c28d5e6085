//! Attributes of a function, those under `#[cfg_attr(…)]` too.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::{Attribute, Meta, parse_quote};

/// Calls `visit` with each attribute, and the predicates of the `cfg_attr`s that it stands under.
pub(crate) fn each(attrs: &mut [Attribute], visit: &mut impl FnMut(&mut Meta, &[TokenStream])) {
    for attr in attrs {
        each_in(&mut attr.meta, &mut Vec::new(), visit);
    }
}

fn each_in(meta: &mut Meta, when: &mut Vec<TokenStream>, visit: &mut impl FnMut(&mut Meta, &[TokenStream])) {
    let Some((predicate, mut metas)) = conditional(meta) else {
        visit(meta, when);
        return;
    };
    when.push(predicate.clone());
    for meta in &mut metas {
        each_in(meta, when, visit);
    }
    when.pop();
    set_tokens(meta, &quote!(#predicate, #(#metas),*));
}

/// The predicate and the attributes of `cfg_attr(predicate, attribute, …)`.
fn conditional(meta: &Meta) -> Option<(TokenStream, Vec<Meta>)> {
    let Meta::List(list) = meta else { return None };
    if !list.path.is_ident("cfg_attr") {
        return None;
    }
    let tokens: Vec<TokenTree> = list.tokens.clone().into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    let mut between = tokens.split(is_comma).map(|tokens| tokens.iter().cloned().collect::<TokenStream>());
    let predicate = between.next()?;
    let metas = between.filter(|tokens| !tokens.is_empty()).map(syn::parse2);
    Some((predicate, metas.collect::<syn::Result<_>>().ok()?))
}

/// What stands in an attribute's parentheses.
pub(crate) fn tokens_of(meta: &Meta) -> TokenStream {
    match meta {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    }
}

pub(crate) fn set_tokens(meta: &mut Meta, tokens: &TokenStream) {
    let path = meta.path();
    *meta = parse_quote!(#path(#tokens));
}

/// Adds an option at the end.
pub(crate) fn add_option(meta: &mut Meta, option: &TokenStream) {
    let own = tokens_of(meta);
    let ends_in_comma =
        matches!(own.clone().into_iter().last(), Some(TokenTree::Punct(last)) if last.as_char() == ',');
    let comma = (!own.is_empty() && !ends_in_comma).then(|| quote!(,));
    set_tokens(meta, &quote!(#own #comma #option));
}

/// The attributes that the entry function gets from the cached function: `cfg`, and those about lints. Not `deprecated`:
/// entries of a deprecated function are still evicted.
pub(crate) fn of_entry(attrs: &[Attribute]) -> Vec<Attribute> {
    attrs.iter().filter_map(|attr| meta_of_entry(&attr.meta)).map(|meta| parse_quote!(#[#meta])).collect()
}

fn meta_of_entry(meta: &Meta) -> Option<Meta> {
    if let Some((predicate, metas)) = conditional(meta) {
        let metas: Vec<Meta> = metas.iter().filter_map(meta_of_entry).collect();
        return (!metas.is_empty()).then(|| parse_quote!(cfg_attr(#predicate, #(#metas),*)));
    }
    let tokens = tokens_of(meta);
    match meta.path().get_ident()?.to_string().as_str() {
        "cfg" | "allow" => Some(meta.clone()),
        // The lint may not fire in the entry function, and then `expect` would warn.
        "expect" => Some(parse_quote!(allow(#tokens))),
        _ => None,
    }
}
