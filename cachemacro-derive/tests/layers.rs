//! Imports only go down: each file's `crate::…` paths are held against the table of layers.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

/// Each folder or file under `src`, from the top down, and what it may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("lib", &["config", "pipeline", "schema", "syntax", "tag"]),
    ("config", &["expand", "check", "syntax", "tokens"]),
    ("pipeline", &["expand", "check", "syntax", "tokens"]),
    ("tag", &["schema", "syntax"]),
    ("schema", &[]),
    ("expand", &["values", "model", "syntax", "tokens"]),
    ("check", &["values", "model", "syntax", "tokens"]),
    ("values", &["model", "syntax", "tokens"]),
    ("model", &["syntax"]),
    ("syntax", &["tokens"]),
    ("tokens", &[]),
];

fn may_use(layer: &str, other: &str) -> bool {
    layer == other || LAYERS.iter().any(|(name, lower)| *name == layer && lower.contains(&other))
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All files, as the modules that they are: `["check", "write"]` of `check/write.rs`.
fn modules(folder: &Path, above: &[String], found: &mut Vec<(Vec<String>, PathBuf)>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("so can its entries").path();
        let name = path.file_stem().expect("files have names").to_string_lossy().into_owned();
        let mut module = above.to_vec();
        if path.is_dir() {
            module.push(name);
            modules(&path, &module, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            if name != "mod" {
                module.push(name);
            }
            found.push((module, path));
        }
    }
}

/// The layers that a module's tokens name, those under `#[cfg(test)]` apart.
fn used(module: &[String], tokens: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.to_string() == text);
    let follows = |at: usize| is(at, ":") && is(at + 1, ":");
    let mut at = 0;
    while at < tokens.len() {
        if is(at, "#") && tokens.get(at + 1).is_some_and(is_test_only) {
            at = after_item(&tokens, at + 2);
            continue;
        }
        let mut path = match &tokens[at] {
            TokenTree::Ident(word) if word == "crate" => Some((Vec::new(), at + 1)),
            TokenTree::Ident(word) if word == "super" => Some((parent(module), at + 1)),
            TokenTree::Group(group) => {
                used(module, group.stream(), found);
                None
            }
            _ => None,
        };
        while let Some((of, next)) = path.take_if(|(_, next)| follows(*next) && is(*next + 2, "super")) {
            path = Some((parent(&of), next + 3));
        }
        if let Some((of, next)) = path.filter(|(_, next)| follows(*next)) {
            if of.is_empty() {
                found.extend(first_words(&tokens[next + 2]));
            }
            at = next + 2;
        } else {
            at += 1;
        }
    }
}

fn parent(module: &[String]) -> Vec<String> {
    module.split_last().map(|(_, rest)| rest.to_vec()).unwrap_or_default()
}

/// `a` of `a`, and `a` and `b` of `{a::x, b}`.
fn first_words(token: &TokenTree) -> Vec<String> {
    match token {
        TokenTree::Group(group) => {
            let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
            tokens
                .split(|token| token.to_string() == ",")
                .filter_map(|one| one.first())
                .map(ToString::to_string)
                .collect()
        }
        word => vec![word.to_string()],
    }
}

fn is_test_only(token: &TokenTree) -> bool {
    token.to_string().replace(' ', "") == "[cfg(test)]"
}

/// Where the item that begins at `at` has ended.
fn after_item(tokens: &[TokenTree], at: usize) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
        token => token.to_string() == ";",
    };
    tokens[at..].iter().position(ends).map_or(tokens.len(), |end| at + end + 1)
}

/// The arrows of one file that the table does not allow.
fn forbidden(module: &[String], text: &str) -> Vec<String> {
    let layer = module.first().map_or("lib", String::as_str);
    let mut found = BTreeSet::new();
    used(module, text.parse().expect("a file is tokens"), &mut found);
    found
        .into_iter()
        .filter(|other| !may_use(layer, other))
        .map(|other| format!("{layer} -> {other}"))
        .collect()
}

#[test]
fn no_file_imports_what_stands_above_or_beside_it() {
    let mut files = Vec::new();
    modules(&source(), &[], &mut files);
    assert!(files.len() > 20, "{files:?}");
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|(module, path)| {
            let text = fs::read_to_string(path).expect("sources can be read");
            forbidden(module, &text).into_iter().map(|arrow| format!("{}: {arrow}", path.display()))
        })
        .collect();
    assert!(wrong.is_empty(), "imports that the table of layers does not allow:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_has_its_place_in_the_table_and_arrows_there_go_down() {
    let mut files = Vec::new();
    modules(&source(), &[], &mut files);
    let names: BTreeSet<&str> =
        files.iter().filter_map(|(module, _)| module.first()).map(String::as_str).collect();
    let listed: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, listed);
    for (at, (name, lower)) in LAYERS.iter().enumerate() {
        for other in *lower {
            let below = LAYERS[at + 1..].iter().any(|(below, _)| below == other);
            assert!(below, "{name} -> {other} goes up");
        }
    }
}

#[test]
fn an_arrow_that_goes_up_is_found_however_it_is_written() {
    let module = ["expand".to_owned(), "write".to_owned()];
    for text in [
        "use crate::check::write::is_late;",
        "use crate::{check, values};",
        "use crate::{values::{self, Place}, check::write};",
        "use super::super::check;",
        "fn f() { let late = crate::check::is_late(&value); }",
        "fn f() { println!(\"{}\", crate::check::NAME) }",
        "#[cfg(test)] mod tests { use super::*; } use crate::check::x;",
    ] {
        assert_eq!(forbidden(&module, text), ["expand -> check"], "{text}");
    }
    for text in [
        "use crate::values::placed; use crate::syntax::{item, options};",
        "use super::Expander; pub(crate) fn f() {}",
        "#[cfg(test)] mod tests { use crate::check::x; }",
        "#[cfg(test)] use crate::check::x;",
        "/// What [`crate::check`] says.\nfn f() {}",
    ] {
        assert!(forbidden(&module, text).is_empty(), "{text}");
    }
}
