//! The fingerprint sees every change of a type's shape, gets through the types that values are made of, and ends.

#![expect(
    clippy::option_option,
    clippy::items_after_statements,
    clippy::struct_field_names,
    reason = "types declared on the spot, for their shape"
)]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use cachemacro_runtime::schema::{Fingerprint, fingerprint_of};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

fn hash<T: DeserializeOwned + 'static>() -> u64 {
    let fingerprint: Fingerprint = fingerprint_of::<T>();
    assert_eq!(fingerprint.unseen(), None, "{}", std::any::type_name::<T>());
    fingerprint.hash()
}

/// The fingerprint of a type called `T`, declared on the spot.
macro_rules! shape {
    ($($item:item)*) => {{
        mod declared {
            #![allow(dead_code, unreachable_pub, reason = "only the shape counts")]
            use super::*;
            $($item)*
            pub(super) fn of() -> Fingerprint {
                fingerprint_of::<T>()
            }
        }
        declared::of()
    }};
}

/// Declares several modules, each with a type `T`, and asserts that no two have the same fingerprint.
macro_rules! all_differ {
    ($($name:ident { $($item:item)* })*) => {{
        $(mod $name {
            #![allow(dead_code, unused_imports, unreachable_pub, reason = "only the shape counts")]
            use super::super::*;
            $($item)*
        })*
        let shapes = [$((stringify!($name), hash::<$name::T>())),*];
        let distinct: HashMap<u64, &str> = shapes.iter().map(|(name, hash)| (*hash, *name)).collect();
        assert_eq!(distinct.len(), shapes.len(), "{shapes:?}");
    }};
}

