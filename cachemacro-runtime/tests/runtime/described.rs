//! `#[derive(CacheSchema)]` sees what the walk cannot, and generated code picks it where it is there.
#![deny(warnings, clippy::pedantic)]

use std::collections::{BTreeMap, HashMap};

use cachemacro_derive::CacheSchema;
use cachemacro_runtime::__private::{Kind as _, PlainShape};
use cachemacro_runtime::schema::{CacheSchema, Fingerprint, described, fingerprint_of};
use serde::{Deserialize, Serialize};

fn hash<T: CacheSchema + 'static>() -> u64 {
    let fingerprint = described::<T>();
    assert_eq!(fingerprint.unseen(), None, "{}", std::any::type_name::<T>());
    fingerprint.hash()
}

macro_rules! all_differ {
    ($($name:ident { $($item:item)* })*) => {{
        $(mod $name {
            #![allow(dead_code, unused_imports, unreachable_pub, reason = "only the shape counts")]
            use super::*;
            $($item)*
        })*
        let shapes = [$((stringify!($name), hash::<$name::T>())),*];
        let distinct: HashMap<u64, &str> = shapes.iter().map(|(name, hash)| (*hash, *name)).collect();
        assert_eq!(distinct.len(), shapes.len(), "{shapes:?}");
    }};
}

/// Derives with the path that these tests need.
macro_rules! schema {
    ($($item:item)*) => {$(
        #[derive(CacheSchema)]
        #[cachemacro(crate = ::cachemacro_runtime)]
        $item
    )*};
}

mod shapes {
    use super::*;

