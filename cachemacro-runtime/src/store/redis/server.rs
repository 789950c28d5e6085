//! What the server says of itself, and what of that is wrong for a cache.

use super::wire::{Packed, Reply};
use crate::store::messages::server::ServerFacts;

/// The oldest version of Redis that has all that is used.
const OLDEST: (u64, u64) = (6, 2);

/// The sections that are read: one each, because Redis 6.2 tells one at a time.
const SECTIONS: [&str; 4] = ["server", "memory", "persistence", "keyspace"];

/// Asks for all of it. What the user may not ask for stays unknown.
pub(super) fn ask(out: &mut Packed) {
    for section in SECTIONS {
        out.command(2).part("INFO").part(section);
    }
    for setting in ["save", "appendonly"] {
        out.command(3).part("CONFIG").part("GET").part(setting);
    }
}

/// What the replies tell of the server and of this database of it.
pub(super) fn facts(replies: &[Reply], database: i64, plaintext: bool) -> ServerFacts {
    let info: Vec<&str> = replies.iter().take(SECTIONS.len()).filter_map(text).collect();
    let field = |name: &str| {
        let mut lines = info.iter().flat_map(|section| section.lines());
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let mut facts = ServerFacts::new();
    facts.plaintext = plaintext;
    // Valkey was never older.
    facts.too_old = match field("valkey_version") {
        Some(_) => None,
        None => field("redis_version").filter(|version| is_old(version)).map(str::to_owned),
    };
    facts.eviction_policy = field("maxmemory_policy").map(str::to_owned);
    facts.memory_limit = field("maxmemory").and_then(|bytes| bytes.parse().ok());
    facts.keys_without_ttl = info.iter().any(|section| section.contains("# Keyspace")).then(|| {
        // db0:keys=12,expires=10,avg_ttl=0
        let counts = field(&format!("db{database}")).unwrap_or_default();
        let count = |name: &str| -> u64 {
            let value = counts.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            value.and_then(|count| count.parse().ok()).unwrap_or(0)
        };
        count("keys").saturating_sub(count("expires"))
    });
    // ["save", "3600 1 300 100"], or a map of the two.
    let setting = |at: usize| match replies.get(SECTIONS.len() + at) {
        Some(Reply::Array(pair)) => pair.get(1).and_then(text),
        _ => None,
    };
    // While it loads what it kept, it says of itself that it appends nothing.
    let appends = if field("loading").is_some_and(|loading| loading != "0") {
        setting(1).map(|appends| appends != "no")
    } else {
        field("aof_enabled").map(|enabled| enabled != "0")
    };
    let saves = setting(0).map(|points| !points.is_empty());
    facts.persists = match (appends, saves) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    };
    facts
}

fn text(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn is_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Reply {
        Reply::Bytes(text.as_bytes().to_vec().into())
    }

    fn told(info: &str, save: Option<&str>) -> ServerFacts {
        let mut replies: Vec<Reply> = vec![bytes(info), Reply::Nil, Reply::Nil, Reply::Nil];
        replies.extend(save.map(|points| Reply::Array(vec![bytes("save"), bytes(points)])));
        facts(&replies, 3, false)
    }

    #[test]
    fn versions_before_the_oldest_that_is_supported_are_told() {
        let old = |version: &str| told(&format!("redis_version:{version}\r\n"), None).too_old;
        for version in ["6.0.20", "5.0.14", "2.8.24"] {
            assert_eq!(old(version).as_deref(), Some(version));
        }
        for version in ["6.2.0", "7.0.15", "8.0", "255.255.255", "unknown"] {
            assert_eq!(old(version), None, "{version}");
        }
        assert_eq!(told("redis_version:6.0.9\r\nvalkey_version:9.1.2\r\n", None).too_old, None);
    }

    #[test]
    fn memory_and_keys_of_the_own_database_are_told() {
        let info = "maxmemory:20971520\r\nmaxmemory_policy:allkeys-lru\r\n# Keyspace\r\n\
                    db0:keys=9,expires=0,avg_ttl=0\r\ndb3:keys=12,expires=10,avg_ttl=5\r\n";
        let facts = told(info, None);
        assert_eq!(facts.eviction_policy.as_deref(), Some("allkeys-lru"));
        assert_eq!((facts.memory_limit, facts.keys_without_ttl), (Some(20_971_520), Some(2)));
        assert_eq!(told("# Keyspace\r\n", None).keys_without_ttl, Some(0), "an empty database");
        assert_eq!(told("", None), ServerFacts::new(), "what may not be asked for is unknown");
        assert!(super::facts(&[], 3, true).plaintext, "where it is was known before");
    }

    #[test]
    fn a_server_that_writes_its_data_to_disk_is_told() {
        assert_eq!(told("aof_enabled:1\r\n", None).persists, Some(true));
        assert_eq!(told("aof_enabled:0\r\n", Some("3600 1 300 100")).persists, Some(true));
        assert_eq!(told("aof_enabled:0\r\n", Some("")).persists, Some(false));
        assert_eq!(told("aof_enabled:0\r\n", None).persists, None, "a right is lacking");
        let loading = |appends: Option<&str>| {
            let config = |name, value| Reply::Array(vec![bytes(name), bytes(value)]);
            let info = bytes("loading:1\r\naof_enabled:0\r\n");
            let mut replies = vec![info, Reply::Nil, Reply::Nil, Reply::Nil, config("save", "")];
            replies.extend(appends.map(|appends| config("appendonly", appends)));
            facts(&replies, 3, false).persists
        };
        assert_eq!(loading(Some("yes")), Some(true), "it is loading what it appended");
        assert_eq!(loading(Some("no")), Some(false));
        assert_eq!(loading(None), None);
    }
}
