//! Model to tokens. Cannot fail.
//!
//! The shape of what comes out, for `#[cached] async fn user(id: u64) -> Result<User, Error> { body }`:
//!
//! ```text
//! async fn user(id: u64) -> Result<User, Error> {
//!     let call_ = {
//!         use ::cachemacro::__private::{self as cachemacro_, Kind as _, Shape as _};
//!         let shape_ = (&&&cachemacro_::Probe::<Result<User, Error>>::NEW).shape();
//!         let outcome_ = shape_.kind();
//!         let site_ = cachemacro_::site!("user"; cachemacro_::Says::new("Result<User, Error>").key("{id}"));
//!         let given_ = None;
//!         let arguments_ = match cachemacro_::hit(site_, given_, outcome_, &cachemacro_::parts!(site_, |to_| { to_.arg(&id); })) {
//!             Ok(hit_) => return hit_,
//!             Err(arguments_) => arguments_,
//!         };
//!         let key_ = cachemacro_::key(site_, &|| ()).arg(&id);
//!         let entry_ = cachemacro_::entry_at(given_, site_, key_).with_schema(shape_.schema());
//!         cachemacro_::call(outcome_, (entry_, arguments_))
//!     };
//!     let body_ = ::core::pin::pin!(async move {
//!         if let Some(returned_) = ::cachemacro::__private::hint::<Result<User, Error>>() { return returned_; }
//!         body
//!     });
//!     return call_.load(body_).await
//! }
//! ```
//!
//! Locals of the expansion resolve at the macro (`mixed_site`), so they never clash with the user's. Their names end in an
//! underscore, because a pattern `call` would match a constant `call` of the user's instead of binding a variable.

pub(crate) mod entry;
mod expander;
mod fast;
mod function;
mod key;
mod late;
mod policy;
pub(crate) mod queued;
mod says;
mod similar;
mod underscore;
pub(crate) mod write;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Expr, Type};

use self::expander::{Expander, condition_named, if_so, option, plain_tag, tags_method};
use self::function::Handed;
use self::key::template_chain;
use crate::model::{Behind, Cached, EntryParts, RulesModel, StoresErr, Tag, Value};
use crate::syntax::item::{Item, pointing_at};
use crate::values::{self, Place, placed};

