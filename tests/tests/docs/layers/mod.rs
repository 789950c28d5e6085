//! Imports of every crate are held against the tables of layers in `ARCHITECTURE.md`: arrows only go down, and no files need
//! each other.

mod needs;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use self::needs::{Needs, circles, needs, sources};

/// Each crate with modules, and the section of `ARCHITECTURE.md` whose first table is of its layers.
const TABLES: [(&str, &str); 7] = [
    ("cachemacro-runtime", "## The runtime"),
    ("cachemacro-derive", "## The derive"),
    ("cachemacro-http", "## HTTP"),
    ("cachemacro-metrics", "## Metrics"),
    ("cachemacro-cli", "## The command line"),
    ("cachemacro-sql", "## SQL"),
    ("cachemacro-search", "## Search"),
];

/// Layers from the top down: what stands in it, and what it may use besides itself.
struct Row {
    places: BTreeSet<String>,
    may_use: BTreeSet<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The words in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The table of layers of a section, read: `all below`, `` `calls` and below``, `` `store`, `format` `` or `nothing`.
fn table(page: &str, heading: &str) -> Vec<Row> {
    let section = page.split("\n## ").find(|section| section.starts_with(heading.trim_start_matches("## ")));
    let section = section.unwrap_or_else(|| panic!("ARCHITECTURE.md has no section `{heading}`"));
    let lines =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells: Vec<(Vec<String>, &str)> = lines
        .skip(2)
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [places, _, may_use] = cells[..] else { panic!("{heading}: {line} has not three cells") };
            (quoted(places), may_use)
        })
        .collect();
    let below = |at: usize| cells[at..].iter().flat_map(|(places, _)| places).cloned();
    let row = |(at, (places, may_use)): (usize, &(Vec<String>, &str))| {
        let named = quoted(may_use);
        let may_use: BTreeSet<String> = match (*may_use, &named[..]) {
            ("nothing", _) => BTreeSet::new(),
            ("all below", _) => below(at + 1).collect(),
            (text, [first]) if text.ends_with("and below") => {
                let from = cells.iter().position(|(places, _)| places.contains(first));
                below(from.unwrap_or_else(|| panic!("{heading}: {text}"))).collect()
            }
            _ => named.into_iter().collect(),
        };
        let lower: BTreeSet<String> = below(at + 1).collect();
        assert!(may_use.is_subset(&lower), "{heading}: {places:?} may use what is not below");
        Row { places: places.iter().cloned().collect(), may_use }
    };
    cells.iter().enumerate().map(row).collect()
}

/// The layer that a module is in: the folder or file below `src`, or the crate's root.
fn layer(module: &[String]) -> &str {
    module.first().map_or("lib", String::as_str)
}

/// The arrows that the table does not allow, and the modules that have no place in it.
fn wrong(table: &[Row], needs: &Needs) -> Vec<String> {
    let row = |layer: &str| table.iter().find(|row| row.places.contains(layer));
    let mut wrong = Vec::new();
    for (module, needed) in needs {
        let Some(row) = row(layer(module)) else {
            // What the root shows may be from any layer; nobody may take it from there.
            wrong.extend((!module.is_empty()).then(|| format!("{} is in no layer", module.join("::"))));
            continue;
        };
        let arrows = needed
            .iter()
            .filter(|other| !row.places.contains(layer(other)) && !row.may_use.contains(layer(other)));
        wrong.extend(arrows.map(|other| format!("{} uses {}", module.join("::"), named(other))));
    }
    wrong
}

fn named(module: &[String]) -> String {
    if module.is_empty() { "what the crate's root shows".to_owned() } else { module.join("::") }
}

fn architecture() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is there")
}

#[test]
fn arrows_only_go_down() {
    let page = architecture();
    for (krate, heading) in TABLES {
        let (table, needs) = (table(&page, heading), needs(&sources(&root().join(krate))));
        let arrows: usize = needs.values().map(BTreeSet::len).sum();
        assert!(arrows >= needs.len(), "{krate}: the imports were read");
        let wrong = wrong(&table, &needs);
        assert!(wrong.is_empty(), "{krate}: arrows that go up:\n{}", wrong.join("\n"));
        let there: BTreeSet<&str> = needs.keys().map(|module| layer(module)).collect();
        let gone: Vec<&String> = table
            .iter()
            .flat_map(|row| &row.places)
            .filter(|place| !there.contains(place.as_str()))
            .collect();
        assert!(gone.is_empty(), "{krate}: ARCHITECTURE.md names what is not there: {gone:?}");
    }
}

#[test]
fn no_files_need_each_other() {
    for (krate, _) in TABLES {
        let circles = circles(needs(&sources(&root().join(krate))));
        let wrong: Vec<String> = circles
            .iter()
            .flat_map(|(module, needed)| {
                needed.iter().map(|other| format!("{} needs {}", named(module), named(other)))
            })
            .collect();
        assert!(wrong.is_empty(), "{krate}: files that need each other:\n{}", wrong.join("\n"));
    }
}

