//! Every public item of every library has an example of its own in its documentation. That the examples compile and run,
//! the doc tests show.

use std::collections::HashMap;
use std::path::Path;

use syn::{Attribute, Expr, Item, ItemTrait, Lit, Meta, TraitItem};

use crate::sources::{LIBRARIES, Sources};

/// The lines of the documentation.
fn lines(attrs: &[Attribute]) -> impl Iterator<Item = String> {
    attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
            Expr::Lit(text) => match &text.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

/// The code blocks of the documentation that are compiled as they stand.
fn example(attrs: &[Attribute]) -> String {
    let (mut inside, mut compiled, mut code) = (false, false, String::new());
    for line in lines(attrs) {
        if let Some(info) = line.trim().strip_prefix("```") {
            inside = !inside;
            compiled = inside && matches!(info, "" | "rust" | "no_run" | "should_panic");
        } else if compiled {
            code.push_str(&line);
            code.push('\n');
        }
    }
    code
}

/// Whether the documentation has a code block that is compiled as it stands.
fn has_example(attrs: &[Attribute]) -> bool {
    !example(attrs).is_empty()
}

/// The public items that nothing shows in use.
fn without_example(sources: &Sources) -> impl Iterator<Item = String> {
    let traits: HashMap<String, &ItemTrait> = sources
        .definitions()
        .filter_map(|(path, item)| if let Item::Trait(item) = item { Some((path, item)) } else { None })
        .collect();
    // Where the example of a trait calls a method, or where a provided method does what another's does, that is enough.
    let is_shown = move |name: &str| {
        let Some((of, name)) = name.rsplit_once("::") else { return false };
        let Some(of) = traits.get(of) else { return false };
        let (example, call, written) = (example(&of.attrs), format!(".{name}("), format!("fn {name}("));
        let elsewhere = of.items.iter().any(|item| match item {
            TraitItem::Fn(method) => {
                let text = lines(&method.attrs).next().unwrap_or_default();
                method.sig.ident == name && method.default.is_some() && text.trim().starts_with("See [`")
            }
            _ => false,
        });
        elsewhere || example.contains(&call) || example.contains(&written)
    };
    let surface = sources.surface().into_iter();
    surface.filter(move |(name, attrs)| !has_example(attrs) && !is_shown(name)).map(|(name, _)| name)
}

#[test]
fn every_public_item_has_an_example() {
    let mut known = vec!["cached", "CacheLayer::ttl", "Metrics::of", "Cache", "Entry::get", "Codec::encode"];
    let (mut all, mut lacking) = (0, Vec::new());
    for krate in LIBRARIES {
        let sources = Sources::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(krate));
        let surface = sources.surface();
        known.retain(|known| !surface.iter().any(|(name, _)| name == known));
        all += surface.len();
        lacking.extend(without_example(&sources).map(|name| format!("{krate}: {name}")));
    }
    assert!(known.is_empty(), "they are public, and were not found: {known:?}");
    assert!(
        lacking.is_empty(),
        "{} of {all} public items have no example:\n{}",
        lacking.len(),
        lacking.join("\n")
    );
}
