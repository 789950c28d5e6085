//! The key: what it begins with, and what of the arguments it is made of.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

use super::expander::{Expander, option};
use super::policy::policy;
use super::says::says;
use crate::model::{EntryParts, Key, TypePart};
use crate::syntax::item::Item;
use crate::syntax::options::OfTrait;
use crate::syntax::template::{Hole, Part};
use crate::values::{self, Place, reference};

impl Expander<'_> {
    /// `let site_ = …; let key_ = …;`
    pub(super) fn key(&self, parts: &EntryParts, place: Place) -> TokenStream {
        let (site, key) = (self.site(parts), self.key_of_site(parts, place));
        quote_spanned!(Span::mixed_site()=> #site #key)
    }

    /// `let site_ = …;`
    pub(super) fn site(&self, parts: &EntryParts) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let name = self.item.name();
        let place_of_site = place_of_site(parts, self.item);
        let policy = policy(&parts.policy, private).map(|policy| quote_spanned!(mixed=> , #policy));
        let says = says(parts, self.item, private);
        quote_spanned!(mixed=> let site_ = #private::site!(#name #place_of_site #policy; #says);)
    }

    /// `let key_ = …;`
    pub(super) fn key_of_site(&self, parts: &EntryParts, place: Place) -> TokenStream {
        let mixed = Span::mixed_site();
        let (types, conditional_types) = self.types(&parts.types, place);
        let (chain, conditional) = match &parts.key {
            Key::Template(template) => {
                (template_chain(&values::template(template, self.item, place)), TokenStream::new())
            }
            Key::Value(key) => {
                let key = values::by_reference(key, self.item, place);
                (quote_spanned!(mixed=> .value(#key)), TokenStream::new())
            }
            Key::Args(args) => self.arguments(args, place),
        };
        let begin = self.key_begin(parts);
        quote_spanned! {mixed=>
            let key_ = #begin #types #conditional_types #chain;
            #conditional
        }
    }

    /// `let key_ = …;`: the beginning of the key with the types that are part of it.
    pub(super) fn key_begun(&self, parts: &EntryParts, place: Place) -> TokenStream {
        let (types, conditional_types) = self.types(&parts.types, place);
        let begin = self.key_begin(parts);
        quote_spanned!(Span::mixed_site()=> let key_ = #begin #types #conditional_types;)
    }

    /// The beginning of the key: its prefix, and the type or trait that the function is in.
    pub(super) fn key_begin(&self, parts: &EntryParts) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = &self.private;
        match (&parts.of_trait, &parts.prefix) {
            (None, None) => quote_spanned!(mixed=> #private::key(site_, &|| ())),
            (None, Some(prefix)) => {
                let form = parts.form.as_ref().map(|form| quote_spanned!(mixed=> .form(#form)));
                quote_spanned!(mixed=> #private::key_under(#prefix, &|| ())#form)
            }
            (Some(of_trait), prefix) => {
                let prefix = option(prefix.as_ref());
                let path = &of_trait.path;
                quote_spanned!(mixed=> #private::key_in_trait::<Self>(site_, #prefix, #path))
            }
        }
    }

    /// The types that are part of the key: calls in a chain, then statements. From the first argument under `#[cfg]` on, each
    /// type is a statement of its own, because a call in a chain cannot have an attribute.
    fn types(&self, types: &[TypePart], place: Place) -> (TokenStream, TokenStream) {
        let mixed = Span::mixed_site();
        let (mut chain, mut statements) = (TokenStream::new(), TokenStream::new());
        for part in types {
            let call = self.type_part(part, place);
            match part {
                TypePart::Arg(at, _) if !self.item.args[*at].cfg.is_empty() => {
                    let cfg = &self.item.args[*at].cfg;
                    statements.extend(quote_spanned!(mixed=> ; #(#cfg)* let key_ = key_ #call));
                }
                _ if statements.is_empty() => chain.extend(call),
                _ => statements.extend(quote_spanned!(mixed=> ; let key_ = key_ #call)),
            }
        }
        if !statements.is_empty() {
            statements.extend(quote_spanned!(mixed=> ; let key_ = key_));
        }
        (chain, statements)
    }

    fn type_part(&self, part: &TypePart, place: Place) -> TokenStream {
        let mixed = Span::mixed_site();
        match part {
            TypePart::Type(name) => quote_spanned!(mixed=> .of_type::<#name>()),
            TypePart::Const(name) => quote_spanned!(mixed=> .of_const(#name)),
            TypePart::Arg(_, name) => {
                let argument = values::argument(name, self.item, place);
                quote_spanned!(mixed=> .of_val(#argument))
            }
        }
    }

    /// The arguments that are part of the key: calls in a chain, then statements, as in [`types`](Self::types).
    fn arguments(&self, args: &[(usize, Ident)], place: Place) -> (TokenStream, TokenStream) {
        let mixed = Span::mixed_site();
        let conditional =
            args.iter().position(|(at, _)| !self.item.args[*at].cfg.is_empty()).unwrap_or(args.len());
        let (first, rest) = args.split_at(conditional);
        let call = |name: &Ident| {
            let argument = values::argument(name, self.item, place);
            quote_spanned!(mixed=> .arg(#argument))
        };
        let chain = first.iter().map(|(_, name)| call(name)).collect();
        let statements = rest.iter().map(|(at, name)| {
            let cfg = &self.item.args[*at].cfg;
            let call = call(name);
            quote_spanned!(mixed=> #(#cfg)* let key_ = key_ #call;)
        });
        (chain, statements.collect())
    }
}

/// `.literal("user-").display(&id, None)`
pub(super) fn template_chain(parts: &[Part]) -> TokenStream {
    let mixed = Span::mixed_site();
    parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => quote_spanned!(mixed=> .literal(#text)),
            Part::Hole(Hole { expr, debug, late, stop, span }) => {
                let method = Ident::new(if *debug { "debug" } else { "display" }, span.resolved_at(mixed));
                // `result` is a reference already.
                let is_result = *late && expr.clone().into_iter().nth(1).is_none();
                let value = if is_result { expr.clone() } else { reference(expr) };
                let stop = option(stop.as_ref());
                quote_spanned!(mixed=> .#method(#value, #stop))
            }
        })
        .collect()
}

/// Line and column of the attribute, and a number for its use of a `macro_rules!`: where the function's entry function is moved, so that
/// both share one site, and where the function is a macro's, because all that one use of it brings stands at one place.
pub(super) fn place_of_site(parts: &EntryParts, item: &Item) -> Option<TokenStream> {
    let mixed = Span::mixed_site();
    let copy = copy_of(item.sig.fn_token.span);
    if let Some(OfTrait { place: (line, column), .. }) = parts.of_trait {
        return Some(quote_spanned!(mixed=> at (#line, #column, #copy)));
    }
    (copy != 0).then(|| quote_spanned!(mixed=> at (::core::line!(), ::core::column!(), #copy)))
}

/// A number for the tokens of one expansion of a macro; 0 for those of the source.
fn copy_of(span: Span) -> u32 {
    // The compiler prints a span with the number of its expansion, which is 0 for the source itself, and where its text stands.
    let printed = format!("{span:?}");
    if !printed.starts_with('#') || printed.starts_with("#0 ") {
        return 0;
    }
    // FNV-1a.
    printed.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)).max(1)
}
