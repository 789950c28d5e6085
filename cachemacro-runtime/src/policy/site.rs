//! One annotated function: its name and static options.

use std::borrow::Cow;
use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::ground::error::Error;
use crate::observe::site::{Place, SiteId};
use crate::observe::stats::Counters;
use crate::policy::says::Says;
use crate::policy::ttl::Policy;

/// One annotated function. Generated code has one static of it per function, and one more for each function that is
/// generated beside it.
#[derive(Debug)]
pub struct Site {
    id: SiteId,
    pub(crate) policy: Policy,
    pub(crate) says: Says,
    warned: AtomicBool,
    /// What the first cache that a call used counts here, with that cache's number.
    counters: OnceLock<(u64, Arc<Counters>)>,
    /// The prefix of its default keys in the first instance of the function that was called, with what names that.
    prefix: OnceLock<(&'static str, String)>,
}

impl Site {
    /// A site in `module`, called `function`, whose attribute is at this line and column, in a package of this version. The third
    /// number tells functions apart that come from one use of a `macro_rules!`. `says` is what tools show of it.
    pub const fn new(
        module: &'static str,
        function: &'static str,
        (line, column, copy): (u32, u32, u32),
        package: Option<&'static str>,
        policy: Policy,
        says: Says,
    ) -> Self {
        Self {
            id: SiteId::new(module, function, Place { line, column, copy, package }),
            policy,
            says,
            warned: AtomicBool::new(false),
            counters: OnceLock::new(),
            prefix: OnceLock::new(),
        }
    }

    /// The module that the function is in.
    pub(crate) const fn module(&self) -> &'static str {
        self.id.module()
    }

    /// The function's name.
    pub(crate) const fn function(&self) -> &'static str {
        self.id.function()
    }

    pub(crate) const fn id(&self) -> SiteId {
        self.id
    }

    /// The same, for what is to stay small.
    pub(crate) const fn place(&'static self) -> &'static SiteId {
        &self.id
    }

    /// What the cache of this number counts here, if it is the first that a call used; `new` makes it for that one.
    #[inline]
    pub(crate) fn counters_of(
        &self,
        cache: u64,
        new: impl FnOnce() -> Arc<Counters>,
    ) -> Option<&Arc<Counters>> {
        let (first, counters) = self.counters.get_or_init(|| (cache, new()));
        (*first == cache).then_some(counters)
    }

    /// The prefix of default keys in this instance of the function. `make` makes it, which costs as much as many a hit.
    pub(crate) fn default_prefix(&self, instance: &'static str, make: impl Fn() -> String) -> Cow<'_, str> {
        let (first, prefix) = self.prefix.get_or_init(|| (instance, make()));
        if *first == instance { Cow::Borrowed(prefix) } else { Cow::Owned(make()) }
    }

    /// Says once why calls run uncached. For reasons that hold no values.
    pub(crate) fn warn_uncached(&self, error: &Error) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(
                module = self.id.module(),
                function = self.id.function(),
                why,
                "calls run uncached"
            );
        }
    }
}
