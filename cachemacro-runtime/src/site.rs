//! One annotated function: its name and static options.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;
use crate::options::Policy;

/// One annotated function. Generated code has one static of it per function, and one more for each function that is
/// generated beside it.
#[derive(Debug)]
pub struct Site {
    id: SiteId,
    pub(crate) policy: Policy,
    warned: AtomicBool,
}

/// What tells a site from all others. The function and what is generated beside it are one site, and so are all
/// instances of a generic function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SiteId {
    module: &'static str,
    function: &'static str,
    /// Of the attribute: methods of two types may have one name.
    line: u32,
    column: u32,
}

impl Site {
    /// A site in `module`, called `function`, whose attribute is at this place.
    pub const fn new(
        module: &'static str,
        function: &'static str,
        (line, column): (u32, u32),
        policy: Policy,
    ) -> Self {
        Self { id: SiteId { module, function, line, column }, policy, warned: AtomicBool::new(false) }
    }

    /// The module that the function is in.
    pub(crate) const fn module(&self) -> &'static str {
        self.id.module
    }

    /// The function's name.
    pub(crate) const fn function(&self) -> &'static str {
        self.id.function
    }

    pub(crate) const fn id(&self) -> SiteId {
        self.id
    }

    /// Says once why calls run uncached. For reasons that hold no values.
    pub(crate) fn warn_uncached(&self, error: &Error) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(module = self.id.module, function = self.id.function, why, "calls run uncached");
        }
    }
}

impl SiteId {
    /// `users::get`; where another site in `sites`, which are sorted, has that name, `users::get:12`, and where it is
    /// on the same line, `users::get:12:5`.
    pub(crate) fn name(at: usize, sites: &[Self]) -> String {
        let Self { module, function, line, column } = sites[at];
        let around = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| sites.get(at));
        let mut name = format!("{module}::{function}");
        let named: Vec<&Self> =
            around.filter(|other| (other.module, other.function) == (module, function)).collect();
        if !named.is_empty() {
            let _ = write!(name, ":{line}");
        }
        if named.iter().any(|other| other.line == line) {
            let _ = write!(name, ":{column}");
        }
        name
    }

    /// Such a name without line and column.
    pub(crate) fn plain(name: &str) -> &str {
        match name.rsplit_once(':') {
            Some((before, number)) if number.parse::<u32>().is_ok() => Self::plain(before),
            _ => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;
    use crate::cache::Cache;
    use crate::key::KeyBuilder;
    use crate::private::entry_in;

    #[test]
    fn a_name_says_as_much_as_tells_it_from_others() {
        let id = |module, function, line, column| SiteId { module, function, line, column };
        let mut sites = [
            id("app", "get", 30, 5),
            id("app", "get", 7, 5),
            id("app", "get", 30, 9),
            id("app", "put", 7, 5),
            id("app::old", "get", 7, 5),
        ];
        sites.sort_unstable();
        let names: Vec<String> = (0..sites.len()).map(|at| SiteId::name(at, &sites)).collect();
        assert_eq!(names, ["app::get:7", "app::get:30:5", "app::get:30:9", "app::put", "app::old::get"]);
        let plain: Vec<&str> = names.iter().map(|name| SiteId::plain(name)).collect();
        assert_eq!(plain, ["app::get", "app::get", "app::get", "app::put", "app::old::get"]);
    }

    /// Counts warnings.
    #[derive(Default)]
    struct Warnings(Arc<AtomicUsize>);

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == Level::WARN
        }

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_site_warns_once_that_closures_are_not_cached() {
        let warnings = Warnings::default();
        let count = warnings.0.clone();
        let cache = Cache::memory();
        tracing::subscriber::with_default(warnings, || {
            let site = crate::private::site!("f");
            let key = || KeyBuilder::new("p").types("app.f.{{closure}}").arg(&1);
            for _ in 0..3 {
                assert!(entry_in::<u8>(&cache, site, key()).key().is_none());
            }
            assert!(entry_in::<u8>(&cache, site, KeyBuilder::new("p").arg(&1)).key().is_some());
        });
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
