//! What `CONTRIBUTING.md` asks of every source file and a compiler does not see.

use std::fs;
use std::path::{Path, PathBuf};

/// Beyond so many lines of code, a file says at its head why it is one.
const MOST_LINES: usize = 600;

/// All Rust sources of the repository, but for the cases of `tests/ui`, which are written as users write.
fn sources() -> Vec<PathBuf> {
    fn add(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder can be read") {
            let path = entry.expect("so can its entries").path();
            if path.is_dir() && !["ui", "target"].iter().any(|name| path.ends_with(name)) {
                add(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    add(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut found);
    assert!(found.len() > 500, "the sources were found");
    found
}

/// Lines that are neither blank nor comments.
fn lines_of_code(text: &str) -> usize {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

/// Whether a file's own imports stand in blocks: the standard library, other crates, this one.
fn imports_in_order(text: &str) -> bool {
    let imports = text.lines().filter_map(|line| line.strip_prefix("use "));
    let blocks = imports.map(|path| match path.split([':', ';']).next().unwrap_or_default() {
        "std" | "core" | "alloc" => 0,
        "crate" | "self" | "super" => 2,
        _ => 1,
    });
    blocks.is_sorted()
}

#[test]
fn no_file_is_longer_than_one_idea_needs() {
    for file in sources() {
        let text = fs::read_to_string(&file).expect("a source can be read");
        let (lines, head) = (lines_of_code(&text), text.lines().take_while(|line| line.starts_with("//!")));
        let says_why = head.fold(String::new(), |text, line| text + line).contains("One file");
        assert!(lines <= MOST_LINES || says_why, "{}: {lines} lines of code", file.display());
    }
}

/// `scripts/removals` takes each out. Here it is seen that what a patch takes out is there still, so that the patches follow the sources.
#[test]
fn what_is_to_be_taken_out_once_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![root.join("tests/removals")];
    let mut patches = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be read") {
            let path = entry.expect("so can its entries").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let patch = fs::read_to_string(&path).expect("a patch can be read");
            assert!(patch.starts_with("tests: "), "{}: which tests?", path.display());
            let source = patch.lines().find_map(|line| line.strip_prefix("--- a/")).expect("a file is named");
            let source = fs::read_to_string(root.join(source)).expect("the file is there");
            for hunk in patch.split("\n@@ ").skip(1) {
                let before = hunk.lines().skip(1).filter_map(|line| line.strip_prefix([' ', '-']));
                let before = before.fold(String::new(), |text, line| text + line + "\n");
                assert_eq!(source.matches(&before).count(), 1, "{}:\n{before}", path.display());
            }
            patches += 1;
        }
    }
    assert!(patches > 30, "the patches were found");
}

#[test]
fn imports_stand_in_their_order() {
    assert!(!imports_in_order("use crate::a;\nuse std::fmt;\n"));
    assert!(!imports_in_order("use bytes::Bytes;\nuse std::fmt;\n"));
    let wrong: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|file| file.iter().any(|part| part == "src"))
        .filter(|file| !imports_in_order(&fs::read_to_string(file).expect("a source can be read")))
        .collect();
    assert!(wrong.is_empty(), "imports out of order: {wrong:#?}");
}
