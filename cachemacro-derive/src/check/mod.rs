//! Options and item to model: each rule a function, each mistake reported where it is.
//!
//! The result is a model in any case. Options with mistakes are left out of it, so that the signature of the function that
//! `entry` names can be generated although another option is wrong.

mod behind;
mod entry;
mod keys;
mod late;
pub(crate) mod overlap;
mod own;
mod owned;
mod policy;
pub(crate) mod queued;
mod search;
mod similar;
mod skipped;
mod sync;
mod tags;
mod types;
mod values;
mod verify;
pub(crate) mod write;

use proc_macro2::{Ident, Span};
use syn::punctuated::Punctuated;
use syn::{Path, Token};

use crate::model::{Cached, EntryParts, Shown, StoresErr};
use crate::syntax::item::Item;
use crate::syntax::options::{self, Macro, Options};
use crate::tokens::errors::Errors;

/// The input of all checks of one attribute.
pub(crate) struct Checker<'a> {
    pub(crate) this: Macro,
    pub(crate) options: &'a Options,
    pub(crate) item: &'a Item,
    pub(crate) errors: &'a Errors,
}

/// The model of a `#[cached]` function.
pub(crate) fn cached(options: &Options, item: &Item, errors: &Errors) -> Cached {
    let check = Checker { this: Macro::Cached, options, item, errors };
    check.form_is_known();
    check.sync_options();
    check.returns();
    check.return_type();
    check.owned_value();
    check.no_other_attribute();
    check.defaults_have_self();
    check.result_is_no_argument();
    let (policy, cache, prefix) = (check.policy(), check.cache(), check.prefix());
    let key = check.key().unwrap_or_else(|| check.default_key());
    let (rules, ttl, tags) = check.rules();
    let types = check.types();
    let similar = check.similar(&key, &types);
    let form = prefix.as_ref().and_then(|_| overlap::form(options, item));
    let mut entry = EntryParts {
        policy,
        cache,
        of_trait: options.of_trait().cloned(),
        prefix,
        form,
        types,
        key,
        tags,
        ttl,
        // A default is for the functions that have bytes.
        codec: options.ty("codec").filter(|_| !item.is_sync()).cloned(),
        similar,
        shown: Shown::default(),
    };
    let function = check.entry_function(&entry, &rules);
    let write_behind = check.write_behind();
    entry.shown = Shown {
        queue: write_behind.clone(),
        entry: function.as_ref().map(|function| function.name.clone()),
        late_tags: rules.tags.clone(),
    };
    if function.is_none() {
        check.rules_can_have_self(&rules);
    }
    check.value_has_entry();
    Cached {
        facade: facade(options),
        condition: check.condition(),
        // A default of `#[cache_config]` applies only to the functions that can return `None`, so it needs no proof.
        stores_none: ["none_ttl", "cache_none"]
            .iter()
            .filter_map(|name| options.get(name))
            .find(|opt| entry.policy.cache_none && !opt.inherited)
            .map(options::Opt::span),
        stores_err: ["err_ttl", "cache_err"]
            .iter()
            .filter_map(|name| options.get(name))
            .find(|_| entry.policy.cache_err)
            .map(|opt| StoresErr { span: opt.span(), inherited: opt.inherited }),
        behind: check.behind(),
        write_behind,
        entry,
        rules,
        function,
    }
}

/// The path to the facade: the option `crate`, else `::cachemacro`.
pub(crate) fn facade(options: &Options) -> Path {
    options.path("crate").cloned().unwrap_or_else(|| {
        let name = Ident::new("cachemacro", Span::mixed_site());
        Path {
            leading_colon: Some(<Token![::]>::default()),
            segments: Punctuated::from_iter([syn::PathSegment::from(name)]),
        }
    })
}

impl Checker<'_> {
    fn attribute(&self) -> String {
        format!("#[{}]", self.this.name())
    }

    fn no_other_attribute(&self) {
        for attr in &self.item.attrs {
            if let Some(other) = Macro::of(attr.path()) {
                let message = match other {
                    Macro::Cached => "one function has one `#[cached]`: put all options into it".to_owned(),
                    _ => format!(
                        "`#[{}]` beside `#[cached]` would act on a miss only, because a hit does not run the function: \
                         split it in two",
                        other.name()
                    ),
                };
                self.errors.at(attr.path(), message);
            }
        }
    }

    fn value_has_entry(&self) {
        if let Some(value) = self.options.get("value").filter(|_| !self.options.has("entry")) {
            self.errors
                .push(value.span(), "`value` is the type of an `entry`, and there is none: leave it out");
        }
    }
}
