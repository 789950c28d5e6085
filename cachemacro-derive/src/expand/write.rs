//! `#[cache_put]` and `#[cache_evict]` to tokens.
//!
//! ```text
//! async fn rename(id: u64, name: String) -> Result<User, Error> {
//!     let writes_ = {
//!         use ::cachemacro::__private::{self as cachemacro_, Kind as _, Shape as _};
//!         let shape_ = (&&&cachemacro_::Probe::<Result<User, Error>>::NEW).shape();
//!         let outcome_ = shape_.kind();
//!         cachemacro_::Writes::<Result<User, Error>, _>::new(outcome_)
//!             .at(cachemacro_::site!("rename"))
//!             .put(held(outcome_, user_entry(&id)), NoRules, true, false)
//!             .evict(None, When { before: false, on_err: false })
//!             .evict_tags(["users"])
//!     };
//!     let body_ = ::core::pin::pin!(async move { body });
//!     writes_.run(body_, |_, writes_| writes_).await
//! }
//! ```
//!
//! What mentions `result` goes into the last closure, or into a put's rules, with clones of the arguments that it
//! mentions.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};

use super::{Expander, condition_named, place_of_site, template_chain};
use crate::check::value_span;
use crate::check::write::{is_late, is_late_entry, is_late_put, is_late_tag};
use crate::item::{Item, pointing_at};
use crate::mentions::mentions;
use crate::model::{EntryParts, Key, Put, PutTarget, Tag, Value, Write, WriteAttr, Writing};
use crate::template::{Hole, Part};
use crate::values::{self, Place, reference};

/// The function.
pub(crate) fn writing(model: &Writing, item: &Item) -> TokenStream {
    let writer = Writer {
        expander: Expander::new(item, &model.facade),
        item,
        before: TokenStream::new(),
        calls: TokenStream::new(),
        after: Late::default(),
        groups: 0,
        made_up: 0,
    };
    writer.write(model)
}

struct Writer<'a> {
    expander: Expander<'a>,
    item: &'a Item,
    /// Statements before `writes`.
    before: TokenStream,
    /// Calls on `writes` before the body.
    calls: TokenStream,
    /// What is done when the result is there.
    after: Late,
    /// Groups of evicts so far.
    groups: usize,
    /// Names made up so far.
    made_up: usize,
}

/// Code that runs when the arguments are gone.
#[derive(Default)]
struct Late {
    /// Statements that keep what is needed of them.
    captures: TokenStream,
    /// Arguments that are mentioned, and cloned.
    mentioned: Vec<Ident>,
    /// Statements, each making a new `writes`.
    statements: TokenStream,
}

