//! Names that the expansion binds once more, and what the user's lints make of it.
//!
//! Such a `let` shadows an argument, which `clippy::shadow_reuse` would blame the user for. Clippy asks whether the pattern is
//! of the user's source, and `name @ _` is not: its last token is the macro's.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::visit_mut::{self, VisitMut};
use syn::{FieldPat, Pat, PatIdent, Token, parse_quote_spanned};

/// The pattern `name @ _`.
pub(crate) fn again(name: &Ident) -> TokenStream {
    if is_left_as_it_is(name) {
        return name.to_token_stream();
    }
    quote_spanned!(Span::mixed_site()=> #name @ _)
}

/// The pattern with `name @ _` for each name that it binds.
pub(crate) fn again_in(pat: &Pat) -> Pat {
    let mut pat = pat.clone();
    Again.visit_pat_mut(&mut pat);
    pat
}

struct Again;

impl VisitMut for Again {
    fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
        if pat.subpat.is_none() && !is_left_as_it_is(&pat.ident) {
            let mixed = Span::mixed_site();
            pat.subpat = Some((Token![@](mixed), Box::new(parse_quote_spanned!(mixed=> _))));
        }
        visit_mut::visit_pat_ident_mut(self, pat);
    }

    /// `User { id }` becomes `User { id: id @ _ }`.
    fn visit_field_pat_mut(&mut self, field: &mut FieldPat) {
        if matches!(&*field.pat, Pat::Ident(pat) if pat.subpat.is_none() && !is_left_as_it_is(&pat.ident)) {
            field.colon_token.get_or_insert_with(<Token![:]>::default);
        }
        visit_mut::visit_field_pat_mut(self, field);
    }
}

/// Whether `name` alone is bound: a capitalized one may be a constant or a unit struct, which `name @ _` does not match, and one
/// from a `macro_rules!` is not of the user's source already.
fn is_left_as_it_is(name: &Ident) -> bool {
    // The compiler prints a span with the number of its expansion, which is 0 for the source itself.
    let is_source = format!("{:?}", name.span()).starts_with("#0 ");
    !is_source || name.to_string().starts_with(char::is_uppercase)
}
