//! The function around its body, in each of the forms that have a future.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::parse_quote;

use super::Expander;
use super::underscore::Renamed;
use crate::syntax::item::{Body, Form, Item, pointing_at};

impl Expander<'_> {
    /// The function: `before`, then the body pinned as `body_`, then `call`.
    pub(super) fn function(&self, before: &TokenStream, call: &TokenStream) -> TokenStream {
        let mixed = Span::mixed_site();
        let Item { attrs, vis, sig, form, body, .. } = self.item;
        let span = body.span();
        let mut renamed = Renamed::new(self.item, before, &body.stream());
        let (sig, before) = (renamed.signature(sig), renamed.tokens(before.clone()));
        let wrapped = |inner: TokenStream| {
            let block = braced(inner, span);
            quote_spanned! {mixed=>
                #before
                let body_ = ::core::pin::pin!(async move #block);
                #call
            }
        };
        let hinted = |body: TokenStream| {
            let hint = self.hint();
            let Body { attrs, items, rest } = Body::of(body);
            let inner = wrapped(quote!(#items #hint #rest));
            (attrs, inner)
        };
        let facade = &self.facade;
        let body = match form {
            Form::Async => {
                let (attrs, inner) = hinted(body.stream());
                quote!(#attrs #inner)
            }
            Form::Boxed { pin, bound, inner } => {
                let inner = wrapped(inner.clone());
                quote_spanned!(mixed=> #pin(async move { #(#bound)* #inner }))
            }
            Form::Future { inner } => {
                let inner = inner.clone().unwrap_or_else(|| quote_spanned!(mixed=> (move || #body)().await));
                let (_, inner) = hinted(inner);
                quote_spanned!(mixed=> #facade::__private::later(async move { #inner }))
            }
            Form::Sync => body.stream(),
        };
        let body = braced(body, span);
        quote!(#(#attrs)* #vis #sig #body)
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
