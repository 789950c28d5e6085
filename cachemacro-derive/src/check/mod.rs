//! Options and item to model: each rule a function, each mistake reported where it is.
//!
//! A model comes out in any case; what was wrong is left out of it, so that a function that `entry` names can be
//! generated although another option is mistaken.

mod entry;
mod policy;
mod values;
pub(crate) mod write;

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Expr, ExprLit, GenericParam, Lit, Path, Token, Type};

use self::values::plain;
use crate::errors::{Errors, listed};
use crate::item::{Form, Item, argument_of, boxed_output, has_impl_trait, pointing_at, unwrap_type};
use crate::mentions::mentions;
use crate::model::{Cached, EntryParts, Key, RulesModel, StoresErr, Tag, TypePart, Value};
use crate::options::{self, Macro, Options, unwrapped};
use crate::own;
use crate::template::{self, Part, Scope};

/// Types that hold what they are generic over. Another type's parameter may be a mark only, as `PhantomData`'s is.
const HOLDERS: &[&str] = &[
    "Arc",
    "BTreeMap",
    "BTreeSet",
    "BinaryHeap",
    "Box",
    "Cell",
    "Cow",
    "HashMap",
    "HashSet",
    "LinkedList",
    "Mutex",
    "Option",
    "Rc",
    "RefCell",
    "Result",
    "Reverse",
    "RwLock",
    "Vec",
    "VecDeque",
    "Wrapping",
];

/// What the checks of one attribute have in common.
pub(crate) struct Checker<'a> {
    pub(crate) this: Macro,
    pub(crate) options: &'a Options,
    pub(crate) item: &'a Item,
    pub(crate) errors: &'a Errors,
}

/// The model of a `#[cached]` function.
pub(crate) fn cached(options: &Options, item: &Item, errors: &Errors) -> Cached {
    let check = Checker { this: Macro::Cached, options, item, errors };
    check.has_future();
    check.returns();
    check.return_type();
    check.owned_value();
    check.no_other_attribute();
    check.defaults_have_self();
    let rules = RulesModel { unless: check.unless(), ttl: check.loaded_ttl(), tags: check.loaded_tags() };
    let entry = EntryParts {
        policy: check.policy(),
        cache: options.expr("cache").cloned(),
        of_trait: options.of_trait().cloned(),
        prefix: check.prefix(),
        types: check.types(),
        key: check.key().unwrap_or_else(|| check.default_key()),
        tags: check.tags(),
        ttl: check.ttl(),
        codec: options.ty("codec").cloned(),
    };
    let function = check.entry_function(&entry, &rules);
    if function.is_none() {
        check.rules_can_have_self(&rules);
    }
    check.value_has_entry();
    Cached {
        facade: facade(options),
        condition: check.condition(),
        // As a default, it is for the functions that can return `None`.
        stores_none: ["none_ttl", "cache_none"]
            .iter()
            .filter_map(|name| options.get(name))
            .find(|opt| entry.policy.cache_none && !opt.inherited)
            .map(options::Opt::span),
        stores_err: options
            .get("cache_err")
            .filter(|_| entry.policy.cache_err)
            .map(|opt| StoresErr { span: opt.span(), inherited: opt.inherited }),
        entry,
        rules,
        function,
    }
}

/// Where the facade is.
pub(crate) fn facade(options: &Options) -> Path {
    options.path("crate").cloned().unwrap_or_else(|| {
        let name = Ident::new("cachemacro", Span::mixed_site());
        Path {
            leading_colon: Some(<Token![::]>::default()),
            segments: Punctuated::from_iter([syn::PathSegment::from(name)]),
        }
    })
}

