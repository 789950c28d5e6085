//! Arguments that begin with an underscore because the body does not use them, and that the key uses.
//!
//! `async fn f(_id: u64)` becomes `async fn f(id: u64)`, because clippy's `used_underscore_binding` would blame the user
//! for what the expansion does. Where the body or a literal mentions the name, it stays.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use syn::visit_mut::{self, VisitMut};
use syn::{FieldPat, FnArg, Pat, PatIdent, Signature, Token};

use crate::syntax::item::Item;
use crate::tokens::mentions::mentions;

/// New names for arguments, by their old ones.
pub(super) struct Renamed(Vec<(String, Ident)>);

impl Renamed {
    /// New names for the arguments that `generated` mentions and the user's `body` does not.
    pub(super) fn new(item: &Item, generated: &TokenStream, body: &TokenStream) -> Self {
        let names = item.names().map(|name| (name, name.to_string())).filter(|(_, old)| {
            old.starts_with('_')
                && !old.starts_with("__")
                && !mentions(body.clone(), old)
                && mentions(generated.clone(), old)
                && can_be_replaced(generated, old)
        });
        Self(names.map(|(name, old)| (old, renamed(name, item))).collect())
    }

    /// The same tokens with the new names.
    pub(super) fn tokens(&self, tokens: TokenStream) -> TokenStream {
        if self.0.is_empty() {
            return tokens;
        }
        let replaced = tokens.into_iter().map(|token| match token {
            TokenTree::Ident(ident) => TokenTree::Ident(self.new_name(&ident).unwrap_or(ident)),
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), self.tokens(group.stream()));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            other => other,
        });
        replaced.collect()
    }

    /// The same signature with the new names.
    pub(super) fn signature(&mut self, sig: &Signature) -> Signature {
        let mut sig = sig.clone();
        for input in &mut sig.inputs {
            if let FnArg::Typed(arg) = input {
                *arg.pat = self.pattern(&arg.pat);
            }
        }
        sig
    }

    /// The same pattern with the new names.
    pub(super) fn pattern(&mut self, pat: &Pat) -> Pat {
        let mut pat = pat.clone();
        self.visit_pat_mut(&mut pat);
        pat
    }

    fn new_name(&self, ident: &Ident) -> Option<Ident> {
        self.0.iter().find(|(old, _)| ident == old).map(|(_, new)| new.clone())
    }
}

impl VisitMut for Renamed {
    fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
        if let Some(new) = self.new_name(&pat.ident) {
            pat.ident = new;
        }
        visit_mut::visit_pat_ident_mut(self, pat);
    }

    /// `User { _id }` becomes `User { _id: id }`.
    fn visit_field_pat_mut(&mut self, field: &mut FieldPat) {
        if matches!(&*field.pat, Pat::Ident(pat) if self.new_name(&pat.ident).is_some()) {
            field.colon_token.get_or_insert_with(<Token![:]>::default);
        }
        visit_mut::visit_field_pat_mut(self, field);
    }
}

/// The name without its underscores, or `argument_…` if that is no identifier or another argument's name.
fn renamed(name: &Ident, item: &Item) -> Ident {
    let text = name.to_string();
    let bare = text.trim_start_matches('_');
    let fits = syn::parse_str::<Ident>(bare).is_ok() && item.find(bare).is_none();
    let new = if fits { bare.to_owned() } else { format!("argument_{bare}") };
    Ident::new(&new, name.span().resolved_at(Span::mixed_site()))
}

/// Whether every mention of `name` is a variable that can be renamed, and none a field, a path or part of a format string.
fn can_be_replaced(tokens: &TokenStream, name: &str) -> bool {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let is = |at: Option<usize>, of: &str| {
        let token = at.and_then(|at| tokens.get(at));
        matches!(token, Some(TokenTree::Punct(punct)) if of.contains(punct.as_char()))
    };
    // What a site says of itself is text to be shown, and holds templates as they are written.
    let is_site = |at: usize| {
        let name = at.checked_sub(2).and_then(|at| tokens.get(at));
        is(at.checked_sub(1), "!") && matches!(name, Some(TokenTree::Ident(name)) if name == "site")
    };
    tokens.iter().enumerate().all(|(at, token)| match token {
        TokenTree::Group(_) if is_site(at) => true,
        TokenTree::Ident(ident) if ident == name => !is(at.checked_sub(1), ".:'") && !is(Some(at + 1), ":!"),
        TokenTree::Group(group) => can_be_replaced(&group.stream(), name),
        TokenTree::Literal(_) => !mentions(token.clone().into(), name),
        _ => true,
    })
}
