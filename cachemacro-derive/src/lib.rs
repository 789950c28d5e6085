//! The attributes of [cachemacro](https://docs.rs/cachemacro), which re-exports them; use that crate.
//!
//! Attribute tokens become spanned options, options and function a checked model, the model a handful of lines that
//! call the runtime. Nothing here knows of Redis or serde.

mod check;
mod config;
mod expand;
mod model;
mod pipeline;
mod schema;
mod syntax;
mod tag;
mod tokens;
mod values;

use proc_macro::TokenStream;

use crate::pipeline::guarded;
use crate::syntax::options::Macro;

/// Puts a cache in front of a function.
///
/// A call looks into the cache first. On a miss the function runs once, however many callers ask for the same key at
/// the same time in however many processes, and what it returned is stored. Whatever breaks in the cache, the function
/// runs.
///
/// ```
/// use cachemacro::cached;
/// # use std::io::Result;
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct User { name: String }
///
/// #[cached(prefix = "user", key = "{org}:{id}", ttl = "5m", tags = ["users", "org:{org}"], entry = user_entry)]
/// async fn user(org: u32, id: u64) -> Result<Option<User>> {
///     Ok(Some(User { name: format!("user {id}") })) // SELECT
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// user(1, 7).await?; // runs
/// user(1, 7).await?; // does not
/// # let runs = cachemacro::Cache::current().stats().total.loads;
/// assert_eq!(runs, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Functions
///
/// `fn`: its values are kept [in this process](https://github.com/cachemacro/cachemacro/blob/main/docs/sync.md), without serde and without a
/// runtime; `cache`, `codec`, `version` and `lease_limit` are not for it, and `entry` gives a `LocalEntry`.
///
/// `async fn`: free, inherent with any receiver, in a trait's `impl`, provided by a trait, under `#[async_trait]`,
/// `async unsafe fn`; and `fn … -> impl Future`, whose body runs at the first poll, on a miss only. A future that is boxed by
/// hand is seen into where the body is `Box::pin(async move { … })` and the return type says `Pin<Box<dyn Future<…>>>`;
/// aliases of it are not. Generics, lifetimes, references, patterns and `#[cfg]` on arguments work. The signature stays as
/// it is (but for an argument `_id` that only the key uses, which becomes `id`), and the future is [`Send`] where the
/// body's is.
///
/// ```
/// use std::sync::Arc;
/// use cachemacro::cached;
///
/// struct Weather;
///
/// impl Weather {
///     #[cached(ttl = "10m")]
///     async fn of(self: Arc<Self>, city: &str) -> f32 {
///         21.0
///     }
///
///     #[cached]
///     fn tomorrow(&self, (latitude, longitude): (i32, i32)) -> impl Future<Output = f32> + Send {
///         async move { (latitude + longitude) as f32 }
///     }
/// }
///
/// #[cached]
/// async unsafe fn at_address(address: usize) -> u8 {
///     0
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # Arc::new(Weather).of("Bern").await;
/// # assert_eq!(Weather.tomorrow((1, 2)).await, 3.0);
/// # // SAFETY: it does nothing.
/// # assert_eq!(unsafe { at_address(1).await }, 0);
/// # }
/// ```
///
/// # What is stored
///
/// The value inside `Result` and `Option`; `Err` and `None` only where the options say so. That is decided by types,
/// not by spelling, where the function is defined: an alias such as `anyhow::Result` is seen through, a type parameter
/// is a plain value. `Option<Result<…>>` is refused. The value must be `Clone + Send + Sync + 'static` and serde's.
///
/// # Options
///
/// | option | forms | default |
/// |---|---|---|
/// | `prefix` | string | module path and function name |
/// | `key` | see [below](#keys) | every argument but `self` |
/// | `skip(a, b)` | arguments left out of the default key, and the types that only they bring in; beside `key`, those types | none |
/// | `ttl` | `"250ms"` `"5m"` `"1h30m"` `"never"` · `Duration` expression over the arguments and [`result`](#the-value). Zero or under 1 ms: not stored. A tagged `never` is 30 days | the cache's |
/// | `tags` | list of templates and expressions over the arguments and `result`, `["users", "org:{result.org}"]` · expression giving strings · closure over the arguments | none |
/// | `condition` | expression over the arguments; false leaves the cache alone | `true` |
/// | `unless` | expression over the arguments and `result`; true returns the value unstored | never |
/// | `cache_none` | whether `None` is stored | `false` |
/// | `none_ttl` | how long `None` is stored; says that it is | the TTL |
/// | `cache_err` | whether `Err` is stored; the error must be serde's | `false` |
/// | `err_ttl` | how long `Err` is stored; says that it is | the TTL |
/// | `stale` | how long past its TTL a value serves at once, while one caller loads it anew, and where that load fails | the cache's |
/// | `max_age` | how old a value may get that serves where its load fails; it ends what is fresh and stale, too | the cache's |
/// | `refresh` | `"80%"`: part of its TTL after which one caller loads a value anew; `"80%, background"`: and nobody waits for it | the cache's |
/// | `soft`, `timeout` | how long a caller waits for its load where it has an old value; how long at all | to its end |
/// | `on_timeout` | constant of the return type, returned after `timeout`, such as `Err(Error::Late)` | none: it waits on |
/// | `jitter` | `"10%"`: TTLs are spread by this much, up and down | the cache's |
/// | `wait` | how long to wait for another's load; `"0s"`: not for other processes' | the cache's |
/// | `lease_limit` | how long a load may keep others from loading; it does not end the load | the cache's |
/// | `local` | `"10s"`: how long a decoded value may be kept in this process and be taken without asking the store · `"off"` · constant `Duration` | the cache's |
/// | `validate` | whether the store is asked all the same whether that value is still the one that is stored | `false` |
/// | `sealed` | whether nothing of it may be stored but sealed: where the cache has no keys for it, it runs uncached | `false` |
/// | `similar` | the argument that is a question, which may be answered with the cached answer of [one that means the same](https://github.com/cachemacro/cachemacro/blob/main/docs/similar.md): how wrong that can be is said there first | exact keys alone |
/// | `threshold` | beside `similar`: how alike questions have to be, above 0.0 up to 1.0 | none: it must be given |
/// | `embedder` | beside `similar`: what makes vectors of questions, an `Embedder` that is `Clone`, such as `self.embedder` | words are compared |
/// | `confirm` | beside `similar`: path to an `async fn(&str, &str, &Value) -> bool` of the question, the stored one, and its answer | every answer |
/// | `scope` | beside `similar`: `"shared"`, where the key has no part but the question | the other parts of the key |
/// | `recorded` | whether loads tell under which tags they are stored: those of cached calls and what is [recorded](https://docs.rs/cachemacro/latest/cachemacro/fn.record.html) in them, such as queries of `cachemacro-sql` | `false` |
/// | `write_behind` | expression giving the [queue](macro@cache_write_behind) whose writes change what is loaded: a miss looks into those that are pending before it loads | none |
/// | `codec` | type of a codec, such as `cachemacro::codec::Json` | the cache's |
/// | `version` | number, raised by hand where old values are to be misses | 0 |
/// | `cache` | expression giving a `&Cache`, such as `self.cache` | the scoped cache, else the global one |
/// | `entry` | name of a function to generate, see [below](#entries) | none |
/// | `value` | type: what is stored, where the return type's spelling hides it from `entry` | what is inside |
/// | `crate` | path to the facade, where it is renamed | `::cachemacro` |
///
///
/// Everything is checked where it stands, and all mistakes are reported at once. Options are evaluated once a call,
/// before the body: `condition`; then, unless it is false, the key, `cache`, `tags`, `ttl`. What mentions `result`, and
/// `unless`, is asked when there is a value.
///
/// # The value
///
/// One rule for all options of `#[cached]`, [`#[cache_put]`](macro@cache_put) and [`#[cache_evict]`](macro@cache_evict):
/// **`result` names the value that was loaded or returned; closures take the arguments by position.**
///
/// ```
/// use cachemacro::cached;
/// use std::time::Duration;
///
/// # #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// # struct Page { org: u32, is_draft: bool, premium: bool }
/// #[cached(
///     key = "{id}",
///     tags = ["pages", "org:{result.org}", "page:{id}"],
///     ttl = if result.premium { Duration::from_secs(60) } else { Duration::from_secs(3600) },
///     unless = result.is_draft,
/// )]
/// async fn page(id: u64) -> Option<Page> {
///     Some(Page { org: 7, is_draft: false, premium: true }) // SELECT
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// page(1).await;
/// cachemacro::Cache::current().evict_tags(["org:7"]).await?;
/// page(1).await;
/// assert_eq!(cachemacro::Cache::current().stats().total.loads, 2);
/// # Ok(())
/// # }
/// ```
///
/// `result` is a reference to what is inside `Result` and `Option`. What mentions it is asked after the body, once, and not
/// for `Err` or `None`; it cannot `.await`. It sees clones of the arguments that it mentions, because the body has taken
/// those, and of a `self` that is no reference; with `&mut self` it cannot mention `self`. Tags that do not mention
/// `result` are made before the body, also in the same list. A key, `condition` and `cache` are needed before the
/// body, so they cannot mention it.
///
/// Closures are a form of `key` and `tags`, and always take references to all arguments in their order, `self` apart. `ttl`
/// and `unless` are expressions. An argument called `result` must be renamed where an option mentions `result`.
///
/// # Keys
///
/// Two calls share an entry only if their keys are equal, and keys are equal only for equal arguments. Type and const
/// parameters of the function and its `impl`, and `Self` in traits, are part of every key, by their names. A call with a
/// closure among them is not cached, because closures have none: `skip` leaves out its type with the argument.
///
/// | form | the key is made of |
/// |---|---|
/// | none | every argument but `self`, through serde |
/// | `"{id}:{user.name}:{kind:?}"` | what the placeholders print: arguments, fields, method calls; `{self.tenant}` too, and `{type}` for `r#type`. `{{` and `}}` are braces |
/// | `\|id, page\| (id, page / 10)` | what the closure gives, through serde. Its parameters are references to the arguments in their order, `self` apart; `.await` works in it |
/// | `path::to::function` | what the function gives for references to all arguments |
/// | `(id, page / 10)`, `build(&user).await` | the expression's value, through serde. Names that stand bare in a tuple are borrowed |
///
/// ```
/// use cachemacro::cached;
///
/// #[cached(prefix = "search", key = |text, page| (text.to_lowercase(), page), entry = search_entry)]
/// async fn search(text: String, page: u32) -> Vec<u64> {
///     vec![]
/// }
///
/// assert_eq!(search_entry("Zug".to_owned(), 2).key().unwrap().as_str(), "search:zug:2");
/// ```
///
/// # Entries
///
/// `entry = user_entry` generates `fn user_entry(…) -> Entry<T>` beside the function, with its visibility (`entry = pub
/// user_entry` for another). It takes the arguments that key, tags, TTL and cache use, owned or borrowed, in the function's order, and
/// `&self` where they use it. `#[cache_put]` and `#[cache_evict]` take it, and so does the direct interface. In a
/// trait's `impl` it needs [`#[cache_config]`](macro@cache_config) on the `impl`, which makes it an inherent function.
/// With `entry`, what mentions `result`, and `unless`, cannot mention arguments, because puts through the entry ask the same
/// and know none; a tag of arguments is a tag of its own. In the generated function
/// arguments are references. Expressions are made to fit; what stands in a call of a macro is only in `format!`,
/// `format_args!`, `vec!` and `matches!`: for another write `{ let on = flag; my_macro!(on) }`.
///
/// ```
/// use cachemacro::{Entry, cached};
///
/// #[cached(prefix = "price", ttl = "1m", entry = price_entry)]
/// async fn price(article: &str, currency: &str) -> u64 {
///     1200
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// price("pen", "CHF").await;
/// let entry: Entry<u64> = price_entry("pen", String::from("CHF"));
/// assert_eq!(entry.get().await?, Some(1200));
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn cached(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Macro::Cached, options, item)
}

