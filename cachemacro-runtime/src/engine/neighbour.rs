//! Who keeps something beside entries: told of values that were stored, with the texts by which they are to be found, and asked for questions that mean the same.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::alike::{Asked, Candidate, Judged, Meaning};
use crate::format::codec::CodecFor;
use crate::format::schema::Fingerprint;
use crate::ground::sync;
use crate::policy::rules::TextsOf;
use crate::policy::site::Site;
use crate::policy::ttl::Policy;
use crate::store::RawCommands;

/// How long a call waits for what is near, where whoever is beside the cache says nothing else.
pub(crate) const NEAR: Duration = Duration::from_secs(1);

/// Who keeps something beside the entries of a cache, such as an index to find them by: told of each value that is stored with
/// [texts](crate::EntryRules::search). What it keeps is a hint: whoever finds a key by it reads the entry ([`Cache::entry_of`](crate::Cache::entry_of)), and evicts,
/// tags, TTLs and schemas need nothing there.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Beside, Cache, EntryRules, Stored, store::RawCommands};
/// use std::sync::{Arc, Mutex};
///
/// /// Remembers which key has which text.
/// #[derive(Default)]
/// struct Names(Mutex<Vec<(String, String)>>);
///
/// impl Beside for Names {
///     fn stored(&self, stored: &Stored<'_>) {
///         self.0.lock().unwrap().push((stored.texts[0].clone(), stored.key.to_owned()));
///     }
///
///     fn attached(&self, commands: Option<Arc<dyn RawCommands>>) {
///         assert!(commands.is_none(), "a store in memory has no server");
///     }
/// }
///
/// let names = Arc::new(Names::default());
/// let cache = Cache::builder().memory().beside(names.clone()).build()?;
/// let rules = EntryRules::none().search(|name: &String| vec![name.clone()]);
/// cache.entry("airport", "EGLL").with_rules(rules).set(&"London Heathrow".to_owned()).await?;
///
/// let (name, key) = names.0.lock().unwrap()[0].clone();
/// assert_eq!((&*name, &*key), ("London Heathrow", "airport:EGLL"));
/// assert_eq!(cache.entry_of::<String>(&key).get().await?, Some(name));
/// # Ok(())
/// # }
/// ```
///
/// For functions with `similar` it finds questions that mean the same, in the time that it says:
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use async_trait::async_trait;
/// use cachemacro::{Asked, Beside, Candidate, Judged, Stored};
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
///
/// /// Questions are the same whatever the case of their letters.
/// #[derive(Default)]
/// struct AnyCase(Mutex<Vec<(String, Arc<str>)>>);
///
/// #[async_trait]
/// impl Beside for AnyCase {
///     fn stored(&self, stored: &Stored<'_>) {
///         let Some(meaning) = stored.meaning else { return };
///         self.0.lock().unwrap().push((meaning.scope.to_string(), meaning.text.clone()));
///     }
///
///     fn deadline(&self) -> Duration {
///         Duration::from_millis(10)
///     }
///
///     async fn near(&self, asked: &Asked<'_>) -> Vec<Candidate> {
///         let known = self.0.lock().unwrap();
///         let same = known.iter().filter(|(scope, _)| scope == asked.scope);
///         let same = same.filter(|(_, text)| text.eq_ignore_ascii_case(asked.text));
///         same.map(|(_, text)| Candidate::new(text.clone(), text.clone(), 1.0)).collect()
///     }
///
///     fn judged(&self, _: &Asked<'_>, candidate: &Candidate, judged: Judged) {
///         if judged == Judged::Gone {
///             self.0.lock().unwrap().retain(|(_, text)| *text != candidate.key);
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Beside: Any + Send + Sync {
    /// A value with texts, or of a function with `similar`, was stored. Returns soon: the call that stored it waits. A panic in it is caught.
    fn stored(&self, stored: &Stored<'_>);

    /// It is beside a cache now, whose store takes commands by `commands`, if it has a server.
    fn attached(&self, commands: Option<Arc<dyn RawCommands>>) {
        let _ = commands;
    }

    /// How long the cache waits for [`near`](Self::near): what takes longer has found nothing. Default: one second.
    fn deadline(&self) -> Duration {
        NEAR
    }

    /// Questions of the same scope that may mean what is asked, the nearest first, none below the threshold. Only the first five are looked at. A panic in it is caught. A call waits
    /// for it, no longer than [`deadline`](Self::deadline): it is dropped then.
    async fn near(&self, asked: &Asked<'_>) -> Vec<Candidate> {
        let _ = asked;
        Vec::new()
    }

    /// What became of one of them. Returns soon: a call waits. A panic in it is caught.
    fn judged(&self, asked: &Asked<'_>, candidate: &Candidate, judged: Judged) {
        let _ = (asked, candidate, judged);
    }
}

/// A value that was stored, as whoever is [`Beside`] the cache is told.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # use cachemacro::Stored;
/// fn line(stored: &Stored<'_>) -> String {
///     format!("{}:{} for {:?}", stored.namespace, stored.key, stored.life)
/// }
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Stored<'a> {
    /// The namespace of the cache, as keys have it; empty where there is none.
    pub namespace: &'a str,
    /// The entry's key behind the namespace, as [`Key::as_str`](crate::Key::as_str) gives it.
    pub key: &'a str,
    /// How long the entry lives.
    pub life: Duration,
    /// By what it is to be found; nothing where it is sealed.
    pub texts: &'a [String],
    /// By what it is found as the answer to questions that mean the same; nothing where it is sealed.
    pub meaning: Option<&'a Meaning>,
    /// Whether it is sealed: then nothing of its key and value is to be kept anywhere.
    pub is_sealed: bool,
}

/// Its texts are not shown.
impl fmt::Debug for Stored<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("life", &self.life)
            .field("texts", &self.texts.len())
            .finish_non_exhaustive()
    }
}

/// Who is beside a cache.
#[derive(Clone, Default)]
pub(crate) struct Neighbour(pub(crate) Option<Arc<dyn Beside>>);

impl fmt::Debug for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "one beside" } else { "nobody beside" })
    }
}

/// How values are read that are found by texts, by the beginning of their keys.
#[derive(Default)]
pub(crate) struct Searched(RwLock<HashMap<Box<str>, Arc<dyn Any + Send + Sync>>>);

/// How the function reads that stores them.
pub(crate) struct Reading<T> {
    pub(crate) policy: Policy,
    pub(crate) site: Option<&'static Site>,
    pub(crate) codec: Option<CodecFor<T>>,
    pub(crate) schema: fn() -> Fingerprint,
    pub(crate) lends: bool,
    pub(crate) texts: TextsOf<T>,
}

impl Searched {
    /// Whether anything is stored under this beginning that is found by texts.
    pub(crate) fn knows(&self, prefix: &str) -> bool {
        sync::read(&self.0).contains_key(prefix)
    }

    /// Takes note of how values are read there, unless that is known.
    pub(crate) fn note<T: 'static>(&self, prefix: &str, reading: Reading<T>) {
        sync::write(&self.0).entry(prefix.into()).or_insert_with(|| Arc::new(reading));
    }

    /// How values of this type are read there.
    pub(crate) fn reading<T: 'static>(&self, prefix: &str) -> Option<Arc<Reading<T>>> {
        sync::read(&self.0).get(prefix).cloned()?.downcast().ok()
    }
}
