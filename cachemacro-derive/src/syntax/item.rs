//! The annotated function: its signature parsed, its body kept as the tokens that the user wrote.
//!
//! A function without a future has a cache in its process. Three forms of function have a future to put a cache in front of: `async fn`; `fn` with a body `Box::pin(async move
//! { … })`, which `#[async_trait]` makes of an `async fn` before the attributes on it are expanded; and `fn … -> impl
//! Future`.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Block, Expr, FnArg, GenericArgument, Item as SynItem, Pat, PatType, PathArguments, Receiver,
    ReceiverKind, ReturnType, Signature, Stmt, Token, Type, TypeParamBound, Visibility, parse_quote,
};

use crate::tokens::errors::{similar, there_are};
use crate::tokens::mentions::mentions;

/// The annotated function.
pub(crate) struct Item {
    /// The other attributes of the function.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) form: Form,
    /// The output of the future.
    pub(crate) ret: Type,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) args: Vec<Arg>,
    pub(crate) body: Group,
}

/// How the function gives its future.
pub(crate) enum Form {
    /// `async fn f() -> T { … }`
    Async,
    /// `fn f() -> Pin<Box<dyn Future<Output = T>>> { Box::pin(async move { … }) }`, as `#[async_trait]` writes it.
    Boxed {
        /// `Box::pin`
        pin: TokenStream,
        /// The statements with which `#[async_trait]` binds the arguments again, such as `let id = id;`.
        bound: Vec<Stmt>,
        /// The contents of the async block.
        inner: TokenStream,
    },
    /// `fn f() -> impl Future<Output = T> { … }`
    Future {
        /// The contents of the async block, if the body is nothing else.
        inner: Option<TokenStream>,
    },
    /// No future: its values are kept in this process.
    Sync,
}

/// One argument other than `self`.
pub(crate) struct Arg {
    pub(crate) cfg: Vec<Attribute>,
    pub(crate) pat: Pat,
    pub(crate) ty: Type,
    /// The names that the pattern binds.
    pub(crate) names: Vec<Ident>,
}

impl Arg {
    /// The argument's name, unless it is a pattern such as `(a, b)`.
    pub(crate) fn ident(&self) -> Option<&Ident> {
        match &self.pat {
            Pat::Ident(pat) if pat.subpat.is_none() => Some(&pat.ident),
            _ => None,
        }
    }

    pub(crate) fn has_impl_trait(&self) -> bool {
        has_impl_trait(&self.ty)
    }

    /// The names that are bound with `mut`.
    pub(crate) fn changes(&self) -> Vec<&Ident> {
        struct Changes<'a>(Vec<&'a Ident>);
        impl<'ast> Visit<'ast> for Changes<'ast> {
            fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
                if pat.by_ref.is_none() && pat.mutability.is_some() {
                    self.0.push(&pat.ident);
                }
                visit::visit_pat_ident(self, pat);
            }
        }
        let mut changes = Changes(Vec::new());
        changes.visit_pat(&self.pat);
        changes.0
    }

    /// Whether the argument's names are references in the function itself.
    fn is_reference(&self) -> bool {
        matches!(unwrap_type(&self.ty), Type::Reference(_)) && !matches!(self.pat, Pat::Reference(_))
    }
}

impl Item {
    /// The function's name, without `r#`.
    pub(crate) fn name(&self) -> String {
        self.sig.ident.unraw().to_string()
    }

