//! `#[cache_put]` and `#[cache_evict]` to tokens.
//!
//! ```text
//! async fn rename(id: u64, name: String) -> Result<User, Error> {
//!     let writes_ = {
//!         use ::cachemacro::__private::{self as cachemacro_, Kind as _, Shape as _};
//!         let shape_ = (&&&cachemacro_::Probe::<Result<User, Error>>::NEW).shape();
//!         let outcome_ = shape_.kind();
//!         cachemacro_::Writes::<Result<User, Error>, _>::new(outcome_)
//!             .at(cachemacro_::site!("rename"; cachemacro_::Says::new("").writes(&["put user_entry", "tag users"])))
//!             .put(Some(held(outcome_, user_entry(&id))), NoRules, false)
//!             .evict(None, When { before: false, on_err: false })
//!             .evict_tags(["users"])
//!     };
//!     let body_ = ::core::pin::pin!(async move { … body });
//!     return writes_.run(body_, |_, writes_| writes_).await
//! }
//! ```
//!
//! Evicts that mention `result` are added in the closure that `run` takes; what a put asks about its value is in the put's
//! rules. Both keep clones of the arguments that they mention (see [`late`]).

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse_quote;

use super::expander::{Expander, condition_named, if_so, option, tags_method};
use super::late::Late;
use super::says::says_of_writes;
use crate::model::{EntryParts, Put, PutTarget, Tag, Value, Write, WriteAttr, Writing};
use crate::syntax::item::{Item, pointing_at};
use crate::values::{self, Place, reference};

/// The function with its body run between what it puts and what it evicts.
pub(crate) fn writing(model: &Writing, item: &Item) -> TokenStream {
    let writer = Writer {
        expander: Expander::new(item, &model.facade),
        item,
        before: TokenStream::new(),
        calls: TokenStream::new(),
        after: Late::default(),
        statements: TokenStream::new(),
        groups: 0,
        made_up: 0,
    };
    writer.write(model)
}

struct Writer<'a> {
    expander: Expander<'a>,
    item: &'a Item,
    /// Statements before `writes_`.
    before: TokenStream,
    /// Calls on `writes_` before the body.
    calls: TokenStream,
    /// What the closure that `run` takes keeps of the arguments.
    after: Late,
    /// The statements of that closure. Each binds a new `writes_`.
    statements: TokenStream,
    /// How many groups of evicts there are so far; each `.evict(…)` begins one.
    groups: usize,
    /// How many names were made up so far.
    made_up: usize,
}