/// The function, and the one that `entry` names.
pub(crate) fn cached(model: &Cached, item: &Item) -> TokenStream {
    let expander = Expander::new(item, &model.facade);
    let function = expander.cached(model);
    let entry = model.entry.of_trait.is_none().then(|| entry_function(model, item));
    let entry = entry.flatten();
    quote!(#function #entry)
}

impl Expander<'_> {
    fn cached(&self, model: &Cached) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let (kind, storing, default) = self.kinds();
        let imports = match &model.stores_err {
            Some(StoresErr { inherited: true, .. }) => self.imports(&[kind, "Shape", default]),
            Some(_) => self.imports(&[kind, "Shape", storing]),
            None => self.imports(&[kind, "Shape"]),
        };
        let local = if self.item.is_sync() { "local_" } else { "" };
        let [call, call_when] =
            ["call", "call_when"].map(|name| format_ident!("{local}{name}", span = mixed));
        let shape = self.shape();
        let named = self.outcome(model);
        let entry = self.known_entry(&model.entry);
        let when = model.condition.is_some().then(|| format_ident!("when_", span = mixed));
        let (entry, call) = match (&when, &model.condition) {
            (Some(when), Some(condition)) => {
                let condition = condition_named(when, condition, self.item);
                let entry = if_so(when, &entry, &quote_spanned!(mixed=> (entry_, arguments_)));
                let entry = quote_spanned!(mixed=> #condition let known_ = #entry;);
                (entry, quote_spanned!(mixed=> #call_when(outcome_, known_)))
            }
            _ => (entry, quote_spanned!(mixed=> #call(outcome_, (entry_, arguments_)))),
        };
        let rules = (!model.rules.is_empty()).then(|| {
            let rules = self.call_rules(&model.rules, when.as_ref());
            quote_spanned!(mixed=> .rules(#rules))
        });
        let (queue, pending) = model.write_behind.as_ref().map(|queue| self.queue_looked_into(queue)).unzip();
        let before = quote_spanned! {mixed=>
            let call_ = {
                #imports
                #shape
                #named
                #entry
                #queue
                #private::#call #rules #pending
            };
        };
        let verified = model.entry.policy.verify.as_ref().is_some_and(|verify| verify.behind);
        match &model.behind {
            None if verified => {
                self.function(&before, &quote_spanned!(mixed=> call_.load_verified(body_)), Handed::Owned)
            }
            None => self.function(&before, &quote_spanned!(mixed=> call_.load(body_)), Handed::Pinned),
            Some(behind) => self.function(&before, &self.behind(behind), Handed::Owned),
        }
    }

    /// `call_.load_behind(…)`
    fn behind(&self, behind: &Behind) -> TokenStream {
        let mixed = Span::mixed_site();
        let facade = &self.facade;
        let background = behind.background.then(|| quote_spanned!(mixed=> .background(true)));
        let soft = behind.soft.as_ref().map(policy::duration);
        let soft = soft.map(|time| quote_spanned!(mixed=> .soft(#time)));
        let timeout = behind.timeout.as_ref().map(policy::duration);
        let timeout = timeout.map(|time| quote_spanned!(mixed=> .timeout(#time)));
        let late = option(behind.late.as_ref());
        quote_spanned! {mixed=>
            call_.load_behind(body_, #facade::__private::Behind::new() #background #soft #timeout, || #late)
        }
    }

    /// `let outcome_ = …;`: the `Outcome` of the return type, checked.
    fn outcome(&self, model: &Cached) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let ret = &self.item.ret;
        let span = self.item.value_span();
        let kind = if let Some(stores) = &model.stores_err {
            let span = stores.span.resolved_at(mixed);
            let kind =
                Ident::new(if self.item.is_sync() { "local_storing_kind" } else { "storing_kind" }, span);
            quote_spanned!(span=> shape_.#kind())
        } else {
            let kind = Ident::new(if self.item.is_sync() { "local_kind" } else { "kind" }, span);
            quote_spanned!(span=> shape_.#kind())
        };
        let none = model.stores_none.map(|at| {
            let span = at.resolved_at(mixed);
            quote_spanned!(span=> #private::stores_none(outcome_);)
        });
        let proof = model.function.as_ref().map(|function| {
            let guess = &function.value;
            quote_spanned!(span=> #private::same::<#guess, #ret, _>(outcome_);)
        });
        quote_spanned!(mixed=> let outcome_ = #kind; #none #proof)
    }

    /// `let site_ = …; let key_ = …; let entry_ = …;`
    pub(super) fn entry(
        &self,
        parts: &EntryParts,
        rules: Option<&RulesModel>,
        place: Place,
        stored: Option<&Type>,
    ) -> TokenStream {
        let key = self.key(parts, place);
        let entry = self.entry_of_key(parts, rules, place, stored);
        quote!(#key #entry)
    }

    /// `let entry_ = …;`, after `site_` and `key_`.
    pub(super) fn entry_of_key(
        &self,
        parts: &EntryParts,
        rules: Option<&RulesModel>,
        place: Place,
        stored: Option<&Type>,
    ) -> TokenStream {
        let (cache, named) = self.cache_of(parts, place);
        let entry = self.entry_in(named.as_ref(), parts, rules, place, stored);
        quote_spanned!(Span::mixed_site()=> #cache #entry)
    }

    /// `let site_ = …;`, the function's return where there is a hit, and `let arguments_ = …; let key_ = …; let entry_ = …;`.
    fn known_entry(&self, parts: &EntryParts) -> TokenStream {
        let mixed = Span::mixed_site();
        let (cache, named) = self.cache_of(parts, Place::Function);
        let site = self.site(parts);
        let key = self.key_of_site(parts, Place::Function);
        let Some(fast) = self.fast(parts) else {
            let entry = self.entry_in(named.as_ref(), parts, None, Place::Function, None);
            let private = &self.private;
            let none = if self.item.is_sync() {
                quote_spanned!(mixed=> #private::NO_ARGUMENTS)
            } else {
                option(None::<&Ident>)
            };
            return quote_spanned! {mixed=>
                #site #key #cache #entry
                let arguments_ = #none;
            };
        };
        if self.item.is_sync() {
            let entry = self.entry_in(None, parts, None, Place::Function, None);
            return quote_spanned!(mixed=> #site #fast #key #entry);
        }
        // Nothing that the user wrote for the key is run, so nobody sees that the cache comes before it.
        let private = &self.private;
        let given = named
            .map_or_else(|| option(None::<&Ident>), |name| quote_spanned!(mixed=> #private::cache(#name)));
        let opened = quote_spanned!(mixed=> #private::entry_at(given_, site_, key_));
        let entry = self.entry_with(&opened, parts, None, Place::Function);
        quote_spanned!(mixed=> #site #cache let given_ = #given; #fast #key #entry)
    }

    /// `let cache_ = …;` and that name, at its place, where the attribute names a cache. A statement of its own, so that a mistake
    /// in the type is reported at the expression.
    fn cache_of(&self, parts: &EntryParts, place: Place) -> (Option<TokenStream>, Option<Ident>) {
        let bound = parts.cache.as_ref().map(|cache| {
            let name = Ident::new("cache_", pointing_at(cache));
            (self.cache(&name, cache, place), name)
        });
        bound.unzip()
    }

    /// `let entry_ = …;`, after `site_`, `key_` and the cache that is called `cache`.
    fn entry_in(
        &self,
        cache: Option<&Ident>,
        parts: &EntryParts,
        rules: Option<&RulesModel>,
        place: Place,
        stored: Option<&Type>,
    ) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let turbofish = stored.map(|stored| quote_spanned!(mixed=> ::<#stored>));
        let open = Ident::new(if self.item.is_sync() { "local_entry" } else { "entry" }, mixed);
        let opened = cache.map_or_else(
            || quote_spanned!(mixed=> #private::#open #turbofish (site_, key_)),
            |cache| quote_spanned!(mixed=> #private::entry_in #turbofish (#cache, site_, key_)),
        );
        let rules = rules.filter(|rules| !rules.is_empty()).map(|rules| self.entry_rules(rules, stored));
        self.entry_with(&opened, parts, rules.as_ref(), place)
    }

    /// `let entry_ = …;`: the entry that `opened` gives, with what its parts say.
    fn entry_with(
        &self,
        opened: &TokenStream,
        parts: &EntryParts,
        rules: Option<&TokenStream>,
        place: Place,
    ) -> TokenStream {
        let mixed = Span::mixed_site();
        let with_tags = |tags: &[Tag]| {
            self.tags(tags, place).map(|given| {
                let method = tags_method("with", tags);
                quote_spanned!(mixed=> .#method(#given))
            })
        };
        let (tags, own_tags) = similar::apart(parts, self.item);
        let (tags, similar, own_tags) = (with_tags(&tags), self.similar(parts, place), with_tags(&own_tags));
        let ttl = parts.ttl.as_ref().map(|ttl| {
            let ttl = self.given("ttl", ttl, place);
            quote_spanned!(mixed=> .with_ttl(#ttl))
        });
        let codec = parts.codec.as_ref().map(|codec| quote_spanned!(mixed=> .with_codec::<#codec>()));
        let rules = rules.map(|rules| quote_spanned!(mixed=> .with_rules(#rules)));
        let schema = (!self.item.is_sync()).then(|| quote_spanned!(mixed=> .with_schema(shape_.schema())));
        quote_spanned! {mixed=>
            let entry_ = #opened #schema #tags #similar #own_tags #ttl #codec #rules;
        }
    }

    /// `let cache_ = …;`, or another `name`: a reference to what the expression gives.
    pub(super) fn cache(&self, name: &Ident, cache: &Expr, place: Place) -> TokenStream {
        let mixed = Span::mixed_site();
        let cache = self.reference_to(cache, place);
        quote_spanned!(mixed=> let #name = #cache;)
    }

    /// The tags: an array, or the user's expression.
    pub(super) fn tags(&self, tags: &[Tag], place: Place) -> Option<TokenStream> {
        let mixed = Span::mixed_site();
        match tags {
            [] => None,
            [Tag::Many(tags)] => {
                let tags = values::given_away(tags, self.item, place, true);
                Some(self.given("early tags", &tags, place))
            }
            tags => {
                let plain = tags.iter().all(|tag| plain_tag(tag).is_some());
                let tags = tags.iter().map(|tag| self.tag(tag, place, plain));
                Some(quote_spanned!(mixed=> [#(#tags),*]))
            }
        }
    }

    /// A value that is taken as a whole.
    fn taken(&self, value: &Value, place: Place) -> TokenStream {
        placed(&values::given_away(value, self.item, place, true), self.item, place)
    }

    fn tag(&self, tag: &Tag, place: Place, plain: bool) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = &self.private;
        if let Some(text) = plain_tag(tag) {
            return if plain {
                text.to_token_stream()
            } else {
                quote_spanned!(mixed=> #private::string(#text))
            };
        }
        match tag {
            Tag::Template(parts) => {
                let chain = template_chain(&values::template(parts, self.item, place));
                quote_spanned!(mixed=> #private::TagBuilder::new() #chain.finish())
            }
            Tag::One(tag) | Tag::Many(tag) => {
                let tag = self.taken(tag, place);
                quote_spanned!(mixed=> #private::string(#tag))
            }
        }
    }

    /// The rules that an entry carries, as function pointers: they capture nothing.
    fn entry_rules(&self, rules: &RulesModel, stored: Option<&Type>) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let stored = stored.map(|stored| quote_spanned!(mixed=> ::<#stored>));
        let chain = self.rules(rules, None);
        quote_spanned!(mixed=> #private::EntryRules #stored::none() #chain)
    }

    /// The value of an option, converted to the type that the runtime takes. If it has another type, the user's expression is
    /// underlined.
    fn given(&self, option: &str, rule: &Value, place: Place) -> TokenStream {
        let function = match option {
            "ttl" => "ttl",
            "tags" => "strings",
            "early tags" => "tags_of",
            _ => return placed(rule, self.item, place),
        };
        let span = pointing_at(&rule.expr);
        let function = Ident::new(function, span);
        let private = Ident::new(&self.private.to_string(), span);
        if rule.lets.is_empty() || rule.ty.is_some() || rule.returns {
            let given = placed(rule, self.item, place);
            return quote_spanned!(span=> #private::#function(#given));
        }
        let given = values::fitted_value(rule, self.item, place);
        let expr = Expr::Verbatim(quote_spanned!(span=> #private::#function(#given)));
        placed(&Value { expr, borrows: false, ..rule.clone() }, self.item, place)
    }

    /// The rules of one call, which may capture arguments, under the condition `when`.
    fn call_rules(&self, rules: &RulesModel, when: Option<&Ident>) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let ret = &self.item.ret;
        let chain = self.rules(rules, when);
        quote_spanned!(mixed=> #private::rules_for::<#ret, _>(outcome_)#chain)
    }
}

/// The function that `entry` names.
pub(crate) fn entry_function(model: &Cached, item: &Item) -> Option<TokenStream> {
    let function = model.function.as_ref()?;
    Some(entry::function(model, function, item, false))
}

/// The entry function with its signature only, emitted when an option is wrong, so that its callers cause no further errors.
pub(crate) fn entry_signature(model: &Cached, item: &Item) -> Option<TokenStream> {
    let function = model.function.as_ref().filter(|_| model.entry.of_trait.is_none())?;
    Some(entry::function(model, function, item, true))
}
