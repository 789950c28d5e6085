//! What a site's stored values are like: their prefix, codec and schema.

use std::sync::{Arc, Mutex};

use crate::ground::sync::lock;

/// The most that one site has noted: instances of a generic function may store values of any number of types.
const MOST: usize = 16;

/// Values of one prefix, codec and schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// As in the key, with the colon behind it.
    pub(crate) prefix: Box<str>,
    pub(crate) codec: u8,
    pub(crate) schema: u64,
    /// What tools read it by, as JSON.
    pub(crate) layout: Option<Arc<str>>,
}

/// All of one site.
#[derive(Debug, Default)]
pub(crate) struct Shapes(Mutex<Vec<Shape>>);

impl Shapes {
    /// Takes note that such a value was made ready to be stored.
    pub(crate) fn note(
        &self,
        prefix: &str,
        codec: u8,
        schema: u64,
        layout: impl FnOnce() -> Option<Arc<str>>,
    ) {
        let mut shapes = lock(&self.0);
        let is_known = |shape: &Shape| (shape.codec, shape.schema, &*shape.prefix) == (codec, schema, prefix);
        if shapes.len() < MOST && !shapes.iter().any(is_known) {
            shapes.push(Shape { prefix: prefix.into(), codec, schema, layout: layout() });
        }
    }

    pub(crate) fn noted(&self) -> Vec<Shape> {
        lock(&self.0).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_noted_once_and_so_many_at_most() {
        let shapes = Shapes::default();
        for schema in 0..100 {
            shapes.note("user:", 1, schema, || None);
            shapes.note("user:", 1, schema, || unreachable!("it is known"));
        }
        let noted = shapes.noted();
        assert_eq!(noted.len(), MOST);
        assert_eq!(noted[1], Shape { prefix: "user:".into(), codec: 1, schema: 1, layout: None });
    }
}
