//! Types that describe their shape themselves, by `#[derive(CacheSchema)]`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

use super::fingerprint::{Described, Fingerprint, Source, remembered};
use super::walk::fingerprint_of;
use super::words::{write_number, write_word};

/// A type that tells its shape, instead of having it guessed from its `Deserialize`.
///
/// Derive it for types with `#[serde(flatten)]`, `#[serde(tag = …)]` or `#[serde(untagged)]`, or with fields that take any
/// value. Fields whose types have no `CacheSchema` are traced.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::schema::{CacheSchema, Schema, described};
///
/// struct Celsius(f64);
///
/// impl CacheSchema for Celsius {
///     fn describe(schema: &mut Schema) {
///         schema.named::<Self>("Celsius", "", |schema| schema.part("0", "", f64::describe));
///     }
/// }
///
/// assert_ne!(described::<Celsius>().hash(), described::<f64>().hash());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not describe its shape",
    note = "add `#[derive(CacheSchema)]` to it"
)]
pub trait CacheSchema {
    /// Adds this type's shape to `schema`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::schema::{CacheSchema, Schema, described};
    ///
    /// struct Money(i64);
    ///
    /// impl CacheSchema for Money {
    ///     fn describe(schema: &mut Schema) {
    ///         schema.word("money in cents");
    ///     }
    /// }
    /// assert_ne!(described::<Money>(), described::<i64>());
    /// ```
    fn describe(schema: &mut Schema);

    /// Whether walking its `Deserialize` sees all of it, so that its entries are found by prefix and key too, where
    /// nobody knows that it has a `CacheSchema`.
    #[doc(hidden)]
    const WALKED: bool = false;
}

/// A shape in the making: what [`CacheSchema::describe`] writes to.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::schema::{CacheSchema, Schema, described};
///
/// struct Point { x: f64, y: f64 }
///
/// impl CacheSchema for Point {
///     fn describe(schema: &mut Schema) {
///         schema.named::<Self>("Point", "", |schema| {
///             schema.part("x", "", f64::describe);
///             schema.part("y", "", f64::describe);
///         });
///     }
/// }
/// assert_eq!(described::<Point>().unseen(), None);
/// ```
#[derive(Debug, Default)]
pub struct Schema {
    hasher: Xxh3Debug,
    /// Named types described so far, so that one inside itself ends.
    named: Vec<&'static str>,
    way: Vec<&'static str>,
    unseen: Option<String>,
    any: bool,
}

#[derive(Default)]
struct Xxh3Debug(Xxh3);

impl std::fmt::Debug for Xxh3Debug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Xxh3")
    }
}

impl Schema {
    /// A word of the description: a primitive's name, a container's.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::schema::{CacheSchema, Schema, described};
    ///
    /// struct Celsius(f64);
    ///
    /// impl CacheSchema for Celsius {
    ///     fn describe(schema: &mut Schema) {
    ///         schema.word("celsius");
    ///         f64::describe(schema);
    ///     }
    /// }
    /// assert_ne!(described::<Celsius>(), described::<f64>());
    /// ```
    pub fn word(&mut self, word: &str) {
        write_word(&mut self.hasher.0, word);
    }

    /// A type with a name, its serde attributes and its parts; described once, and by number where it appears again.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::schema::{CacheSchema, Schema, described};
    ///
    /// struct Tree { children: Vec<Tree> }
    ///
    /// impl CacheSchema for Tree {
    ///     fn describe(schema: &mut Schema) {
    ///         schema.named::<Self>("Tree", "", |schema| schema.part("children", "", Vec::<Tree>::describe));
    ///     }
    /// }
    /// assert_eq!(described::<Tree>().unseen(), None, "a type inside itself ends");
    /// ```
    pub fn named<T: ?Sized>(&mut self, name: &str, attributes: &str, parts: impl FnOnce(&mut Self)) {
        // Only to find the type again within this description: the compiler's spelling is not hashed.
        let identity = std::any::type_name::<T>();
        if let Some(number) = self.named.iter().position(|&known| known == identity) {
            self.word("again");
            return write_number(&mut self.hasher.0, number);
        }
        self.named.push(identity);
        self.word(name);
        self.attributes(attributes);
        parts(self);
        self.word("end");
    }

