//! What all kinds of lists have in common that serde tells apart: elements without names, fields with one.

/// Implements the six traits of lists for `$list<'_>`, or `$list<'_, T>` for each `T` of a trait, by its `element(name, value)`
/// and `close()`.
macro_rules! list_parts {
    ($list:ident, $error:ty) => {
        list_parts!(all [] [$list<'_>], $error);
    };
    ($list:ident<$held:ident: $bound:path>, $error:ty) => {
        list_parts!(all [$held: $bound] [$list<'_, $held>], $error);
    };
    (all $generics:tt $list:tt, $error:ty) => {
        list_parts!(elements $generics $list, $error: SerializeSeq serialize_element);
        list_parts!(elements $generics $list, $error: SerializeTuple serialize_element);
        list_parts!(elements $generics $list, $error: SerializeTupleStruct serialize_field);
        list_parts!(elements $generics $list, $error: SerializeTupleVariant serialize_field);
        list_parts!(fields $generics $list, $error: SerializeStruct);
        list_parts!(fields $generics $list, $error: SerializeStructVariant);
    };
    (elements [$($generics:tt)*] [$list:ty], $error:ty: $part:ident $method:ident) => {
        impl<$($generics)*> serde::ser::$part for $list {
            type Ok = ();
            type Error = $error;

            fn $method<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Result<(), $error> {
                self.element(None, value)
            }

            fn end(self) -> Result<(), $error> {
                self.close();
                Ok(())
            }
        }
    };
    (fields [$($generics:tt)*] [$list:ty], $error:ty: $part:ident) => {
        impl<$($generics)*> serde::ser::$part for $list {
            type Ok = ();
            type Error = $error;

            fn serialize_field<T: serde::Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), $error> {
                self.element(Some(name), value)
            }

            fn end(self) -> Result<(), $error> {
                self.close();
                Ok(())
            }
        }
    };
}

pub(crate) use list_parts;

/// Whether a type of this name has its elements in an order that says nothing.
pub(crate) fn names_set(name: &str) -> bool {
    let mut name = name.trim_start_matches('&');
    for holder in ["alloc::boxed::Box<", "alloc::sync::Arc<", "alloc::rc::Rc<", "core::option::Option<"] {
        name = name.strip_prefix(holder).unwrap_or(name).trim_start_matches('&');
    }
    ["std::collections::hash::set::HashSet<", "hashbrown::set::HashSet<"]
        .iter()
        .any(|set| name.starts_with(set))
}
