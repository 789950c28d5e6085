//! Every public item of the runtime has an example of its own in its documentation. That the examples compile and run,
//! the doc tests show.

use std::path::Path;

use syn::{Attribute, Expr, Lit, Meta};

use crate::sources::Sources;

/// Whether the documentation has a code block that is compiled as it stands.
fn has_example(attrs: &[Attribute]) -> bool {
    let lines = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
            Expr::Lit(text) => match &text.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let mut inside = false;
    for line in lines {
        if let Some(info) = line.trim().strip_prefix("```") {
            if !inside && matches!(info, "" | "rust" | "no_run" | "should_panic") {
                return true;
            }
            inside = !inside;
        }
    }
    false
}

#[test]
fn every_public_item_of_the_runtime_has_an_example() {
    let sources = Sources::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../cachemacro-runtime"));
    let surface = sources.surface();
    for known in ["Cache", "Entry::get", "Entry::increment", "Codec::encode"] {
        assert!(surface.iter().any(|(name, _)| name == known), "{known} is public, and was not found");
    }
    let lacking: Vec<&str> =
        surface.iter().filter(|(_, attrs)| !has_example(attrs)).map(|(name, _)| name.as_str()).collect();
    assert!(
        lacking.is_empty(),
        "{} of {} public items have no example:\n{}",
        lacking.len(),
        surface.len(),
        lacking.join("\n")
    );
}
