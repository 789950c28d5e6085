//! Holds the imports of this crate's files against each other: no two of them need each other, be it through others.
//!
//! A file needs another where it names a path into it: `crate::…`, `super::…`, `self::…`, or one that begins with a module
//! that the file declares. That a folder's `mod.rs` re-exports its own children is no need of the folder's; who takes what
//! it re-exports needs the child. Tests and comments do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::layers::{code, files, split_group};

/// A module's name in segments; the crate's root has none.
type Module = Vec<String>;

/// Which modules each module needs.
type Needs = BTreeMap<Module, BTreeSet<Module>>;

/// The module in `file`, a path below `src`.
fn module(file: &Path) -> Module {
    let mut segments: Module =
        file.with_extension("").iter().map(|segment| segment.to_string_lossy().into_owned()).collect();
    if segments.last().is_some_and(|last| last == "mod" || last == "lib") {
        segments.pop();
    }
    segments
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The modules that a file declares: `mod name;`.
fn children(code: &str) -> BTreeSet<&str> {
    let words: Vec<&str> = code.split(|c| !is_word(c) && c != ';').filter(|word| !word.is_empty()).collect();
    words.windows(2).filter(|pair| pair[0] == "mod").filter_map(|pair| pair[1].strip_suffix(';')).collect()
}

/// Adds the paths that `text` begins with: one, or those of a group such as `a::{b, c::d}`.
fn add_paths(mut path: Module, text: &str, found: &mut Vec<Module>) {
    let mut rest = text.trim_start();
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            return split_group(group).into_iter().for_each(|item| add_paths(path.clone(), item, found));
        }
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        path.push(rest[..end].to_owned());
        match rest[end..].trim_start().strip_prefix("::") {
            Some(more) => rest = more.trim_start(),
            None => return found.push(path),
        }
    }
}

/// All paths that begin with one of these words, each with whether it is re-exported.
fn paths(code: &str, begins: &BTreeSet<&str>) -> Vec<(Module, bool)> {
    let mut found = Vec::new();
    let mut before = "";
    for (at, _) in code.match_indices(is_word) {
        // The beginnings of words, unless the word goes on a path, a field access or a macro's own crate.
        let front = &code[..at];
        if front.ends_with(is_word) {
            continue;
        }
        let word = code[at..].split(|c| !is_word(c)).next().unwrap_or_default();
        let is_path = code[at + word.len()..].trim_start().starts_with("::");
        if is_path && begins.contains(word) && !front.trim_end().ends_with([':', '.', '$']) {
            let mut these = Vec::new();
            add_paths(Module::new(), &code[at..], &mut these);
            // `pub use self::a::B`, `pub(crate) use super::a::B`.
            let statement = front.rsplit([';', '}']).next().unwrap_or_default();
            let exported =
                before == "use" && statement.split_whitespace().any(|word| word.starts_with("pub"));
            found.extend(these.into_iter().map(|path| (path, exported)));
        }
        before = word;
    }
    found
}

/// The module that `path` leads into, as read in `from`, and the name that is taken from there.
fn target(from: &[String], path: &[String], known: &BTreeSet<&Module>) -> (Module, Option<String>) {
    let (mut base, mut rest) = match path[0].as_str() {
        "crate" => (Module::new(), &path[1..]),
        "self" => (from.to_vec(), &path[1..]),
        // `super`, or a module that is declared here.
        _ => (from.to_vec(), path),
    };
    while rest.first().is_some_and(|first| first == "super") {
        base.pop();
        rest = &rest[1..];
    }
    base.extend_from_slice(rest);
    let mut name = None;
    while !base.is_empty() && !known.contains(&base) {
        name = base.pop();
    }
    (base, name)
}

/// What each of these files needs, told by path below `src` and text.
fn needs(sources: &[(&Path, String)]) -> Needs {
    let modules: Vec<Module> = sources.iter().map(|(file, _)| module(file)).collect();
    let known: BTreeSet<&Module> = modules.iter().collect();
    // Each path of a file: where it leads, what it takes from there, and whether that is a re-export of a child's.
    let read = |own: &Module, text: &str| -> Vec<(Module, Option<String>, bool)> {
        let code = code(text);
        let mut begins = children(&code);
        begins.extend(["crate", "self", "super"]);
        let told = paths(&code, &begins).into_iter().map(|(path, exported)| {
            let (module, name) = target(own, &path, &known);
            let exported = exported && module.starts_with(own) && module != *own;
            (module, name, exported)
        });
        told.filter(|(module, ..)| !module.is_empty()).collect()
    };
    let read: Vec<_> = modules.iter().zip(sources).map(|(own, (_, text))| (own, read(own, text))).collect();
    let exports: BTreeMap<(&Module, &str), &Module> = read
        .iter()
        .flat_map(|(own, paths)| {
            paths.iter().map(move |(module, name, exported)| (*own, module, name, *exported))
        })
        .filter_map(|(own, module, name, exported)| {
            Some(((own, name.as_deref().filter(|_| exported)?), module))
        })
        .collect();
    let needed = |own: &Module, paths: &[(Module, Option<String>, bool)]| {
        let taken = paths.iter().filter(|(.., exported)| !exported).map(|(module, name, _)| {
            let child = name.as_deref().and_then(|name| exports.get(&(module, name)));
            child.copied().unwrap_or(module).clone()
        });
        taken.filter(|module| module != own).collect()
    };
    read.iter().map(|(own, paths)| ((*own).clone(), needed(own, paths))).collect()
}

