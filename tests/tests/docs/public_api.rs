//! The public interface as checked-in text, so that every change to it is seen. `UPDATE_API=1` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, ItemImpl, TraitItem, UseTree};

use crate::sources::{LIBRARIES, Sources, is_documented, is_public, self_type};

/// An item as one line, the way rustfmt would space it.
fn line(item: Item) -> String {
    let file = syn::File { shebang: None, frontmatter: None, attrs: Vec::new(), items: vec![item] };
    let text = prettyplease::unparse(&file);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace("( ", "(")
        .replace(", )", ")")
        .replace(" )", ")")
        .replace(" ,)", ")")
        .replace("<'_ >", "<'_>")
}

/// What the signature of a function says, without its body.
fn signature(sig: &syn::Signature) -> String {
    let sig = sig.to_token_stream();
    let item: Item = syn::parse_quote!(trait It { #sig; });
    let text = line(item);
    text.trim_start_matches("trait It {").trim_end_matches('}').trim().trim_end_matches(';').to_owned()
}

/// The attributes that users of an item can tell: what is derived, and whether it can grow.
fn kept(attrs: &[Attribute]) -> Vec<Attribute> {
    let tells = |attr: &&Attribute| {
        ["derive", "non_exhaustive", "must_use"].iter().any(|name| attr.path().is_ident(name))
    };
    attrs.iter().filter(tells).cloned().collect()
}

fn public_fields(fields: &mut Fields) {
    if let Fields::Named(named) = fields {
        named.named = std::mem::take(&mut named.named)
            .into_iter()
            .filter(|field| is_public(&field.vis))
            .map(|field| syn::Field { attrs: Vec::new(), ..field })
            .collect();
    }
    if let Fields::Unnamed(unnamed) = fields
        && unnamed.unnamed.iter().all(|field| !is_public(&field.vis))
    {
        *fields = Fields::Unit;
    }
}

/// A definition as users see it.
fn shown(item: &Item) -> Vec<String> {
    match item {
        Item::Fn(item) => vec![signature(&item.sig)],
        Item::Struct(item) => {
            let mut item = item.clone();
            item.attrs = kept(&item.attrs);
            public_fields(&mut item.fields);
            vec![line(Item::Struct(item))]
        }
        Item::Enum(item) => {
            let mut item = item.clone();
            item.attrs = kept(&item.attrs);
            for variant in &mut item.variants {
                variant.attrs.clear();
                variant.fields.iter_mut().for_each(|field| field.attrs.clear());
            }
            vec![line(Item::Enum(item))]
        }
        Item::Trait(item) => {
            let mut head = item.clone();
            head.attrs = kept(&item.attrs);
            let items = std::mem::take(&mut head.items);
            let mut lines = vec![line(Item::Trait(head))];
            for item in &items {
                match item {
                    TraitItem::Fn(method) if is_documented(&method.attrs) => {
                        let provided = if method.default.is_some() { "provided " } else { "" };
                        lines.push(format!("    {provided}{}", signature(&method.sig)));
                    }
                    TraitItem::Const(item) if is_documented(&item.attrs) => {
                        let (provided, name, of) = (item.default.is_some(), &item.ident, &item.ty);
                        let provided = if provided { "provided " } else { "" };
                        lines.push(format!("    {provided}const {name}: {}", of.to_token_stream()));
                    }
                    TraitItem::Type(item) => lines.push(format!("    type {}", item.ident)),
                    _ => {}
                }
            }
            lines
        }
        Item::Const(item) => {
            vec![line(Item::Const(syn::ItemConst { attrs: Vec::new(), ..item.clone() }))]
        }
        Item::Static(item) => {
            vec![line(Item::Static(syn::ItemStatic { attrs: Vec::new(), ..item.clone() }))]
        }
        Item::Type(item) => vec![line(Item::Type(syn::ItemType { attrs: Vec::new(), ..item.clone() }))],
        // Its arms are its documentation's to tell.
        Item::Macro(_) => vec!["macro".to_owned()],
        _ => Vec::new(),
    }
}

/// `impl<T> Debug for Entry<T>`.
fn header(block: &ItemImpl) -> Option<String> {
    block.trait_.as_ref()?;
    let mut block = block.clone();
    block.items.clear();
    block.attrs.clear();
    Some(line(Item::Impl(block)).trim_end_matches("{}").trim().to_owned())
}

/// All that is public, one line each.
fn listing(sources: &Sources) -> String {
    let mut lines: Vec<(String, usize, String)> = Vec::new();
    for (path, item) in sources.definitions().chain(sources.values()) {
        for (at, text) in shown(item).into_iter().enumerate() {
            lines.push((path.clone(), at, if at == 0 { format!("{path}: {text}") } else { text }));
        }
    }
    for (name, _, method) in sources.methods() {
        let text = format!("{name}::{}", signature(&method.sig));
        lines.push((format!("{name}::{}", method.sig.ident), 0, text));
    }
    let types = sources.types();
    for block in sources.impls().filter(|block| block.trait_.is_none()) {
        let Some(of) = self_type(block).filter(|of| types.contains(of)) else { continue };
        for item in &block.items {
            if let ImplItem::Const(item) = item
                && is_public(&item.vis)
                && is_documented(&item.attrs)
            {
                let name = format!("{of}::{}", item.ident);
                lines.push((name.clone(), 0, format!("{name}: const {}", item.ty.to_token_stream())));
            }
        }
    }
    for block in sources.impls() {
        if let (Some(name), Some(header)) =
            (self_type(block).filter(|name| types.contains(name)), header(block))
        {
            lines.push((format!("{name} impl"), 0, header));
        }
    }
    lines.sort();
    let mut text = String::new();
    for (_, _, line) in lines {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The names that a crate's root re-exports from other crates.
fn re_exports(root: &Path) -> String {
    fn names(tree: &UseTree, found: &mut BTreeSet<String>) {
        match tree {
            UseTree::Path(path) => names(&path.tree, found),
            UseTree::Name(name) => drop(found.insert(name.ident.to_string())),
            UseTree::Rename(name) => drop(found.insert(name.rename.to_string())),
            UseTree::Group(group) => group.items.iter().for_each(|tree| names(tree, found)),
            UseTree::Glob(_) => drop(found.insert("*".to_owned())),
        }
    }
    let text = fs::read_to_string(root).expect("the facade is there");
    let mut found = BTreeSet::new();
    for item in syn::parse_file(&text).expect("it is Rust").items {
        if let Item::Use(item) = item
            && is_public(&item.vis)
        {
            names(&item.tree, &mut found);
        }
    }
    found.into_iter().fold(String::new(), |text, name| text + "pub use " + &name + "\n")
}

/// The features in a manifest, by name.
fn features(manifest: &Path) -> String {
    let text = fs::read_to_string(manifest).expect("a manifest is there");
    let section = text.split("[features]").nth(1).unwrap_or_default().split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim());
    names.fold(String::new(), |text, name| text + "feature " + name + "\n")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_public_interface_is_what_is_checked_in() {
    let root = repository();
    let facade =
        re_exports(&root.join("cachemacro/src/lib.rs")) + &features(&root.join("cachemacro/Cargo.toml"));
    let listed = LIBRARIES.map(|krate| (krate, listing(&Sources::of(&root.join(krate)))));
    for (krate, now) in listed.into_iter().chain([("cachemacro", facade)]) {
        let path = root.join(format!("docs/api/{krate}.txt"));
        if env::var_os("UPDATE_API").is_some() {
            fs::write(&path, &now).expect("the listing can be written");
        }
        let before = fs::read_to_string(&path).unwrap_or_default();
        let (old, new): (BTreeSet<&str>, BTreeSet<&str>) = (before.lines().collect(), now.lines().collect());
        let gone: Vec<&&str> = old.difference(&new).collect();
        let added: Vec<&&str> = new.difference(&old).collect();
        assert!(
            before == now,
            "docs/api/{krate}.txt is not what the sources say.\ngone: {gone:#?}\nadded: {added:#?}\n\
             If the change is meant: UPDATE_API=1 cargo test -p cachemacro-tests --all-features --test docs public_api"
        );
    }
}

/// The types and traits that every program names without a path, and compilers in their messages as long as nothing else has that name.
const PRELUDE: [&str; 20] = [
    "Option", "Result", "Vec", "String", "Box", "Send", "Sync", "Sized", "Copy", "Clone", "Drop", "Fn",
    "FnMut", "FnOnce", "Iterator", "Default", "From", "Into", "Future", "ToString",
];

/// The types, traits and variants that users see under a name of the prelude.
fn hiding(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for (path, item) in sources.definitions() {
        let (name, variants) = match item {
            Item::Struct(item) => (&item.ident, None),
            Item::Trait(item) => (&item.ident, None),
            Item::Enum(item) => (&item.ident, Some(&item.variants)),
            _ => continue,
        };
        let variants = variants.into_iter().flatten().map(|variant| &variant.ident);
        let hides =
            std::iter::once(name).chain(variants).filter(|name| PRELUDE.iter().any(|known| name == known));
        found.extend(hides.map(|name| format!("{path}: {name}")));
    }
    found
}

#[test]
fn no_public_name_makes_compilers_write_out_those_of_the_prelude() {
    let root = repository();
    for krate in LIBRARIES {
        assert_eq!(hiding(&Sources::of(&root.join(krate))), [""; 0], "{krate}");
    }
    let hidden = "pub struct Vec; pub enum Shape { Option(u8), List } enum Own { Result }";
    assert_eq!(hiding(&Sources::of_text(hidden)), ["Vec: Vec", "Shape: Option"]);
}

#[test]
fn whatever_becomes_public_is_in_the_listing() {
    let before = "pub struct A { pub x: u8, y: u8 } impl A { pub fn f(&self) {} fn g() {} } enum Own { V }";
    let all = listing(&Sources::of_text(before));
    assert_eq!(all, "A: pub struct A { pub x: u8, }\nA::fn f(&self)\n");
    for more in [
        "impl A { pub fn h(self) -> u8 { 1 } }",
        "pub enum B { V }",
        "pub trait T { fn f(&self) {} }",
        "impl Clone for A { fn clone(&self) -> A { todo!() } }",
        "written!(impl Clone for A {});",
        "pub fn free() {}",
        "pub const C: u8 = 1;",
        "pub static S: u8 = 1;",
        "pub type T = A;",
        "impl A { pub const C: u8 = 1; }",
        "#[macro_export] macro_rules! m { () => {} }",
        "pub trait T { const C: u8; }",
        "pub trait T { type C; }",
    ] {
        assert_ne!(listing(&Sources::of_text(&format!("{before} {more}"))), all, "{more}");
    }
    for less in [
        "impl A { fn h(self) {} }",
        "#[doc(hidden)] pub struct C;",
        "impl Own { pub fn f() {} }",
        "const C: u8 = 1;",
        "written!(A);",
    ] {
        assert_eq!(listing(&Sources::of_text(&format!("{before} {less}"))), all, "{less}");
    }
}
