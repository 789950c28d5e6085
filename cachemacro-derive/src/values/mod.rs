//! The user's expressions, made to fit where they are put.
//!
//! In the function, arguments have their own types. In the function that `entry` names they are references, so `name`
//! becomes `(*name)` there. In both, an argument that stands bare in a tuple, or in the call of an entry function, is
//! borrowed, so that the body can still move it; what else would be moved is cloned (`taken`).

mod bare;
mod taken;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, Token, parse_quote, parse_quote_spanned};

pub(crate) use self::bare::borrowed;
use self::bare::{is_among, is_bare, is_field};
use self::taken::Taken;
use crate::model::{Let, Value};
use crate::syntax::binding::{again, again_in};
use crate::syntax::item::{Item, names_in, pointing_at};
use crate::syntax::template::{Hole, Part};
use crate::tokens::mentions::mentions;

/// Where an expression is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the function's body.
    Function,
    /// Into the function that `entry` generates.
    Entry,
    /// Into a closure that runs after the body, on clones of the arguments.
    Rule,
}

/// `&` before the tokens, with their span.
pub(crate) fn reference(to: impl ToTokens) -> TokenStream {
    let span = pointing_at(&to);
    let to = to.to_token_stream();
    quote_spanned!(span=> &#to)
}

/// A reference to an argument; it has the same type in the function and in the entry function.
pub(crate) fn argument(name: &Ident, item: &Item, place: Place) -> TokenStream {
    match place {
        Place::Entry if !item.is_reference(name) => name.to_token_stream(),
        _ => reference(name),
    }
}

/// The value as one expression: a closure becomes a block that binds its parameters.
pub(crate) fn placed(value: &Value, item: &Item, place: Place) -> TokenStream {
    let expr = fitted_value(value, item, place);
    let mixed = Span::mixed_site();
    if value.lets.is_empty() && value.ty.is_none() && !value.returns {
        return expr.to_token_stream();
    }
    let lets = bindings(&value.lets, item, place);
    match (&value.ty, value.returns) {
        (Some(ty), true) => quote_spanned!(mixed=> (|| -> #ty { #lets #expr })()),
        (None, true) => quote_spanned!(mixed=> (|| { #lets #expr })()),
        (Some(ty), false) => quote_spanned!(mixed=> { #lets let value_: #ty = #expr; value_ }),
        (None, false) => quote_spanned!(mixed=> { #lets #expr }),
    }
}

/// A reference to the value. Of an argument or a field it is one as they are.
pub(crate) fn by_reference(of: &Value, item: &Item, place: Place) -> TokenStream {
    // What a closure's parameter binds is a reference already.
    let is_bound = is_bare(&of.expr, &of.bound().iter().collect::<Vec<_>>()).is_some();
    if is_place(&of.expr, item) && !is_bound && of.ty.is_none() && !of.returns {
        let borrowed = Value { expr: borrowed(&of.expr), ..of.clone() };
        let tokens = placed(&borrowed, item, place);
        return if of.lets.is_empty() { tokens } else { reference(tokens) };
    }
    let tokens = placed(&given_away(of, item, place, true), item, place);
    let binds_less = matches!(of.expr, Expr::Binary(_) | Expr::Cast(_) | Expr::Range(_));
    if binds_less && of.lets.is_empty() { reference(quote!((#tokens))) } else { reference(tokens) }
}

/// The template with its placeholders fitted to the place. Method calls dereference what a placeholder begins with, so only
/// the arguments of methods and indexes change.
pub(crate) fn template(parts: &[Part], item: &Item, place: Place) -> Vec<Part> {
    let fitted = |part: &Part| match part {
        Part::Hole(hole) if place == Place::Entry => {
            let Ok(mut expr) = syn::parse2::<Expr>(hole.expr.clone()) else { return part.clone() };
            fit_passed(&mut expr, item);
            Part::Hole(Hole { expr: expr.to_token_stream(), ..hole.clone() })
        }
        other => other.clone(),
    };
    parts.iter().map(fitted).collect()
}

fn fit_passed(expr: &mut Expr, item: &Item) {
    let fit = |passed: &mut Expr| *passed = fitted(passed, item, Place::Entry, &[], false);
    match expr {
        Expr::MethodCall(call) => {
            call.args.iter_mut().for_each(fit);
            fit_passed(&mut call.receiver, item);
        }
        Expr::Index(index) => {
            fit(&mut index.index);
            fit_passed(&mut index.expr, item);
        }
        Expr::Field(field) => fit_passed(&mut field.base, item),
        Expr::Await(awaited) => fit_passed(&mut awaited.base, item),
        _ => {}
    }
}

/// `let (page, id) = (&id, &page);`: one statement, because a parameter may have the name of another argument.
fn bindings(lets: &[Let], item: &Item, place: Place) -> TokenStream {
    let mixed = Span::mixed_site();
    let name = |bound: &Let| item.args[bound.arg].ident();
    let from = lets.iter().map(|bound| name(bound).map(|name| argument(name, item, place)));
    let from: Vec<TokenStream> = from.map(Option::unwrap_or_default).collect();
    let pats = lets.iter().map(|bound| again_in(&bound.pat));
    if let ([bound], [from]) = (lets, from.as_slice()) {
        let pat = again_in(&bound.pat);
        let ty = bound.ty.as_ref().map(|ty| quote_spanned!(mixed=> : #ty));
        return quote_spanned!(mixed=> let #pat #ty = #from;);
    }
    if lets.is_empty() {
        return TokenStream::new();
    }
    let types =
        lets.iter().map(|bound| bound.ty.as_ref().map_or_else(|| quote!(_), ToTokens::to_token_stream));
    let annotation =
        lets.iter().any(|bound| bound.ty.is_some()).then(|| quote_spanned!(mixed=> : (#(#types),*)));
    quote_spanned!(mixed=> let (#(#pats),*) #annotation = (#(#from),*);)
}

/// The value's expression, fitted to the place. Names that its closure binds are left alone.
pub(crate) fn fitted_value(value: &Value, item: &Item, place: Place) -> Expr {
    fitted(&value.expr, item, place, &value.bound(), value.borrows)
}

/// The expression, fitted to the place. Names in `bound` are left alone.
pub(crate) fn fitted(expr: &Expr, item: &Item, place: Place, bound: &[Ident], borrows: bool) -> Expr {
    let mut expr = expr.clone();
    let names: Vec<&Ident> = item.names().filter(|name| !bound.contains(name)).collect();
    if borrows {
        borrow_bare(&mut expr, &names);
    }
    Taken::of(item, bound, place != Place::Function || says_result(&expr)).keep(&mut expr, item, false);
    if place == Place::Entry {
        let owned: Vec<&Ident> = names.into_iter().filter(|name| !item.is_reference(name)).collect();
        Dereference::of(&owned).visit_expr_mut(&mut expr);
    }
    expr
}

/// Whether the expression is an argument, or a field.
pub(crate) fn is_place(expr: &Expr, item: &Item) -> bool {
    is_bare(expr, &item.names().collect::<Vec<_>>()).is_some() || is_field(expr, &|_| true)
}

/// Whether the expression is an argument that is no reference.
pub(crate) fn is_owned_argument(expr: &Expr, item: &Item) -> bool {
    is_bare(expr, &item.names().collect::<Vec<_>>()).is_some_and(|name| !item.is_reference(name))
}

/// Borrows arguments, and fields, that are elements of a tuple or array; and the arguments of a `vec!` that has
/// only arguments.
fn borrow_bare(expr: &mut Expr, names: &[&Ident]) {
    let elements = match expr {
        Expr::Tuple(tuple) => &mut tuple.elems,
        Expr::Array(array) => &mut array.elems,
        Expr::Paren(paren) => return borrow_bare(&mut paren.expr, names),
        Expr::Group(group) => return borrow_bare(&mut group.expr, names),
        Expr::Macro(call) if call.mac.path.is_ident("vec") => {
            let elements = call.mac.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
            let bare =
                |elements: &Punctuated<Expr, _>| elements.iter().all(|one| is_bare(one, names).is_some());
            if let Some(mut elements) = elements.ok().filter(bare) {
                elements.iter_mut().for_each(|element| borrow_if_place(element, names));
                call.mac.tokens = elements.to_token_stream();
            }
            return;
        }
        _ => return,
    };
    for element in elements {
        borrow_if_place(element, names);
        borrow_bare(element, names);
    }
}

/// Whether an expression is a field of the value, as in `result.name`, which cannot be moved out of it.
pub(crate) fn is_field_of_result(expr: &Expr) -> bool {
    is_field(expr, &|name| name.unraw() == "result")
}

fn borrow_if_place(expr: &mut Expr, names: &[&Ident]) {
    if is_bare(expr, names).is_some() || is_field(expr, &|_| true) {
        *expr = borrowed(expr);
    }
}

/// Borrows the arguments, and fields, that stand bare in the call of an entry function, which calls such as `.with_tags(…)` may follow.
pub(crate) fn borrow_in_call(expr: &Expr, item: &Item) -> Expr {
    let names: Vec<&Ident> = item.names().collect();
    let mut expr = expr.clone();
    borrow_arguments(&mut expr, &names);
    Taken::of(item, &[], says_result(&expr)).keep(&mut expr, item, false);
    expr
}

fn borrow_arguments(expr: &mut Expr, names: &[&Ident]) {
    match expr {
        Expr::Call(call) => call.args.iter_mut().for_each(|argument| borrow_if_place(argument, names)),
        Expr::MethodCall(call) => {
            let is_setter = |setters: &[&str]| setters.iter().any(|setter| call.method == setter);
            let takes_values = is_setter(&["with_ttl", "with_codec", "with_policy", "with_rules"]);
            if takes_values || is_setter(&["with_tags"]) {
                borrow_arguments(&mut call.receiver, names);
            }
            if !takes_values {
                call.args.iter_mut().for_each(|argument| borrow_if_place(argument, names));
            }
        }
        _ => {}
    }
}

/// Rewrites `id` to `(*id)`.
struct Dereference<'a> {
    names: &'a [&'a Ident],
    /// The names that the expression itself binds, in the current scope.
    locals: Vec<Ident>,
    /// Whether one of the names was found.
    changed: bool,
    /// Whether one of the names is among the tokens of a macro call, where it may be anything.
    hidden: bool,
}

impl<'n> Dereference<'n> {
    fn of(names: &'n [&'n Ident]) -> Self {
        Self { names, locals: Vec::new(), changed: false, hidden: false }
    }

    fn argument<'a>(&self, expr: &'a Expr) -> Option<&'a Ident> {
        let locals: Vec<&Ident> = self.locals.iter().collect();
        is_bare(expr, self.names).filter(|name| !is_among(name, &locals))
    }

    /// Looks for the names among tokens whose syntax is not known.
    fn look(&mut self, tokens: &TokenStream) {
        let locals: Vec<&Ident> = self.locals.iter().collect();
        let mut names = self.names.iter().filter(|name| !is_among(name, &locals));
        self.hidden |= names.any(|name| mentions(tokens.clone(), &name.to_string()));
    }

    /// Visits a scope. The names that it binds are forgotten afterwards.
    fn within(&mut self, visit: impl FnOnce(&mut Self)) {
        let outside = self.locals.len();
        visit(self);
        self.locals.truncate(outside);
    }
}

/// The arguments of macro calls.
impl Dereference<'_> {
    /// `"{} {n}", id, n = page` or `id; 3`
    fn list(&mut self, input: ParseStream<'_>) -> syn::Result<TokenStream> {
        let mut fitted = TokenStream::new();
        while !input.is_empty() {
            let mut expr: Expr = input.parse()?;
            match &mut expr {
                Expr::Assign(named) => self.visit_expr_mut(&mut named.right),
                other => self.visit_expr_mut(other),
            }
            expr.to_tokens(&mut fitted);
            if !input.is_empty() {
                fitted.extend([input.parse::<TokenTree>()?]);
            }
        }
        Ok(fitted)
    }

    /// `kind, Some(n) if n > id` and maybe a comma
    fn matches(&mut self, input: ParseStream<'_>) -> syn::Result<TokenStream> {
        let mut expr: Expr = input.parse()?;
        self.visit_expr_mut(&mut expr);
        let comma: Token![,] = input.parse()?;
        let mut pat: Vec<TokenTree> = input.parse::<TokenStream>()?.into_iter().collect();
        pat.pop_if(|last| matches!(last, TokenTree::Punct(punct) if punct.as_char() == ','));
        let pat = TokenStream::from_iter(pat);
        let mut arm: syn::Arm = syn::parse2(quote!(#pat => ()))?;
        self.visit_arm_mut(&mut arm);
        let pat = &arm.pat;
        Ok(quote!(#expr #comma #pat))
    }
}

impl VisitMut for Dereference<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        if let Expr::Reference(reference) = expr
            && reference.mutability.is_none()
            && let Some(name) = self.argument(&reference.expr)
        {
            // `&*id` is `id`.
            *expr = parse_quote!(#name);
            self.changed = true;
            return;
        }
        if let Some(name) = self.argument(expr) {
            let span = pointing_at(name);
            *expr = parse_quote_spanned!(span=> (*#name));
            self.changed = true;
            return;
        }
        if let Expr::Verbatim(tokens) = expr {
            self.look(tokens);
        }
        visit_mut::visit_expr_mut(self, expr);
    }

    fn visit_field_value_mut(&mut self, field: &mut syn::FieldValue) {
        if self.argument(&field.expr).is_some() {
            // `K { id }` has no place for `(*id)`.
            field.colon_token.get_or_insert_default();
        }
        visit_mut::visit_field_value_mut(self, field);
    }

    fn visit_pat_mut(&mut self, pat: &mut syn::Pat) {
        match pat {
            syn::Pat::Guard(guard) => visit_mut::visit_pat_guard_mut(self, guard),
            other => self.locals.extend(names_in(other)),
        }
    }

    fn visit_expr_closure_mut(&mut self, closure: &mut syn::ExprClosure) {
        self.within(|this| visit_mut::visit_expr_closure_mut(this, closure));
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        self.within(|this| visit_mut::visit_arm_mut(this, arm));
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        self.within(|this| visit_mut::visit_block_mut(this, block));
    }

    fn visit_local_mut(&mut self, local: &mut syn::Local) {
        if let Some(init) = &mut local.init {
            self.visit_local_init_mut(init);
        }
        self.visit_pat_mut(&mut local.pat);
    }

    fn visit_expr_let_mut(&mut self, expr: &mut syn::ExprLet) {
        self.visit_expr_mut(&mut expr.expr);
        self.visit_pat_mut(&mut expr.pat);
    }

    fn visit_expr_if_mut(&mut self, expr: &mut syn::ExprIf) {
        self.within(|this| {
            this.visit_expr_mut(&mut expr.cond);
            this.visit_block_mut(&mut expr.then_branch);
        });
        if let Some((_, otherwise)) = &mut expr.else_branch {
            self.visit_expr_mut(otherwise);
        }
    }

    fn visit_expr_while_mut(&mut self, expr: &mut syn::ExprWhile) {
        self.within(|this| visit_mut::visit_expr_while_mut(this, expr));
    }

    fn visit_expr_for_loop_mut(&mut self, expr: &mut syn::ExprForLoop) {
        self.visit_expr_mut(&mut expr.expr);
        self.within(|this| {
            this.visit_pat_mut(&mut expr.pat);
            this.visit_block_mut(&mut expr.body);
        });
    }

    /// An item does not see the names of the function around it.
    fn visit_item_mut(&mut self, _: &mut syn::Item) {}

    /// Only the arguments of `format!`, `format_args!`, `vec!` and `matches!` are rewritten; other macros may have any syntax.
    fn visit_macro_mut(&mut self, mac: &mut syn::Macro) {
        self.look(&mac.tokens);
        let name = mac.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
        let outside = std::mem::take(&mut self.changed);
        let fitted = match name.as_str() {
            "format" | "format_args" | "vec" => {
                mac.parse_body_with(|input: ParseStream<'_>| self.list(input))
            }
            "matches" => mac.parse_body_with(|input: ParseStream<'_>| self.matches(input)),
            _ => Ok(TokenStream::new()),
        };
        match fitted {
            Ok(fitted) if self.changed => mac.tokens = fitted,
            // The tokens stay as they are: they could not be parsed, or mention none of the names.
            _ => self.changed = outside,
        }
    }
}

/// Whether the expression mentions the variable `name`, or may do so inside a macro call. A binding of its own by that name
/// does not count.
fn means(expr: &Expr, name: &Ident) -> bool {
    let names = [name];
    let mut dereference = Dereference::of(&names);
    dereference.visit_expr_mut(&mut expr.clone());
    dereference.changed || dereference.hidden
}

/// Whether the expression mentions the value that the function returns, and not a binding of its own called `result`.
pub(crate) fn says_result(expr: &Expr) -> bool {
    means(expr, &Ident::new("result", Span::call_site()))
}

/// The arguments that a value needs: those that its closure takes, and those that it mentions.
pub(crate) fn arguments_in(value: &Value, item: &Item) -> Vec<Ident> {
    let bound = value.bound();
    let stood_for = value.lets.iter().filter_map(|bound| item.args[bound.arg].ident());
    let said = item.names().filter(|name| !bound.contains(name) && means(&value.expr, name));
    stood_for.chain(said).cloned().collect()
}

/// The value where it is taken as a whole, by who stores it or goes through it. `whole` of `false`: only its parts are.
pub(crate) fn given_away(value: &Value, item: &Item, place: Place, whole: bool) -> Value {
    let mut value = value.clone();
    let bound = value.bound();
    Taken::of(item, &bound, place != Place::Function || value.late).keep(&mut value.expr, item, whole);
    value
}

/// The arguments that tokens mention.
pub(crate) fn arguments_said(tokens: &TokenStream, item: &Item) -> Vec<Ident> {
    item.names().filter(|name| mentions(tokens.clone(), &name.to_string())).cloned().collect()
}

/// The statements that clone arguments for after the body, which moves them.
pub(crate) fn clones(names: &[Ident], private: &Ident) -> TokenStream {
    let mixed = Span::mixed_site();
    let each_once = names.iter().enumerate().filter(|(at, name)| !names[..*at].contains(name));
    each_once
        .map(|(_, name)| {
            let from = reference(name);
            let name = again(name);
            quote_spanned!(mixed=> let #name = #private::kept(#from);)
        })
        .collect()
}