/// What is left when all that needs nothing, and all that nobody needs, is taken away again and again: circles, and what
/// lies between two of them.
fn circles(mut needs: Needs) -> Needs {
    loop {
        let left = needs.len();
        let needed: BTreeSet<Module> = needs.values().flatten().cloned().collect();
        needs.retain(|module, needed_here| !needed_here.is_empty() && needed.contains(module));
        let modules: BTreeSet<Module> = needs.keys().cloned().collect();
        for needed in needs.values_mut() {
            needed.retain(|module| modules.contains(module));
        }
        if needs.len() == left {
            return needs;
        }
    }
}

#[test]
fn no_files_need_each_other() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&source, &mut found);
    let texts: Vec<(&Path, String)> = found
        .iter()
        .filter_map(|path| Some((path.strip_prefix(&source).ok()?, path)))
        .filter(|(file, _)| file.components().count() > 1)
        .map(|(file, path)| (file, fs::read_to_string(path).expect("a source can be read")))
        .collect();
    let needs = needs(&texts);
    assert!(needs.values().map(BTreeSet::len).sum::<usize>() > 200, "the imports were read");
    let wrong: Vec<String> = circles(needs)
        .iter()
        .flat_map(|(module, needed)| {
            needed.iter().map(|other| format!("{} needs {}", module.join("::"), other.join("::")))
        })
        .collect();
    assert!(wrong.is_empty(), "files that need each other:\n{}", wrong.join("\n"));
}

/// The modules in circles, where `sources` are all files there are.
fn found(sources: &[(&str, &str)]) -> Vec<String> {
    let texts: Vec<(&Path, String)> =
        sources.iter().map(|(file, text)| (Path::new(*file), (*text).to_owned())).collect();
    circles(needs(&texts)).keys().map(|module| module.join("::")).collect()
}

#[test]
fn a_circle_is_found_however_its_paths_are_written() {
    let back = ("a/one.rs", "use super::two::Two;");
    for there in [
        "use crate::a::one::One;",
        "use super::one::One;",
        "use crate::a::{\n    one::{One, Other},\n};",
        "use crate::{a::one, b::three};",
        "fn f() { super::one::run::<u8>() }",
        "pub use super::one::One;",
    ] {
        assert_eq!(found(&[back, ("a/two.rs", there)]), ["a::one", "a::two"], "{there}");
    }
    // Through a third, in another folder; those that only lead to a circle are not told.
    let three = [
        ("a/one.rs", "use crate::b::Three;"),
        ("a/two.rs", "use super::one::One;"),
        ("b/mod.rs", "use crate::a::two::Two;"),
        ("c/four.rs", "use crate::b::Three;"),
    ];
    assert_eq!(found(&three), ["a::one", "a::two", "b"]);
    // Through what a folder re-exports.
    let exported = [
        ("a/mod.rs", "mod one;\nmod two;\npub use self::one::One;"),
        ("a/one.rs", "use super::two::Two;"),
        ("a/two.rs", "use crate::b::three;"),
        ("b.rs", "use crate::a::One;"),
    ];
    assert_eq!(found(&exported), ["a::one", "a::two", "b"]);
    // A folder that works with what its children give it.
    for works in
        ["mod one;\nfn f() { one::run() }", "mod one;\nuse self::one::One;", "mod one;\nuse one::One;"]
    {
        assert_eq!(found(&[("a/mod.rs", works), ("a/one.rs", "use super::f;")]), ["a", "a::one"], "{works}");
    }
}

#[test]
fn what_is_no_circle_is_not_told() {
    for (there, back) in [
        ("mod one;\npub use one::One;\npub(crate) use self::one::Other;", "use super::f;"),
        ("mod one;\nfn f() { one::run() }", "use super::super::b::Three; // super::f"),
        ("mod one;\nfn f() { one::run() }", "#[cfg(test)]\nmod tests { use crate::a::f; }"),
        ("mod one;\nfn f() { one::run() }", "macro_rules! m { () => { $crate::a::f() } }"),
        ("mod one;\nfn f(x: &T) { x.one::<u8>(); other::one::run() }", "use super::f;"),
        ("/// See [`one`](self::one).\nmod one;", "use super::f;"),
    ] {
        assert_eq!(
            found(&[("a/mod.rs", there), ("a/one.rs", back), ("b.rs", "")]),
            [""; 0],
            "{there} {back}"
        );
    }
}