impl Writer<'_> {
    fn write(mut self, model: &Writing) -> TokenStream {
        let mixed = Span::mixed_site();
        for attribute in &model.attributes {
            self.attribute(attribute);
        }
        let private = &self.expander.private;
        let ret = &self.item.ret;
        let outcome = if model.puts {
            let span = value_span(self.item);
            quote_spanned!(span=> shape_.kind())
        } else {
            quote_spanned!(mixed=> shape_.look())
        };
        let imports = self.expander.imports(if model.puts { &["Kind", "Shape"] } else { &["Shape"] });
        let shape = self.expander.shape();
        let returns = model.return_errors.map(|at| {
            let span = at.resolved_at(mixed);
            quote_spanned!(span=> .return_errors(#private::carry::<#ret>))
        });
        let Writer { before, calls, after, groups, .. } = &self;
        let name = self.item.name();
        let site = (*groups > 0).then(|| quote_spanned!(mixed=> .at(#private::site!(#name))));
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
        if after.statements.is_empty() {
            let call = quote_spanned!(mixed=> writes_.run(body_, |_, writes_| writes_).await);
            return self.expander.function(&begin, &call);
        }
        let Late { captures, mentioned, statements } = after;
        let clones = values::clones(mentioned);
        let result = result();
        let late_imports = self.expander.imports(&[]);
        let end = quote_spanned! {mixed=>
            let after_ = writes_.after({
                #late_imports
                #captures
                #clones
                move |#result, writes_| {
                    #statements
                    writes_
                }
            });
        };
        let call = quote_spanned!(mixed=> writes_.run(body_, after_).await);
        self.expander.function(&quote!(#begin #end), &call)
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

    /// What follows evicts as one attribute. Gives the number by which to go on with it later.
    fn begin_evicts(&mut self, cache: Option<&syn::Expr>, attribute: &WriteAttr) -> usize {
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
        self.groups - 1
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
                let all = values::value(entries, self.item, Place::Function, None);
                self.early_or_late(entries, quote_spanned!(mixed=> .evict_entries(#all)));
            }
            Write::EvictKey(parts) if is_late_entry(parts) => {
                let mut after = std::mem::take(&mut self.after);
                let key = self.late_key(parts, &mut after);
                self.after = after;
                self.late(&quote_spanned!(mixed=> .evict_key(#key)));
            }
            Write::EvictKey(parts) => {
                let name = self.name("key");
                let key = self.expander.key(parts, Place::Function);
                self.before.extend(quote_spanned!(mixed=> let #name = { #key key_ };));
                self.calls.extend(quote_spanned!(mixed=> .evict_key(#name)));
            }
            Write::EvictTags(tags) => {
                let (late, early): (Vec<Tag>, Vec<Tag>) = tags.iter().cloned().partition(is_late_tag);
                if let Some(tags) = self.expander.tags(&early, Place::Function) {
                    self.calls.extend(quote_spanned!(mixed=> .evict_tags(#tags)));
                }
                let mut after = std::mem::take(&mut self.after);
                let tags = self.late_tags(&late, &mut after);
                self.after = after;
                if let Some(tags) = tags {
                    self.late(&quote_spanned!(mixed=> .evict_tags(#tags)));
                }
            }
            Write::EvictPrefix(prefix) => self.calls.extend(quote_spanned!(mixed=> .evict_prefix(#prefix))),
        }
    }

    fn early_or_late(&mut self, value: &Value, call: TokenStream) {
        if is_late(value) {
            self.after.mentioned.extend(values::arguments_in(value, self.item));
            self.late(&call);
        } else {
            self.calls.extend(call);
        }
    }

    /// A call on `writes` when the result is there, for the current group.
    fn late(&mut self, call: &TokenStream) {
        let mixed = Span::mixed_site();
        let group = self.groups - 1;
        self.after.statements.extend(quote_spanned!(mixed=> let writes_ = writes_.select(#group)#call;));
    }

    fn put(&mut self, put: &Put, attribute: &WriteAttr) {
        let mixed = Span::mixed_site();
        let private = self.expander.private.clone();
        let on_err = attribute.on_err;
        let when = if let Some(condition) = &put.condition {
            let name = self.name("when");
            let statements = if is_late_put(put) { &mut self.after.captures } else { &mut self.before };
            statements.extend(condition_named(&name, condition));
            name.to_token_stream()
        } else {
            quote!(true)
        };
        let entry = match &put.target {
            PutTarget::Entry(entry) => {
                let span = pointing_at(&entry.expr);
                let ret = &self.item.ret;
                let call = values::borrow_in_call(&entry.expr, self.item);
                let held = quote_spanned!(span=> #private::held::<#ret, _>(outcome_, #call));
                if is_late(entry) {
                    self.after.statements.extend(quote_spanned!(mixed=> let outcome_ = writes_.outcome();));
                    self.after.mentioned.extend(values::arguments_in(entry, self.item));
                    return self.late_put(
                        None,
                        &quote_spanned!(mixed=> .evict_entry(&#held)),
                        &when,
                        attribute,
                    );
                }
                held
            }
            PutTarget::Parts(parts) if is_late_entry(parts) => {
                let mut after = std::mem::take(&mut self.after);
                let key = self.late_key(parts, &mut after);
                self.after = after;
                let call = quote_spanned!(mixed=> .evict_key(#key));
                return self.late_put(parts.cache.as_ref(), &call, &when, attribute);
            }
            PutTarget::Parts(parts) => return self.put_parts(parts, put, &when, attribute),
        };
        let rules = self.rules(put);
        self.calls.extend(quote_spanned!(mixed=> .put(#entry, #rules, #when, #on_err)));
    }

    /// A put by prefix and key, which also evicts what a site elsewhere is called by them.
    fn put_parts(&mut self, parts: &EntryParts, put: &Put, when: &TokenStream, attribute: &WriteAttr) {
        let mixed = Span::mixed_site();
        let on_err = attribute.on_err;
        let (name, plain) = (self.name("entry"), self.name("plain"));
        let key = self.expander.key(parts, Place::Function);
        let entry = self.expander.entry_of_key(parts, None, Place::Function, None);
        self.before.extend(quote_spanned! {mixed=>
            let (#name, #plain) = {
                #key
                let plain_ = key_.without_types();
                #entry
                (entry_, plain_)
            };
        });
        let rules = self.rules(put);
        self.calls.extend(quote_spanned!(mixed=> .put(#name, #rules, #when, #on_err)));
        self.begin_evicts(parts.cache.as_ref(), attribute);
        self.calls.extend(quote_spanned!(mixed=> .evict_namesake(#plain, #when)));
    }

    /// A put that does not know its key before the body evicts it after.
    fn late_put(
        &mut self,
        cache: Option<&syn::Expr>,
        call: &TokenStream,
        when: &TokenStream,
        attribute: &WriteAttr,
    ) {
        let mixed = Span::mixed_site();
        let group = self.begin_evicts(cache, attribute);
        self.after.statements.extend(quote_spanned! {mixed=>
            let writes_ = if #when { writes_.select(#group)#call } else { writes_ };
        });
    }

    /// What of a put depends on the result.
    fn rules(&mut self, put: &Put) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = self.expander.private.clone();
        let mut late = Late::default();
        let mut chain = TokenStream::new();
        for (method, rule) in [("unless", &put.unless), ("ttl", &put.ttl)] {
            if let Some(rule) = rule {
                let method = Ident::new(method, mixed);
                let rule = self.late_value(rule, &mut late);
                let result = parameter(&rule);
                chain.extend(quote_spanned!(mixed=> .#method(move |#result| #rule)));
            }
        }
        if let Some(tags) = self.late_tags(&put.tags, &mut late) {
            let result = parameter(&tags);
            chain.extend(quote_spanned!(mixed=> .tags(move |#result| #tags)));
        }
        if chain.is_empty() {
            return quote_spanned!(mixed=> #private::NoRules);
        }
        let name = self.name("rules");
        let ret = &self.item.ret;
        let clones = values::clones(&late.mentioned);
        let captures = late.captures;
        self.before.extend(quote_spanned! {mixed=>
            let #name = { #captures #clones #private::rules_for::<#ret, _>(outcome_)#chain };
        });
        name.to_token_stream()
    }

    fn late_key(&mut self, parts: &EntryParts, late: &mut Late) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = self.expander.private.clone();
        let chain = match &parts.key {
            Key::Template(template) => self.late_chain(template, late),
            Key::Value(value) => {
                late.mentioned.extend(values::arguments_in(value, self.item));
                let value = values::value_by_reference(value, self.item, Place::Function, Some(&result()));
                quote_spanned!(mixed=> .value(#value))
            }
            Key::Args(_) => TokenStream::new(),
        };
        let begin = self.expander.key_begin(parts);
        let site = parts.of_trait.is_some().then(|| {
            let (name, place) = (self.item.name(), place_of_site(parts));
            quote_spanned!(mixed=> let site_ = #private::site!(#name #place);)
        });
        quote_spanned!(mixed=> { #site #begin #chain })
    }

    fn late_value(&self, value: &Value, late: &mut Late) -> TokenStream {
        late.mentioned.extend(values::arguments_in(value, self.item));
        values::value(value, self.item, Place::Function, Some(&result()))
    }

    /// A template of which some placeholders mention `result`; the others are printed before the body.
    fn late_chain(&mut self, template: &[Part], late: &mut Late) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = self.expander.private.clone();
        let parts: Vec<Part> = template
            .iter()
            .map(|part| match part {
                Part::Hole(hole) if !mentions(hole.expr.clone(), "result") => {
                    let name = self.name("text");
                    let method = if hole.debug { "debug_text" } else { "display_text" };
                    let method = Ident::new(method, hole.span.resolved_at(mixed));
                    let value = reference(&hole.expr);
                    late.captures.extend(quote_spanned!(mixed=> let #name = #private::#method(#value);));
                    Part::Hole(Hole { expr: name.to_token_stream(), debug: false, ..hole.clone() })
                }
                other => {
                    if let Part::Hole(hole) = other {
                        late.mentioned.extend(values::arguments_said(&hole.expr, self.item));
                    }
                    other.clone()
                }
            })
            .collect();
        template_chain(&parts)
    }

    fn late_tags(&mut self, tags: &[Tag], late: &mut Late) -> Option<TokenStream> {
        let mixed = Span::mixed_site();
        let private = self.expander.private.clone();
        match tags {
            [] => None,
            [Tag::Many(value)] => Some(self.late_value(value, late)),
            tags => {
                let tags: Vec<TokenStream> = tags
                    .iter()
                    .map(|tag| match tag {
                        Tag::Template(parts) => {
                            let chain = self.late_chain(parts, late);
                            quote_spanned!(mixed=> #private::TagBuilder::new() #chain.finish())
                        }
                        Tag::One(value) | Tag::Many(value) => {
                            let value = self.late_value(value, late);
                            quote_spanned!(mixed=> #private::string(#value))
                        }
                    })
                    .collect();
                Some(quote_spanned!(mixed=> [#(#tags),*]))
            }
        }
    }

    fn name(&mut self, what: &str) -> Ident {
        self.made_up += 1;
        format_ident!("{what}_{}", self.made_up, span = Span::mixed_site())
    }
}

/// What closures over the value are given, under the name that options know it by.
fn result() -> Ident {
    Ident::new("result", Span::call_site())
}

/// `result`, or `_` where nothing mentions it.
fn parameter(body: &TokenStream) -> TokenStream {
    if mentions(body.clone(), "result") { result().to_token_stream() } else { quote!(_) }
}
