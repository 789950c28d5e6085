//! The user's expressions and closures.
//!
//! One rule for all options: `result` is the value that was loaded or returned, and closures take the arguments by
//! position. So the options that are about the value, `unless` and `ttl`, are expressions and no closures.

use proc_macro2::{Ident, Span};
use quote::{ToTokens, format_ident};
use syn::spanned::Spanned;
use syn::{Expr, ExprClosure, Pat, Type, parse_quote};

use super::Checker;
use super::own::template_says_self;
use crate::model::{Let, Value};
use crate::syntax::item::unwrap_type;
use crate::syntax::options::{self, Macro, unwrapped};
use crate::syntax::template::{self, Part, Scope};
use crate::tokens::code::code;
use crate::tokens::mentions::{find, leaving, mentions, renamed};
use crate::values::says_result;

impl Checker<'_> {
    pub(super) fn condition(&self) -> Option<Expr> {
        let expr = self.options.expr("condition")?;
        if let Expr::Closure(closure) = expr {
            self.errors.push(
                closure.inputs_begin.span,
                "`condition` is an expression over the arguments, without `|…|`: `condition = id > 0`",
            );
            return None;
        }
        if self.is_quoted(expr, "condition") {
            return None;
        }
        self.is_early(expr, "condition").then(|| expr.clone())
    }

    /// Reports text where an expression is meant.
    pub(super) fn is_quoted(&self, expr: &Expr, option: &'static str) -> bool {
        let Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = expr else { return false };
        let meant = text.parse::<Expr>().ok().filter(|meant| match meant {
            Expr::Path(path) => self.is_function(path) || option == "cache",
            _ => true,
        });
        let meant = match (meant, option) {
            (Some(Expr::Path(path)), "entry") => self.called(&path),
            (Some(_), "cache") | (None, _) => options::usage(option).to_owned(),
            (Some(meant), _) => format!("{option} = {}", code(meant)),
        };
        self.errors
            .push(text.span(), format!("`{option}` is an expression, without quotes: write `{meant}`"));
        true
    }

    /// `entry = user_entry(org, id)`, with the arguments of this function.
    pub(super) fn called(&self, function: &syn::ExprPath) -> String {
        let names = self.item.args.iter().filter_map(|arg| arg.ident()).map(ToString::to_string);
        format!("entry = {}({})", code(function), names.collect::<Vec<_>>().join(", "))
    }

    /// Reports `result.is_err()` and its like: `result` is the value inside.
    fn asks_what_is_around_the_value(&self, expr: &Expr) -> bool {
        let asked = find_call_on_result(expr)
            .filter(|method| ["is_ok", "is_err", "is_some", "is_none"].iter().any(|name| method == name));
        let wraps = code(&self.item.ret) != code(self.item.value_type());
        let Some(method) = asked.filter(|_| wraps) else { return false };
        self.errors.push(
            method.span(),
            "`result` is the value inside of `Result` and `Option`: `Err` and `None` are not stored unless you write `cache_err` \
             or `cache_none`, so leave this out",
        );
        true
    }

    pub(super) fn unless(&self) -> Option<Value> {
        let unless = self.options.expr("unless")?;
        if self.is_quoted(unless, "unless") || self.asks_what_is_around_the_value(unless) {
            return None;
        }
        match unless {
            Expr::Closure(closure) => {
                self.no_closure(closure, "unless");
                None
            }
            Expr::Path(path) if self.is_function(path) => {
                let message = format!(
                    "`unless` is an expression, and the value in it is called `result`: write `unless = {}(result)`",
                    code(path)
                );
                self.errors.at(path, message);
                None
            }
            expr => Some(self.after_body(plain(expr), "unless")),
        }
    }

    /// The TTL where it is an expression; text is part of the policy.
    pub(super) fn ttl(&self) -> Option<Value> {
        match self.options.expr("ttl")? {
            Expr::Lit(_) => None,
            Expr::Closure(closure) => {
                self.no_closure(closure, "ttl");
                None
            }
            other => Some(self.expression(other, "ttl")),
        }
    }

    pub(super) fn cache(&self) -> Option<Expr> {
        let expr = self.options.expr("cache")?;
        if self.is_quoted(expr, "cache") {
            return None;
        }
        self.is_early(expr, "cache").then(|| expr.clone())
    }

    pub(super) fn template(&self, text: &syn::LitStr, option: &'static str) -> Option<Vec<Part>> {
        let inherited = self.options.get(option).is_some_and(|opt| opt.inherited);
        if inherited && self.item.receiver.is_none() && template_says_self(&text.value()) {
            // `defaults_have_self` has reported it, at the function.
            return None;
        }
        let early = self.this == Macro::Cached && option == "key";
        let scope = Scope { item: self.item, result: !early, option };
        template::parse(text, &scope, self.errors)
    }

    /// A key or tags: a closure or function that takes references to all arguments, or an expression.
    pub(super) fn over_arguments(&self, expr: &Expr, option: &'static str) -> Option<Value> {
        match expr {
            Expr::Closure(closure) => self.inlined(closure, option),
            Expr::Path(path) if self.is_function(path) => {
                let names: Vec<Ident> = (0..self.item.args.len())
                    .map(|at| format_ident!("argument_{}", at, span = Span::mixed_site()))
                    .collect();
                let lets = names.iter().enumerate().map(|(arg, name)| Let {
                    pat: Pat::Ident(syn::PatIdent {
                        attrs: Vec::new(),
                        by_ref: None,
                        mutability: None,
                        ident: name.clone(),
                        subpat: None,
                    }),
                    ty: None,
                    arg,
                });
                let lets = self.whole(lets.collect(), expr.span())?;
                Some(Value {
                    lets,
                    expr: parse_quote!(#path(#(#names),*)),
                    ty: None,
                    returns: false,
                    borrows: false,
                    late: false,
                    span: expr.span(),
                })
            }
            other => Some(self.expression(other, option)),
        }
    }

    /// An expression over the arguments and `result`.
    pub(super) fn expression(&self, expr: &Expr, option: &str) -> Value {
        let value = plain(expr);
        if value.late { self.after_body(value, option) } else { value }
    }

    /// A value that is evaluated in a closure after the body.
    fn after_body(&self, value: Value, option: &str) -> Value {
        let leaving = leaving(&value.expr);
        if leaving.awaits {
            let message = format!("`{option}` is asked when the body has run, and cannot `.await` there");
            self.errors.push(value.span, message);
        }
        Value { returns: leaving.returns, ..value }
    }

    /// Checks that an option which is needed before the body does not mention `result`.
    pub(super) fn is_early(&self, expr: &Expr, option: &str) -> bool {
        // Where an argument is called `result`, `result_is_no_argument` reports it.
        if !says_result(expr) || self.item.find("result").is_some() {
            return true;
        }
        let instead = match option {
            "key" => ": it is made of arguments",
            "condition" => {
                ": what depends on the value goes into `unless`, as in `unless = result.is_empty()`"
            }
            _ => "",
        };
        let at = find(expr.to_token_stream(), "result").map_or_else(|| expr.span(), |token| token.span());
        self.errors.push(at, format!("`{option}` is needed before there is a `result`{instead}"));
        false
    }

    /// Whether a path is taken for a function: it is no argument, and its last name is not capitalized like a constant.
    pub(super) fn is_function(&self, path: &syn::ExprPath) -> bool {
        let last = path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
        let local = path.path.get_ident().is_some_and(|name| {
            name == "self" || name == "result" || self.item.find(&name.to_string()).is_some()
        });
        !local && !last.starts_with(char::is_uppercase)
    }

    /// A closure over all arguments, as a block that binds its parameters.
    fn inlined(&self, closure: &ExprClosure, option: &'static str) -> Option<Value> {
        let args = &self.item.args;
        if option == "tags" && self.takes_value(closure) || closure.inputs.len() != args.len() {
            self.errors.push(closure.inputs_begin.span, self.other_parameters(closure, option));
            return None;
        }
        let lets = closure.inputs.iter().enumerate().map(|(arg, pat)| {
            let (pat, ty) = self.typed(pat);
            Let { pat, ty, arg }
        });
        let lets = lets.filter(|bound| !is_unused(&bound.pat, &closure.body));
        let lets = self.whole(lets.collect(), closure.span())?;
        self.closed(closure, lets, option)
    }

    /// What is said of a closure whose parameters are not the arguments.
    fn other_parameters(&self, closure: &ExprClosure, option: &'static str) -> String {
        let args = &self.item.args;
        let about_value = option == "tags" && closure.inputs.len() == 1;
        let value = about_value
            .then(|| format!("the value is called `result`: write `{}`", of_result(closure, option)));
        let (name, takes) = (self.item.name(), counted(args.len(), "argument"));
        let names = args.iter().map(|arg| arg.ident().map_or_else(|| "_".to_owned(), ToString::to_string));
        let names = names.collect::<Vec<_>>().join(", ");
        match value {
            Some(value) if args.is_empty() => {
                format!("a closure takes the arguments, and `{name}` has none (`self` not counted); {value}")
            }
            Some(value) => format!(
                "a closure takes the arguments, and `{name}` has {takes} (`self` not counted): write `|{names}| …`; {value}"
            ),
            None => format!(
                "this closure takes {}, but `{name}` has {takes} (`self` not counted): write `|{names}| …`",
                counted(closure.inputs.len(), "parameter")
            ),
        }
    }

    /// Whether the only parameter of a closure is meant to be the value: by its name, or by its type.
    fn takes_value(&self, closure: &ExprClosure) -> bool {
        let mut inputs = closure.inputs.iter();
        let (Some(input), None) = (inputs.next(), inputs.next()) else { return false };
        let own = self.item.value_type();
        let is_arguments =
            |ty: &Type| self.item.args.iter().any(|arg| code(by_value(&arg.ty)) == code(by_value(ty)));
        match input {
            Pat::Type(typed) => code(by_value(&typed.ty)) == code(own) && !is_arguments(&typed.ty),
            Pat::Ident(pat) => {
                ["result", "value"].iter().any(|name| pat.ident == name && self.item.find(name).is_none())
            }
            Pat::Struct(pat) => {
                let is =
                    |ty: &Type| matches!(by_value(ty), Type::Path(ty) if last(&ty.path) == last(&pat.path));
                is(own) && !self.item.args.iter().any(|arg| is(&arg.ty))
            }
            _ => false,
        }
    }

    /// Reports a closure in an option that is an expression.
    fn no_closure(&self, closure: &ExprClosure, option: &'static str) {
        let message = format!(
            "`{option}` is an expression over the arguments and `result`, which is the value: write `{}`",
            of_result(closure, option)
        );
        self.errors.push(closure.inputs_begin.span, message);
    }

    /// A closure's parameters name whole arguments; an argument that is a pattern has no name.
    fn whole(&self, lets: Vec<Let>, span: Span) -> Option<Vec<Let>> {
        if lets.iter().any(|bound| self.item.args[bound.arg].ident().is_none()) {
            self.errors.push(
                span,
                "this argument is a pattern, so the closure cannot take it as a whole: write `_` for it, and use the \
                 pattern's names in a template",
            );
            return None;
        }
        Some(lets)
    }

    /// A parameter and its type, which can only be a reference.
    fn typed(&self, pat: &Pat) -> (Pat, Option<Type>) {
        let Pat::Type(typed) = pat else { return (pat.clone(), None) };
        if !matches!(unwrap_type(&typed.ty), Type::Reference(_) | Type::Infer(_)) {
            let ty = code(&typed.ty);
            self.errors.at(
                &typed.ty,
                format!("parameters are references to the arguments: leave the type out, or write `&{ty}`"),
            );
        }
        ((*typed.pat).clone(), Some((*typed.ty).clone()))
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
        let value = Value {
            lets,
            ty,
            returns: leaving.returns,
            span: closure.span(),
            late: says_result(&Expr::Closure(closure.clone())),
            ..plain(&unwrapped((*closure.body).clone()))
        };
        Some(if value.late { self.after_body(value, option) } else { value })
    }
}

