//! What of a crate is public, as its sources say: public modules, and what is re-exported from private ones. What is
//! `#[doc(hidden)]` or for tests is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, ImplItem, ImplItemFn, Item, ItemImpl, Meta, TraitItem, Type, UseTree, Visibility};

/// Public types that a macro makes, so that their definitions cannot be seen here; their methods can.
const MADE_BY_MACROS: &[&str] = &["Stats"];

/// The published libraries, but for the facade, which has no items of its own.
pub(crate) const LIBRARIES: [&str; 6] = [
    "cachemacro-derive",
    "cachemacro-http",
    "cachemacro-metrics",
    "cachemacro-runtime",
    "cachemacro-search",
    "cachemacro-sql",
];

/// A module's items.
pub(crate) struct Module {
    /// Where it is in the sources.
    pub(crate) path: Vec<String>,
    pub(crate) items: Vec<Item>,
}

/// The whole crate, without what is hidden or for tests.
pub(crate) struct Sources {
    pub(crate) modules: Vec<Module>,
    /// Re-exports, of any module: where something is, and the paths at which it is shown as well.
    exported: BTreeMap<Vec<String>, Vec<Vec<String>>>,
}

impl Module {
    /// A macro that is given the head of an impl writes that impl.
    fn of(path: Vec<String>, mut items: Vec<Item>) -> Self {
        let written: Vec<ItemImpl> = items
            .iter()
            .filter_map(|item| match item {
                Item::Macro(made) if made.ident.is_none() => made.mac.parse_body().ok(),
                _ => None,
            })
            .collect();
        items.extend(written.into_iter().map(Item::Impl));
        Self { path, items }
    }
}

impl Sources {
    /// The sources of the crate in this folder.
    pub(crate) fn of(crate_folder: &Path) -> Self {
        let mut sources = Self { modules: Vec::new(), exported: BTreeMap::new() };
        let source = crate_folder.join("src");
        sources.add(Vec::new(), &source.join("lib.rs"), &source);
        sources
    }

    /// A crate of one file.
    pub(crate) fn of_text(text: &str) -> Self {
        let mut sources = Self { modules: Vec::new(), exported: BTreeMap::new() };
        let items = syn::parse_file(text).expect("it is Rust").items;
        sources.modules.push(Module::of(Vec::new(), items));
        sources
    }

    /// Adds the module in `file`, whose children are in `folder`.
    fn add(&mut self, path: Vec<String>, file: &Path, folder: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for item in &parsed.items {
            match item {
                Item::Mod(module) if module.content.is_none() && is_documented(&module.attrs) => {
                    let name = module.ident.to_string();
                    let folder = folder.join(&name);
                    let beside = folder.with_extension("rs");
                    let file: PathBuf = if beside.exists() { beside } else { folder.join("mod.rs") };
                    self.add([&path[..], &[name]].concat(), &file, &folder);
                }
                Item::Use(used) if is_public(&used.vis) && is_documented(&used.attrs) => {
                    self.export(&path, path.clone(), &used.tree);
                }
                _ => {}
            }
        }
        self.modules.push(Module::of(path, parsed.items));
    }

