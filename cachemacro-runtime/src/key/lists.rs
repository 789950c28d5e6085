//! What all kinds of lists have in common that serde tells apart: elements without names, fields with one.

/// Implements the six traits of lists for `$list<'_>`, by its `element(name, value)` and `close()`.
macro_rules! list_parts {
    ($list:ident, $error:ty) => {
        list_parts!(elements $list, $error: SerializeSeq serialize_element);
        list_parts!(elements $list, $error: SerializeTuple serialize_element);
        list_parts!(elements $list, $error: SerializeTupleStruct serialize_field);
        list_parts!(elements $list, $error: SerializeTupleVariant serialize_field);
        list_parts!(fields $list, $error: SerializeStruct);
        list_parts!(fields $list, $error: SerializeStructVariant);
    };
    (elements $list:ident, $error:ty: $part:ident $method:ident) => {
        impl serde::ser::$part for $list<'_> {
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
    (fields $list:ident, $error:ty: $part:ident) => {
        impl serde::ser::$part for $list<'_> {
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

pub(super) use list_parts;
