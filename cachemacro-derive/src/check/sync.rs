//! What an attribute on a function without a future does not take: what is about other processes, or about bytes.

use super::Checker;
use crate::syntax::options::Macro;

/// Options of `#[cached]` that need a store, and why.
const OF_STORES: &[(&str, &str)] = &[
    ("cache", "a `Cache` that may be shared with other processes is asked by awaiting it"),
    ("codec", "nothing is turned into bytes"),
    ("version", "values do not outlive the program, so there are none of an older version"),
    ("lease_limit", "no other process waits for its load"),
];

impl Checker<'_> {
    /// A sync function keeps its values in this process, as they are.
    pub(super) fn sync_options(&self) {
        let name = &self.item.sig.ident;
        match self.this {
            Macro::Cached => {}
            _ => {
                let message = format!(
                    "`{}` goes on functions that give a future: write `async fn {name}`",
                    self.attribute()
                );
                self.errors.push(self.item.sig.fn_token.span, message);
                return;
            }
        }
        for (option, why) in OF_STORES {
            let Some(opt) = self.options.get(option) else { continue };
            if !opt.inherited {
                let message = format!(
                    "`{option}` is for functions that give a future: `{name}` keeps its values in this process, where {why}. \
                     Write `async fn {name}`, or leave `{option}` out"
                );
                self.errors.push(opt.span(), message);
            } else if *option == "cache" {
                let message = format!(
                    "`{name}` keeps its values in this process, and the default `cache` of `#[cache_config]` is for functions that \
                     give a future: write `async fn {name}`, or move it out of this `impl`"
                );
                self.errors.push(name.span(), message);
            }
        }
    }
}