    /// A field or variant, its serde attributes and what it holds.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::schema::{CacheSchema, Schema, described};
    ///
    /// struct User { name: String }
    ///
    /// impl CacheSchema for User {
    ///     fn describe(schema: &mut Schema) {
    ///         schema.named::<Self>("User", "", |schema| {
    ///             schema.part("name", r#"rename = "n""#, String::describe);
    ///         });
    ///     }
    /// }
    /// assert_ne!(described::<User>(), described::<String>());
    /// ```
    pub fn part(&mut self, name: &'static str, attributes: &str, inside: impl FnOnce(&mut Self)) {
        self.word("part");
        self.word(name);
        self.attributes(attributes);
        self.way.push(name);
        inside(self);
        self.way.pop();
        self.word("end");
    }

    /// Serde attributes, some of which make a type ask for any value. A name that only looks like one costs a second
    /// look at each value and no more.
    fn attributes(&mut self, attributes: &str) {
        self.any |= ["flatten", "tag", "untagged"].iter().any(|asks| attributes.contains(asks));
        self.word(attributes);
    }

    #[doc(hidden)]
    pub fn traced<T: DeserializeOwned + 'static>(&mut self) {
        let fingerprint = fingerprint_of::<T>();
        self.word("traced");
        self.hasher.0.update(&fingerprint.hash().to_le_bytes());
        self.any |= fingerprint.asks_for_any();
        if let Some(inner) = fingerprint.unseen() {
            self.not_seen(inner);
        }
    }

    #[doc(hidden)]
    pub fn opaque<T: ?Sized>(&mut self) {
        self.word("opaque");
        self.not_seen(std::any::type_name::<T>());
    }

    fn not_seen(&mut self, what: &str) {
        if self.unseen.is_none() {
            self.unseen = Some(format!("{} ({what})", self.way.join(".")));
        }
    }
}

/// The fingerprint of `T` as its [`CacheSchema`] describes it; computed at the first call and remembered.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::schema::described;
///
/// assert_ne!(described::<Option<u8>>(), described::<Vec<u8>>());
/// assert_eq!(described::<Box<u8>>().hash(), described::<u8>().hash(), "serde writes them alike");
/// ```
pub fn described<T: CacheSchema + 'static>() -> Fingerprint {
    remembered::<T>(Source::Described, || {
        let mut schema = Schema::default();
        T::describe(&mut schema);
        Described { hash: schema.hasher.0.digest(), unseen: schema.unseen, any: schema.any, layout: None }
    })
}

/// The same, with the layout that a walk finds, where it sees all of the type: what serde writes follows from its attributes, which the
/// description takes as they stand.
pub(crate) fn described_and_laid_out<T: CacheSchema + DeserializeOwned + 'static>() -> Fingerprint {
    described::<T>().laid_out_as(&fingerprint_of::<T>())
}

macro_rules! primitives {
    ($($ty:ty = $name:literal)*) => {$(
        impl CacheSchema for $ty {
            const WALKED: bool = true;

            fn describe(schema: &mut Schema) {
                schema.word($name);
            }
        }
    )*};
}

primitives! {
    bool = "bool" char = "char" str = "str" String = "str" () = "unit"
    i8 = "i8" i16 = "i16" i32 = "i32" i64 = "i64" i128 = "i128" isize = "i64"
    u8 = "u8" u16 = "u16" u32 = "u32" u64 = "u64" u128 = "u128" usize = "u64"
    f32 = "f32" f64 = "f64"
    std::time::Duration = "duration" std::time::SystemTime = "system time"
    std::net::IpAddr = "ip" std::net::Ipv4Addr = "ipv4" std::net::Ipv6Addr = "ipv6"
    std::net::SocketAddr = "socket" std::path::PathBuf = "path"
}

