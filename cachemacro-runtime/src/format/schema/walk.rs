//! The passes that walk a type, and what a refusal means.
//!
//! One pass drives `Deserialize` once, with the samples and variants that are next in turn. Each pass must learn
//! something (a new part, a variant explored, a sample refused), or it was the last.
//!
//! Where one place holds now this, now that (the content behind a tag, which is an enum without payloads), such enums go
//! around until a whole round has brought nothing new.
//!
//! Recursion ends because a part that is met inside itself gets the least that it takes: no option, no element, a
//! variant that is known to be made.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;

use super::position::Position;
use super::tracer::{MAX_STEPS, Tracer};

/// The fingerprint of `T`, and the way to the first place that could not be seen.
pub(super) fn trace<T: DeserializeOwned>() -> (u64, Option<String>) {
    let tracer = Tracer::default();
    let root = tracer.new_slot();
    let mut quiet = 0;
    let failure = loop {
        let before = tracer.progress();
        // A type's `Deserialize` may not be ready for samples. Its bug must not become ours.
        let pass = catch_unwind(AssertUnwindSafe(|| {
            tracer.visit(root, || T::deserialize(Position::at(&tracer, root)).map(drop))
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
