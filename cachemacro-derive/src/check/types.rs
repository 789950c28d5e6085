//! What the function returns, and whether its form is one that the attributes know.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::Type;

use super::Checker;
use crate::syntax::item::{Form, boxed_output, has_impl_trait};

impl Checker<'_> {
    pub(super) fn form_is_known(&self) {
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
            if let Some(attr) = self.rewritten() {
                let message = format!(
                    "{attr} above `{attribute}` has taken the `async` away: swap the two, `{attribute}` first"
                );
                self.errors.push(self.item.sig.ident.span(), message);
            } else if boxed_output(&self.item.ret).is_some() {
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
            } else if let Some(token) = self.item.sig.constness {
                let message = format!(
                    "`{attribute}` keeps values while the program runs, and a `const fn` may run before: write `fn {name}`"
                );
                self.errors.push(token.span, message);
            }
        }
    }

    /// The attribute above this one that made a function that blocks of an `async fn`, as `#[tokio::test]` does.
    fn rewritten(&self) -> Option<&'static str> {
        let body = self.item.body.stream();
        // What the user wrote is where it stands; what an attribute wrote stands where the attribute does.
        let blocks = named(body.clone(), "block_on")?;
        if blocks.span().source_text().as_deref() == Some("block_on") {
            return None;
        }
        let is_test = || {
            self.item
                .attrs
                .iter()
                .any(|attr| attr.path().segments.last().is_some_and(|last| last.ident == "test"))
        };
        Some(if named(body.clone(), "tokio").is_some() {
            if is_test() { "`#[tokio::test]`" } else { "`#[tokio::main]`" }
        } else if named(body, "actix_web").is_some() {
            "`#[actix_web::main]`"
        } else {
            "another attribute"
        })
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
        if has_impl_trait(&self.item.ret) {
            let message = format!(
                "`{}` must name what the function returns, and `impl Trait` has no name: write the type itself",
                self.attribute()
            );
            self.errors.at(&self.item.ret, message);
        }
    }
}

/// The first token of this name, in a path too.
fn named(tokens: TokenStream, name: &str) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) => (ident == name).then_some(ident),
        TokenTree::Group(group) => named(group.stream(), name),
        TokenTree::Literal(_) | TokenTree::Punct(_) => None,
    })
}
