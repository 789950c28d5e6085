//! What names a lease, a value or a version is never drawn twice: not by processes that were one, nor by machines that were
//! restored from one image.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cachemacro_tests::Worker;

/// Upholds G1.
#[tokio::test]
async fn two_children_of_one_process_draw_different_ids() {
    let mut worker = Worker::spawn(env!("CARGO_BIN_EXE_fork_worker"), &[], &[]);
    let (mut ids, mut children) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let line = worker.line().await;
        if line == "done" {
            break;
        }
        let (child, drawn) = line.split_once(' ').expect("a child and what it drew");
        children.insert(child.to_owned());
        for id in drawn.split(' ') {
            assert!(ids.insert(id.to_owned()), "{id} was drawn twice");
        }
    }
    assert_eq!((children.len(), ids.len()), (2, 600));
    worker.finish().await;
}

/// Where the runtime uses a generator that lies in its memory, and what for: nothing that two processes must not draw alike.
const GENERATORS: &[(&str, &str)] = &[
    ("calls/write_behind/owner.rs", "a pause"),
    ("engine/core.rs", "jitter of a TTL"),
    ("engine/lease.rs", "a pause"),
    ("engine/verifying.rs", "which hits are looked at"),
    ("ground/pauses.rs", "a pause"),
    ("store/memory/space.rs", "the seed of a hash, of this process's own map"),
    ("store/redis/cluster/topology.rs", "the order in which nodes are asked"),
    ("store/redis/upkeep.rs", "how long a connection lives"),
];

/// Upholds G1.
#[test]
fn ids_are_drawn_from_the_operating_system_and_nothing_in_memory_makes_any() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cachemacro-runtime/src");
    let mut found = Vec::new();
    for file in files(&source) {
        let text = fs::read_to_string(&file).expect("a source");
        let name = file.strip_prefix(&source).expect("below it").to_string_lossy().into_owned();
        if name == "format/ids.rs" {
            assert_eq!(text.matches("rand::random").count(), 1, "for a store in this process's memory alone");
        } else if text.contains("rand::") {
            found.push(name);
        }
    }
    found.sort();
    let known: Vec<_> = GENERATORS.iter().map(|(file, _)| *file).collect();
    assert_eq!(found, known, "what is drawn there must not name a lease, a value or a version");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}
