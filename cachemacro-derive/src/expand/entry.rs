//! The function that `entry` names. It takes arguments and returns the `Entry` that the cached function uses for them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{GenericParam, Generics, Lifetime, Pat, Type, WherePredicate, parse_quote};

use super::expander::Expander;
use super::underscore::Renamed;
use crate::model::{Cached, EntryFn, TypePart};
use crate::syntax::binding::{again, again_in};
use crate::syntax::item::{Arg, Item, unwrap_type};
use crate::tokens::mentions::mentions_parameter;
use crate::values::Place;

/// The function. After a mistake (`failed`) its body is `unreachable!()`: the program does not compile anyway.
pub(crate) fn function(model: &Cached, function: &EntryFn, item: &Item, failed: bool) -> TokenStream {
    let mixed = Span::mixed_site();
    let facade = &model.facade;
    let expander = Expander::new(item, facade);
    let EntryFn { vis, name, value, .. } = function;
    let (private, imports) = (&expander.private, expander.imports(&["Kind"]));
    let receiver = function.takes_self.then(|| {
        let own = item.receiver.as_ref().map(|receiver| receiver.self_token);
        quote_spanned!(mixed=> &#own,)
    });
    let args: Vec<&Arg> = function.takes.iter().map(|at| &item.args[*at]).collect();
    let entry = expander.entry(&model.entry, Some(&model.rules), Place::Entry, Some(value));
    let mut renamed = Renamed::new(item, &entry, &TokenStream::new());
    let entry = renamed.tokens(entry);
    let mut lifetimes = Named::default();
    let parameters: Vec<Parameter> = args
        .iter()
        .enumerate()
        .map(|(at, arg)| {
            let pat = renamed.pattern(&arg.pat);
            parameter(at, arg, &pat, &item.sig.generics, &expander.facade, &mut lifetimes)
        })
        .collect();
    let inputs = parameters.iter().map(|parameter| &parameter.input);
    let lets = parameters.iter().map(|parameter| &parameter.binding);
    let mut generics = needed(&told(&item.sig.generics, &model.entry.types), &args, value);
    lifetimes.declare(&mut generics);
    let (_, _, clause) = generics.split_for_impl();
    let shape =
        (!item.is_sync()).then(|| quote_spanned!(mixed=> let shape_ = #private::PlainShape::<#value>::NEW;));
    let handle = Ident::new(if item.is_sync() { "LocalEntry" } else { "Entry" }, mixed);
    let body = if failed {
        let names = parameters.iter().map(|parameter| &parameter.name);
        quote_spanned!(mixed=> #(let _ = &#names;)* ::core::unreachable!())
    } else {
        quote_spanned!(mixed=>
            #imports
            #(#lets)*
            #shape
            #entry
            entry_
        )
    };
    let doc = format!("The cache entry of `{}`.", item.name());
    let attrs = crate::syntax::attrs::of_entry(&item.attrs);
    quote_spanned! {mixed=>
        #(#attrs)*
        #[doc = #doc]
        #[must_use]
        #vis fn #name #generics(#receiver #(#inputs),*) -> #facade::#handle<#value> #clause {
            #body
        }
    }
}

struct Parameter {
    name: Ident,
    input: TokenStream,
    binding: TokenStream,
}

/// One parameter, and the statement that binds the argument's name to a reference.
fn parameter(
    at: usize,
    arg: &Arg,
    pat: &Pat,
    generics: &Generics,
    facade: &TokenStream,
    lifetimes: &mut Named,
) -> Parameter {
    let mixed = Span::mixed_site();
    let cfg = &arg.cfg;
    let whole = match pat {
        Pat::Ident(whole) if arg.ident().is_some() => Some(&whole.ident),
        _ => None,
    };
    let name = whole.cloned().unwrap_or_else(|| format_ident!("argument_{}", at, span = mixed));
    let pat = whole.map_or_else(|| by_reference(pat), again);
    let target = match unwrap_type(&arg.ty) {
        Type::Reference(reference) => &reference.elem,
        other => other,
    };
    // A type that mentions a type parameter is taken as `&T`, so that the parameter can be inferred from the argument.
    if arg.has_impl_trait() || says_generic(target, generics) {
        let target = match target {
            Type::ImplTrait(_) | Type::TraitObject(_) => quote_spanned!(mixed=> (#target)),
            other => other.to_token_stream(),
        };
        let taken_apart = arg.ident().is_none();
        let binding =
            if taken_apart { quote_spanned!(mixed=> #(#cfg)* let #pat = #name;) } else { TokenStream::new() };
        let input = quote_spanned!(mixed=> #(#cfg)* #name: &#target);
        return Parameter { name, input, binding };
    }
    let target = lifetimes.named(target);
    Parameter {
        input: quote_spanned!(mixed=> #(#cfg)* #name: impl #facade::__private::EntryArg<#target>),
        binding: quote_spanned!(mixed=> #(#cfg)* let #pat = #facade::__private::EntryArg::arg(&#name);),
        name,
    }
}

/// Names for elided lifetimes: `impl EntryArg<Name<'_>>` does not compile in argument position.
#[derive(Default)]
struct Named(Vec<Lifetime>);

impl Named {
    fn named(&mut self, ty: &Type) -> Type {
        let mut ty = ty.clone();
        self.visit_type_mut(&mut ty);
        ty
    }

    fn declare(self, generics: &mut Generics) {
        for (at, lifetime) in self.0.into_iter().enumerate() {
            generics.params.insert(at, parse_quote!(#lifetime));
        }
    }

    fn fresh(&mut self) -> Lifetime {
        let lifetime = Lifetime::new(&format!("'argument{}", self.0.len()), Span::mixed_site());
        self.0.push(lifetime.clone());
        lifetime
    }
}

impl VisitMut for Named {
    fn visit_type_reference_mut(&mut self, reference: &mut syn::TypeReference) {
        if reference.lifetime.is_none() {
            reference.lifetime = Some(self.fresh());
        }
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.fresh();
        }
    }

    /// Elided lifetimes of these types are bound inside them.
    fn visit_type_fn_ptr_mut(&mut self, _: &mut syn::TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut syn::ParenthesizedGenericArguments) {}
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
    again_in(&pat).to_token_stream()
}

/// Whether a type or const parameter occurs in a type.
fn says_generic(ty: &Type, generics: &Generics) -> bool {
    generics.params.iter().any(|param| match param {
        GenericParam::Type(param) => mentions_parameter(ty.to_token_stream(), &param.ident),
        GenericParam::Const(param) => mentions_parameter(ty.to_token_stream(), &param.ident),
        GenericParam::Lifetime(_) => false,
    })
}

/// The generics without the types that are part of no key: no argument could tell the compiler which they are.
fn told(generics: &Generics, types: &[TypePart]) -> Generics {
    let is_gone =
        |name: &Ident| !types.iter().any(|part| matches!(part, TypePart::Type(told) if told == name));
    let gone: Vec<Ident> = generics.type_params().map(|param| param.ident.clone()).filter(is_gone).collect();
    if gone.is_empty() {
        return generics.clone();
    }
    let mut generics = generics.clone();
    let says_gone = |predicate: &WherePredicate| {
        gone.iter().any(|gone| mentions_parameter(predicate.to_token_stream(), gone))
    };
    if let Some(clause) = &mut generics.where_clause {
        clause.predicates =
            clause.predicates.iter().filter(|predicate| !says_gone(predicate)).cloned().collect();
    }
    let params = generics.params.into_iter();
    generics.params =
        params.filter(|param| !matches!(param, GenericParam::Type(of) if gone.contains(&of.ident))).collect();
    generics
}

/// The generics without the lifetimes that no parameter mentions any more.
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
            // The parameter's type is without the outer reference, so its lifetime is not mentioned.
            Type::Reference(reference) => &reference.elem,
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
