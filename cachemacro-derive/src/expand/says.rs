//! What the attribute says, as text, for tools that show it: constants beside the function's name.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{Expr, ExprLit, Lit};

use crate::model::{EntryParts, Key, PutTarget, Queued, Tag, Write, WriteAttr};
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
    let tags: Vec<String> = parts.tags.iter().chain(&parts.shown.late_tags).map(tag).collect();
    let tags = (!tags.is_empty()).then(|| quote_spanned!(mixed=> .tags(&[#(#tags),*])));
    let entry = parts.shown.entry.as_ref().map(|entry| {
        let entry = entry.to_string();
        quote_spanned!(mixed=> .entry(#entry))
    });
    let queue = parts.shown.queue.as_ref().map(|queue| {
        let queue = spelled(&queue.to_token_stream());
        quote_spanned!(mixed=> .queue(#queue))
    });
    quote_spanned!(mixed=> #private::Says::new(#value) #key #codec #tags #entry #queue)
}

/// `Says::new("").writes(&["queued user_entry", "tag users"])`: the entry whose value a queue writes, and what is evicted then.
pub(super) fn says_of_queued(queued: &Queued, private: &Ident) -> TokenStream {
    let mixed = Span::mixed_site();
    let entry = format!("queued {}", called(&queued.entry.expr));
    let tags = queued.tags.iter().map(|of| format!("tag {}", tag(of)));
    let writes: Vec<String> = std::iter::once(entry).chain(tags).collect();
    quote_spanned!(mixed=> #private::Says::new("").writes(&[#(#writes),*]))
}

/// `Says::new("").writes(&["entry user_entry", "tag users"])`: what a function puts and evicts.
pub(super) fn says_of_writes(attributes: &[WriteAttr], private: &Ident) -> TokenStream {
    let mixed = Span::mixed_site();
    let writes: Vec<String> =
        attributes.iter().flat_map(|attribute| &attribute.writes).flat_map(written).collect();
    quote_spanned!(mixed=> #private::Says::new("").writes(&[#(#writes),*]))
}

/// A word for what is done, and to what.
fn written(write: &Write) -> Vec<String> {
    match write {
        Write::Put(put) => vec![match &put.target {
            PutTarget::Entry(entry) => format!("put {}", called(&entry.expr)),
            PutTarget::Parts(parts) => format!("put_key {}", whole_key(parts)),
        }],
        Write::Evict(entry) => vec![format!("entry {}", called(&entry.expr))],
        Write::EvictAll(entries) => vec![format!("entries {}", spelled(&entries.expr.to_token_stream()))],
        Write::EvictKey(parts) => vec![format!("key {}", whole_key(parts))],
        Write::EvictTags(tags) => tags.iter().map(|of| format!("tag {}", tag(of))).collect(),
        Write::EvictPrefix(prefix) => vec![format!("prefix {}", literal(prefix))],
    }
}

/// The function that is called, without what it is a method of: `Self::user_entry(id)` is `user_entry`.
fn called(entry: &Expr) -> String {
    match entry {
        Expr::Call(call) => {
            spelled(&call.func.to_token_stream()).rsplit("::").next().unwrap_or_default().to_owned()
        }
        Expr::MethodCall(call) => call.method.to_string(),
        other => spelled(&other.to_token_stream()),
    }
}

fn whole_key(parts: &EntryParts) -> String {
    let prefix = parts.prefix.as_ref().map(literal).unwrap_or_default();
    format!("{prefix}:{}", key(&parts.key).unwrap_or_default())
}

/// The text of a literal, else the expression.
fn literal(expr: &Expr) -> String {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.value(),
        other => spelled(&other.to_token_stream()),
    }
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
