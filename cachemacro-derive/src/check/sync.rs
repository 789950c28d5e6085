//! What an attribute on a function without a future does not take: what is about other processes, or about bytes.

use super::Checker;
use crate::syntax::options::Macro;

/// Options of `#[cached]` that need a store, and why.
const OF_STORES: &[(&str, &str)] = &[
    ("cache", "the scoped cache has them, or the global one, and no store is asked"),
    ("codec", "nothing is turned into bytes"),
    ("version", "values do not outlive the program, so there are none of an older version"),
    ("lease_limit", "no other process waits for its load"),
    ("stale", "a value is gone when its TTL is over"),
    ("max_age", "a value is gone when its TTL is over"),
    ("refresh", "nothing runs a load ahead of the calls"),
    ("local", "all of them are"),
    ("validate", "there is no store to ask"),
    ("sealed", "no server learns them"),
    ("verify", "no other process writes them"),
    ("verify_by", "no other process writes them"),
    ("within", "no other process writes them"),
    ("on_inconsistent", "no other process writes them"),
    ("search", "no index of it is kept for other processes"),
    ("similar", "no index of its questions is kept for other processes"),
    ("threshold", "no index of its questions is kept for other processes"),
    ("embedder", "no index of its questions is kept for other processes"),
    ("confirm", "no index of its questions is kept for other processes"),
    ("scope", "no index of its questions is kept for other processes"),
    ("write_behind", "no queue at a server holds writes of them"),
    ("recorded", "what a load reads is told where it is awaited"),
    ("soft", "the caller runs the load itself"),
    ("timeout", "the caller runs the load itself"),
    ("on_timeout", "the caller runs the load itself"),
];

impl Checker<'_> {
    /// A sync function keeps its values in this process, as they are.
    pub(super) fn sync_options(&self) {
        if !self.item.is_sync() {
            return;
        }
        let name = &self.item.sig.ident;
        match self.this {
            Macro::Cached => {}
            Macro::Put => return self.sync_put(),
            // It is refused as a whole.
            Macro::WriteBehind => return,
            Macro::Evict | Macro::Config => return self.no_outcome_of_evicts(),
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

    /// A put of a sync function writes what another one keeps.
    fn sync_put(&self) {
        let name = &self.item.sig.ident;
        for option in ["prefix", "key"] {
            if let Some(opt) = self.options.get(option).filter(|opt| !opt.inherited) {
                let message = format!(
                    "`{name}` is a sync function and writes what another one keeps in this process, which `{option}` does not name: \
                     write `entry = …` with the function that its `entry` generates, or `async fn {name}`"
                );
                self.errors.push(opt.span(), message);
                return;
            }
        }
        self.no_outcome_of_evicts();
    }

    fn no_outcome_of_evicts(&self) {
        if let Some(opt) = self.options.get("on_evict_error").filter(|opt| !opt.inherited) {
            let name = &self.item.sig.ident;
            let message = format!(
                "a sync function does not wait for a server, so `{name}` cannot return what becomes of an evict there: it is logged \
                 and counted. Write `async fn {name}`, or leave `on_evict_error` out"
            );
            self.errors.push(opt.span(), message);
        }
    }
}