/// Writes what a function returns to the cache.
///
/// The function always runs. After success its value replaces what was cached; after an `Err` the cache is as it was. Two puts
/// that race leave the value that is current, or nothing.
///
/// ```
/// use cachemacro::{cache_put, cached};
/// # use std::io::Result;
///
/// #[cached(prefix = "name", key = "{id}", entry = name_entry)]
/// async fn name(id: u64) -> Result<Option<String>> {
///     Ok(None) // SELECT
/// }
///
/// #[cache_put(entry = name_entry(id), unless = result.is_empty())]
/// async fn rename(id: u64, name: String) -> Result<String> {
///     Ok(name) // UPDATE
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// rename(7, "Ada".to_owned()).await?;
/// assert_eq!(name(7).await?.as_deref(), Some("Ada"));
/// # Ok(())
/// # }
/// ```
///
/// A put that does not store (`unless`, `None` without `cache_none`, too large, not encodable) evicts. So does one whose
/// body was cancelled or panicked, because it may have written already.
///
/// # Options
///
/// | option | forms | default |
/// |---|---|---|
/// | `entry` | expression giving the entry to write; key, tags, TTL, rules, codec and value type come from its `#[cached]` function | |
/// | `prefix`, `key` | the same without an `entry` function | |
/// | `ttl`, `tags` | as in [`#[cached]`](macro@cached), beside `prefix` and `key` | the cache's; none |
/// | `condition` | expression over the arguments; false leaves the cache alone | `true` |
/// | `unless` | expression over the arguments and `result`; true evicts instead | never |
/// | `cache_none`, `none_ttl`, `stale`, `max_age`, `jitter`, `codec`, `version`, `cache` | as in `#[cached]`, beside `prefix` and `key` | |
/// | `on_err` | `"evict"`: an `Err` evicts, where a failed write may have happened | `"keep"` |
/// | `on_evict_error` | `"return"`: a failed evict is what the function returns, where its error can be made from `cachemacro::Error` | `"log"`: it is logged and counted |
/// | `crate` | path to the facade | `::cachemacro` |
///
/// Arguments that stand bare in the call of an entry function are borrowed, so that the body can move them. So a function
/// of your own in its place takes them by reference: `fn by_hand(id: &u64) -> Entry<User>`.
///
/// [`result`](macro@cached#the-value) is the value inside what the function returned, in `key`, `tags`, `ttl`, `unless` and
/// `entry`. A put that learns its key from it evicts that key after the body and stores nothing. `self` is there beside
/// `result`, and in `unless`, only in functions that take `&self`.
///
/// `prefix` and `key` in a trait or a generic `impl` write the entry of the function in the same `impl`, and evict
/// that of a function of this prefix elsewhere; entries of other generic functions need `entry`.
///
/// Several `#[cache_put]` and `#[cache_evict]` on one function are one write with one guard.
#[proc_macro_attribute]
pub fn cache_put(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Macro::Put, options, item)
}

