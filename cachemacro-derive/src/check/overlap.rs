//! Whether two `#[cached]` functions of one prefix could make the same key.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Expr, ExprLit, Lit, LitStr, Stmt, Type, UnOp};

use crate::syntax::item::{Item, unwrap_type};
use crate::syntax::options::{Given, Options};
use crate::syntax::template::{Piece, pieces};
use crate::tokens::code::code;
use crate::tokens::errors::Errors;

/// The keys of one `impl` or trait.
#[derive(Default)]
pub(crate) struct KeyShapes(Vec<KeyShape>);

struct KeyShape {
    prefix: String,
    function: Ident,
    key: Vec<Piece>,
}

impl KeyShapes {
    /// Reports a function that could make the same key as an earlier one of the same prefix. Functions of one name are not
    /// compared: only one of them exists, the others are under `#[cfg]`.
    pub(crate) fn look_at(&mut self, options: &Options, item: &Item, errors: &Errors) {
        let Some(prefix) = options.expr("prefix") else { return };
        let prefix = match text(prefix) {
            Some(text) => text.value(),
            None => prefix.to_token_stream().to_string(),
        };
        let Some(key) = key(options, item) else { return };
        let function = item.sig.ident.clone();
        let other = self
            .0
            .iter()
            .find(|other| other.prefix == prefix && other.function != function && overlap(&other.key, &key));
        if let Some(KeyShape { function: other, .. }) = other {
            let expr = options.expr("key");
            let example = match expr {
                Some(expr) if text(expr).is_none() => "key = (\"by-name\", name)",
                _ => "key = \"by-name:{name}\"",
            };
            let message = format!(
                "`{other}` and `{function}` share the prefix `{prefix}` and could make the same key: begin each with a word of \
                 its own, as in `{example}`, or give one of them another prefix"
            );
            match expr {
                Some(expr) => errors.at(expr, message),
                None => errors.push(function.span(), message),
            }
        }
        self.0.push(KeyShape { prefix, function, key });
    }
}

fn text(expr: &Expr) -> Option<&LitStr> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
        _ => None,
    }
}

/// The shape of a function's key; `None` if its template cannot be parsed.
fn key(options: &Options, item: &Item) -> Option<Vec<Piece>> {
    match options.expr("key") {
        Some(expr) => match text(expr) {
            Some(text) => pieces(&text.value()),
            None => Some(expression(expr, item)),
        },
        None if item.args.iter().any(|arg| !arg.cfg.is_empty()) => Some(vec![Piece::Parts]),
        None => {
            let skipped = match options.get("skip").map(|opt| &opt.value) {
                Some(Given::Names(names)) => names.as_slice(),
                _ => &[],
            };
            let is_skipped = |name: &Ident| skipped.iter().any(|other| other.unraw() == name.unraw());
            let names = item.names().filter(|name| !is_skipped(name));
            Some(joined(names.map(|_| vec![Piece::Part])))
        }
    }
}

/// The form of a function's key as text that is never empty, in which `\u{1}` stands for a part. Where the key may have any number of
/// parts it is what the user wrote; `None` where nothing can be said.
pub(super) fn form(options: &Options, item: &Item) -> Option<String> {
    let known = key(options, item)?
        .into_iter()
        .map(|piece| match piece {
            Piece::Char(c) => Some(c),
            Piece::Part => Some('\u{1}'),
            Piece::Parts => None,
        })
        .collect::<Option<String>>();
    match known {
        Some(form) => Some(format!("={form}")),
        None => options.expr("key").map(|expr| format!("~{}", code(expr))),
    }
}

fn joined(parts: impl Iterator<Item = Vec<Piece>>) -> Vec<Piece> {
    parts.collect::<Vec<_>>().join(&Piece::Char(':'))
}

/// The shape of a key expression. A tuple has as many parts as elements. An expression that may be a tuple, such as a
/// function call, counts as any number of parts.
fn expression(expr: &Expr, item: &Item) -> Vec<Piece> {
    match expr {
        Expr::Paren(paren) => expression(&paren.expr, item),
        Expr::Group(group) => expression(&group.expr, item),
        Expr::Reference(reference) => expression(&reference.expr, item),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => expression(&unary.expr, item),
        Expr::Closure(closure) => expression(&closure.body, item),
        Expr::Block(block) => match block.block.stmts.last() {
            Some(Stmt::Expr(last, None)) => expression(last, item),
            _ => vec![Piece::Parts],
        },
        // A tuple of one element is one part, in parentheses.
        Expr::Tuple(tuple) if tuple.elems.len() == 1 => vec![Piece::Part],
        Expr::Tuple(tuple) if !tuple.elems.is_empty() => joined(tuple.elems.iter().map(element)),
        Expr::Path(path) => {
            let name = path.path.get_ident().map(Ident::unraw);
            let named = |arg: &&crate::syntax::item::Arg| arg.ident().map(Ident::unraw) == name;
            let arg = name.as_ref().and_then(|_| item.args.iter().find(named));
            arg.map_or_else(|| vec![Piece::Parts], |arg| of_type(&arg.ty))
        }
        Expr::MethodCall(call) if gives_one_part(&call.method) => vec![Piece::Part],
        Expr::Macro(call) if call.mac.path.is_ident("format") => vec![Piece::Part],
        Expr::Lit(_) => element(expr),
        Expr::Binary(_) | Expr::Cast(_) | Expr::Unary(_) => vec![Piece::Part],
        _ => vec![Piece::Parts],
    }
}

