//! What the generated `entry` functions accept as arguments.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

/// An argument of type `T`, owned or borrowed, as an `entry` function takes it.
#[diagnostic::on_unimplemented(
    message = "this entry's argument is a `{T}`, not a `{Self}`",
    label = "expected `{T}` or a reference to it"
)]
pub trait EntryArg<T: ?Sized> {
    /// The argument.
    fn arg(&self) -> &T;
}

#[diagnostic::do_not_recommend]
impl<T> EntryArg<T> for T {
    fn arg(&self) -> &T {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T: ?Sized> EntryArg<T> for &T {
    fn arg(&self) -> &T {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T: ?Sized> EntryArg<T> for &&T {
    fn arg(&self) -> &T {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T: ?Sized> EntryArg<T> for &mut T {
    fn arg(&self) -> &T {
        self
    }
}

macro_rules! derefs {
    ($([$($generic:tt)*] $holder:ty => $held:ty;)+) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($generic)*> EntryArg<$held> for $holder {
            fn arg(&self) -> &$held {
                self
            }
        }
    )+};
}

derefs! {
    [] String => str;
    [] &String => str;
    ['a] Cow<'a, str> => str;
    ['a] &Cow<'a, str> => str;
    [] Box<str> => str;
    [] &Box<str> => str;
    [] Arc<str> => str;
    [] &Arc<str> => str;
    [] Rc<str> => str;
    [] &Rc<str> => str;
    [T] Vec<T> => [T];
    [T] &Vec<T> => [T];
    [T] Box<[T]> => [T];
    [T] &Box<[T]> => [T];
    [T] Arc<[T]> => [T];
    [T] &Arc<[T]> => [T];
}

#[diagnostic::do_not_recommend]
impl<T, const N: usize> EntryArg<[T]> for [T; N] {
    fn arg(&self) -> &[T] {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<T, const N: usize> EntryArg<[T]> for &[T; N] {
    fn arg(&self) -> &[T] {
        *self
    }
}
