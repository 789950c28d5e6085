//! `#[cache_config]`: defaults for the attributes inside an `impl` or trait.
//!
//! The attributes inside are rewritten before they are expanded: each gets the defaults that it does not override, as
//! `__inherited(…)`. The tokens keep their spans, so that a mistake in a default is underlined at the default. In a
//! trait's `impl`, the functions that `entry` names move into an inherent `impl`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::visit_mut::{self, VisitMut};
use syn::{GenericParam, Generics, ImplItem, Item as SynItem, ItemImpl, Meta, Path, TraitItem, Type};

use crate::check::overlap::KeyShapes;
use crate::syntax::attrs::{self, add_option, set_tokens, tokens_of};
use crate::syntax::item::{Item, unwrap_type};
use crate::syntax::options::{self, Given, Macro, Options};
use crate::tokens::code::code;
use crate::tokens::errors::Errors;
use crate::tokens::mentions::mentions_parameter;
use crate::{check, expand};

/// Rewrites an `impl` or trait.
pub(crate) fn rewrite(options: TokenStream, tokens: TokenStream) -> TokenStream {
    let errors = Errors::default();
    let defaults = options::parse(Macro::Config, options, &errors);
    let mut keys = KeyShapes::default();
    let item = match syn::parse2::<SynItem>(tokens.clone()) {
        Ok(SynItem::Impl(mut item)) => {
            let inherent = rewrite_impl(&mut item, &defaults, &mut keys, &errors);
            quote!(#item #inherent)
        }
        Ok(SynItem::Trait(mut item)) => {
            for member in &mut item.items {
                let TraitItem::Fn(method) = member else { continue };
                attrs::each(&mut method.attrs, &mut |meta, _| inherit(meta, &defaults));
                for one in annotated(&mut method.attrs.clone(), &*method) {
                    keys.look_at(&one.options, &one.function, &errors);
                }
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

/// Rewrites the attributes of an `impl`. Returns the entry functions that move out of it, if it is a trait's.
fn rewrite_impl(
    item: &mut ItemImpl,
    defaults: &Options,
    keys: &mut KeyShapes,
    errors: &Errors,
) -> TokenStream {
    let around = item.trait_.as_ref().map(|(path, _)| TraitImpl {
        path: path.clone(),
        self_ty: (*item.self_ty).clone(),
        generics: item.generics.clone(),
        attrs: attrs::of_entry(&item.attrs),
    });
    let mut moved = Vec::new();
    for member in &mut item.items {
        let ImplItem::Fn(method) = member else { continue };
        attrs::each(&mut method.attrs, &mut |meta, _| {
            inherit(meta, defaults);
            moved.extend(around.as_ref().and_then(|around| around.moved(meta, errors)));
        });
    }
    let mut inherent = TokenStream::new();
    for member in &mut item.items {
        let ImplItem::Fn(method) = member else { continue };
        if let Some(around) = &around {
            attrs::each(&mut method.attrs, &mut |meta, _| around.mark(meta, &moved));
        }
        for one in annotated(&mut method.attrs.clone(), &*method) {
            keys.look_at(&one.options, &one.function, errors);
            inherent.extend(around.as_ref().and_then(|around| around.moved_entry(&one)));
        }
    }
    inherent
}

/// Adds the defaults that apply to an attribute.
fn inherit(meta: &mut Meta, defaults: &Options) {
    let Some(this) = Macro::of(meta.path()) else { return };
    let options = options::parse(this, tokens_of(meta), &Errors::default());
    let inherited = defaults.iter().filter(|opt| applies(&opt.name.to_string(), this, &options));
    let inherited: Vec<TokenStream> = inherited.map(options::Opt::source).collect();
    if !inherited.is_empty() {
        add_option(meta, &quote!(__inherited(#(#inherited),*)));
    }
}

/// Whether a default applies to this attribute. Most do not apply beside `entry`, because the entry has them itself.
fn applies(name: &str, this: Macro, options: &Options) -> bool {
    if !options::takes(this, name) || options.has(name) {
        return false;
    }
    match this {
        Macro::Evict | Macro::WriteBehind if name == "tags" => false,
        Macro::Evict if name == "prefix" => options.has("key") || options.has("all"),
        Macro::Evict if name == "cache" => ["tags", "key", "all"].iter().any(|other| options.has(other)),
        Macro::Put if options.has("entry") => {
            matches!(name, "condition" | "crate" | "on_err" | "on_evict_error")
        }
        Macro::Cached | Macro::Put if name == "none_ttl" => {
            !options.has("cache_none") || options.flag("cache_none")
        }
        Macro::Cached | Macro::Put if name == "cache_none" => !options.has("none_ttl"),
        Macro::Cached if name == "err_ttl" => !options.has("cache_err") || options.flag("cache_err"),
        Macro::Cached if name == "cache_err" => !options.has("err_ttl"),
        _ => true,
    }
}

/// One `#[cached]` on a function.
struct Annotated {
    options: Options,
    function: Item,
    /// The predicates of the `cfg_attr`s that it stands under.
    when: Vec<TokenStream>,
}

/// The `#[cached]` attributes of a function. Mistakes in them are ignored here: their own expansion reports them.
fn annotated(attrs: &mut [syn::Attribute], function: impl ToTokens) -> Vec<Annotated> {
    let mut found = Vec::new();
    attrs::each(attrs, &mut |meta, when| {
        if Macro::of(meta.path()) != Some(Macro::Cached) {
            return;
        }
        let options = options::parse(Macro::Cached, tokens_of(meta), &Errors::default());
        if let Ok(function) = syn::parse2::<Item>(function.to_token_stream()) {
            found.push(Annotated { options, function, when: when.to_vec() });
        }
    });
    found
}

fn prefix_of(options: &Options) -> Option<String> {
    options.expr("prefix").map(|prefix| prefix.to_token_stream().to_string())
}

/// The `impl` of a trait. It has no place for the functions that `entry` names.
struct TraitImpl {
    path: Path,
    self_ty: Type,
    generics: Generics,
    attrs: Vec<syn::Attribute>,
}

impl TraitImpl {
    /// The prefix of an attribute whose entry function is moved. Reports where it cannot be moved.
    fn moved(&self, meta: &mut Meta, errors: &Errors) -> Option<String> {
        Macro::of(meta.path()).filter(|this| *this == Macro::Cached)?;
        let options = options::parse(Macro::Cached, tokens_of(meta), &Errors::default());
        let Given::Entry(_, name) = &options.get("entry")?.value else { return None };
        let of = code(&self.self_ty);
        let message = if let Some(param) = self.loose_parameter() {
            format!(
                "`{param}` is a parameter of the trait only, so there is no inherent function of `{of}` for this entry: \
                 leave `entry` out"
            )
        } else if let Some(foreign) = foreign(&self.self_ty) {
            format!(
                "`entry` makes an inherent function of `{of}`, and {foreign} can have none here: put the trait on a type of \
                 your own, or leave `entry` out"
            )
        } else {
            return prefix_of(&options);
        };
        errors.push(name.span(), message);
        set_tokens(meta, &options::TAKEN.parse().unwrap_or_default());
        None
    }

    /// Tells an attribute which trait it is in, so that its keys are those of the entry function, which is outside of the
    /// trait. Attributes that write by prefix and key to such an entry are told too.
    fn mark(&self, meta: &mut Meta, moved: &[String]) {
        let Some(this) = Macro::of(meta.path()) else { return };
        let options = options::parse(this, tokens_of(meta), &Errors::default());
        let has_entry = this == Macro::Cached && options.has("entry");
        if has_entry || prefix_of(&options).is_some_and(|prefix| moved.contains(&prefix)) {
            let of_trait = self.path.to_token_stream().to_string();
            let at = syn::spanned::Spanned::span(meta.path()).unwrap();
            let (line, column) = (at.line(), at.column());
            add_option(meta, &quote!(__of_trait(#of_trait, #line, #column)));
        }
    }

    /// A type or const parameter of the `impl` that its type does not mention, so that an inherent `impl` cannot have it.
    fn loose_parameter(&self) -> Option<&syn::Ident> {
        let names = self.generics.params.iter().filter_map(|param| match param {
            GenericParam::Type(param) => Some(&param.ident),
            GenericParam::Const(param) => Some(&param.ident),
            GenericParam::Lifetime(_) => None,
        });
        let self_ty = self.self_ty.to_token_stream();
        names.into_iter().find(|name| !mentions_parameter(self_ty.clone(), name))
    }

    /// The function that `entry` names, in an inherent `impl`.
    fn moved_entry(&self, site: &Annotated) -> Option<TokenStream> {
        let Annotated { options, function, when } = site;
        options.of_trait()?;
        let model = check::cached(options, function, &Errors::default());
        let entry = expand::entry_function(&model, function)?;
        let entry = self.with_associated_types(entry);
        let TraitImpl { self_ty, generics, attrs, .. } = self;
        let (params, _, clause) = generics.split_for_impl();
        // If the type is defined in another crate, the compiler's error underlines these tokens.
        let at = model.function.as_ref()?.name.span();
        let self_ty: TokenStream =
            self_ty.to_token_stream().into_iter().map(|token| located_at(token, at)).collect();
        Some(quote_spanned!(at=> #(#attrs)* #(#[cfg(#when)])* impl #params #self_ty #clause { #entry }))
    }

    /// Writes `Self::Id` as `<Self as Trait>::Id`, because associated types have no short form in an inherent `impl`.
    fn with_associated_types(&self, function: TokenStream) -> TokenStream {
        struct Associated<'a>(&'a Path);
        impl VisitMut for Associated<'_> {
            fn visit_type_path_mut(&mut self, ty: &mut syn::TypePath) {
                visit_mut::visit_type_path_mut(self, ty);
                let is_own = ty.path.segments.first().is_some_and(|first| first.ident == "Self");
                if ty.qself.is_none() && is_own && ty.path.segments.len() > 1 {
                    let of_trait = self.0;
                    let rest = ty.path.segments.iter().skip(1);
                    *ty = syn::parse_quote!(<Self as #of_trait>::#(#rest)::*);
                }
            }
        }
        match syn::parse2::<syn::ImplItemFn>(function.clone()) {
            Ok(mut function) => {
                Associated(&self.path).visit_impl_item_fn_mut(&mut function);
                function.into_token_stream()
            }
            Err(_) => function,
        }
    }
}

/// Names a type that surely is foreign, such as `Arc<…>`, and so can have no inherent functions; by its spelling.
fn foreign(ty: &Type) -> Option<String> {
    const HOLDERS: &[&str] = &["Arc", "Box", "Option", "Pin", "Rc", "Vec"];
    match unwrap_type(ty) {
        Type::Path(path) => {
            let last = path.path.segments.last().filter(|last| !last.arguments.is_none())?;
            HOLDERS.iter().find(|holder| last.ident == holder).map(|holder| format!("`{holder}`"))
        }
        Type::Reference(_) => Some("a reference".to_owned()),
        Type::Tuple(_) => Some("a tuple".to_owned()),
        Type::Array(_) | Type::Slice(_) => Some("an array".to_owned()),
        _ => None,
    }
}

fn located_at(mut token: TokenTree, at: Span) -> TokenTree {
    token.set_span(token.span().located_at(at));
    token
}
