//! Values of codecs that do not say what is what, read by the layout of their type, which processes publish.

use cachemacro::schema::{Layout, LayoutPart};
use serde_json::{Map, Number, Value};

/// The codecs that are read so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compact {
    Bincode,
    Postcard,
}

/// How deep values may lie in each other.
const DEEPEST: usize = 128;
/// How many values one may hold.
const MOST: usize = 200_000;
/// How many bytes of names of fields and variants, which are told again with each value.
const MOST_NAMES: usize = 16 << 20;

impl Compact {
    /// The codec of this id.
    pub(crate) const fn of(id: u8) -> Option<Self> {
        match id {
            1 => Some(Self::Bincode),
            2 => Some(Self::Postcard),
            _ => None,
        }
    }

    /// The value as JSON; `None` where the bytes are not of this layout, to the last one.
    pub(crate) fn read(self, layout: &Layout, bytes: &[u8]) -> Option<Value> {
        let mut reader = Reader { codec: self, layout, bytes, left: MOST, names_left: MOST_NAMES };
        let value = reader.place(layout.places.first()?, 0)?;
        reader.bytes.is_empty().then_some(value)
    }
}

struct Reader<'a> {
    codec: Compact,
    layout: &'a Layout,
    bytes: &'a [u8],
    /// How many more values there may be.
    left: usize,
    /// How many more bytes of names.
    names_left: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    /// A name that is told with a value.
    fn name(&mut self, name: &str) -> Option<String> {
        self.names_left = self.names_left.checked_sub(name.len())?;
        Some(name.to_owned())
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A number that has no fixed length.
    fn unsigned(&mut self) -> Option<u128> {
        match self.codec {
            Compact::Bincode => {
                let length = match self.byte()? {
                    short @ 0..=250 => return Some(u128::from(short)),
                    251 => 2,
                    252 => 4,
                    253 => 8,
                    254 => 16,
                    255 => return None,
                };
                let mut bytes = [0; 16];
                bytes[..length].copy_from_slice(self.take(length)?);
                Some(u128::from_le_bytes(bytes))
            }
            Compact::Postcard => {
                let mut number = 0_u128;
                for shift in (0..128).step_by(7) {
                    let byte = self.byte()?;
                    number |= u128::from(byte & 0x7f) << shift;
                    if byte & 0x80 == 0 {
                        return Some(number);
                    }
                }
                None
            }
        }
    }

    fn signed(&mut self) -> Option<i128> {
        let folded = self.unsigned()?;
        let half = i128::try_from(folded >> 1).ok()?;
        Some(if folded & 1 == 0 { half } else { -half - 1 })
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.unsigned()?).ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn leaf(&mut self, name: &str) -> Option<Value> {
        Some(match name {
            "bool" => match self.byte()? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return None,
            },
            "u8" => self.byte()?.into(),
            "i8" => i8::from_le_bytes([self.byte()?]).into(),
            "u16" | "u32" | "u64" | "u128" => {
                let number = self.unsigned()?;
                u64::try_from(number).map_or_else(|_| Value::String(number.to_string()), Value::from)
            }
            "i16" | "i32" | "i64" | "i128" => {
                let number = self.signed()?;
                i64::try_from(number).map_or_else(|_| Value::String(number.to_string()), Value::from)
            }
            "f32" => float(f32::from_le_bytes(self.take(4)?.try_into().ok()?).into()),
            "f64" => float(f64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            "char" => Value::String(self.char()?.to_string()),
            "str" => Value::String(self.text()?.to_owned()),
            "bytes" => {
                let length = self.length()?;
                Value::Array(self.take(length)?.iter().map(|byte| Value::from(*byte)).collect())
            }
            "unit" => Value::Null,
            _ => return None,
        })
    }

    fn char(&mut self) -> Option<char> {
        if self.codec == Compact::Postcard {
            let text = self.text()?;
            let mut chars = text.chars();
            return chars.next().filter(|_| chars.next().is_none());
        }
        let length = match self.bytes.first()? {
            0..=0x7f => 1,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            _ => 4,
        };
        std::str::from_utf8(self.take(length)?).ok()?.chars().next()
    }

    fn at(&mut self, place: usize, depth: usize) -> Option<Value> {
        let layout = self.layout;
        self.place(layout.places.get(place)?, depth + 1)
    }

    fn place(&mut self, place: &LayoutPart, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        if depth > DEEPEST {
            return None;
        }
        Some(match place {
            LayoutPart::Leaf(name) => self.leaf(name)?,
            LayoutPart::Unit => Value::Null,
            LayoutPart::Newtype(inside) => self.at(*inside, depth)?,
            LayoutPart::Optional(inside) => match self.byte()? {
                0 => Value::Null,
                1 => self.at(*inside, depth)?,
                _ => return None,
            },
            LayoutPart::Seq(element) => {
                let length = self.length()?;
                let mut elements = Vec::new();
                for _ in 0..length {
                    elements.push(self.at(*element, depth)?);
                }
                Value::Array(elements)
            }
            LayoutPart::Map(key, value) => {
                let mut map = Map::new();
                for _ in 0..self.length()? {
                    let key = match self.at(*key, depth)? {
                        Value::String(key) => key,
                        key => key.to_string(),
                    };
                    map.insert(key, self.at(*value, depth)?);
                }
                Value::Object(map)
            }
            LayoutPart::Tuple(elements) => {
                let elements = elements.iter().map(|element| self.at(*element, depth));
                Value::Array(elements.collect::<Option<_>>()?)
            }
            LayoutPart::Struct(fields) => {
                let fields =
                    fields.iter().map(|(name, field)| Some((self.name(name)?, self.at(*field, depth)?)));
                Value::Object(fields.collect::<Option<_>>()?)
            }
            LayoutPart::Enum(variants) => {
                let (name, place) = variants.get(self.length()?)?;
                match place.as_ref()? {
                    LayoutPart::Unit => Value::String(self.name(name)?),
                    place => {
                        let value = self.place(place, depth + 1)?;
                        Value::Object(Map::from_iter([(self.name(name)?, value)]))
                    }
                }
            }
            _ => return None,
        })
    }
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cachemacro::codec::{Bincode, CodecFor, Json, Postcard};
    use cachemacro::schema::fingerprint_of;
    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Everything {
        numbers: (u8, i8, u16, i16, u32, i32, u64, i64, f32, f64),
        text: String,
        letter: char,
        maybe: Option<Box<Everything>>,
        none: Option<u8>,
        list: Vec<Kind>,
        map: BTreeMap<String, bool>,
        unit: (),
        wrapped: Wrapped,
        array: [u16; 3],
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Wrapped(u64);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Unit,
        New(i32),
        Pair(u8, String),
        Named { is: bool, at: u64 },
    }

    fn everything() -> Everything {
        let inner = Everything {
            numbers: (255, -128, 251, -300, 70_000, -70_000, u64::MAX, i64::MIN, 1.5, -2.25),
            text: "tea \u{1b}[2J 日".to_owned(),
            letter: '日',
            maybe: None,
            none: None,
            list: vec![
                Kind::Unit,
                Kind::New(-7),
                Kind::Pair(250, "x".repeat(300)),
                Kind::Named { is: true, at: 1 << 40 },
            ],
            map: [("a".to_owned(), true), ("b".to_owned(), false)].into(),
            unit: (),
            wrapped: Wrapped(251),
            array: [1, 250, 65_535],
        };
        Everything { maybe: Some(Box::new(inner.clone())), none: Some(0), ..inner }
    }

    fn encoded<T: Serialize + DeserializeOwned>(codec: CodecFor<T>, value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec.encode(value, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_compact_codecs_write_is_the_same_json_as_json_writes() {
        let value = everything();
        let layout = fingerprint_of::<Everything>().layout().expect("all of it is seen").clone();
        let json: Value = serde_json::from_slice(&encoded(CodecFor::of::<Json>(), &value)).unwrap();
        let bincode = encoded(CodecFor::of::<Bincode>(), &value);
        let postcard = encoded(CodecFor::of::<Postcard>(), &value);
        assert_eq!(Compact::Bincode.read(&layout, &bincode), Some(json.clone()));
        assert_eq!(Compact::Postcard.read(&layout, &postcard), Some(json));
        // What is published is read again.
        let published: Layout = serde_json::from_str(&serde_json::to_string(&layout).unwrap()).unwrap();
        assert_eq!(published, layout);
    }

    #[test]
    fn bytes_of_another_type_and_hostile_ones_are_nothing() {
        let layout = fingerprint_of::<Everything>().layout().unwrap().clone();
        let bytes = encoded(CodecFor::of::<Bincode>(), &everything());
        for end in 0..bytes.len() {
            assert_eq!(Compact::Bincode.read(&layout, &bytes[..end]), None, "{end}");
        }
        assert_eq!(Compact::Bincode.read(&layout, &[&bytes[..], &[0]].concat()), None, "bytes are left over");
        for hostile in
            [r#"[{"seq":0}]"#, r#"[{"seq":1},"unit"]"#, r#"[{"seq":9}]"#, r#"[{"map":[0,0]}]"#, "[]"]
        {
            let hostile: Layout = serde_json::from_str(&format!(r#"{{"places":{hostile}}}"#)).unwrap();
            for codec in [Compact::Bincode, Compact::Postcard] {
                // A length that nothing bears out, of values that take no room.
                let _ = codec
                    .read(&hostile, &[254, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]);
                let _ = codec.read(&hostile, &[0xff; 40]);
            }
        }
    }

    #[test]
    fn long_names_of_many_values_that_take_no_room_are_not_told() {
        let name = "n".repeat(100_000);
        let hostile = format!(r#"{{"places":[{{"seq":1}},{{"struct":[["{name}",2]]}},"unit"]}}"#);
        let hostile: Layout = serde_json::from_str(&hostile).expect("a layout");
        // A hundred thousand of them: 10 GB.
        let many = [252, 0xa0, 0x86, 1, 0];
        assert_eq!(Compact::Bincode.read(&hostile, &many), None);
        assert!(Compact::Bincode.read(&hostile, &[100]).is_some(), "a hundred are");
    }
}
