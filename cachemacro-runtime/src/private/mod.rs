//! What generated code calls. Not part of the public interface: it changes without notice, and the attributes' crate
//! is pinned to exactly this version.

use std::fmt::{self, Debug, Display};
use std::future::Future;

use crate::api::cache::Cache;
use crate::engine::claims::Claim;
use crate::engine::entry::Entry;
use crate::key::failure::KeyFailure;
use crate::policy::outcome::Value;

mod args;
mod bounds;
mod call;
mod explain;
mod hit;
mod kinds;
mod local;
#[cfg(not(feature = "write-behind"))]
mod no_queueing;
mod path;
mod probe;
#[cfg(feature = "write-behind")]
mod queueing;
mod similar;
mod writes;

pub use self::args::EntryArg;
pub use self::bounds::{CanClone, CanDeserialize, CanSerialize, CanShare, CanStoreErr, NotNested};
pub use self::call::{Call, call, call_when};
pub use self::explain::{
    CarriesError, GivesTags, GivesTtl, Holds, Kept, ReturnsErr, Same, StoresNone, carry, held, kept, same,
    stores_none, strings, tags_of, ttl,
};
pub use self::hit::{Arguments, hit};
pub use self::kinds::{Errors, Never, Opaque, Opt, Refused, Res, ResOpt, Shareable, Storing};
pub use self::local::{
    CanKeepErr, DefaultLocalStoringKind, Keepable, LocalArguments, LocalCall, LocalKind, LocalStoringKind,
    NO_ARGUMENTS, local_call, local_call_when, local_entry, local_hit, parts_of,
};
#[cfg(not(feature = "write-behind"))]
pub use self::no_queueing::{TakesWrites, queue_of};
pub use self::path::{key, key_in_trait, key_under};
pub use self::probe::{
    DefaultStoringKind, Flat, Kind, NestedShape, OptShape, PlainShape, Probe, ResOptShape, ResShape,
    Returning, Shape, StoringKind,
};
#[cfg(feature = "write-behind")]
pub use self::queueing::{
    IsQueue, PendingCall, Queueing, RemovedFrom, TakesWrites, TellsUnaccepted, queue_of, queue_of_any,
    unaccepted,
};
pub use self::similar::boxed;
pub use self::writes::{Evictable, Evicting, GivesEntries, HoldsHere, Writes, held_here, write};
pub use crate::__cachemacro_parts as parts;
pub use crate::__cachemacro_site as site;
pub use crate::calls::behind::Behind;
pub use crate::calls::load::load;
pub use crate::calls::write::When;
pub use crate::engine::alike::{Question, Similar};
pub use crate::engine::local::LocalEntry;
pub use crate::format::schema;
pub use crate::key::KeyBuilder;
pub use crate::key::framed::Framed;
pub use crate::key::part::{KeyPart, Printed};
pub use crate::key::parts::{Call as PartsOfCall, Parts, To, ToCompare, ToHash, ToKeep};
pub use crate::key::tag::{Tag, TagBuilder};
pub use crate::policy::outcome::{Fallible, Outcome, Plain, Shared, Split};
pub use crate::policy::rules::{CallRules, EntryRules, NoCallRules, NoRules, Rules, SearchBy, VerifyBy};
pub use crate::policy::says::Says;
pub use crate::policy::site::Site;
pub use crate::policy::ttl::{Policy, Ttl};
pub use crate::policy::verify::Verify;

/// The entry of one call of a site, in the scoped or the global cache.
pub fn entry<V: Value>(site: &'static Site, key: KeyBuilder) -> Entry<V> {
    entry_in(&Cache::current(), site, key)
}

/// The entry of one call of a site, in the cache that its attribute names.
pub fn entry_in<V: Value>(cache: &Cache, site: &'static Site, key: KeyBuilder) -> Entry<V> {
    let nameless = key.is_nameless();
    let (claimed, has_types) = (key.claimed(), key.has_types());
    let key = key.finish();
    if let Err(error) = &key
        && nameless
        && !cache.is_disabled()
    {
        site.warn_uncached(error);
    }
    let entry = Entry::new(cache.core().clone(), Some(site), key);
    let Some((place, form)) = claimed else { return entry };
    entry.with(|raw| {
        let begin = raw.key.as_str().get(..place);
        let claim = || Some(claim::<V>(begin?, form));
        let instance = begin.filter(|_| has_types);
        let clashes =
            raw.site.as_ref().is_some_and(|(_, counters)| raw.core.clashes(counters, instance, claim));
        // Evicts go through: in another process this function may be the one that is cached.
        if clashes {
            raw.unusable = Some(KeyFailure::Shared);
        }
    })
}

