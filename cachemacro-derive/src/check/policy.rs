//! The options that have the same value on every call, and the prefix.

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, GenericParam, Lit};

use super::Checker;
use crate::model::Policy;
use crate::syntax::duration::{self, Time};
use crate::syntax::options;
use crate::tokens::mentions::{find, find_parameter};
use crate::values::{borrowed, is_owned_argument};

impl Checker<'_> {
    pub(super) fn prefix(&self) -> Option<Expr> {
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
        // Text that the function owns is borrowed, so that the body can move it.
        Some(if is_owned_argument(expr, self.item) { borrowed(expr) } else { expr.clone() })
    }

    pub(super) fn policy(&self) -> Policy {
        let options = self.options;
        let (none_ttl, err_ttl) = (self.time("none_ttl"), self.time("err_ttl"));
        for (ttl, flag, what) in [("none_ttl", "cache_none", "None"), ("err_ttl", "cache_err", "Err")] {
            if let Some(opt) = options.get(ttl).filter(|_| options.has(flag) && !options.flag(flag)) {
                self.errors.push(
                    opt.span(),
                    format!("`{ttl}` says how long `{what}` is stored, and `{flag} = false` that it is not: remove one of them"),
                );
            }
        }
        let ttl = match options.expr("ttl") {
            Some(Expr::Lit(_)) => self.time("ttl"),
            _ => None,
        };
        self.stores_for_some_time("ttl", ttl.as_ref());
        self.stores_for_some_time("none_ttl", none_ttl.as_ref());
        self.stores_for_some_time("err_ttl", err_ttl.as_ref());
        let (stale, max_age) = (self.time("stale"), self.time("max_age"));
        self.ages_in_order(ttl.as_ref(), stale.as_ref(), max_age.as_ref());
        let wait = self.time("wait");
        let lease_limit = self.time("lease_limit");
        for (name, time) in [("wait", &wait), ("lease_limit", &lease_limit)] {
            if matches!(time, Some(Time::Never)) {
                let span = options.expr(name).map_or_else(Span::call_site, Spanned::span);
                self.errors
                    .push(span, format!("`{name}` cannot be `\"never\"`, because every wait must end"));
            }
        }
        if let (Some(Time::Millis(0)), Some(expr)) = (&lease_limit, options.expr("lease_limit")) {
            self.errors.at(
                expr,
                "with a limit of zero no load could keep its lease: write a longer one, such as `\"60s\"`",
            );
        }
        let local = self.local();
        if let (Some(Time::Millis(0)), Some(validate)) =
            (&local, options.get("validate").filter(|_| options.flag("validate")))
        {
            self.errors.push(validate.span(), "`validate` checks the values that `local` keeps, and `local = \"off\"` keeps none: remove one of them");
        }
        Policy {
            ttl,
            cache_none: options.flag("cache_none") || options.has("none_ttl"),
            none_ttl,
            cache_err: options.flag("cache_err") || options.has("err_ttl"),
            err_ttl,
            stale,
            max_age,
            refresh: self.refresh(),
            jitter: self.jitter(),
            wait,
            lease_limit,
            local,
            validate: options.flag("validate"),
            sealed: options.flag("sealed"),
            verify: self.verify(),
            recorded: options.flag("recorded"),
            version: self.version(),
        }
    }

    /// How long copies are kept; zero for `"off"`.
    fn local(&self) -> Option<Time> {
        let expr = self.options.expr("local")?;
        if matches!(expr, Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if text.value() == "off") {
            return Some(Time::Millis(0));
        }
        let time = self.time("local")?;
        let wrong = match time {
            Time::Millis(0) => "write `local = \"off\"` where no copies are to be kept",
            Time::Never => {
                "a copy must end at some time, in case its process is told of no change: write a length of time, such as `\"10s\"`"
            }
            Time::Millis(_) | Time::Expr(_) => return Some(time),
        };
        self.errors.at(expr, wrong);
        None
    }

    /// Zero for every value is a mistake, although a computed zero says that one value is not stored.
    fn stores_for_some_time(&self, name: &str, time: Option<&Time>) {
        if let (Some(Time::Millis(0)), Some(expr)) = (time, self.options.expr(name)) {
            let message = if name == "none_ttl" {
                "with a TTL of zero no `None` is stored: leave `none_ttl` out".to_owned()
            } else if name == "err_ttl" {
                "with a TTL of zero no `Err` is stored: leave `err_ttl` out".to_owned()
            } else {
                format!(
                    "with a TTL of zero nothing is ever stored: leave `#[{}]` out, or say when with `condition = …` (by the \
                     arguments) or `unless = …` (by the result)",
                    self.this.name()
                )
            };
            self.errors.at(expr, message);
        }
    }

    /// An option that is a length of time, or a constant `Duration`.
    pub(super) fn time(&self, name: &'static str) -> Option<Time> {
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
            other => self.is_constant(name, other).then(|| Time::Expr(Box::new(other.clone()))),
        }
    }

    /// Whether an expression is a constant: it mentions no argument, no type parameter and no `result`.
    pub(super) fn is_constant(&self, option: &str, expr: &Expr) -> bool {
        let tokens = expr.to_token_stream();
        let named = self.item.names().find_map(|name| find(tokens.clone(), &name.to_string()));
        if let Some(argument) = named.or_else(|| find(tokens.clone(), "self")) {
            let message = format!(
                "`{option}` is the same for every call and cannot depend on arguments: write a constant"
            );
            self.errors.push(argument.span(), message);
            return false;
        }
        if let Some(result) = find(tokens.clone(), "result") {
            let message = format!(
                "`{option}` is the same for every call and cannot depend on `result`: write a constant"
            );
            self.errors.push(result.span(), message);
            return false;
        }
        let parameters = self.item.sig.generics.params.iter().filter_map(|param| match param {
            GenericParam::Type(param) => Some(param.ident.to_string()),
            GenericParam::Const(param) => Some(param.ident.to_string()),
            GenericParam::Lifetime(_) => None,
        });
        for name in parameters.chain(["Self".to_owned()]) {
            if let Some(token) = find_parameter(tokens.clone(), &name) {
                let instead = if name == "Self" { "name the type instead, or write" } else { "write" };
                let message = format!(
                    "`{option}` is the same for every type and cannot depend on `{name}`: {instead} a constant"
                );
                self.errors.push(token.span(), message);
                return false;
            }
        }
        true
    }

    fn jitter(&self) -> Option<u8> {
        let expr = self.options.expr("jitter")?;
        let percent = percent(expr);
        if percent.is_none() {
            self.errors.at(
                expr,
                format!("`jitter` is a whole percentage from 0 to 100: `{}`", options::usage("jitter")),
            );
        }
        percent
    }

    /// The part of its TTL after which a value is loaded anew.
    fn refresh(&self) -> Option<u8> {
        let expr = self.options.expr("refresh")?;
        let percent = refresh_percent(expr).filter(|percent| *percent > 0);
        if percent.is_none() {
            self.errors.at(
                expr,
                format!(
                    "`refresh` is the part of its TTL, from 1 % to 100 %, after which a value is loaded anew: `{}`, or \
                     `refresh = \"80%, background\"`",
                    options::usage("refresh")
                ),
            );
        }
        percent
    }

    /// `stale` begins where `ttl` ends, and both end with `max_age`.
    fn ages_in_order(&self, ttl: Option<&Time>, stale: Option<&Time>, max_age: Option<&Time>) {
        for (name, time) in [("stale", stale), ("max_age", max_age)] {
            if let (Some(Time::Never), Some(expr)) = (time, self.options.expr(name)) {
                let message = format!("`{name}` has an end: `{}`", options::usage(name));
                self.errors.at(expr, message);
            }
        }
        let Some(expr) = self.options.expr("max_age") else { return };
        match (ttl, max_age) {
            (_, Some(Time::Millis(0))) => {
                self.errors.at(expr, "with a `max_age` of zero nothing is ever stored: leave it out");
            }
            (Some(Time::Millis(ttl)), Some(Time::Millis(age))) if age < ttl => {
                self.errors.at(
                    expr,
                    "`max_age` ends a value before its `ttl` does: write a longer one, or leave it out",
                );
            }
            (Some(Time::Never), Some(Time::Millis(_))) => {
                self.errors
                    .at(expr, "`max_age` ends a value whose `ttl` is `\"never\"`: leave one of them out");
            }
            _ => {}
        }
    }

    fn version(&self) -> Option<Expr> {
        let expr = self.options.expr("version")?;
        match expr {
            Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) if number.base10_parse::<u32>().is_ok() => {}
            Expr::Path(_) | Expr::Macro(_) => {
                if !self.is_constant("version", expr) {
                    return None;
                }
            }
            other => {
                self.errors.at(other, "`version` is a number from 0 to 4294967295: `version = 1`");
                return None;
            }
        }
        Some(expr.clone())
    }
}

/// A whole percentage from 0 to 100.
fn percent(expr: &Expr) -> Option<u8> {
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = expr else { return None };
    percent_in(&text.value())
}

/// The same, perhaps before `, background`.
fn refresh_percent(expr: &Expr) -> Option<u8> {
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = expr else { return None };
    let text = text.value();
    match text.split_once(',') {
        Some((percent, how)) if how.trim() == "background" => percent_in(percent),
        Some(_) => None,
        None => percent_in(&text),
    }
}

fn percent_in(text: &str) -> Option<u8> {
    let number = text.trim().strip_suffix('%')?.trim().parse::<u8>().ok()?;
    (number <= 100).then_some(number)
}
