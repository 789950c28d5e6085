//! Any text as a template: split or refused with a message, and text without braces is one part.
#![no_main]

use libfuzzer_sys::fuzz_target;

// A macro crate cannot be linked; the grammar knows nothing of it.
#[path = "../../cachemacro-derive/src/syntax/template/grammar.rs"]
mod grammar;

fuzz_target!(|template: &str| {
    match grammar::split(template) {
        Ok(parts) if !template.contains(['{', '}']) => assert!(parts.len() <= 1),
        Ok(_) => {}
        Err(wrong) => assert!(!wrong.messages.is_empty()),
    }
});
