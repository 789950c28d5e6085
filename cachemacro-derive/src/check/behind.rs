//! The options under which a load goes on behind its caller.

use syn::visit::{self, Visit};
use syn::{Expr, ExprLit, Lit, ReceiverKind, Type, TypeReference};

use super::Checker;
use crate::model::Behind;
use crate::syntax::duration::Time;
use crate::syntax::options;

impl Checker<'_> {
    pub(super) fn behind(&self) -> Option<Behind> {
        if self.item.is_sync() {
            return None;
        }
        let background = self.refreshes_in_background();
        let (soft, timeout) = (self.time("soft"), self.time("timeout"));
        for (name, time) in [("soft", &soft), ("timeout", &timeout)] {
            if let (Some(Time::Never), Some(expr)) = (time, self.options.expr(name)) {
                let message = format!("`{name}` has an end: `{}`", options::usage(name));
                self.errors.at(expr, message);
            }
        }
        if let (Some(Time::Millis(soft)), Some(Time::Millis(hard)), Some(expr)) =
            (&soft, &timeout, self.options.expr("soft"))
            && soft >= hard
        {
            self.errors.at(expr, "`soft` ends before `timeout` does: write a shorter one, or leave it out");
        }
        let late = self.options.expr("on_timeout");
        if let Some(late) = late.filter(|_| !self.options.has("timeout")) {
            self.errors.at(late, "`on_timeout` needs a `timeout`, such as `timeout = \"2s\"`");
        }
        let late = late.filter(|late| self.is_constant("on_timeout", late)).cloned();
        let needs = if background { Some("refresh") } else { None };
        let needs = ["soft", "timeout"].into_iter().find(|name| self.options.has(name)).or(needs)?;
        self.owns_its_arguments(needs);
        Some(Behind { background, soft, timeout, late })
    }

    fn refreshes_in_background(&self) -> bool {
        match self.options.expr("refresh") {
            Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => {
                text.value().split_once(',').is_some_and(|(_, how)| how.trim() == "background")
            }
            _ => false,
        }
    }

    /// Whether the function owns what it is called with, by how that is spelled.
    pub(super) fn owns_arguments(&self) -> bool {
        let by_reference = |receiver: &syn::Receiver| match &receiver.kind {
            ReceiverKind::Reference(..) => true,
            ReceiverKind::Typed(_, ty) => borrows(ty),
            _ => false,
        };
        !self.item.receiver.as_ref().is_some_and(by_reference)
            && !self.item.args.iter().any(|arg| borrows(&arg.ty))
    }

    /// A load that goes on when its caller has been answered cannot borrow from it.
    fn owns_its_arguments(&self, option: &str) {
        if let Some(opt) = self.options.get(option).filter(|_| !self.owns_arguments()) {
            let option = if option == "refresh" { "background" } else { option };
            self.errors.push(
                opt.span(),
                format!(
                    "with `{option}` a load goes on behind its caller, so the function must own its arguments: take `String` \
                     instead of `&str`, `self: Arc<Self>` instead of `&self`"
                ),
            );
        }
    }
}

/// Whether a type spells a reference that is not `'static`.
fn borrows(ty: &Type) -> bool {
    struct References(bool);
    impl<'ast> Visit<'ast> for References {
        fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
            self.0 |= reference.lifetime.as_ref().is_none_or(|lifetime| lifetime.ident != "static");
            visit::visit_type_reference(self, reference);
        }
    }
    let mut references = References(false);
    references.visit_type(ty);
    references.0
}
