//! A call whose question may be answered with the answer to another one.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::Expr;

use super::expander::Expander;
use super::key::template_chain;
use crate::model::{EntryParts, Key, Similar, Tag};
use crate::syntax::item::{Item, pointing_at};
use crate::syntax::template::Part;
use crate::values::{self, Place, arguments_in, arguments_said, reference};

impl Expander<'_> {
    /// `.with_similar(…)`, before the body takes the arguments.
    pub(super) fn similar(&self, parts: &EntryParts, place: Place) -> Option<TokenStream> {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let similar = parts.similar.as_ref()?;
        let Similar { question, threshold, embedder, confirm } = similar;
        let text = values::argument(question, self.item, place);
        let frame = self.frame(parts, question, place);
        let threshold = values::fitted(threshold, self.item, place, &[], false);
        let embedder = embedder.as_ref().map(|embedder| {
            let (at, embedder) = (pointing_at(embedder), self.reference_to(embedder, place));
            quote_spanned!(at=> .embedder(#embedder))
        });
        let confirm = confirm.as_ref().map(|confirm| {
            let at = pointing_at(confirm);
            let called = quote_spanned!(at=> #confirm(asked_, stored_, value_));
            quote_spanned!(mixed=> .confirm(|asked_, stored_, value_| #private::boxed(#called)))
        });
        Some(quote_spanned! {mixed=>
            .with_similar(|| #private::Similar::new(#text, #frame, #threshold) #embedder #confirm)
        })
    }

    /// The key, with room for any question.
    fn frame(&self, parts: &EntryParts, question: &Ident, place: Place) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let begin = self.key_begun(parts, place);
        let room = |write: TokenStream| quote_spanned!(mixed=> .question(|#question: &::core::primitive::str, key_| key_ #write));
        let chain: TokenStream = match &parts.key {
            Key::Template(template) => {
                let fitted = values::template(template, self.item, place);
                template
                    .iter()
                    .zip(&fitted)
                    .map(|(part, fitted)| match part {
                        Part::Hole(hole) if says(&hole.expr, question, self.item) => {
                            room(template_chain(std::slice::from_ref(part)))
                        }
                        _ => {
                            let chain = template_chain(std::slice::from_ref(fitted));
                            quote_spanned!(mixed=> .then(|key_| key_ #chain))
                        }
                    })
                    .collect()
            }
            Key::Args(args) => args
                .iter()
                .map(|(at, name)| {
                    if name == question {
                        return room(quote_spanned!(mixed=> .arg(#question)));
                    }
                    let cfg = &self.item.args[*at].cfg;
                    let argument = values::argument(name, self.item, place);
                    quote_spanned!(mixed=> .then(|key_| {
                        #(#cfg)*
                        let key_ = key_.arg(#argument);
                        key_
                    }))
                })
                .collect(),
            // The checks refuse it.
            Key::Value(_) => TokenStream::new(),
        };
        quote_spanned!(mixed=> { #begin #private::Framed::new(key_) #chain })
    }

    /// A reference to what an expression gives.
    pub(super) fn reference_to(&self, expr: &Expr, place: Place) -> TokenStream {
        let named = values::is_place(expr, self.item).then(|| values::borrowed(expr));
        match values::fitted(named.as_ref().unwrap_or(expr), self.item, place, &[], false) {
            Expr::Reference(named) => named.to_token_stream(),
            other => reference(&other),
        }
    }
}

/// The tags that are the same for all questions, and the others.
pub(super) fn apart(parts: &EntryParts, item: &Item) -> (Vec<Tag>, Vec<Tag>) {
    let Some(similar) = &parts.similar else { return (parts.tags.clone(), Vec::new()) };
    let depends = |tag: &Tag| match tag {
        Tag::Template(template) => template
            .iter()
            .any(|part| matches!(part, Part::Hole(hole) if says(&hole.expr, &similar.question, item))),
        Tag::One(value) | Tag::Many(value) => arguments_in(value, item).contains(&similar.question),
    };
    parts.tags.iter().cloned().partition(|tag| !depends(tag))
}

fn says(tokens: &TokenStream, question: &Ident, item: &Item) -> bool {
    arguments_said(tokens, item).iter().any(|name| name == question)
}