/// Evicts from the cache when a function succeeded.
///
/// The function always runs. After success what the attribute names is gone, in every process, for every read that
/// begins after the function returned; after an `Err` the cache is as it was. What a function was about to evict when
/// it was cancelled or panicked is evicted too, because it may have written already.
///
/// ```
/// use cachemacro::{cache_evict, cached};
/// # use std::io::Result;
///
/// #[cached(prefix = "post", key = "{id}", entry = post_entry)]
/// async fn post(id: u64) -> Result<String> {
///     Ok(format!("post {id}")) // SELECT
/// }
///
/// #[cached(prefix = "posts-of", tags = ["posts-of:{author}"])]
/// async fn posts_of(author: &str, page: u32) -> Result<Vec<u64>> {
///     Ok(vec![7]) // SELECT
/// }
///
/// #[cache_evict(entry = post_entry(id), tags = ["posts-of:{result}"])]
/// async fn delete(id: u64) -> Result<String> {
///     Ok("ada".to_owned()) // DELETE … RETURNING author
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// post(7).await?;
/// posts_of("ada", 1).await?;
/// delete(7).await?;
/// assert!(!post_entry(7).has().await.unwrap());
/// # posts_of("ada", 1).await?;
/// # assert_eq!(cachemacro::Cache::current().stats().total.loads, 3);
/// # Ok(())
/// # }
/// ```
///
/// # Options
///
/// | option | forms | default |
/// |---|---|---|
/// | `entry` | expression giving the entry to evict | |
/// | `entries` | iterator of entries; all of one cache go in one request | |
/// | `prefix`, `key` | one entry, without an `entry` function | |
/// | `prefix`, `all` | the whole prefix; this scans the server's keys, where a tag costs nothing | |
/// | `tags` | as in [`#[cached]`](macro@cached) | none |
/// | `before` | evict before the body too, and again after it, whatever becomes of it; a failure before it counts only if the evict after it fails too | `false` |
/// | `cache` | expression giving the `&Cache` that keys, tags and prefixes are evicted from | the scoped cache, else the global one |
/// | `on_err` | `"evict"`: after an `Err` too, where a failed write may have happened | `"keep"` |
/// | `on_evict_error` | `"return"`: a failed evict is what the function returns, where its error can be made from `cachemacro::Error` | `"log"`: it is logged and counted |
/// | `crate` | path to the facade | `::cachemacro` |
///
/// In `key`, `tags`, `entry` and `entries`, [`result`](macro@cached#the-value) is the value inside what the function
/// returned; where there is none, what mentions it does nothing. Arguments mentioned beside it are cloned. Whatever the function returns will do, but for `!`: it need not be cacheable, and may be an `impl
/// Trait`, of which `result` then knows nothing.
#[proc_macro_attribute]
pub fn cache_evict(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Macro::Evict, options, item)
}