    /// All names that options may mention.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Ident> {
        self.args.iter().flat_map(|arg| &arg.names)
    }

    /// The token of the argument called `name`. Its span has the hygiene with which the argument is visible.
    pub(crate) fn find(&self, name: &str) -> Option<&Ident> {
        let name = name.trim_start_matches("r#");
        self.names().find(|ident| ident.unraw() == name)
    }

    /// The message where an option mentions `result` and an argument is called so.
    pub(crate) fn two_results(&self) -> String {
        format!(
            "`result` is the value that `{}` returns, and one of its arguments too: rename the argument",
            self.name()
        )
    }

    /// The message for a name that is neither an argument's nor among `others`.
    pub(crate) fn no_argument(&self, name: &str, others: &[&str], shown: impl Fn(&str) -> String) -> String {
        let known: Vec<String> = self.names().map(|name| name.unraw().to_string()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).chain(others.iter().copied()).collect();
        let message = format!("{} names no argument of `{}`", shown(name), self.name());
        match similar(name, known.iter().copied()) {
            Some(guess) => format!("{message}: did you mean {}?", shown(guess)),
            None if known.is_empty() => format!("{message}, which has none"),
            None => format!("{message}: {}", there_are(known)),
        }
    }

    /// The type inside `Result` and `Option`, by the spelling of the return type.
    pub(crate) fn value_type(&self) -> &Type {
        let in_result = argument_of(&self.ret, |name| name.ends_with("Result")).unwrap_or(&self.ret);
        argument_of(in_result, |name| name == "Option").unwrap_or(in_result)
    }

    /// Where to point for a mistake in the value.
    pub(crate) fn value_span(&self) -> Span {
        pointing_at(self.value_type())
    }

    /// Whether an argument's name is a reference in the function itself.
    pub(crate) fn is_reference(&self, name: &Ident) -> bool {
        self.args.iter().any(|arg| arg.names.contains(name) && arg.is_reference())
    }

    /// The output of the future, with `other` in place of each `impl Trait`, which cannot be written in a body.
    pub(crate) fn ret_with(&self, other: &Type) -> Type {
        struct Named<'a>(&'a Type);
        impl VisitMut for Named<'_> {
            fn visit_type_mut(&mut self, ty: &mut Type) {
                if let Type::ImplTrait(_) = ty {
                    *ty = self.0.clone();
                }
                visit_mut::visit_type_mut(self, ty);
            }
        }
        let mut ret = self.ret.clone();
        Named(other).visit_type_mut(&mut ret);
        ret
    }

    /// Whether `#[async_trait]` made this of an `async fn`: the future then has a lifetime `'async_trait`.
    pub(crate) fn is_async_trait(&self) -> bool {
        struct Named(bool);
        impl<'ast> Visit<'ast> for Named {
            fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
                self.0 |= lifetime.ident == "async_trait";
            }
        }
        let mut named = Named(false);
        named.visit_return_type(&self.sig.output);
        named.0
    }

    /// Whether it gives no future.
    pub(crate) const fn is_sync(&self) -> bool {
        matches!(self.form, Form::Sync)
    }

    /// `self`, where it is taken as `mut self`.
    pub(crate) fn changes_self(&self) -> Option<Token![self]> {
        self.receiver
            .as_ref()
            .filter(|receiver| receiver.mutability.is_some())
            .map(|receiver| receiver.self_token)
    }

    /// Whether `self` is a shared reference, which the body and an option can both use.
    pub(crate) fn self_is_shared(&self) -> bool {
        match self.receiver.as_ref().map(|receiver| &receiver.kind) {
            Some(ReceiverKind::Reference(_, _, mutable)) => mutable.is_none(),
            Some(ReceiverKind::Typed(_, ty)) => {
                matches!(&**ty, Type::Reference(ty) if ty.mutability.is_none())
            }
            _ => false,
        }
    }
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let mut sig: Signature = input.parse()?;
        if input.peek(Token![;]) {
            return Err(syn::Error::new(
                sig.ident.span(),
                "this method has no body to put a cache in front of: put the attribute on its implementations",
            ));
        }
        let body = match unwrap_group(input.parse()?) {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => body,
            other => return Err(syn::Error::new(other.span(), "expected the function's body")),
        };
        let receiver = sig.receiver().cloned();
        let mut args: Vec<Arg> = sig.inputs.iter().filter_map(arg).collect();
        for input in &mut sig.inputs {
            let attrs = match input {
                FnArg::Receiver(receiver) => &mut receiver.attrs,
                FnArg::Typed(arg) => &mut arg.attrs,
            };
            attrs.retain(|attr| !attr.path().is_ident("doc"));
        }
        let (form, ret) = form(&sig, &body, &mut args);
        Ok(Self { attrs, vis, sig, form, ret, receiver, args, body })
    }
}

/// A token, out of the groups that macro fragments arrive in.
fn unwrap_group(tree: TokenTree) -> TokenTree {
    if let TokenTree::Group(group) = &tree
        && group.delimiter() == Delimiter::None
    {
        let mut inner = group.stream().into_iter();
        if let (Some(only), None) = (inner.next(), inner.next()) {
            return unwrap_group(only);
        }
    }
    tree
}

fn arg(input: &FnArg) -> Option<Arg> {
    let FnArg::Typed(PatType { attrs, pat, ty, .. }) = input else { return None };
    let cfg = attrs.iter().filter(|attr| attr.path().is_ident("cfg")).cloned().collect();
    Some(Arg { cfg, pat: (**pat).clone(), ty: (**ty).clone(), names: names_in(pat) })
}

