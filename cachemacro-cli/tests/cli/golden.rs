//! What is written for two reports, and the help, as checked-in text. `UPDATE_GOLDEN=1` writes it anew.

use std::path::PathBuf;

use crate::harness::Place;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden")).join(name)
}

#[test]
fn tables_csv_json_and_help_are_as_they_were() {
    let nowhere = Place { url: String::new(), namespace: String::new() };
    let reports = ["one.json", "two.json"].map(|name| golden(name).to_string_lossy().into_owned());
    let from = ["--from", reports[0].as_str(), "--from", reports[1].as_str()];
    for (name, args) in [
        ("stats.txt", &["stats"][..]),
        ("stats.csv", &["stats", "--format", "csv"]),
        ("stats.jsonl", &["stats", "--format", "json"]),
        ("processes.txt", &["stats", "--by", "process"]),
        ("reasons.txt", &["stats", "--by", "reason"]),
        ("map.txt", &["map"]),
        ("map.svg", &["map", "--svg"]),
        ("help.txt", &["--help"]),
        ("flush.txt", &["flush", "--help"]),
        ("cachemacro.1", &["man"]),
    ] {
        let from = if ["stats", "map"].contains(&args[0]) { &from[..] } else { &[] };
        let said = nowhere.run(&[args, from].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(golden(name), &said.out).expect("it can be written");
        }
        let expected = std::fs::read_to_string(golden(name)).unwrap_or_default();
        assert_eq!(said.out, expected, "{name}");
    }
}

#[test]
fn rows_are_added_to_a_file_without_another_head() {
    let nowhere = Place { url: String::new(), namespace: String::new() };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("stats.csv");
    let (report, output) = (golden("one.json"), file.to_string_lossy().into_owned());
    for _ in 0..2 {
        let args = [
            "stats",
            "--from",
            &report.to_string_lossy(),
            "--format",
            "csv",
            "--output",
            &output,
            "--append",
        ];
        let said = nowhere.run(&args);
        assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{said:?}");
    }
    let text = std::fs::read_to_string(&file).expect("it was written");
    assert_eq!(text.lines().filter(|line| line.starts_with("site,")).count(), 1, "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("total,")).count(), 2, "{text}");
}

/// What is no table goes where `--output` says, too.
#[test]
fn graphs_completions_and_the_manual_page_are_written_into_a_file() {
    let nowhere = Place { url: String::new(), namespace: String::new() };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("out");
    let (report, output) =
        (golden("one.json").to_string_lossy().into_owned(), file.to_string_lossy().into_owned());
    for args in [
        &["map", "--dot", "--from", &report][..],
        &["map", "--svg", "--from", &report],
        &["man"],
        &["completions", "bash"],
    ] {
        let shown = nowhere.run(args);
        let said = nowhere.run(&[args, &["--output", &output]].concat());
        assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{said:?}");
        assert_eq!(std::fs::read_to_string(&file).expect("it was written"), shown.out, "{args:?}");
    }
    nowhere.run(&["man", "--output", &output]);
    nowhere.run(&["man", "--output", &output, "--append"]);
    let twice = nowhere.run(&["man"]).out.repeat(2);
    assert_eq!(std::fs::read_to_string(&file).expect("it was written"), twice);
}