/// Has a queue write what a function returns, later.
///
/// The function computes the new value, and writes nothing itself. The call returns once the queue, a `cachemacro::WriteBehind` of the feature
/// `write-behind`, has accepted that value at the cache's server; whoever owns the queue's partition applies it to the database later, many together.
/// From there on every process reads it: the entry is evicted, and a `#[cached]` function that names the queue as its `write_behind` looks into
/// what is pending before it loads.
///
/// ```
/// use cachemacro::{Cache, Result, WriteBehind, cache_write_behind, cached};
///
/// struct Users {
///     cache: Cache,
///     renames: WriteBehind<String>,
/// }
///
/// impl Users {
///     #[cached(prefix = "user", key = "{id}", cache = self.cache, entry = user_entry, write_behind = self.renames)]
///     async fn name(&self, id: u64) -> Result<Option<String>> {
///         Ok(None) // SELECT
///     }
///
///     #[cache_write_behind(entry = self.user_entry(id), queue = self.renames, tags = ["user-lists"])]
///     async fn rename(&self, id: u64, name: String) -> Result<String> {
///         Ok(name) // the new value; the queue writes it
///     }
///
///     #[cache_write_behind(entry = self.user_entry(id), queue = self.renames, delete)]
///     async fn remove(&self, id: u64) -> Result<()> {
///         Ok(()) // whether it may go
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let cache = Cache::memory();
/// // Others apply what this process accepts; what is in memory ends with it.
/// let renames = WriteBehind::named("renames").volatile(true).connect(&cache).await?;
/// let users = Users { cache, renames };
/// users.rename(7, "Ada".to_owned()).await?;
/// assert_eq!(users.name(7).await?.as_deref(), Some("Ada"));
/// users.remove(7).await?;
/// assert_eq!(users.name(7).await?, None);
/// # Ok(())
/// # }
/// ```
///
/// [The guide](https://github.com/cachemacro/cachemacro/blob/main/docs/write-behind.md) has an example that runs, what is promised, and when not to use it.
///
/// # What is written
///
/// | the function returns | the queue |
/// |---|---|
/// | a value, in `Ok` and `Some` where there are such | puts it |
/// | `None`, in `Ok` where there is one | deletes: the entry holds nothing from then on |
/// | `Err` | is told nothing |
/// | under `delete`, anything but an `Err` | deletes |
///
/// A write that was not accepted, because the queue stayed full or the server failed, is the function's error: it returns a `Result` whose error can be
/// made from `cachemacro::Error`. Of a server that failed the write may have been accepted all the same. A call that is cancelled before its function
/// has returned writes nothing.
///
/// # Options
///
/// | option | forms | default |
/// |---|---|---|
/// | `entry` | expression giving the entry that is written; arguments that stand bare in its call are borrowed | |
/// | `queue` | expression giving the queue, of the entry's type | |
/// | `tags` | as in [`#[cached]`](macro@cached): evicted once the write was applied | none |
/// | `delete` | the entry is removed, whatever the function returns beside an `Err` | `false` |
/// | `crate` | path to the facade | `::cachemacro` |
///
/// [`result`](macro@cached#the-value) is the value that is written, in `entry` and `tags`. What mentions it names nothing where there is none.
///
/// It stands alone: what `#[cache_put]` and `#[cache_evict]` do is done before the queue writes, and would be outdated.
#[proc_macro_attribute]
pub fn cache_write_behind(options: TokenStream, item: TokenStream) -> TokenStream {
    attribute(Macro::WriteBehind, options, item)
}

