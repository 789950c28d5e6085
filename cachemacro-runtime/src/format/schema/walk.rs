//! The passes that walk a type.
//!
//! One pass drives `Deserialize` once, with the samples and variants that are next in turn. Each pass must learn
//! something (a new part, a variant explored, a sample refused), or it was the last.
//!
//! Where one place holds now this, now that (the content behind a tag, which is an enum without payloads), such enums go
//! around until a whole round has brought nothing new.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;

use super::fingerprint::{Fingerprint, Source, remembered};
use super::position::Position;
use super::tracer::{MAX_STEPS, Tracer};

/// The fingerprint of `T` as its `Deserialize` shows it; computed at the first call and remembered.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::schema::fingerprint_of;
///
/// #[derive(serde::Deserialize)]
/// struct Note {
///     text: String,
///     #[serde(flatten)]
///     rest: std::collections::HashMap<String, String>,
/// }
///
/// assert_eq!(fingerprint_of::<Vec<u8>>().unseen(), None);
/// assert!(fingerprint_of::<Note>().unseen().unwrap().contains("Note"));
/// ```
pub fn fingerprint_of<T: DeserializeOwned + 'static>() -> Fingerprint {
    remembered::<T>(Source::Traced, trace::<T>)
}

/// The hash of `T`'s shape, and the way to the first place that could not be seen.
fn trace<T: DeserializeOwned>() -> (u64, Option<String>) {
    let tracer = Tracer::default();
    let root = tracer.new_slot();
    let mut quiet = 0;
    let failure = loop {
        let before = tracer.progress();
        // A type's `Deserialize` may not be ready for samples. Its bug must not become ours.
        let pass = catch_unwind(AssertUnwindSafe(|| {
            Position::visit(&tracer, root, |position| T::deserialize(position).map(drop))
        }));
        if pass.is_err() {
            break Some("panicked at a sample value");
        }
        let mut state = tracer.state.borrow_mut();
        if state.steps > MAX_STEPS {
            break Some("too large to be walked");
        }
        quiet = if state.progress == before { quiet + 1 } else { 0 };
        if quiet >= state.round() {
            break None;
        }
        state.pass += 1;
    };
    let state = tracer.state.into_inner();
    let unseen = failure.map(String::from).or_else(|| state.unseen(root));
    (state.hash(root), unseen)
}
