//! The rules of `#[cache_put]` and `#[cache_evict]`.

use syn::{Expr, ExprLit, Lit, Type};

use super::tags::list;
use super::{Checker, facade, overlap};
use crate::model::{EntryParts, Put, PutTarget, RulesModel, Shown, Tag, Value, Write, WriteAttr, Writing};
use crate::syntax::item::Item;
use crate::syntax::options::{self, Macro, Options};
use crate::tokens::code::code;
use crate::tokens::errors::Errors;

/// The model of a function that writes to the cache: all its attributes together, so that one guard covers them.
pub(crate) fn writing(attributes: &[(Macro, Options)], item: &Item, errors: &Errors) -> Writing {
    let mut writing = Writing {
        facade: attributes
            .first()
            .map_or_else(|| facade(&Options::default()), |(_, options)| facade(options)),
        puts: attributes.iter().any(|(this, _)| *this == Macro::Put),
        return_errors: None,
        taken: attributes.iter().filter_map(|(_, options)| options.taken.clone()).collect(),
        attributes: Vec::new(),
    };
    for (at, (this, options)) in attributes.iter().enumerate() {
        let check = Checker { this: *this, options, item, errors };
        if at == 0 {
            check.form_is_known();
            check.returns();
            if writing.puts {
                check.return_type();
                check.owned_value();
            }
        }
        check.sync_options();
        check.defaults_have_self();
        check.result_is_no_argument();
        if check.returns_errors() && writing.return_errors.is_none() {
            writing.return_errors = options.get("on_evict_error").map(options::Opt::span);
        }
        let writes = match this {
            Macro::Put => check.put().into_iter().collect(),
            _ => check.evicts(),
        };
        for write in &writes {
            check.late_parts_can_be(write);
        }
        writing.attributes.push(WriteAttr {
            before: options.flag("before"),
            on_err: check.evicts_on_err(),
            cache: if *this == Macro::Evict { check.cache() } else { None },
            writes,
        });
    }
    writing
}