impl Checker<'_> {
    fn attribute(&self) -> String {
        format!("#[{}]", self.this.name())
    }

    pub(crate) fn has_future(&self) {
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

    /// Whatever an attribute does follows the function's return.
    pub(crate) fn returns(&self) {
        if matches!(self.item.ret, Type::Never(_)) {
            let message = format!(
                "`{}` never returns, so there is nothing to do when it has: leave `{}` out",
                self.item.name(),
                self.attribute()
            );
            self.errors.at(&self.item.ret, message);
        }
    }

    pub(crate) fn return_type(&self) {
        if !matches!(self.item.form, Form::Sync) && has_impl_trait(&self.item.ret) {
            let message = format!(
                "`{}` must name what the function returns, and `impl Trait` has no name: write the type itself",
                self.attribute()
            );
            self.errors.at(&self.item.ret, message);
        }
    }

    /// What is cached lives on when the arguments are gone.
    pub(crate) fn owned_value(&self) {
        #[derive(Default)]
        struct Borrowed {
            found: Option<proc_macro2::TokenStream>,
            /// Within the parameters of a type that need not hold them.
            marks: bool,
        }
        impl<'ast> Visit<'ast> for Borrowed {
            fn visit_qself(&mut self, qself: &'ast syn::QSelf) {
                let outside = std::mem::replace(&mut self.marks, true);
                visit::visit_qself(self, qself);
                self.marks = outside;
            }

            fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
                let outside = self.marks;
                self.marks |= !HOLDERS.iter().any(|holder| segment.ident == holder);
                visit::visit_path_segment(self, segment);
                self.marks = outside;
            }

            fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
                let is_static =
                    reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static");
                // Nothing reads text or a slice back as one that lives for ever; a type may have its own way to.
                let is_text = match unwrap_type(&reference.elem) {
                    Type::Slice(_) => true,
                    Type::Path(ty) => ty.path.is_ident("str"),
                    _ => false,
                };
                if !is_static || is_text && !self.marks {
                    self.found.get_or_insert_with(|| reference.to_token_stream());
                }
            }

            fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
                if lifetime.ident != "static" {
                    self.found.get_or_insert_with(|| lifetime.to_token_stream());
                }
            }

            fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
        }
        let mut borrowed = Borrowed::default();
        borrowed.visit_type(inside(&self.item.ret));
        if let Some(tokens) = borrowed.found {
            self.errors.at(
                tokens,
                "a cached value must own all it has: return `String` instead of `&str`, `Vec<T>` instead of `&[T]`",
            );
        }
    }

    fn no_other_attribute(&self) {
        for attr in &self.item.attrs {
            if let Some(other) = Macro::of(attr.path()) {
                let message = match other {
                    Macro::Cached => "one function has one `#[cached]`: put all options into it".to_owned(),
                    _ => format!(
                        "`#[{}]` beside `#[cached]` would act on a miss only, because a hit does not run the function: \
                         split it in two",
                        other.name()
                    ),
                };
                self.errors.at(attr.path(), message);
            }
        }
    }

    /// Inherited options that mention `self` need one.
    pub(crate) fn defaults_have_self(&self) {
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
    fn rules_can_have_self(&self, rules: &RulesModel) {
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

    fn value_has_entry(&self) {
        if let Some(value) = self.options.get("value").filter(|_| !self.options.has("entry")) {
            self.errors
                .push(value.span(), "`value` is the type of an `entry`, and there is none: leave it out");
        }
    }

    /// What tells instantiations apart: type parameters, const parameters, `impl Trait`.
    pub(crate) fn types(&self) -> Vec<TypePart> {
        let generics = self.item.sig.generics.params.iter().filter_map(|param| match param {
            GenericParam::Type(param) => Some(TypePart::Type(param.ident.clone())),
            GenericParam::Const(param) => Some(TypePart::Const(param.ident.clone())),
            GenericParam::Lifetime(_) => None,
        });
        let anonymous = self.item.args.iter().enumerate().filter(|(_, arg)| arg.has_impl_trait());
        let anonymous =
            anonymous.flat_map(|(at, arg)| arg.names.iter().map(move |name| TypePart::Arg(at, name.clone())));
        generics.chain(anonymous).collect()
    }

    fn default_key(&self) -> Key {
        let skipped: &[Ident] = match self.options.get("skip").map(|opt| &opt.value) {
            Some(options::Value::Names(names)) => names,
            _ => &[],
        };
        for name in skipped {
            if name == "self" {
                self.errors
                    .push(name.span(), "`self` is never part of the default key: leave it out of `skip`");
            } else if self.item.find(&name.to_string()).is_none() {
                let message =
                    self.item.no_argument(&name.unraw().to_string(), &[], |name| format!("`{name}`"));
                self.errors.push(name.span(), message);
            }
        }
        let args = self.item.args.iter().enumerate();
        let names = args.flat_map(|(at, arg)| arg.names.iter().map(move |name| (at, name.clone())));
        let is_skipped = |name: &Ident| skipped.iter().any(|skipped| skipped.unraw() == name.unraw());
        Key::Args(names.filter(|(_, name)| !is_skipped(name)).collect())
    }

    /// The key that the option `key` gives.
    pub(crate) fn key(&self) -> Option<Key> {
        let expr = self.options.expr("key")?;
        if let Some(skip) = self.options.get("skip") {
            self.errors.push(
                skip.span(),
                "`skip` is for the default key, and `key` replaces that: remove one of them",
            );
        }
        match expr {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                let parts = self.template(text, "key")?;
                self.no_name_is_text(&parts, text.span());
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
            other => self.over_arguments(other, "key").map(|value| Key::Value(Box::new(value))),
        }
    }

    /// A template without placeholders does not say the names of arguments.
    fn no_name_is_text(&self, parts: &[Part], span: Span) {
        let [Part::Text(text)] = parts else { return };
        let is_name = |part: &&str| self.item.find(part).is_some();
        let said: Vec<&str> = text.split(':').filter(is_name).collect();
        if said.is_empty() {
            return;
        }
        let meant: Vec<String> = text
            .split(':')
            .map(|part| if is_name(&part) { format!("{{{part}}}") } else { part.to_owned() })
            .collect();
        let are = if said.len() == 1 { "is" } else { "are" };
        let message = format!("{} here {are} text: write `{}`", listed(said), meant.join(":"));
        self.errors.push(span, message);
    }

    pub(crate) fn template(&self, text: &syn::LitStr, option: &'static str) -> Option<Vec<Part>> {
        let inherited = self.options.get(option).is_some_and(|opt| opt.inherited);
        if inherited && self.item.receiver.is_none() && template_says_self(&text.value()) {
            // Said already, where the function is.
            return None;
        }
        let scope = Scope { item: self.item, result: self.this != Macro::Cached, option };
        template::parse(text, &scope, self.errors)
    }

    pub(crate) fn condition(&self) -> Option<Expr> {
        let expr = self.options.expr("condition")?;
        if let Expr::Closure(closure) = expr {
            self.errors.push(
                closure.inputs_begin.span,
                "`condition` is an expression over the arguments, without `|…|`: `condition = id > 0`",
            );
            return None;
        }
        Some(expr.clone())
    }

    pub(crate) fn unless(&self) -> Option<Value> {
        self.over_loaded(self.options.expr("unless")?, "unless")
    }

    /// `ttl` as a closure over the loaded value.
    pub(crate) fn loaded_ttl(&self) -> Option<Value> {
        match self.options.expr("ttl")? {
            expr @ Expr::Closure(_) => self.over_loaded(expr, "ttl"),
            _ => None,
        }
    }

    /// `ttl` as an expression over the arguments.
    pub(crate) fn ttl(&self) -> Option<Value> {
        match self.options.expr("ttl")? {
            Expr::Closure(_) | Expr::Lit(_) => None,
            other => Some(plain(other)),
        }
    }

    /// `tags` as a closure over the loaded value: one with one parameter.
    pub(crate) fn loaded_tags(&self) -> Option<Value> {
        match self.options.expr("tags")? {
            expr @ Expr::Closure(closure) if closure.inputs.len() == 1 => self.over_loaded(expr, "tags"),
            _ => None,
        }
    }

    /// `tags` over the arguments.
    pub(crate) fn tags(&self) -> Vec<Tag> {
        let Some(expr) = self.options.expr("tags") else { return Vec::new() };
        match list(expr) {
            Some(elements) => {
                elements.into_iter().filter_map(|element| self.tag(unwrapped(element))).collect()
            }
            None => match expr {
                Expr::Closure(closure) if closure.inputs.len() == 1 => Vec::new(),
                Expr::Closure(_) => self.over_arguments(expr, "tags").map(Tag::Many).into_iter().collect(),
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                    self.errors
                        .push(text.span(), format!("`tags` is a list: write `tags = [{}]`", text.token()));
                    Vec::new()
                }
                Expr::Lit(other) => {
                    self.errors.at(other, format!("`tags` is a list: `{}`", options::usage("tags")));
                    Vec::new()
                }
                other => vec![Tag::Many(plain(other))],
            },
        }
    }

    fn tag(&self, element: Expr) -> Option<Tag> {
        match element {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                if text.value().is_empty() {
                    self.errors.push(text.span(), "an empty tag: write a word, or leave it out");
                    return None;
                }
                self.template(&text, "tags").map(Tag::Template)
            }
            Expr::Lit(other) => {
                self.errors.at(other, "a tag is a string: `\"users\"`, `\"org:{org}\"`");
                None
            }
            Expr::Closure(closure) => {
                self.errors.push(
                    closure.inputs_begin.span,
                    "a closure gives all tags: write `tags = |value| …` without a list around it",
                );
                None
            }
            other => Some(Tag::One(plain(&other))),
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

/// What is in `Result` and `Option`, as far as the spelling tells.
pub(crate) fn inside(ty: &Type) -> &Type {
    let in_result = argument_of(ty, |name| name.ends_with("Result")).unwrap_or(ty);
    argument_of(in_result, |name| name == "Option").unwrap_or(in_result)
}

/// The elements of `[a, b]`, `&[a, b]` and `vec![a, b]`.
fn list(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Array(array) => Some(array.elems.iter().cloned().collect()),
        Expr::Reference(reference) => list(&reference.expr),
        Expr::Group(group) => list(&group.expr),
        Expr::Macro(call) if call.mac.path.is_ident("vec") => {
            let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
            syn::parse::Parser::parse2(parser, call.mac.tokens.clone())
                .ok()
                .map(|elems| elems.into_iter().collect())
        }
        _ => None,
    }
}

/// Whether `self` is mentioned, in a template too.
pub(crate) fn says_self(tokens: proc_macro2::TokenStream) -> bool {
    mentions(tokens, "self")
}

fn template_says_self(template: &str) -> bool {
    template.contains("{self.")
}

/// Where to point for a mistake in what is returned.
pub(crate) fn value_span(item: &Item) -> Span {
    pointing_at(inside(&item.ret))
}
