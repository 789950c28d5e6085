//! Any two pairs of texts as arguments: their keys are equal exactly where they are.
#![no_main]

use cachemacro_runtime::Key;
use cachemacro_runtime::__private::KeyBuilder;
use libfuzzer_sys::{arbitrary, fuzz_target};

#[derive(Debug, Clone, PartialEq, arbitrary::Arbitrary, serde::Serialize)]
struct Args {
    text: String,
    list: Vec<String>,
    maybe: Option<String>,
    number: i64,
    either: Either,
}

#[derive(Debug, Clone, PartialEq, arbitrary::Arbitrary, serde::Serialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Text(String),
    Truth(bool),
}

fn default_key(args: &Args) -> Option<Key> {
    KeyBuilder::new("p").arg(&args.text).arg(&args.list).arg(&args.maybe).arg(&args.number).arg(&args.either).finish().ok()
}

fn template(first: &str, second: &str) -> Option<Key> {
    KeyBuilder::new("p").display(first, Some('-')).literal("-").display(second, None).finish().ok()
}

fuzz_target!(|args: (Args, Args)| {
    let (one, other) = args;
    assert_eq!(default_key(&one) == default_key(&other), one == other);
    assert_eq!(Key::new("p", &one).ok() == Key::new("p", &other).ok(), one == other);
    let texts_equal = one.text == other.text && one.list.concat() == other.list.concat();
    let keys_equal = template(&one.text, &one.list.concat()) == template(&other.text, &other.list.concat());
    assert_eq!(keys_equal, texts_equal);
});