    /// Notes what `tree`, read from `from` on, shows in the module `at`.
    fn export(&mut self, at: &[String], mut from: Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                if path.ident == "crate" {
                    from.clear();
                } else if path.ident == "super" {
                    from.pop();
                } else if path.ident != "self" {
                    from.push(path.ident.to_string());
                }
                self.export(at, from, &path.tree);
            }
            UseTree::Name(name) => self.show(at, from, name.ident.to_string(), name.ident.to_string()),
            UseTree::Rename(name) => self.show(at, from, name.ident.to_string(), name.rename.to_string()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.export(at, from.clone(), tree)),
            UseTree::Glob(_) => panic!("{from:?}: re-exports are named one by one"),
        }
    }

    fn show(&mut self, at: &[String], from: Vec<String>, name: String, shown: String) {
        self.exported.entry([from, vec![name]].concat()).or_default().push([at, &[shown]].concat());
    }

    /// The shortest path by which users reach `name` of a module, if they can.
    pub(crate) fn public_path(&self, module: &Module, name: &str) -> Option<String> {
        let full = [&module.path[..], &[name.to_owned()]].concat();
        let mut found = Vec::new();
        let all = full.len();
        self.reach(full, all, &mut BTreeSet::new(), &mut found);
        found.into_iter().min_by_key(Vec::len).map(|path| path.join("::"))
    }

    /// Finds the paths of an item that lead through public modules only, its re-exports' too. What the first `open`
    /// segments of `full` name is public in its module, and so is all that follows them.
    fn reach(
        &self,
        full: Vec<String>,
        open: usize,
        seen: &mut BTreeSet<Vec<String>>,
        found: &mut Vec<Vec<String>>,
    ) {
        if !seen.insert(full.clone()) {
            return;
        }
        // The item itself, or a module around it that is re-exported as a whole and in which all is public down to it.
        for length in (0..=full.len()).rev() {
            for also in self.exported.get(&full[..length]).into_iter().flatten() {
                self.reach([also, &full[length..]].concat(), also.len(), seen, found);
            }
            if length < open && !self.is_public_module(&full[..length]) {
                return;
            }
        }
        found.push(full);
    }

    /// Whether the module's own declaration is public.
    fn is_public_module(&self, path: &[String]) -> bool {
        let Some((name, parent)) = path.split_last() else { return true };
        let declared = self.modules.iter().filter(|module| module.path == parent);
        declared.flat_map(|module| &module.items).any(|item| match item {
            Item::Mod(module) => module.ident == name && is_public(&module.vis),
            _ => false,
        })
    }

    /// Each public definition, with the path by which users reach it.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = (String, &Item)> {
        self.modules.iter().flat_map(move |module| {
            module.items.iter().filter_map(move |item| {
                let (name, vis, attrs, _) = definition(item)?;
                if !is_public(vis) || !is_documented(attrs) {
                    return None;
                }
                Some((self.public_path(module, &name)?, item))
            })
        })
    }

    /// Each public constant, alias and macro, with the path by which users reach it.
    pub(crate) fn values(&self) -> impl Iterator<Item = (String, &Item)> {
        self.modules.iter().flat_map(move |module| {
            module.items.iter().filter_map(move |item| {
                let (name, vis, attrs) = match item {
                    Item::Const(item) => (&item.ident, &item.vis, &item.attrs),
                    Item::Static(item) => (&item.ident, &item.vis, &item.attrs),
                    Item::Type(item) => (&item.ident, &item.vis, &item.attrs),
                    // It is at the crate's root, wherever it is written.
                    Item::Macro(made) => {
                        let is_exported = made.attrs.iter().any(|attr| attr.path().is_ident("macro_export"));
                        let name =
                            made.ident.as_ref().filter(|_| is_exported && is_documented(&made.attrs))?;
                        return Some((format!("{name}!"), item));
                    }
                    _ => return None,
                };
                let path = self.public_path(module, &name.to_string())?;
                (is_public(vis) && is_documented(attrs)).then_some((path, item))
            })
        })
    }

    /// The names of the public types, which can have methods anywhere in the crate.
    pub(crate) fn types(&self) -> BTreeSet<String> {
        let mut types: BTreeSet<String> = MADE_BY_MACROS.iter().map(|&name| name.to_owned()).collect();
        types.extend(self.definitions().filter_map(|(_, item)| {
            let (name, _, _, is_type) = definition(item)?;
            is_type.then_some(name)
        }));
        types
    }

    /// Each public method of a public type, with its type and the block it is in.
    pub(crate) fn methods(&self) -> impl Iterator<Item = (String, &ItemImpl, &ImplItemFn)> {
        let types = self.types();
        self.impls().filter(|block| block.trait_.is_none()).flat_map(move |block| {
            let name = self_type(block).filter(|name| types.contains(name));
            block.items.iter().filter_map(move |item| match item {
                ImplItem::Fn(method) if is_public(&method.vis) && is_documented(&method.attrs) => {
                    Some((name.clone()?, block, method))
                }
                _ => None,
            })
        })
    }

    /// All impl blocks, also those in modules that are not public.
    pub(crate) fn impls(&self) -> impl Iterator<Item = &ItemImpl> {
        self.modules.iter().flat_map(|module| &module.items).filter_map(|item| match item {
            Item::Impl(block) if is_documented(&block.attrs) => Some(block),
            _ => None,
        })
    }

    /// Each public item and method, by its path, with what documents it.
    pub(crate) fn surface(&self) -> Vec<(String, &[Attribute])> {
        let mut found = Vec::new();
        for (path, item) in self.definitions() {
            if let Item::Trait(item) = item {
                for item in &item.items {
                    if let TraitItem::Fn(method) = item
                        && is_documented(&method.attrs)
                    {
                        found.push((format!("{path}::{}", method.sig.ident), &method.attrs[..]));
                    }
                }
            }
            if let Some((_, _, attrs, _)) = definition(item) {
                found.push((path, attrs));
            }
        }
        found.extend(
            self.methods()
                .map(|(name, _, method)| (format!("{name}::{}", method.sig.ident), &method.attrs[..])),
        );
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }
}

/// Name, visibility, attributes, and whether it can have methods.
pub(crate) fn definition(item: &Item) -> Option<(String, &Visibility, &[Attribute], bool)> {
    Some(match item {
        Item::Fn(item) => (item.sig.ident.to_string(), &item.vis, &item.attrs, false),
        Item::Struct(item) => (item.ident.to_string(), &item.vis, &item.attrs, true),
        Item::Enum(item) => (item.ident.to_string(), &item.vis, &item.attrs, true),
        Item::Trait(item) => (item.ident.to_string(), &item.vis, &item.attrs, false),
        _ => return None,
    })
}

/// The name of the type that a block is for.
pub(crate) fn self_type(block: &ItemImpl) -> Option<String> {
    let Type::Path(path) = &*block.self_ty else { return None };
    Some(path.path.segments.last()?.ident.to_string())
}

pub(crate) fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

/// Neither hidden nor for tests.
pub(crate) fn is_documented(attrs: &[Attribute]) -> bool {
    !attrs.iter().any(|attr| match &attr.meta {
        Meta::List(list) => {
            let inside = list.tokens.to_string();
            list.path.is_ident("doc") && inside == "hidden" || list.path.is_ident("cfg") && inside == "test"
        }
        _ => false,
    })
}
