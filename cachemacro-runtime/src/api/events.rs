//! Events of the application that evict.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use crate::engine::evict::Evict;
use crate::ground::sync;

type Handler = Arc<dyn Fn(&(dyn Any + Send + Sync), Evict) -> Evict + Send + Sync>;

/// Handlers by the type of their event.
#[derive(Default)]
pub(crate) struct Events(RwLock<HashMap<TypeId, Vec<Handler>>>);

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
        sync::write(&self.0).entry(TypeId::of::<E>()).or_default().push(handler);
    }

    /// What the handlers of this event want evicted.
    pub(crate) fn collect<E: Any + Send + Sync>(&self, event: &E, evict: Evict) -> Evict {
        // Handlers are the user's code: none runs under the lock.
        let handlers = sync::read(&self.0).get(&TypeId::of::<E>()).cloned().unwrap_or_default();
        handlers.iter().fold(evict, |evict, handler| handler(event, evict))
    }
}
