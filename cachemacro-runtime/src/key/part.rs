//! What a key may be made of, worded for the user.

use std::fmt::Display;

use serde::Serialize;

/// An argument in a default key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a key because it is not `serde::Serialize`",
    label = "this is part of the key",
    note = "leave an argument out with `skip(…)`, name what makes up the key with `key = \"…\"`, or derive `serde::Serialize`"
)]
pub trait KeyPart: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> KeyPart for T {}

/// What a placeholder prints.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be printed in a template because it is not `Display`",
    label = "a placeholder of this template prints a `{Self}`",
    note = "write `{{name:?}}` for what `Debug` prints, name a field or call a method as in `{{name.id}}`, or give an expression instead of a template: `key = (a, b)` goes through serde"
)]
pub trait Printed: Display {}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> Printed for T {}
