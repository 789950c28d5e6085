//! What `skip` leaves out beside the arguments themselves: the type parameters that only they bring in.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{GenericParam, WherePredicate};

use crate::syntax::item::{Arg, Item};
use crate::tokens::mentions::mentions_parameter;

/// Whether an argument is skipped: all of the names that it binds are, and there are some.
pub(super) fn is_skipped(arg: &Arg, skipped: &[Ident]) -> bool {
    let is_among = |name: &Ident| skipped.iter().any(|one| one.unraw() == name.unraw());
    !arg.names.is_empty() && arg.names.iter().all(is_among)
}

/// Whether an argument's type differs between the instances of its function.
pub(super) fn is_generic(arg: &Arg, item: &Item) -> bool {
    let ty = arg.ty.to_token_stream();
    arg.has_impl_trait()
        || item.sig.generics.type_params().any(|param| mentions_parameter(ty.clone(), &param.ident))
}

/// The type parameters that are part of no key, because nothing but skipped arguments mentions them: `F` of a skipped
/// `ask: F`, and where `F: Fn() -> Fut`, `Fut` too. One that the return type, another argument or the bound of another
/// parameter mentions tells instances apart still.
pub(super) fn parameters(item: &Item, skipped: &[Ident]) -> Vec<Ident> {
    let mut gone: Vec<Ident> = Vec::new();
    if skipped.is_empty() {
        return gone;
    }
    let (out, kept): (Vec<&Arg>, Vec<&Arg>) = item.args.iter().partition(|arg| is_skipped(arg, skipped));
    let said = |args: &[&Arg], name: &Ident| {
        args.iter().any(|arg| mentions_parameter(arg.ty.to_token_stream(), name))
    };
    let is_needed =
        |name: &Ident| said(&kept, name) || mentions_parameter(item.sig.output.to_token_stream(), name);
    let bounds = bounds(item);
    loop {
        let is_new = |name: &&Ident| {
            let bound = bounds.iter().any(|(of, bound)| {
                gone.iter().any(|gone| mentions_parameter(of.clone(), gone))
                    && mentions_parameter(bound.clone(), name)
            });
            !gone.contains(name) && !is_needed(name) && (said(&out, name) || bound)
        };
        let new: Vec<Ident> =
            item.sig.generics.type_params().map(|param| &param.ident).filter(is_new).cloned().collect();
        if new.is_empty() {
            break;
        }
        gone.extend(new);
    }
    loop {
        let before = gone.len();
        let told = |name: &Ident, gone: &[Ident]| {
            bounds.iter().any(|(of, bound)| {
                mentions_parameter(bound.clone(), name)
                    && !gone.iter().any(|gone| mentions_parameter(of.clone(), gone))
            })
        };
        let all = gone.clone();
        gone.retain(|name| !told(name, &all));
        if gone.len() == before {
            return gone;
        }
    }
}

/// All bounds of type parameters: what is bound, and by what.
fn bounds(item: &Item) -> Vec<(TokenStream, TokenStream)> {
    let generics = &item.sig.generics;
    let inline = generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some((param.ident.to_token_stream(), param.bounds.to_token_stream())),
        _ => None,
    });
    let clause = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let clause = clause.filter_map(|predicate| match predicate {
        WherePredicate::Type(of) => Some((of.bounded_ty.to_token_stream(), of.bounds.to_token_stream())),
        _ => None,
    });
    inline.chain(clause).collect()
}
