//! What is told to whoever is beside a cache, and how the entries are read that are found there.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::alike::{Meaning, Similar};
use crate::engine::core::Core;
use crate::engine::entry::Entry;
use crate::engine::neighbour::{Reading, Stored};
use crate::engine::raw::RawEntry;
use crate::ground::panics::caught;
use crate::key::{Key, prefix_of};
use crate::policy::outcome::Value;
use crate::policy::rules::TextsOf;
use crate::store::RawCommands;

/// What is to be told once a value was stored.
pub(crate) struct ToTell {
    key: Key,
    texts: Vec<String>,
    meaning: Option<Meaning>,
    is_sealed: bool,
}

impl ToTell {
    /// What is to be told of this value; `None` where nobody listens, where it is found by nothing, or where its texts could not be made: the value is stored all the same.
    pub(crate) fn of<V>(
        raw: &RawEntry,
        texts: Option<TextsOf<V>>,
        similar: Option<&Similar<V>>,
        value: &V,
    ) -> Option<Box<Self>> {
        raw.core.settings.beside.0.as_ref()?;
        if texts.is_none() && similar.is_none() {
            return None;
        }
        let is_sealed = raw.is_sealed();
        // What is sealed is told to nobody.
        let (texts, meaning) = if is_sealed {
            (Vec::new(), None)
        } else {
            let texts = texts.map_or_else(|| Some(Vec::new()), |texts| caught(|| texts(value)))?;
            (texts, similar.and_then(Similar::meaning))
        };
        Some(Box::new(Self { key: raw.key.clone(), texts, meaning, is_sealed }))
    }

    /// It was stored, for so long.
    pub(crate) fn tell(&self, core: &Core, life: Duration) {
        let Some(beside) = &core.settings.beside.0 else { return };
        let Self { key, texts, meaning, is_sealed } = self;
        let (namespace, key, meaning) = (core.namespace(), key.as_str(), meaning.as_ref());
        let stored = Stored { namespace, key, life, texts, meaning, is_sealed: *is_sealed };
        if caught(|| beside.stored(&stored)).is_none() {
            tracing::debug!("who is beside the cache panicked");
        }
    }
}

impl Core {
    /// Who sends commands that are none of the cache's own, where the store has a server.
    pub(crate) fn raw_commands(&self) -> Option<Arc<dyn RawCommands>> {
        self.store.raw_commands().is_some().then(|| Arc::new(self.store.clone()) as _)
    }
}

impl<T: Value> Entry<T> {
    /// Takes note of how its values are read, which are found by texts.
    pub(crate) fn is_searched(&self, texts: TextsOf<T>) {
        let Ok(raw) = &self.raw else { return };
        let (searched, prefix) = (&raw.core.searched, prefix_of(&raw.key));
        if searched.knows(prefix) {
            return;
        }
        let site = raw.site.as_ref().map(|(site, _)| *site);
        let Self { codec, schema, lends, .. } = *self;
        searched.note(prefix, Reading { policy: raw.policy, site, codec, schema, lends, texts });
    }

    /// The entry under this key, read as the function reads it that stores such values, as far as this process has called it.
    pub(crate) fn under(core: &Arc<Core>, key: Key) -> Self {
        let reading = core.searched.reading::<T>(prefix_of(&key));
        let Some(reading) = reading else { return Self::new(core.clone(), None, Ok(key)) };
        let mut entry = Self::new(core.clone(), reading.site, Ok(key));
        (entry.codec, entry.schema, entry.lends) = (reading.codec, reading.schema, reading.lends);
        // Tags that depend on nothing are named, as by the function: an entry that lacks one is none.
        let tags = reading.site.map_or(&[][..], |site| site.says.tags);
        let constant = tags.iter().filter(|tag| !tag.contains('{') && !tag.starts_with("= "));
        entry.with(|raw| {
            raw.policy = reading.policy;
            constant.for_each(|tag| raw.tag(tag));
        })
    }
}
