//! What waits for the value: closures that take it as `result`.
//!
//! The body takes the arguments, so a closure keeps clones of those that it mentions, and the text of placeholders that
//! do not mention `result`.
//!
//! ```text
//! tags = ["org:{result.org}", "{id}:{result.id}"]     =>     .built_tags({
//!                                                                let text_1 = cachemacro_::display_text(&id);
//!                                                                move |result| cachemacro_::tags([…])
//!                                                            })
//! ```

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};

use super::expander::Expander;
use super::function::Handed;
use super::key::{place_of_site, template_chain};
use crate::model::{EntryParts, Key, RulesModel, Tag, Value};
use crate::syntax::item::{Item, pointing_at};
use crate::syntax::own;
use crate::syntax::template::{Hole, Part, RESULT};
use crate::tokens::mentions::{find, mentions, renamed};
use crate::values::{self, Place, reference};

/// What one closure keeps of the arguments for after the body.
#[derive(Default)]
pub(super) struct Late {
    /// Statements that compute something from the arguments before the body.
    pub(super) captures: TokenStream,
    /// The arguments that are mentioned; they are cloned.
    mentioned: Vec<Ident>,
    /// The variable of the `condition` under which `captures` are computed.
    pub(super) when: Option<Ident>,
    /// How many texts are kept so far, to give each a name.
    texts: usize,
}

impl Late {
    pub(super) fn needs(&mut self, value: &Value, item: &Item) {
        self.mentioned.extend(values::arguments_in(value, item));
    }

