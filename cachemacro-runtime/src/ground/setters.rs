//! Setters of structs that can grow: each takes the struct and gives it back, also in a `const`.

/// `pub const fn with_field(self, field) -> Self` for each of these fields, which must be `Copy`.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($field:ident: $type:ty);)+) => {
        $($(#[$doc])*
        #[must_use]
        pub const fn $name(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        })+
    };
}

pub(crate) use setters;
