//! The rules of `#[cache_write_behind]`, and of `write_behind` in `#[cached]`.

use syn::{Expr, Type};

use super::{Checker, facade};
use crate::model::{Queued, Write};
use crate::syntax::item::Item;
use crate::syntax::options::{self, Macro, Options};
use crate::tokens::errors::Errors;

/// The model of a function whose value a queue writes; `None` where entry or queue are missing or wrong.
pub(crate) fn queued(options: &Options, item: &Item, errors: &Errors) -> Option<Queued> {
    let check = Checker { this: Macro::WriteBehind, options, item, errors };
    let deletes = options.flag("delete");
    check.form_is_known();
    check.waits();
    check.returns();
    check.defaults_have_self();
    check.result_is_no_argument();
    if !deletes {
        check.return_type();
        check.owned_value();
        check.returns_what_is_written();
    }
    let (entry, queue) = (check.written_entry(), check.queue("queue"));
    let tags = check.tags();
    if let Some(entry) = &entry {
        check.late_parts_can_be(&Write::Evict(entry.clone()));
    }
    check.late_parts_can_be(&Write::EvictTags(tags.clone()));
    if queue.is_none() && !options.has("queue") && !options.mistaken {
        errors.push(
            options.span(),
            "which queue writes it? Write `queue = self.renames`, a `cachemacro::WriteBehind` that was started",
        );
    }
    Some(Queued { facade: facade(options), entry: entry?, queue: queue?, tags, deletes })
}

impl Checker<'_> {
    /// A server accepts the write, which takes a future.
    fn waits(&self) {
        if self.item.is_sync() && self.errors.is_empty() {
            let name = &self.item.sig.ident;
            let message = format!(
                "`{name}` gives no future, and waits for no server that accepts its write: write `async fn {name}`"
            );
            self.errors.push(name.span(), message);
        }
    }

    fn returns_what_is_written(&self) {
        if matches!(self.item.value_type(), Type::Tuple(unit) if unit.elems.is_empty()) {
            self.errors.push(
                self.item.sig.ident.span(),
                "a `#[cache_write_behind]` function returns the value that the queue writes, and this one returns none: return it, \
                 or write `delete` where the entry is to be removed",
            );
        }
    }

    fn written_entry(&self) -> Option<crate::model::Value> {
        if !self.options.has("entry") && !self.options.mistaken {
            self.errors.push(self.options.span(), "which entry is written? Write `entry = user_entry(id)`");
        }
        self.entry_expr()
    }

    fn queue(&self, option: &'static str) -> Option<Expr> {
        let expr = self.options.expr(option)?;
        if self.is_quoted(expr, option) {
            return None;
        }
        self.is_early(expr, option).then(|| expr.clone())
    }

    /// The queue that a miss looks into.
    pub(super) fn write_behind(&self) -> Option<Expr> {
        let opt = self.options.get("write_behind")?;
        if self.item.is_sync() {
            return None;
        }
        if let Some(sealed) = self.options.get("sealed").filter(|_| self.options.flag("sealed")) {
            let at = if sealed.inherited { opt } else { sealed };
            self.errors.push(
                options::Opt::span(at),
                "what waits in a queue is not sealed, so no write of a sealed entry is accepted: leave `sealed` out, or `write_behind`",
            );
        }
        self.queue("write_behind")
    }
}
