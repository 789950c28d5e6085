//! What is taken for a tag: text, or a variant of an enum.

use std::borrow::Cow;

/// What names a tag wherever one is taken: text, or a value of an enum with [`#[derive(Tag)]`](https://docs.rs/cachemacro/latest/cachemacro/derive.Tag.html),
/// whose variants cannot be misspelt.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Tag};
/// use std::borrow::Cow;
///
/// enum Of {
///     Users,
///     Org(u32),
/// }
///
/// // As the derive does it.
/// impl Tag for Of {
///     fn text(&self) -> Cow<'_, str> {
///         match self {
///             Of::Users => "users".into(),
///             Of::Org(org) => format!("org:{org}").into(),
///         }
///     }
/// }
///
/// let cache = Cache::memory();
/// let user = cache.entry("user", 7).with_tags([Of::Users, Of::Org(3)]);
/// user.set(&"Ada".to_owned()).await?;
/// cache.evict_tags([Of::Org(3)]).await?;
/// assert_eq!(user.get().await?, None);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no tag",
    label = "this is taken for a tag",
    note = "a tag is text, or a value of an enum with `#[derive(cachemacro::Tag)]`"
)]
pub trait Tag {
    /// The tag as text, as templates write it: what is put into it is [escaped](crate::Key::escape).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Tag;
    ///
    /// assert_eq!("users".text(), "users");
    /// ```
    fn text(&self) -> Cow<'_, str>;
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str> + ?Sized> Tag for T {
    #[inline]
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.as_ref())
    }
}