/// The names that a pattern binds, in order, each once. A capitalized name counts too, although it may be a constant: if it
/// is an argument and were left out of the key, calls would share entries.
pub(crate) fn names_in(pat: &Pat) -> Vec<Ident> {
    struct Names(Vec<Ident>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
            if !self.0.contains(&pat.ident) {
                self.0.push(pat.ident.clone());
            }
            visit::visit_pat_ident(self, pat);
        }
    }
    let mut names = Names(Vec::new());
    names.visit_pat(pat);
    names.0
}

fn form(sig: &Signature, body: &Group, args: &mut [Arg]) -> (Form, Type) {
    let returned = match &sig.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => unwrap_type(ty).clone(),
    };
    if sig.asyncness.is_some() {
        return (Form::Async, returned);
    }
    match &returned {
        Type::ImplTrait(ty) => match output_of(&ty.bounds) {
            Some(output) => {
                let inner = async_block(body.stream());
                (Form::Future { inner }, output)
            }
            None => (Form::Sync, returned),
        },
        Type::Path(_) => match boxed_output(&returned).zip(boxed_block(body.stream())) {
            Some((output, (pin, inner))) => {
                let (bound, inner) = bound_anew(inner, args);
                (Form::Boxed { pin, bound, inner }, output)
            }
            None => (Form::Sync, returned),
        },
        _ => (Form::Sync, returned),
    }
}

/// A type, out of groups without delimiters and of parentheses.
pub(crate) fn unwrap_type(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => unwrap_type(&group.elem),
        Type::Paren(paren) => unwrap_type(&paren.elem),
        other => other,
    }
}

/// `T` of `Future<Output = T>` among bounds.
fn output_of(bounds: &Punctuated<TypeParamBound, Token![+]>) -> Option<Type> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let last = bound.path.segments.last()?;
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
        if last.ident != "Future" {
            return None;
        }
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(assoc) if assoc.ident == "Output" => {
                Some(unwrap_type(&assoc.ty).clone())
            }
            _ => None,
        })
    })
}

/// `T` of `Pin<Box<dyn Future<Output = T> + …>>`.
pub(crate) fn boxed_output(ty: &Type) -> Option<Type> {
    let pinned = argument_of(ty, |name| name == "Pin")?;
    match argument_of(pinned, |name| name == "Box")? {
        Type::TraitObject(object) => output_of(&object.bounds),
        _ => None,
    }
}

/// The first type argument of a type whose last path segment has such a name.
pub(crate) fn argument_of(ty: &Type, named: impl Fn(&str) -> bool) -> Option<&Type> {
    let Type::Path(path) = unwrap_type(ty) else { return None };
    let last = path.path.segments.last().filter(|last| named(&last.ident.to_string()))?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(unwrap_type(ty)),
        _ => None,
    })
}

/// `{ … }` of `async move { … }`, where `tokens` are nothing else.
fn async_block(tokens: TokenStream) -> Option<TokenStream> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let (word, rest) = tokens.split_first()?;
    let rest = match rest {
        [TokenTree::Ident(moved), rest @ ..] if moved == "move" => rest,
        rest => rest,
    };
    match (word, rest) {
        (TokenTree::Ident(word), [TokenTree::Group(block)])
            if word == "async" && block.delimiter() == Delimiter::Brace =>
        {
            Some(block.stream())
        }
        _ => None,
    }
}

/// `Box::pin` and the block of `Box::pin(async move { … })`.
fn boxed_block(tokens: TokenStream) -> Option<(TokenStream, TokenStream)> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let (last, path) = tokens.split_last()?;
    let pin: TokenStream = path.iter().cloned().collect();
    match last {
        TokenTree::Group(call)
            if call.delimiter() == Delimiter::Parenthesis
                && matches!(path.last(), Some(TokenTree::Ident(pin)) if pin == "pin") =>
        {
            Some((pin, async_block(call.stream())?))
        }
        _ => None,
    }
}

/// Moves the leading statements with which `#[async_trait]` binds arguments again, `let x = x;` and `let (a, b) = __arg1;`,
/// out of the block, so that options can mention the names that they bind.
fn bound_anew(inner: TokenStream, args: &mut [Arg]) -> (Vec<Stmt>, TokenStream) {
    let Ok(stmts) = syn::parse::Parser::parse2(Block::parse_within, inner.clone()) else {
        return (Vec::new(), inner);
    };
    let mut bound = Vec::new();
    let mut rest = TokenStream::new();
    let mut first = true;
    for stmt in stmts {
        let arg = args.iter_mut().find(|arg| first && binds(&stmt, arg));
        if let (Stmt::Local(local), Some(arg)) = (&stmt, arg) {
            arg.pat = if is_unnamed(&local.pat) { parse_quote!(_) } else { local.pat.clone() };
            arg.names = names_in(&arg.pat);
            bound.push(stmt);
        } else {
            first &= is_before_arguments(&stmt);
            stmt.to_tokens(&mut rest);
        }
    }
    (bound, rest)
}