    /// The statements before the closure.
    pub(super) fn keep(&self, private: &Ident) -> TokenStream {
        let (captures, clones) = (&self.captures, values::clones(&self.mentioned, private));
        quote!(#captures #clones)
    }
}

impl Expander<'_> {
    /// The function: after `begin`, which names the variable, its method `run` is given the body and what `statements` do with that variable
    /// and what the body returned.
    ///
    /// ```text
    /// let after_ = writes_.after({ let text_1 = …; move |result, writes_| { …; writes_ } });
    /// let body_ = …;
    /// return writes_.run(body_, after_).await
    /// ```
    pub(super) fn function_and_after(
        &self,
        begin: &TokenStream,
        (variable, run): (&Ident, &Ident),
        after: &Late,
        statements: &TokenStream,
    ) -> TokenStream {
        let mixed = Span::mixed_site();
        if statements.is_empty() {
            let call = quote_spanned!(mixed=> #variable.#run(body_, |_, #variable| #variable));
            return self.function(begin, &call, Handed::Pinned);
        }
        let (result, statements) = with_result(statements);
        let (keep, imports) = (after.keep(&self.private), self.imports(&[]));
        let end = quote_spanned! {mixed=>
            let after_ = #variable.after({
                #imports
                #keep
                move |#result, #variable| {
                    #statements
                    #variable
                }
            });
        };
        let call = quote_spanned!(mixed=> #variable.#run(body_, after_));
        self.function(&quote!(#begin #end), &call, Handed::Pinned)
    }

    /// `.unless(|result| …).ttl(|result| …).tags(|result| …)`: one call for each rule that there is.
    pub(super) fn rules(&self, rules: &RulesModel, when: Option<&Ident>) -> TokenStream {
        let none = || Late { when: when.cloned(), ..Late::default() };
        let mut chain = TokenStream::new();
        for (option, rule) in [("unless", &rules.unless), ("ttl", &rules.ttl)] {
            let Some(rule) = rule else { continue };
            let mut late = none();
            let given = self.late_value(option, rule, &mut late);
            chain.extend(self.rule(option, &given, rule.late, &late));
        }
        let mut late = none();
        if let Some(given) = self.late_tags(&rules.tags, &mut late) {
            let (mixed, private) = (Span::mixed_site(), &self.private);
            let is_text = matches!(rules.tags.as_slice(), [Tag::Many(_)]);
            let given = if is_text { given } else { quote_spanned!(mixed=> #private::tags(#given)) };
            let method = if is_text { "tags" } else { "built_tags" };
            chain.extend(self.rule(method, &given, true, &late));
        }
        if let Some(same) = &rules.verify_by {
            let verify_by = Ident::new("verify_by", pointing_at(same));
            chain.extend(quote_spanned!(Span::mixed_site()=> .#verify_by(#same)));
        }
        if let Some(texts) = self.texts(&rules.search) {
            chain.extend(self.rule("search", &texts, true, &Late::default()));
        }
        chain
    }

    /// The texts by which the value is found, as a `Vec<String>`.
    fn texts(&self, texts: &[Tag]) -> Option<TokenStream> {
        let (mixed, private) = (Span::mixed_site(), &self.private);
        let text = |of: &Tag, method: &str| match of {
            Tag::One(value) | Tag::Many(value) => {
                let span = pointing_at(&value.expr);
                let method = Ident::new(method, span);
                let value = reference(values::fitted_value(value, self.item, Place::Rule));
                quote_spanned!(span=> #private::#method(#value))
            }
            Tag::Template(_) => TokenStream::new(),
        };
        match texts {
            [] => None,
            [all @ Tag::Many(_)] => Some(text(all, "texts")),
            texts => {
                let texts = texts.iter().map(|one| text(one, "text"));
                Some(quote_spanned!(mixed=> #private::text_list([#(#texts),*])))
            }
        }
    }

    /// `.ttl(|result| …)`, with what it keeps.
    fn rule(&self, option: &str, given: &TokenStream, says_result: bool, late: &Late) -> TokenStream {
        let mixed = Span::mixed_site();
        let method = Ident::new(option, mixed);
        let (result, given) = if says_result { with_result(given) } else { (quote!(_), given.clone()) };
        let mut closure = quote_spanned!(mixed=> |#result| #given);
        let mut keep = late.keep(&self.private);
        if let Some(own) = own::needs_clone(self.item, &given) {
            keep.extend(own::clone(self.item, &own, &given, &self.private));
            closure = own::replaced(closure, &own);
        }
        if keep.is_empty() {
            return quote_spanned!(mixed=> .#method(#closure));
        }
        quote_spanned!(mixed=> .#method({ #keep move #closure }))
    }

    fn late_value(&self, option: &str, value: &Value, late: &mut Late) -> TokenStream {
        late.needs(value, self.item);
        if option.starts_with("tag") && values::is_field_of_result(&value.expr) {
            let value = Value { expr: values::borrowed(&value.expr), ..value.clone() };
            return self.given(option, &value, Place::Rule);
        }
        let is_taken = option.starts_with("tag") || option == "key";
        self.given(option, &values::given_away(value, self.item, Place::Rule, is_taken), Place::Rule)
    }

    pub(super) fn late_key(&self, parts: &EntryParts, late: &mut Late) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let chain = match &parts.key {
            Key::Template(template) => self.late_chain(template, late),
            Key::Value(value) => {
                let value = self.late_value("key", value, late);
                let value = reference(&value);
                quote_spanned!(mixed=> .value(#value))
            }
            Key::Args(_) => TokenStream::new(),
        };
        let begin = self.key_begin(parts);
        let site = parts.of_trait.is_some().then(|| {
            let (name, place) = (self.item.name(), place_of_site(parts, self.item));
            quote_spanned!(mixed=> let site_ = #private::site!(#name #place);)
        });
        quote_spanned!(mixed=> { #site #begin #chain })
    }

    /// Tags that mention `result`, as an array or whatever expression gives them.
    pub(super) fn late_tags(&self, tags: &[Tag], late: &mut Late) -> Option<TokenStream> {
        let mixed = Span::mixed_site();
        let private = &self.private;
        match tags {
            [] => None,
            [Tag::Many(value)] => Some(self.late_value("tags", value, late)),
            tags => {
                let tags: Vec<TokenStream> = tags
                    .iter()
                    .map(|tag| match tag {
                        Tag::Template(parts) => {
                            let chain = self.late_chain(parts, late);
                            quote_spanned!(mixed=> #private::TagBuilder::new() #chain.finish())
                        }
                        Tag::One(value) | Tag::Many(value) => {
                            let value = self.late_value("tag", value, late);
                            quote_spanned!(mixed=> #private::string(#value))
                        }
                    })
                    .collect();
                Some(quote_spanned!(mixed=> [#(#tags),*]))
            }
        }
    }

    /// The calls of a template that mentions `result`. Its other placeholders are printed before the body.
    fn late_chain(&self, template: &[Part], late: &mut Late) -> TokenStream {
        let mixed = Span::mixed_site();
        let private = &self.private;
        let parts: Vec<Part> = template
            .iter()
            .map(|part| match part {
                Part::Hole(hole) if !hole.late => {
                    late.texts += 1;
                    let name = format_ident!("text_{}", late.texts, span = mixed);
                    let method = if hole.debug { "debug_text" } else { "display_text" };
                    let method = Ident::new(method, hole.span.resolved_at(mixed));
                    let value = reference(&hole.expr);
                    let mut text = quote_spanned!(mixed=> #private::#method(#value));
                    if let Some(when) = &late.when {
                        text = quote_spanned!(mixed=> if #when { #text } else { ::core::default::Default::default() });
                    }
                    late.captures.extend(quote_spanned!(mixed=> let #name = #text;));
                    Part::Hole(Hole { expr: name.to_token_stream(), debug: false, ..hole.clone() })
                }
                Part::Hole(hole) => {
                    late.mentioned.extend(values::arguments_said(&hole.expr, self.item));
                    Part::Hole(hole.clone())
                }
                text @ Part::Text(_) => text.clone(),
            })
            .collect();
        template_chain(&parts)
    }
}

/// The closure's parameter, and the code that uses it.
///
/// Where an expression mentions `result`, the parameter is that token, so that both resolve alike whatever macro the
/// expression came through. Placeholders use the same name.
pub(super) fn with_result(code: &TokenStream) -> (TokenStream, TokenStream) {
    let said = find(code.clone(), "result").map(|said| said.span());
    let in_template = || mentions(code.clone(), RESULT).then(Span::mixed_site);
    let Some(span) = said.or_else(in_template) else { return (quote!(_), code.clone()) };
    let result = Ident::new("result", span);
    (result.to_token_stream(), renamed(code.clone(), RESULT, &result))
}
