//! `#[derive(Tag)]`: the text of each variant of an enum, as a tag.
//!
//! ```text
//! #[derive(Tag)]                       impl Tag for Of {
//! enum Of {                                fn text(&self) -> Cow<'_, str> {
//!     Users,                  =>               match self {
//!     Org(u32),                                    Self::Users => Cow::Borrowed("users"),
//! }                                                Self::Org(f0) => Cow::Owned(/* "org:", f0 */),
//! ```
//!
//! Also for `&Of`, and `From<Of> for String`, so that one can stand in a list beside text.

use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Path, Result, Variant};

use crate::schema::facade;
use crate::syntax::template::stop;

/// A piece of a tag's text.
enum Piece {
    Text(String),
    /// A field, by its place.
    Field(usize),
}

/// Expands the derive; mistakes become errors where they stand.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    syn::parse2(input).and_then(|input| expand(&input)).unwrap_or_else(Error::into_compile_error)
}

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let facade = facade(&input.attrs)?;
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            "`Tag` is derived for an enum, each of whose variants is a tag",
        ));
    };
    let mut known: HashMap<String, &Ident> = HashMap::new();
    let mut arms = Vec::new();
    let mut errors: Option<Error> = None;
    for variant in &data.variants {
        let unlike = |pieces: Vec<Piece>| match known.insert(shape(&pieces), &variant.ident) {
            None => Ok(pieces),
            Some(other) => Err(Error::new_spanned(
                &variant.ident,
                format!("`{other}` makes the same tags: give one of them another text with `#[tag(\"…\")]`"),
            )),
        };
        match pieces(variant).and_then(unlike) {
            Ok(pieces) => arms.push(arm(variant, &pieces, &facade)),
            Err(error) => match &mut errors {
                Some(errors) => errors.combine(error),
                None => errors = Some(error),
            },
        }
    }
    if let Some(errors) = errors {
        return Err(errors);
    }
    let (ident, (impl_generics, type_generics, where_clause)) =
        (&input.ident, input.generics.split_for_impl());
    let body = if arms.is_empty() { quote!(match *self {}) } else { quote!(match self { #(#arms)* }) };
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #facade::Tag for #ident #type_generics #where_clause {
            fn text(&self) -> ::std::borrow::Cow<'_, str> {
                #body
            }
        }

        #[automatically_derived]
        impl #impl_generics #facade::Tag for &#ident #type_generics #where_clause {
            fn text(&self) -> ::std::borrow::Cow<'_, str> {
                #facade::Tag::text(*self)
            }
        }

        #[automatically_derived]
        impl #impl_generics ::core::convert::From<#ident #type_generics> for ::std::string::String #where_clause {
            fn from(tag: #ident #type_generics) -> Self {
                #facade::Tag::text(&tag).into_owned()
            }
        }
    })
}

