//! `#[derive(CacheSchema)]`: a type's shape, told from its definition.
//!
//! Input: a struct or an enum, with its serde attributes, which are part of the shape as they stand. Output: one
//! `impl CacheSchema` that names each field and variant and asks a probe for the field's type.
//!
//! ```text
//! #[derive(CacheSchema)]                impl CacheSchema for User {
//! struct User { id: u64 }        =>         fn describe(schema: &mut Schema) {
//!                                               schema.named::<Self>("User", "", |schema| {
//!                                                   schema.part("id", "", |schema| /* probe of u64 */);
//!                                               });
//!                                           }
//!                                       }
//! ```

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, LitStr, Meta, Path, Type, parse_quote};

/// Expands the derive; mistakes become errors where they stand.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    syn::parse2(input).and_then(|input| expand(&input)).unwrap_or_else(Error::into_compile_error)
}

fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let facade = facade(&input.attrs)?;
    let schema = quote!(#facade::schema);
    // With `from`, serde stores the other type, so the shape is that one's.
    let from = match &input.data {
        Data::Struct(_) | Data::Enum(_) => read_from(&input.attrs)?,
        Data::Union(_) => None,
    };
    let parts = match (&input.data, &from) {
        (_, Some(from)) => {
            quote!(schema.part("", "", |schema| (&&&#schema::Probe::<#from>::NEW).describe(schema));)
        }
        (Data::Struct(data), None) => fields(&schema, &data.fields),
        (Data::Enum(data), None) => data
            .variants
            .iter()
            .map(|variant| {
                let name = variant.ident.unraw().to_string();
                let attributes = serde_attributes(&variant.attrs);
                let inside = fields(&schema, &variant.fields);
                let style = style(&variant.fields);
                quote! {
                    schema.part(#name, #attributes, |schema| {
                        schema.word(#style);
                        #inside
                    });
                }
            })
            .collect(),
        (Data::Union(data), None) => {
            return Err(Error::new(
                data.union_token.span,
                "`CacheSchema` describes structs and enums, not unions",
            ));
        }
    };
    let kind = match &input.data {
        Data::Struct(data) => style(&data.fields),
        _ => "enum",
    };

    let mut generics = input.generics.clone();
    let parameters: Vec<_> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    for parameter in parameters {
        generics.make_where_clause().predicates.push(parse_quote!(#parameter: #schema::CacheSchema));
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let ident = &input.ident;
    let name = ident.unraw().to_string();
    let attributes = serde_attributes(&input.attrs);
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #schema::CacheSchema for #ident #type_generics #where_clause {
            fn describe(schema: &mut #schema::Schema) {
                use #schema::{FieldDerived as _, FieldOpaque as _, FieldTraced as _};
                schema.named::<Self>(#name, #attributes, |schema| {
                    schema.word(#kind);
                    #parts
                });
            }
        }
    })
}

/// One statement per field; those that serde skips are not part of the shape.
fn fields(schema: &TokenStream, fields: &Fields) -> TokenStream {
    let described = fields.iter().enumerate().filter(|(_, field)| !is_skipped(field));
    described
        .map(|(index, field)| {
            let name =
                field.ident.as_ref().map_or_else(|| index.to_string(), |ident| ident.unraw().to_string());
            let attributes = serde_attributes(&field.attrs);
            let ty = &field.ty;
            quote! {
                schema.part(#name, #attributes, |schema| (&&&#schema::Probe::<#ty>::NEW).describe(schema));
            }
        })
        .collect()
}

fn style(fields: &Fields) -> &'static str {
    match fields {
        Fields::Named(_) => "struct",
        Fields::Unnamed(_) => "tuple",
        Fields::Unit => "unit",
    }
}

/// The path to the facade: `#[cachemacro(crate = path)]`, else `::cachemacro`.
pub(crate) fn facade(attributes: &[Attribute]) -> syn::Result<Path> {
    let mut facade: Option<Path> = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cachemacro")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(
                    meta.error("unknown option: `#[cachemacro(…)]` takes `crate = path::to::cachemacro`")
                );
            }
            if facade.is_some() {
                return Err(meta.error("`crate` is given twice: remove one"));
            }
            facade = Some(meta.value()?.call(Path::parse_mod_style)?);
            Ok(())
        })?;
    }
    Ok(facade.unwrap_or_else(|| parse_quote!(::cachemacro)))
}

/// The text of the `#[serde(…)]` attributes, printed token by token: how a whole stream is printed may differ between
/// compilers.
fn serde_attributes(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for list in serde_lists(attributes) {
        write_tokens(list, &mut text);
        text.push(';');
    }
    text
}

fn write_tokens(tokens: &TokenStream, text: &mut String) {
    for token in tokens.clone() {
        if let TokenTree::Group(group) = &token {
            text.push('(');
            write_tokens(&group.stream(), text);
            text.push(')');
        } else {
            text.push_str(&token.to_string());
            text.push(' ');
        }
    }
}

fn serde_lists(attributes: &[Attribute]) -> impl Iterator<Item = &TokenStream> {
    attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("serde") => Some(&list.tokens),
        _ => None,
    })
}

/// The type that serde reads and converts: `from = "…"` or `try_from = "…"`.
fn read_from(attributes: &[Attribute]) -> syn::Result<Option<Type>> {
    for list in serde_lists(attributes) {
        let tokens: Vec<TokenTree> = list.clone().into_iter().collect();
        for option in tokens.split(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','))
        {
            if let [TokenTree::Ident(name), TokenTree::Punct(_), TokenTree::Literal(text)] = option
                && (name == "from" || name == "try_from")
            {
                return syn::parse2::<LitStr>(TokenTree::from(text.clone()).into())?.parse().map(Some);
            }
        }
    }
    Ok(None)
}

/// Whether serde leaves the field out altogether: `skip`, alone between commas.
fn is_skipped(field: &Field) -> bool {
    serde_lists(&field.attrs).any(|tokens| {
        let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
        tokens
            .split(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','))
            .any(|option| matches!(option, [TokenTree::Ident(ident)] if ident == "skip"))
    })
}