/// The crates of this family that a crate stands on, by its manifest. What its own tests use besides does not count.
fn family(krate: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(krate).join("Cargo.toml")).expect("a crate has a manifest");
    let name =
        |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect() };
    let (mut section, mut found) = ("", BTreeSet::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
            // `[dependencies.cachemacro-x]`, also of a target.
            if let Some((kind, of)) = section.split_once("dependencies.")
                && !kind.ends_with("dev-")
                && of.starts_with("cachemacro")
            {
                found.insert(name(of));
            }
        } else if section.ends_with("dependencies")
            && !section.ends_with("dev-dependencies")
            && line.starts_with("cachemacro")
        {
            found.insert(name(line));
        }
    }
    found
}

#[test]
fn crates_stand_on_the_facade_and_the_facade_on_two_that_know_none() {
    let members = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace has a manifest");
    let members = members.lines().find(|line| line.starts_with("members")).expect("it has members");
    let published = members.split('"').skip(1).step_by(2).filter(|name| name.starts_with("cachemacro"));
    let mut named = BTreeSet::new();
    for krate in published {
        let stands_on: Vec<String> = family(krate).into_iter().collect();
        match krate {
            "cachemacro" => assert_eq!(stands_on, ["cachemacro-derive", "cachemacro-runtime"]),
            "cachemacro-derive" | "cachemacro-runtime" => assert_eq!(stands_on, [""; 0], "{krate}"),
            // The program finds by texts what services find, by the same code.
            "cachemacro-cli" => assert_eq!(stands_on, ["cachemacro", "cachemacro-search"]),
            _ => assert_eq!(stands_on, ["cachemacro"], "{krate}"),
        }
        named.insert(krate);
    }
    assert!(named.remove("cachemacro"));
    let tables: BTreeSet<&str> = TABLES.iter().map(|(krate, _)| *krate).collect();
    assert_eq!(named, tables, "each crate with modules has a table of layers");
}

/// What each of these files needs, where they are all files there are.
fn needs_of(files: &[(&str, &str)]) -> Needs {
    let files: Vec<(PathBuf, String)> =
        files.iter().map(|(file, text)| (PathBuf::from(file), (*text).to_owned())).collect();
    needs(&files)
}

const PAGE: &str = "\n## Here\n\n| folder | job | may use |\n|---|---|---|\n| `private` | a | all below |\n\
    | `api`, `also` | b | `calls` and below |\n| `calls` | c | `ground` |\n| `ground` | d | nothing |\n\n## There";

#[test]
fn an_arrow_that_goes_up_is_found_in_every_form() {
    let table = table(PAGE, "## Here");
    let others = [
        ("private.rs", ""),
        ("api/mod.rs", ""),
        ("api/cache.rs", ""),
        ("ground/mod.rs", ""),
        ("ground/sync.rs", ""),
        ("calls/b.rs", ""),
    ];
    let wrong = |file, text| {
        let files =
            [&[(file, text), ("lib.rs", "mod x; pub use x::Cache;"), ("also.rs", "")][..], &others].concat();
        wrong(&table, &needs_of(&files))
    };
    for text in [
        "use crate::api::cache::Cache;",
        "use crate::{ground::sync, api::cache};",
        "fn f() { crate::private::key(); }",
        "fn f() { println!(\"{}\", crate::private::NAME) }",
        "pub(crate) use crate::\n    api::cache::Cache;",
        "use super::super::api::cache::Cache;",
        "use super::super::{api::cache::Cache, ground::sync};",
        "#[cfg(test)]\nmod tests;\nuse crate::also;",
        "#[cfg(test)]\nmod tests {\n    use crate::private::x;\n}\nuse crate::also;",
        // From where the public surface shows it, not from where it is.
        "use crate::Cache;",
        "fn f() -> super::super::Cache {}",
    ] {
        assert_eq!(wrong("calls/a.rs", text).len(), 1, "{text}");
    }
    for text in [
        "use crate::ground::sync;",
        "use crate::calls::b;",
        "use super::b::B;",
        "// crate::api::cache::Cache",
        "/// See [`crate::api`].\nfn f() {}",
        "macro_rules! own { () => { $crate::api::X } }",
        "macro_rules! own { () => {} }\nuse crate::own;",
        "#[cfg(test)]\nmod tests {\n    use crate::api::cache::Cache;\n}",
        "#[cfg(test)]\npub(crate) mod tests {\n    use crate::api::cache::Cache;\n}",
        "#[cfg(test)]\nuse crate::api::{\n    cache::Cache,\n};",
    ] {
        assert_eq!(wrong("calls/a.rs", text), [""; 0], "{text}");
    }
    assert_eq!(wrong("api/x.rs", "use crate::{also, calls::b, ground};"), [""; 0], "beside it, below it");
    assert_eq!(wrong("calls/a.rs", "use crate::ground::sync;\nuse crate::calls::b;"), [""; 0]);
    assert_eq!(wrong("attic/old.rs", ""), ["attic::old is in no layer"]);
}

/// The modules in circles.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    circles(needs_of(files)).keys().map(|module| module.join("::")).collect()
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
    // Through what a folder re-exports, and through what the root defines.
    let exported = [
        ("a/mod.rs", "mod one;\nmod two;\npub use self::one::One;"),
        ("a/one.rs", "use super::two::Two;"),
        ("a/two.rs", "use crate::b::three;"),
        ("b.rs", "use crate::a::One;"),
    ];
    assert_eq!(found(&exported), ["a::one", "a::two", "b"]);
    assert_eq!(
        found(&[("main.rs", "mod a;\nfn f() { a::run() }"), ("a.rs", "use crate::Failure;")]),
        ["", "a"]
    );
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
