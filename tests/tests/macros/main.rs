//! What the attributes accept: every case compiles without a warning, runs, and asserts what came of it.
//!
//! Each case is a module under `tests/ui/pass`, as a user might write it, in one program because linking one for each
//! would take minutes. A case that names itself from the crate's root begins with its topic: `crate::hygiene::…`.
//!
//! What they refuse is tried in `tests/mistakes`.

#![cfg_attr(not(clippy), deny(warnings))]
#![allow(
    clippy::all,
    clippy::pedantic,
    reason = "cases are odd on purpose; what clippy says of an expansion is asked in `src/strict`"
)]
#![expect(unreachable_pub, reason = "cases are written as in a library")]

#[path = "../../ui/pass/config/mod.rs"]
mod config;
#[path = "../../ui/pass/entries/mod.rs"]
mod entries;
#[path = "../../ui/pass/functions/mod.rs"]
mod functions;
#[path = "../../ui/pass/hygiene/mod.rs"]
mod hygiene;
#[path = "../../ui/pass/keys/mod.rs"]
mod keys;
#[path = "../../ui/pass/methods/mod.rs"]
mod methods;
#[path = "../../ui/pass/traits/mod.rs"]
mod traits;
#[path = "../../ui/pass/values/mod.rs"]
mod values;
#[path = "../../ui/pass/writes/mod.rs"]
mod writes;

#[test]
fn every_case_is_among_them() {
    let topics = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/pass");
    let mut cases = 0;
    for topic in topics.read_dir().expect("there are topics").flatten() {
        let listed = std::fs::read_to_string(topic.path().join("mod.rs")).expect("a topic lists its cases");
        for case in topic.path().read_dir().expect("a topic is a folder").flatten() {
            let name = case.file_name().to_string_lossy().replace(".rs", "");
            assert!(
                name == "mod" || listed.contains(&format!("mod {name};")),
                "{topic:?} does not list {name}"
            );
            cases += usize::from(name != "mod");
        }
    }
    assert!(cases >= 40, "{cases}");
}
