//! Attribute tokens to options.
//!
//! `SPECS` lists all options, the syntax of each, and the attributes that take it. What options mean together is not known
//! here.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, LitBool, Path, Token, Type, Visibility, parenthesized};

use crate::tokens::code::code;
use crate::tokens::errors::{Errors, listed, similar};

/// One of the five attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Macro {
    Cached,
    Put,
    Evict,
    Config,
    WriteBehind,
}

impl Macro {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Macro::Cached => "cached",
            Macro::Put => "cache_put",
            Macro::Evict => "cache_evict",
            Macro::Config => "cache_config",
            Macro::WriteBehind => "cache_write_behind",
        }
    }

    /// The attribute whose path ends in this name.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let last = &path.segments.last()?.ident;
        let all = [Macro::Cached, Macro::Put, Macro::Evict, Macro::WriteBehind];
        all.into_iter().find(|this| last == this.name())
    }
}

/// What an option's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    /// `ttl = expression`
    Expr,
    /// `cache_none` or `cache_none = false`
    Flag,
    /// `skip(a, b)`
    Names,
    /// `entry = name` in `#[cached]`, `entry = expression` in the other attributes
    Entry,
    /// `codec = Type`
    Type,
    /// `crate = path`
    Path,
}

struct Spec {
    name: &'static str,
    syntax: Syntax,
    takes: &'static [Macro],
    usage: &'static str,
}

const ALL: &[Macro] = &[Macro::Cached, Macro::Put, Macro::Evict, Macro::Config];
const EACH: &[Macro] = &[Macro::Cached, Macro::Put, Macro::Evict, Macro::Config, Macro::WriteBehind];
const STORE: &[Macro] = &[Macro::Cached, Macro::Put, Macro::Config];
const READ: &[Macro] = &[Macro::Cached, Macro::Config];
const WRITE: &[Macro] = &[Macro::Put, Macro::Evict, Macro::Config];

