//! The function that `entry` names: arguments to `Entry`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{GenericParam, Generics, Lifetime, Pat, Type};

use crate::expand::Expander;
use crate::item::{Arg, Item, unwrap_type};
use crate::mentions::mentions;
use crate::model::{Cached, EntryFn};
use crate::values::Place;

/// The function; with a body that is never run, where compiling has failed already.
pub(crate) fn function(model: &Cached, function: &EntryFn, item: &Item, failed: bool) -> TokenStream {
    let mixed = Span::mixed_site();
    let facade = &model.facade;
    let expander = Expander::new(item, facade);
    let EntryFn { vis, name, value, .. } = function;
    let private = &expander.private;
    let receiver = function.takes_self.then(|| {
        let own = item.receiver.as_ref().map(|receiver| receiver.self_token);
        quote_spanned!(mixed=> &#own,)
    });
    let args: Vec<&Arg> = function.takes.iter().map(|at| &item.args[*at]).collect();
    let parameters: Vec<Parameter> =
        args.iter().enumerate().map(|(at, arg)| parameter(at, arg, &item.sig.generics, private)).collect();
    let inputs = parameters.iter().map(|parameter| &parameter.input);
    let lets = parameters.iter().map(|parameter| &parameter.binding);
    let generics = needed(&item.sig.generics, &args, value);
    let (_, _, clause) = generics.split_for_impl();
    let entry = expander.entry(&model.entry, Some(&model.rules), Place::Entry, Some(value));
    let body = if failed {
        let names = parameters.iter().map(|parameter| &parameter.name);
        quote_spanned!(mixed=> #(let _ = &#names;)* ::core::unreachable!())
    } else {
        quote_spanned!(mixed=> #(#lets)* #entry entry)
    };
    let doc = format!("The cache entry of [`{0}`]({1}).", item.name(), link(item));
    quote_spanned! {mixed=>
        #[doc = #doc]
        #[must_use]
        #vis fn #name #generics(#receiver #(#inputs),*) -> #facade::Entry<#value> #clause {
            #body
        }
    }
}

/// Where rustdoc finds the function.
fn link(item: &Item) -> String {
    let name = item.name();
    if item.receiver.is_some() { format!("Self::{name}") } else { name }
}

struct Parameter {
    name: Ident,
    input: TokenStream,
    binding: TokenStream,
}

/// One parameter, and the statement that makes a reference of it.
fn parameter(at: usize, arg: &Arg, generics: &Generics, private: &TokenStream) -> Parameter {
    let mixed = Span::mixed_site();
    let cfg = &arg.cfg;
    let name = arg.ident().cloned().unwrap_or_else(|| format_ident!("argument{}", at, span = mixed));
    let pat = match arg.ident() {
        Some(name) => name.to_token_stream(),
        None => by_reference(&arg.pat),
    };
    let target = match unwrap_type(&arg.ty) {
        Type::Reference(reference) if reference.mutability.is_none() => &reference.elem,
        other => other,
    };
    // Where the type is to be inferred from the argument, it must stand there as it is.
    if arg.has_impl_trait() || says_generic(target, generics) {
        let binding = match arg.ident() {
            Some(_) => TokenStream::new(),
            None => quote_spanned!(mixed=> #(#cfg)* let #pat = #name;),
        };
        let input = quote_spanned!(mixed=> #(#cfg)* #name: &#target);
        return Parameter { name, input, binding };
    }
    Parameter {
        input: quote_spanned!(mixed=> #(#cfg)* #name: impl #private::EntryArg<#target>),
        binding: quote_spanned!(mixed=> #(#cfg)* let #pat = #private::EntryArg::arg(&#name);),
        name,
    }
}

/// A pattern whose names are references to the parts.
fn by_reference(pat: &Pat) -> TokenStream {
    struct Plain;
    impl VisitMut for Plain {
        fn visit_pat_mut(&mut self, pat: &mut Pat) {
            if let Pat::Reference(reference) = pat {
                *pat = (*reference.pat).clone();
            }
            visit_mut::visit_pat_mut(self, pat);
        }

        fn visit_pat_ident_mut(&mut self, pat: &mut syn::PatIdent) {
            pat.by_ref = None;
            pat.mutability = None;
            visit_mut::visit_pat_ident_mut(self, pat);
        }
    }
    let mut pat = pat.clone();
    Plain.visit_pat_mut(&mut pat);
    pat.to_token_stream()
}

/// Whether a type or const parameter occurs in a type.
fn says_generic(ty: &Type, generics: &Generics) -> bool {
    generics.params.iter().any(|param| match param {
        GenericParam::Type(param) => mentions(ty.to_token_stream(), &param.ident.to_string()),
        GenericParam::Const(param) => mentions(ty.to_token_stream(), &param.ident.to_string()),
        _ => false,
    })
}

/// The generics without the lifetimes that nothing says any more.
fn needed(generics: &Generics, args: &[&Arg], value: &Type) -> Generics {
    struct Lifetimes(Vec<Ident>);
    impl<'ast> Visit<'ast> for Lifetimes {
        fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
            self.0.push(lifetime.ident.clone());
            visit::visit_lifetime(self, lifetime);
        }
    }
    let mut said = Lifetimes(Vec::new());
    for arg in args {
        said.visit_type(match unwrap_type(&arg.ty) {
            // The reference itself is taken off.
            Type::Reference(reference) if reference.mutability.is_none() => &reference.elem,
            other => other,
        });
    }
    said.visit_type(value);
    for param in &generics.params {
        if !matches!(param, GenericParam::Lifetime(_)) {
            said.visit_generic_param(param);
        }
    }
    let mut generics = generics.clone();
    let is_gone = |lifetime: &Ident, said: &Lifetimes| !said.0.contains(lifetime);
    let all: Vec<Ident> = generics.lifetimes().map(|param| param.lifetime.ident.clone()).collect();
    let gone: Vec<Ident> = all.into_iter().filter(|lifetime| is_gone(lifetime, &said)).collect();
    if gone.is_empty() {
        return generics;
    }
    if let Some(clause) = &mut generics.where_clause {
        let kept = clause.predicates.iter().filter(|predicate| {
            let mut says = Lifetimes(Vec::new());
            says.visit_where_predicate(predicate);
            !says.0.iter().any(|lifetime| gone.contains(lifetime))
        });
        clause.predicates = kept.cloned().collect();
    }
    generics.params = generics
        .params
        .into_iter()
        .filter(|param| match param {
            GenericParam::Lifetime(param) => !gone.contains(&param.lifetime.ident),
            _ => true,
        })
        .collect();
    generics
}
