//! What waits for `result`, and what it may mention.
//!
//! It is evaluated after the body, which has taken the arguments and maybe `self`. With `entry`, a put evaluates it too,
//! and a put has none of the function's arguments.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::Expr;
use syn::visit::Visit;

use super::Checker;
use super::tags::list;
use crate::model::{Key, PutTarget, RulesModel, Tag, Value, Write};
use crate::syntax::options::Given;
use crate::syntax::own;
use crate::syntax::template::{Hole, Part};
use crate::tokens::mentions::find;
use crate::values::{arguments_in, arguments_said, says_result};

/// What is asked about the value; then the TTL and the tags that are known before the body.
type Rules = (RulesModel, Option<Value>, Vec<Tag>);

impl Checker<'_> {
    pub(super) fn rules(&self) -> Rules {
        let unless = self.unless();
        let (late_ttl, ttl) = match self.ttl() {
            Some(ttl) if ttl.late => (Some(ttl), None),
            ttl => (None, ttl),
        };
        let (late_tags, tags) = self.tags().into_iter().partition(Tag::is_late);
        let (verify_by, search) = (self.verify_by(), self.search());
        (RulesModel { unless, ttl: late_ttl, tags: late_tags, verify_by, search }, ttl, tags)
    }

    /// An option cannot mention `result` where an argument is called so too. Templates are checked where they are parsed.
    pub(super) fn result_is_no_argument(&self) {
        if self.item.find("result").is_none() {
            return;
        }
        for opt in self.options.iter() {
            let Given::Expr(expr) = &opt.value else { continue };
            for expr in list(expr).unwrap_or_else(|| vec![(**expr).clone()]) {
                if !matches!(expr, Expr::Lit(_)) && says_result(&expr) {
                    let token = find(expr.to_token_stream(), "result");
                    let span = token.map_or_else(|| opt.span(), |token| token.span());
                    self.errors.push(span, self.item.two_results());
                }
            }
        }
    }

    /// Rules run after the body, which has taken `self` unless it is a shared reference. Then they use a clone of it, which
    /// an exclusive reference does not have.
    pub(super) fn rules_can_have_self(&self, rules: &RulesModel) {
        let Some(receiver) = self.item.receiver.as_ref().filter(|_| !self.item.self_is_shared()) else {
            return;
        };
        for LatePart { tokens, span } in of_rules(rules) {
            let Some(token) = own::find(&tokens) else { continue };
            if is_exclusive(receiver) {
                self.errors.push(
                    span.unwrap_or_else(|| token.span()),
                    "after the body, `self` is there only in functions that take `&self`, or a `self` that can be cloned: \
                     give what is needed as an argument",
                );
            } else if let Some(text) = own::in_text(&tokens) {
                self.errors.push(
                    text.span(),
                    "`self` inside a format string cannot be replaced by the clone that is used after the body: pass it as \
                     an argument, `format!(\"{}\", self.…)`",
                );
            }
        }
    }

    /// With `entry`, the rules cannot mention arguments: puts apply them too, and have no arguments of this function.
    pub(super) fn rules_are_constant(&self, rules: &RulesModel) {
        for value in rules.unless.iter().chain(&rules.ttl) {
            self.value_is_constant(value, "");
        }
        for tag in &rules.tags {
            match tag {
                Tag::Template(parts) => {
                    for hole in holes(parts) {
                        let named = arguments_said(&hole.expr, self.item);
                        let named = named.first().map(ToString::to_string);
                        let own = find(hole.expr.clone(), "self").map(|_| "self".to_owned());
                        if let Some(name) = named.or(own) {
                            self.knows_no_arguments(hole.span, &name, ONE_OF_TAGS);
                        }
                    }
                }
                Tag::One(value) => self.value_is_constant(value, ONE_OF_TAGS),
                Tag::Many(value) => self.value_is_constant(value, ""),
            }
        }
    }

    fn value_is_constant(&self, value: &Value, instead: &str) {
        let tokens = value.expr.to_token_stream();
        let names = arguments_in(value, self.item).iter().map(ToString::to_string).collect::<Vec<_>>();
        let own = find(tokens.clone(), "self").map(|_| "self".to_owned());
        for name in names.into_iter().chain(own) {
            let span = find(tokens.clone(), &name).map_or(value.span, |token| token.span());
            self.knows_no_arguments(span, &name, instead);
        }
    }

    fn knows_no_arguments(&self, span: Span, name: &str, instead: &str) {
        self.errors.push(
            span,
            format!(
                "with `entry`, puts ask this about the value too, and they do not know `{name}`: take it from `result`\
                 {instead}, or leave `entry` out"
            ),
        );
    }

    /// Parts of a write that wait for `result` cannot be evicted before the body, and cannot use a `self` that the body
    /// takes.
    pub(super) fn late_parts_can_be(&self, write: &Write) {
        let late = late_parts(write);
        if self.options.flag("before")
            && let Some(LatePart { tokens, span }) = late.first()
        {
            let span = span.or(find(tokens.clone(), "result").map(|token| token.span()));
            self.errors.push(
                span.unwrap_or_else(|| self.options.span()),
                "`before` evicts before there is a `result`: evict what mentions it with another `#[cache_evict]`",
            );
        }
        if self.item.receiver.is_some() && !self.item.self_is_shared() {
            for LatePart { tokens, span } in late {
                if let Some(token) = find(tokens, "self") {
                    self.errors.push(
                        span.unwrap_or_else(|| token.span()),
                        "after the body, `self` is there only in functions that take `&self`: name what is needed before, \
                         or write it without `result`",
                    );
                }
            }
        }
    }
}

