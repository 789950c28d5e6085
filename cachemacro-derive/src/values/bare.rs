//! Expressions that are a name or a field and nothing more, and `&` before one.

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{Expr, parse_quote_spanned};

use crate::syntax::item::pointing_at;

/// Whether a name is among `names`, written with `r#` or without.
pub(super) fn is_among(name: &Ident, names: &[&Ident]) -> bool {
    names.iter().any(|one| one.unraw() == name.unraw())
}

/// The name that the expression is, where it is one of `names` and nothing more.
pub(super) fn is_bare<'a>(expr: &'a Expr, names: &[&Ident]) -> Option<&'a Ident> {
    match expr {
        Expr::Path(path) => path.path.get_ident().filter(|name| is_among(name, names)),
        Expr::Group(group) => is_bare(&group.expr, names),
        _ => None,
    }
}

/// Whether the expression is a field, or a field of one, of what is called a name for which `of` holds.
pub(super) fn is_field(expr: &Expr, of: &impl Fn(&Ident) -> bool) -> bool {
    let Expr::Field(field) = expr else { return false };
    match &*field.base {
        Expr::Path(path) => path.path.get_ident().is_some_and(of),
        base => is_field(base, of),
    }
}

/// `&` before the expression.
pub(crate) fn borrowed(expr: &Expr) -> Expr {
    let span = pointing_at(expr);
    parse_quote_spanned!(span=> &#expr)
}
