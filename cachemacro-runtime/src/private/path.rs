//! Where a key begins: the function's path, and the types that it was called with.
//!
//! The compiler's name of a closure tells both, in functions, inherent impls, trait impls and provided methods
//! alike: `app::Repo<app::Pg>::user::{{closure}}`. It is the only thing that an attribute on a method can ask, as it
//! does not see the `impl` around it.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt::Display;

use crate::key::KeyBuilder;
use crate::policy::site::Site;

/// The beginning of a key: the function's path, the types of its `impl`, and `Self` in traits. `inside` is a closure
/// in the function.
pub fn key<F>(site: &Site, inside: &F) -> KeyBuilder {
    let name = type_name::<F>();
    let prefix = site.default_prefix(name, || default_prefix(place_of(name), site.function()));
    key_under(&prefix, inside).form("")
}

/// The same with `prefix` instead of the path.
pub fn key_under<F>(prefix: &str, _inside: &F) -> KeyBuilder {
    let (key, name) = (KeyBuilder::new(prefix), type_name::<F>());
    // As a rule there are none, and that is seen at once.
    if !name.contains('<') {
        return key;
    }
    match impl_types(place_of(name)) {
        Some(types) => key.types(&types),
        None => key,
    }
}

/// The same for a method of a trait's `impl` whose entry is had outside of it. `of_trait` is the trait as the `impl`
/// spells it, which tells it from other traits within one module.
pub fn key_in_trait<S: ?Sized>(site: &Site, prefix: Option<&str>, of_trait: &str) -> KeyBuilder {
    let place = format!("{}::<{} as {}>", site.module(), type_name::<S>(), of_trait.replace(' ', ""));
    let prefix = match prefix {
        Some(prefix) => Cow::Borrowed(prefix),
        None => Cow::Owned(default_prefix(&place, site.function())),
    };
    let is_own = matches!(&prefix, Cow::Owned(_));
    let key = KeyBuilder::new(&prefix).types(&readable(&place));
    if is_own { key.form("") } else { key }
}

impl KeyBuilder {
    /// The type that a type parameter stands for.
    #[must_use]
    pub fn of_type<T: ?Sized>(self) -> Self {
        self.types(&readable(type_name::<T>()))
    }

    /// The type of an argument that is `impl Trait`.
    #[must_use]
    pub fn of_val<T: ?Sized>(self, _argument: &T) -> Self {
        self.of_type::<T>()
    }

    /// The value of a const parameter.
    #[must_use]
    pub fn of_const<T: Display>(self, value: T) -> Self {
        self.types(&value.to_string())
    }
}

/// What the function is in: `app::Repo<app::Pg>` of `app::Repo<app::Pg>::user<u8>::{{closure}}`.
fn place_of(closure: &str) -> &str {
    let mut path = closure;
    while let Some(outer) = path.strip_suffix("::{{closure}}") {
        path = outer;
    }
    last_separator(path).map_or("", |at| &path[..at])
}

/// Where the last `::` outside of angle brackets is.
fn last_separator(path: &str) -> Option<usize> {
    let bytes = path.as_bytes();
    let mut depth = 0usize;
    let mut at = bytes.len();
    while at > 1 {
        at -= 1;
        match bytes[at] {
            b'>' if bytes[at - 1] != b'-' => depth += 1,
            b'<' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && bytes[at - 1] == b':' => return Some(at - 1),
            _ => {}
        }
    }
    None
}

/// Path and function, without generic arguments, with dots.
fn default_prefix(place: &str, function: &str) -> String {
    let mut out = String::with_capacity(place.len() + function.len() + 1);
    let mut depth = 0usize;
    let mut before = ' ';
    for c in place.chars() {
        match c {
            // A bracket after a name opens generic arguments; any other one is `<T as Trait>` or `<impl T>`.
            '<' if depth > 0 || is_name(before) => depth += 1,
            '>' if depth > 0 && before != '-' => depth -= 1,
            _ if depth == 0 => out.push(c),
            _ => {}
        }
        before = c;
    }
    let mut out = out.replace("<impl ", "").replace(['<', '>'], "");
    for (from, to) in [(" as ", "."), (" for ", "."), ("::", ".")] {
        out = out.replace(from, to);
    }
    if !out.is_empty() {
        out.push('.');
    }
    out.push_str(function);
    out
}

/// The types that two functions of one path may differ in: the generic arguments of an `impl`, and `Self` in traits.
fn impl_types(place: &str) -> Option<String> {
    let at = place.find('<')?;
    let inside = place[at..].strip_prefix("<impl ");
    if let Some(inside) = inside {
        let inside = inside.strip_suffix('>').unwrap_or(inside);
        let telling = inside.contains('<') || inside.contains(" for ");
        return telling.then(|| readable(inside));
    }
    Some(readable(place))
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '}'
}

/// Type names with dots, because a colon in a key is structure.
fn readable(name: &str) -> String {
    name.replace("::", ".").replace(", ", ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(closure: &str) -> (String, Option<String>) {
        let place = place_of(closure);
        (default_prefix(place, "f"), impl_types(place))
    }

    #[test]
    fn instances_of_one_function_have_prefixes_of_their_own() {
        let site = crate::private::site!("f");
        let of = |instance| site.default_prefix(instance, || format!("made of {instance}")).into_owned();
        for instance in ["a", "b", "a", "b"] {
            assert_eq!(of(instance), format!("made of {instance}"));
        }
    }

    #[test]
    fn a_free_function_has_its_path_and_no_types() {
        assert_eq!(parts("app::users::f::{{closure}}::{{closure}}"), ("app.users.f".into(), None));
    }

    #[test]
    fn generic_arguments_of_the_function_itself_are_not_looked_at() {
        assert_eq!(parts("app::f<&str, 3>::{{closure}}"), ("app.f".into(), None));
        assert_eq!(parts("app::f<fn(u8) -> u8>::{{closure}}"), ("app.f".into(), None));
    }

    #[test]
    fn arguments_of_an_inherent_impl_are_types() {
        let (prefix, types) = parts("app::Repo<app::Pg<u8>>::f<u8>::{{closure}}");
        assert_eq!((prefix.as_str(), types.as_deref()), ("app.Repo.f", Some("app.Repo<app.Pg<u8>>")));
    }

    #[test]
    fn an_impl_in_another_module_names_the_module_and_the_type() {
        assert_eq!(
            parts("app::inner::<impl app::m::P>::f::{{closure}}"),
            ("app.inner.app.m.P.f".into(), None)
        );
    }

    #[test]
    fn self_is_a_type_in_traits() {
        let (prefix, types) = parts("<app::S<u8> as app::m::Tr<u8>>::f::{{closure}}");
        assert_eq!(
            (prefix.as_str(), types.as_deref()),
            ("app.S.app.m.Tr.f", Some("<app.S<u8> as app.m.Tr<u8>>"))
        );
        let (prefix, types) = parts("app::<impl app::m::Tr<u8> for [u8; 3]>::f::{{closure}}");
        assert_eq!(
            (prefix.as_str(), types.as_deref()),
            ("app.app.m.Tr.[u8; 3].f", Some("app.m.Tr<u8> for [u8; 3]"))
        );
    }

    #[test]
    fn methods_of_one_name_on_two_types_differ() {
        assert_ne!(parts("app::A::f::{{closure}}"), parts("app::B::f::{{closure}}"));
        assert_ne!(parts("app::<impl A>::f::{{closure}}"), parts("app::<impl B>::f::{{closure}}"));
    }
}
