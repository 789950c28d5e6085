//! Questions that mean the same share an answer: `similar`, and what goes beside it.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Expr, ExprLit, ExprPath, Lit, Path};

use super::Checker;
use super::own::says_self;
use crate::model::{Key, Similar, TypePart};
use crate::syntax::options;
use crate::syntax::template::{Hole, Part};
use crate::tokens::code::code;
use crate::tokens::mentions::mentions;
use crate::values::arguments_said;

/// What says nothing without `similar`.
const BESIDE: [&str; 4] = ["threshold", "embedder", "confirm", "scope"];

/// What cannot stand beside it, and why.
const NOT_BESIDE: [(&str, &str); 5] = [
    ("sealed", "what is sealed is not found by its text, which an index would tell whoever reads it"),
    (
        "write_behind",
        "the answer to another question is looked for before the queue, and would hide a write of this one that was accepted",
    ),
    ("soft", "the answer to another question is looked for before the load, and takes its own time"),
    ("timeout", "the answer to another question is looked for before the load, and takes its own time"),
    ("on_timeout", "the answer to another question is looked for before the load, and takes its own time"),
];

impl Checker<'_> {
    pub(super) fn similar(&self, key: &Key, types: &[TypePart]) -> Option<Similar> {
        if self.item.is_sync() {
            return None;
        }
        let Some(opt) = self.options.get("similar") else {
            for name in BESIDE {
                if let Some(opt) = self.options.get(name) {
                    let message = format!(
                        "`{name}` is about questions that mean the same: write `{}` beside it",
                        options::usage("similar")
                    );
                    self.errors.push(opt.span(), message);
                }
            }
            return None;
        };
        for (name, why) in NOT_BESIDE {
            // `sealed = false` says nothing.
            let Some(other) = self.options.get(name).filter(|_| name != "sealed" || self.options.flag(name))
            else {
                continue;
            };
            let at = if other.inherited { opt.span() } else { other.span() };
            self.errors.push(at, format!("`{name}` cannot stand beside `similar`: {why}"));
        }
        let (question, threshold, confirm) = (self.question(), self.threshold(opt), self.confirm());
        let question = question?;
        let scope = self.scope_has_parts(key, &question)?;
        self.shared_scope(scope || !types.is_empty(), opt);
        let embedder = self.options.expr("embedder").cloned();
        Some(Similar { question, threshold: threshold?, embedder, confirm })
    }

    /// The argument that is the question.
    fn question(&self) -> Option<Ident> {
        let expr = self.options.expr("similar")?;
        let name = match expr {
            Expr::Path(ExprPath { path, qself: None, .. }) => path.get_ident(),
            _ => None,
        };
        let known = name.and_then(|name| self.item.names().find(|argument| argument.unraw() == name.unraw()));
        if known.is_none() {
            self.errors.at(
                expr,
                format!("`similar` names the argument that is the question: `{}`", options::usage("similar")),
            );
        }
        known.cloned()
    }

    fn threshold(&self, similar: &options::Opt) -> Option<Expr> {
        let Some(expr) = self.options.expr("threshold") else {
            self.errors.push(
                similar.span(),
                format!(
                    "`similar` needs a `threshold`, and no number is right for all: questions that differ in one word are often more \
                     alike than questions that mean the same, and what is right depends on the texts and on what compares them. \
                     `cachemacro search calibrate` finds yours, or says that there is none; then write it, as in `{}`",
                    options::usage("threshold")
                ),
            );
            return None;
        };
        let literal = match expr {
            Expr::Unary(unary) => &*unary.expr,
            other => other,
        };
        let number = match (literal, expr) {
            (Expr::Lit(ExprLit { lit: Lit::Float(number), .. }), Expr::Lit(_)) => {
                number.base10_parse::<f64>().ok()
            }
            (Expr::Lit(_), _) => None,
            _ => return Some(expr.clone()),
        };
        if number.is_none_or(|number| !(number > 0.0 && number <= 1.0)) {
            self.errors.at(
                expr,
                format!("`threshold` is a number above 0.0, up to 1.0: `{}`", options::usage("threshold")),
            );
            return None;
        }
        Some(expr.clone())
    }

    fn confirm(&self) -> Option<Path> {
        match self.options.expr("confirm")? {
            Expr::Path(ExprPath { path, qself: None, .. }) => Some(path.clone()),
            other => {
                let named = match other {
                    Expr::Call(call) => format!("confirm = {}", code(&call.func)),
                    _ => options::usage("confirm").to_owned(),
                };
                self.errors.at(
                    other.to_token_stream(),
                    format!(
                        "`confirm` is an async function of both questions and the value, without `(…)`: `{named}`"
                    ),
                );
                None
            }
        }
    }

    /// Whether the key has parts beside the question; `None` where they cannot be told from it.
    fn scope_has_parts(&self, key: &Key, question: &Ident) -> Option<bool> {
        match key {
            Key::Args(args) => {
                if !args.iter().any(|(_, name)| name == question) {
                    self.errors.push(
                        self.options.get("skip").map_or_else(|| self.options.span(), options::Opt::span),
                        format!(
                            "`similar` compares `{question}`, which is no part of the key: do not skip it"
                        ),
                    );
                    return None;
                }
                Some(args.len() > 1)
            }
            Key::Template(parts) => {
                let holes = parts.iter().filter_map(|part| match part {
                    Part::Hole(hole) => Some(hole),
                    Part::Text(_) => None,
                });
                let (mut others, mut has_question) = (false, false);
                for hole in holes {
                    let asks = self.asks(hole, question)?;
                    has_question |= asks;
                    others |= !asks;
                }
                if !has_question {
                    let span =
                        self.options.get("key").map_or_else(|| self.options.span(), options::Opt::span);
                    let message = format!(
                        "the key does not tell questions apart: `similar` needs `{{{question}}}` in it, or no `key` at all"
                    );
                    self.errors.push(span, message);
                    return None;
                }
                Some(others)
            }
            Key::Value(value) => {
                self.errors.push(
                    value.span,
                    "`similar` has to know which parts of the key are not the question: write the key as a template, or leave it out",
                );
                None
            }
        }
    }

    /// Whether a placeholder is the question; `None` where it is that and more.
    fn asks(&self, hole: &Hole, question: &Ident) -> Option<bool> {
        let said = arguments_said(&hole.expr, self.item);
        if mentions(hole.expr.clone(), "await") {
            self.errors.push(hole.span, "beside `similar` a placeholder cannot `.await`");
            return None;
        }
        if !said.iter().any(|name| name == question) {
            return Some(false);
        }
        if said.len() > 1 || says_self(hole.expr.clone()) {
            self.errors.push(
                hole.span,
                format!(
                    "a placeholder of `{question}` and others cannot be taken apart, which `similar` has to do: write one for each"
                ),
            );
            return None;
        }
        Some(true)
    }

    /// Without other parts all callers share their answers, and that has to be said.
    fn shared_scope(&self, has_parts: bool, similar: &options::Opt) {
        let Some(opt) = self.options.get("scope") else {
            if !has_parts {
                self.errors.push(
                    similar.span(),
                    "the key has no part but the question, so whoever asks may be given the answer to anybody's: add what answers depend on, \
                     such as a tenant or a language, or say that they depend on nothing else: `scope = \"shared\"`",
                );
            }
            return;
        };
        let said = self.options.expr("scope");
        let is_shared =
            matches!(said, Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) if text.value() == "shared");
        if !is_shared {
            self.errors.push(
                opt.span(),
                "`scope` takes `\"shared\"`, and without it the other parts of the key are the scope",
            );
        } else if has_parts {
            self.errors.push(
                opt.span(),
                "the other parts of the key are the scope already, and compared exactly: leave `scope` out",
            );
        }
    }
}
