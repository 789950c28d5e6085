//! `#[cache_write_behind]` to tokens, and the queue that a `#[cached]` function looks into.
//!
//! ```text
//! async fn rename(&self, id: u64, name: String) -> Result<User, Error> {
//!     let write_ = {
//!         use ::cachemacro::__private::{self as cachemacro_, Kind as _, Shape as _};
//!         let shape_ = (&&&cachemacro_::Probe::<Result<User, Error>>::NEW).shape();
//!         let outcome_ = shape_.kind();
//!         let queue_ = &self.renames;
//!         cachemacro_::Queueing::new(outcome_, cachemacro_::queue_of::<Result<User, Error>, _, _>(outcome_, queue_), cachemacro_::unaccepted)
//!             .at(cachemacro_::site!("rename"; cachemacro_::Says::new("").writes(&["queued user_entry", "tag users"])))
//!             .entry(held(outcome_, user_entry(&id)))
//!             .tags(["users"])
//!     };
//!     let body_ = ::core::pin::pin!(async move { … body });
//!     return write_.put(body_, |_, write_| write_).await
//! }
//! ```

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::{Expr, parse_quote};

use super::expander::{Expander, tags_method};
use super::late::Late;
use super::says::says_of_queued;
use crate::model::{Queued, Tag};
use crate::syntax::item::{Item, pointing_at};
use crate::values::{self, Place};

/// The function with its body run before what it returned is accepted.
pub(crate) fn queued(model: &Queued, item: &Item) -> TokenStream {
    let mixed = Span::mixed_site();
    let expander = Expander::new(item, &model.facade);
    let private = &expander.private;
    let ret = item.ret_with(&parse_quote!(_));
    let shape = expander.shape();
    let (imports, outcome) = if model.deletes {
        (expander.imports(&["Shape"]), quote_spanned!(mixed=> shape_.look()))
    } else {
        let span = item.value_span();
        let kind = Ident::new("kind", span);
        (expander.imports(&["Kind", "Shape"]), quote_spanned!(span=> shape_.#kind()))
    };
    let (let_queue, queue) = expander.queue(&model.queue, if model.deletes { None } else { Some(&ret) });
    let span = pointing_at(&item.ret).resolved_at(mixed);
    let refused = quote_spanned!(span=> #private::unaccepted::<#ret>);
    let mut early = TokenStream::new();
    let mut after = Late::default();
    let mut late = TokenStream::new();
    let entry = values::borrow_in_call(&model.entry.expr, item);
    let entry_span = pointing_at(&model.entry.expr);
    let held = if model.deletes {
        quote_spanned!(entry_span=> .removed(#entry))
    } else {
        quote_spanned!(entry_span=> .entry(#private::held::<#ret, _, _>(outcome_, #entry)))
    };
    if model.entry.late {
        after.needs(&model.entry, item);
        let outcome = (!model.deletes).then(|| quote_spanned!(mixed=> let outcome_ = write_.outcome();));
        late.extend(quote_spanned!(mixed=> #outcome let write_ = write_ #held;));
    } else {
        early.extend(held);
    }
    let (late_tags, tags): (Vec<Tag>, Vec<Tag>) = model.tags.iter().cloned().partition(Tag::is_late);
    if let Some(given) = expander.tags(&tags, Place::Function) {
        let method = tags_method("with", &tags);
        early.extend(quote_spanned!(mixed=> .#method(#given)));
    }
    if let Some(given) = expander.late_tags(&late_tags, &mut after) {
        let method = tags_method("with", &late_tags);
        late.extend(quote_spanned!(mixed=> let write_ = write_.#method(#given);));
    }
    let (name, says) = (item.name(), says_of_queued(model, private));
    let begin = quote_spanned! {mixed=>
        let write_ = {
            #imports
            #shape
            let outcome_ = #outcome;
            #let_queue
            #private::Queueing::new(outcome_, #queue, #refused).at(#private::site!(#name; #says)) #early
        };
    };
    let (variable, run) =
        (Ident::new("write_", mixed), Ident::new(if model.deletes { "delete" } else { "put" }, mixed));
    expander.function_and_after(&begin, (&variable, &run), &after, &late)
}

impl Expander<'_> {
    /// `let queue_ = &…;`, and the queue as one of what the function returns, or of whatever it takes.
    fn queue(&self, queue: &Expr, of: Option<&syn::Type>) -> (TokenStream, TokenStream) {
        let private = &self.private;
        let span = pointing_at(queue);
        let name = Ident::new("queue_", span);
        let bound = self.cache(&name, queue, Place::Function);
        let queue = if let Some(ret) = of {
            quote_spanned!(span=> #private::queue_of::<#ret, _, _>(outcome_, #name))
        } else {
            quote_spanned!(span=> #private::queue_of_any(#name))
        };
        (bound, queue)
    }

    /// The same, and `.write_behind(…)` of a call.
    pub(super) fn queue_looked_into(&self, queue: &Expr) -> (TokenStream, TokenStream) {
        let (bound, queue) = self.queue(queue, Some(&self.item.ret));
        (bound, quote_spanned!(Span::mixed_site()=> .write_behind(#queue)))
    }
}