impl Checker<'_> {
    fn word(&self, name: &str, words: [&str; 2]) -> Option<String> {
        let expr = self.options.expr(name)?;
        let word = match expr {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        };
        let known = word.filter(|word| words.contains(&word.as_str()));
        if known.is_none() {
            self.errors.at(expr, format!("`{name}` is `\"{}\"` or `\"{}\"`", words[0], words[1]));
        }
        known
    }

    fn returns_errors(&self) -> bool {
        self.word("on_evict_error", ["return", "log"]).as_deref() == Some("return")
    }

    fn evicts_on_err(&self) -> bool {
        self.word("on_err", ["evict", "keep"]).as_deref() == Some("evict")
    }

    /// Beside `entry`, reports the options that the entry has itself.
    fn entry_stands_alone(&self, others: &[&'static str]) {
        for name in others {
            if let Some(opt) = self.options.get(name).filter(|opt| !opt.inherited) {
                self.errors.push(
                    opt.span(),
                    format!("`{name}` comes from the entry: remove it, or write `prefix` and `key` instead of `entry`"),
                );
            }
        }
    }

    fn put(&self) -> Option<Write> {
        if matches!(self.item.value_type(), Type::Tuple(unit) if unit.elems.is_empty()) {
            self.errors.push(
                self.item.sig.ident.span(),
                "a `#[cache_put]` function returns the value that it writes, and this one returns none: return it, or use `#[cache_evict]`",
            );
        }
        let (rules, ttl, tags) = self.rules();
        let (target, rules) = if let Some(entry) = self.entry_expr() {
            self.entry_stands_alone(&[
                "prefix",
                "key",
                "ttl",
                "tags",
                "codec",
                "version",
                "cache_none",
                "none_ttl",
                "jitter",
                "stale",
                "max_age",
                "cache",
            ]);
            (PutTarget::Entry(Box::new(entry)), RulesModel { unless: rules.unless, ..RulesModel::default() })
        } else {
            (PutTarget::Parts(Box::new(self.written_parts(ttl, tags)?)), rules)
        };
        Some(Write::Put(Box::new(Put { target, condition: self.condition(), rules })))
    }

    /// `prefix`, `key` and what goes with them.
    fn written_parts(&self, ttl: Option<Value>, tags: Vec<Tag>) -> Option<EntryParts> {
        let has_prefix = self.options.has("prefix");
        let has_key = self.options.has("key");
        let message = match (self.this, has_prefix, has_key) {
            (_, true, true) => None,
            (_, false, true) => {
                Some("`key` needs a `prefix`, the one of the `#[cached]` function: or write `entry = …`")
            }
            (_, _, false) if self.options.mistaken => return None,
            (Macro::Evict, true, false) => Some(
                "`prefix` needs a `key`, or `all` where everything under it is to go: `prefix = \"user\", all`",
            ),
            (_, true, false) => Some("`prefix` needs a `key`: or write `entry = …`"),
            (_, false, false) => {
                Some("which entry is written? Write `entry = user_entry(id)`, or `prefix` and `key`")
            }
        };
        if let Some(message) = message {
            let opt = self.options.get("key").or(self.options.get("prefix")).filter(|opt| !opt.inherited);
            self.errors.push(opt.map_or_else(|| self.options.span(), options::Opt::span), message);
            return None;
        }
        Some(EntryParts {
            policy: self.policy(),
            cache: if self.this == Macro::Put { self.cache() } else { None },
            of_trait: self.options.of_trait().cloned(),
            prefix: Some(self.prefix()?),
            form: (self.this == Macro::Put).then(|| overlap::form(self.options, self.item)).flatten(),
            types: Vec::new(),
            key: self.key()?,
            tags,
            ttl,
            codec: self.options.ty("codec").cloned(),
            similar: None,
            shown: Shown::default(),
        })
    }

    pub(super) fn entry_expr(&self) -> Option<Value> {
        let entry = self.options.expr("entry")?;
        if let Expr::Path(path) = entry
            && self.is_function(path)
        {
            let message = format!("`{}` is called: write `{}`", code(path), self.called(path));
            self.errors.at(path, message);
        } else {
            self.is_quoted(entry, "entry");
        }
        Some(self.expression(entry, "entry"))
    }

    fn evicts(&self) -> Vec<Write> {
        let options = self.options;
        let mut writes = Vec::new();
        if let Some(entry) = self.entry_expr() {
            self.entry_stands_alone(&["prefix", "key"]);
            if options.flag("all") {
                self.errors.push(
                    options.get("all").map_or_else(|| options.span(), options::Opt::span),
                    "`all` evicts a whole prefix and `entry` one entry: write one of them",
                );
            }
            writes.push(Write::Evict(entry));
        } else if options.flag("all") {
            if let Some(key) = options.get("key") {
                self.errors
                    .push(key.span(), "`all` evicts the whole prefix, this key included: write one of them");
            }
            if options.has("prefix") {
                writes.extend(self.prefix().map(Write::EvictPrefix));
            } else {
                let all = options.get("all").map_or_else(|| options.span(), options::Opt::span);
                self.errors.push(all, "`all` needs the `prefix` to evict: `prefix = \"user\", all`");
            }
        } else if options.has("key") || options.get("prefix").is_some_and(|prefix| !prefix.inherited) {
            writes.extend(self.written_parts(None, Vec::new()).map(|parts| Write::EvictKey(Box::new(parts))));
        }
        if let Some(entries) = options.expr("entries") {
            if let Expr::Closure(closure) = entries {
                self.errors.push(
                    closure.inputs_begin.span,
                    "`entries` is an iterator of entries: `entries = ids.iter().map(user_entry)`",
                );
            } else {
                writes.push(Write::EvictAll(self.expression(entries, "entries")));
            }
        }
        let tags = self.tags();
        if !tags.is_empty() {
            writes.push(Write::EvictTags(tags));
        }
        let tried = ["entry", "key", "prefix", "entries", "tags", "all"];
        let tried = tried.iter().filter_map(|name| options.get(name)).find(|opt| !opt.inherited);
        // `tags = []` and `all = false` are no mistakes in themselves, but they evict nothing.
        let nothing = tried.filter(|opt| opt.is("tags") && options.expr("tags").is_some_and(is_empty_list));
        let nothing = nothing.or(tried.filter(|opt| opt.is("all") && !options.flag("all")));
        if writes.is_empty() && !options.mistaken && (tried.is_none() || nothing.is_some()) {
            self.errors.push(
                nothing.map_or_else(|| options.span(), options::Opt::span),
                "what is evicted? Write `entry = user_entry(id)`, `prefix` and `key`, `tags`, `entries`, or `prefix` and `all`",
            );
        }
        writes
    }
}

/// `[]`, also as `&[]` and `vec![]`.
fn is_empty_list(expr: &Expr) -> bool {
    list(expr).is_some_and(|elements| elements.is_empty())
}
