//! What attributes cost the compiler.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::{Part, Question};
use crate::answer::{Table, Unit};
use crate::ground::machine::package;
use crate::ground::pin::Setting;
use crate::ground::rounds::Effort;

pub const QUESTION: Question = Question {
    name: "check",
    title: "What the compiler takes",
    method: "`cargo check` of a crate with 50 async functions, from which nothing is kept but its dependencies; cargo's own time is \
        included.",
    parts: &[Part { setting: Setting::Two, counts: false, ask }],
};

/// A crate: its dependencies beyond the common ones, and what stands before each function.
struct Crate {
    name: &'static str,
    row: &'static str,
    dependencies: fn() -> String,
    attribute: fn(usize) -> String,
}

const FUNCTIONS: usize = 50;

fn ours() -> String {
    let path = package().join("../cachemacro");
    format!("cachemacro = {{ path = {path:?} }}\n")
}

const CRATES: [Crate; 5] = [
    Crate { name: "plain", row: "none", dependencies: String::new, attribute: |_| String::new() },
    Crate {
        name: "cached",
        row: "cached",
        dependencies: || "cached = { version = \"4.1\", features = [\"async\"] }\n".into(),
        attribute: |_| "#[cached::macros::cached(max_size = 1000, ttl_secs = 60)]".into(),
    },
    Crate {
        name: "hitbox",
        row: "hitbox",
        dependencies: || {
            "hitbox = \"0.2\"\nhitbox-fn = { version = \"0.2\", features = [\"derive\"] }\n".into()
        },
        attribute: |number| format!("#[hitbox_fn::cached(prefix = \"user-{number}\")]"),
    },
    Crate {
        name: "ours",
        row: "cachemacro",
        dependencies: ours,
        attribute: |_| "#[cachemacro::cached]".into(),
    },
    Crate {
        name: "tagged",
        row: "cachemacro, 2 tags and `entry`",
        dependencies: ours,
        attribute: |number| {
            format!(
                "#[cachemacro::cached(prefix = \"user-{number}\", key = \"{{id}}\", \
                 tags = [\"users\", \"org:{{org}}\"], entry = user_entry_{number})]"
            )
        },
    },
];

fn ask(_: Setting, effort: Effort) -> Vec<Table> {
    let folder = package().join("target/check");
    let mut table = Table::new("`cargo check` of 50 functions").compared();
    for this in &CRATES {
        make(&folder, this);
        check(&folder, this);
    }
    for _ in 0..effort.fewer() {
        for this in &CRATES {
            let took = check(&folder, this);
            table.add(this.row, "seconds", Unit::Seconds, took);
        }
    }
    vec![table]
}

fn place(folder: &Path, this: &Crate) -> PathBuf {
    folder.join(this.name)
}

fn make(folder: &Path, this: &Crate) {
    let place = place(folder, this);
    fs::create_dir_all(place.join("src")).expect("room for it");
    let manifest = format!(
        "[package]\nname = \"check-{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n{}\n[workspace]\n",
        this.name,
        (this.dependencies)(),
    );
    fs::write(place.join("Cargo.toml"), manifest).expect("room for it");
    // The same versions as here, without asking anybody.
    fs::copy(package().join("Cargo.lock"), place.join("Cargo.lock")).expect("room for it");
    let derive = if this.name == "hitbox" { ", hitbox_fn::CacheableResponse" } else { "" };
    let mut source = format!(
        "#[derive(Clone, Debug, serde::Serialize, serde::Deserialize{derive})]\n\
         pub struct User {{ pub id: u64, pub name: String }}\n"
    );
    for number in 0..FUNCTIONS {
        let attribute = (this.attribute)(number);
        writeln!(
            source,
            "\n{attribute}\npub async fn user_{number}(id: u64, org: u32) -> User {{\n    \
             User {{ id, name: format!(\"{{org}}:{number}\") }}\n}}"
        )
        .expect("room for it");
    }
    fs::write(place.join("src/lib.rs"), source).expect("room for it");
}

/// Seconds.
fn check(folder: &Path, this: &Crate) -> f64 {
    let place = place(folder, this);
    let source = place.join("src/lib.rs");
    let text = fs::read_to_string(&source).expect("it was written");
    fs::write(&source, text).expect("room for it");
    let began = Instant::now();
    let done = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["check", "--quiet", "--offline"])
        .current_dir(&place)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_INCREMENTAL", "0")
        .status()
        .expect("cargo is installed");
    assert!(done.success(), "{} does not compile", place.display());
    began.elapsed().as_secs_f64()
}
