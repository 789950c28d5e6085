//! Every public item of the runtime has an example of its own in its documentation.
//!
//! The sources are parsed, and what of them is public follows from `lib.rs`: public modules, and what is re-exported
//! from private ones; `#[doc(hidden)]` is not. That the examples compile and run, the doc tests show.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Expr, ImplItem, Item, ItemImpl, Lit, Meta, TraitItem, Type, UseTree, Visibility};

/// Public types that a macro makes, so that their definitions cannot be seen here; their methods can.
const MADE_BY_MACROS: &[&str] = &["Stats"];

/// A module's items.
struct Module {
    path: Vec<String>,
    public: bool,
    items: Vec<Item>,
}

/// The whole crate, without what is hidden or for tests.
struct Sources {
    modules: Vec<Module>,
    /// Re-exported from a module that is not public, by module and name.
    exported: BTreeSet<(Vec<String>, String)>,
}

impl Sources {
    fn of(crate_folder: &Path) -> Self {
        let mut sources = Self { modules: Vec::new(), exported: BTreeSet::new() };
        let source = crate_folder.join("src");
        sources.add(Vec::new(), true, &source.join("lib.rs"), &source);
        sources
    }

    /// Adds the module in `file`, whose children are in `folder`.
    fn add(&mut self, path: Vec<String>, public: bool, file: &Path, folder: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for item in &parsed.items {
            match item {
                Item::Mod(module) if module.content.is_none() && is_documented(&module.attrs) => {
                    let name = module.ident.to_string();
                    let folder = folder.join(&name);
                    let beside = folder.with_extension("rs");
                    let file: PathBuf = if beside.exists() { beside } else { folder.join("mod.rs") };
                    self.add([&path[..], &[name]].concat(), public && is_public(&module.vis), &file, &folder);
                }
                Item::Use(used) if public && is_public(&used.vis) && is_documented(&used.attrs) => {
                    self.export(path.clone(), &used.tree);
                }
                _ => {}
            }
        }
        self.modules.push(Module { path, public, items: parsed.items });
    }

    fn export(&mut self, mut from: Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                if path.ident != "self" {
                    from.push(path.ident.to_string());
                }
                self.export(from, &path.tree);
            }
            UseTree::Name(name) => {
                self.exported.insert((from, name.ident.to_string()));
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.export(from.clone(), tree)),
            UseTree::Glob(_) | UseTree::Rename(_) => panic!("{from:?}: re-exports are named one by one"),
        }
    }

    fn is_reachable(&self, module: &Module, name: &str) -> bool {
        module.public || self.exported.contains(&(module.path.clone(), name.to_owned()))
    }

    /// Each public item and method, by its path, with what documents it.
    fn surface(&self) -> Vec<(String, &[Attribute])> {
        let mut found = Vec::new();
        let mut types: BTreeSet<String> = MADE_BY_MACROS.iter().map(|&name| name.to_owned()).collect();
        for module in &self.modules {
            for item in &module.items {
                let Some((name, vis, attrs, is_type)) = definition(item) else { continue };
                if !is_public(vis) || !is_documented(attrs) || !self.is_reachable(module, &name) {
                    continue;
                }
                let path = [&module.path[..], std::slice::from_ref(&name)].concat().join("::");
                if let Item::Trait(item) = item {
                    for item in &item.items {
                        if let TraitItem::Fn(method) = item
                            && is_documented(&method.attrs)
                        {
                            found.push((format!("{path}::{}", method.sig.ident), &method.attrs[..]));
                        }
                    }
                }
                if is_type {
                    types.insert(name);
                }
                found.push((path, attrs));
            }
        }
        for module in &self.modules {
            for item in &module.items {
                let Item::Impl(item) = item else { continue };
                if let Some(name) = inherent(item)
                    && types.contains(&name)
                {
                    let path = [&module.path[..], &[name]].concat().join("::");
                    for item in &item.items {
                        if let ImplItem::Fn(method) = item
                            && is_public(&method.vis)
                            && is_documented(&method.attrs)
                        {
                            found.push((format!("{path}::{}", method.sig.ident), &method.attrs[..]));
                        }
                    }
                }
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }
}

/// Name, visibility, attributes, and whether it can have methods.
fn definition(item: &Item) -> Option<(String, &Visibility, &[Attribute], bool)> {
    Some(match item {
        Item::Fn(item) => (item.sig.ident.to_string(), &item.vis, &item.attrs, false),
        Item::Struct(item) => (item.ident.to_string(), &item.vis, &item.attrs, true),
        Item::Enum(item) => (item.ident.to_string(), &item.vis, &item.attrs, true),
        Item::Trait(item) => (item.ident.to_string(), &item.vis, &item.attrs, false),
        _ => return None,
    })
}

/// The type of an impl block that is not a trait's.
fn inherent(item: &ItemImpl) -> Option<String> {
    let Type::Path(path) = &*item.self_ty else { return None };
    let name = path.path.segments.last()?.ident.to_string();
    item.trait_.is_none().then_some(name)
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

/// Neither hidden nor for tests.
fn is_documented(attrs: &[Attribute]) -> bool {
    !attrs.iter().any(|attr| match &attr.meta {
        Meta::List(list) => {
            let inside = list.tokens.to_string();
            list.path.is_ident("doc") && inside == "hidden" || list.path.is_ident("cfg") && inside == "test"
        }
        _ => false,
    })
}

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
    for known in ["cache::Cache", "entry::Entry::get", "increment::Entry::increment", "codec::Codec::encode"]
    {
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
