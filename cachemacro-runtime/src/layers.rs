//! Holds every import of this crate against the table of layers in `ARCHITECTURE.md`: arrows only go down.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folders from the top down, and what each may use besides itself.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "private",
        &["api", "calls", "engine", "local", "store", "policy", "format", "key", "observe", "ground"],
    ),
    ("api", &["calls", "engine", "local", "store", "policy", "format", "key", "observe", "ground"]),
    ("calls", &["engine", "local", "store", "policy", "format", "key", "observe", "ground"]),
    ("engine", &["local", "store", "policy", "format", "key", "observe", "ground"]),
    ("local", &["store", "format", "key", "observe", "ground"]),
    ("store", &["format", "observe", "ground"]),
    ("policy", &["format", "key", "observe", "ground"]),
    ("format", &["ground"]),
    ("key", &["ground"]),
    ("observe", &["ground"]),
    ("ground", &[]),
];

/// Macros are exported at the crate's root, wherever they are written.
const MACROS: &[&str] =
    &["pass_on", "store_conformance", "__conformance_cases", "__cachemacro_site", "__cachemacro_parts"];

/// The first segments, below the crate's root, of all paths in code outside of tests that begin with `crate::`, or with
/// as many `super::` as `file` has folders and modules above it: imports, also grouped ones, and paths in expressions.
/// Comments and strings do not count.
fn used(file: &Path, code: &str) -> BTreeSet<String> {
    let is_folder = file.file_stem().is_some_and(|stem| stem == "mod");
    let up = "super::".repeat(file.components().count() - usize::from(is_folder));
    let mut found = BTreeSet::new();
    for root in ["crate::", &up] {
        let mut rest = code;
        while let Some(at) = rest.find(root) {
            let before = rest[..at].chars().next_back();
            rest = &rest[at + root.len()..];
            // `$crate::` and `some_crate::` are other crates' paths, or this one's as seen from there.
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(group) => split_group(group),
                None => vec![rest],
            };
            for name in names {
                let name: String =
                    name.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                found.insert(name);
            }
        }
    }
    found
}

/// The items of a group such as `a::b, c::{d, e}}`, up to the brace that closes it.
pub(crate) fn split_group(group: &str) -> Vec<&str> {
    let (mut depth, mut from, mut items) = (0_usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&group[from..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    items
}

/// The code without comments, and without what stands behind `#[cfg(test)]`, which ends a file.
pub(crate) fn code(text: &str) -> String {
    let own = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    own.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| line.split(" // ").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

pub(crate) fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// What `file`, a path below `src`, uses though its layer may not.
fn upward(file: &Path, text: &str) -> Vec<String> {
    let layer = file.components().next().and_then(|first| first.as_os_str().to_str()).unwrap_or_default();
    let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!("{}: `{layer}` is not in the table of layers", file.display())];
    };
    let is_layer = |name: &str| LAYERS.iter().any(|(known, _)| *known == name);
    used(file, &code(text))
        .into_iter()
        .filter(|name| name != layer && !below.contains(&name.as_str()) && !MACROS.contains(&name.as_str()))
        .map(|name| {
            if is_layer(&name) {
                format!("{}: `{layer}` uses `{name}`", file.display())
            } else {
                // What the crate's root shows may be from any layer.
                format!("{}: `crate::{name}` is not where `{name}` is defined", file.display())
            }
        })
        .collect()
}

#[test]
fn arrows_only_go_down() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    assert!(found.len() > 60, "the sources were read");
    let wrong: Vec<String> = found
        .iter()
        .filter_map(|path| Some((path.strip_prefix(&source).ok()?, path)))
        .filter(|(file, _)| file.components().count() > 1)
        .flat_map(|(file, path)| upward(file, &fs::read_to_string(path).expect("a source can be read")))
        .collect();
    assert!(wrong.is_empty(), "arrows that go up:\n{}", wrong.join("\n"));
}

#[test]
fn an_arrow_that_goes_up_is_found_in_every_form() {
    let wrong = |text| upward(Path::new("engine/lease.rs"), text);
    for text in [
        "use crate::api::cache::Cache;",
        "use crate::{ground::sync, calls::load::load};",
        "fn f() { crate::private::key(); }",
        "pub(crate) use crate::\n    api::cache::Cache;",
        "use super::super::api::cache::Cache;",
        "use super::super::{api::cache::Cache, ground::sync};",
        // From where the public surface shows it, not from where it is.
        "use crate::Cache;",
        "fn f() -> super::super::Cache {}",
    ] {
        assert_eq!(wrong(text).len(), 1, "{text}");
    }
    for text in [
        "use crate::store::Store;",
        "use crate::engine::raw::RawEntry;",
        "use super::raw::RawEntry;",
        "use crate::pass_on;",
        "// crate::api::cache::Cache",
        "macro_rules! m { () => { $crate::api::X } }",
        "#[cfg(test)]\nmod tests { use crate::api::cache::Cache; }",
    ] {
        assert_eq!(wrong(text), [""; 0], "{text}");
    }
    assert_eq!(upward(Path::new("attic/old.rs"), "").len(), 1, "every folder has a place");
}
