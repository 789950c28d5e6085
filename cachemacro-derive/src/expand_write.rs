//! `#[cache_put]` and `#[cache_evict]` to tokens.
//!
//! ```text
//! async fn rename(id: u64, name: String) -> Result<User, Error> {
//!     let outcome = …;
//!     let writes = ::cachemacro::__private::Writes::<Result<User, Error>, _>::new(site!("rename"), outcome)
//!         .attribute(false, false)
//!         .put(held(outcome, user_entry(&id)), true, false)
//!         .attribute(false, false)
//!         .evict_tags(None, ["users"]);
//!     let body = ::core::pin::pin!(async move { body });
//!     ::cachemacro::__private::write(writes, body, |_, writes| writes).await
//! }
//! ```
//!
//! What mentions `result` goes into the last closure, with clones of the arguments that it mentions.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Path;

use crate::check_write::{is_late, is_late_entry, is_late_tag};
use crate::expand::Expander;
use crate::item::{Item, pointing_at};
use crate::mentions::mentions;
use crate::model::{EntryParts, Key, Put, PutTarget, Tag, Value, Write, WriteAttr, Writing};
use crate::template::{Hole, Part};
use crate::values::{self, Place, reference};

/// The function.
pub(crate) fn writing(model: &Writing, item: &Item) -> TokenStream {
    let facade: &Path = &model.facade;
    Writer {
        expander: Expander::new(item, facade),
        item,
        before: TokenStream::new(),
        early: TokenStream::new(),
        captures: TokenStream::new(),
        late: TokenStream::new(),
        mentioned: Vec::new(),
        puts: 0,
        count: 0,
    }
    .write(model)
}

struct Writer<'a> {
    expander: Expander<'a>,
    item: &'a Item,
    /// Statements before `writes`.
    before: TokenStream,
    /// Calls on `writes` before the body.
    early: TokenStream,
    /// Statements that keep for `after` what the body moves.
    captures: TokenStream,
    /// Calls on `writes` in `after`.
    late: TokenStream,
    /// What `after` mentions.
    mentioned: Vec<TokenStream>,
    /// Puts so far.
    puts: usize,
    /// Names made up so far.
    count: usize,
}

