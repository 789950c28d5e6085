//! From an attribute's tokens to what replaces them: parse, check, expand.
//!
//! Whatever is wrong, the user's function is still there. After a mistake the output is every diagnostic, the function
//! as the user wrote it, and the function that `entry` names, so that one typo stays one error. After a panic of the
//! macro itself it is one diagnostic and the function.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proc_macro2::{Span, TokenStream};
use quote::quote;

use crate::syntax::attrs::tokens_of;
use crate::syntax::item::{Item, untouched};
use crate::syntax::options::{self, Macro, Options, TAKEN};
use crate::tokens::errors::Errors;
use crate::{check, expand};

/// Calls `expand`. A panic in it is a bug of this crate: the output is then an error that asks for a report, and `item`.
pub(crate) fn guarded(item: &TokenStream, expand: impl FnOnce(TokenStream) -> TokenStream) -> TokenStream {
    catch_unwind(AssertUnwindSafe(|| expand(item.clone()))).unwrap_or_else(|panic| {
        let report = concat!(env!("CARGO_PKG_REPOSITORY"), "/issues");
        let said = words_of(&*panic);
        let message = format!(
            "this is a bug in cachemacro, please report it with the code that shows it at {report}: {said}"
        );
        let error = syn::Error::new(Span::call_site(), message).into_compile_error();
        quote!(#error #item)
    })
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without words")
}

/// Expands one attribute on one function.
pub(crate) fn expand(this: Macro, options: TokenStream, tokens: TokenStream) -> TokenStream {
    if options.to_string() == TAKEN {
        return tokens;
    }
    let errors = Errors::default();
    let options = options::parse(this, options, &errors);
    let mut item = match syn::parse2::<Item>(tokens.clone()) {
        Ok(item) => item,
        Err(error) => {
            errors.add(not_a_function(this, &tokens, error));
            let errors = errors.into_tokens();
            return quote!(#errors #tokens);
        }
    };
    if this == Macro::Cached {
        return cached(&options, &item, errors);
    }
    if this == Macro::WriteBehind {
        return queued(&options, &mut item, errors);
    }
    let attributes = stacked((this, options), &mut item, &errors);
    let model = check::write::writing(&attributes, &item, &errors);
    if errors.is_empty() {
        return expand::write::writing(&model, &item);
    }
    let function = untouched(&item);
    let errors = errors.into_tokens();
    let taken = &model.taken;
    quote!(#errors #(#[#taken(__taken)])* #function)
}

fn cached(options: &Options, item: &Item, errors: Errors) -> TokenStream {
    let model = check::cached(options, item, &errors);
    if errors.is_empty() {
        return expand::cached(&model, item);
    }
    let function = untouched(item);
    let entry = expand::entry_signature(&model, item);
    let errors = errors.into_tokens();
    quote!(#errors #function #entry)
}

fn queued(options: &Options, item: &mut Item, errors: Errors) -> TokenStream {
    // Those below are left out of the function, so that what they would say of it does not follow.
    item.attrs.retain(|attr| {
        let other = Macro::of(attr.path());
        if let Some(other) = other {
            errors.at(attr.path(), beside_a_queue(other));
        }
        other.is_none()
    });
    let model = check::queued::queued(options, item, &errors);
    if let Some(model) = model.filter(|_| errors.is_empty()) {
        return expand::queued::queued(&model, item);
    }
    let function = untouched(item);
    let errors = errors.into_tokens();
    quote!(#errors #function)
}

/// Why an attribute cannot stand on a function that writes into a queue.
const fn beside_a_queue(other: Macro) -> &'static str {
    match other {
        Macro::Cached => {
            "`#[cached]` does not run the function on a hit, and then nothing would be written: split it in two"
        }
        Macro::WriteBehind => {
            "one function writes into one queue: put several entries into several functions"
        }
        _ => {
            "`#[cache_write_behind]` evicts the entry itself, and what else is evicted would be loaded anew before the \
             write was applied: name tags in it, `tags = [\"user-lists\"]`, which are evicted after that"
        }
    }
}

/// This attribute, and the `#[cache_put]`s and `#[cache_evict]`s below it, which it removes and expands with itself.
fn stacked(first: (Macro, Options), item: &mut Item, errors: &Errors) -> Vec<(Macro, Options)> {
    let mut attributes = vec![first];
    item.attrs.retain(|attr| {
        let Some(this) = Macro::of(attr.path()) else { return true };
        if let Macro::Cached | Macro::WriteBehind = this {
            let first = if this == Macro::Cached { Macro::Cached } else { attributes[0].0 };
            errors.at(attr.path(), beside_a_queue(first));
            return false;
        }
        let mut options = options::parse(this, tokens_of(&attr.meta), errors);
        options.taken = Some(attr.path().clone());
        attributes.push((this, options));
        false
    });
    attributes
}

fn not_a_function(this: Macro, tokens: &TokenStream, error: syn::Error) -> syn::Error {
    let is_function = tokens.clone().into_iter().any(|token| token.to_string() == "fn");
    if is_function {
        return error;
    }
    let span = tokens.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span());
    syn::Error::new(span, format!("`#[{}]` goes on a function", this.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(options: TokenStream, item: TokenStream) -> String {
        let tokens = expand(Macro::Cached, options, item);
        prettyplease::unparse(&syn::parse2(tokens).expect("an expansion is items"))
    }

    #[test]
    fn a_plain_function_expands_to_few_lines() {
        let text = expanded(
            quote!(),
            quote! {
                async fn user(id: u64) -> Result<Option<User>, Error> {
                    body()
                }
            },
        );
        let expected = "\
async fn user(id: u64) -> Result<Option<User>, Error> {
    let call_ = {
        use ::cachemacro::__private::{self as cachemacro_, Kind as _, Shape as _};
        let shape_ = (&&&cachemacro_::Probe::<Result<Option<User>, Error>>::NEW).shape();
        let outcome_ = shape_.kind();
        let site_ = cachemacro_::site!(
            \"user\"; cachemacro_::Says::new(\"Result<Option<User>, Error>\").key(\"{id}\")
        );
        let given_ = ::core::option::Option::None;
        let arguments_ = match cachemacro_::hit(
            site_,
            given_,
            outcome_,
            &cachemacro_::parts!(site_, | to_ | { let _ = & to_; to_.arg(& id); }),
        ) {
            ::core::result::Result::Ok(hit_) => return hit_,
            ::core::result::Result::Err(arguments_) => arguments_,
        };
        let key_ = cachemacro_::key(site_, &|| ()).arg(&id);
        let entry_ = cachemacro_::entry_at(given_, site_, key_)
            .with_schema(shape_.schema());
        cachemacro_::call(outcome_, (entry_, arguments_))
    };
    let body_ = ::core::pin::pin!(
        async move { if let ::core::option::Option::Some(returned_) =
        ::cachemacro::__private::hint:: < Result < Option < User >, Error > > () { return
        returned_; } body() }
    );
    return call_.load(body_).await;
}
";
        assert_eq!(text, expected);
        // The signature, the body and the closing brace are the user's.
        assert!(text.lines().count() - 3 <= 30, "{text}");
    }

    #[test]
    fn a_sync_function_expands_to_a_call_without_a_future() {
        let text = expanded(
            quote!(),
            quote! {
                fn square(n: u64) -> u64 {
                    n * n
                }
            },
        );
        let expected = "\
fn square(n: u64) -> u64 {
    let call_ = {
        use ::cachemacro::__private::{self as cachemacro_, LocalKind as _, Shape as _};
        let shape_ = (&&&cachemacro_::Probe::<u64>::NEW).shape();
        let outcome_ = shape_.local_kind();
        let site_ = cachemacro_::site!(
            \"square\"; cachemacro_::Says::new(\"u64\").key(\"{n}\")
        );
        let arguments_ = match cachemacro_::local_hit(
            site_,
            outcome_,
            &cachemacro_::parts!(site_, | to_ | { let _ = & to_; to_.arg(& n); }),
        ) {
            ::core::result::Result::Ok(hit_) => return hit_,
            ::core::result::Result::Err(arguments_) => arguments_,
        };
        let key_ = cachemacro_::key(site_, &|| ()).arg(&n);
        let entry_ = cachemacro_::local_entry(site_, key_);
        cachemacro_::local_call(outcome_, (entry_, arguments_))
    };
    let body_ = move || -> u64 { n * n };
    return call_.load(body_);
}
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_function_whose_value_a_queue_writes_expands_to_few_lines() {
        let tokens = expand(
            Macro::WriteBehind,
            quote!(entry = Self::user_entry(id), queue = self.renames, tags = ["users", "org:{result.org}"]),
            quote! {
                async fn rename(&self, id: u64, name: String) -> Result<User, Error> {
                    body()
                }
            },
        );
        let text = prettyplease::unparse(&syn::parse2(tokens).expect("an expansion is items"));
        let joined = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        for part in [
            "let queue_ = &self.renames;",
            "cachemacro_::queue_of::<Result<User, Error>, _, _>(outcome_, queue_)",
            "cachemacro_::unaccepted::<Result<User, Error>>",
            "Self::user_entry(&id)",
            r#".with_tags(["users"])"#,
            "write_.put(body_, after_).await",
        ] {
            assert!(joined.contains(part), "{part} is not in {text}");
        }
        assert!(text.lines().count() <= 50, "{text}");
    }

    #[test]
    fn what_mentions_the_result_is_asked_with_it_and_the_rest_before_the_body() {
        let text = expanded(
            quote!(
                prefix = "user",
                ttl = if result.premium { LONG } else { SHORT },
                tags = ["users", "org:{result.org}", "doc:{id}", "{id}:{result.name}"],
                unless = result.is_draft
            ),
            quote! {
                async fn user(id: u64) -> User {
                    body()
                }
            },
        );
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let text = lines.join(" ");
        for part in [
            r#".with_built_tags([ cachemacro_::string("users"), cachemacro_::TagBuilder::new() .literal("doc:")"#,
            ".unless(|result| result.is_draft)",
            ".ttl(|result| cachemacro_::ttl( if result.premium { LONG } else { SHORT }, ))",
            ".built_tags({ let text_1 = cachemacro_::display_text(&id); move |result| cachemacro_::tags([",
            ".display(&result.org, ::core::option::Option::None)",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(text.matches("move").count(), 2, "one closure keeps a text, and the body is one: {text}");
    }

    #[test]
    fn a_panic_of_the_macro_asks_for_a_report_and_keeps_the_item() {
        let item = quote!(
            async fn user(id: u64) {}
        );
        let text = guarded(&item, |_| panic!("no {}", "key")).to_string();
        assert!(text.contains("this is a bug in cachemacro, please report it"), "{text}");
        assert!(text.contains(": no key"), "{text}");
        assert!(text.ends_with(&item.to_string()), "{text}");
    }
}