/// Sets defaults for the attributes inside an `impl` or trait.
///
/// Takes every option of [`#[cached]`](macro@cached), [`#[cache_put]`](macro@cache_put) and
/// [`#[cache_evict]`](macro@cache_evict) but those that are about one function: `key`, `skip`, `entry`, `value`, `entries`, `all` and
/// `before`. What is written inside replaces the default. `tags` never reach an evict, and with `entry` none does that
/// the entry has itself: `condition`, `on_err` and `on_evict_error` do. A default that mentions `self` is a mistake in a
/// function that takes none, unless the function has its own. `cache_none`, `none_ttl` and `cache_err` are for the
/// functions that return an `Option` or a `Result`.
///
/// The attributes inside carry their own names: `#[cached]`, `#[cachemacro::cached]`, also inside `#[cfg_attr(…)]`. One that
/// was imported under another name, as in `use cachemacro::cached as memo`, cannot be known, and gets no defaults.
///
/// ```
/// use cachemacro::{Cache, cache_config, cache_evict, cached};
///
/// struct Users {
///     cache: Cache,
/// }
///
/// #[cache_config(prefix = "user", ttl = "1m", tags = ["users"], cache = self.cache)]
/// impl Users {
///     #[cached(key = "{id}", entry = user_entry)]
///     async fn user(&self, id: u64) -> String {
///         format!("user {id}")
///     }
///
///     #[cached(key = "by-name:{name}", ttl = "1h")]
///     async fn by_name(&self, name: &str) -> Option<u64> {
///         Some(7)
///     }
///
///     #[cache_evict(entry = self.user_entry(id))]
///     async fn delete(&self, id: u64) {}
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// let users = Users { cache: Cache::memory() };
/// users.user(7).await;
/// users.cache.evict_tags(["users"]).await?;
/// assert!(!users.user_entry(7).has().await?);
/// # users.by_name("ada").await;
/// # users.delete(7).await;
/// # Ok(())
/// # }
/// ```
///
/// No argument may make the keys of two functions of one prefix equal: `{id}` and `by-name:{name}` have another number of
/// parts, `{id}` and `all` are one key where `id` is `all`. What an expression gives is any number of parts, unless it is
/// a tuple: `("by-name", name.trim())`.
///
/// It goes above or below `#[async_trait]`. On a trait's `impl` it moves the functions that `entry` names into an
/// inherent `impl`, where they are `pub(crate)` unless the option says `entry = pub name`.
#[proc_macro_attribute]
pub fn cache_config(options: TokenStream, item: TokenStream) -> TokenStream {
    guarded(&item.into(), |item| config::rewrite(options.into(), item)).into()
}

