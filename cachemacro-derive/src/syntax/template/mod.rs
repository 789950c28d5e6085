//! Templates: `"{org}:{user.id}"` to text and placeholders.
//!
//! [`grammar::split`] finds them; [`parse`] gives what it found spans and checks the placeholders' expressions.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Expr, GenericParam, LitStr};

use crate::syntax::item::Item;
use crate::tokens::errors::{Errors, similar};
use crate::tokens::mentions::{mentions, renamed};

mod grammar;

use self::grammar::{Raw, Wrong, split};

/// A piece of a template.
#[derive(Clone)]
pub(crate) enum Part {
    Text(String),
    Hole(Hole),
}

/// A placeholder.
#[derive(Clone)]
pub(crate) struct Hole {
    /// The expression that it prints. Names have the hygiene of the arguments, and mistakes underline the literal.
    pub(crate) expr: TokenStream,
    /// Whether it is `{x:?}`.
    pub(crate) debug: bool,
    /// Whether it mentions `result`, which `expr` calls [`RESULT`].
    pub(crate) late: bool,
    /// The character that ends it, if any. The value's text has this character encoded.
    pub(crate) stop: Option<char>,
    pub(crate) span: Span,
}

/// The name of the value in placeholders' expressions: the user's `result`, under a name that cannot clash.
pub(crate) const RESULT: &str = "__result";

/// What a template's placeholders may mention.
pub(crate) struct Scope<'a> {
    pub(crate) item: &'a Item,
    /// Whether there is a `result`, the value that was loaded or returned.
    pub(crate) result: bool,
    /// The option that the template is in, for messages.
    pub(crate) option: &'static str,
}

/// Parses a template. Returns `None` after reporting a mistake.
pub(crate) fn parse(lit: &LitStr, scope: &Scope<'_>, errors: &Errors) -> Option<Vec<Part>> {
    let mut good = true;
    let raw = split(&lit.value()).unwrap_or_else(|Wrong { messages, parts }| {
        good = false;
        for message in messages {
            errors.push(lit.span(), message);
        }
        parts
    });
    let mut parts = Vec::new();
    for (at, part) in raw.iter().enumerate() {
        match part {
            Raw::Text(text) => parts.push(Part::Text(text.clone())),
            Raw::Hole { expr, debug } => {
                let Some(expr) = placeholder(expr, lit, scope, errors) else {
                    good = false;
                    continue;
                };
                let (stop, clash) = end(raw.get(at + 1));
                let late = mentions(expr.clone(), RESULT);
                parts.push(Part::Hole(Hole { expr, debug: *debug, late, stop, span: lit.span() }));
                if clash {
                    parts.push(Part::Text(":".to_owned()));
                }
            }
        }
    }
    good.then_some(parts)
}

/// The character that ends the placeholder, and whether it is a colon we insert because the next character could also be
/// part of a value.
fn end(next: Option<&Raw>) -> (Option<char>, bool) {
    stop(match next {
        Some(Raw::Text(text)) => text.chars().next(),
        Some(Raw::Hole { .. }) => Some('{'),
        None => None,
    })
}

/// What ends a placeholder that this character follows: the character, or a colon that is inserted (`true`), because the character could
/// also be part of the value.
pub(crate) fn stop(next: Option<char>) -> (Option<char>, bool) {
    // A letter or digit could be part of the value. A character that is encoded in literal text looks there as it does in
    // a value.
    let encoded = |c: char| matches!(c, '%' | '{' | '}') || c.is_whitespace() || c.is_control();
    let clash = next.is_some_and(|c| c.is_ascii_alphanumeric() || encoded(c));
    (if clash { Some(':') } else { next }, clash)
}

/// A piece of a key's shape, as far as it is known without evaluating anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Literal text.
    Char(char),
    /// The text of an argument: any, without a colon.
    Part,
    /// Any text: any number of parts and colons between them.
    Parts,
}

/// The shape of a template's keys; `None` if it cannot be parsed.
pub(crate) fn pieces(template: &str) -> Option<Vec<Piece>> {
    let raw = split(template).ok()?;
    let mut pieces = Vec::new();
    for (at, part) in raw.iter().enumerate() {
        match part {
            Raw::Text(text) => pieces.extend(text.chars().map(Piece::Char)),
            Raw::Hole { .. } => {
                pieces.push(Piece::Part);
                let (_, colon) = end(raw.get(at + 1));
                pieces.extend(colon.then_some(Piece::Char(':')));
            }
        }
    }
    Some(pieces)
}