impl Writer<'_> {
    fn write(mut self, model: &Writing) -> TokenStream {
        let mixed = Span::mixed_site();
        for attribute in &model.attributes {
            self.attribute(attribute);
        }
        let private = &self.expander.private;
        let ret = &self.item.ret;
        let method = if model.puts {
            format_ident!("kind", span = crate::check::value_span(self.item))
        } else {
            format_ident!("look", span = mixed)
        };
        let outcome = self.expander.kind(&method);
        let returns = model.return_errors.map(|at| {
            let span = at.resolved_at(mixed);
            quote_spanned!(span=> .return_errors(#private::carry::<#ret>))
        });
        let Writer { before, early, late, captures, .. } = &self;
        let name = self.item.name();
        let clones = values::clones(&self.mentioned, self.item.names());
        let before = quote_spanned! {mixed=>
            #outcome
            #before
            let writes = #private::Writes::<#ret, _>::new(#private::site!(#name), outcome) #returns #early;
        };
        if late.is_empty() {
            let call = quote_spanned!(mixed=> #private::write(writes, body, |_, writes| writes).await);
            return self.expander.function(&before, &call);
        }
        let result = Ident::new("result", Span::call_site());
        let result = if self.mentioned.is_empty() { quote!(_) } else { result.to_token_stream() };
        let after = quote_spanned! {mixed=>
            let after = #private::after::<#ret, _, _>(outcome, {
                #captures
                #clones
                move |#result, writes| writes #late
            });
        };
        let call = quote_spanned!(mixed=> #private::write(writes, body, after).await);
        self.expander.function(&quote!(#before #after), &call)
    }

    fn attribute(&mut self, attribute: &WriteAttr) {
        let mixed = Span::mixed_site();
        let WriteAttr { before, on_err, .. } = attribute;
        let flags = quote_spanned!(mixed=> .attribute(#before, #on_err));
        let (early, late) = (std::mem::take(&mut self.early), std::mem::take(&mut self.late));
        for write in &attribute.writes {
            self.one(write, attribute);
        }
        for (so_far, added) in [(early, &mut self.early), (late, &mut self.late)] {
            let new = std::mem::take(added);
            *added = if new.is_empty() { so_far } else { quote!(#so_far #flags #new) };
        }
    }

    fn one(&mut self, write: &Write, attribute: &WriteAttr) {
        let mixed = Span::mixed_site();
        match write {
            Write::Put(put) => self.put(put),
            Write::Evict(entry) => {
                let call = |expr: TokenStream| {
                    let entry = reference(&expr);
                    quote_spanned!(mixed=> .evict(#entry))
                };
                self.either(is_late(entry), call(self.entry_call(entry)), &[entry]);
            }
            Write::EvictAll(entries) => {
                let call = values::value(entries, self.item, Place::Function, None);
                self.either(is_late(entries), quote_spanned!(mixed=> .evict_all(#call)), &[entries]);
            }
            Write::EvictKey(parts) => self.evict_key(parts),
            Write::EvictTags(tags) => {
                let (late, early): (Vec<Tag>, Vec<Tag>) = tags.iter().cloned().partition(is_late_tag);
                if let Some(tags) = self.expander.tags(&early, Place::Function) {
                    let cache = self.expander.cache(attribute.cache.as_ref(), Place::Function);
                    self.early.extend(quote_spanned!(mixed=> .evict_tags(#cache, #tags)));
                }
                if let Some(tags) = self.late_tags(&late) {
                    let cache = self.late_cache(attribute.cache.as_ref());
                    self.late.extend(quote_spanned!(mixed=> .evict_tags(#cache, #tags)));
                }
            }
            Write::EvictPrefix(prefix) => {
                let cache = self.expander.cache(attribute.cache.as_ref(), Place::Function);
                self.early.extend(quote_spanned!(mixed=> .evict_prefix(#cache, #prefix)));
            }
        }
    }

    /// A call before the body or after it.
    fn either(&mut self, late: bool, call: TokenStream, mentions: &[&Value]) {
        if late {
            self.mentioned.extend(mentions.iter().map(|value| value.expr.to_token_stream()));
            self.late.extend(call);
        } else {
            self.early.extend(call);
        }
    }

    /// The call of an `entry` function, with bare arguments borrowed.
    fn entry_call(&self, entry: &Value) -> TokenStream {
        values::borrow_in_call(&entry.expr, self.item).to_token_stream()
    }

    fn put(&mut self, put: &Put) {
        let mixed = Span::mixed_site();
        let private = self.expander.private.clone();
        let when = match &put.condition {
            Some(condition) => {
                let name = self.name("when");
                self.before.extend(quote_spanned!(mixed=> let #name = #condition;));
                name.to_token_stream()
            }
            None => quote!(true),
        };
        let entry = match &put.target {
            PutTarget::Entry(entry) => {
                let span = pointing_at(&entry.expr);
                let ret = &self.item.ret;
                let call = self.entry_call(entry);
                let held = quote_spanned!(span=> #private::held::<_, #ret, _>(outcome, #call));
                if is_late(entry) {
                    self.mentioned.push(entry.expr.to_token_stream());
                    self.late.extend(quote_spanned!(mixed=> .put_result(#held, #when)));
                    return;
                }
                held
            }
            PutTarget::Parts(parts) if is_late_entry(parts) => {
                let entry = self.late_entry(parts);
                self.late.extend(quote_spanned!(mixed=> .put_result(#entry, #when)));
                return;
            }
            PutTarget::Parts(parts) => {
                let name = self.name("entry");
                let entry = self.expander.entry(parts, None, Place::Function, None);
                self.before.extend(quote_spanned!(mixed=> let #name = { #entry entry };));
                name.to_token_stream()
            }
        };
        let late_tags = !put.tags.is_empty();
        let at = self.puts;
        self.puts += 1;
        self.early.extend(quote_spanned!(mixed=> .put(#entry, #when, #late_tags)));
        let result = Ident::new("result", Span::call_site());
        let mut rules = TokenStream::new();
        for (method, rule) in [("ttl", &put.ttl), ("unless", &put.unless)] {
            if let Some(rule) = rule {
                let method = Ident::new(method, mixed);
                let rule = self.late_value(rule, &result);
                rules.extend(quote_spanned!(mixed=> .#method(#rule)));
            }
        }
        if let Some(tags) = self.late_tags(&put.tags) {
            rules.extend(quote_spanned!(mixed=> .tags(#tags)));
        }
        if !rules.is_empty() {
            self.late.extend(quote_spanned!(mixed=> .put_rules(#at, #private::Late::new() #rules)));
        }
    }

    fn evict_key(&mut self, parts: &EntryParts) {
        let mixed = Span::mixed_site();
        if is_late_entry(parts) {
            let cache = self.late_cache(parts.cache.as_ref());
            let key = self.late_key(parts);
            self.late.extend(quote_spanned!(mixed=> .evict_key(#cache, #key)));
        } else {
            let name = self.name("key");
            let key = self.expander.key(parts, Place::Function);
            self.before.extend(quote_spanned!(mixed=> let #name = { #key key };));
            let cache = self.expander.cache(parts.cache.as_ref(), Place::Function);
            self.early.extend(quote_spanned!(mixed=> .evict_key(#cache, #name)));
        }
    }

    /// The cache, kept for `after`.
    fn late_cache(&mut self, cache: Option<&syn::Expr>) -> TokenStream {
        let mixed = Span::mixed_site();
        if cache.is_none() {
            return quote_spanned!(mixed=> ::core::option::Option::None);
        }
        let name = self.name("cache");
        let cache = self.expander.cache(cache, Place::Function);
        self.captures.extend(quote_spanned!(mixed=> let #name = ::core::option::Option::cloned(#cache);));
        quote_spanned!(mixed=> ::core::option::Option::as_ref(&#name))
    }

    fn late_entry(&mut self, parts: &EntryParts) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = self.expander.private.clone();
        let cache = self.late_cache(parts.cache.as_ref());
        let key = self.late_key(parts);
        let name = self.item.name();
        quote_spanned!(mixed=> #private::entry(#private::site!(#name), #cache, #key))
    }

    fn late_key(&mut self, parts: &EntryParts) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = self.expander.private.clone();
        let name = self.item.name();
        let prefix = &parts.prefix;
        let chain = match &parts.key {
            Key::Template(template) => self.late_chain(template),
            Key::Value(value) => {
                let result = Ident::new("result", Span::call_site());
                let value = self.late_value(value, &result);
                let value = reference(&value);
                quote_spanned!(mixed=> .value(#value))
            }
            Key::Args(_) => TokenStream::new(),
        };
        quote_spanned!(mixed=>
            #private::key(#private::site!(#name), ::core::option::Option::Some(#prefix), &|| ()) #chain
        )
    }

    fn late_value(&mut self, value: &Value, result: &Ident) -> TokenStream {
        self.mentioned.push(value.expr.to_token_stream());
        values::value(value, self.item, Place::Function, Some(result))
    }

    /// A template of which some placeholders mention `result`; the others are printed before the body.
    fn late_chain(&mut self, template: &[Part]) -> TokenStream {
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
                    self.captures.extend(quote_spanned!(mixed=> let #name = #private::#method(#value);));
                    Part::Hole(Hole { expr: name.to_token_stream(), debug: false, ..hole.clone() })
                }
                other => {
                    if let Part::Hole(hole) = other {
                        self.mentioned.push(hole.expr.clone());
                    }
                    other.clone()
                }
            })
            .collect();
        crate::expand::template_chain(&parts)
    }

    fn late_tags(&mut self, tags: &[Tag]) -> Option<TokenStream> {
        let mixed = Span::mixed_site();
        let private = self.expander.private.clone();
        let result = Ident::new("result", Span::call_site());
        match tags {
            [] => None,
            [Tag::Many(value)] => Some(self.late_value(value, &result)),
            tags => {
                let tags: Vec<TokenStream> = tags
                    .iter()
                    .map(|tag| match tag {
                        Tag::Template(parts) => {
                            let chain = self.late_chain(parts);
                            quote_spanned!(mixed=> #private::TagBuilder::new() #chain.finish())
                        }
                        Tag::One(value) | Tag::Many(value) => {
                            let value = self.late_value(value, &result);
                            quote_spanned!(mixed=> ::std::string::String::from(#value))
                        }
                    })
                    .collect();
                Some(quote_spanned!(mixed=> [#(#tags),*]))
            }
        }
    }

    fn name(&mut self, what: &str) -> Ident {
        self.count += 1;
        format_ident!("{what}{}", self.count, span = Span::mixed_site())
    }
}
