//! The user's expressions, made to fit where they are put.
//!
//! In the function arguments are what they are; in the function that `entry` generates they are references, so names
//! become `(*name)`. Either way a name that stands bare in a tuple, or in the call of an `entry` function, is
//! borrowed, so that the body can still move it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, parse_quote, parse_quote_spanned};

use crate::item::{Item, names_in, pointing_at};
use crate::mentions::mentions;
use crate::model::{Let, Source, Value};

/// Where an expression is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the function's body.
    Function,
    /// Into the function that `entry` generates.
    Entry,
}

/// A reference to something, underlined like it.
pub(crate) fn reference(to: impl ToTokens) -> TokenStream {
    let span = pointing_at(&to);
    let to = to.to_token_stream();
    quote_spanned!(span=> &#to)
}

/// A reference to an argument, of the same type wherever it is.
pub(crate) fn argument(name: &Ident, item: &Item, place: Place) -> TokenStream {
    match place {
        Place::Entry if !item.is_reference(name) => name.to_token_stream(),
        _ => reference(name),
    }
}

/// The value as one expression. `loaded` is what closures over the loaded value get.
pub(crate) fn value(value: &Value, item: &Item, place: Place, loaded: Option<&Ident>) -> TokenStream {
    let bound: Vec<Ident> = value.lets.iter().flat_map(|bound| names_in(&bound.pat)).collect();
    let expr = fitted(&value.expr, item, place, &bound, value.borrows);
    let lets: Vec<&Let> = value.lets.iter().collect();
    let mixed = Span::mixed_site();
    if lets.is_empty() && value.ty.is_none() && !value.returns {
        return expr.to_token_stream();
    }
    let lets = bindings(&lets, item, place, loaded);
    match (&value.ty, value.returns) {
        (Some(ty), true) => quote_spanned!(mixed=> (|| -> #ty { #lets #expr })()),
        (None, true) => quote_spanned!(mixed=> (|| { #lets #expr })()),
        (Some(ty), false) => quote_spanned!(mixed=> { #lets let value_: #ty = #expr; value_ }),
        (None, false) => quote_spanned!(mixed=> { #lets #expr }),
    }
}

/// All bindings at once, because one may have the name of what another stands for.
fn bindings(lets: &[&Let], item: &Item, place: Place, loaded: Option<&Ident>) -> TokenStream {
    let mixed = Span::mixed_site();
    let from: Vec<TokenStream> = lets
        .iter()
        .map(|bound| match bound.from {
            Source::Arg(at) => {
                item.args[at].ident().map(|name| argument(name, item, place)).unwrap_or_default()
            }
            Source::Loaded => loaded.map(ToTokens::to_token_stream).unwrap_or_default(),
        })
        .collect();
    let pats = lets.iter().map(|bound| &bound.pat);
    if let ([bound], [from]) = (lets, from.as_slice()) {
        let pat = &bound.pat;
        let ty = bound.ty.as_ref().map(|ty| quote_spanned!(mixed=> : #ty));
        return quote_spanned!(mixed=> let #pat #ty = #from;);
    }
    if lets.is_empty() {
        return TokenStream::new();
    }
    let types =
        lets.iter().map(|bound| bound.ty.as_ref().map_or_else(|| quote!(_), ToTokens::to_token_stream));
    let annotation =
        lets.iter().any(|bound| bound.ty.is_some()).then(|| quote_spanned!(mixed=> : (#(#types),*)));
    quote_spanned!(mixed=> let (#(#pats),*) #annotation = (#(#from),*);)
}

/// The expression with names as the place needs them.
pub(crate) fn fitted(expr: &Expr, item: &Item, place: Place, bound: &[Ident], borrows: bool) -> Expr {
    let mut expr = expr.clone();
    let names: Vec<&Ident> = item.names().filter(|name| !bound.contains(name)).collect();
    if borrows {
        borrow_bare(&mut expr, &names);
    }
    if place == Place::Entry {
        let mut local = Locals(Vec::new());
        local.visit_expr_mut(&mut expr);
        let owned: Vec<&Ident> = names.into_iter().filter(|name| !item.is_reference(name)).collect();
        Dereference { names: &owned, locals: &local.0 }.visit_expr_mut(&mut expr);
    }
    expr
}

fn is_bare<'a>(expr: &'a Expr, names: &[&Ident]) -> Option<&'a Ident> {
    match expr {
        Expr::Path(path) => path.path.get_ident().filter(|name| names.contains(name)),
        Expr::Group(group) => is_bare(&group.expr, names),
        _ => None,
    }
}

/// Borrows the arguments among the elements of a tuple or array.
fn borrow_bare(expr: &mut Expr, names: &[&Ident]) {
    let elements = match expr {
        Expr::Tuple(tuple) => &mut tuple.elems,
        Expr::Array(array) => &mut array.elems,
        Expr::Paren(paren) => return borrow_bare(&mut paren.expr, names),
        Expr::Group(group) => return borrow_bare(&mut group.expr, names),
        _ => return,
    };
    for element in elements {
        borrow_if_bare(element, names);
        borrow_bare(element, names);
    }
}

fn borrow_if_bare(expr: &mut Expr, names: &[&Ident]) {
    if let Some(name) = is_bare(expr, names) {
        let span = pointing_at(name);
        *expr = parse_quote_spanned!(span=> &#name);
    }
}

/// Borrows the bare arguments of the call that gives an entry.
pub(crate) fn borrow_in_call(expr: &Expr, item: &Item) -> Expr {
    let names: Vec<&Ident> = item.names().collect();
    let mut expr = expr.clone();
    let call = match &mut expr {
        Expr::Call(call) => Some(&mut call.args),
        Expr::MethodCall(call) => Some(&mut call.args),
        _ => None,
    };
    for argument in call.into_iter().flatten() {
        borrow_if_bare(argument, &names);
    }
    expr
}

/// Names that the expression itself binds.
struct Locals(Vec<Ident>);

impl VisitMut for Locals {
    fn visit_pat_ident_mut(&mut self, pat: &mut syn::PatIdent) {
        self.0.push(pat.ident.clone());
        visit_mut::visit_pat_ident_mut(self, pat);
    }
}

/// `id` to `(*id)`.
struct Dereference<'a> {
    names: &'a [&'a Ident],
    locals: &'a [Ident],
}

impl VisitMut for Dereference<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        if let Expr::Reference(reference) = expr
            && reference.mutability.is_none()
            && let Some(name) = is_bare(&reference.expr, self.names)
            && !self.locals.contains(name)
        {
            // `&*id` is `id`.
            *expr = parse_quote!(#name);
            return;
        }
        if let Some(name) = is_bare(expr, self.names)
            && !self.locals.contains(name)
        {
            let span = pointing_at(name);
            *expr = parse_quote_spanned!(span=> (*#name));
            return;
        }
        visit_mut::visit_expr_mut(self, expr);
    }

    /// `f(|x| …)` and the like bind names of their own, see [`Locals`]; a macro's tokens are left alone.
    fn visit_macro_mut(&mut self, _: &mut syn::Macro) {}
}

/// The arguments that a value mentions, those apart whose names its closure binds itself.
pub(crate) fn arguments_in(value: &Value, item: &Item) -> Vec<Ident> {
    let bound: Vec<Ident> = value.lets.iter().flat_map(|bound| names_in(&bound.pat)).collect();
    let tokens = value.expr.to_token_stream();
    arguments_said(&tokens, item).into_iter().filter(|name| !bound.contains(name)).collect()
}

/// The arguments that tokens mention.
pub(crate) fn arguments_said(tokens: &TokenStream, item: &Item) -> Vec<Ident> {
    item.names().filter(|name| mentions(tokens.clone(), &name.to_string())).cloned().collect()
}

/// The statements that clone what is mentioned when the body has moved the arguments.
pub(crate) fn clones(names: &[Ident]) -> TokenStream {
    let mixed = Span::mixed_site();
    let each_once = names.iter().enumerate().filter(|(at, name)| !names[..*at].contains(name));
    each_once
        .map(|(_, name)| {
            let from = reference(name);
            quote_spanned!(mixed=> let #name = ::core::clone::Clone::clone(#from);)
        })
        .collect()
}
