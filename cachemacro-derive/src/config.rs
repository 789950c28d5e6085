//! `#[cache_config]`: defaults for the attributes inside an `impl` or trait.
//!
//! The attributes inside are rewritten before they are expanded: what they do not say themselves is added as
//! `__inherited(…)`, whose tokens keep their place, so that a mistake in a default is underlined where the default
//! stands. A function that `entry` names in a trait's `impl` moves into an inherent one.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Attribute, ImplItem, Item as SynItem, ItemImpl, Meta, TraitItem, parse_quote};

use crate::errors::Errors;
use crate::item::Item;
use crate::mentions::mentions;
use crate::options::{self, Macro, Options, Value};
use crate::sites::Sites;
use crate::{check, expand};

/// Rewrites an `impl` or trait.
pub(crate) fn rewrite(options: TokenStream, tokens: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let defaults = options::parse(Macro::Config, options, &errors);
    let mut sites = Sites::default();
    let item = match syn::parse2::<SynItem>(tokens.clone()) {
        Ok(SynItem::Impl(mut item)) => {
            let mut inherent = TokenStream::new();
            for at in 0..item.items.len() {
                let ImplItem::Fn(method) = &mut item.items[at] else { continue };
                inherit(&mut method.attrs, &defaults);
                look_at(&mut sites, &method.attrs, &*method, &errors);
                inherent.extend(move_entry(&mut item, at, &errors));
            }
            quote!(#item #inherent)
        }
        Ok(SynItem::Trait(mut item)) => {
            for member in &mut item.items {
                let TraitItem::Fn(method) = member else { continue };
                inherit(&mut method.attrs, &defaults);
                look_at(&mut sites, &method.attrs, &*method, &errors);
            }
            item.into_token_stream()
        }
        Ok(_) => {
            let span = tokens.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span());
            errors.push(
                span,
                "`#[cache_config]` goes on an `impl` or a trait, and sets defaults for the attributes inside",
            );
            tokens
        }
        Err(error) => {
            errors.add(error);
            tokens
        }
    };
    let errors = errors.into_tokens();
    quote!(#errors #item)
}

/// Adds the defaults that apply to each attribute.
fn inherit(attrs: &mut [Attribute], defaults: &Options) {
    for attr in attrs {
        let Some(this) = Macro::of(attr.path()) else { continue };
        let own = tokens_of(attr);
        let options = options::parse(this, own.clone(), &Errors::default());
        let inherited = defaults.iter().filter(|opt| applies(&opt.name.to_string(), this, &options));
        let inherited: Vec<TokenStream> = inherited.map(options::Opt::source).collect();
        if inherited.is_empty() {
            continue;
        }
        let path = attr.path();
        let comma = (!own.is_empty() && !ends_in_comma(&own)).then(|| quote!(,));
        let rewritten: Attribute = parse_quote!(#[#path(#own #comma __inherited(#(#inherited),*))]);
        *attr = rewritten;
    }
}

/// Compares the keys of a function with those before it.
fn look_at(sites: &mut Sites, attrs: &[Attribute], method: impl ToTokens, errors: &Errors) {
    for attr in attrs.iter().filter(|attr| Macro::of(attr.path()) == Some(Macro::Cached)) {
        // Mistakes are reported when the attribute itself is expanded.
        let options = options::parse(Macro::Cached, tokens_of(attr), &Errors::default());
        if let Ok(item) = syn::parse2::<Item>(method.to_token_stream()) {
            sites.look_at(&options, &item, errors);
        }
    }
}

/// Whether a default is for this attribute. With `entry`, the entry says almost everything.
fn applies(name: &str, this: Macro, options: &Options) -> bool {
    if !options::takes(this, name) || options.has(name) {
        return false;
    }
    match this {
        Macro::Evict if name == "tags" => false,
        Macro::Evict if name == "prefix" => options.has("key") || options.has("all"),
        Macro::Evict if name == "cache" => ["tags", "key", "all"].iter().any(|other| options.has(other)),
        Macro::Put if options.has("entry") => matches!(name, "crate" | "on_err" | "on_evict_error"),
        Macro::Cached if name == "none_ttl" => !options.has("cache_none") || options.flag("cache_none"),
        _ => true,
    }
}

fn tokens_of(attr: &Attribute) -> TokenStream {
    match &attr.meta {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    }
}

fn ends_in_comma(tokens: &TokenStream) -> bool {
    matches!(tokens.clone().into_iter().last(), Some(proc_macro2::TokenTree::Punct(last)) if last.as_char() == ',')
}

/// Moves the function that `entry` names out of a trait's `impl`, which has no place for it.
fn move_entry(item: &mut ItemImpl, at: usize, errors: &Errors) -> Option<TokenStream> {
    let (path, _) = item.trait_.as_ref()?;
    let of_trait = path.to_token_stream().to_string();
    let ImplItem::Fn(method) = &mut item.items[at] else { return None };
    let attr = method.attrs.iter().position(|attr| Macro::of(attr.path()) == Some(Macro::Cached))?;
    let own = tokens_of(&method.attrs[attr]);
    // Mistakes are reported when the attribute itself is expanded.
    let ignored = Errors::default();
    let mut options = options::parse(Macro::Cached, own.clone(), &ignored);
    let Some(Value::Entry(_, name)) = options.get("entry").map(|opt| &opt.value) else { return None };
    let (self_ty, generics) = (item.self_ty.to_token_stream(), &item.generics);
    let loose = generics.type_params().find(|param| !mentions(self_ty.clone(), &param.ident.to_string()));
    if let Some(param) = loose {
        let message = format!(
            "`{}` is a parameter of the trait only, so there is no inherent function of `{self_ty}` for this entry: \
             leave `entry` out",
            param.ident
        );
        errors.push(name.span(), message);
        method.attrs.remove(attr);
        return None;
    }
    options.set_of_trait(of_trait.clone());
    let function: Item = syn::parse2(method.to_token_stream()).ok()?;
    let model = check::cached(&options, &function, &ignored);
    let entry = expand::entry_function(&model, &function)?;
    let path = method.attrs[attr].path();
    let comma = (!own.is_empty() && !ends_in_comma(&own)).then(|| quote!(,));
    method.attrs[attr] = parse_quote!(#[#path(#own #comma __of_trait(#of_trait))]);
    let (params, _, clause) = generics.split_for_impl();
    Some(quote!(impl #params #self_ty #clause { #entry }))
}
