//! Which modules of a crate need which, as their sources say.
//!
//! A file needs another where it names a path into it: `crate::…`, `super::…`, `self::…`, or one that begins with a module
//! that the file declares. That a file re-exports its own children is no need of it; who takes what it re-exports needs the
//! child. A macro is exported at the crate's root, wherever it is written. Tests and comments do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module's name in segments; the crate's root has none.
pub(super) type Module = Vec<String>;

/// Which modules each module needs.
pub(super) type Needs = BTreeMap<Module, BTreeSet<Module>>;

/// The sources of a crate, by their paths below `src`.
pub(super) fn sources(krate: &Path) -> Vec<(PathBuf, String)> {
    fn add(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the sources are there") {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() {
                if !path.ends_with("tests") {
                    add(&path, found);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
                found.push(path);
            }
        }
    }
    let source = krate.join("src");
    let mut found = Vec::new();
    add(&source, &mut found);
    let below = found.iter().filter_map(|path| Some((path.strip_prefix(&source).ok()?, path)));
    below
        .map(|(file, path)| (file.to_owned(), fs::read_to_string(path).expect("a source can be read")))
        .collect()
}

/// The module in `file`, a path below `src`.
fn module(file: &Path) -> Module {
    let mut segments: Module =
        file.with_extension("").iter().map(|segment| segment.to_string_lossy().into_owned()).collect();
    if segments.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        segments.pop();
    }
    segments
}

/// The code without comments, and without items behind `#[cfg(test)]`.
fn code(text: &str) -> String {
    let (mut code, mut skips) = (String::new(), false);
    for line in text.lines() {
        if line == "#[cfg(test)]" {
            skips = true;
        } else if skips {
            // An item ends where its first line does, or with the brace that is not indented.
            let is_indented = line.starts_with([' ', '#', '/']);
            skips = is_indented || !line.ends_with([';', '}']);
        } else if !line.trim_start().starts_with("//") {
            code += line.split(" // ").next().unwrap_or_default();
            code += "\n";
        }
    }
    code
}

/// The items of a group such as `a::b, c::{d, e}}`, up to the brace that closes it.
fn split_group(group: &str) -> Vec<&str> {
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

/// The macros that the code declares.
fn macros(code: &str) -> impl Iterator<Item = &str> {
    let named = code.split("macro_rules! ").skip(1);
    named.filter_map(|rest| rest.split(|c| !is_word(c)).next())
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
pub(super) fn needs(sources: &[(PathBuf, String)]) -> Needs {
    let modules: Vec<Module> = sources.iter().map(|(file, _)| module(file)).collect();
    let codes: Vec<String> = sources.iter().map(|(_, text)| code(text)).collect();
    let macros: BTreeSet<&str> = codes.iter().flat_map(|code| macros(code)).collect();
    let known: BTreeSet<&Module> = modules.iter().collect();
    // Each path of a file: where it leads, what it takes from there, and whether that is a re-export of a child's.
    let read = |own: &Module, code: &str| -> Vec<(Module, Option<String>, bool)> {
        let mut begins = children(code);
        begins.extend(["crate", "self", "super"]);
        let told = paths(code, &begins).into_iter().map(|(path, exported)| {
            let (module, name) = target(own, &path, &known);
            let exported = exported && module.starts_with(own) && module != *own;
            (module, name, exported)
        });
        let is_macro = |name: &Option<String>| name.as_deref().is_some_and(|name| macros.contains(name));
        told.filter(|(module, name, _)| !(module.is_empty() && is_macro(name))).collect()
    };
    let read: Vec<_> = modules.iter().zip(&codes).map(|(own, code)| (own, read(own, code))).collect();
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
pub(super) fn circles(mut needs: Needs) -> Needs {
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