fn placeholder(text: &str, lit: &LitStr, scope: &Scope<'_>, errors: &Errors) -> Option<TokenStream> {
    let unfit = || {
        errors.push(
            lit.span(),
            format!(
                "`{{{text}}}` is not an argument, field or method call: write `{} = |…| …` for anything else",
                scope.option
            ),
        );
    };
    let starts_as_name = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let tokens = starts_as_name.then(|| text.parse::<TokenStream>().ok()).flatten();
    let Some(expr) = tokens.and_then(|tokens| syn::parse2::<Expr>(raw_names(tokens)).ok()) else {
        unfit();
        return None;
    };
    let Some(base) = base(&expr) else {
        unfit();
        return None;
    };
    if mentions(expr.to_token_stream(), "result")
        && let Some(message) = complaint_of_result(scope)
    {
        errors.push(lit.span(), message);
        return None;
    }
    if let Some(message) = complaint(&base.unraw().to_string(), text, scope) {
        errors.push(lit.span(), message);
        return None;
    }
    let value = Ident::new(RESULT, Span::mixed_site());
    Some(relocate(renamed(expr.to_token_stream(), "result", &value), lit.span(), scope))
}

/// Writes names that are keywords, such as `type`, as `r#type`.
fn raw_names(tokens: TokenStream) -> TokenStream {
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Ident(ident) if is_name_only_in_templates(&ident.to_string()) => {
                TokenTree::Ident(Ident::new_raw(&ident.to_string(), ident.span()))
            }
            TokenTree::Group(group) => {
                TokenTree::Group(Group::new(group.delimiter(), raw_names(group.stream())))
            }
            other => other,
        })
        .collect()
}

fn is_name_only_in_templates(name: &str) -> bool {
    let has_a_meaning = ["self", "Self", "super", "crate", "true", "false", "await", "_"].contains(&name);
    !has_a_meaning && !name.starts_with("r#") && syn::parse_str::<Ident>(name).is_err()
}

/// The name that a placeholder begins with: `a` of `a.b.c(d)[e]`.
fn base(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Path(path) => path.path.get_ident(),
        Expr::Field(field) => base(&field.base),
        Expr::MethodCall(call) => base(&call.receiver),
        Expr::Index(index) => base(&index.expr),
        Expr::Await(awaited) => base(&awaited.base),
        _ => None,
    }
}

/// The message for a placeholder that mentions `result`, if it may not.
fn complaint_of_result(scope: &Scope<'_>) -> Option<String> {
    let Scope { item, result, option } = scope;
    if item.find("result").is_some() {
        Some(item.two_results())
    } else if !result {
        Some(format!("`{option}` is needed before there is a `result`: it is made of arguments"))
    } else {
        None
    }
}

/// The message for a placeholder that begins with a name which is not available.
fn complaint(base: &str, text: &str, scope: &Scope<'_>) -> Option<String> {
    let item = scope.item;
    let name = item.name();
    match base {
        "self" if item.receiver.is_none() => {
            Some(format!("`{{{text}}}` needs `self`, which `{name}` does not take"))
        }
        "self" | "result" => None,
        _ if item.find(base).is_some() => None,
        _ => {
            let others: &[&str] = if scope.result { &["result"] } else { &[] };
            let names: Vec<String> = item.names().map(ToString::to_string).collect();
            let known = names.iter().map(String::as_str).chain(others.iter().copied());
            Some(if starts_capital(base) && similar(base, known).is_none() {
                format!("`{{{base}}}` names no argument of `{name}`: {}", instead_of(base, scope))
            } else {
                item.no_argument(base, others, |name| format!("`{{{name}}}`"))
            })
        }
    }
}

fn starts_capital(name: &str) -> bool {
    name.starts_with(char::is_uppercase)
}

/// What to write instead of a type parameter, a const parameter or a constant.
fn instead_of(name: &str, scope: &Scope<'_>) -> String {
    let is_key = scope.option == "key";
    let expression =
        if is_key { format!("key = ({name}, …)") } else { format!("format!(\"…{{{name}}}\")") };
    let constant = format!("a constant goes into an expression, as in `{expression}`");
    let of_function = scope.item.sig.generics.params.iter().find_map(|param| match param {
        GenericParam::Type(param) if param.ident == name => {
            Some(format!("`std::any::type_name::<{name}>()`"))
        }
        GenericParam::Const(param) if param.ident == name => Some(format!("`{expression}`")),
        _ => None,
    });
    match of_function {
        Some(_) if is_key => "type and const parameters are part of every key, so leave it out".to_owned(),
        Some(expression) => format!("write an expression instead of the template, as in {expression}"),
        None if is_key => format!("a type or const parameter is part of every key as it is, and {constant}"),
        None => constant,
    }
}

/// Gives tokens the position of the literal and the hygiene of the arguments, whatever macro the literal came through.
fn relocate(tokens: TokenStream, at: Span, scope: &Scope<'_>) -> TokenStream {
    // Other tokens count as the macro's own, so that the compiler does not suggest edits inside the literal.
    let other = at.resolved_at(Span::mixed_site());
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Ident(mut ident) => {
                let name = ident.to_string();
                let own = match (&scope.item.receiver, name.as_str()) {
                    (Some(receiver), "self") => Some(receiver.self_token.span),
                    _ => scope.item.find(&name).map(Ident::span),
                };
                ident.set_span(own.map_or(other, |own| own.located_at(at)));
                TokenTree::Ident(ident)
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), relocate(group.stream(), at, scope));
                inner.set_span(other);
                TokenTree::Group(inner)
            }
            mut token => {
                token.set_span(other);
                token
            }
        })
        .collect()
}