/// Describes the shape of a type whose `Deserialize` cannot be walked through, so that entries written by an older or newer
/// version of it are misses: types with `#[serde(flatten)]`, `#[serde(tag = …)]` or `#[serde(untagged)]`.
///
/// Names, order and types of fields and variants count, and the `#[serde(…)]` attributes as they stand. Fields that serde
/// skips do not. What functions named in `#[serde(with = …)]` read is not seen: raise the site's `version` where they
/// change. Type parameters must be `CacheSchema` themselves. Fields whose types have no `CacheSchema` are walked.
///
/// `#[cachemacro(crate = path)]` names the facade where it is not `::cachemacro`.
///
/// ```
/// use cachemacro::CacheSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, CacheSchema)]
/// #[serde(tag = "type")]
/// enum Event {
///     Created { id: u64 },
///     Renamed { id: u64, name: String },
/// }
/// ```
#[proc_macro_derive(CacheSchema, attributes(cachemacro))]
pub fn cache_schema(input: TokenStream) -> TokenStream {
    let input = proc_macro2::TokenStream::from(input);
    guarded(&proc_macro2::TokenStream::new(), |_| schema::derive(input)).into()
}

/// Makes the variants of an enum tags, wherever a tag is taken: one that is misspelt does not compile.
///
/// A tag's text is the variant's name in small letters with `-` between words, then its fields behind `:`, each printed by `Display` and escaped as in
/// templates; `#[tag("org:{0}")]` on a variant gives another, in which all its fields are named.
///
/// `#[cachemacro(crate = path)]` names the facade where it is not `::cachemacro`.
///
/// ```
/// use cachemacro::{Tag, cache_evict, cached};
///
/// #[derive(Tag)]
/// enum Of {
///     Users,              // users
///     Org(u32),           // org:7
///     #[tag("shelf:{shop}/{id}")]
///     Shelf { shop: u32, id: u64 },
/// }
///
/// #[cached(prefix = "user", key = "{id}", tags = [Of::Users, Of::Org(org)])]
/// async fn user(org: u32, id: u64) -> String {
///     format!("user {id} of {org}")
/// }
///
/// #[cache_evict(tags = [Of::Org(org)])]
/// async fn rename_all(org: u32) {}
///
/// assert_eq!(Of::Shelf { shop: 1, id: 2 }.text(), "shelf:1/2");
/// ```
#[proc_macro_derive(Tag, attributes(tag, cachemacro))]
pub fn tag(input: TokenStream) -> TokenStream {
    let input = proc_macro2::TokenStream::from(input);
    guarded(&proc_macro2::TokenStream::new(), |_| tag::derive(input)).into()
}

/// One of the attributes of functions.
fn attribute(this: Macro, options: TokenStream, item: TokenStream) -> TokenStream {
    guarded(&item.into(), |item| pipeline::expand(this, options.into(), item)).into()
}
