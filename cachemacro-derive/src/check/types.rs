//! What the function returns, and whether it has a future.

use syn::Type;

use super::Checker;
use crate::syntax::item::{Form, boxed_output, has_impl_trait};

impl Checker<'_> {
    pub(super) fn has_future(&self) {
        if matches!(self.item.form, Form::Sync) {
            let name = &self.item.sig.ident;
            let attribute = self.attribute();
            let first = format!("`async fn {name}`");
            let second = format!("`fn {name}(…) -> impl Future<Output = …>`");
            let alias = match &self.item.ret {
                Type::Path(path) => {
                    path.path.segments.last().filter(|last| last.ident.to_string().contains("Fut"))
                }
                _ => None,
            };
            if boxed_output(&self.item.ret).is_some() {
                let message = format!(
                    "`{attribute}` sees into a boxed future only where the body is `Box::pin(async move {{ … }})` and nothing \
                     else: write that, {first}, or {second}"
                );
                self.errors.at(&self.item.ret, message);
            } else if let Some(alias) = alias {
                let message = format!(
                    "`{attribute}` does not see what `{}` stands for: write {first}, {second}, or `Pin<Box<dyn Future<Output = …> + Send>>` \
                     with the body `Box::pin(async move {{ … }})`",
                    alias.ident
                );
                self.errors.at(&self.item.ret, message);
            } else {
                let message =
                    format!("`{attribute}` goes on functions that give a future: write {first}, or {second}");
                self.errors.push(self.item.sig.fn_token.span, message);
            }
        }
    }

    /// A function that never returns has no value, and no moment after which to write or evict.
    pub(super) fn returns(&self) {
        if matches!(self.item.ret, Type::Never(_)) {
            let message = format!(
                "`{}` never returns, so there is nothing to do when it has: leave `{}` out",
                self.item.name(),
                self.attribute()
            );
            self.errors.at(&self.item.ret, message);
        }
    }

    pub(super) fn return_type(&self) {
        if !matches!(self.item.form, Form::Sync) && has_impl_trait(&self.item.ret) {
            let message = format!(
                "`{}` must name what the function returns, and `impl Trait` has no name: write the type itself",
                self.attribute()
            );
            self.errors.at(&self.item.ret, message);
        }
    }
}