fn arm(variant: &Variant, pieces: &[Piece], facade: &Path) -> TokenStream {
    let name = &variant.ident;
    let bound = |at: usize| format_ident!("field{at}", span = Span::mixed_site());
    let bindings: Vec<Ident> = (0..variant.fields.len()).map(bound).collect();
    let pattern = match &variant.fields {
        Fields::Unit => quote!(Self::#name),
        Fields::Unnamed(_) => quote!(Self::#name(#(#bindings),*)),
        Fields::Named(fields) => {
            let names = fields.named.iter().filter_map(|field| field.ident.as_ref());
            quote!(Self::#name { #(#names: #bindings),* })
        }
    };
    if let [Piece::Text(text)] = pieces {
        return quote!(#pattern => ::std::borrow::Cow::Borrowed(#text),);
    }
    let steps = pieces.iter().enumerate().map(|(at, piece)| match piece {
        Piece::Text(text) => quote!(.literal(#text)),
        Piece::Field(field) => {
            let field = &bindings[*field];
            let stop = match pieces.get(at + 1) {
                Some(Piece::Text(text)) => text.chars().next(),
                _ => None,
            };
            let stop = stop.map_or_else(
                || quote!(::core::option::Option::None),
                |stop| quote!(::core::option::Option::Some(#stop)),
            );
            quote!(.display(#field, #stop))
        }
    });
    quote! {
        #pattern => {
            let tag = #facade::__private::TagBuilder::new() #(#steps)*;
            ::std::borrow::Cow::Owned(#facade::__private::text_of(tag.finish()))
        }
    }
}

/// The text without its fields, by which those of two variants are compared.
fn shape(pieces: &[Piece]) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.replace('{', "{{"),
        Piece::Field(_) => "{}".to_owned(),
    };
    pieces.iter().map(piece).collect()
}

fn pieces(variant: &Variant) -> Result<Vec<Piece>> {
    let mut given = None;
    for attribute in variant.attrs.iter().filter(|attribute| attribute.path().is_ident("tag")) {
        let text: LitStr = attribute
            .parse_args()
            .map_err(|error| Error::new(error.span(), "a tag's text stands here: `#[tag(\"org:{0}\")]`"))?;
        if given.replace(text).is_some() {
            return Err(Error::new_spanned(attribute, "the text is given twice: remove one"));
        }
    }
    match given {
        Some(text) => template(&text, &variant.fields),
        None => Ok(by_name(variant)),
    }
}

/// `UserList(7)` is `user-list:7`.
fn by_name(variant: &Variant) -> Vec<Piece> {
    let mut text = String::new();
    for c in variant.ident.unraw().to_string().chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(c.to_lowercase());
    }
    let mut pieces = vec![Piece::Text(text)];
    for at in 0..variant.fields.len() {
        match pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(':'),
            _ => pieces.push(Piece::Text(":".to_owned())),
        }
        pieces.push(Piece::Field(at));
    }
    pieces
}

/// The pieces of a text with `{0}` or `{name}` in it; `{{` and `}}` are braces.
fn template(text: &LitStr, fields: &Fields) -> Result<Vec<Piece>> {
    let wrong = |message: String| Err(Error::new(text.span(), message));
    let names: Vec<String> = fields
        .iter()
        .enumerate()
        .map(|(at, field)| {
            field.ident.as_ref().map_or_else(|| at.to_string(), |name| name.unraw().to_string())
        })
        .collect();
    let (value, mut pieces, mut plain) = (text.value(), Vec::new(), String::new());
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.peek() == Some(&c) => {
                chars.next();
                plain.push(c);
            }
            '{' => {
                let mut name = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some(c) => name.push(c),
                        None => return wrong(format!("`{{{name}` is not closed: write `{{{name}}}`")),
                    }
                }
                let Some(at) = names.iter().position(|known| *known == name) else {
                    return wrong(format!("the variant has no field `{name}`"));
                };
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                } else if matches!(pieces.last(), Some(Piece::Field(_))) {
                    return wrong(
                        "write something between two fields: else `1`, `23` and `12`, `3` are one tag"
                            .to_owned(),
                    );
                }
                pieces.push(Piece::Field(at));
            }
            '}' => return wrong("a `}` without a `{`: write `}}` for a brace".to_owned()),
            c => plain.push(c),
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    if pieces.is_empty() {
        return wrong("an empty tag: write a word".to_owned());
    }
    // As in templates, where what follows could be part of the value.
    for at in 1..pieces.len() {
        if let [Piece::Field(_), Piece::Text(text)] = &mut pieces[at - 1..=at]
            && let (Some(colon), true) = stop(text.chars().next())
        {
            text.insert(0, colon);
        }
    }
    let is_there =
        |at: &usize| pieces.iter().any(|piece| matches!(piece, Piece::Field(field) if field == at));
    if let Some(missing) = (0..names.len()).find(|at| !is_there(at)) {
        return wrong(format!("the field `{}` is not in the tag: write `{{{0}}}` in it", names[missing]));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(input: TokenStream) -> String {
        derive(input).to_string()
    }

    #[test]
    fn mistakes_are_told_where_they_are_made() {
        for (variant, told) in [
            (
                quote!(
                    #[tag("org:{1}")]
                    Org(u32)
                ),
                "the variant has no field `1`",
            ),
            (
                quote!(
                    #[tag("shelf:{shop}")]
                    Shelf { shop: u32, id: u32 }
                ),
                "the field `id` is not in the tag",
            ),
            (
                quote!(
                    #[tag("{0}{1}")]
                    Pair(u32, u32)
                ),
                "write something between two fields",
            ),
            (
                quote!(
                    #[tag("")]
                    Empty
                ),
                "an empty tag",
            ),
            (
                quote!(
                    #[tag(org)]
                    Word
                ),
                "a tag's text stands here",
            ),
            (
                quote!(
                    #[tag("a}")]
                    Brace
                ),
                "a `}` without a `{`",
            ),
            (
                quote!(
                    #[tag("org:{0")]
                    Open(u32)
                ),
                "`{0` is not closed",
            ),
            (
                quote!(
                    #[tag("a")]
                    #[tag("b")]
                    Twice
                ),
                "the text is given twice",
            ),
            (
                quote!(
                    Org(u32),
                    #[tag("org:{id}")]
                    Other { id: u32 }
                ),
                "`Org` makes the same tags",
            ),
            (
                quote!(
                    #[tag("{0}th")]
                    Nth(u32),
                    #[tag("{0}:th")]
                    Other(u32)
                ),
                "`Nth` makes the same tags",
            ),
        ] {
            let derived = derived(quote!(enum Of { #variant }));
            assert!(derived.contains("compile_error") && derived.contains(told), "{derived}");
        }
        assert!(
            derived(quote!(
                struct NoEnum;
            ))
            .contains("`Tag` is derived for an enum")
        );
        let two = derived(quote!(
            enum Of {
                #[tag("")]
                A,
                #[tag("{x}")]
                B,
            }
        ));
        assert_eq!(two.matches("compile_error").count(), 2, "all at once: {two}");
    }

    #[test]
    fn a_text_follows_from_name_and_fields() {
        let derived = derived(quote!(
            enum Of {
                UserLists,
                Org(u32),
                #[tag("{{x}}:{id}!")]
                X {
                    id: u8,
                },
                #[tag("{0}th")]
                Nth(u8),
            }
        ));
        assert!(derived.contains("\"user-lists\"") && !derived.contains("compile_error"), "{derived}");
        assert!(derived.contains(". literal (\"org:\") . display"), "{derived}");
        assert!(
            derived.contains(
                ". literal (\"{x}:\") . display (field0 , :: core :: option :: Option :: Some ('!'))"
            ),
            "{derived}"
        );
        // A letter could be part of the value, so a colon ends it, as in templates.
        let ended = ". display (field0 , :: core :: option :: Option :: Some (':')) . literal (\":th\")";
        assert!(derived.contains(ended), "{derived}");
    }
}
