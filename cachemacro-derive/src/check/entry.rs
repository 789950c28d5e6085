//! The function that `entry` names: which arguments it takes, and what it cannot do.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Visibility, parse_quote};

use super::Checker;
use super::own::says_self;
use super::values::plain;
use crate::model::{EntryFn, EntryParts, Key, RulesModel, Tag, TypePart, Value};
use crate::syntax::options;
use crate::syntax::template::Part;
use crate::tokens::mentions::leaving;
use crate::values::{arguments_in, arguments_said};

impl Checker<'_> {
    pub(super) fn entry_function(&self, entry: &EntryParts, rules: &RulesModel) -> Option<EntryFn> {
        let opt = self.options.get("entry")?;
        let options::Given::Entry(vis, name) = &opt.value else { return None };
        if self.item.is_async_trait() && self.options.of_trait().is_none() {
            self.errors.push(
                name.span(),
                "a trait's `impl` has no place for the function that `entry` generates: put `#[cache_config]` on the \
                 `impl`, which makes it an inherent function",
            );
            return None;
        }
        if *name == self.item.sig.ident {
            self.errors.push(
                name.span(),
                format!(
                    "`entry` names a new function, and `{name}` is this one: write `entry = {name}_entry`"
                ),
            );
            return None;
        }
        self.rules_are_constant(rules);
        let mut used = Vec::new();
        match &entry.key {
            Key::Template(parts) => used.extend(self.said_in(parts)),
            Key::Args(args) => used.extend(args.iter().map(|(_, name)| name.to_string())),
            Key::Value(value) => used.extend(self.shared(value, "key")),
        }
        for tag in &entry.tags {
            match tag {
                Tag::Template(parts) => used.extend(self.said_in(parts)),
                Tag::One(value) | Tag::Many(value) => used.extend(self.shared(value, "tags")),
            }
        }
        used.extend(entry.ttl.iter().flat_map(|value| self.shared(value, "ttl")));
        used.extend(entry.cache.iter().flat_map(|cache| self.shared(&plain(cache), "cache")));
        if let Some(similar) = &entry.similar {
            used.extend(self.shared(&plain(&similar.threshold), "threshold"));
            let embedder = similar.embedder.iter();
            used.extend(embedder.flat_map(|embedder| self.shared(&plain(embedder), "embedder")));
        }
        let is_type =
            |at: usize| entry.types.iter().any(|part| matches!(part, TypePart::Arg(of, _) if *of == at));
        let takes = self.item.args.iter().enumerate().filter(|(at, arg)| {
            is_type(*at) || arg.names.iter().any(|name| used.iter().any(|used| name == used))
        });
        let takes = takes.map(|(at, _)| at).collect();
        Some(EntryFn {
            vis: match vis {
                Visibility::Inherited if self.options.of_trait().is_some() => parse_quote!(pub(crate)),
                Visibility::Inherited => self.item.vis.clone(),
                other => other.clone(),
            },
            name: name.clone(),
            value: self.options.ty("value").cloned().unwrap_or_else(|| self.item.value_type().clone()),
            takes_self: used.iter().any(|used| used == "self"),
            takes,
        })
    }

    /// The arguments, and `self`, that an option needs whose value the `entry` function computes too.
    fn shared(&self, value: &Value, option: &str) -> Vec<String> {
        if leaving(&value.expr).awaits {
            self.errors.push(
                value.span,
                format!("the function that `entry` generates is not `async`, so `{option}` cannot `.await`"),
            );
        }
        let tokens = value.expr.to_token_stream();
        let said = arguments_in(value, self.item).iter().map(ToString::to_string).collect::<Vec<_>>();
        said.into_iter().chain(says_self(tokens).then(|| "self".to_owned())).collect()
    }

    /// The arguments, and `self`, that a template mentions.
    fn said_in(&self, parts: &[Part]) -> Vec<String> {
        let said = |tokens: &TokenStream| {
            let own = says_self(tokens.clone()).then(|| "self".to_owned());
            arguments_said(tokens, self.item).iter().map(ToString::to_string).chain(own).collect::<Vec<_>>()
        };
        let holes = parts.iter().filter_map(|part| match part {
            Part::Hole(hole) => Some(&hole.expr),
            Part::Text(_) => None,
        });
        holes.flat_map(said).collect()
    }
}
