//! Options and item to model: each rule a function, each mistake reported where it is.
//!
//! A model comes out in any case; what was wrong is left out of it, so that a function that `entry` names can be
//! generated although another option is mistaken.

use proc_macro2::{Ident, Span};
use quote::{ToTokens, format_ident};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Expr, ExprClosure, ExprLit, GenericParam, Lit, Pat, Path, Token, Type, parse_quote};

use crate::duration;
use crate::errors::{Errors, similar, there_are};
use crate::item::{Form, Item, has_impl_trait, pointing_at, unwrap_type};
use crate::mentions::{find, leaving, mentions};
use crate::model::{
    Cached, EntryFn, EntryParts, Key, Let, Policy, RulesModel, Source, Tag, Time, TypePart, Value,
};
use crate::options::{self, Macro, Options, unwrapped};
use crate::template::{self, Part, Scope};
use crate::values::{arguments_in, arguments_said};

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
    check.return_type();
    check.owned_value();
    check.no_other_attribute();
    check.defaults_have_self();
    let rules = RulesModel { unless: check.unless(), ttl: check.loaded_ttl(), tags: check.loaded_tags() };
    let entry = EntryParts {
        policy: check.policy(),
        cache: options.expr("cache").cloned(),
        of_trait: options.of_trait().map(str::to_owned),
        prefix: check.prefix(),
        types: check.types(),
        key: check.key().unwrap_or_else(|| check.default_key()),
        tags: check.tags(),
        ttl: check.ttl(),
        codec: options.ty("codec").cloned(),
    };
    let function = check.entry_function(&entry, &rules);
    check.value_has_entry();
    Cached {
        facade: facade(options),
        condition: check.condition(),
        stores_none: options
            .get("none_ttl")
            .or(options.get("cache_none"))
            .filter(|_| entry.policy.cache_none)
            .map(options::Opt::span),
        stores_err: options.get("cache_err").filter(|_| entry.policy.cache_err).map(options::Opt::span),
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
            let message = format!(
                "`{}` goes on functions that give a future: write `async fn {name}`, or `fn {name}(…) -> impl Future<Output = …>`",
                self.attribute()
            );
            self.errors.push(self.item.sig.fn_token.span, message);
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
        struct Borrowed(Option<proc_macro2::TokenStream>);
        impl<'ast> Visit<'ast> for Borrowed {
            fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
                let is_static =
                    reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static");
                if !is_static {
                    self.0.get_or_insert_with(|| reference.to_token_stream());
                }
            }

            fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
                if lifetime.ident != "static" {
                    self.0.get_or_insert_with(|| lifetime.to_token_stream());
                }
            }

            fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
        }
        let mut borrowed = Borrowed(None);
        borrowed.visit_type(inside(&self.item.ret));
        if let Some(tokens) = borrowed.0 {
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

    fn value_has_entry(&self) {
        if let Some(value) = self.options.get("value").filter(|_| !self.options.has("entry")) {
            self.errors
                .push(value.span(), "`value` is the type of an `entry`, and there is none: leave it out");
        }
    }

    pub(crate) fn prefix(&self) -> Option<Expr> {
        let expr = self.options.expr("prefix")?;
        match expr {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                let value = text.value();
                if value.is_empty() {
                    self.errors.push(
                        text.span(),
                        "an empty `prefix`: write a word, or leave it out for the function's path",
                    );
                    return None;
                }
                if value.contains(['{', '}']) {
                    self.errors.push(text.span(), "`prefix` has no placeholders: they belong into `key`");
                    return None;
                }
            }
            Expr::Path(_) | Expr::Macro(_) => {}
            other => {
                self.errors.at(other, format!("`prefix` is a string: `{}`", options::usage("prefix")));
                return None;
            }
        }
        Some(expr.clone())
    }

    /// What tells instantiations apart: type parameters, const parameters, `impl Trait`.
    pub(crate) fn types(&self) -> Vec<TypePart> {
        let generics = self.item.sig.generics.params.iter().filter_map(|param| match param {
            GenericParam::Type(param) => Some(TypePart::Type(param.ident.clone())),
            GenericParam::Const(param) => Some(TypePart::Const(param.ident.clone())),
            _ => None,
        });
        let anonymous = self.item.args.iter().filter(|arg| arg.has_impl_trait());
        generics.chain(anonymous.flat_map(|arg| arg.names.iter().cloned().map(TypePart::Arg))).collect()
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
                self.errors.push(name.span(), self.no_argument(&name.to_string()));
            }
        }
        let args = self.item.args.iter().enumerate();
        let names = args.flat_map(|(at, arg)| arg.names.iter().map(move |name| (at, name.clone())));
        Key::Args(names.filter(|(_, name)| !skipped.contains(name)).collect())
    }

    fn no_argument(&self, name: &str) -> String {
        let known: Vec<String> = self.item.names().map(ToString::to_string).collect();
        let known = known.iter().map(String::as_str);
        match similar(name, known.clone()) {
            Some(guess) => {
                format!("`{}` has no argument `{name}`: did you mean `{guess}`?", self.item.name())
            }
            None if known.clone().next().is_none() => {
                format!("`{}` has no argument `{name}`: it has none", self.item.name())
            }
            None => format!("`{}` has no argument `{name}`: {}", self.item.name(), there_are(known)),
        }
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
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => self.template(text, "key").map(Key::Template),
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
            other => self.over_arguments(other, "key").map(Key::Value),
        }
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

    /// An expression over the arguments; a closure or function gets references to all of them.
    pub(crate) fn over_arguments(&self, expr: &Expr, option: &'static str) -> Option<Value> {
        match expr {
            Expr::Closure(closure) => self.inlined(closure, option),
            Expr::Path(path) if self.is_function(path) => {
                let names: Vec<Ident> = (0..self.item.args.len())
                    .map(|at| format_ident!("argument_{}", at, span = Span::mixed_site()))
                    .collect();
                let lets = names.iter().enumerate().map(|(at, name)| Let {
                    pat: Pat::Ident(syn::PatIdent {
                        attrs: Vec::new(),
                        by_ref: None,
                        mutability: None,
                        ident: name.clone(),
                        subpat: None,
                    }),
                    ty: None,
                    from: Source::Arg(at),
                });
                let lets = self.whole(lets.collect(), expr.span())?;
                Some(Value {
                    lets,
                    expr: parse_quote!(#path(#(#names),*)),
                    ty: None,
                    returns: false,
                    borrows: false,
                    span: expr.span(),
                })
            }
            other => Some(self.plain(other)),
        }
    }

    /// Whether a path is a function's and not an argument's or constant's.
    fn is_function(&self, path: &syn::ExprPath) -> bool {
        let last = path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
        let local = path.path.get_ident().is_some_and(|name| {
            name == "self" || name == "result" || self.item.find(&name.to_string()).is_some()
        });
        !local && !last.starts_with(char::is_uppercase)
    }

    pub(crate) fn plain(&self, expr: &Expr) -> Value {
        Value {
            lets: Vec::new(),
            expr: expr.clone(),
            ty: None,
            returns: leaving(expr).returns,
            borrows: true,
            span: expr.span(),
        }
    }

    /// A closure over all arguments.
    fn inlined(&self, closure: &ExprClosure, option: &'static str) -> Option<Value> {
        let args = &self.item.args;
        if closure.inputs.len() != args.len() {
            let names: Vec<String> = args
                .iter()
                .map(|arg| arg.ident().map_or_else(|| "_".to_owned(), ToString::to_string))
                .collect();
            let message = format!(
                "this closure takes {}, but `{}` has {} (`self` not counted): write `|{}| …`",
                counted(closure.inputs.len(), "parameter"),
                self.item.name(),
                counted(args.len(), "argument"),
                names.join(", ")
            );
            self.errors.push(closure.inputs_begin.span, message);
            return None;
        }
        let lets = closure.inputs.iter().enumerate().map(|(at, pat)| {
            let (pat, ty) = typed(pat);
            Let { pat, ty, from: Source::Arg(at) }
        });
        let lets = lets.filter(|bound| !is_unused(&bound.pat, &closure.body));
        let lets = self.whole(lets.collect(), closure.span())?;
        self.closed(closure, lets, option)
    }

    /// Parameters stand for whole arguments, which those are not that the function takes apart.
    fn whole(&self, lets: Vec<Let>, span: Span) -> Option<Vec<Let>> {
        let apart = lets
            .iter()
            .find(|bound| matches!(bound.from, Source::Arg(at) if self.item.args[at].ident().is_none()));
        if apart.is_some() {
            self.errors.push(
                span,
                "an argument that the function takes apart cannot be had whole: write `_` for it and name its parts, \
                 or use a template",
            );
            return None;
        }
        Some(lets)
    }

    /// A closure over what the function returned.
    pub(crate) fn over_loaded(&self, expr: &Expr, option: &'static str) -> Option<Value> {
        match expr {
            Expr::Closure(closure) => {
                if closure.inputs.len() != 1 {
                    let message = format!(
                        "this closure takes {}, but `{option}` gives it one, the loaded value: write `|value| …`",
                        counted(closure.inputs.len(), "parameter")
                    );
                    self.errors.push(closure.inputs_begin.span, message);
                    return None;
                }
                let (pat, ty) = typed(&closure.inputs[0]);
                let lets = if is_unused(&pat, &closure.body) {
                    Vec::new()
                } else {
                    vec![Let { pat, ty, from: Source::Loaded }]
                };
                self.closed(closure, lets, option)
            }
            Expr::Path(path) => {
                let name = format_ident!("value_", span = Span::mixed_site());
                Some(Value {
                    lets: vec![Let { pat: parse_quote!(#name), ty: None, from: Source::Loaded }],
                    expr: parse_quote!(#path(#name)),
                    ty: None,
                    returns: false,
                    borrows: false,
                    span: path.span(),
                })
            }
            other => {
                self.errors.at(
                    other,
                    format!("`{option}` is a closure over the loaded value: `{}`", options::usage(option)),
                );
                None
            }
        }
    }

    fn closed(&self, closure: &ExprClosure, lets: Vec<Let>, option: &str) -> Option<Value> {
        if let Some(word) = &closure.asyncness {
            self.errors
                .push(word.span, format!("write `{option}` without `async`: `.await` works in it as it is"));
            return None;
        }
        let leaving = leaving(&closure.body);
        if leaving.awaits && leaving.returns {
            self.errors.push(
                closure.span(),
                format!("`{option}` cannot both `.await` and `return`: move it into a function of your own"),
            );
            return None;
        }
        let ty = match &closure.output {
            syn::ReturnType::Type(_, ty) => Some((**ty).clone()),
            syn::ReturnType::Default => None,
        };
        Some(Value {
            lets,
            expr: unwrapped((*closure.body).clone()),
            ty,
            returns: leaving.returns,
            borrows: true,
            span: closure.span(),
        })
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
            other => Some(self.plain(other)),
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
                other => vec![Tag::Many(self.plain(other))],
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
            other => Some(Tag::One(self.plain(&other))),
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        let options = self.options;
        let none_ttl = self.time("none_ttl");
        if let Some(ttl) =
            options.get("none_ttl").filter(|_| options.has("cache_none") && !options.flag("cache_none"))
        {
            self.errors.push(ttl.span(), "`none_ttl` says how long `None` is stored, and `cache_none = false` that it is not: remove one of them");
        }
        let ttl = match options.expr("ttl") {
            Some(Expr::Lit(_)) => self.time("ttl"),
            _ => None,
        };
        let wait = self.time("wait");
        let deadline = self.time("deadline");
        for (name, time) in [("wait", &wait), ("deadline", &deadline)] {
            if matches!(time, Some(Time::Never)) {
                let span = options.expr(name).map_or_else(Span::call_site, Spanned::span);
                self.errors.push(span, format!("`{name}` must end: every wait has a deadline"));
            }
        }
        if let (Some(Time::Millis(0)), Some(expr)) = (&deadline, options.expr("deadline")) {
            self.errors.at(expr, "a load cannot take no time: write a longer `deadline`, such as `\"60s\"`");
        }
        Policy {
            ttl,
            cache_none: options.flag("cache_none") || options.has("none_ttl"),
            none_ttl,
            cache_err: options.flag("cache_err"),
            jitter: self.jitter(),
            wait,
            deadline,
            version: self.version(),
        }
    }

    /// An option that is a length of time, or a constant `Duration`.
    fn time(&self, name: &'static str) -> Option<Time> {
        match self.options.expr(name)? {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => match duration::parse(&text.value()) {
                Ok(time) => Some(time),
                Err(message) => {
                    self.errors.push(text.span(), message);
                    None
                }
            },
            Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => {
                self.errors
                    .push(number.span(), format!("`{name}` needs a unit: did you mean `\"{number}s\"`?"));
                None
            }
            Expr::Lit(other) => {
                self.errors.at(other, format!("`{name}` is a length of time: `{}`", options::usage(name)));
                None
            }
            Expr::Closure(closure) => {
                self.errors.push(
                    closure.inputs_begin.span,
                    format!("`{name}` is the same for every call: `{}`", options::usage(name)),
                );
                None
            }
            other => {
                let named =
                    self.item.names().find_map(|name| find(other.to_token_stream(), &name.to_string()));
                if let Some(argument) = named {
                    self.errors.push(argument.span(), format!("`{name}` is the same for every call and cannot depend on arguments: write a constant"));
                    return None;
                }
                Some(Time::Expr(Box::new(other.clone())))
            }
        }
    }

    fn jitter(&self) -> Option<u8> {
        let expr = self.options.expr("jitter")?;
        let percent = match expr {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                let text = text.value();
                text.strip_suffix('%')
                    .and_then(|number| number.trim().parse::<u8>().ok())
                    .filter(|percent| *percent <= 100)
            }
            _ => None,
        };
        if percent.is_none() {
            self.errors.at(
                expr,
                format!("`jitter` is a whole percentage from 0 to 100: `{}`", options::usage("jitter")),
            );
        }
        percent
    }

    fn version(&self) -> Option<Expr> {
        let expr = self.options.expr("version")?;
        match expr {
            Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) if number.base10_parse::<u32>().is_ok() => {}
            Expr::Path(_) | Expr::Macro(_) => {}
            other => {
                self.errors.at(other, "`version` is a number from 0 to 4294967295: `version = 1`");
                return None;
            }
        }
        Some(expr.clone())
    }

    fn entry_function(&self, entry: &EntryParts, rules: &RulesModel) -> Option<EntryFn> {
        let opt = self.options.get("entry")?;
        let options::Value::Entry(vis, name) = &opt.value else { return None };
        if matches!(self.item.form, Form::Boxed { .. }) && self.options.of_trait().is_none() {
            self.errors.push(
                name.span(),
                "a trait's `impl` has no place for the function that `entry` generates: put `#[cache_config]` on the \
                 `impl`, which makes it an inherent function",
            );
            return None;
        }
        if *name == self.item.sig.ident {
            self.errors.push(
                name.span(),
                format!(
                    "`entry` names a new function, and `{name}` is this one: write `entry = {name}_entry`"
                ),
            );
            return None;
        }
        self.rules_are_constant(rules);
        let mut used = Vec::new();
        match &entry.key {
            Key::Template(parts) => used.extend(self.said_in(parts)),
            Key::Args(args) => used.extend(args.iter().map(|(_, name)| name.to_string())),
            Key::Value(value) => used.extend(self.shared(value, "key")),
        }
        for tag in &entry.tags {
            match tag {
                Tag::Template(parts) => used.extend(self.said_in(parts)),
                Tag::One(value) | Tag::Many(value) => used.extend(self.shared(value, "tags")),
            }
        }
        used.extend(entry.ttl.iter().flat_map(|value| self.shared(value, "ttl")));
        used.extend(entry.cache.iter().flat_map(|cache| self.shared(&self.plain(cache), "cache")));
        let takes = self.item.args.iter().enumerate().filter(|(_, arg)| {
            arg.has_impl_trait() || arg.names.iter().any(|name| used.iter().any(|used| name == used))
        });
        let takes = takes.map(|(at, _)| at).collect();
        Some(EntryFn {
            vis: match vis {
                syn::Visibility::Inherited if self.options.of_trait().is_some() => parse_quote!(pub(crate)),
                syn::Visibility::Inherited => self.item.vis.clone(),
                other => other.clone(),
            },
            name: name.clone(),
            value: self.options.ty("value").cloned().unwrap_or_else(|| inside(&self.item.ret).clone()),
            takes_self: used.iter().any(|used| used == "self"),
            takes,
        })
    }

    /// The names that a value shared with the `entry` function needs.
    fn shared(&self, value: &Value, option: &str) -> Vec<String> {
        if leaving(&value.expr).awaits {
            self.errors.push(
                value.span,
                format!("the function that `entry` generates is not `async`, so `{option}` cannot `.await`"),
            );
        }
        let tokens = value.expr.to_token_stream();
        let said = arguments_in(value, self.item).iter().map(ToString::to_string).collect::<Vec<_>>();
        let stood_for = value.lets.iter().filter_map(|bound| match bound.from {
            Source::Arg(at) => self.item.args[at].ident().map(ToString::to_string),
            Source::Loaded => None,
        });
        said.into_iter().chain(stood_for).chain(says_self(tokens).then(|| "self".to_owned())).collect()
    }

    /// The names that a template mentions.
    fn said_in(&self, parts: &[Part]) -> Vec<String> {
        let said = |tokens: &proc_macro2::TokenStream| {
            let own = says_self(tokens.clone()).then(|| "self".to_owned());
            arguments_said(tokens, self.item).iter().map(ToString::to_string).chain(own).collect::<Vec<_>>()
        };
        let holes = parts.iter().filter_map(|part| match part {
            Part::Hole(hole) => Some(&hole.expr),
            Part::Text(_) => None,
        });
        holes.flat_map(said).collect()
    }

    /// With `entry`, a put applies the rules too, and it knows no arguments.
    fn rules_are_constant(&self, rules: &RulesModel) {
        for value in rules.all() {
            let tokens = value.expr.to_token_stream();
            let own: Vec<Ident> =
                value.lets.iter().flat_map(|bound| crate::item::names_in(&bound.pat)).collect();
            let names = self.item.names().map(ToString::to_string).chain(["self".to_owned()]);
            for name in names.filter(|name| own.iter().all(|own| own != name)) {
                if let Some(token) = find(tokens.clone(), &name) {
                    self.errors.push(
                        token.span(),
                        format!("with `entry`, a closure over the value serves puts too, and cannot mention `{name}`"),
                    );
                }
            }
        }
    }
}

/// What is in `Result` and `Option`, as far as the spelling tells.
pub(crate) fn inside(ty: &Type) -> &Type {
    let in_result = generic_argument(ty, |name| name.ends_with("Result")).unwrap_or(ty);
    generic_argument(in_result, |name| name == "Option").unwrap_or(in_result)
}

fn generic_argument(ty: &Type, named: impl Fn(&str) -> bool) -> Option<&Type> {
    let Type::Path(path) = unwrap_type(ty) else { return None };
    let last = path.path.segments.last().filter(|last| named(&last.ident.to_string()))?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(unwrap_type(ty)),
        _ => None,
    })
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

fn typed(pat: &Pat) -> (Pat, Option<Type>) {
    match pat {
        Pat::Type(typed) => ((*typed.pat).clone(), Some((*typed.ty).clone())),
        other => (other.clone(), None),
    }
}

/// A name that says it is not used, and is not.
fn is_unused(pat: &Pat, expr: &Expr) -> bool {
    match pat {
        Pat::Wild(_) => true,
        Pat::Ident(pat) => {
            let name = pat.ident.to_string();
            name.starts_with('_') && !mentions(expr.to_token_stream(), &name)
        }
        _ => false,
    }
}

fn counted(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        more => format!("{more} {what}s"),
    }
}

/// Where to point for a mistake in what is returned.
pub(crate) fn value_span(item: &Item) -> Span {
    pointing_at(inside(&item.ret))
}