mod changes {
    #[test]
    fn of_a_struct_are_seen() {
        use super::*;
        all_differ! {
            base { #[derive(Deserialize)] pub struct T { id: u64, karma: u64 } }
            reordered { #[derive(Deserialize)] pub struct T { karma: u64, id: u64 } }
            renamed { #[derive(Deserialize)] pub struct T { id: u64, score: u64 } }
            renamed_by_serde { #[derive(Deserialize)] pub struct T { id: u64, #[serde(rename = "s")] karma: u64 } }
            retyped { #[derive(Deserialize)] pub struct T { id: u64, karma: i64 } }
            wider { #[derive(Deserialize)] pub struct T { id: u64, karma: u32 } }
            optional { #[derive(Deserialize)] pub struct T { id: u64, karma: Option<u64> } }
            boxed_twice { #[derive(Deserialize)] pub struct T { id: u64, karma: Option<Option<u64>> } }
            longer { #[derive(Deserialize)] pub struct T { id: u64, karma: u64, name: String } }
            shorter { #[derive(Deserialize)] pub struct T { id: u64 } }
            tuple { #[derive(Deserialize)] pub struct T(u64, u64); }
            newtype { #[derive(Deserialize)] pub struct T(u64); }
            unit { #[derive(Deserialize)] pub struct T; }
            other_name { #[derive(Deserialize)] #[serde(rename = "U")] pub struct T { id: u64, karma: u64 } }

        }
    }

    #[test]
    fn of_an_enum_are_seen() {
        use super::*;
        all_differ! {
            base { #[derive(Deserialize)] pub enum T { A, B(u8), C { x: u8 } } }
            reordered { #[derive(Deserialize)] pub enum T { B(u8), A, C { x: u8 } } }
            added { #[derive(Deserialize)] pub enum T { A, B(u8), C { x: u8 }, D } }
            renamed { #[derive(Deserialize)] pub enum T { A, B(u8), D { x: u8 } } }
            first_payload { #[derive(Deserialize)] pub enum T { A(u8), B(u8), C { x: u8 } } }
            second_payload { #[derive(Deserialize)] pub enum T { A, B(u16), C { x: u8 } } }
            two_in_second { #[derive(Deserialize)] pub enum T { A, B(u8, u8), C { x: u8 } } }
            field_type { #[derive(Deserialize)] pub enum T { A, B(u8), C { x: u16 } } }
            field_name { #[derive(Deserialize)] pub enum T { A, B(u8), C { y: u8 } } }
            field_added { #[derive(Deserialize)] pub enum T { A, B(u8), C { x: u8, y: u8 } } }
        }
    }

    #[test]
    fn deep_inside_are_seen() {
        use super::*;
        all_differ! {
            base {
                #[derive(Deserialize)] pub struct T { all: BTreeMap<String, Vec<Option<(u8, Inner)>>> }
                #[derive(Deserialize)] pub enum Inner { A, B([State; 2]) }
                #[derive(Deserialize)] pub enum State { New, Held { by: u32 } }
            }
            last_variant {
                #[derive(Deserialize)] pub struct T { all: BTreeMap<String, Vec<Option<(u8, Inner)>>> }
                #[derive(Deserialize)] pub enum Inner { A, B([State; 2]) }
                #[derive(Deserialize)] pub enum State { New, Held { by: u64 } }
            }
            key {
                #[derive(Deserialize)] pub struct T { all: BTreeMap<u8, Vec<Option<(u8, Inner)>>> }
                #[derive(Deserialize)] pub enum Inner { A, B([State; 2]) }
                #[derive(Deserialize)] pub enum State { New, Held { by: u32 } }
            }
            length {
                #[derive(Deserialize)] pub struct T { all: BTreeMap<String, Vec<Option<(u8, Inner)>>> }
                #[derive(Deserialize)] pub enum Inner { A, B([State; 3]) }
                #[derive(Deserialize)] pub enum State { New, Held { by: u32 } }
            }
        }
    }

    #[test]
    fn far_behind_are_seen() {
        use super::*;
        macro_rules! wide {
            ($($before:ident)* ; $at:ty; $after:ty) => {
                #[derive(Deserialize)]
                pub struct T { $($before: u8,)* at: $at, after: $after }
            };
        }
        all_differ! {
            one { wide! {
                a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 d0 d1 d2 d3 d4 d5 d6
                d7 d8 d9 e0 e1 e2 e3 e4 e5 e6 e7 e8 e9 f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 g0 g1 g2 g3 g4 g5 g6 g7 g8 g9; u8; u16
            } }
            other { wide! {
                a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 d0 d1 d2 d3 d4 d5 d6
                d7 d8 d9 e0 e1 e2 e3 e4 e5 e6 e7 e8 e9 f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 g0 g1 g2 g3 g4 g5 g6 g7 g8 g9; u16; u8
            } }
        }
    }

    #[test]
    fn of_what_texts_and_bytes_mean_are_seen() {
        use super::*;
        all_differ! {
            text { #[derive(Deserialize)] pub struct T { at: String } }
            date { #[derive(Deserialize)] pub struct T { at: chrono::NaiveDate } }
            time { #[derive(Deserialize)] pub struct T { at: chrono::DateTime<chrono::Utc> } }
            url { #[derive(Deserialize)] pub struct T { at: url::Url } }
            uuid { #[derive(Deserialize)] pub struct T { at: uuid::Uuid } }
        }
    }

    #[test]
    fn of_two_types_with_one_name_are_seen() {
        use super::*;
        all_differ! {
            both {
                mod a { #[derive(serde::Deserialize)] pub struct State { on: u8 } }
                mod b { #[derive(serde::Deserialize)] pub struct State { on: u16 } }
                #[derive(Deserialize)] pub struct T { a: a::State, b: b::State }
            }
            one {
                mod a { #[derive(serde::Deserialize)] pub struct State { on: u8 } }
                #[derive(Deserialize)] pub struct T { a: a::State, b: a::State }
            }
        }
    }
}

#[test]
fn skipped_fields_are_not_part_of_the_shape() {
    let without = shape! { #[derive(Deserialize)] pub(super) struct T { id: u64 } };
    let skipped =
        shape! { #[derive(Deserialize)] pub(super) struct T { id: u64, #[serde(skip)] karma: u64 } };
    assert_eq!(without.hash(), skipped.hash());
}

#[test]
fn pointers_are_not_part_of_the_shape() {
    assert_eq!(hash::<u8>(), hash::<Box<u8>>());
    assert_eq!(hash::<Arc<String>>(), hash::<Rc<String>>());
    assert_eq!(hash::<Vec<u8>>(), hash::<Arc<Vec<u8>>>());
}

#[test]
fn a_moved_type_keeps_its_fingerprint() {
    let here = shape! { #[derive(Deserialize)] pub(super) struct T { id: u64, next: Option<Box<T>> } };
    mod elsewhere {
        pub(super) mod deeper {
            #[derive(serde::Deserialize)]
            #[expect(dead_code, reason = "only the shape counts")]
            pub(in super::super) struct T {
                id: u64,
                next: Option<Box<T>>,
            }
        }
    }
    assert_eq!(here.hash(), hash::<elsewhere::deeper::T>());
}

/// If this fails, every entry of every user is a miss once after the update: be sure that it is worth that.
#[test]
fn fingerprints_stay_the_same_between_builds() {
    let user = shape! {
        #[derive(Deserialize)] pub(super) struct T { id: u64, name: String, state: State, tags: Vec<String>, friend: Option<Box<T>> }
        #[derive(Deserialize)] pub(super) enum State { New, Held(u8), Moved { from: i64, to: char } }
    };
    let common: u64 = [
        hash::<bool>(),
        hash::<(u8, i16, u32, i64, u128, f32, f64)>(),
        hash::<HashMap<String, Vec<Option<char>>>>(),
        hash::<HashSet<IpAddr>>(),
        hash::<(std::time::Duration, std::ops::Range<u8>, ())>(),
        hash::<(uuid::Uuid, url::Url, chrono::NaiveDate)>(),
    ]
    .into_iter()
    .fold(0, |all, hash| all.rotate_left(9) ^ hash);
    assert_eq!(
        (user.hash(), common),
        (0x6682_161a_a191_3310, 0xe12e_f7e1_bda5_55ae),
        "{:#x} {common:#x}",
        user.hash()
    );
    assert_eq!(user.mix(0), 0x51e7_99df_a438_26e8, "{:#x}", user.mix(0));
}

#[test]
fn versions_change_what_is_stored() {
    let fingerprint = fingerprint_of::<u8>();
    assert_ne!(fingerprint.mix(0), fingerprint.mix(1));
    assert_ne!(fingerprint.mix(1), fingerprint_of::<u16>().mix(1));
}

#[test]
fn the_types_that_values_are_made_of_are_seen_through() {
    hash::<(uuid::Uuid, url::Url, u8)>();
    hash::<(chrono::DateTime<chrono::Utc>, chrono::NaiveDateTime, chrono::NaiveDate, chrono::NaiveTime, u8)>(
    );
    hash::<(chrono::DateTime<chrono::FixedOffset>, chrono::Weekday, chrono::Month, u8)>();
    hash::<(time::OffsetDateTime, time::Date, time::Time, time::Duration, time::UtcOffset, u8)>();
    hash::<(IpAddr, SocketAddr, std::net::Ipv4Addr, u8)>();
    hash::<(std::time::SystemTime, std::time::Duration, std::path::PathBuf, std::ffi::OsString, u8)>();
    hash::<(std::num::NonZeroU8, std::num::NonZeroI128, std::sync::atomic::AtomicU8, u8)>();
    hash::<(std::ops::Range<u8>, std::ops::RangeInclusive<u8>, std::ops::Bound<u8>, u8)>();
    hash::<(Result<u8, String>, std::ffi::CString, Box<str>, Box<[u8]>, [u8; 32], u8)>();
    hash::<(serde_json::Value, serde_json::Map<String, serde_json::Value>, serde_json::Number, u8)>();
}

#[test]
fn recursive_types_end_and_are_seen_whole() {
    let before = shape! {
        #[derive(Deserialize)] pub(super) enum T { Add(Box<T>, Box<T>), Call { name: String, args: Vec<T> }, Lit(Lit), Pair(Box<(T, T)>) }
        #[derive(Deserialize)] pub(super) enum Lit { Int(i64), List(Vec<T>), Opt(Option<Box<Lit>>), Text(String) }
    };
    let after = shape! {
        #[derive(Deserialize)] pub(super) enum T { Add(Box<T>, Box<T>), Call { name: String, args: Vec<T> }, Lit(Lit), Pair(Box<(T, T)>) }
        #[derive(Deserialize)] pub(super) enum Lit { Int(i64), List(Vec<T>), Opt(Option<Box<Lit>>), Text(Vec<u8>) }
    };
    assert_eq!((before.unseen(), after.unseen()), (None, None));
    assert_ne!(before.hash(), after.hash());

    let newtype = shape! { #[derive(Deserialize)] pub(super) struct T(Option<Box<T>>); };
    assert_eq!(newtype.unseen(), None);
    let mutual = shape! {
        #[derive(Deserialize)] pub(super) struct T { a: Option<Box<U>>, x: u8 }
        #[derive(Deserialize)] pub(super) struct U { b: Vec<T>, c: BTreeMap<String, U>, y: u16 }
    };
    assert_eq!(mutual.unseen(), None);
}

#[test]
fn what_follows_a_field_that_refuses_every_sample_is_seen_all_the_same() {
    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Iban;
    impl TryFrom<String> for Iban {
        type Error = &'static str;
        fn try_from(_: String) -> Result<Self, Self::Error> {
            Err("no sample is one")
        }
    }
    mod before {
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only the shape counts")]
        pub(super) struct Account {
            iban: super::Refuses,
            inner: Inner,
        }
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only the shape counts")]
        pub(super) struct Inner {
            iban: super::Refuses,
            state: State,
            last: u8,
        }
        #[derive(serde::Deserialize)]
        pub(super) enum State {
            A,
            B,
        }
    }
    mod after {
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only the shape counts")]
        pub(super) struct Account {
            iban: super::Refuses,
            inner: Inner,
        }
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only the shape counts")]
        pub(super) struct Inner {
            iban: super::Refuses,
            state: State,
            last: u16,
        }
        #[derive(serde::Deserialize)]
        pub(super) enum State {
            A,
            B,
        }
    }
    assert_ne!(hash::<before::Account>(), hash::<after::Account>());
    assert!(fingerprint_of::<(Iban, u8)>().unseen().expect("a tuple has no names").ends_with(": 1"));
}

/// A type whose every value is wrong.
struct Refuses;
impl<'de> Deserialize<'de> for Refuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?;
        Err(D::Error::custom("no"))
    }
}

#[test]
fn validated_texts_and_numbers_find_their_sample() {
    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Email;
    impl TryFrom<String> for Email {
        type Error = &'static str;
        fn try_from(text: String) -> Result<Self, Self::Error> {
            if text.contains('@') { Ok(Self) } else { Err("no @") }
        }
    }
    #[derive(Deserialize)]
    #[serde(try_from = "u32")]
    struct Adult;
    impl TryFrom<u32> for Adult {
        type Error = &'static str;
        fn try_from(age: u32) -> Result<Self, Self::Error> {
            if (18..100).contains(&age) { Ok(Self) } else { Err("not an adult") }
        }
    }
    #[derive(Deserialize)]
    #[serde(try_from = "Vec<u8>")]
    struct Pair;
    impl TryFrom<Vec<u8>> for Pair {
        type Error = &'static str;
        fn try_from(items: Vec<u8>) -> Result<Self, Self::Error> {
            if items.len() == 2 { Ok(Self) } else { Err("not two") }
        }
    }
    assert_eq!(fingerprint_of::<(Email, Adult, Pair, Email, String, u8)>().unseen(), None);
}

#[test]
fn what_cannot_be_seen_is_named() {
    let flattened = shape! {
        #[derive(Deserialize)] pub(super) struct T { id: u64, page: Page }
        #[derive(Deserialize)] pub(super) struct Page { #[serde(flatten)] rest: HashMap<String, u8>, n: u8 }
    };
    assert!(flattened.unseen().expect("flattened").ends_with("declared::T: page"), "{flattened:?}");
    let tagged = shape! {
        #[derive(Deserialize)] pub(super) struct T { id: u64, all: Vec<Event> }
        #[derive(Deserialize)] #[serde(tag = "type")] pub(super) enum Event { A { x: u8 }, B }
    };
    assert!(tagged.unseen().expect("tagged").ends_with("T: all.(element)"), "{tagged:?}");
    let untagged = shape! {
        #[derive(Deserialize)] pub(super) enum T { A, B { id: Id } }
        #[derive(Deserialize)] #[serde(untagged)] pub(super) enum Id { N(u8), S(String) }
    };
    assert!(untagged.unseen().expect("untagged").ends_with("T: B.id"), "{untagged:?}");
}

#[test]
fn adjacently_tagged_enums_aliases_and_defaults_are_seen() {
    macro_rules! event {
        ($second:ty, $deep:ty) => {
            shape! {
                #[derive(Deserialize)]
                pub(super) struct T {
                    all: Vec<Event>,
                    n: u8,
                }
                #[derive(Deserialize)]
                #[serde(tag = "t", content = "c")]
                pub(super) enum Event {
                    A(u8),
                    B($second),
                    C,
                    D(u8, u8),
                    // Seen whole only when the tag comes back to it, again and again.
                    E(Made),
                }
                #[derive(Deserialize)]
                pub(super) struct Made {
                    at: chrono::NaiveDate,
                    state: Option<State>,
                }
                #[derive(Deserialize)]
                pub(super) enum State {
                    New,
                    Held(u8),
                    Moved { from: i64, to: $deep },
                }
            }
        };
    }
    let base = event!(u8, char);
    assert_eq!(base.unseen(), None);
    assert_ne!(base.hash(), event!(u16, char).hash());
    assert_ne!(base.hash(), event!(u8, String).hash());
    let aliased = shape! {
        #[derive(Deserialize)] pub(super) struct T {
            #[serde(alias = "ident", alias = "zz")] id: State,
            #[serde(default, alias = "kk")] karma: Option<u8>,
            last: u8,
        }
        #[derive(Deserialize)] pub(super) enum State { #[serde(alias = "AA")] A(u8), B(u16) }
    };
    assert_eq!(aliased.unseen(), None);
    let strict = shape! {
        #[derive(Deserialize)] #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub(super) struct T { first_name: String, last_name: String }
    };
    assert_eq!(strict.unseen(), None);
}

#[test]
fn a_deserialize_that_panics_at_samples_is_unseen_and_harms_nobody() {
    struct Brittle;
    impl<'de> Deserialize<'de> for Brittle {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            assert!(text.len() > 1000, "brittle");
            Ok(Self)
        }
    }
    assert!(fingerprint_of::<Brittle>().unseen().expect("unseen").contains("panicked"));
    assert!(fingerprint_of::<Vec<Brittle>>().unseen().is_some());
}

#[test]
fn large_types_take_little_time() {
    macro_rules! wide {
        ($($outer:ident { $($field:ident: $ty:ty),* })*) => {$(
            #[derive(Deserialize)]
            #[expect(dead_code, reason = "only the shape counts")]
            struct $outer { $($field: $ty),* }
        )*};
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only the shape counts")]
    enum Many {
        A(u8),
        B(u16),
        C(u32),
        D(u64),
        E(String),
        F(Option<Box<Many>>),
        G(Vec<Many>),
        H { m: Box<Many> },
        I,
        J,
        K,
        L,
        M,
        N,
        O,
        P,
        Q(Box<(Many, Many)>),
        R(chrono::NaiveDate),
        S,
        T,
        U,
        V,
        W,
        X,
        Y,
        Z,
    }
    wide! {
        A { a: Box<Many>, b: Box<Many>, c: Option<Many>, d: Vec<Many>, e: BTreeMap<String, Many>, f: Box<(Many, Many)> }
        B { a: Box<A>, b: Box<A>, c: Option<Box<A>>, d: Vec<A>, e: BTreeMap<String, A>, f: Box<(A, A)>, g: chrono::NaiveDate }
        C { a: Box<B>, b: Box<B>, c: Option<Box<B>>, d: Vec<B>, e: BTreeMap<String, B>, f: Box<(B, B)>, g: url::Url }
        D { a: Box<C>, b: Box<C>, c: Option<Box<C>>, d: Vec<C>, e: BTreeMap<String, C>, f: Box<(C, C)>, g: [u64; 32] }
        E { a: Box<D>, b: Box<D>, c: Option<Box<D>>, d: Vec<D>, e: BTreeMap<String, D>, f: Box<(D, D)>, g: uuid::Uuid }
        F { a: Box<E>, b: Box<E>, c: Option<Box<E>>, d: Vec<E>, e: BTreeMap<String, E>, f: Box<(E, E)>, g: uuid::Uuid }
        G { a: Box<F>, b: Box<F>, c: Option<Box<F>>, d: Vec<F>, e: BTreeMap<String, F>, f: Box<(F, F)>, g: uuid::Uuid }
    }
    let start = std::time::Instant::now();
    hash::<G>();
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_panic_at_a_sample_is_told_to_no_hook_and_hooks_stay() {
    use std::panic::{catch_unwind, set_hook, take_hook};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    macro_rules! touchy {
        ($($name:ident)*) => {$(
            #[derive(Debug)]
            struct $name;
            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let number = u8::deserialize(deserializer)?;
                    panic!("no sample: {number}")
                }
            }
        )*};
    }
    touchy! { First Second Third }
    /// A hook that counts this thread's panics and passes on the others.
    fn counting() -> Arc<AtomicUsize> {
        let (told, here) = (Arc::new(AtomicUsize::new(0)), std::thread::current().id());
        let (count, before) = (told.clone(), take_hook());
        set_hook(Box::new(move |panic| {
            if std::thread::current().id() == here {
                count.fetch_add(1, Ordering::SeqCst);
            } else {
                before(panic);
            }
        }));
        told
    }

    let first = counting();
    assert!(fingerprint_of::<First>().unseen().is_some());
    assert!(fingerprint_of::<Second>().unseen().is_some());
    catch_unwind(|| panic!("on purpose")).expect_err("it panics");
    assert_eq!(first.load(Ordering::SeqCst), 1, "this one only");
    let second = counting();
    assert!(fingerprint_of::<Third>().unseen().is_some());
    catch_unwind(|| panic!("on purpose")).expect_err("it panics");
    assert_eq!((first.load(Ordering::SeqCst), second.load(Ordering::SeqCst)), (1, 1));
}
