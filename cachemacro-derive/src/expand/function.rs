//! The function around its body, in each of its forms.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::parse_quote;

use super::expander::Expander;
use super::underscore::Renamed;
use crate::syntax::item::{Arg, Body, Form, Item, has_impl_trait, pointing_at};

/// How the call gets the body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Handed {
    Pinned,
    Owned,
}

impl Expander<'_> {
    /// The function: `before`, then the body as `body_`, pinned or not, then `call`, awaited; without a future, the body is a
    /// closure. It says `return`, because
    /// `clippy::implicit_return` would ask it of the user.
    pub(super) fn function(&self, before: &TokenStream, call: &TokenStream, handed: Handed) -> TokenStream {
        let mixed = Span::mixed_site();
        let Item { attrs, vis, sig, form, body, .. } = self.item;
        let span = body.span();
        let mut renamed = Renamed::new(self.item, before, &body.stream());
        let (sig, before) = (renamed.signature(sig), renamed.tokens(before.clone()));
        // `pin!` has the body's span: clippy overlooks the `unsafe` of a `pin!` that stands in the user's source only, and
        // would report `unsafe_derive_deserialize` for the type that the method is on.
        let wrapped = |inner: TokenStream| {
            let block = braced(inner, span);
            let block = quote_spanned!(mixed=> async move #block);
            let pinned = match handed {
                Handed::Pinned => quote_spanned!(span=> ::core::pin::pin!(#block)),
                Handed::Owned => block,
            };
            quote_spanned! {mixed=>
                #before
                let body_ = #pinned;
                return #call.await
            }
        };
        let reads = self.reads();
        let hinted = |body: TokenStream| {
            let hint = self.hint();
            let Body { attrs, items, rest } = Body::of(body);
            let inner = wrapped(quote!(#items #hint #reads #rest));
            (attrs, inner)
        };
        let facade = &self.facade;
        let body = match form {
            Form::Async => {
                let (attrs, inner) = hinted(body.stream());
                quote!(#attrs #inner)
            }
            Form::Boxed { pin, bound, inner } => {
                let inner = wrapped(quote!(#reads #inner));
                quote_spanned!(mixed=> return #pin(async move { #(#bound)* #inner }))
            }
            Form::Future { inner } => {
                let made = || quote_spanned!(mixed=> (move || { #reads #body })().await);
                let (_, inner) = hinted(inner.clone().unwrap_or_else(made));
                quote_spanned!(mixed=> return #facade::__private::later(async move { #inner }))
            }
            Form::Sync => {
                let Body { attrs, items, rest } = Body::of(body.stream());
                let ret = self.closure_output();
                let block = braced(quote!(#items #reads #rest), span);
                quote_spanned! {mixed=>
                    #attrs
                    #before
                    let body_ = move || #ret #block;
                    return #call;
                }
            }
        };
        let body = braced(body, span);
        quote!(#(#attrs)* #vis #sig #body)
    }

    /// What a closure around the body says that it returns, where that has a name.
    fn closure_output(&self) -> TokenStream {
        let ret = &self.item.ret;
        if has_impl_trait(ret) { TokenStream::new() } else { quote_spanned!(pointing_at(ret)=> -> #ret) }
    }

    /// Statements of the block that the body is in: they read the arguments that the body may change. Otherwise, where it
    /// changes one before it reads it, the compiler would say that the value was captured for nothing.
    fn reads(&self) -> TokenStream {
        let mixed = Span::mixed_site();
        let own = self.item.changes_self().map(|own| quote_spanned!(mixed=> let _ = &#own;));
        let read = |arg: &Arg| {
            let (cfg, names) = (&arg.cfg, arg.changes());
            let cfg = quote!(#(#cfg)*);
            quote_spanned!(mixed=> #(#cfg let _ = &#names;)*)
        };
        own.into_iter().chain(self.item.args.iter().map(read)).collect()
    }

    /// The first statement of the async block, after its leading items. It tells the compiler the block's type, so that `?`
    /// and coercions work in it as they do in a function.
    fn hint(&self) -> TokenStream {
        let span = pointing_at(&self.item.ret);
        let facade = &self.facade;
        let ret = self.item.ret_with(&parse_quote!(_));
        quote_spanned! {span=>
            if let ::core::option::Option::Some(returned_) = #facade::__private::hint::<#ret>() {
                return returned_;
            }
        }
    }
}

fn braced(inner: TokenStream, span: Span) -> TokenTree {
    let mut block = Group::new(Delimiter::Brace, inner);
    block.set_span(span);
    TokenTree::Group(block)
}
