//! What every part of an expansion begins with: the function, the paths it uses, the imports of its blocks, and small
//! pieces that several parts write.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{Expr, Path, parse_quote};

use crate::model::Tag;
use crate::syntax::item::Item;
use crate::syntax::template::Part;
use crate::values::{self, Place};

/// The function to expand, and the paths that its expansion uses.
pub(crate) struct Expander<'a> {
    pub(crate) item: &'a Item,
    pub(crate) facade: TokenStream,
    /// What `__private` is called in blocks that begin with [`imports`](Self::imports).
    pub(crate) private: Ident,
}

impl<'a> Expander<'a> {
    pub(super) fn new(item: &'a Item, facade: &Path) -> Self {
        let mixed = Span::mixed_site();
        Self { item, facade: quote_spanned!(mixed=> #facade), private: Ident::new("cachemacro_", mixed) }
    }

    /// The first statement of a generated block: imports the runtime's interface under a short name, and `traits`.
    pub(super) fn imports(&self, traits: &[&str]) -> TokenStream {
        let mixed = Span::mixed_site();
        let (facade, private) = (&self.facade, &self.private);
        if traits.is_empty() {
            return quote_spanned!(mixed=> use #facade::__private as #private;);
        }
        let traits = traits.iter().map(|name| Ident::new(name, mixed));
        quote_spanned!(mixed=> use #facade::__private::{self as #private #(, #traits as _)*};)
    }

    /// `let shape_ = …;`: what the return type is.
    pub(super) fn shape(&self) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = &self.private;
        // Behind an `impl Trait` nobody sees a `Result` or an `Option`, so `()` can stand for it.
        let ret = self.item.ret_with(&parse_quote!(()));
        quote_spanned!(mixed=> let shape_ = (&&&#private::Probe::<#ret>::NEW).shape();)
    }

    /// The traits that say how a return type is kept: in any case, where errors are too, and where that is a default.
    pub(super) const fn kinds(&self) -> (&'static str, &'static str, &'static str) {
        if self.item.is_sync() {
            ("LocalKind", "LocalStoringKind", "DefaultLocalStoringKind")
        } else {
            ("Kind", "StoringKind", "DefaultStoringKind")
        }
    }
}

/// `let when_ = …;`, with any `name`.
pub(super) fn condition_named(name: &Ident, condition: &Expr, item: &Item) -> TokenStream {
    let mixed = Span::mixed_site();
    let condition = values::fitted(condition, item, Place::Function, &[], false);
    quote_spanned!(mixed=> let #name: ::core::primitive::bool = #condition;)
}

/// `if when_ { …; Some(value) } else { None }`
pub(super) fn if_so(when: &Ident, statements: &TokenStream, value: &TokenStream) -> TokenStream {
    let mixed = Span::mixed_site();
    quote_spanned! {mixed=>
        if #when {
            #statements
            ::core::option::Option::Some(#value)
        } else {
            ::core::option::Option::None
        }
    }
}

pub(super) fn option(value: Option<&impl ToTokens>) -> TokenStream {
    let mixed = Span::mixed_site();
    value.map_or_else(
        || quote_spanned!(mixed=> ::core::option::Option::None),
        |value| quote_spanned!(mixed=> ::core::option::Option::Some(#value)),
    )
}

/// The method that takes the tags, as the expansion gives them: text, or tags that the runtime has built and that may
/// have failed. A single expression is underlined if it gives no strings.
pub(super) fn tags_method(verb: &str, tags: &[Tag]) -> Ident {
    let span = match tags {
        [Tag::One(value) | Tag::Many(value)] => value.span.resolved_at(Span::mixed_site()),
        _ => Span::mixed_site(),
    };
    let is_text = matches!(tags, [Tag::Many(_)]) || tags.iter().all(|tag| plain_tag(tag).is_some());
    let tags = if is_text { "tags" } else { "built_tags" };
    Ident::new(&format!("{verb}_{tags}"), span)
}

/// The text of a tag without placeholders.
pub(super) fn plain_tag(tag: &Tag) -> Option<&str> {
    match tag {
        Tag::Template(parts) => match parts.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        },
        _ => None,
    }
}
