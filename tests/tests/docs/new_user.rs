//! The README's first steps, taken as a new user takes them: a crate of its own, outside of the workspace, with what the
//! README says and nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;

use cachemacro_tests::without_settings;

/// The code blocks of the section "Your first cached function", each with its language.
fn steps() -> Vec<(String, String)> {
    let readme = include_str!("../../../README.md");
    let (_, section) = readme.split_once("## Your first cached function").expect("the section is there");
    let (section, _) = section.split_once("\n## ").expect("another one follows");
    let (mut blocks, mut block) = (Vec::new(), None);
    for line in section.lines() {
        match (line.trim_start().strip_prefix("```"), &mut block) {
            (Some(language), None) => block = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(block.take()),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn the_first_steps_lead_to_a_program_that_runs() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let [(toml, dependencies), (rust, main), (also_rust, further)] = &steps()[..] else {
        panic!("the README's first steps are a manifest, a program and a function")
    };
    assert_eq!([toml, rust, also_rust], ["toml", "rust", "rust"]);

    let path = format!("cachemacro = {{ path = {:?} }} # ", workspace.join("cachemacro"));
    let dependencies = dependencies.replace("cachemacro = \"0.1\"", &path);
    assert!(dependencies.contains("path"), "{dependencies}");
    let krate = tempfile::tempdir().expect("a folder");
    let manifest = krate.path().join("Cargo.toml");
    fs::write(&manifest, format!("[package]\nname = \"newcomer\"\nedition = \"2024\"\n{dependencies}"))
        .expect("written");
    // The versions that the tests were built with, so that nothing is fetched.
    fs::copy(workspace.join("Cargo.lock"), krate.path().join("Cargo.lock")).expect("copied");
    fs::create_dir(krate.path().join("src")).expect("a folder");
    let source = format!("mod step3;\n{main}");
    fs::write(krate.path().join("src/main.rs"), source).expect("written");
    fs::write(krate.path().join("src/step3.rs"), format!("#![allow(dead_code)]\n{further}"))
        .expect("written");

    let run = without_settings(&mut Command::new(env!("CARGO")))
        .args(["run", "--quiet", "--offline", "--manifest-path"])
        .arg(&manifest)
        .args(["--target-dir", concat!(env!("CARGO_TARGET_TMPDIR"), "/new_user")])
        .env("RUSTFLAGS", "-D warnings")
        // Nobody looks into it with a debugger.
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .output()
        .expect("cargo is there");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    assert_eq!(said, "");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(said.contains("hits: 1, loads: 1"), "{said}");
    assert!(said.contains("INFO") && said.contains("memory"), "the log names the store: {said}");
}