impl Writer<'_> {
    fn write(mut self, model: &Writing) -> TokenStream {
        let mixed = Span::mixed_site();
        for attribute in &model.attributes {
            self.attribute(attribute);
        }
        let private = &self.expander.private;
        let ret = self.item.ret_with(&parse_quote!(_));
        let outcome = if model.puts {
            let span = self.item.value_span();
            let kind = Ident::new(if self.item.is_sync() { "local_kind" } else { "kind" }, span);
            quote_spanned!(span=> shape_.#kind())
        } else {
            quote_spanned!(mixed=> shape_.look())
        };
        let (kind, ..) = self.expander.kinds();
        let imports = if model.puts {
            self.expander.imports(&[kind, "Shape"])
        } else {
            self.expander.imports(&["Shape"])
        };
        let run = Ident::new(if self.item.is_sync() { "run_here" } else { "run" }, mixed);
        let shape = self.expander.shape();
        let returns = model.return_errors.map(|at| {
            let span = at.resolved_at(mixed);
            quote_spanned!(span=> .return_errors(#private::carry::<#ret>))
        });
        let Writer { before, calls, after, statements, .. } = &self;
        let name = self.item.name();
        let says = says_of_writes(&model.attributes, private);
        let site = quote_spanned!(mixed=> .at(#private::site!(#name; #says)));
        let taken = model.taken.iter().map(|path| quote!(#[#path(__taken)] const _: () = ();));
        let taken: TokenStream = taken.collect();
        let begin = quote_spanned! {mixed=>
            #taken
            let writes_ = {
                #imports
                #shape
                let outcome_ = #outcome;
                #before
                #private::Writes::<#ret, _>::new(outcome_) #site #returns #calls
            };
        };
        let variable = Ident::new("writes_", mixed);
        self.expander.function_and_after(&begin, (&variable, &run), after, statements)
    }

    fn attribute(&mut self, attribute: &WriteAttr) {
        for write in &attribute.writes {
            if let Write::Put(put) = write {
                self.put(put, attribute);
            }
        }
        if attribute.writes.iter().any(|write| !matches!(write, Write::Put(_))) {
            self.begin_evicts(attribute.cache.as_ref(), attribute);
        }
        for write in &attribute.writes {
            self.evict(write);
        }
    }

    /// Begins the group of evicts of one attribute.
    fn begin_evicts(&mut self, cache: Option<&syn::Expr>, attribute: &WriteAttr) {
        let mixed = Span::mixed_site();
        let private = self.expander.private.clone();
        let WriteAttr { before, on_err, .. } = attribute;
        let cache = if let Some(cache) = cache {
            let mut name = self.name("cache");
            name.set_span(pointing_at(cache));
            self.before.extend(self.expander.cache(&name, cache, Place::Function));
            quote_spanned!(mixed=> #private::cache(#name))
        } else {
            quote_spanned!(mixed=> ::core::option::Option::None)
        };
        self.calls.extend(quote_spanned! {mixed=>
            .evict(#cache, #private::When { before: #before, on_err: #on_err })
        });
        self.groups += 1;
    }

    fn evict(&mut self, write: &Write) {
        let mixed = Span::mixed_site();
        match write {
            Write::Put(_) => {}
            Write::Evict(entry) => {
                let entry_ref = reference(values::borrow_in_call(&entry.expr, self.item));
                self.early_or_late(entry, quote_spanned!(mixed=> .evict_entry(#entry_ref)));
            }
            Write::EvictAll(entries) => {
                let all = self.expander.taken(entries, Place::Function);
                let method = Ident::new("evict_entries", entries.span.resolved_at(mixed));
                self.early_or_late(entries, quote_spanned!(mixed=> .#method(#all)));
            }
            Write::EvictKey(parts) if parts.key.is_late() => {
                let key = self.expander.late_key(parts, &mut self.after);
                self.late(&quote_spanned!(mixed=> .evict_key(#key)), None);
            }
            Write::EvictKey(parts) => {
                let name = self.name("key");
                let key = self.expander.key(parts, Place::Function);
                self.before.extend(quote_spanned!(mixed=> let #name = { #key key_ };));
                self.calls.extend(quote_spanned!(mixed=> .evict_key(#name)));
            }
            Write::EvictTags(tags) => {
                let (late, early): (Vec<Tag>, Vec<Tag>) = tags.iter().cloned().partition(Tag::is_late);
                if let Some(tags) = self.expander.tags(&early, Place::Function) {
                    let method = tags_method("evict", &early);
                    self.calls.extend(quote_spanned!(mixed=> .#method(#tags)));
                }
                if let Some(tags) = self.expander.late_tags(&late, &mut self.after) {
                    let method = tags_method("evict", &late);
                    self.late(&quote_spanned!(mixed=> .#method(#tags)), None);
                }
            }
            Write::EvictPrefix(prefix) => self.calls.extend(quote_spanned!(mixed=> .evict_prefix(#prefix))),
        }
    }

    fn early_or_late(&mut self, value: &Value, call: TokenStream) {
        if value.late {
            self.after.needs(value, self.item);
            self.late(&call, None);
        } else {
            self.calls.extend(call);
        }
    }

    /// Adds a call on `writes_` after the body, for the current group, if `when` is true.
    fn late(&mut self, call: &TokenStream, when: Option<&Ident>) {
        let mixed = Span::mixed_site();
        let group = self.groups - 1;
        let call = quote_spanned!(mixed=> writes_.select(#group)#call);
        let call = match when {
            Some(when) => quote_spanned!(mixed=> if #when { #call } else { writes_ }),
            None => call,
        };
        self.statements.extend(quote_spanned!(mixed=> let writes_ = #call;));
    }

    fn put(&mut self, put: &Put, attribute: &WriteAttr) {
        let mixed = Span::mixed_site();
        let private = self.expander.private.clone();
        let on_err = attribute.on_err;
        let when = put.condition.as_ref().map(|condition| {
            let name = self.name("when");
            let statements = if put.target.is_late() { &mut self.after.captures } else { &mut self.before };
            statements.extend(condition_named(&name, condition, self.expander.item));
            name
        });
        let when = when.as_ref();
        let entry = match &put.target {
            PutTarget::Entry(entry) => {
                let span = pointing_at(&entry.expr);
                let ret = &self.item.ret;
                let call = values::borrow_in_call(&entry.expr, self.item);
                let held = Ident::new(if self.item.is_sync() { "held_here" } else { "held" }, span);
                let held = quote_spanned!(span=> #private::#held::<#ret, _, _>(outcome_, #call));
                if entry.late {
                    self.statements.extend(quote_spanned!(mixed=> let outcome_ = writes_.outcome();));
                    self.after.needs(entry, self.item);
                    let call = quote_spanned!(mixed=> .evict_entry(&#held));
                    return self.late_put(None, &call, when, attribute);
                }
                match when {
                    Some(when) => if_so(when, &TokenStream::new(), &held),
                    None => option(Some(&held)),
                }
            }
            PutTarget::Parts(parts) if parts.key.is_late() => {
                self.after.when = when.cloned();
                let key = self.expander.late_key(parts, &mut self.after);
                self.after.when = None;
                let call = quote_spanned!(mixed=> .evict_key(#key));
                return self.late_put(parts.cache.as_ref(), &call, when, attribute);
            }
            PutTarget::Parts(parts) => return self.put_parts(parts, put, when, attribute),
        };
        let rules = self.rules(put, when);
        let put = Ident::new(if self.item.is_sync() { "put_here" } else { "put" }, mixed);
        self.calls.extend(quote_spanned!(mixed=> .#put(#entry, #rules, #on_err)));
    }

    /// A put by prefix and key. It also evicts the key that a function outside this generic `impl` gives the same entry: the
    /// one without type parts.
    fn put_parts(&mut self, parts: &EntryParts, put: &Put, when: Option<&Ident>, attribute: &WriteAttr) {
        let mixed = Span::mixed_site();
        let on_err = attribute.on_err;
        let (name, plain) = (self.name("entry"), self.name("plain"));
        let key = self.expander.key(parts, Place::Function);
        let entry = self.expander.entry_of_key(parts, None, Place::Function, None);
        let made = quote_spanned! {mixed=>
            {
                #key
                let plain_ = key_.without_types();
                #entry
                (::core::option::Option::Some(entry_), plain_)
            }
        };
        let none = quote_spanned!(mixed=> (::core::option::Option::None, ::core::option::Option::None));
        let made = match when {
            Some(when) => quote_spanned!(mixed=> if #when #made else { #none }),
            None => made,
        };
        self.before.extend(quote_spanned!(mixed=> let (#name, #plain) = #made;));
        let rules = self.rules(put, when);
        self.calls.extend(quote_spanned!(mixed=> .put(#name, #rules, #on_err)));
        self.begin_evicts(parts.cache.as_ref(), attribute);
        self.calls.extend(quote_spanned!(mixed=> .evict_namesake(#plain)));
    }

    /// A put whose key mentions `result`: it evicts that key after the body.
    fn late_put(
        &mut self,
        cache: Option<&syn::Expr>,
        call: &TokenStream,
        when: Option<&Ident>,
        attribute: &WriteAttr,
    ) {
        self.begin_evicts(cache, attribute);
        self.late(call, when);
    }

    /// The rules of a put, bound to a name before the body.
    fn rules(&mut self, put: &Put, when: Option<&Ident>) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = self.expander.private.clone();
        if put.rules.is_empty() {
            return quote_spanned!(mixed=> #private::NoRules);
        }
        let name = self.name("rules");
        let rules = self.expander.call_rules(&put.rules, when);
        self.before.extend(quote_spanned!(mixed=> let #name = #rules;));
        name.to_token_stream()
    }

    fn name(&mut self, what: &str) -> Ident {
        self.made_up += 1;
        format_ident!("{what}_{}", self.made_up, span = Span::mixed_site())
    }
}
