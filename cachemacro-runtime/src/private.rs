//! What generated code calls. Not part of the public interface: it changes without notice, and the attributes' crate
//! is pinned to exactly this version.

use std::fmt::{self, Debug, Display};
use std::future::Future;

use crate::cache::Cache;
use crate::entry::Entry;
use crate::outcome::Value;

mod args;
mod call;
mod explain;
mod kinds;
mod path;
mod probe;

pub use self::args::EntryArg;
pub use self::call::{Call, call, call_when};
pub use self::explain::{
    CanClone, CanDeserialize, CanSerialize, CanShare, CanStoreErr, CarriesError, GivesEntries, GivesTags,
    GivesTtl, KeyPart, NotNested, Printed, ReturnsErr, Same, StoresNone, carry, held, same, stores_none,
    strings, ttl,
};
pub use self::kinds::{Errors, Never, Opaque, Opt, Refused, Res, ResOpt, Shareable, Storing};
pub use self::path::{key, key_in_trait, key_under};
pub use self::probe::{
    DefaultStoringKind, Flat, Kind, NestedShape, OptShape, PlainShape, Probe, ResOptShape, ResShape,
    Returning, Shape, StoringKind,
};
pub use crate::__cachemacro_site as site;
pub use crate::key::{KeyBuilder, TagBuilder};
pub use crate::load::load;
pub use crate::options::{Policy, Ttl};
pub use crate::outcome::{Fallible, Outcome, Plain, Shared, Split};
pub use crate::rules::{CallRules, EntryRules, NoCallRules, NoRules, Rules};
pub use crate::schema;
pub use crate::site::Site;
pub use crate::write::{When, Writes, write};

/// The entry of one call of a site, in the scoped or the global cache.
pub fn entry<V: Value>(site: &'static Site, key: KeyBuilder) -> Entry<V> {
    entry_in(&crate::registry::current(), site, key)
}

/// The entry of one call of a site, in the cache that its attribute names.
pub fn entry_in<V: Value>(cache: &Cache, site: &'static Site, key: KeyBuilder) -> Entry<V> {
    let nameless = key.is_nameless();
    let key = key.finish();
    if let Err(error) = &key
        && nameless
        && !cache.is_disabled()
    {
        site.warn_uncached(error);
    }
    Entry::new(cache.clone(), Some(site), key)
}

/// A cache given by an expression.
pub const fn cache(cache: &Cache) -> Option<&Cache> {
    Some(cache)
}

/// Tells an async block the type that it gives, which a function's signature does not.
pub const fn hint<R>() -> Option<R> {
    None
}

/// The future as it is. A function whose body is nothing but an async block would be told to become an `async fn`.
pub const fn later<F: Future>(future: F) -> F {
    future
}

/// Rules of one call about what the function returns.
pub fn rules_for<R, O: Outcome<R>>(_outcome: O) -> NoCallRules<O::Value> {
    NoCallRules::new()
}

/// An argument as `Display` prints it, for when it is gone.
pub fn display_text<T: Printed + ?Sized>(argument: &T) -> PrintedText {
    PrintedText::new(format_args!("{argument}"))
}

/// An argument as `Debug` prints it, for when it is gone.
pub fn debug_text<T: Debug + ?Sized>(argument: &T) -> PrintedText {
    PrintedText::new(format_args!("{argument:?}"))
}

/// What was printed; fails to print where the argument did.
#[derive(Debug, Clone, Default)]
pub struct PrintedText(Option<String>);

impl PrintedText {
    fn new(text: fmt::Arguments<'_>) -> Self {
        let mut printed = String::new();
        let done = fmt::Write::write_fmt(&mut printed, text);
        Self(done.is_ok().then_some(printed))
    }
}

impl Display for PrintedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().ok_or(fmt::Error)?)
    }
}

/// One tag among several.
pub fn string(tag: impl Into<String>) -> String {
    tag.into()
}

/// The static of one annotated function.
#[doc(hidden)]
#[macro_export]
macro_rules! __cachemacro_site {
    ($function:literal $(at $place:tt)?) => {
        $crate::private::site!($function $(at $place)?, $crate::private::Policy::DEFAULT)
    };
    ($function:literal, $policy:expr) => {
        $crate::private::site!($function at (::core::line!(), ::core::column!()), $policy)
    };
    ($function:literal at $place:tt, $policy:expr) => {{
        // Beside it, `$policy` is the user's: a name that nobody else has.
        static __CACHEMACRO_SITE: $crate::private::Site =
            $crate::private::Site::new(::core::module_path!(), $function, $place, $policy);
        &__CACHEMACRO_SITE
    }};
}