/// What a function claims whose keys begin with `prefix`.
fn claim<V: Value>(prefix: &str, form: &'static str) -> Claim {
    match form {
        "" => Claim::Prefix(prefix.to_owned()),
        form => Claim::Form(prefix.to_owned(), form, schema::fingerprint_of::<V>().hash()),
    }
}

/// The entry of one call of a site, in the cache that its attribute names, if any.
pub fn entry_at<V: Value>(cache: Option<&Cache>, site: &'static Site, key: KeyBuilder) -> Entry<V> {
    match cache {
        Some(cache) => entry_in(cache, site, key),
        None => entry(site, key),
    }
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
pub fn string(tag: impl Into<String>) -> Tag {
    Tag::from(tag.into())
}

/// The text of a tag whose fields were printed.
///
/// # Panics
/// Where the `Display` of one failed, as `to_string` does.
pub fn text_of(tag: Tag) -> String {
    tag.into_text().unwrap_or_else(|_| panic!("a field of the tag cannot be printed"))
}

/// One text among several by which a value is found.
pub fn text<T: ToString + ?Sized>(text: &T) -> String {
    text.to_string()
}

/// Those texts.
pub fn text_list<const N: usize>(texts: [String; N]) -> Vec<String> {
    texts.into()
}

/// Texts as an expression gives them.
pub fn texts<T: AsRef<[S]> + ?Sized, S: ToString>(texts: &T) -> Vec<String> {
    texts.as_ref().iter().map(ToString::to_string).collect()
}

/// Several tags.
pub fn tags<const N: usize>(tags: [Tag; N]) -> Vec<Tag> {
    tags.into()
}

/// The static of one annotated function.
#[doc(hidden)]
#[macro_export]
macro_rules! __cachemacro_site {
    ($function:literal $(at $place:tt)? $(; $says:expr)?) => {
        $crate::__private::site!($function $(at $place)?, $crate::__private::Policy::new() $(; $says)?)
    };
    ($function:literal, $policy:expr $(; $says:expr)?) => {
        $crate::__private::site!($function at (::core::line!(), ::core::column!(), 0), $policy $(; $says)?)
    };
    ($function:literal at $place:tt, $policy:expr) => {
        $crate::__private::site!($function at $place, $policy; $crate::__private::Says::new(""))
    };
    ($function:literal at $place:tt, $policy:expr; $says:expr) => {{
        // Beside it, `$policy` is the user's: a name that nobody else has.
        static __CACHEMACRO_SITE: $crate::__private::Site = $crate::__private::Site::new(
            ::core::module_path!(),
            $function,
            $place,
            ::core::option_env!("CARGO_PKG_VERSION"),
            $policy,
            $says,
        );
        &__CACHEMACRO_SITE
    }};
}

/// The arguments of a call, as these statements tell them to `$to`.
#[doc(hidden)]
#[macro_export]
macro_rules! __cachemacro_parts {
    ($site:ident, |$to:ident| $told:block) => {
        $crate::__private::parts_of(
            $site,
            &|| (),
            |$to: &mut $crate::__private::ToHash<'_>| $told,
            |$to: &mut $crate::__private::ToCompare<'_>| $told,
            |$to: &mut $crate::__private::ToKeep<'_>| $told,
        )
    };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::{Event, Level};

    use crate::api::cache::Cache;
    use crate::ground::told::hearing;
    use crate::key::KeyBuilder;
    use crate::policy::says::Says;
    use crate::policy::site::Site;
    use crate::policy::ttl::Policy;
    use crate::private::entry_in;

    #[tokio::test]
    async fn one_function_in_two_versions_of_a_package_is_two() {
        let site = |package| {
            let site = Site::new("shop::users", "get", (7, 1, 0), package, Policy::new(), Says::new(""));
            &*Box::leak(Box::new(site))
        };
        let cache = Cache::memory();
        let get = |site| entry_in::<u8>(&cache, site, KeyBuilder::new("shop.users.get").form("").arg(&1));
        assert!(get(site(Some("1.0.0"))).get().await.is_ok());
        assert!(get(site(Some("1.0.0"))).get().await.is_ok(), "the entry function has a site of its own");
        assert!(get(site(Some("2.0.0"))).get().await.is_err(), "it is the other version's");
        let here = format!("{:?}", crate::private::site!("f").id());
        assert!(here.contains(env!("CARGO_PKG_VERSION")), "{here}");
    }

    #[test]
    fn a_site_warns_once_that_closures_are_not_cached() {
        let count = Arc::new(AtomicUsize::new(0));
        let warned = count.clone();
        let warn = move |event: &Event<'_>| {
            warned.fetch_add(usize::from(*event.metadata().level() == Level::WARN), Ordering::Relaxed);
        };
        let cache = Cache::memory();
        hearing(warn, || {
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