const SPECS: &[Spec] = &[
    spec("prefix", Syntax::Expr, ALL, r#"prefix = "user""#),
    spec("key", Syntax::Expr, &[Macro::Cached, Macro::Put, Macro::Evict], r#"key = "{id}""#),
    spec("skip", Syntax::Names, &[Macro::Cached], "skip(pool)"),
    spec("ttl", Syntax::Expr, STORE, r#"ttl = "5m""#),
    spec("tags", Syntax::Expr, EACH, r#"tags = ["users", "org:{org}"]"#),
    spec("condition", Syntax::Expr, STORE, "condition = id > 0"),
    spec("unless", Syntax::Expr, STORE, "unless = result.is_empty()"),
    spec("cache_none", Syntax::Flag, STORE, "cache_none = true"),
    spec("none_ttl", Syntax::Expr, STORE, r#"none_ttl = "10s""#),
    spec("cache_err", Syntax::Flag, READ, "cache_err = true"),
    spec("err_ttl", Syntax::Expr, READ, r#"err_ttl = "10s""#),
    spec("jitter", Syntax::Expr, STORE, r#"jitter = "10%""#),
    spec("wait", Syntax::Expr, READ, r#"wait = "5s""#),
    spec("lease_limit", Syntax::Expr, READ, r#"lease_limit = "60s""#),
    spec("stale", Syntax::Expr, STORE, r#"stale = "1h""#),
    spec("max_age", Syntax::Expr, STORE, r#"max_age = "1d""#),
    spec("refresh", Syntax::Expr, READ, r#"refresh = "80%""#),
    spec("soft", Syntax::Expr, READ, r#"soft = "200ms""#),
    spec("timeout", Syntax::Expr, READ, r#"timeout = "2s""#),
    spec("on_timeout", Syntax::Expr, READ, "on_timeout = Err(Error::Late)"),
    spec("local", Syntax::Expr, READ, r#"local = "10s""#),
    spec("validate", Syntax::Flag, READ, "validate = true"),
    spec("sealed", Syntax::Flag, STORE, "sealed"),
    spec("verify", Syntax::Expr, READ, r#"verify = "0.1%""#),
    spec("verify_by", Syntax::Expr, &[Macro::Cached], "verify_by = same_prices"),
    spec("within", Syntax::Expr, READ, r#"within = "60s""#),
    spec("on_inconsistent", Syntax::Expr, READ, r#"on_inconsistent = "evict""#),
    spec("search", Syntax::Expr, &[Macro::Cached], "search = [&result.name, &result.city]"),
    spec("similar", Syntax::Expr, &[Macro::Cached], "similar = question"),
    spec("threshold", Syntax::Expr, &[Macro::Cached], "threshold = 0.92"),
    spec("embedder", Syntax::Expr, &[Macro::Cached], "embedder = self.embedder"),
    spec("confirm", Syntax::Expr, &[Macro::Cached], "confirm = same_intent"),
    spec("scope", Syntax::Expr, &[Macro::Cached], r#"scope = "shared""#),
    spec("recorded", Syntax::Flag, READ, "recorded"),
    spec("codec", Syntax::Type, STORE, "codec = Json"),
    spec("version", Syntax::Expr, STORE, "version = 1"),
    spec("cache", Syntax::Expr, ALL, "cache = self.cache"),
    spec("write_behind", Syntax::Expr, &[Macro::Cached], "write_behind = self.renames"),
    spec(
        "entry",
        Syntax::Entry,
        &[Macro::Cached, Macro::Put, Macro::Evict, Macro::WriteBehind],
        "entry = user_entry",
    ),
    spec("entries", Syntax::Expr, &[Macro::Evict], "entries = ids.iter().map(user_entry)"),
    spec("all", Syntax::Flag, &[Macro::Evict], "all"),
    spec("before", Syntax::Flag, &[Macro::Evict], "before"),
    spec("queue", Syntax::Expr, &[Macro::WriteBehind], "queue = self.renames"),
    spec("delete", Syntax::Flag, &[Macro::WriteBehind], "delete"),
    spec("on_err", Syntax::Expr, WRITE, r#"on_err = "evict""#),
    spec("on_evict_error", Syntax::Expr, WRITE, r#"on_evict_error = "return""#),
    spec("value", Syntax::Type, &[Macro::Cached], "value = Vec<User>"),
    spec("crate", Syntax::Path, EACH, "crate = my_crate::cachemacro"),
];

const fn spec(name: &'static str, syntax: Syntax, takes: &'static [Macro], usage: &'static str) -> Spec {
    Spec { name, syntax, takes, usage }
}

/// The option of an attribute that an attribute above it expanded already: it stands on an empty item, so that the import of
/// its name is used.
pub(crate) const TAKEN: &str = "__taken";

/// Whether an attribute takes an option.
pub(crate) fn takes(this: Macro, name: &str) -> bool {
    SPECS.iter().any(|spec| spec.name == name && spec.takes.contains(&this))
}

/// An example of an option.
pub(crate) fn usage(name: &str) -> &'static str {
    SPECS.iter().find(|spec| spec.name == name).map_or("", |spec| spec.usage)
}

/// The value of an option.
#[derive(Clone)]
pub(crate) enum Given {
    Expr(Box<Expr>),
    Flag(bool),
    Names(Vec<Ident>),
    Entry(Visibility, Ident),
    Type(Box<Type>),
    Path(Path),
}

/// One option as it was written.
#[derive(Clone)]
pub(crate) struct Opt {
    pub(crate) name: Ident,
    pub(crate) value: Given,
    /// The tokens of the value.
    pub(crate) tokens: TokenStream,
    /// Whether `#[cache_config]` set it.
    pub(crate) inherited: bool,
}

impl Opt {
    pub(crate) fn span(&self) -> Span {
        self.name.span()
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// The option as it was written.
    pub(crate) fn source(&self) -> TokenStream {
        let Opt { name, tokens, .. } = self;
        quote!(#name = #tokens)
    }
}

/// The trait's `impl` that an attribute is in. The entry function, which is outside of it, needs it for the same key and site.
#[derive(Clone)]
pub(crate) struct OfTrait {
    /// The trait as the `impl` spells it.
    pub(crate) path: String,
    /// Line and column of the attribute.
    pub(crate) place: (u32, u32),
}

/// The options of one attribute, by name.
#[derive(Clone, Default)]
pub(crate) struct Options {
    opts: Vec<Opt>,
    /// The attribute's path, if an attribute above it expands it with itself.
    pub(crate) taken: Option<Path>,
    /// Whether some options could not be parsed.
    pub(crate) mistaken: bool,
    /// Set if `#[cache_config]` moves the entry function out of a trait's `impl`.
    of_trait: Option<OfTrait>,
}

impl Options {
    pub(crate) fn get(&self, name: &str) -> Option<&Opt> {
        self.opts.iter().find(|opt| opt.is(name))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Opt> {
        self.opts.iter()
    }

    /// The expression of an option, without the groups that macro fragments come in.
    pub(crate) fn expr(&self, name: &str) -> Option<&Expr> {
        match &self.get(name)?.value {
            Given::Expr(expr) => Some(expr),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name).map(|opt| &opt.value), Some(Given::Flag(true)))
    }

    pub(crate) fn ty(&self, name: &str) -> Option<&Type> {
        match &self.get(name)?.value {
            Given::Type(ty) => Some(ty),
            _ => None,
        }
    }

    pub(crate) fn path(&self, name: &str) -> Option<&Path> {
        match &self.get(name)?.value {
            Given::Path(path) => Some(path),
            _ => None,
        }
    }

    /// Where to underline a mistake that is about no single option: the attribute.
    pub(crate) fn span(&self) -> Span {
        let last = self.taken.as_ref().and_then(|path| path.segments.last());
        last.map_or_else(Span::call_site, |last| last.ident.span())
    }

    pub(crate) const fn of_trait(&self) -> Option<&OfTrait> {
        self.of_trait.as_ref()
    }
}

/// Parses the options of an attribute. Options that cannot be parsed are reported and left out.
pub(crate) fn parse(this: Macro, tokens: TokenStream, errors: &Errors) -> Options {
    let mut options = Options::default();
    let before = errors.len();
    let parser = |input: ParseStream<'_>| {
        while !input.is_empty() {
            if from_config(this, input, &mut options, errors)? {
                continue;
            }
            match option(this, input, options.opts.last(), errors) {
                Ok(Some(opt)) => add(&mut options, opt, errors),
                Ok(None) => {}
                Err(error) => {
                    errors.add(error);
                    skip_to_next(input)?;
                    continue;
                }
            }
            if !input.is_empty() && input.parse::<Token![,]>().is_err() {
                errors.push(input.span(), "expected a comma before the next option");
                if !is_option(input) {
                    skip_to_next(input)?;
                }
            }
        }
        Ok(())
    };
    if let Err(error) = parser.parse2(tokens) {
        errors.add(error);
    }
    options.mistaken = errors.len() > before;
    options
}

/// Parses what `#[cache_config]` added, at the end of the options. Returns whether there was such an addition.
fn from_config(
    this: Macro,
    input: ParseStream<'_>,
    options: &mut Options,
    errors: &Errors,
) -> syn::Result<bool> {
    let ahead = input.fork();
    let name = ahead.call(Ident::parse_any).map(|name| name.to_string()).unwrap_or_default();
    if name != "__inherited" && name != "__of_trait" {
        return Ok(false);
    }
    input.call(Ident::parse_any)?;
    let content;
    parenthesized!(content in input);
    input.parse::<Option<Token![,]>>()?;
    if name == "__of_trait" {
        let path = content.parse::<syn::LitStr>()?.value();
        let number = || {
            content.parse::<Token![,]>()?;
            content.parse::<syn::LitInt>()?.base10_parse()
        };
        options.of_trait = Some(OfTrait { path, place: (number()?, number()?) });
        return Ok(true);
    }
    let inherited = parse(this, content.parse()?, errors);
    options.opts.extend(inherited.opts.into_iter().map(|opt| Opt { inherited: true, ..opt }));
    Ok(true)
}

fn add(options: &mut Options, opt: Opt, errors: &Errors) {
    if options.has(&opt.name.to_string()) {
        errors.push(opt.span(), format!("`{}` is given twice: keep one", opt.name.unraw()));
    } else {
        options.opts.push(opt);
    }
}

/// Whether an option follows: a known name, or another with a value.
fn is_option(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    let Ok(name) = ahead.call(Ident::parse_any) else { return false };
    let has_value = ahead.peek(Token![=]) && !ahead.peek(Token![==]) && !ahead.peek(Token![=>]);
    has_value || SPECS.iter().any(|spec| name == spec.name)
}

/// Skips tokens that cannot be parsed, up to the next option.
fn skip_to_next(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() {
        if input.peek(Token![,]) {
            input.parse::<Token![,]>()?;
            if input.is_empty() || is_option(input) {
                return Ok(());
            }
        } else {
            input.step(|cursor| {
                cursor.token_tree().map(|(_, rest)| ((), rest)).ok_or_else(|| cursor.error("end"))
            })?;
        }
    }
    Ok(())
}

/// What to write where a value of an option was followed by another one for the same option.
fn listed_with(before: &Opt, next: &impl ToTokens) -> Option<String> {
    let (first, next) = (code(&before.tokens), code(next));
    let quoted = |text: &str| text.strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
    match before.name.to_string().as_str() {
        "key" if quoted(&first).is_some() => {
            let all = format!("{}:{}", quoted(&first)?, quoted(&next).unwrap_or(format!("{{{next}}}")));
            Some(format!("a key of several parts is one template: write `key = \"{all}\"`"))
        }
        "key" => Some(format!("a key of several parts is a tuple: write `key = ({first}, {next})`")),
        "tags" => Some(format!("several tags are a list: write `tags = [{first}, {next}]`")),
        _ => None,
    }
}

/// One option; `before` is the one that stands before it.
fn option(
    this: Macro,
    input: ParseStream<'_>,
    before: Option<&Opt>,
    errors: &Errors,
) -> syn::Result<Option<Opt>> {
    if input.peek(syn::Lit) {
        let lit: Lit = input.parse()?;
        let message = match (before.and_then(|before| listed_with(before, &lit)), &lit) {
            (Some(listed), _) => listed,
            (None, Lit::Str(text)) if this != Macro::Config => {
                format!("an option has a name: write `key = {}`", text.token())
            }
            _ => "an option has a name".to_owned(),
        };
        errors.at(lit, message);
        return Ok(None);
    }
    if let Some(entry) = bare_entry(this, input) {
        errors.at(&entry, format!("an option has a name: write `entry = {}`", code(&entry)));
        let tokens = entry.to_token_stream();
        let name = Ident::new("entry", Span::call_site());
        return Ok(Some(Opt { name, value: Given::Expr(Box::new(entry)), tokens, inherited: false }));
    }
    let name = input.call(Ident::parse_any).map_err(|error| {
        syn::Error::new(error.span(), format!("expected an option such as `{}`", usage(example(this))))
    })?;
    let Some(spec) = SPECS.iter().find(|spec| name == spec.name) else {
        let text = name.to_string();
        let is_alone = input.is_empty() || input.peek(Token![,]);
        let is_meant = likely(this, &text).is_some() || elsewhere(&text).is_some();
        let listed = before.filter(|_| is_alone && !is_meant).and_then(|before| listed_with(before, &name));
        errors.push(name.span(), listed.unwrap_or_else(|| unknown(this, &text)));
        unknown_value(input)?;
        return Ok(None);
    };
    let (value, tokens) = value(this, spec, &name, input)?;
    if !spec.takes.contains(&this) {
        errors.push(name.span(), misplaced(this, spec));
        return Ok(None);
    }
    Ok(Some(Opt { name, value, tokens, inherited: false }))
}

/// Parses `user_entry(id)` or `self.user_entry(id)` where `entry = ` was forgotten.
fn bare_entry(this: Macro, input: ParseStream<'_>) -> Option<Expr> {
    let name = input.fork().call(Ident::parse_any).ok()?;
    let misspelt = SPECS.iter().any(|spec| name == spec.name) || likely(this, &name.to_string()).is_some();
    if misspelt || !matches!(this, Macro::Put | Macro::Evict | Macro::WriteBehind) {
        return None;
    }
    let ahead = input.fork();
    let call = ahead.parse::<Expr>().ok()?;
    let ends = ahead.is_empty() || ahead.peek(Token![,]);
    if !ends || !matches!(call, Expr::Call(_) | Expr::MethodCall(_)) {
        return None;
    }
    input.parse().ok()
}

const fn example(this: Macro) -> &'static str {
    match this {
        Macro::Cached | Macro::Config => "ttl",
        Macro::Put | Macro::Evict | Macro::WriteBehind => "entry",
    }
}

fn options_of(this: Macro) -> impl Iterator<Item = &'static str> {
    SPECS.iter().filter(move |spec| spec.takes.contains(&this)).map(|spec| spec.name)
}

/// The option that was probably meant.
fn likely(this: Macro, name: &str) -> Option<&'static str> {
    // The names of such options in other caches.
    let foreign = match name {
        "expire" | "expires" | "expiry" | "time" | "time_to_live" | "ex" | "px" | "expiration"
        | "expire_after" | "expires_in" | "expire_in" | "ttl_secs" | "ttl_seconds" | "ttl_ms"
        | "ttl_millis" | "lifetime" | "max_ttl" => Some("ttl"),
        "deadline" | "lease" | "lock_timeout" => Some("lease_limit"),
        "name" | "namespace" | "cache_name" | "cacheNames" | "cache_names" | "key_prefix"
        | "cache_prefix_block" => Some("prefix"),
        "convert" | "key_fn" | "keyGenerator" | "key_generator" => Some("key"),
        "only_if" | "when" => Some("condition"),
        "all_entries" | "allEntries" => Some("all"),
        "beforeInvocation" | "before_invocation" => Some("before"),
        "ignore" | "exclude" => Some("skip"),
        "serializer" | "format" => Some("codec"),
        "tag" | "group" => Some("tags"),
        _ => None,
    };
    similar(name, options_of(this)).or(foreign.filter(|name| options_of(this).any(|known| known == *name)))
}

/// What to write here instead of an option of another cache's attribute that has none like it.
fn elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "result" => "`Err` is not stored unless you write `cache_err`: leave `result` out",
        "option" => "`None` is not stored unless you write `cache_none`: leave `option` out",
        "sync_writes" | "sync_lock" | "sync_writes_buckets" | "sync" => {
            "calls for one key always share one load: leave it out"
        }
        "in_impl" => "methods need no option: leave `in_impl` out",
        "size" | "max_size" | "capacity" | "max_capacity" | "maxsize" | "Max" | "SizedCache" => {
            "a cache in memory has one size for all: `Cache::builder().capacity(bytes)`, or leave it out"
        }
        "unbound" => "a cache in memory has one size for all: leave `unbound` out",
        "time_refresh" | "refresh_ttl" | "time_to_idle" | "tti" | "sliding" => {
            "reads do not make a value live longer: leave it out, and write a longer `ttl`"
        }
        "with_cached_flag" => {
            "`Entry::lookup` tells a hit from a miss: write `entry = …` and ask the entry, and leave it out"
        }
        "map_error" => "what fails in the cache never fails the call: leave `map_error` out",
        "eviction" | "eviction_policy" | "policy" | "lru" | "lfu" => {
            "a full cache in memory makes room by itself, and a server by its `maxmemory-policy`: leave it out"
        }
        "ty" | "type" | "create" | "backend" | "store" | "storage" | "Custom" => {
            "the cache is chosen when the program starts, or by `cache = …`: leave it out"
        }
        "redis" | "disk" => "the cache is chosen when the program starts, as by `REDIS_URL`: leave it out",
        "result_fallback" => {
            "write `stale = \"1h\"`, which serves a value past its `ttl` while its load fails"
        }
        "connection" | "conn" | "pool" | "client" | "cacheManager" | "cache_manager" => {
            "the cache holds its connections: leave it out, or write `cache = …`"
        }
        _ => return None,
    })
}

fn unknown(this: Macro, name: &str) -> String {
    if let Some(instead) = elsewhere(name) {
        return format!("`{name}` is no option of `#[{}]`: {instead}", this.name());
    }
    match likely(this, name) {
        Some(guess) => format!("unknown option `{name}`: did you mean `{guess}`, as in `{}`?", usage(guess)),
        None => format!("unknown option `{name}`: `#[{}]` takes {}", this.name(), listed(options_of(this))),
    }
}

fn misplaced(this: Macro, spec: &Spec) -> String {
    let takers = spec.takes.iter().filter(|taker| **taker != Macro::Config).map(|taker| taker.name());
    let takers =
        listed(takers.map(|name| format!("#[{name}]")).collect::<Vec<_>>().iter().map(String::as_str));
    format!("`{}` is an option of {takers}, not of `#[{}]`", spec.name, this.name())
}

/// Skips the value of an unknown option.
fn unknown_value(input: ParseStream<'_>) -> syn::Result<()> {
    if input.parse::<Option<Token![=]>>()?.is_some() {
        let ahead = input.fork();
        if ahead.parse::<Expr>().is_ok() && (ahead.is_empty() || ahead.peek(Token![,])) {
            input.parse::<Expr>()?;
        } else {
            input.parse::<Type>()?;
        }
    } else if input.peek(syn::token::Paren) {
        let content;
        parenthesized!(content in input);
        content.parse::<TokenStream>()?;
    }
    Ok(())
}

/// The value of an option, and its tokens.
fn value(
    this: Macro,
    spec: &Spec,
    name: &Ident,
    input: ParseStream<'_>,
) -> syn::Result<(Given, TokenStream)> {
    if spec.syntax == Syntax::Names {
        return names(spec, name, input);
    }
    if spec.syntax == Syntax::Flag && (input.is_empty() || input.peek(Token![,])) {
        return Ok((Given::Flag(true), quote!(true)));
    }
    equals_sign(spec, name, input)?;
    match spec.syntax {
        Syntax::Flag => flag(spec, input),
        Syntax::Entry if this == Macro::Cached => entry_name(spec, input),
        Syntax::Type => ty(spec, input),
        Syntax::Path => path(spec, input),
        Syntax::Expr | Syntax::Entry | Syntax::Names => expr(spec, input),
    }
}

/// The `=` between an option and its value.
fn equals_sign(spec: &Spec, name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    let missing = || syn::Error::new(name.span(), format!("`{}` needs a value: `{}`", spec.name, spec.usage));
    if input.peek(syn::token::Paren) || input.peek(syn::token::Bracket) {
        let message = format!("`{}` is written with an equals sign: `{}`", spec.name, spec.usage);
        return Err(syn::Error::new(name.span(), message));
    }
    if !input.peek(Token![=]) {
        return Err(missing());
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) { Err(missing()) } else { Ok(()) }
}

fn names(spec: &Spec, name: &Ident, input: ParseStream<'_>) -> syn::Result<(Given, TokenStream)> {
    if !input.peek(syn::token::Paren) {
        let message = format!("`{}` takes a list: `{}`", spec.name, spec.usage);
        return Err(syn::Error::new(name.span(), message));
    }
    let content;
    parenthesized!(content in input);
    let names = Punctuated::<Ident, Token![,]>::parse_terminated_with(&content, Ident::parse_any);
    let names = names.map_err(|error| {
        let message = format!("`{}` takes names of arguments: `{}`", spec.name, spec.usage);
        syn::Error::new(error.span(), message)
    })?;
    let tokens = names.to_token_stream();
    Ok((Given::Names(names.into_iter().collect()), tokens))
}

fn flag(spec: &Spec, input: ParseStream<'_>) -> syn::Result<(Given, TokenStream)> {
    let value: Expr = input.parse()?;
    match unwrapped(value.clone()) {
        Expr::Lit(ExprLit { lit: Lit::Bool(LitBool { value: flag, .. }), .. }) => {
            Ok((Given::Flag(flag), value.to_token_stream()))
        }
        _ => Err(syn::Error::new_spanned(value, format!("`{}` is `true` or `false`", spec.name))),
    }
}

fn expr(spec: &Spec, input: ParseStream<'_>) -> syn::Result<(Given, TokenStream)> {
    let value: Expr = input.parse().map_err(|error| {
        let message = format!("{error} in `{}`, which looks like `{}`", spec.name, spec.usage);
        syn::Error::new(error.span(), message)
    })?;
    let tokens = value.to_token_stream();
    Ok((Given::Expr(Box::new(unwrapped(value))), tokens))
}

fn ty(spec: &Spec, input: ParseStream<'_>) -> syn::Result<(Given, TokenStream)> {
    let ty: Type = input.parse().map_err(|error| {
        syn::Error::new(error.span(), format!("`{}` is a type: `{}`", spec.name, spec.usage))
    })?;
    let tokens = ty.to_token_stream();
    Ok((Given::Type(Box::new(ty)), tokens))
}

fn path(spec: &Spec, input: ParseStream<'_>) -> syn::Result<(Given, TokenStream)> {
    let path = input.call(Path::parse_mod_style).map_err(|error| {
        syn::Error::new(error.span(), format!("`{}` is a path: `{}`", spec.name, spec.usage))
    })?;
    let tokens = path.to_token_stream();
    Ok((Given::Path(path), tokens))
}

/// The name of the function to generate, which may have a visibility of its own.
fn entry_name(spec: &Spec, input: ParseStream<'_>) -> syn::Result<(Given, TokenStream)> {
    let vis: Visibility = input.parse()?;
    let name = input.parse::<Ident>().ok().filter(|_| input.is_empty() || input.peek(Token![,]));
    let Some(name) = name else {
        let message =
            format!("in `#[cached]`, `entry` is the name of the function to generate: `{}`", spec.usage);
        return Err(syn::Error::new(input.span(), message));
    };
    let tokens = name.to_token_stream();
    Ok((Given::Entry(vis, name), tokens))
}

/// The expression without the invisible groups of macro fragments, and without parentheses around a literal.
pub(crate) fn unwrapped(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => unwrapped(*group.expr),
        Expr::Paren(paren) if matches!(*paren.expr, Expr::Lit(_)) => unwrapped(*paren.expr),
        other => other,
    }
}
