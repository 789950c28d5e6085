//! The server's id, as the version of a tag that all entries carry.
//!
//! An entry's stamp of that tag is the id of the server that it was filled on. Whoever connects writes the server's id there, where it is
//! another, before anything is read over the connection: what another server filled, and this one revived, is a miss from then on.
//!
//! A cluster has many servers, and an entry may go from one to another with its slot. There each process knows the id of each node, learned
//! before anything is read from it, and nothing is written.

use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "cluster")]
use std::{sync::Mutex, time::Instant};

use xxhash_rust::xxh3::xxh3_64;

use super::failure;
use super::wire::{Packed, Reply};
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::error::{Error, ErrorKind, Result};
#[cfg(feature = "cluster")]
use crate::ground::sync::lock;

/// Where the id of the server is.
#[derive(Debug, Clone)]
pub(super) enum Epoch {
    /// At the server, under this key.
    Written(VersionKey),
    /// In this process.
    #[cfg(feature = "cluster")]
    Known,
}

/// The id of one server, as this process knows it.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Zero: none.
    id: AtomicU64,
    /// When it was told last.
    #[cfg(feature = "cluster")]
    told: Mutex<Option<Instant>>,
}

impl Known {
    pub(super) fn id(&self) -> Option<Version> {
        let id = self.id.load(Ordering::SeqCst);
        (id != 0).then_some(Version::new(id))
    }

    /// The server told this one when it was asked then. Whether that is so now: where another one was told in between, it is to be
    /// asked again.
    #[cfg(feature = "cluster")]
    pub(super) fn note(&self, id: Version, asked: Instant) -> bool {
        let mut told = lock(&self.told);
        let known = self.id.load(Ordering::SeqCst);
        if known != id.get() {
            if told.is_some_and(|told| asked <= told) {
                return false;
            }
            self.id.store(id.get(), Ordering::SeqCst);
            if known != 0 {
                tracing::info!(
                    "a node of the cluster is another server than before: what was cached on that one is not used"
                );
            }
        }
        *told = Some(Instant::now());
        true
    }
}

/// How long the id is there where no entry needs it for longer.
const LIFE: &str = "86400000";
/// Writes the id where another one is there, and leaves the life of one that is the same.
const WRITE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1 end \
                     return 0";

/// Asks for what the id is made of.
pub(super) fn ask(out: &mut Packed) {
    out.command(2).part("INFO").part("server");
    out.command(2).part("INFO").part("replication");
}

/// The id of a server that answered so: another one after each start of its process, and each time that it became the primary.
pub(super) fn id(server: &Reply, replication: &Reply) -> Result<Version> {
    let field = |reply: &Reply, name: &str| -> Result<String> {
        let Reply::Bytes(text) = reply else { return Err(unknown()) };
        let text = std::str::from_utf8(text).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(str::to_owned).ok_or_else(unknown)
    };
    let (run, history) = (field(server, "run_id")?, field(replication, "master_replid")?);
    Ok(Version::new(xxh3_64(format!("{run}/{history}").as_bytes())))
}

fn unknown() -> Error {
    Error::new(ErrorKind::Connect, "the epoch check needs the server's id, which `INFO` does not tell here")
}

/// Writes the id where another one is there.
pub(super) fn write(out: &mut Packed, key: &VersionKey, id: Version) {
    out.command(6).part("EVAL").part(WRITE).part("1").part(&key.text).part(id.to_bytes()).part(LIFE);
}

/// Whether another one was there.
pub(super) fn written(reply: &Reply) -> Result<bool> {
    match reply {
        Reply::Int(written) => Ok(*written == 1),
        Reply::Error(line) => Err(failure::refused(line)),
        _ => Err(failure::unexpected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "cluster")]
    #[test]
    fn of_two_ids_the_one_that_was_asked_for_later_is_the_servers() {
        let (known, first) = (Known::default(), Instant::now());
        let (one, other) = (Version::new(1), Version::new(2));
        assert_eq!(known.id(), None);
        assert!(known.note(one, first));
        assert!(!known.note(other, first), "it may be the former");
        assert_eq!(known.id(), Some(one));
        assert!(known.note(one, first), "the same");
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(known.note(other, Instant::now()));
        assert_eq!(known.id(), Some(other));
    }

    #[test]
    fn a_restart_and_a_promotion_make_another_id() {
        let told = |run: &str, history: &str| {
            let bytes = |text: String| Reply::Bytes(text.into_bytes().into());
            let server = bytes(format!("# Server\r\nrun_id:{run}\r\n"));
            id(&server, &bytes(format!("role:master\r\nmaster_replid:{history}\r\nmaster_replid2:0\r\n")))
        };
        let first = told("a", "b").expect("an id");
        assert_eq!(told("a", "b").expect("an id"), first);
        assert_ne!(told("c", "b").expect("an id"), first, "started anew");
        assert_ne!(told("a", "d").expect("an id"), first, "the primary once more");
        assert_eq!(id(&Reply::Nil, &Reply::Nil).expect_err("no id").kind(), ErrorKind::Connect);
    }
}
