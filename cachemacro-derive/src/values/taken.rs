//! Arguments that an expression takes, and the body needs too: the expression is given clones.
//!
//! ```text
//! key = build(name)      =>     build(cachemacro_::kept(&name))
//! tags = user.labels     =>     cachemacro_::kept(&user.labels)
//! ```
//!
//! A clone of what is `Copy` is a copy. What is not even `Clone` is named by the compiler, at the argument.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, Pat, Stmt, Token, parse_quote_spanned};

use super::bare::{borrowed, is_among, is_bare, is_field};
use crate::syntax::item::{Item, names_in, pointing_at};
use crate::tokens::mentions::mentions;

/// What may be taken only as a clone.
pub(super) struct Taken<'a> {
    /// Arguments, by their names.
    names: Vec<&'a Ident>,
    /// Names whose fields are behind a reference: those that a closure's parameters bind.
    bound: &'a [Ident],
}

impl<'a> Taken<'a> {
    /// Those that the body mentions; all, where `always`.
    pub(super) fn of(item: &'a Item, bound: &'a [Ident], always: bool) -> Self {
        let body = item.body.stream();
        let needed = |name: &&Ident| {
            !bound.contains(name) && (always || mentions(body.clone(), &name.unraw().to_string()))
        };
        Self { names: item.names().filter(needed).collect(), bound }
    }

    /// Gives `expr` clones. Where `whole`, the value of `expr` itself is taken.
    pub(super) fn keep(mut self, expr: &mut Expr, item: &Item, whole: bool) {
        let mut own = Bindings(Vec::new());
        own.visit_expr_mut(&mut expr.clone());
        self.names.retain(|name| !is_among(name, &own.0.iter().collect::<Vec<_>>()));
        if whole {
            self.take(expr, item);
        }
        Visitor { taken: &self, item }.visit_expr_mut(expr);
    }

    fn take(&self, expr: &mut Expr, item: &Item) {
        match expr {
            Expr::Paren(paren) => self.take(&mut paren.expr, item),
            Expr::Group(group) => self.take(&mut group.expr, item),
            Expr::Block(block) => self.take_last(&mut block.block, item),
            Expr::If(branches) => {
                self.take_last(&mut branches.then_branch, item);
                if let Some((_, otherwise)) = &mut branches.else_branch {
                    self.take(otherwise, item);
                }
            }
            Expr::Match(matched) => matched.arms.iter_mut().for_each(|arm| self.take(&mut arm.body, item)),
            other if self.is_taken(other, item) => *other = kept(other),
            _ => {}
        }
    }

    fn take_last(&self, block: &mut syn::Block, item: &Item) {
        if let Some(Stmt::Expr(last, None)) = block.stmts.last_mut() {
            self.take(last, item);
        }
    }

    fn is_taken(&self, expr: &Expr, item: &Item) -> bool {
        match is_bare(expr, &self.names) {
            Some(name) => !item.is_reference(name),
            None => is_field(expr, &|base| {
                is_among(base, &self.names)
                    || self.bound.contains(base)
                    || base.unraw() == "result"
                    || base == "self"
            }),
        }
    }
}

/// `cachemacro_::kept(&expr)`
fn kept(expr: &Expr) -> Expr {
    let span = pointing_at(expr);
    let private = Ident::new("cachemacro_", span);
    let expr = borrowed(expr);
    parse_quote_spanned!(span=> #private::kept(#expr))
}

/// The names that an expression binds itself.
struct Bindings(Vec<Ident>);

impl VisitMut for Bindings {
    fn visit_pat_mut(&mut self, pat: &mut Pat) {
        self.0.extend(names_in(pat));
    }
}

/// Visits what takes its parts: calls, structs, lists, and the `let`s of a block.
struct Visitor<'a> {
    taken: &'a Taken<'a>,
    item: &'a Item,
}

impl Visitor<'_> {
    fn take(&self, expr: &mut Expr) {
        self.taken.take(expr, self.item);
    }
}

impl VisitMut for Visitor<'_> {
    fn visit_expr_call_mut(&mut self, call: &mut syn::ExprCall) {
        call.args.iter_mut().for_each(|argument| self.take(argument));
        visit_mut::visit_expr_call_mut(self, call);
    }

    /// Methods called `into_…` take what they are called on.
    fn visit_expr_method_call_mut(&mut self, call: &mut syn::ExprMethodCall) {
        call.args.iter_mut().for_each(|argument| self.take(argument));
        if call.method.to_string().starts_with("into_") {
            self.take(&mut call.receiver);
        }
        visit_mut::visit_expr_method_call_mut(self, call);
    }

    fn visit_field_value_mut(&mut self, field: &mut syn::FieldValue) {
        self.take(&mut field.expr);
        if matches!(field.expr, Expr::Call(_)) {
            // `K { id }` has no place for a call.
            field.colon_token.get_or_insert_default();
        }
        visit_mut::visit_field_value_mut(self, field);
    }

    fn visit_expr_tuple_mut(&mut self, tuple: &mut syn::ExprTuple) {
        tuple.elems.iter_mut().for_each(|element| self.take(element));
        visit_mut::visit_expr_tuple_mut(self, tuple);
    }

    fn visit_expr_array_mut(&mut self, array: &mut syn::ExprArray) {
        array.elems.iter_mut().for_each(|element| self.take(element));
        visit_mut::visit_expr_array_mut(self, array);
    }

    fn visit_local_mut(&mut self, local: &mut syn::Local) {
        if let (Pat::Ident(_) | Pat::Type(_), Some(init)) = (&local.pat, &mut local.init) {
            self.take(&mut init.expr);
        }
        visit_mut::visit_local_mut(self, local);
    }

    fn visit_expr_return_mut(&mut self, returned: &mut syn::ExprReturn) {
        if let Some(value) = &mut returned.expr {
            self.take(value);
        }
        visit_mut::visit_expr_return_mut(self, returned);
    }

    /// An item does not see the names of the function around it.
    fn visit_item_mut(&mut self, _: &mut syn::Item) {}

    /// `vec!` takes its elements; `format!` borrows its arguments, which may be calls.
    fn visit_macro_mut(&mut self, mac: &mut syn::Macro) {
        let takes = mac.path.is_ident("vec");
        if !takes && !mac.path.is_ident("format") && !mac.path.is_ident("format_args") {
            return;
        }
        let Ok(mut list) = mac.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated) else {
            return;
        };
        for expr in &mut list {
            if takes {
                self.take(expr);
            }
            match expr {
                Expr::Assign(named) => self.visit_expr_mut(&mut named.right),
                other => self.visit_expr_mut(other),
            }
        }
        mac.tokens = list.to_token_stream();
    }
}