/// What to write instead of a closure over the value: its body with `result` for the parameter, where that is short.
fn of_result(closure: &ExprClosure, option: &str) -> String {
    let example = match option {
        "ttl" => "ttl = if result.premium { … } else { … }",
        "tags" => "tags = [\"org:{result.org}\"]",
        _ => options::usage(option),
    };
    let parameter = match closure.inputs.iter().collect::<Vec<_>>().as_slice() {
        [Pat::Ident(pat)] => Some(pat.ident.to_string()),
        [Pat::Type(typed)] => match &*typed.pat {
            Pat::Ident(pat) => Some(pat.ident.to_string()),
            _ => None,
        },
        [Pat::Wild(_)] => Some("_".to_owned()),
        _ => None,
    };
    let result = Ident::new("result", Span::call_site());
    let body = parameter.map(|name| code(renamed(closure.body.to_token_stream(), &name, &result)));
    let is_short = |body: &String| body.chars().count() <= 80 && !matches!(&*closure.body, Expr::Block(_));
    body.filter(is_short).map_or_else(|| example.to_owned(), |body| format!("{option} = {body}"))
}

/// The method that is called on `result` itself, as in `result.is_err()`, also behind `!` and in `a || b`.
fn find_call_on_result(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Paren(paren) => find_call_on_result(&paren.expr),
        Expr::Unary(unary) => find_call_on_result(&unary.expr),
        Expr::Binary(binary) => {
            find_call_on_result(&binary.left).or_else(|| find_call_on_result(&binary.right))
        }
        Expr::Closure(closure) => {
            let [Pat::Ident(value)] = closure.inputs.iter().collect::<Vec<_>>()[..] else { return None };
            method_on(&closure.body, &value.ident)
        }
        other => method_on(other, &Ident::new("result", Span::call_site())),
    }
}

fn method_on<'a>(expr: &'a Expr, name: &Ident) -> Option<&'a Ident> {
    let Expr::MethodCall(call) = expr else { return None };
    matches!(&*call.receiver, Expr::Path(path) if path.path.is_ident(name)).then_some(&call.method)
}

/// `T` of `&T`.
fn by_value(ty: &Type) -> &Type {
    match unwrap_type(ty) {
        Type::Reference(reference) => by_value(&reference.elem),
        other => other,
    }
}

fn last(path: &syn::Path) -> Option<&Ident> {
    path.segments.last().map(|last| &last.ident)
}

/// Whether a closure's parameter is `_`, or begins with an underscore and is not mentioned.
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

/// An expression that is no closure.
pub(super) fn plain(expr: &Expr) -> Value {
    Value {
        lets: Vec::new(),
        expr: expr.clone(),
        ty: None,
        returns: false,
        borrows: true,
        late: says_result(expr),
        span: expr.span(),
    }
}
