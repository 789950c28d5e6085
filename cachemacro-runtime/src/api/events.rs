//! Events of the application: what they evict, and what they are called where they go to other processes.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, RwLock, Weak};

use crate::calls::subscribe::Running;
use crate::engine::emitted::{Emitted, encode};
use crate::engine::evict::Evict;
use crate::format::codec::BuiltinCodec;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::sync;
use crate::policy::outcome::Value;

type Handler = Arc<dyn Fn(&(dyn Any + Send + Sync), Evict) -> Evict + Send + Sync>;
type Encoder = fn(&(dyn Any + Send + Sync), BuiltinCodec, usize) -> Result<Vec<u8>>;

/// Handlers by the type of their event, and those that go to other processes.
#[derive(Default)]
pub(crate) struct Events {
    handlers: RwLock<HashMap<TypeId, Vec<Handler>>>,
    declared: RwLock<HashMap<TypeId, Declared>>,
    subscriptions: Mutex<Vec<Weak<Running>>>,
}

/// What an event is called, and how it becomes bytes.
#[derive(Clone)]
struct Declared {
    name: String,
    keep: usize,
    encode: Encoder,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    pub(crate) fn on<E: Any + Send + Sync>(
        &self,
        handler: impl Fn(&E, Evict) -> Evict + Send + Sync + 'static,
    ) {
        let handler: Handler = Arc::new(move |event, evict| match event.downcast_ref() {
            Some(event) => handler(event, evict),
            None => evict,
        });
        sync::write(&self.handlers).entry(TypeId::of::<E>()).or_default().push(handler);
    }

    /// What the handlers of this event want evicted.
    pub(crate) fn collect<E: Any + Send + Sync>(&self, event: &E, evict: Evict) -> Evict {
        // Handlers are the user's code: none runs under the lock.
        let handlers = sync::read(&self.handlers).get(&TypeId::of::<E>()).cloned().unwrap_or_default();
        handlers.iter().fold(evict, |evict, handler| handler(event, evict))
    }

    /// Events of this type go to other processes under this name, percent-encoded.
    ///
    /// # Errors
    /// Why not, where something else was said before.
    pub(crate) fn declare<E: Value>(&self, name: &str, keep: usize) -> Result<(), &'static str> {
        let mut declared = sync::write(&self.declared);
        if declared.iter().any(|(of, other)| *of != TypeId::of::<E>() && other.name == name) {
            return Err("events of another type have that name");
        }
        if declared.get(&TypeId::of::<E>()).is_some_and(|other| other.name != name) {
            return Err("events of that type have another name");
        }
        let encode = |event: &(dyn Any + Send + Sync), codec, most| match event.downcast_ref::<E>() {
            Some(event) => encode(event, codec, most),
            None => Err(Error::new(ErrorKind::Encode, "the event is of another type")),
        };
        declared.insert(TypeId::of::<E>(), Declared { name: name.to_owned(), keep, encode });
        Ok(())
    }

    /// What events of this type are called.
    pub(crate) fn name(&self, of: TypeId) -> Option<String> {
        sync::read(&self.declared).get(&of).map(|declared| declared.name.clone())
    }

    /// This event on its way, where its type was declared.
    pub(crate) fn encode<E: Any + Send + Sync>(
        &self,
        event: &E,
        codec: BuiltinCodec,
        most: usize,
    ) -> Result<Option<Emitted>> {
        let declared = sync::read(&self.declared).get(&TypeId::of::<E>()).cloned();
        let Some(Declared { name, keep, encode }) = declared else { return Ok(None) };
        Ok(Some(Emitted { name, keep, payload: encode(event, codec, most)? }))
    }

    /// A subscription began.
    pub(crate) fn began(&self, running: &Arc<Running>) {
        let mut all = sync::lock(&self.subscriptions);
        all.retain(|running| running.strong_count() > 0);
        all.push(Arc::downgrade(running));
    }

    /// Ends all subscriptions, and waits for what is being handled.
    pub(crate) async fn stop(&self) {
        let all = std::mem::take(&mut *sync::lock(&self.subscriptions));
        let all: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
        for running in &all {
            running.stop();
        }
        for running in all {
            running.stopped().await;
        }
    }
}