fn gives_one_part(method: &Ident) -> bool {
    ["to_string", "to_lowercase", "to_uppercase", "len", "count"].iter().any(|known| method == known)
}

/// The shape of one element of a tuple. A literal that the key's encoding might change counts as an argument.
fn element(expr: &Expr) -> Vec<Piece> {
    let Expr::Lit(ExprLit { lit, .. }) = expr else { return vec![Piece::Part] };
    let text = match lit {
        Lit::Str(text) => text.value(),
        Lit::Int(number) => number.base10_digits().to_owned(),
        _ => return vec![Piece::Part],
    };
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !matches!(text.as_str(), "true" | "false" | "NaN" | "inf");
    if is_word || matches!(lit, Lit::Int(_)) {
        text.chars().map(Piece::Char).collect()
    } else {
        vec![Piece::Part]
    }
}

fn of_type(ty: &Type) -> Vec<Piece> {
    const ONE_PART: &[&str] = &[
        "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64",
        "bool", "char", "str", "String",
    ];
    match unwrap_type(ty) {
        Type::Reference(reference) => of_type(&reference.elem),
        Type::Tuple(tuple) if !tuple.elems.is_empty() => {
            joined(tuple.elems.iter().map(|_| vec![Piece::Part]))
        }
        Type::Path(path) if ONE_PART.iter().any(|known| path.path.is_ident(known)) => vec![Piece::Part],
        _ => vec![Piece::Parts],
    }
}

impl Piece {
    /// Whether this piece may absorb `piece` (a wildcard against a literal).
    fn may_print(self, piece: Piece) -> bool {
        match (self, piece) {
            (Piece::Part, Piece::Char(c)) => c != ':',
            (Piece::Parts, Piece::Char(_)) => true,
            _ => false,
        }
    }
}

/// Whether some text matches both shapes. The encoding of keys is injective, so it does not matter here.
fn overlap(one: &[Piece], other: &[Piece]) -> bool {
    let may_be_empty = |piece: Option<&Piece>| matches!(piece, Some(Piece::Part | Piece::Parts));
    // `row[at]`: whether some text matches both `one[from..]` and `other[at..]`. `below` is the row of `from + 1`.
    let mut below = vec![false; other.len() + 1];
    for from in (0..=one.len()).rev() {
        let mut row = vec![false; other.len() + 1];
        for at in (0..=other.len()).rev() {
            let (a, b) = (one.get(from), other.get(at));
            let next = at < other.len() && row[at + 1];
            row[at] = may_be_empty(a) && below[at]
                || may_be_empty(b) && next
                || match (a, b) {
                    (None, None) => true,
                    (Some(a), Some(b)) => {
                        a == b && below[at + 1] || a.may_print(*b) && next || b.may_print(*a) && below[at]
                    }
                    _ => false,
                };
        }
        below = row;
    }
    below[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(one: &str, other: &str) -> bool {
        let (one, other) = (pieces(one).expect(one), pieces(other).expect(other));
        assert_eq!(overlap(&one, &other), overlap(&other, &one));
        overlap(&one, &other)
    }

    #[test]
    fn keys_that_some_argument_makes_equal_overlap() {
        for (one, other) in [
            ("{id}", "{name}"),
            ("{name}", "all"),
            ("{name}", ""),
            ("", ""),
            ("{org}:{id}", "all:{id}"),
            ("{org}{id}", "by-name:{name}"),
            ("{a}-{b}", "{c}"),
            ("a{x}", "{x}-b"),
            ("{a}:x:{b}", "y:{c}:z"),
        ] {
            assert!(share(one, other), "{one} {other}");
        }
    }

    #[test]
    fn keys_that_no_argument_makes_equal_do_not() {
        for (one, other) in [
            ("{id}", "by-name:{name}"),
            ("all", "none"),
            ("all", ""),
            ("id-{id}", "name-{name}"),
            ("{id}-id", "{name}-name"),
            ("{a}:x:{b}", "{c}:y:{d}"),
            ("{org}{id}", "all"),
            ("a{x}a", "a"),
        ] {
            assert!(!share(one, other), "{one} {other}");
        }
    }

    fn keys(key: &str) -> Vec<Piece> {
        let item = quote::quote!(
            async fn f(id: u32, both: (u8, u8), user: User) {}
        );
        let item = syn::parse2(item).expect("a function");
        expression(&syn::parse_str(key).expect(key), &item)
    }

    #[test]
    fn expressions_have_as_many_parts_as_can_be_told() {
        let word = |text: &str| pieces(text).expect("a template");
        assert_eq!(keys(r#"("by-name", id)"#), word("by-name:{id}"));
        assert_eq!(keys("|id, _, _| (1, id / 2)"), word("1:{id}"));
        assert_eq!(keys("id"), word("{id}"));
        assert_eq!(keys("&both"), word("{a}:{b}"));
        assert_eq!(keys(r#"("all",)"#), word("{a}"));
        assert_eq!(keys(r#"("42", "true")"#), word("{a}:{b}"));
        for unknown in ["user", "user.id", "build(&user)", "USERS", "|_, _, user| user.key()"] {
            assert_eq!(keys(unknown), [Piece::Parts], "{unknown}");
        }
    }
}
