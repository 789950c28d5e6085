//! Mentions of `self`, in options and in defaults of `#[cache_config]`.

use proc_macro2::TokenStream;

use super::Checker;
use crate::tokens::mentions::mentions;

impl Checker<'_> {
    /// A default that mentions `self` is a mistake in a function that takes none.
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
}

/// Whether `self` is mentioned, in a template too.
pub(crate) fn says_self(tokens: TokenStream) -> bool {
    mentions(tokens, "self")
}

/// Whether a placeholder of a template begins with `self`.
pub(super) fn template_says_self(template: &str) -> bool {
    template.contains("{self.")
}
