//! What the attributes refuse, and the messages with which they refuse it.
//!
//! Cases are grouped by topic under `tests/ui`, which the link `ui` leads to. `TRYBUILD=overwrite` writes the messages anew; each is then
//! to be read as a user would. What is accepted is tried in `tests/tests/macros`.

#[test]
fn mistakes_are_explained_where_they_are_made() {
    let cases = trybuild::TestCases::new();
    for topic in [
        "options", "duration", "key", "template", "tags", "entry", "types", "items", "put", "evict",
        "config", "stacking", "local", "queue",
    ] {
        cases.compile_fail(format!("ui/{topic}/*.rs"));
    }
}
