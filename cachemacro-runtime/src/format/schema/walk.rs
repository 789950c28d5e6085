//! The passes that walk a type.
//!
//! One pass drives `Deserialize` once, with the samples and variants that are next in turn. Each pass must learn
//! something (a new part, a variant explored, a sample refused), or it was the last.
//!
//! Where one place holds now this, now that (the content behind a tag, which is an enum without payloads), such enums go
//! around until a whole round has brought nothing new.

use std::any::type_name;

use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

use super::fingerprint::{Described, Fingerprint, Source, remembered};
use super::position::Position;
use super::silence::{tried, wrap_hook};
use super::tracer::{MAX_STEPS, Tracer};
use super::words::{write_number, write_word};

/// The fingerprint of `T` as its `Deserialize` shows it; computed at the first call and remembered. A panic at a sample is
/// caught, and the panic hook hears nothing of it. In programs whose panics abort no type is walked: the fingerprint is
/// then that of its name and size, and [`unseen`](Fingerprint::unseen) says so.
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
    // A panic at a sample, which is caught elsewhere, would end the process.
    remembered::<T>(Source::Traced, if cfg!(panic = "abort") { named::<T> } else { trace::<T> })
}

fn trace<T: DeserializeOwned>() -> Described {
    let tracer = Tracer::default();
    let root = tracer.new_slot();
    let mut quiet = 0;
    wrap_hook();
    let failure = loop {
        let before = tracer.progress();
        // A type's `Deserialize` may not be ready for samples. Its bug must not become ours.
        let pass = tried(|| Position::visit(&tracer, root, |position| T::deserialize(position).map(drop)));
        if pass.is_none() {
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
    let layout = if unseen.is_none() { state.layout(root) } else { None };
    Described { hash: state.hash(root), unseen, any: state.asks_for_any(), layout }
}

/// What is known of a type without walking it: its name, which says nothing of its fields, and its size and alignment,
/// which many changes of them change.
fn named<T>() -> Described {
    let name = type_name::<T>();
    let mut hasher = Xxh3::new();
    write_word(&mut hasher, "named");
    write_word(&mut hasher, name);
    write_number(&mut hasher, size_of::<T>());
    write_number(&mut hasher, align_of::<T>());
    let unseen = (!is_std(name)).then(|| String::from("not walked, because panics abort"));
    Described { hash: hasher.digest(), unseen, any: false, layout: None }
}

/// Whether the name is that of a type of the standard library, with nothing else inside.
fn is_std(name: &str) -> bool {
    let paths = name.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let roots = paths.filter_map(|path| path.split_once("::"));
    roots.map(|(root, _)| root).all(|root| ["core", "alloc", "std"].contains(&root))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    struct Own;

    #[test]
    fn a_type_that_is_not_walked_is_told_by_name_and_size() {
        let [text, list, own, owns] =
            [named::<String>(), named::<Vec<u8>>(), named::<Own>(), named::<HashMap<String, Option<Own>>>()];
        assert_eq!(text.hash, named::<String>().hash);
        assert_ne!(text.hash, list.hash);
        assert_ne!(named::<[u8; 2]>().hash, named::<[u8; 3]>().hash);
        assert_eq!((text.unseen, list.unseen, named::<(u8, &str)>().unseen), (None, None, None));
        assert!(own.unseen.is_some() && owns.unseen.is_some(), "of its fields nothing is known");
    }
}