    #[test]
    fn every_change_of_a_described_struct_shows() {
        all_differ! {
            base { schema! { pub struct T { id: u64, karma: u64 } } }
            reordered { schema! { pub struct T { karma: u64, id: u64 } } }
            renamed { schema! { pub struct T { id: u64, score: u64 } } }
            renamed_by_serde { schema! { #[derive(Deserialize)] pub struct T { id: u64, #[serde(rename = "s")] karma: u64 } } }
            retyped { schema! { pub struct T { id: u64, karma: i64 } } }
            optional { schema! { pub struct T { id: u64, karma: Option<u64> } } }
            longer { schema! { pub struct T { id: u64, karma: u64, name: String } } }
            shorter { schema! { pub struct T { id: u64 } } }
            flattened { schema! { #[derive(Deserialize)] pub struct T { id: u64, #[serde(flatten)] karma: HashMap<String, u64> } } }
            flattened_otherwise { schema! { #[derive(Deserialize)] pub struct T { id: u64, #[serde(flatten)] karma: HashMap<String, u32> } } }
            tuple { schema! { pub struct T(u64, u64); } }
            unit { schema! { pub struct T; } }
            list { schema! { pub struct T { id: Vec<u8> } } }
            array { schema! { pub struct T { id: [u8; 4] } } }
            longer_array { schema! { pub struct T { id: [u8; 5] } } }
        }
    }

    #[test]
    fn every_change_of_a_described_enum_shows() {
        all_differ! {
            base { schema! { #[derive(Deserialize)] #[serde(tag = "t")] pub enum T { A, B { x: u8 } } } }
            other_tag { schema! { #[derive(Deserialize)] #[serde(tag = "u")] pub enum T { A, B { x: u8 } } } }
            untagged { schema! { #[derive(Deserialize)] #[serde(untagged)] pub enum T { A, B { x: u8 } } } }
            added { schema! { #[derive(Deserialize)] #[serde(tag = "t")] pub enum T { A, B { x: u8 }, C } } }
            reordered { schema! { #[derive(Deserialize)] #[serde(tag = "t")] pub enum T { B { x: u8 }, A } } }
            retyped { schema! { #[derive(Deserialize)] #[serde(tag = "t")] pub enum T { A, B { x: u16 } } } }
            deeper {
                schema! { #[derive(Deserialize)] #[serde(tag = "t")] pub enum T { A, B { x: Inner } } }
                schema! { #[derive(Deserialize)] #[serde(untagged)] pub enum Inner { N(u8), S(String) } }
            }
            converted {
                schema! { #[derive(Deserialize)] #[serde(from = "Raw")] pub enum T { A, B { x: u8 } } }
                #[derive(Deserialize)] pub struct Raw(u8);
                impl From<Raw> for T { fn from(raw: Raw) -> Self { T::B { x: raw.0 } } }
            }
            converted_otherwise {
                schema! { #[derive(Deserialize)] #[serde(from = "Raw")] pub enum T { A, B { x: u8 } } }
                #[derive(Deserialize)] pub struct Raw(u16);
                impl From<Raw> for T { fn from(_: Raw) -> Self { T::A } }
            }
            deeper_otherwise {
                schema! { #[derive(Deserialize)] #[serde(tag = "t")] pub enum T { A, B { x: Inner } } }
                schema! { #[derive(Deserialize)] #[serde(untagged)] pub enum Inner { N(u16), S(String) } }
            }
        }
    }

    #[test]
    fn a_field_without_a_schema_is_walked() {
        all_differ! {
            base {
                schema! { pub struct T { all: Vec<Walked>, at: uuid::Uuid } }
                #[derive(Deserialize)] pub struct Walked { x: u8 }
            }
            changed {
                schema! { pub struct T { all: Vec<Walked>, at: uuid::Uuid } }
                #[derive(Deserialize)] pub struct Walked { x: u16 }
            }
        }
    }
}

#[derive(CacheSchema)]
#[cachemacro(crate = cachemacro_runtime)]
#[expect(dead_code, reason = "only the shape counts")]
struct Page<'a, T: Ord, const N: usize>
where
    T: Clone,
{
    items: Vec<T>,
    next: Option<Box<Page<'a, T, N>>>,
    bits: [u8; N],
    name: std::borrow::Cow<'a, str>,
    r#type: BTreeMap<String, T>,
}

#[test]
fn generic_and_recursive_types_describe_themselves() {
    // `N` is beyond what serde has arrays for; the description needs none.
    assert_ne!(hash::<Page<'static, u8, 3>>(), hash::<Page<'static, u16, 3>>());
    assert_ne!(hash::<Page<'static, u8, 3>>(), hash::<Page<'static, u8, 4>>());
}

#[test]
fn skipped_fields_do_not_count() {
    mod without {
        #[derive(cachemacro_derive::CacheSchema)]
        #[cachemacro(crate = cachemacro_runtime)]
        #[expect(dead_code, reason = "only the shape counts")]
        pub(super) struct T {
            id: u64,
        }
    }
    #[derive(Deserialize, CacheSchema)]
    #[cachemacro(crate = cachemacro_runtime)]
    #[expect(dead_code, reason = "only the shape counts")]
    struct T {
        id: u64,
        #[serde(skip)]
        karma: Option<std::rc::Weak<u8>>,
    }
    assert_eq!(hash::<T>(), hash::<without::T>());
}

#[test]
fn a_place_that_neither_describes_nor_walks_is_named() {
    struct Dark;
    #[derive(CacheSchema)]
    #[cachemacro(crate = cachemacro_runtime)]
    #[expect(dead_code, reason = "only the shape counts")]
    struct T {
        id: u64,
        inner: Inner,
    }
    #[derive(CacheSchema)]
    #[cachemacro(crate = cachemacro_runtime)]
    #[expect(dead_code, reason = "only the shape counts")]
    enum Inner {
        A,
        B(Dark),
    }
    let unseen = described::<T>().unseen().expect("Dark is neither");
    assert!(unseen.contains("inner.B.0") && unseen.contains("Dark"), "{unseen}");
}

#[test]
fn a_site_takes_the_description_where_there_is_one() {
    #[derive(Clone, Serialize, Deserialize, CacheSchema)]
    #[cachemacro(crate = cachemacro_runtime)]
    #[serde(untagged)]
    enum Id {
        Number(u64),
        Text(String),
    }
    type Site = fn() -> Fingerprint;
    let own: Site = PlainShape::<Id>::NEW.schema();
    assert_eq!(own(), described::<Id>());
    assert_eq!(own().unseen(), None);
    let contained: Site = PlainShape::<Vec<Option<Id>>>::NEW.schema();
    assert_eq!(contained().unseen(), None);
    assert!(fingerprint_of::<Id>().unseen().is_some());
    let walked: Site = PlainShape::<uuid::Uuid>::NEW.schema();
    assert_eq!(walked(), fingerprint_of::<uuid::Uuid>());
    // What describes itself no better than it is walked is found by prefix and key too.
    let plain: Site = PlainShape::<Vec<(u8, String)>>::NEW.schema();
    assert_eq!(plain(), fingerprint_of::<Vec<(u8, String)>>());
    let both: Site = PlainShape::<(u8, Id)>::NEW.schema();
    assert_eq!(both(), described::<(u8, Id)>());
}

/// If this fails, every entry of every described type is a miss once after the update: be sure that it is worth that.
#[test]
fn described_fingerprints_stay_the_same_between_builds() {
    #[derive(Deserialize, CacheSchema)]
    #[cachemacro(crate = cachemacro_runtime)]
    #[serde(rename_all = "snake_case", tag = "t")]
    #[expect(dead_code, reason = "only the shape counts")]
    enum Event {
        Made { id: u64, at: std::time::Duration },
        Moved { from: (i8, char), to: Option<[f32; 2]>, by: HashMap<String, Vec<bool>> },
        Gone,
    }
    assert_eq!(hash::<Event>(), 0x38fc_6f99_42bf_13e1, "{:#x}", hash::<Event>());
}