/// Serde writes these as what they hold.
macro_rules! transparent {
    ($([$($generics:tt)*] $ty:ty => $inner:ty;)*) => {$(
        impl<$($generics)*> CacheSchema for $ty {
            const WALKED: bool = <$inner>::WALKED;

            fn describe(schema: &mut Schema) {
                <$inner>::describe(schema);
            }
        }
    )*};
}

transparent! {
    [T: CacheSchema + ?Sized] Box<T> => T;
    [T: CacheSchema + ?Sized] Rc<T> => T;
    [T: CacheSchema + ?Sized] Arc<T> => T;
    [T: CacheSchema + ToOwned + ?Sized] Cow<'_, T> => T;
    [T: CacheSchema + ?Sized] &T => T;
    [T: CacheSchema] std::cell::Cell<T> => T;
    [T: CacheSchema] std::cell::RefCell<T> => T;
    [T: CacheSchema] std::sync::Mutex<T> => T;
    [T: CacheSchema] std::sync::RwLock<T> => T;
    [T: CacheSchema] std::num::Wrapping<T> => T;
    [T: CacheSchema] std::cmp::Reverse<T> => T;
}

macro_rules! containers {
    ($([$($generics:tt)*] $ty:ty = $name:literal ($($inner:ty),*);)*) => {$(
        impl<$($generics)*> CacheSchema for $ty {
            const WALKED: bool = true $(&& <$inner>::WALKED)*;

            fn describe(schema: &mut Schema) {
                schema.word($name);
                $(<$inner>::describe(schema);)*
            }
        }
    )*};
}

containers! {
    [T: CacheSchema] Option<T> = "option" (T);
    [T: CacheSchema] [T] = "seq" (T);
    [T: CacheSchema] Vec<T> = "seq" (T);
    [T: CacheSchema] VecDeque<T> = "seq" (T);
    [T: CacheSchema] LinkedList<T> = "seq" (T);
    [T: CacheSchema] BinaryHeap<T> = "seq" (T);
    [T: CacheSchema] BTreeSet<T> = "seq" (T);
    [T: CacheSchema, S] HashSet<T, S> = "seq" (T);
    [K: CacheSchema, V: CacheSchema] BTreeMap<K, V> = "map" (K, V);
    [K: CacheSchema, V: CacheSchema, S] HashMap<K, V, S> = "map" (K, V);
    [T: CacheSchema, E: CacheSchema] Result<T, E> = "result" (T, E);
    [T: CacheSchema] std::ops::Range<T> = "range" (T);
    [T: CacheSchema] std::ops::RangeInclusive<T> = "range inclusive" (T);
    [T: ?Sized] PhantomData<T> = "phantom" ();
}

impl<T: CacheSchema, const N: usize> CacheSchema for [T; N] {
    const WALKED: bool = T::WALKED;

    fn describe(schema: &mut Schema) {
        schema.word("array");
        write_number(&mut schema.hasher.0, N);
        T::describe(schema);
    }
}

macro_rules! tuples {
    ($($len:literal: $($name:ident)*;)*) => {$(
        impl<$($name: CacheSchema),*> CacheSchema for ($($name,)*) {
            const WALKED: bool = true $(&& $name::WALKED)*;

            fn describe(schema: &mut Schema) {
                schema.word("tuple");
                write_number(&mut schema.hasher.0, $len);
                $($name::describe(schema);)*
            }
        }
    )*};
}

tuples! {
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
    7: A B C D E F G;
    8: A B C D E F G H;
    9: A B C D E F G H I;
    10: A B C D E F G H I J;
    11: A B C D E F G H I J K;
    12: A B C D E F G H I J K L;
}
