//! Where `self` may be mentioned.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::visit::Visit;

use super::Checker;
use crate::model::RulesModel;
use crate::syntax::own;
use crate::tokens::mentions::mentions;

impl Checker<'_> {
    /// Inherited options that mention `self` need one.
    pub(super) fn defaults_have_self(&self) {
        if self.item.receiver.is_some() {
            return;
        }
        for opt in self.options.iter().filter(|opt| opt.inherited && says_self(opt.tokens.clone())) {
            let message = format!(
                "`{}` takes no `self`, which the default `{} = {}` of `#[cache_config]` needs: give `{}` here",
                self.item.name(),
                opt.name,
                opt.tokens,
                opt.name
            );
            self.errors.push(self.item.sig.ident.span(), message);
        }
    }

    /// Closures over the value are called when the body has taken `self`.
    pub(super) fn rules_can_have_self(&self, rules: &RulesModel) {
        let Some(receiver) = &self.item.receiver else { return };
        if self.item.self_is_shared() {
            return;
        }
        for rule in rules.all() {
            let tokens = rule.expr.to_token_stream();
            let Some(token) = own::find(&tokens) else { continue };
            if is_exclusive(receiver) {
                self.errors.push(
                    token.span(),
                    "after the body, `self` is there only in functions that take `&self`, or a `self` that can be cloned: \
                     give what is needed as an argument",
                );
            } else if let Some(text) = own::in_text(&tokens) {
                self.errors.push(
                    text.span(),
                    "after the body, a clone stands in for `self`, which it cannot in text: write `{}`, and `self` behind it",
                );
            }
        }
    }
}

/// Whether `self` is an exclusive reference, or holds one.
fn is_exclusive(receiver: &syn::Receiver) -> bool {
    struct Exclusive(bool);
    impl<'ast> Visit<'ast> for Exclusive {
        fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
            self.0 |= reference.mutability.is_some();
        }
    }
    match &receiver.kind {
        syn::ReceiverKind::Reference(_, _, mutable) => mutable.is_some(),
        syn::ReceiverKind::Typed(_, ty) => {
            let mut exclusive = Exclusive(false);
            exclusive.visit_type(ty);
            exclusive.0
        }
        _ => false,
    }
}

/// Whether `self` is mentioned, in a template too.
pub(crate) fn says_self(tokens: TokenStream) -> bool {
    mentions(tokens, "self")
}

/// Whether a placeholder of a template begins with `self`.
pub(super) fn template_says_self(template: &str) -> bool {
    template.contains("{self.")
}
