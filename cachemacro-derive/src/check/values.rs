//! The user's expressions and closures.

use proc_macro2::{Ident, Span};
use quote::{ToTokens, format_ident};
use syn::spanned::Spanned;
use syn::{Expr, ExprClosure, Pat, Type, parse_quote};

use super::Checker;
use super::own::template_says_self;
use crate::model::{Let, Source, Value};
use crate::syntax::item::{names_in, unwrap_type};
use crate::syntax::options::{self, Macro, unwrapped};
use crate::syntax::template::{self, Part, Scope};
use crate::tokens::errors::code;
use crate::tokens::mentions::{leaving, mentions};

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
        Some(expr.clone())
    }

    pub(super) fn unless(&self) -> Option<Value> {
        self.over_loaded(self.options.expr("unless")?, "unless")
    }

    /// `ttl` as a closure over the loaded value.
    pub(super) fn loaded_ttl(&self) -> Option<Value> {
        match self.options.expr("ttl")? {
            expr @ Expr::Closure(_) => self.over_loaded(expr, "ttl"),
            _ => None,
        }
    }

    /// `ttl` as an expression over the arguments.
    pub(super) fn ttl(&self) -> Option<Value> {
        match self.options.expr("ttl")? {
            Expr::Closure(_) | Expr::Lit(_) => None,
            other => Some(plain(other)),
        }
    }

    pub(super) fn template(&self, text: &syn::LitStr, option: &'static str) -> Option<Vec<Part>> {
        let inherited = self.options.get(option).is_some_and(|opt| opt.inherited);
        if inherited && self.item.receiver.is_none() && template_says_self(&text.value()) {
            // Said already, where the function is.
            return None;
        }
        let scope = Scope { item: self.item, result: self.this != Macro::Cached, option };
        template::parse(text, &scope, self.errors)
    }

    /// An expression over the arguments; a closure or function gets references to all of them.
    pub(super) fn over_arguments(&self, expr: &Expr, option: &'static str) -> Option<Value> {
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
                    late: false,
                    span: expr.span(),
                })
            }
            other => Some(plain(other)),
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
            let (pat, ty) = self.typed(pat, "the arguments");
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
    pub(super) fn over_loaded(&self, expr: &Expr, option: &'static str) -> Option<Value> {
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
                let (pat, ty) = self.typed(&closure.inputs[0], "the loaded value");
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
                    late: true,
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

    /// A parameter and its type, which can only be a reference.
    fn typed(&self, pat: &Pat, to: &str) -> (Pat, Option<Type>) {
        let Pat::Type(typed) = pat else { return (pat.clone(), None) };
        if !matches!(unwrap_type(&typed.ty), Type::Reference(_) | Type::Infer(_)) {
            let ty = code(&typed.ty);
            self.errors.at(
                &typed.ty,
                format!("parameters are references to {to}: leave the type out, or write `&{ty}`"),
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
        let is_loaded = |bound: &Let| matches!(bound.from, Source::Loaded);
        let binds =
            |name: &str| lets.iter().flat_map(|bound| names_in(&bound.pat)).any(|bound| bound == name);
        let late = lets.iter().any(is_loaded) || says_result(&closure.body) && !binds("result");
        Some(Value {
            lets,
            expr: unwrapped((*closure.body).clone()),
            ty,
            returns: leaving.returns,
            borrows: true,
            late,
            span: closure.span(),
        })
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

fn says_result(expr: &Expr) -> bool {
    mentions(expr.to_token_stream(), "result")
}