/// Whether a statement is one that `#[async_trait]` puts before those: `let __self = self;`, or the `if` that tells the
/// block its type.
fn is_before_arguments(stmt: &Stmt) -> bool {
    match stmt {
        Stmt::Local(local) => matches!(&local.pat, Pat::Ident(pat) if pat.ident == "__self"),
        Stmt::Expr(Expr::If(hint), _) => mentions(hint.cond.to_token_stream(), "__ret"),
        _ => false,
    }
}

/// Whether `#[async_trait]` wrote this `__arg1` for a `_`. Such an argument is no part of the key.
fn is_unnamed(pat: &Pat) -> bool {
    let Pat::Ident(pat) = pat else { return false };
    pat.ident.to_string().starts_with("__arg") && pat.ident.span().source_text().as_deref() == Some("_")
}

/// Whether this is the statement with which `#[async_trait]` binds `arg` again.
fn binds(stmt: &Stmt, arg: &Arg) -> bool {
    let (Stmt::Local(local), Some(name)) = (stmt, arg.ident()) else { return false };
    let Some(init) = &local.init else { return false };
    match (&local.pat, &*init.expr) {
        (Pat::Ident(pat), Expr::Path(path)) => pat.ident == *name && path.path.is_ident(name),
        (_, block) => name.to_string().starts_with("__arg") && block_value(block).as_ref() == Some(name),
    }
}

/// `x` of `{ let x = x; x }`.
fn block_value(expr: &Expr) -> Option<Ident> {
    let Expr::Block(block) = expr else { return None };
    match block.block.stmts.as_slice() {
        [Stmt::Local(_), Stmt::Expr(Expr::Path(path), None)] => path.path.get_ident().cloned(),
        _ => None,
    }
}

/// A body in pieces: its inner attributes, the items that it begins with, and the rest.
pub(crate) struct Body {
    pub(crate) attrs: TokenStream,
    pub(crate) items: TokenStream,
    pub(crate) rest: TokenStream,
}

impl Body {
    pub(crate) fn of(tokens: TokenStream) -> Self {
        let parser = |input: ParseStream<'_>| {
            let attrs = input.call(Attribute::parse_inner)?;
            let attrs = quote!(#(#attrs)*);
            let mut items = TokenStream::new();
            loop {
                let ahead = input.fork();
                match ahead.parse::<SynItem>() {
                    // A macro call is a statement or the block's value, not an item.
                    Ok(SynItem::Macro(call)) if call.ident.is_none() => break,
                    Ok(_) => {}
                    Err(_) => break,
                }
                let mut left = input.cursor().token_stream().into_iter().count();
                left -= ahead.cursor().token_stream().into_iter().count();
                for _ in 0..left {
                    items.extend([input.parse::<TokenTree>()?]);
                }
            }
            Ok(Self { attrs, items, rest: input.parse()? })
        };
        syn::parse::Parser::parse2(parser, tokens.clone()).unwrap_or(Self {
            attrs: TokenStream::new(),
            items: TokenStream::new(),
            rest: tokens,
        })
    }
}

/// Whether a type has `impl Trait` somewhere in it.
pub(crate) fn has_impl_trait(ty: &Type) -> bool {
    struct Finder(bool);
    impl<'ast> Visit<'ast> for Finder {
        fn visit_type_impl_trait(&mut self, _: &'ast syn::TypeImplTrait) {
            self.0 = true;
        }
    }
    let mut finder = Finder(false);
    finder.visit_type(ty);
    finder.0
}

/// The item as the user wrote it, after a mistake.
pub(crate) fn untouched(item: &Item) -> TokenStream {
    let Item { attrs, vis, sig, body, .. } = item;
    quote!(#(#attrs)* #vis #sig #body)
}

/// A span that resolves as the macro's own but points at the user's code.
pub(crate) fn pointing_at(tokens: &impl ToTokens) -> Span {
    syn::spanned::Spanned::span(tokens).resolved_at(Span::mixed_site())
}
