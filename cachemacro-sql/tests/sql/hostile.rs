//! Texts that are deep, long, cut off or no SQL: none panics, overflows a stack or goes on for long.

use std::time::{Duration, Instant};

use cachemacro_sql::Statements;

use crate::cases::{DIALECTS, catalogue, lines};

/// So long at most for a text that is meant to be harmless, with two orders of magnitude to spare.
const LONG: Duration = Duration::from_secs(20);

fn each(sql: &str) -> Vec<std::sync::Arc<cachemacro_sql::Footprint>> {
    let began = Instant::now();
    let of = |(_, dialect)| Statements::new(catalogue(dialect)).footprint(sql);
    let footprints = DIALECTS.map(of).to_vec();
    assert!(began.elapsed() < LONG, "{:?}: {}…", began.elapsed(), sql.chars().take(60).collect::<String>());
    footprints
}

#[test]
fn nested_parentheses_are_not_understood_where_they_are_many() {
    for (open, close) in
        [("(", ")"), ("(SELECT ", ")"), ("abs(", ")"), ("[", "]"), ("CASE WHEN ", " THEN 1 END")]
    {
        let nested = |depth: usize| format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth));
        assert!(each(&nested(5_000)).iter().all(|footprint| footprint.writes_anything()), "{open}");
        for depth in [1, 10, 20, 30, 47, 60, 100] {
            each(&nested(depth));
        }
    }
    for depth in [1, 5, 10, 15, 20, 30, 45] {
        each(&format!("SELECT * FROM {}users{}", "(".repeat(depth), ")".repeat(depth)));
        each(&format!("{}SELECT 1{}", "(".repeat(depth), ")".repeat(depth)));
    }
}

#[test]
fn a_long_list_is_understood() {
    let list = (0..30_000).map(|id| id.to_string()).collect::<Vec<_>>().join(", ");
    for footprint in each(&format!("SELECT * FROM users WHERE id IN ({list})")) {
        assert!(footprint.reads().eq(["users"]) && !footprint.reads_anything());
    }
    let rows = vec!["(1, 'a', NULL)"; 10_000].join(", ");
    for footprint in each(&format!("INSERT INTO orders (id, a, b) VALUES {rows}")) {
        assert!(footprint.writes().map(|(table, _)| table).eq(["orders"]));
    }
}

#[test]
fn long_chains_of_operators_overflow_no_stack() {
    for link in [
        " OR id = 7",
        " + 1",
        " AND NOT id IS NULL",
        " || 'a'",
        "::text",
        " COLLATE x",
        "[1]",
        ".a",
        " NOT",
        " - ",
    ] {
        for length in [10, 500, 1_000, 1_999, 4_000, 30_000] {
            each(&format!("SELECT * FROM users WHERE id{}", link.repeat(length)));
        }
    }
    for length in [10, 199, 200, 5_000] {
        each(&format!("SELECT 1, 2{}", " UNION ALL SELECT 1, 2".repeat(length)));
        each(&format!("SELECT * FROM users{}", " JOIN orders ON 1 = 1".repeat(length)));
        each(&format!("SELECT {} 1", "NOT ".repeat(length)));
        each(&format!("SELECT {} 1", "- ".repeat(length)));
    }
}

#[test]
fn mutated_statements_do_not_panic() {
    let rounds: u64 = if std::env::var_os("CACHEMACRO_TEST_LONG").is_some() { 100_000 } else { 6_000 };
    let texts: Vec<&str> = lines().map(|(_, sql, _)| sql).collect();
    let words: Vec<&str> = texts.iter().flat_map(|text| text.split_whitespace()).collect();
    let statements = DIALECTS.map(|(_, dialect)| Statements::new(catalogue(dialect)));
    // A fixed sequence, so that what fails once fails again.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |most: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).expect("31 bits") % most.max(1)
    };
    for _ in 0..rounds {
        let mut parts: Vec<&str> = texts[below(texts.len())].split_inclusive([' ', '(', ')', ',']).collect();
        for _ in 0..=below(4) {
            let at = below(parts.len() + 1);
            match below(5) {
                0 if at < parts.len() => drop(parts.remove(at)),
                1 if at < parts.len() => parts.insert(at, parts[at]),
                2 => parts.truncate(at),
                3 => parts.insert(
                    at,
                    ["'", "\"", "(", ")", ";", "--", "/*", "$$", "\\", "\u{0}", "é", "`"][below(12)],
                ),
                _ => parts.insert(at, words[below(words.len())]),
            }
        }
        let mutated = parts.join(if below(2) == 0 { "" } else { " " });
        statements[below(3)].footprint(&mutated);
    }
}
