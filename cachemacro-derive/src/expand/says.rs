//! What the attribute says, as text, for tools that show it: constants beside the function's name.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};

use crate::model::{EntryParts, Key, Tag};
use crate::syntax::item::Item;
use crate::syntax::template::{Hole, Part, RESULT};

/// `Says::new("Result<User, Error>").key("{id}").tags(&["users", "org:{org}"])`
pub(super) fn says(parts: &EntryParts, item: &Item, private: &Ident) -> TokenStream {
    let mixed = Span::mixed_site();
    let value = spelled(&item.ret.to_token_stream());
    let key = key(&parts.key).map(|key| quote_spanned!(mixed=> .key(#key)));
    let codec = parts.codec.as_ref().map(|codec| {
        let codec = spelled(&codec.to_token_stream());
        quote_spanned!(mixed=> .codec(#codec))
    });
    let tags = (!parts.tags.is_empty()).then(|| {
        let tags = parts.tags.iter().map(tag);
        quote_spanned!(mixed=> .tags(&[#(#tags),*]))
    });
    quote_spanned!(mixed=> #private::Says::new(#value) #key #codec #tags)
}

/// The key as a template; `None` where an expression gives it.
fn key(key: &Key) -> Option<String> {
    match key {
        Key::Template(parts) => Some(template(parts)),
        Key::Args(args) => {
            let names: Vec<String> = args.iter().map(|(_, name)| format!("{{{name}}}")).collect();
            Some(names.join(":"))
        }
        Key::Value(_) => None,
    }
}

/// A tag as a template; of an expression its text.
fn tag(tag: &Tag) -> String {
    match tag {
        Tag::Template(parts) => template(parts),
        Tag::One(value) | Tag::Many(value) => format!("= {}", spelled(&value.expr.to_token_stream())),
    }
}

fn template(parts: &[Part]) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Hole(Hole { expr, debug, .. }) => {
            let expr = expr.to_string().replace(' ', "").replace(RESULT, "result");
            format!("{{{expr}{}}}", if *debug { ":?" } else { "" })
        }
    };
    parts.iter().map(part).collect()
}

/// Tokens as one would write them.
fn spelled(tokens: &TokenStream) -> String {
    let mut text = tokens.to_string();
    for (from, to) in [
        (" < ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" :: ", "::"),
        (":: ", "::"),
        ("& ", "&"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" .", "."),
        (". ", "."),
    ] {
        text = text.replace(from, to);
    }
    text
}