const ONE_OF_TAGS: &str = ", give it a tag of its own";

/// An expression or placeholder that waits for `result`.
struct LatePart {
    tokens: TokenStream,
    /// The template, which is underlined if this is a placeholder.
    span: Option<Span>,
}

impl LatePart {
    fn of_value(value: &Value) -> Self {
        Self { tokens: value.expr.to_token_stream(), span: None }
    }

    fn of_hole(hole: &Hole) -> Self {
        Self { tokens: hole.expr.clone(), span: Some(hole.span) }
    }
}

fn late_parts(write: &Write) -> Vec<LatePart> {
    match write {
        Write::Put(put) => {
            let target = match &put.target {
                PutTarget::Entry(entry) => of_late(entry),
                PutTarget::Parts(parts) => of_key(&parts.key),
            };
            target.into_iter().chain(of_rules(&put.rules)).collect()
        }
        Write::Evict(entry) | Write::EvictAll(entry) => of_late(entry),
        Write::EvictKey(parts) => of_key(&parts.key),
        Write::EvictTags(tags) => tags.iter().filter(|tag| tag.is_late()).flat_map(of_tag).collect(),
        Write::EvictPrefix(_) => Vec::new(),
    }
}

fn of_late(value: &Value) -> Vec<LatePart> {
    if value.late { vec![LatePart::of_value(value)] } else { Vec::new() }
}

/// All rules are evaluated after the body, `unless` even where it does not mention `result`.
fn of_rules(rules: &RulesModel) -> Vec<LatePart> {
    let values = rules.unless.iter().chain(&rules.ttl).map(LatePart::of_value);
    values.chain(rules.tags.iter().flat_map(of_tag)).collect()
}

fn of_key(key: &Key) -> Vec<LatePart> {
    match key {
        Key::Template(parts) => late_holes(parts),
        Key::Value(value) => of_late(value),
        Key::Args(_) => Vec::new(),
    }
}

fn of_tag(tag: &Tag) -> Vec<LatePart> {
    match tag {
        Tag::Template(parts) => late_holes(parts),
        Tag::One(value) | Tag::Many(value) => vec![LatePart::of_value(value)],
    }
}

/// The placeholders that mention `result`. The others are printed before the body.
fn late_holes(parts: &[Part]) -> Vec<LatePart> {
    holes(parts).filter(|hole| hole.late).map(LatePart::of_hole).collect()
}

fn holes(parts: &[Part]) -> impl Iterator<Item = &Hole> {
    parts.iter().filter_map(|part| match part {
        Part::Hole(hole) => Some(hole),
        Part::Text(_) => None,
    })
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
