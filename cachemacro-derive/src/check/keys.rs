//! The key: from the option `key`, or from all arguments.

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Expr, ExprLit, GenericParam, Lit};

use super::{Checker, skipped};
use crate::model::{Key, TypePart};
use crate::syntax::item::Arg;
use crate::syntax::options::{self, Macro};
use crate::syntax::template::Part;
use crate::tokens::errors::listed;
use crate::tokens::mentions::mentions;

impl Checker<'_> {
    /// The parts of the key that tell instantiations of a generic function apart: type parameters, const parameters, and
    /// the types of arguments that are `impl Trait`. Those that only skipped arguments bring in are none.
    pub(super) fn types(&self) -> Vec<TypePart> {
        let left_out = skipped::parameters(self.item, self.skipped());
        let generics = self.item.sig.generics.params.iter().filter_map(|param| match param {
            GenericParam::Type(param) if left_out.contains(&param.ident) => None,
            GenericParam::Type(param) => Some(TypePart::Type(param.ident.clone())),
            GenericParam::Const(param) => Some(TypePart::Const(param.ident.clone())),
            GenericParam::Lifetime(_) => None,
        });
        let is_part = |arg: &Arg| arg.has_impl_trait() && !skipped::is_skipped(arg, self.skipped());
        let anonymous = self.item.args.iter().enumerate().filter(|(_, arg)| is_part(arg));
        let anonymous =
            anonymous.flat_map(|(at, arg)| arg.names.iter().map(move |name| TypePart::Arg(at, name.clone())));
        generics.chain(anonymous).collect()
    }

    /// The names in `skip`.
    fn skipped(&self) -> &[Ident] {
        match self.options.get("skip").map(|opt| &opt.value) {
            Some(options::Given::Names(names)) => names,
            _ => &[],
        }
    }

    /// Whether every name in `skip` is an argument.
    fn skips_arguments(&self) -> bool {
        let before = self.errors.len();
        for name in self.skipped() {
            if name == "self" {
                self.errors
                    .push(name.span(), "`self` is never part of the default key: leave it out of `skip`");
            } else if self.item.find(&name.to_string()).is_none() {
                let message =
                    self.item.no_argument(&name.unraw().to_string(), &[], |name| format!("`{name}`"));
                self.errors.push(name.span(), message);
            }
        }
        self.errors.len() == before
    }

    /// Beside `key`, `skip` leaves out types: those of arguments that are generic, and that `key` does not mention.
    fn skips_types(&self, key: &Expr) {
        if !self.skips_arguments() {
            return;
        }
        for name in self.skipped() {
            let mentioned = mentions(key.to_token_stream(), &name.unraw().to_string());
            let arg =
                self.item.args.iter().find(|arg| arg.names.iter().any(|one| one.unraw() == name.unraw()));
            if mentioned {
                let message =
                    format!("`{name}` is skipped here, and part of the `key`: remove it from one of them");
                self.errors.push(name.span(), message);
            } else if arg.is_some_and(|arg| !skipped::is_generic(arg, self.item)) {
                let message = format!(
                    "`key` replaces the default key, so that `{name}` is no part of it, and its type is not generic: \
                     leave `{name}` out of `skip`"
                );
                self.errors.push(name.span(), message);
            }
        }
    }

    pub(super) fn default_key(&self) -> Key {
        self.skips_arguments();
        let skipped = self.skipped();
        let args = self.item.args.iter().enumerate();
        let names = args.flat_map(|(at, arg)| arg.names.iter().map(move |name| (at, name.clone())));
        let is_skipped = |name: &Ident| skipped.iter().any(|skipped| skipped.unraw() == name.unraw());
        Key::Args(names.filter(|(_, name)| !is_skipped(name)).collect())
    }

    /// The key that the option `key` gives.
    pub(super) fn key(&self) -> Option<Key> {
        let expr = self.options.expr("key")?;
        self.skips_types(expr);
        match expr {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                let parts = self.template(text, "key")?;
                let before = self.errors.len();
                self.no_name_is_text(&parts, text.span());
                if self.errors.len() == before {
                    self.no_sign_marks_a_name(&parts, text.span());
                }
                Some(Key::Template(parts))
            }
            Expr::Lit(other) => {
                self.errors.at(
                    other,
                    "`key` is a template such as `\"{id}\"`, a closure, a function, or an expression over the arguments",
                );
                None
            }
            Expr::Macro(call) if call.mac.path.is_ident("concat") => {
                self.errors.at(
                    expr,
                    "placeholders in `concat!` would stay as they are: write the template as one literal",
                );
                None
            }
            other if self.this == Macro::Cached && !self.is_early(other, "key") => None,
            other => self.over_arguments(other, "key").map(|value| Key::Value(Box::new(value))),
        }
    }

    /// A template without placeholders that consists of arguments' names is a mistake: its braces are missing.
    fn no_name_is_text(&self, parts: &[Part], span: Span) {
        let [Part::Text(text)] = parts else { return };
        let is_name = |part: &str| self.item.find(name_in(part)).is_some();
        let said: Vec<&str> = text.split(':').filter(|part| is_name(part)).collect();
        if said.is_empty() {
            return;
        }
        let meant: Vec<String> = text
            .split(':')
            .map(|part| if is_name(part) { format!("{{{}}}", name_in(part)) } else { part.to_owned() })
            .collect();
        let are = if said.len() == 1 { "is" } else { "are" };
        let message = format!("{} here {are} text: write `{}`", listed(said), meant.join(":"));
        self.errors.push(span, message);
    }

    /// An argument's name behind the sign that marks it in other caches is text here: `$id`, `#id`.
    pub(super) fn no_sign_marks_a_name(&self, parts: &[Part], span: Span) {
        let text = parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Hole(_) => None,
        });
        let words = text.flat_map(|text| text.split([':', '-', '/', '.', ' ', ',']));
        for word in words.filter(|word| name_in(word) != *word && self.item.find(name_in(word)).is_some()) {
            self.errors.push(span, format!("`{word}` here is text: write `{{{}}}`", name_in(word)));
        }
    }
}

/// `id` of `$id`, `#id`, `@id`, `%id` and `<id>`.
fn name_in(word: &str) -> &str {
    word.trim_start_matches(['$', '#', '@', '%', '<']).trim_end_matches(['>', '%'])
}
